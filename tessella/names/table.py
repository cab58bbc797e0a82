"""The table of foreign names: what PyTorch, JAX and NumPy call something, and what to write here.

One row a line: whose name it is, where it would be looked for, the name, and what it is here. Names that mean the
same here are not in it: they work. docs/names.md shows it.
"""

from __future__ import annotations

# The namespaces, as rows call them.
NAMESPACES = {
    "ts": "tessella",
    "Tensor": "tessella.Tensor",
    "nn": "tessella.nn",
    "F": "tessella.nn.functional",
    "optim": "tessella.optim",
    "random": "tessella.random",
}

# library | namespace | names | what it is here
ROWS = """
PyTorch | ts | Size | a tuple: shapes are plain tuples
PyTorch | ts | Generator | `ts.random.Generator(seed)`
PyTorch | ts | FloatTensor DoubleTensor LongTensor IntTensor BoolTensor | `ts.asarray(data, dtype=ts.float32)`, and so on
PyTorch | ts | autograd | `ts.grad`, `ts.gradients`, `ts.vjp`, `ts.custom_vjp`
PyTorch | ts | cuda mps xpu | not here: the only device is 'cpu'; leave it out
PyTorch | ts | bartlett_window blackman_window hamming_window hann_window kaiser_window | not here; make it with NumPy: `ts.asarray(np.hanning(n))`
PyTorch | ts | batch_norm | `ts.nn.functional.batch_norm`
PyTorch | ts | bernoulli | `ts.random.bernoulli(key, p)`, or `ts.rand_like(p) < p`
PyTorch | ts | bilinear | `ts.einsum("bi,oij,bj->bo", x, weight, y)`
PyTorch | ts | block_diag | not here; put the blocks into `ts.zeros(...)` by `x[a:b, c:d] = block`
JAX | ts | broadcast_in_dim | `ts.broadcast_to`
PyTorch | ts | bucketize | `ts.searchsorted(boundaries, x)`
PyTorch | ts | cartesian_prod combinations | not here; `ts.meshgrid` gives the coordinates
PyTorch | ts | chain_matmul | `ts.einsum`, which finds a good order, or `x @ y @ z`
PyTorch | ts | channels_last contiguous_format preserve_format strided memory_format | not here: the layout is the system's affair; leave it out
PyTorch | ts | cholesky cholesky_inverse cholesky_solve det inverse lstsq lu matrix_exp matrix_power pinverse qr slogdet solve svd linalg | not here yet; NumPy takes tensors: `ts.asarray(np.linalg.inv(x))`, without gradients
PyTorch | ts | compile | `ts.jit`
PyTorch | ts | complex polar view_as_complex view_as_real | `real + 1j * imag`; `ts.real`, `ts.imag`
PyTorch | ts | conv1d conv2d conv3d embedding dropout layer_norm celu elu selu gelu silu leaky_relu hardtanh cross_entropy cosine_similarity | in `ts.nn.functional`
PyTorch | ts | cummax cummin | `ts.cumulative_max`, `ts.cumulative_min`, which give the values alone
PyTorch | ts | dsplit hsplit vsplit | `ts.tensor_split(x, n, axis=...)`
PyTorch | ts | distributions | `ts.random`
PyTorch | ts | empty_strided as_strided | not here: strides are the system's affair; `ts.sliding_window` gives windows
PyTorch | ts | export fx script trace_module | `ts.make_graph(function)(example)`; `ts.jit` compiles
PyTorch | ts | fft stft istft | not here yet; NumPy takes tensors: `ts.asarray(np.fft.rfft(x))`, without gradients
PyTorch | ts | from_file frombuffer | `ts.asarray(np.frombuffer(data, dtype))`
PyTorch | ts | func | `ts.grad`, `ts.vmap`, `ts.jvp`, `ts.vjp`, `ts.nn.functional_call`
PyTorch | ts | get_rng_state set_rng_state initial_seed | `ts.random.default.state`, which can be read and assigned
PyTorch | ts | i0 polygamma mvlgamma special igamma igammac | not here; `ts.digamma`, `ts.lgamma`, `ts.erf` are, and `ts.map(fn)` makes others
PyTorch | ts | is_autocast_enabled autocast amp | not here; use `x.astype(ts.bfloat16)`, or `model.to(dtype)`
PyTorch | ts | is_grad_enabled | `ts.autodiff.is_enabled()`
PyTorch | ts | set_grad_enabled | `ts.autodiff.set_enabled(flag)`, as a `with` block
PyTorch | ts | is_nonzero | `bool(x)`
PyTorch | ts | kthvalue | `ts.sort(x, axis=...)[..., k - 1]`
PyTorch | ts | logcumsumexp | not here; `ts.logsumexp` reduces
PyTorch | ts | masked_scatter | `x[mask] = values`
PyTorch | ts | mode | `ts.unique_counts(x)`, and the value with the largest count
PyTorch | ts | msort | `ts.sort(x, axis=0)`
PyTorch | ts | multiprocessing distributed futures package hub library sparse quantization testing utils overrides profiler cpp | not here
PyTorch | ts | normal | `ts.random.normal(key, shape)`, or `mean + std * ts.randn(*shape)`
PyTorch | ts | onnx | not here yet
PyTorch | ts | pdist | `ts.cdist(x, x)`, above the diagonal
PyTorch | ts | poisson | `ts.random.poisson(key, rate)`
PyTorch | ts | promote_types | `ts.result_type(a, b)`
PyTorch | ts | put scatter_reduce index_reduce | `ts.scatter`, `ts.scatter_add`, `ts.index_add`; or `x[index] = values`
PyTorch | ts | renorm | `x * (limit / ts.norm(x, axis=..., keepdims=True)).clip(max=1)`
PyTorch | ts | save load | `ts.io.save_file(model.state_dict(), path)`, `ts.io.load_file(path)`
PyTorch | ts | seed | `ts.manual_seed(seed)`
PyTorch | ts | set_default_device get_default_device | not here: the only device is 'cpu'; leave it out
PyTorch | ts | set_default_tensor_type | `ts.set_default_dtype(ts.float64)`
PyTorch | ts | set_printoptions | `np.set_printoptions`, which printing follows
PyTorch | ts | sgn | `ts.sign`
PyTorch | ts | std_mean var_mean | `ts.std(x, correction=1), ts.mean(x)`
PyTorch | ts | trapezoid trapz cumulative_trapezoid | `((y[1:] + y[:-1]) / 2 * ts.diff(x)).sum()`
PyTorch | ts | unique unique_consecutive | `ts.unique_values`, `ts.unique_counts`, `ts.unique_inverse`, `ts.unique_all`
PyTorch | ts | use_deterministic_algorithms are_deterministic_algorithms_enabled | not needed: the same operations give the same numbers at every run
PyTorch | ts | vander | `x[:, None] ** ts.arange(n)`
PyTorch | ts | isposinf isneginf | `x == ts.inf`, `x == -ts.inf`
PyTorch | ts | chalf cfloat cdouble | `ts.complex64`, `ts.complex128`
JAX | ts | numpy | `ts` itself: its functions have the names of `jax.numpy`
JAX | ts | lax | `ts.scan`, `ts.cond`, `ts.while_loop`, `ts.fori_loop`, `ts.switch`, `ts.associative_scan`
JAX | ts | tree tree_util tree_structure | `ts.tree_map`, `ts.tree_flatten`, `ts.tree_unflatten`, `ts.tree_leaves`
JAX | ts | make_jaxpr eval_shape xla_computation | `ts.make_graph(function)(example)`
JAX | ts | pmap shard_map sharding devices local_devices device_count device_get device_put | not here: the only device is 'cpu'; leave it out
JAX | ts | remat | `ts.checkpoint`
JAX | ts | named_call named_scope | not needed: graphs name the user's own lines
JAX | ts | disable_jit | call the function itself, without `ts.jit`
JAX | ts | pure_callback experimental | `ts.debug.print`, `ts.debug.breakpoint`
JAX | ts | PRNGKey | `ts.random.key(seed)`
JAX | ts | config | environment variables, which README.md lists; `ts.set_default_dtype` for x64
JAX | ts | custom_gradient | `ts.custom_vjp`
JAX | ts | linear_transpose | `ts.vjp`
JAX | ts | vectorize | `ts.vmap`
JAX | ts | block_until_ready | not needed: what reads a number waits for it
JAX | ts | one_hot | `ts.nn.functional.one_hot`
NumPy | ts | array asanyarray ascontiguousarray | `ts.asarray`
NumPy | ts | ndarray | `ts.Tensor`
NumPy | ts | dtype | `ts.DType`
NumPy | ts | bool_ int_ float_ | `ts.bool`, `ts.int64`, `ts.float64`
NumPy | ts | append insert delete | `ts.concat` of the parts
NumPy | ts | apply_along_axis | `ts.vmap(function)`
NumPy | ts | argpartition partition | `ts.argsort`, `ts.sort`, `ts.top_k`
NumPy | ts | around round_ rint | `ts.round`
NumPy | ts | array_equal array_equiv | `bool((x == y).all())`, where the shapes are equal
NumPy | ts | array_split | `ts.tensor_split`
NumPy | ts | average | `(x * weights).sum() / weights.sum()`, or `ts.mean`
NumPy | ts | cbrt | `ts.sign(x) * ts.abs(x) ** (1 / 3)`
NumPy | ts | convolve correlate | `ts.nn.functional.conv1d`
NumPy | ts | copy | `x.copy()`
NumPy | ts | digitize | `ts.searchsorted(bins, x, side="right")`
NumPy | ts | fabs | `ts.abs`
NumPy | ts | gradient | `ts.diff` for differences; `ts.grad` differentiates functions
NumPy | ts | histogram | `ts.histc(x, bins, min, max)`
NumPy | ts | identity | `ts.eye(n)`
NumPy | ts | in1d | `ts.isin`
NumPy | ts | intersect1d setdiff1d union1d setxor1d | `ts.unique_values` and `ts.isin`
NumPy | ts | invert | `ts.bitwise_invert`
NumPy | ts | left_shift right_shift | `ts.bitwise_left_shift`, `ts.bitwise_right_shift`
NumPy | ts | mod | `ts.remainder`
NumPy | ts | nanmax nanmin | `ts.where(ts.isnan(x), -ts.inf, x).max()`, and likewise for the minimum
NumPy | ts | nanstd nanvar | `ts.nanmean((x - ts.nanmean(x)) ** 2)`
NumPy | ts | ndim shape size | `x.ndim`, `x.shape`, `x.size`
NumPy | ts | percentile nanpercentile | `ts.quantile(x, percentage / 100)`
NumPy | ts | piecewise | `ts.where`, one inside another
NumPy | ts | polyfit polyval poly1d | not here; `ts.asarray(np.polyfit(x, y, degree))`
NumPy | ts | power | `ts.pow`
NumPy | ts | ptp | `x.max() - x.min()`
NumPy | ts | put_along_axis | `ts.scatter(x, axis, index, values)`
NumPy | ts | savez loadtxt savetxt genfromtxt | NumPy's: it takes tensors, and `ts.asarray` its arrays
NumPy | ts | tri | `ts.tril(ts.ones((n, m)))`
NumPy | ts | unravel_index ravel_multi_index | `index // columns, index % columns`
NumPy | ts | degrees radians | `ts.rad2deg`, `ts.deg2rad`

PyTorch | Tensor | values indices | not here: `x.max(axis)`, `x.sort()` and their kin give the values themselves; the places are `x.argmax(axis)`, `x.argsort()`; `x.topk(k)` gives both
PyTorch | Tensor | grad_fn | not here: `x.requires_grad` and `x.is_leaf` say whether there is a history
PyTorch | Tensor | is_cuda is_mps is_sparse is_quantized layout names | not here: tensors are dense, and on the 'cpu'
PyTorch | Tensor | data_ptr storage untyped_storage storage_offset share_memory_ is_shared | not here: memory is the system's affair; `x.numpy()` shows it
PyTorch | Tensor | pin_memory is_pinned record_stream | not needed on the CPU; leave it out
PyTorch | Tensor | t_ transpose_ squeeze_ unsqueeze_ swapaxes_ permute_ resize_ set_ resize_as_ | the shape of a tensor stays: write `x = x.t()`, and so on
PyTorch | Tensor | angle | `ts.atan2(x.imag, x.real)`
PyTorch | Tensor | logaddexp2 | `ts.log2(ts.exp2(x) + ts.exp2(y))`
PyTorch | Tensor | ldexp ldexp_ | `x * 2.0 ** exponent`
PyTorch | Tensor | sgn_ | `x.sign_()`
PyTorch | Tensor | get_device ipu xpu mtia is_cpu is_meta is_xla is_xpu is_mkldnn is_vulkan | not here: the only device is 'cpu'
PyTorch | Tensor | is_same_size | `x.shape == y.shape`
PyTorch | Tensor | is_signed | `x.dtype.is_float`, or the names of dtypes: unsigned ones begin with a u
PyTorch | Tensor | is_conj is_neg resolve_conj resolve_neg conj_physical conj_physical_ | not needed: nothing is conjugated or negated later
PyTorch | Tensor | split_with_sizes unsafe_split unsafe_split_with_sizes | `x.split(sizes)`
PyTorch | Tensor | unsafe_chunk narrow_copy | `x.chunk(n)`, `x.narrow(axis, start, length)`: what a tensor shows does not change
PyTorch | Tensor | hardshrink prelu | in `ts.nn.functional`
PyTorch | Tensor | resize resize_as | `x.reshape(shape)`; numbers are neither added nor dropped
PyTorch | Tensor | eq_ ne_ lt_ le_ gt_ ge_ less_ less_equal_ greater_ greater_equal_ not_equal_ | `x = (x == y).astype(x.dtype)`, and so on
PyTorch | Tensor | frexp histogram geqrf orgqr ormqr eig symeig stft istft nonzero_static q_scale q_zero_point int_repr dequantize | not here
PyTorch | Tensor | sparse_dim dense_dim is_coalesced crow_indices col_indices to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc to_mkldnn | not here: tensors are dense
PyTorch | Tensor | retains_grad register_post_accumulate_grad_hook | `x.retain_grad()`, `x.register_hook(function)`
PyTorch | Tensor | detach_ | `x = x.detach()`
PyTorch | Tensor | index_put index_put_ put put_ masked_scatter masked_scatter_ | `x[index] = values`
PyTorch | Tensor | fill_diagonal_ diagonal_scatter select_scatter slice_scatter | `x[index] = values`, with `i = ts.arange(n)` and `x[i, i]` for the diagonal
PyTorch | Tensor | scatter_reduce scatter_reduce_ index_reduce_ | `x.scatter_add(axis, index, src)` for sums
PyTorch | Tensor | unfold as_strided | `ts.sliding_window(x, sizes, steps)`
PyTorch | Tensor | kthvalue | `x.sort(axis)[..., k - 1]`
PyTorch | Tensor | mode | `ts.unique_counts(x)`, and the value with the largest count
PyTorch | Tensor | cummax cummin | `ts.cumulative_max(x)`, `ts.cumulative_min(x)`, which give the values alone
PyTorch | Tensor | logcumsumexp renorm igamma polygamma i0 | not here
PyTorch | Tensor | unique unique_consecutive | `ts.unique_values(x)`, `ts.unique_counts(x)`, `ts.unique_inverse(x)`
PyTorch | Tensor | bernoulli bernoulli_ | `ts.rand_like(x) < x`
PyTorch | Tensor | random_ exponential_ cauchy_ geometric_ log_normal_ | `x.copy_(ts.random.exponential(key, x.shape))`, and so on
PyTorch | Tensor | apply_ map_ | `ts.map(function)(x)`
PyTorch | Tensor | equal | `bool((x == y).all())`; `ts.equal(x, y)` compares each element
PyTorch | Tensor | H mH adjoint | `x.mT.conj()`
PyTorch | Tensor | inverse det svd qr cholesky pinverse slogdet logdet matrix_power matrix_exp lu triangular_solve | not here yet; NumPy takes tensors: `ts.asarray(np.linalg.inv(x))`, without gradients
PyTorch | Tensor | sgn | `x.sign()`
PyTorch | Tensor | to_sparse to_dense coalesce sparse_mask | not here: tensors are dense
PyTorch | Tensor | new | `x.new_tensor(data)`, `x.new_zeros(shape)`
PyTorch | Tensor | is_inference | not here
PyTorch | Tensor | sum_to_size | `x.sum(axis)` over the axes that were repeated
PyTorch | Tensor | vsplit hsplit dsplit | `x.tensor_split(n, axis)`
PyTorch | Tensor | eq_ ne_ lt_ le_ gt_ ge_ | the dtype of a tensor stays: write `y = x == other`, and so on
PyTorch | Tensor | addbmm sspaddmm | `x + (batch1 @ batch2).sum(0)`
PyTorch | Tensor | volatile | `with ts.no_grad():`
JAX | Tensor | at | `x[index] = value`, which lets the handle stand for the result; `ts.scatter`, `ts.index_add`
JAX | Tensor | block_until_ready | not needed: what reads a number waits for it
JAX | Tensor | aval weak_type sharding addressable_data devices | not here
JAX | Tensor | on_device_size_in_bytes | `x.nbytes`
NumPy | Tensor | fill | `x.fill_(value)`
NumPy | Tensor | flat nditer | `x.ravel()`
NumPy | Tensor | tobytes tofile dump dumps tostring flags ctypes base byteswap newbyteorder setflags getfield setfield | those of `x.numpy()`
NumPy | Tensor | partition argpartition | `x.sort()`, `x.argsort()`, `x.topk(k)`
NumPy | Tensor | choose compress | `x[mask]`, `x.take(places, axis)`
NumPy | Tensor | ptp | `x.max() - x.min()`
NumPy | Tensor | resize | `x.reshape(shape)`

PyTorch | nn | parameter | `ts.nn.Parameter`
PyTorch | nn | modules | the classes are in `ts.nn` itself
PyTorch | nn | utils | not here yet; `ts.nn.functional_call` and `module.parameters()` are
PyTorch | nn | parallel DataParallel | not here: a program uses all cores by itself
PyTorch | nn | ModuleDict ParameterList ParameterDict | not here yet; `ts.nn.ModuleList` is, and attributes of a Module may be modules and parameters
PyTorch | nn | GRU RNN RNNCell LSTMCell GRUCell | not here yet; `ts.nn.LSTM` is, and `ts.scan` makes loops
PyTorch | nn | MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder TransformerDecoderLayer | not here yet; `ts.nn.functional.scaled_dot_product_attention` is
PyTorch | nn | GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d RMSNorm BatchNorm3d SyncBatchNorm LocalResponseNorm | not here yet; `ts.nn.LayerNorm`, `BatchNorm1d` and `BatchNorm2d` are
PyTorch | nn | ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv2d LazyLinear | not here yet; `ts.nn.Conv2d` and `ts.nn.Linear` are
PyTorch | nn | MaxPool3d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d LPPool2d FractionalMaxPool2d | not here yet; `ts.nn.MaxPool2d`, `AvgPool2d` are, and `x.mean((2, 3))` pools all
PyTorch | nn | Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout | not here yet; `ts.nn.Dropout` is
PyTorch | nn | ReLU6 SELU CELU PReLU RReLU Hardswish Hardsigmoid Hardshrink Softshrink Tanhshrink Threshold GLU Softmin Softmax2d | not here as a module yet; write one that calls `ts.nn.functional`, or `ts.map(fn)` of a scalar function
PyTorch | nn | EmbeddingBag Bilinear CosineSimilarity PairwiseDistance | not here yet; `ts.nn.Embedding`, `ts.nn.Linear` are
PyTorch | nn | Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle PixelUnshuffle Fold Unfold ChannelShuffle Unflatten | not here yet; `ts.sliding_window`, `ts.repeat` and `ts.reshape` make them
PyTorch | nn | ZeroPad1d ZeroPad2d ConstantPad1d ConstantPad2d ReflectionPad2d ReplicationPad2d CircularPad2d | `ts.pad(x, widths, value)` in `forward`
PyTorch | nn | KLDivLoss CTCLoss HingeEmbeddingLoss CosineEmbeddingLoss TripletMarginLoss MarginRankingLoss MultiMarginLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss SoftMarginLoss PoissonNLLLoss GaussianNLLLoss | not here yet; write it with tensors: gradients follow
PyTorch | nn | Buffer UninitializedParameter | `module.register_buffer(name, tensor)`
PyTorch | nn | attention | `ts.nn.functional.scaled_dot_product_attention`
JAX | nn | relu relu6 gelu silu swish softmax log_softmax one_hot sigmoid softplus elu leaky_relu | in `ts.nn.functional`
JAX | nn | initializers | `ts.nn.init`
JAX | nn | Dense Conv | `ts.nn.Linear`, `ts.nn.Conv2d`

PyTorch | F | pad | `ts.pad(x, widths, value)`, with a (before, after) pair for every axis, from the first
PyTorch | F | interpolate upsample grid_sample affine_grid pixel_shuffle pixel_unshuffle fold unfold | not here yet; `ts.sliding_window`, `ts.repeat` and `ts.reshape` make them
PyTorch | F | adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d max_pool3d avg_pool3d lp_pool2d max_unpool2d | not here yet; `x.mean((2, 3))` pools all, `avg_pool2d` and `max_pool2d` are here
PyTorch | F | group_norm instance_norm rms_norm local_response_norm | not here yet; `layer_norm` and `batch_norm` are
PyTorch | F | conv_transpose1d conv_transpose2d conv_transpose3d | not here yet; `conv1d`, `conv2d` and `conv3d` are
PyTorch | F | dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout | not here yet; `dropout` is
PyTorch | F | embedding_bag bilinear gumbel_softmax multi_head_attention_forward | not here yet; `embedding`, `linear`, `softmax`, `scaled_dot_product_attention` are
PyTorch | F | ctc_loss hinge_embedding_loss cosine_embedding_loss triplet_margin_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss soft_margin_loss poisson_nll_loss gaussian_nll_loss | not here yet; write it with tensors: gradients follow
PyTorch | F | relu_ elu_ leaky_relu_ celu_ selu_ rrelu_ threshold_ hardtanh_ | `x = F.relu(x)`, and so on
PyTorch | F | rrelu | `ts.where(x > 0, x, weight * x)`
PyTorch | F | cdist pdist | `ts.cdist(x, y)`
JAX | F | swish hard_swish hard_tanh | `silu`, `hardswish`, `hardtanh`
JAX | F | standardize | `layer_norm(x, x.shape[-1:])`
JAX | F | dot_product_attention | `scaled_dot_product_attention`

PyTorch | optim | RMSprop Rprop Adagrad Adadelta Adamax NAdam RAdam ASGD LBFGS SparseAdam Adafactor Muon | not here yet; `ts.optim.SGD`, `Adam` and `AdamW` are, and `ts.optim.Optimizer` is the class to derive one from
PyTorch | optim | lr_scheduler swa_utils | not here yet; set the rate before a step: `optimiser.param_groups[0]["lr"] = rate`, which compiled functions follow
JAX | optim | adamw lamb adagrad | `ts.optim.AdamW`, `ts.optim.Adam`, `ts.optim.SGD`

JAX | random | PRNGKey | `ts.random.key(seed)`
JAX | random | multivariate_normal maxwell pareto t rademacher ball orthogonal weibull_min rayleigh binomial geometric chisquare lognormal wald triangular | not here yet; `ts.random.normal`, `uniform`, `gamma`, ... are
JAX | random | shuffle | `ts.random.permutation(key, x)`
NumPy | random | default_rng RandomState SeedSequence | `ts.random.Generator(seed)`
NumPy | random | seed | `ts.manual_seed(seed)`
NumPy | random | random random_sample sample | `ts.rand(*shape)`
NumPy | random | standard_normal | `ts.randn(*shape)`
NumPy | random | integers | `ts.randint(low, high, shape)`
NumPy | random | standard_exponential standard_gamma standard_cauchy | `ts.random.exponential(key, shape)`, `gamma`, `cauchy`
"""

# function (* for any) | keyword | what to do
KEYWORDS = """
* | out | nothing is written into a tensor that is given; assign the result
* | requires_grad | call requires_grad_() on the result
* | layout | leave it out: tensors are dense
* | memory_format | leave it out: the layout is the system's affair
* | pin_memory | leave it out: it is of no use on the CPU
* | non_blocking | leave it out: it is of no use on the CPU
* | generator | use the methods of a ts.random.Generator, or ts.random with keys
* | inplace | leave it out: memory is reused by itself; assign the result
* | names | leave it out: axes have numbers
* | size_average | write reduction="mean" or reduction="sum"
* | reduce | write reduction="none", "mean" or "sum"
* | initial | combine the result with it: ts.maximum(x.max(), initial), x.sum() + initial
* | where | choose first: ts.where(mask, x, neutral)
* | casting | convert first: x.astype(dtype)
* | subok | leave it out: there is one class of tensors
* | like | leave it out: the functions of ts make tensors
* | order | leave it out: elements are in row-major order
* | precision | leave it out: products are in the operands' dtype, half precision accumulated in float32
* | preferred_element_type | convert the operands first: x.astype(dtype)
* | unbiased | write correction=1 for unbiased=True, correction=0 for False
* | _stacklevel | leave it out
* | dtype | convert first: x.astype(dtype)
add | alpha | write x + alpha * y
sub | alpha | write x - alpha * y
subtract | alpha | write x - alpha * y
nonzero | as_tuple | it is always a tuple, one tensor for each axis; ts.argwhere gives rows of places
divide | rounding_mode | use ts.div(x, y, rounding_mode=...), or ts.floor_divide
true_divide | rounding_mode | use ts.div(x, y, rounding_mode=...), or ts.floor_divide
searchsorted | right | write side="right"
unique_values | return_counts | use ts.unique_counts or ts.unique_all
unique_values | return_inverse | use ts.unique_inverse or ts.unique_all
sort | kind | leave it out: sorting is stable
argsort | kind | leave it out: sorting is stable
scatter | reduce | use ts.scatter_add for sums
quantile | method | write interpolation=...
take | mode | leave it out: places must lie within the axis
randint | generator | use the method integers of a ts.random.Generator
Linear | device | leave it out: the only device is 'cpu'
"""

# function | parameter (* for an argument too many) | what may have been meant
ARGUMENTS = """
max | axis | the larger of two tensors is ts.maximum(x, y)
min | axis | the smaller of two tensors is ts.minimum(x, y)
where | x1 | with a condition alone, as in PyTorch and NumPy, it is ts.nonzero(condition)
where | x2 | with a condition alone, as in PyTorch and NumPy, it is ts.nonzero(condition)
std | * | PyTorch's second one is `unbiased`: write correction=1 for True, correction=0 for False
var | * | PyTorch's second one is `unbiased`: write correction=1 for True, correction=0 for False
std | axis | PyTorch's `unbiased` is correction=1 for True, correction=0 for False
var | axis | PyTorch's `unbiased` is correction=1 for True, correction=0 for False
tile | * | give the counts as a tuple
"""

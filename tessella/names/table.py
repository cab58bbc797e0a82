"""The table of foreign names: what PyTorch, JAX and NumPy call something, and what to write here.

One row a line: whose name it is, where it would be looked for, the name, and what it is here. A name with a `*` stands for
all that the library has of this kind; of several names and as many spellings each stands for its own. Names that mean the same here are not in it: they work. docs/names.md shows it.
"""

from __future__ import annotations

# The namespaces, as rows call them, by their way from the package.
NAMESPACES = {
    "ts": "",
    "Tensor": "Tensor",
    "nn": "nn",
    "F": "nn.functional",
    "optim": "optim",
    "random": "random",
    "init": "nn.init",
    "utils": "nn.utils",
    "io": "io",
    "data": "data",
    "train": "train",
    "debug": "debug",
    "scalar": "scalar",
    "minitorch": "minitorch",
    "Module": "nn.Module",
    "Optimizer": "optim.Optimizer",
}

# library | namespace | names | what it is here
ROWS = """
PyTorch | ts | Size | a tuple: shapes are plain tuples
PyTorch | ts | Generator | `ts.random.Generator(seed)`
PyTorch | ts | FloatTensor DoubleTensor LongTensor IntTensor BoolTensor ByteTensor CharTensor ShortTensor HalfTensor BFloat16Tensor | `ts.asarray(data, dtype=ts.float32)`, and so on
PyTorch | ts | autograd | `ts.grad`, `ts.gradients`, `ts.vjp`, `ts.custom_vjp`
PyTorch | ts | cuda mps xpu | not here: there is no GPU yet; leave it out
PyTorch | ts | bartlett_window blackman_window hamming_window hann_window kaiser_window | not here; make it with NumPy: `ts.asarray(np.hanning(n))`
PyTorch | ts | batch_norm | `ts.nn.functional.batch_norm`
PyTorch | ts | bernoulli | `ts.random.bernoulli(key, p)`, or `ts.rand_like(p) < p`
PyTorch | ts | bilinear | `ts.nn.functional.bilinear`
PyTorch | ts | block_diag | not here; put the blocks into `ts.zeros(...)` by `x[a:b, c:d] = block`
JAX | ts | broadcast_in_dim | `ts.broadcast_to`
PyTorch | ts | bucketize | `ts.searchsorted(boundaries, x)`
PyTorch | ts | cartesian_prod combinations | not here; `ts.meshgrid` gives the coordinates
PyTorch | ts | chain_matmul | `ts.einsum`, which finds a good order, or `x @ y @ z`
PyTorch | ts | channels_last contiguous_format preserve_format strided memory_format | not here: the layout is the system's affair; leave it out
PyTorch | ts | cholesky cholesky_inverse cholesky_solve det inverse lstsq lu matrix_exp matrix_power pinverse qr slogdet solve svd eig eigh eigvals eigvalsh svdvals inv pinv matrix_rank solve_triangular lu_solve lu_unpack lobpcg svd_lowrank pca_lowrank cholesky_ex inv_ex solve_ex householder_product tensorinv tensorsolve ldl_* lu_factor* | not here yet; NumPy takes tensors: `ts.asarray(np.linalg.inv(x))`, without gradients
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
PyTorch | ts | get_rng_state set_rng_state initial_seed default_generator fork_rng | `ts.random.default.state`, which can be read and assigned
PyTorch | ts | i0 polygamma mvlgamma special igamma igammac | not here; `ts.digamma`, `ts.lgamma`, `ts.erf` are, and `ts.map(fn)` makes others
PyTorch | ts | amp | `ts.autocast(ts.bfloat16)`, `ts.GradScaler`
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
PyTorch | ts | pdist | `ts.nn.functional.pdist`
PyTorch | ts | poisson | `ts.random.poisson(key, rate)`
PyTorch | ts | promote_types | `ts.result_type(a, b)`
PyTorch | ts | put scatter_reduce index_reduce | `ts.scatter`, `ts.scatter_add`, `ts.index_add`; or `x[index] = values`
PyTorch | ts | renorm | `x * (limit / ts.norm(x, axis=..., keepdims=True)).clip(max=1)`
PyTorch | ts | seed | `ts.manual_seed(seed)`
PyTorch | ts | set_default_tensor_type | `ts.set_default_dtype(ts.float64)`
PyTorch | ts | set_printoptions | `np.set_printoptions`, which printing follows
PyTorch | ts | sgn | `ts.sign`
PyTorch | ts | std_mean var_mean | `ts.std(x, correction=1), ts.mean(x)`
PyTorch | ts | trapezoid trapz cumulative_trapezoid | `((y[1:] + y[:-1]) / 2 * ts.diff(x)).sum()`
PyTorch | ts | unique unique_consecutive | `ts.unique_values`, `ts.unique_counts`, `ts.unique_inverse`, `ts.unique_all`
PyTorch | ts | use_deterministic_algorithms are_deterministic_algorithms_enabled | not needed: the same operations give the same numbers at every run, as `ts.use_deterministic()` says
PyTorch | ts | vander | `x[:, None] ** ts.arange(n)`
PyTorch | ts | isposinf isneginf | `x == ts.inf`, `x == -ts.inf`
PyTorch | ts | cfloat cdouble | `ts.complex64`, `ts.complex128`
PyTorch | ts | chalf | not here; the complex dtypes are `ts.complex64` and `ts.complex128`
PyTorch | ts | linalg | not here yet as a module; `ts.norm`, `ts.cross`, `ts.matmul`, `ts.outer`, `ts.diagonal`, `ts.trace` are in `ts`. For others NumPy takes tensors: `ts.asarray(np.linalg.inv(x))`, without gradients
PyTorch | ts | matrix_norm vector_norm frobenius_norm nuclear_norm norm_except_dim | `ts.norm(x, p, axis=...)`
PyTorch | ts | multi_dot | `ts.einsum`, which finds a good order, or `x @ y @ z`
PyTorch | ts | scalar_tensor | `ts.asarray(number)`
PyTorch | ts | range | `ts.arange(start, stop)`, without its end
PyTorch | ts | rsub | `y - x`
PyTorch | ts | to_dlpack | `x.__dlpack__()`, which `from_dlpack` of others calls by itself
PyTorch | ts | set_float32_matmul_precision get_float32_matmul_precision | not needed: leave it out; products of float32 are in float32
PyTorch | ts | set_num_interop_threads get_num_interop_threads init_num_threads | `ts.set_num_threads(number)`
PyTorch | ts | set_flush_denormal set_warn_always is_warn_always_enabled *deterministic_debug_mode is_deterministic_algorithms_warn_only_enabled | not needed: leave it out
PyTorch | ts | is_inference_mode_enabled | `not ts.autodiff.is_enabled()`
PyTorch | ts | *_anomaly_enabled is_anomaly_check_nan_enabled | `ts.debug.check_nan`, as a `with` block
PyTorch | ts | *autocast* | `ts.autocast(dtype)` as a `with` block says which dtype; `ts.is_autocast_enabled()` whether there is one
PyTorch | ts | OutOfMemoryError AcceleratorError Stream Event StreamObjType DeviceObjType accelerator get_device_module | not here: there is no GPU yet; leave it out
PyTorch | ts | typename | `type(x).__name__`
PyTorch | ts | version torch_version | `ts.__version__`
PyTorch | ts | constant_pad_nd | `ts.pad(x, widths, value)`
PyTorch | ts | convolution conv_tbc *_convolution *_convolution_* | `ts.nn.functional.conv2d`, and likewise for one axis and three
PyTorch | ts | lstm lstm_cell | `ts.nn.LSTM`, `ts.nn.LSTMCell`
PyTorch | ts | gru gru_cell | `ts.nn.GRU`, `ts.nn.GRUCell`
PyTorch | ts | rnn_tanh rnn_tanh_cell rnn_relu rnn_relu_cell | `ts.nn.RNN`, `ts.nn.RNNCell`
PyTorch | ts | view_as_real_copy view_as_complex_copy | `real + 1j * imag`; `ts.real`, `ts.imag`
PyTorch | ts | *_copy | the same without `_copy`: no view can be written through here
PyTorch | ts | sparse_* *sparse_ masked nested jagged hspmm hsmm spmm smm saddmm dsmm | not here: tensors are dense
PyTorch | ts | quantize* per_channel* per_tensor* q_* qint* quint* qscheme QInt* QUInt* fake_quantize* choose_qparams_optimized empty_quantized fbgemm_* ao | not here: nothing is quantised yet
PyTorch | ts | float4_e2m1fn_x2 | `ts.float4_e2m1fn`, and `ts.pack(x)` for two to a byte
PyTorch | ts | bits* uint1 uint3 uint5 uint6 uint7 int1 int3 int5 int6 int7 bit complex32 | not here; the dtypes are `ts.bool`, `ts.int8` to `ts.int64`, `ts.uint8` to `ts.uint64`, `ts.float16`, `ts.bfloat16`, `ts.float32`, `ts.float64`, `ts.complex64`, `ts.complex128`
PyTorch | ts | sym_* Sym* | not needed: sizes are whole numbers, also in functions compiled for any size
PyTorch | ts | Script* *ScriptModule* Graph Node Block CompilationUnit FunctionSchema parse_* import_ir_module* Tag Value Use | `ts.make_graph(function)(example)`; `ts.jit` compiles
PyTorch | ts | *Storage *StorageBase is_storage | not here: memory is the system's affair; `x.numpy()` shows it
PyTorch | ts | grid_sampler* | `ts.nn.functional.grid_sample`
PyTorch | ts | affine_grid_generator | `ts.nn.functional.affine_grid`
PyTorch | ts | max_pool1d_with_indices | `ts.nn.functional.max_pool1d`, with return_indices=True
PyTorch | ts | alpha_dropout_ dropout_ feature_dropout feature_dropout_ feature_alpha_dropout_ native_dropout | `ts.nn.functional.dropout`
PyTorch | ts | native_batch_norm batch_norm_* *_batch_norm | `ts.nn.functional.batch_norm`
PyTorch | ts | native_layer_norm | `ts.nn.functional.layer_norm`
PyTorch | ts | cudnn_* miopen_* mkldnn_* native_* has_* is_vulkan_available | PyTorch's own affair, and not here; the functions are in `ts` and `ts.nn.functional`
PyTorch | ts | binomial | not here yet; `ts.random.bernoulli(key, p, (n, *shape)).sum(0)` counts
PyTorch | ts | airy_ai bessel_* modified_bessel_* scaled_modified_bessel_* spherical_bessel_* *_polynomial_* i0e i1 i1e zeta ndtri log_ndtr entr gammainc gammaincc multigammaln erfcx | not here; `ts.digamma`, `ts.lgamma`, `ts.erf`, `ts.erfinv` are, and `ts.map(fn)` makes others
PyTorch | ts | ndtr | `(1 + ts.erf(x / 2**0.5)) / 2`
PyTorch | ts | expit | `ts.sigmoid`
PyTorch | ts | gammaln | `ts.lgamma`
PyTorch | ts | psi | `ts.digamma`
PyTorch | ts | xlog1py | `ts.xlogy(x, 1 + y)`
PyTorch | ts | *fft *fft2 *fftn *fftfreq *fftshift | not here yet; NumPy takes tensors: `ts.asarray(np.fft.rfft(x))`, without gradients
PyTorch | ts | histogramdd | not here; `ts.histc(x, bins, min, max)` counts one axis
PyTorch | ts | segment_reduce | `ts.index_add(zeros, 0, segments, x)`
JAX | ts | numpy | `ts` itself: its functions have the names of `jax.numpy`
JAX | ts | lax | `ts.scan`, `ts.cond`, `ts.while_loop`, `ts.fori_loop`, `ts.switch`, `ts.associative_scan`
JAX | ts | tree tree_util tree_structure | `ts.tree_map`, `ts.tree_flatten`, `ts.tree_unflatten`, `ts.tree_leaves`
JAX | ts | make_jaxpr eval_shape xla_computation | `ts.make_graph(function)(example)`
JAX | ts | device_get | `x.numpy()`
JAX | ts | device_put | `x.to_device(device)`
JAX | ts | pmap shard_map sharding local_devices device_count | not here: there is no GPU yet; leave it out
JAX | ts | remat | `ts.checkpoint`
JAX | ts | named_call named_scope | not needed: graphs name the user's own lines
JAX | ts | disable_jit | not needed: call the function itself, without `ts.jit`, or set TESSELLA_JIT=0
JAX | ts | pure_callback experimental | `ts.debug.print` or `ts.debug.breakpoint`
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
NumPy | ts | argpartition partition | `ts.argsort(x)`, `ts.sort(x)`
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
JAX | ts | Array | `ts.Tensor`
JAX | ts | ShapeDtypeStruct | a tensor of that shape: `ts.make_graph(function)(example)`
JAX | ts | jacobian | `ts.jacrev`
JAX | ts | typeof | `x.shape`, `x.dtype`
JAX | ts | scipy | `ts` itself: `ts.logsumexp`, `ts.erf`, `ts.lgamma`, `ts.digamma`, ...
JAX | ts | debug_nans | `ts.debug.check_nan`, as a `with` block
JAX | ts | log_compiles explain_cache_misses | `print(compiled.explain())`, which says why a function was compiled again
JAX | ts | enable_x64 numpy_dtype_promotion default_matmul_precision | `ts.set_default_dtype(ts.float64)`
JAX | ts | default_device | `with ts.device(name):`
JAX | ts | NamedSharding P Shard make_mesh set_mesh smap reshard ds make_array_from_* process_* host_* local_device_count default_backend Device live_arrays copy_to_host_async transfer_guard* memory shard_alike with_sharding_constraint axis_size all_to_all ppermute pshuffle pswapaxes psum_scatter pbroadcast pcast precv psend ragged_all_to_all | not here: there is no GPU yet; leave it out
JAX | ts | clear_caches | not needed: what is compiled is dropped with its function
JAX | ts | closure_convert custom_derivatives | `ts.custom_vjp` or `ts.custom_jvp`
JAX | ts | custom_batching | `ts.vmap` follows the function's own operations
JAX | ts | check_tracer_leaks checking_leaks ensure_compile_time_eval | not needed; a tensor that outlives its trace says so
JAX | ts | softmax_custom_jvp | `ts.softmax`
JAX | ts | Ref ref new_ref empty_ref free_ref freeze | a tensor: `x.assign(value)` and `x[index] = value` are followed by compiled functions
JAX | ts | *_p | a primitive of JAX's own; ours are the classes in `tessella.primitives`
JAX | ts | after_all create_token optimization_barrier dce_sink | not needed: what is written happens in its order
JAX | ts | conv conv_general_dilated conv_general_dilated_local conv_with_general_padding | `ts.nn.functional.conv2d`, and likewise for one axis and three
JAX | ts | conv_transpose | `ts.nn.functional.conv_transpose2d`, and likewise for one axis and three
JAX | ts | conv_general_dilated_patches reduce_window* | `ts.sliding_window(x, sizes, steps)`, then a sum or a maximum
JAX | ts | batch_matmul | `ts.matmul`
JAX | ts | dot_general ragged_dot ragged_dot_general scaled_dot | `ts.einsum`
JAX | ts | Precision PrecisionLike DotAlgorithm DotAlgorithmPreset AccuracyMode | not here: leave it out; products are in the operands' dtype, half precision accumulated in float32
JAX | ts | broadcast broadcast_like broadcast_to_rank | `ts.broadcast_to`
JAX | ts | broadcasted_iota iota | `ts.arange(n)`, with `ts.broadcast_to`
JAX | ts | collapse | `ts.flatten(x, start, end)`
JAX | ts | convert_element_type | `x.astype(dtype)`
JAX | ts | bitcast_convert_type | not here; NumPy takes tensors: `ts.asarray(x.numpy().view(dtype))`
JAX | ts | cumlogsumexp | not here; `ts.logsumexp` reduces
JAX | ts | custom_linear_solve custom_root | not here yet; `ts.custom_vjp` gives a rule of its own
JAX | ts | dynamic_slice_in_dim dynamic_index_in_dim | `x[:, start:start + n]`, which a traced start may have, or `ts.dynamic_slice`, which moves it so that it fits
JAX | ts | dynamic_update_slice_in_dim dynamic_update_index_in_dim | `x[:, start:start + n] = values`, which a traced start may have, or `ts.dynamic_update_slice`
JAX | ts | slice slice_in_dim index_in_dim | `x[start:stop:step]`
JAX | ts | index_take | `ts.take`
JAX | ts | erf_inv | `ts.erfinv`
JAX | ts | integer_pow | `x ** n`
JAX | ts | is_finite | `ts.isfinite`
JAX | ts | logistic | `ts.sigmoid`
JAX | ts | reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or | `ts.sum`, `ts.max`, `ts.min`, `ts.prod`, `ts.all`, `ts.any`
JAX | ts | reduce_xor reduce_precision | not here; `ts.reduce(function, start)` makes others
JAX | ts | rem | `ts.fmod`
JAX | ts | rev | `ts.flip`
JAX | ts | select_n | `ts.where(condition, x, y)`
JAX | ts | scatter_max scatter_min scatter_mul scatter_sub scatter_apply | not here; `ts.scatter_add(x, axis, index, values)` is, and `x[index] = values`
JAX | ts | shift_left shift_right_arithmetic shift_right_logical | `ts.bitwise_left_shift`, `ts.bitwise_right_shift`
JAX | ts | sort_key_val | `keys.argsort()`, and `ts.take` of the values
JAX | ts | stop_gradient_p | `ts.stop_gradient`
JAX | ts | rng_uniform rng_bit_generator | `ts.random.uniform(key, shape)`, `ts.random.bits(key, shape)`
JAX | ts | approx_max_k approx_min_k | `ts.top_k`, which is exact
JAX | ts | population_count clz mulhi bitwise_count | not here; `ts.map(fn)` makes others
JAX | ts | beta* boxcox* comb exp1 expi expn factorial fresnel gamma gammasgn hyp* owens_t poch rel_entr sici spence sph_harm_y wofz dawsn kl_div loggamma igamma_grad_a random_gamma_grad bessel_jn bernoulli | not here; `ts.lgamma`, `ts.digamma`, `ts.erf` are, and `ts.map(fn)` makes others
NumPy | ts | True_ False_ | `True`, `False`
NumPy | ts | divmod | `ts.floor_divide(x, y), ts.remainder(x, y)`
NumPy | ts | modf | `ts.frac(x), ts.trunc(x)`
NumPy | ts | block bmat r_ c_ | `ts.concat` and `ts.stack` of the parts
NumPy | ts | apply_over_axes | `x.sum(axis=(0, 1))`: reductions take several axes
NumPy | ts | flatnonzero | `ts.nonzero(x.ravel())[0]`
NumPy | ts | extract | `x[mask]`
NumPy | ts | place putmask copyto | `x[mask] = value`
NumPy | ts | fill_diagonal diag_indices diag_indices_from | `x[i, i] = value`, with `i = ts.arange(n)`
NumPy | ts | tril_indices_from triu_indices_from | `ts.tril_indices(rows, columns)`, `ts.triu_indices(rows, columns)`
NumPy | ts | mask_indices | `ts.nonzero(mask)`
NumPy | ts | fromfunction | `function(*ts.meshgrid(ts.arange(n), ts.arange(m), indexing="ij"))`
NumPy | ts | fromiter fromfile fromstring fromregex | NumPy's, and `ts.asarray` of its array
NumPy | ts | frompyfunc ufunc | `ts.map(function)`, of a function of numbers
NumPy | ts | geomspace | `ts.exp(ts.linspace(math.log(start), math.log(stop), n))`
NumPy | ts | mgrid ogrid ix_ | `ts.meshgrid(..., indexing="ij")`
NumPy | ts | s_ index_exp | Python's `slice(start, stop, step)`
NumPy | ts | nanargmax nanargmin | `ts.where(ts.isnan(x), -ts.inf, x).argmax()`, and likewise for the minimum
NumPy | ts | nancumsum nanprod nancumprod | `ts.where(ts.isnan(x), 0.0, x).cumsum(0)`, and 1.0 for products
NumPy | ts | iscomplex iscomplexobj isrealobj | `ts.is_complex(x)`, which asks the dtype; `x.imag != 0` asks the elements
NumPy | ts | isscalar | `isinstance(x, (int, float, complex))`
NumPy | ts | issubdtype common_type min_scalar_type | `ts.isdtype(dtype, "real floating")`, `ts.result_type(x, y)`
NumPy | ts | integer signedinteger unsignedinteger floating inexact complexfloating number generic flexible character object_ str_ bytes_ void | not here: tensors hold numbers, and `ts.isdtype(dtype, "integral")` asks for kinds
NumPy | ts | intc intp uint uintc uintp ushort ubyte ulong longlong ulonglong single csingle longdouble clongdouble complex256 float128 complex_ | the dtypes are `ts.int8` to `ts.int64`, `ts.uint8` to `ts.uint64`, `ts.float32`, `ts.float64`, `ts.complex64`, `ts.complex128`
NumPy | ts | lexsort | `ts.argsort` with `stable=True`, from the last key to the first
NumPy | ts | sort_complex | `ts.sort`
NumPy | ts | ediff1d | `ts.diff`
NumPy | ts | einsum_path | `ts.einsum`, which finds a good order
NumPy | ts | matvec vecmat | `ts.matmul`
NumPy | ts | rollaxis | `ts.moveaxis`
NumPy | ts | spacing | `ts.nextafter(x, ts.inf) - x`
NumPy | ts | trim_zeros unwrap packbits unpackbits roots poly* iterable | not here; NumPy takes tensors
NumPy | ts | histogram2d histogram_bin_edges | not here; `ts.histc(x, bins, min, max)` counts one axis
NumPy | ts | bartlett blackman hamming hanning kaiser | not here; make it with NumPy: `ts.asarray(np.hanning(n))`
NumPy | ts | euler_gamma | `0.5772156649015329`
NumPy | ts | array_repr array_str | `repr(x)`, `str(x)`
NumPy | ts | array2string format_float_* base_repr binary_repr | `repr(x)`; other texts are NumPy's, which takes tensors
NumPy | ts | get_printoptions printoptions | `np.set_printoptions`, which printing follows
NumPy | ts | errstate seterr geterr seterrcall geterrcall | not needed: nothing warns of infinities; `ts.debug.check_nan` looks for NaN
NumPy | ts | shares_memory may_share_memory isfortran asfortranarray | not here: memory is the system's affair
NumPy | ts | asarray_chkfinite asmatrix matrix require | `ts.asarray`
NumPy | ts | datetime* timedelta64 busday* is_busday isnat rec recarray record strings ma | not here: tensors hold numbers
NumPy | ts | savez_compressed | `ts.io.save_file(tensors, path)`
NumPy | ts | memmap | NumPy's, and `ts.asarray` of it
NumPy | ts | ndenumerate ndindex nested_iters flatiter | Python's loops over `x.tolist()`, or `ts.vmap(function)`
NumPy | ts | real_if_close | `ts.real`
NumPy | ts | show_config show_runtime info | `ts.backend`, and `python -m tessella`
NumPy | ts | LinAlgError | not here yet

PyTorch | Tensor | values indices | not here: `x.max(axis)`, `x.sort()` and their kin give the values themselves; the places are `x.argmax(axis)`, `x.argsort()`; `x.topk(k)` gives both
PyTorch | Tensor | grad_fn | not here: `x.requires_grad` and `x.is_leaf` say whether there is a history
PyTorch | Tensor | is_cuda is_mps is_sparse is_quantized layout names | not here: tensors are dense, and on the 'cpu'
PyTorch | Tensor | data_ptr storage untyped_storage storage_offset share_memory_ is_shared | not here: memory is the system's affair; `x.numpy()` shows it
PyTorch | Tensor | pin_memory is_pinned record_stream | not needed on the CPU; leave it out
PyTorch | Tensor | t_ transpose_ squeeze_ unsqueeze_ swapaxes_ permute_ resize_ set_ resize_as_ | not here: the shape of a tensor stays; write `x = x.t()`, and so on
PyTorch | Tensor | angle | `ts.atan2(x.imag, x.real)`
PyTorch | Tensor | logaddexp2 | `ts.log2(ts.exp2(x) + ts.exp2(y))`
PyTorch | Tensor | ldexp ldexp_ | `x * 2.0 ** exponent`
PyTorch | Tensor | sgn_ | `x.sign_()`
PyTorch | Tensor | get_device is_cpu | `x.device`
PyTorch | Tensor | ipu xpu mtia is_meta is_xla is_xpu is_mkldnn is_vulkan | not here: there is no GPU yet
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
PyTorch | Tensor | eq_ ne_ lt_ le_ gt_ ge_ | not here: the dtype of a tensor stays; write `y = x == other`, and so on
PyTorch | Tensor | addbmm sspaddmm | `x + (batch1 @ batch2).sum(0)`
PyTorch | Tensor | volatile | `with ts.no_grad():`
JAX | Tensor | at | `x[index] = value`, which lets the handle stand for the result; `ts.scatter`, `ts.index_add`
JAX | Tensor | block_until_ready | not needed: what reads a number waits for it
JAX | Tensor | aval weak_type sharding addressable_data devices | not here
JAX | Tensor | on_device_size_in_bytes | `x.nbytes`
NumPy | Tensor | fill | `x.fill_(value)`
NumPy | Tensor | flat nditer | `x.ravel()`
NumPy | Tensor | tobytes tofile dump dumps tostring flags ctypes base byteswap newbyteorder setflags getfield setfield | those of `x.numpy()`
NumPy | Tensor | partition argpartition | `x.sort()`, `x.argsort()`
NumPy | Tensor | compress choose | `x[mask]`, `x.take(places, axis)`
NumPy | Tensor | ptp | `x.max() - x.min()`
NumPy | Tensor | resize | `x.reshape(shape)`
PyTorch | Tensor | lu_solve svdvals eigh inv pinv matrix_rank | not here yet; NumPy takes tensors: `ts.asarray(np.linalg.inv(x))`, without gradients
PyTorch | Tensor | is_distributed is_ipu is_maia is_mtia is_nested is_sparse_csr qscheme q_per_channel_* storage_type dim_order const_data_ptr | not here: tensors are dense, and on the 'cpu'
PyTorch | Tensor | is_set_to | not here: memory is the system's affair
PyTorch | Tensor | as_strided_ swapdims_ sparse_resize_ sparse_resize_and_clear_ resize_as_sparse_ | not here: the shape of a tensor stays; write `x = x.reshape(shape)`, and so on
PyTorch | Tensor | as_strided_scatter slice_inverse | `x[index] = values`
PyTorch | Tensor | addbmm_ | `x + (batch1 @ batch2).sum(0)`
PyTorch | Tensor | i0_ igamma_ igammac_ mvlgamma_ polygamma_ renorm_ | not here
PyTorch | Tensor | map2_ | `ts.zip(function)(x, y)`
PyTorch | Tensor | smm ccol_indices row_indices to_padded_tensor | not here: tensors are dense
PyTorch | Tensor | new_empty_strided | `x.new_empty(shape)`
PyTorch | Tensor | as_subclass | not here: there is one class of tensors
PyTorch | Tensor | reinforce | not here: write the loss with the logarithm of the probability
PyTorch | Tensor | name output_nr index hash_tensor grad_dtype module_load | PyTorch's own affair, and not here
JAX | Tensor | addressable_shards global_shards is_fully_* committed copy_to_host_async | not here: there is no GPU yet; leave it out

PyTorch | nn | parameter | `ts.nn.Parameter`
PyTorch | nn | modules | `ts.nn` itself, which has the classes
PyTorch | nn | parallel DataParallel | not here: a program uses all cores by itself
PyTorch | nn | SyncBatchNorm | not here: a batch is on one device; `ts.nn.BatchNorm2d` sees all of it
PyTorch | nn | attention | `ts.nn.functional.scaled_dot_product_attention`
JAX | nn | relu relu6 gelu silu swish softmax log_softmax one_hot sigmoid softplus elu leaky_relu | in `ts.nn.functional`
JAX | nn | initializers | `ts.nn.init`
JAX | nn | Dense Conv | `ts.nn.Linear`, `ts.nn.Conv2d`
PyTorch | nn | MaxUnpool* | not here yet; `ts.nn.MaxPool2d`, `AvgPool2d` are, and `x.mean((2, 3))` pools all
PyTorch | nn | CrossMapLRN2d | `ts.nn.LocalResponseNorm`
PyTorch | nn | LinearCrossEntropyOptions | not here: `ts.nn.LinearCrossEntropyLoss` takes none
PyTorch | nn | NLLLoss2d | `ts.nn.NLLLoss`
PyTorch | nn | Container | `ts.nn.Module`
PyTorch | nn | quantized quantizable qat intrinsic | not here: nothing is quantised yet
PyTorch | nn | factory_kwargs common_types | PyTorch's own affair, and not here

PyTorch | F | upsample upsample_bilinear upsample_nearest | `ts.nn.functional.interpolate(x, mode=...)`
PyTorch | F | cdist | `ts.cdist(x, y)`
JAX | F | swish hard_swish hard_tanh | `silu`, `hardswish`, `hardtanh`
JAX | F | standardize | `layer_norm(x, x.shape[-1:])`
JAX | F | dot_product_attention | `scaled_dot_product_attention`
PyTorch | F | *_with_indices | the function without these words, with return_indices=True
PyTorch | F | native_channel_shuffle | `ts.nn.functional.channel_shuffle`
PyTorch | F | conv_tbc | `ts.nn.functional.conv1d`
PyTorch | F | grouped_mm scaled_mm scaled_grouped_mm | `ts.einsum`
PyTorch | F | *torch_function* boolean_dispatch assert_int_or_pair *_notes BroadcastingList* ScalingType SwizzleType GRID_SAMPLE_* | PyTorch's own affair, and not here
PyTorch | F | torch | `ts`
NumPy | F | np | NumPy itself; write `import numpy as np`
JAX | F | hard_sigmoid hard_silu log_sigmoid soft_sign | `hardsigmoid`, `hardswish`, `logsigmoid`, `softsign`
JAX | F | squareplus | `(x + ts.sqrt(x * x + 4)) / 2`
JAX | F | sparse_plus sparse_sigmoid log1mexp logmeanexp | not here; `ts.map(fn)` makes others
JAX | F | scaled_matmul scaled_dot_general get_scaled_dot_general_config | `ts.einsum`

PyTorch | optim | SparseAdam | not here: tensors are dense; `ts.optim.Adam` takes every gradient
PyTorch | optim | swap_in_optimizer_params_and_state | not here: keep `optimiser.state_dict()`, and load it again
Optax | optim | adamw | `ts.optim.AdamW`
Optax | optim | lamb lion adagrad rmsprop adafactor | `ts.optim.LAMB`, `ts.optim.Lion`, `ts.optim.Adagrad`, `ts.optim.RMSprop`, `ts.optim.Adafactor`
PyTorch | optim | *LR LRScheduler LambdaLR ReduceLROnPlateau ChainedScheduler CosineAnnealingWarmRestarts | in `ts.optim.lr_scheduler`

JAX | random | PRNGKey | `ts.random.key(seed)`
JAX | random | multivariate_normal maxwell pareto t rademacher ball orthogonal weibull_min rayleigh binomial geometric chisquare lognormal wald triangular | not here yet; `ts.random.normal`, `uniform`, `gamma`, ... are
JAX | random | shuffle | `ts.random.permutation(key, x)`
NumPy | random | default_rng RandomState SeedSequence | `ts.random.Generator(seed)`
NumPy | random | seed | `ts.manual_seed(seed)`
NumPy | random | random random_sample sample | `ts.rand(*shape)`
NumPy | random | standard_normal | `ts.randn(*shape)`
NumPy | random | integers | `ts.randint(low, high, shape)`
NumPy | random | standard_exponential standard_gamma standard_cauchy | `ts.random.exponential(key, shape)`, `ts.random.gamma(key, a, shape)`, `ts.random.cauchy(key, shape)`
PyTorch | random | get_rng_state set_rng_state initial_seed fork_rng default_generator | `ts.random.default.state`, which can be read and assigned
JAX | random | key_data wrap_key_data key_impl key_dtype clone | not needed: a key is a tensor of two uint32 numbers
JAX | random | double_sided_maxwell f generalized_normal loggamma multinomial | not here yet; `ts.random.normal`, `uniform`, `gamma`, ... are
NumPy | random | hypergeometric logseries negative_binomial noncentral_* power standard_t vonmises weibull zipf random_integers | not here yet; `ts.random.normal`, `uniform`, `gamma`, ... are
NumPy | random | ranf | `ts.rand(*shape)`
NumPy | random | bytes | `ts.random.bits(key, shape)`
NumPy | random | get_state set_state | `ts.random.default.state`, which can be read and assigned
NumPy | random | BitGenerator MT19937 PCG64 PCG64DXSM Philox SFC64 bit_generator get_bit_generator set_bit_generator mtrand | `ts.random.Generator(seed)`, which counts keys of Threefry

PyTorch | init | constant eye normal uniform orthogonal kaiming_normal kaiming_uniform xavier_normal xavier_uniform dirac sparse | the same with an underscore at its end, as `ts.nn.init.normal_(tensor)` has
JAX | init | zeros ones | `ts.nn.init.zeros_(tensor)`, `ts.nn.init.ones_(tensor)`
JAX | init | glorot_normal glorot_uniform | `ts.nn.init.xavier_normal_(tensor)`, `ts.nn.init.xavier_uniform_(tensor)`
JAX | init | he_normal he_uniform | `ts.nn.init.kaiming_normal_(tensor)`, `ts.nn.init.kaiming_uniform_(tensor)`
JAX | init | lecun_normal lecun_uniform | `ts.nn.init.kaiming_normal_(tensor, nonlinearity="linear")`, `ts.nn.init.kaiming_uniform_(tensor, nonlinearity="linear")`
JAX | init | variance_scaling | `ts.nn.init.kaiming_normal_(tensor, mode=..., nonlinearity="linear")`
JAX | init | truncated_normal | `ts.nn.init.trunc_normal_(tensor)`
JAX | init | delta_orthogonal Initializer | not here; a function that fills a tensor initialises it

PyTorch | utils | clip_grad_norm clip_grad | `ts.nn.utils.clip_grad_norm_(parameters, most)`, which gives the norm
PyTorch | utils | prune | not here yet; compute the weight in `forward`
PyTorch | utils | weight_norm spectral_norm | `ts.nn.utils.parametrizations.weight_norm`, `ts.nn.utils.parametrizations.spectral_norm`
PyTorch | utils | remove_weight_norm remove_spectral_norm | `ts.nn.utils.parametrize.remove_parametrizations`
PyTorch | utils | stateless | `ts.nn.functional_call`
PyTorch | utils | skip_init | not here: a module has its parameters from the beginning
PyTorch | utils | convert_conv* memory_format | not needed: the layout and what is computed together are the system's affair

JAX | debug | callback log | `ts.debug.print` or `ts.debug.breakpoint`
JAX | debug | inspect_array_sharding visualize_array_sharding visualize_sharding | not here: there is no GPU yet; leave it out

PyTorch | data | DistributedSampler | not here: there is one process; `ts.data.RandomSampler(dataset, generator=seed)`
PyTorch | data | IterDataPipe MapDataPipe DFIterDataPipe DataChunk functional_datapipe guaranteed_datapipes_determinism non_deterministic argument_validation runtime_validation runtime_validation_disabled | not here: PyTorch has given up data pipes; `ts.data.Dataset`, `ts.data.IterableDataset`
PyTorch | data | ToTensor PILToTensor ConvertImageDtype ToDtype | `ts.data.ToFloat()`: images are arrays already
PyTorch | data | RandomApply RandomChoice RandomRotation RandomAffine GaussianBlur RandomErasing Grayscale Pad | not here yet; `ts.data.Compose` takes any function of a batch
PyTorch | data | MNIST CIFAR10 DatasetFolder | `ts.data.IDXDataset(images, labels)`, `ts.data.NumPyDataset(images, labels)`, `ts.data.ImageFolder(root)`; nothing is downloaded

PyTorch | Module | cuda xpu ipu mtia mps | not here: there is no GPU yet; leave it out
PyTorch | Module | compile | `ts.jit`, around the function that calls the model
PyTorch | Module | share_memory | not here: memory is the system's affair
PyTorch | Module | to_empty | not here: a module has its parameters from the beginning
PyTorch | Module | register_backward_hook | `module.register_full_backward_hook(hook)`
PyTorch | Module | T_destination call_super_init dump_patches | PyTorch's own affair, and not here
Flax | Module | init init_with_output | not needed: a module has its parameters from the beginning; `ts.nn.functional_call(model, parameters, x)` takes others
Keras | Module | fit evaluate | `ts.train.fit(model, data, loss, optimiser, epochs=...)`, `ts.train.evaluate(model, data, loss)`
Keras | Module | predict | `model.eval()`, then `model(x)` on each batch
PyTorch | Optimizer | register_*hook profile_hook_step OptimizerPreHook OptimizerPostHook | not here; call the function before or after `optimiser.step()`
Optax | Optimizer | init update | `optimiser.step()`: an optimiser keeps its state itself
"""

# function (* for any) | keyword | what to do
KEYWORDS = """
* | out | nothing is written into a tensor that is given; assign the result
* | requires_grad | call requires_grad_() on the result
* | layout | leave it out: tensors are dense
* | memory_format | leave it out: the layout is the system's affair
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
* | device | leave it out: inside `with ts.device(name):` tensors are made on another one
* | sharding out_sharding in_shardings out_shardings spmd_axis_name axis_index_groups | leave it out: there is no GPU yet
* | signature extobj | convert first: x.astype(dtype)
* | out_dtype index_dtype | convert afterwards: result.astype(dtype)
* | out_int32 | convert afterwards: result.astype(ts.int32)
* | accuracy | leave it out: functions are exact to two units in the last place
* | overwrite_input | leave it out: nothing that is given is written over
* | indices_are_sorted unique_indices assume_unique sparse_grad wrap_negative_indices | leave it out: it is of no use here
* | non_blocking pin_memory | leave it out: it is of no use on the CPU
* | foreach fused capturable differentiable | leave it out: a compiled step is one program
* | donate_argnums donate_argnames | leave it out: memory is reused by itself
* | inline keep_unused backend compiler_options unroll prevent_cse | leave it out: it is the compiler's affair
* | holomorphic allow_int reduce_axes | leave it out: gradients are of real numbers
* | promote_integers | write dtype=...
* | rowvar | columns as variables are those of x.T
* | loc | add it to the result: loc + scale * draw
* | scale | multiply the result by it: loc + scale * draw
* | force | leave it out: write x.detach().numpy() if there is a history
empty_like zeros_like ones_like full_like | shape | use ts.empty, ts.zeros, ts.ones, ts.full with dtype=x.dtype
backward | inputs | write ts.gradients(loss, inputs), which gives the gradients of these alone
randint | key | use the method integers of a ts.random.Generator
pad | mode | it pads with one value; ts.nn.functional.pad has the modes, and its widths begin with the last axis
checkpoint | use_reentrant preserve_rng_state policy | leave it out: the function is computed again with the same random numbers
swapaxes swapdims transpose | axis1 axis2 axis0 dim0 dim1 | give the two axes by place
split | indices_or_sections ary | ts.split takes sizes, as PyTorch's; NumPy's is ts.tensor_split(x, sections, axis=...)
cov | bias | write correction=0 for bias=True
nan_to_num meshgrid | copy | leave it out: the results are new tensors
std var | mean | leave it out: the mean is computed along
repeat_interleave repeat | output_size total_repeat_length | leave it out: it follows from the repeats
cumprod cumsum cumulative_prod cumulative_sum | reverse | turn it around before and after: ts.flip(ts.flip(x, axis=axis).cumsum(axis), axis=axis)
select | condlist choicelist default | use ts.where, one inside another
select | on_true on_false pred | use ts.where(condition, x, y)
sort | reverse | write descending=True
sort | is_stable | write stable=True
topk top_k | operand | give the tensor by place
trace | axis1 axis2 | use ts.diagonal(x, axis1=..., axis2=...).sum(-1)
add subtract sub | value | write x + alpha * y
nonzero argwhere unique_all unique_counts unique_inverse unique_values where | size fill_value | leave it out; in a compiled function use masks, whose shapes are known
logsumexp | b return_sign | write ts.log((b * ts.exp(x)).sum(axis)), with the largest x taken out
result_type | tensor tensor1 tensor2 other scalar scalar1 scalar2 | give what is combined by place
modules named_modules named_parameters named_buffers | remove_duplicate | leave it out: each is given once
save load save_pytorch load_pytorch | pickle_module pickle_protocol allow_pickle fix_imports weights_only encoding | leave it out: nothing is pickled, and nothing in a file is executed
load | mmap mmap_mode max_header_size | leave it out: files are mapped, and what they say is checked against their size
state_dict | keep_vars destination prefix | leave it out; the tensors are without history, and their names can be changed in the dict
vmap | chunk_size | leave it out, or call it for parts of the batch
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
cat | axis | give the tensors in a list: ts.cat([x, y])
concat | axis | give the tensors in a list: ts.concat([x, y])
concatenate | axis | give the tensors in a list: ts.concatenate([x, y])
stack | axis | give the tensors in a list: ts.stack([x, y])
hstack | * | give the tensors in a list: ts.hstack([x, y])
vstack | * | give the tensors in a list: ts.vstack([x, y])
randint | shape | PyTorch's randint(high, size) is ts.randint(0, high, shape)
randint | low | write 0 for PyTorch's randint(high, size)
randint | dtype | with a key, JAX's randint(key, shape, low, high) is ts.random.choice(key, high - low, shape) + low
"""

"""The public names, and where each stands: what `import tessella` has, and imports when it is asked for."""

import builtins

from tessella import (
    autodiff as autodiff,
    data as data,
    debug as debug,
    dtypes as dtypes,
    errors as errors,
    io as io,
    nn as nn,
    optim as optim,
    random as random,
    scalar as scalar,
    train as train,
)
from tessella.autodiff import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    no_grad as no_grad,
)
from tessella.compiler.eager import (
    backend as backend,
)
from tessella.defaults import (
    get_default_dtype as get_default_dtype,
    get_num_threads as get_num_threads,
    set_default_dtype as set_default_dtype,
    set_num_threads as set_num_threads,
    use_deterministic as use_deterministic,
)
from tessella.dtypes import (
    bfloat16 as bfloat16,
    can_cast as can_cast,
    complex128 as complex128,
    complex64 as complex64,
    DType as DType,
    float16 as float16,
    float32 as float32,
    float4_e2m1fn as float4_e2m1fn,
    float64 as float64,
    float6_e2m3fn as float6_e2m3fn,
    float6_e3m2fn as float6_e3m2fn,
    float8_e3m4 as float8_e3m4,
    float8_e4m3 as float8_e4m3,
    float8_e4m3b11fnuz as float8_e4m3b11fnuz,
    float8_e4m3fn as float8_e4m3fn,
    float8_e4m3fnuz as float8_e4m3fnuz,
    float8_e5m2 as float8_e5m2,
    float8_e5m2fnuz as float8_e5m2fnuz,
    float8_e8m0fnu as float8_e8m0fnu,
    int16 as int16,
    int2 as int2,
    int32 as int32,
    int4 as int4,
    int64 as int64,
    int8 as int8,
    uint16 as uint16,
    uint2 as uint2,
    uint32 as uint32,
    uint4 as uint4,
    uint64 as uint64,
    uint8 as uint8,
)
from tessella.errors import (
    TessellaError as TessellaError,
)
from tessella.io.formats import (
    load as load,
    save as save,
)
from tessella.optim.grad_scaler import (
    GradScaler as GradScaler,
)
from tessella.profiling import (
    profile as profile,
)
from tessella.tensors.autocast import (
    autocast as autocast,
    is_autocast_enabled as is_autocast_enabled,
)
from tessella.tensors.arithmetic import (
    absolute as absolute,
    addcdiv as addcdiv,
    addcmul as addcmul,
    arccos as arccos,
    arccosh as arccosh,
    arcsin as arcsin,
    arcsinh as arcsinh,
    arctan as arctan,
    arctan2 as arctan2,
    arctanh as arctanh,
    bitwise_not as bitwise_not,
    clamp as clamp,
    clamp_max as clamp_max,
    clamp_min as clamp_min,
    deg2rad as deg2rad,
    div as div,
    eq as eq,
    erfinv as erfinv,
    fix as fix,
    float_power as float_power,
    fmax as fmax,
    fmin as fmin,
    frac as frac,
    gcd as gcd,
    ge as ge,
    gt as gt,
    heaviside as heaviside,
    interp as interp,
    isreal as isreal,
    lcm as lcm,
    le as le,
    lerp as lerp,
    log_softmax as log_softmax,
    logit as logit,
    lt as lt,
    mul as mul,
    ne as ne,
    neg as neg,
    rad2deg as rad2deg,
    sinc as sinc,
    softmax as softmax,
    sub as sub,
    true_divide as true_divide,
    xlogy as xlogy,
)
from tessella.random.sampling import (
    manual_seed as manual_seed,
    multinomial as multinomial,
    rand as rand,
    rand_like as rand_like,
    randint as randint,
    randint_like as randint_like,
    randn as randn,
    randn_like as randn_like,
    randperm as randperm,
)
from tessella.tensors.comprehensions import (
    max_over as max_over,
    mean_over as mean_over,
    min_over as min_over,
    prod_over as prod_over,
    sum_over as sum_over,
    table as table,
)
from tessella.tensors.creation import (
    arange as arange,
    asarray as asarray,
    empty as empty,
    empty_like as empty_like,
    eye as eye,
    full as full,
    full_like as full_like,
    linspace as linspace,
    meshgrid as meshgrid,
    ones as ones,
    ones_like as ones_like,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from tessella.tensors.dynamic_slices import (
    dynamic_slice as dynamic_slice,
    dynamic_update_slice as dynamic_update_slice,
)
from tessella.tensors.einsum import (
    einsum as einsum,
)
from tessella.tensors.elementwise import (
    abs as abs,
    acos as acos,
    acosh as acosh,
    add as add,
    allclose as allclose,
    asin as asin,
    asinh as asinh,
    atan as atan,
    atan2 as atan2,
    atanh as atanh,
    bitwise_and as bitwise_and,
    bitwise_invert as bitwise_invert,
    bitwise_left_shift as bitwise_left_shift,
    bitwise_or as bitwise_or,
    bitwise_right_shift as bitwise_right_shift,
    bitwise_xor as bitwise_xor,
    ceil as ceil,
    clip as clip,
    conj as conj,
    copysign as copysign,
    cos as cos,
    cosh as cosh,
    digamma as digamma,
    divide as divide,
    equal as equal,
    erf as erf,
    erfc as erfc,
    exp as exp,
    exp2 as exp2,
    expm1 as expm1,
    floor as floor,
    floor_divide as floor_divide,
    fmod as fmod,
    greater as greater,
    greater_equal as greater_equal,
    hypot as hypot,
    imag as imag,
    isclose as isclose,
    isfinite as isfinite,
    isinf as isinf,
    isnan as isnan,
    less as less,
    less_equal as less_equal,
    lgamma as lgamma,
    log as log,
    log10 as log10,
    log1p as log1p,
    log2 as log2,
    logaddexp as logaddexp,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    map as map,
    maximum as maximum,
    minimum as minimum,
    multiply as multiply,
    nan_to_num as nan_to_num,
    negative as negative,
    nextafter as nextafter,
    not_equal as not_equal,
    positive as positive,
    pow as pow,
    real as real,
    reciprocal as reciprocal,
    relu as relu,
    remainder as remainder,
    round as round,
    rsqrt as rsqrt,
    sigmoid as sigmoid,
    sign as sign,
    signbit as signbit,
    sin as sin,
    sinh as sinh,
    softplus as softplus,
    sqrt as sqrt,
    square as square,
    subtract as subtract,
    tan as tan,
    tanh as tanh,
    trunc as trunc,
    where as where,
    zip_with as zip_with,
)
from tessella.tensors.gradients import (
    gradients as gradients,
)
from tessella.tensors.indexing import (
    nonzero as nonzero,
    repeat as repeat,
    take as take,
    take_along_axis as take_along_axis,
)
from tessella.tensors.inspection import (
    __array_namespace_info__ as __array_namespace_info__,
    astype as astype,
    finfo as finfo,
    iinfo as iinfo,
    isdtype as isdtype,
    result_type as result_type,
)
from tessella.tensors.interchange import (
    from_dlpack as from_dlpack,
)
from tessella.tensors.linear import (
    matmul as matmul,
    matrix_transpose as matrix_transpose,
    outer as outer,
    tensordot as tensordot,
    vecdot as vecdot,
)
from tessella.tensors.making import (
    as_tensor as as_tensor,
    clone as clone,
    detach as detach,
    device as device,
    from_numpy as from_numpy,
    get_default_device as get_default_device,
    is_complex as is_complex,
    is_floating_point as is_floating_point,
    is_tensor as is_tensor,
    logspace as logspace,
    numel as numel,
    set_default_device as set_default_device,
)
from tessella.tensors.manipulation import (
    broadcast_arrays as broadcast_arrays,
    broadcast_shapes as broadcast_shapes,
    broadcast_to as broadcast_to,
    concat as concat,
    expand_dims as expand_dims,
    flatten as flatten,
    flip as flip,
    moveaxis as moveaxis,
    pad as pad,
    permute_dims as permute_dims,
    reshape as reshape,
    roll as roll,
    sliding_window as sliding_window,
    split as split,
    squeeze as squeeze,
    stack as stack,
    swapaxes as swapaxes,
    tile as tile,
    unstack as unstack,
)
from tessella.tensors.matrices import (
    addmm as addmm,
    addmv as addmv,
    addr as addr,
    baddbmm as baddbmm,
    bmm as bmm,
    cdist as cdist,
    cross as cross,
    diag as diag,
    diag_embed as diag_embed,
    diagflat as diagflat,
    diagonal as diagonal,
    dist as dist,
    dot as dot,
    ger as ger,
    inner as inner,
    kron as kron,
    mm as mm,
    mv as mv,
    norm as norm,
    trace as trace,
    tril as tril,
    tril_indices as tril_indices,
    triu as triu,
    triu_indices as triu_indices,
    vdot as vdot,
)
from tessella.tensors.packing import (
    pack as pack,
    unpack as unpack,
)
from tessella.tensors.scattering import (
    argwhere as argwhere,
    bincount as bincount,
    gather as gather,
    histc as histc,
    index_add as index_add,
    index_copy as index_copy,
    index_fill as index_fill,
    index_select as index_select,
    masked_fill as masked_fill,
    masked_select as masked_select,
    scatter as scatter,
    scatter_add as scatter_add,
    take_along_dim as take_along_dim,
)
from tessella.tensors.shapes import (
    atleast_1d as atleast_1d,
    atleast_2d as atleast_2d,
    atleast_3d as atleast_3d,
    broadcast_tensors as broadcast_tensors,
    cat as cat,
    chunk as chunk,
    column_stack as column_stack,
    concatenate as concatenate,
    dstack as dstack,
    expand as expand,
    expand_as as expand_as,
    fliplr as fliplr,
    flipud as flipud,
    hstack as hstack,
    movedim as movedim,
    narrow as narrow,
    permute as permute,
    ravel as ravel,
    repeat_interleave as repeat_interleave,
    rot90 as rot90,
    row_stack as row_stack,
    select as select,
    swapdims as swapdims,
    t as t,
    tensor_split as tensor_split,
    transpose as transpose,
    unbind as unbind,
    unflatten as unflatten,
    unsqueeze as unsqueeze,
    view as view,
    view_as as view_as,
    vstack as vstack,
)
from tessella.tensors.sorting import (
    argsort as argsort,
    isin as isin,
    searchsorted as searchsorted,
    sort as sort,
    top_k as top_k,
    unique_all as unique_all,
    unique_counts as unique_counts,
    unique_inverse as unique_inverse,
    unique_values as unique_values,
)
from tessella.tensors.statistical import (
    all as all,
    any as any,
    argmax as argmax,
    argmin as argmin,
    count_nonzero as count_nonzero,
    cumulative_max as cumulative_max,
    cumulative_min as cumulative_min,
    cumulative_prod as cumulative_prod,
    cumulative_sum as cumulative_sum,
    diff as diff,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    min as min,
    prod as prod,
    reduce as reduce,
    std as std,
    sum as sum,
    var as var,
)
from tessella.tensors.statistics import (
    amax as amax,
    amin as amin,
    aminmax as aminmax,
    corrcoef as corrcoef,
    cov as cov,
    cumprod as cumprod,
    cumsum as cumsum,
    median as median,
    nanmean as nanmean,
    nanmedian as nanmedian,
    nanquantile as nanquantile,
    nansum as nansum,
    quantile as quantile,
    topk as topk,
)
from tessella.tensors.tensor import (
    Tensor as Tensor,
)
from tessella.transforms.batching import (
    all_gather as all_gather,
    axis_index as axis_index,
    pmax as pmax,
    pmean as pmean,
    pmin as pmin,
    psum as psum,
    vmap as vmap,
)
from tessella.transforms.control import (
    associative_scan as associative_scan,
    cond as cond,
    fori_loop as fori_loop,
    scan as scan,
    switch as switch,
    while_loop as while_loop,
)
from tessella.transforms.custom import (
    custom_jvp as custom_jvp,
    custom_vjp as custom_vjp,
    stop_gradient as stop_gradient,
)
from tessella.transforms.forward_mode import (
    jvp as jvp,
    linearize as linearize,
)
from tessella.transforms.graphs import (
    make_graph as make_graph,
)
from tessella.transforms.jacobians import (
    hessian as hessian,
    hvp as hvp,
    jacfwd as jacfwd,
    jacrev as jacrev,
)
from tessella.transforms.jit import (
    jit as jit,
)
from tessella.transforms.rematerialisation import (
    checkpoint as checkpoint,
)
from tessella.transforms.reverse_mode import (
    grad as grad,
    value_and_grad as value_and_grad,
    vjp as vjp,
)
from tessella.transforms.trees import (
    ravel_tree as ravel_tree,
)
from tessella.transforms.tuning import (
    forget_tuning as forget_tuning,
    tune as tune,
)
from tessella.tree_nodes import (
    register_tree as register_tree,
)
from tessella.trees import (
    tree_flatten as tree_flatten,
    tree_leaves as tree_leaves,
    tree_map as tree_map,
    tree_unflatten as tree_unflatten,
)

# other names of the same
bool = dtypes.bool_
double = float64
float = float32
half = float16
int = int32
long = int64
short = int16
zip = zip_with

__version__: builtins.str

e: builtins.float
inf: builtins.float
nan: builtins.float
pi: builtins.float
newaxis: None

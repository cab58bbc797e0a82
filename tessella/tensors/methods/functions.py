"""Which functions are methods, by the rooms the functions are in. This is a table: nothing is computed here.

A row says that the functions of these names in a room are methods of the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessella.tensors.methods.method import Method

if TYPE_CHECKING:
    from tessella.tensors.tensor import Tensor

ELEMENTWISE: Method[Tensor] = Method("elementwise")
ARITHMETIC: Method[Tensor] = Method("arithmetic")
STATISTICAL: Method[Tensor] = Method("statistical")
STATISTICS: Method[Tensor] = Method("statistics")
SORTING: Method[Tensor] = Method("sorting")
SCATTERING: Method[Tensor] = Method("scattering")
MATRICES: Method[Tensor] = Method("matrices")
MANIPULATION: Method[Tensor] = Method("manipulation")
SHAPES: Method[Tensor] = Method("shapes")
PARTS: Method[tuple[Tensor, ...]] = Method("shapes")  # of a tensor
LINEAR: Method[Tensor] = Method("linear")


class ElementwiseMethods:
    """Functions of each element by itself."""

    __slots__ = ()

    abs = acos = acosh = add = asin = asinh = atan = atan2 = atanh = bitwise_and = ELEMENTWISE
    bitwise_left_shift = bitwise_or = bitwise_right_shift = bitwise_xor = ceil = clip = ELEMENTWISE
    conj = copysign = cos = cosh = digamma = erf = erfc = exp = exp2 = expm1 = floor = ELEMENTWISE
    floor_divide = fmod = greater = greater_equal = hypot = isclose = isfinite = isinf = ELEMENTWISE
    isnan = less = less_equal = lgamma = log = log10 = log1p = log2 = logaddexp = ELEMENTWISE
    logical_and = logical_not = logical_or = logical_xor = maximum = minimum = ELEMENTWISE
    multiply = nan_to_num = negative = nextafter = not_equal = positive = pow = ELEMENTWISE
    reciprocal = relu = remainder = round = rsqrt = sigmoid = sign = signbit = sin = ELEMENTWISE
    sinh = sqrt = square = subtract = tan = tanh = trunc = ELEMENTWISE
    absolute = addcdiv = addcmul = arccos = arccosh = arcsin = arcsinh = arctan = ARITHMETIC
    arctan2 = arctanh = bitwise_not = clamp = clamp_max = clamp_min = deg2rad = div = ARITHMETIC
    eq = erfinv = fix = float_power = fmax = fmin = frac = gcd = ge = gt = heaviside = ARITHMETIC
    isreal = lcm = le = lerp = log_softmax = logit = lt = mul = ne = neg = rad2deg = ARITHMETIC
    sinc = softmax = sub = true_divide = xlogy = ARITHMETIC
    allclose: Method[Any] = Method("elementwise")
    where: Method[Tensor] = Method("methods.axes")
    conjugate: Method[Tensor] = Method("elementwise", "conj")
    divide: Method[Tensor] = Method("arithmetic", "div")


class ReductionMethods:
    """Fewer elements of many, and running ones; orders of elements."""

    __slots__ = ()

    all = any = argmax = argmin = count_nonzero = diff = logsumexp = max = mean = min = STATISTICAL
    prod = std = sum = var = STATISTICAL
    amax = amin = corrcoef = cov = cumprod = cumsum = median = nanmean = nanmedian = STATISTICS
    nanquantile = nansum = quantile = STATISTICS
    aminmax: Method[Any] = Method("statistics")
    topk: Method[Any] = Method("statistics")
    argsort = sort = SORTING
    bincount = histc = SCATTERING
    dist = norm = MATRICES


class ShapeMethods:
    """The same elements in other shapes, and parts of them."""

    __slots__ = ()

    broadcast_to = expand_dims = flatten = flip = moveaxis = permute_dims = roll = MANIPULATION
    squeeze = swapaxes = tile = MANIPULATION
    chunk = tensor_split = unbind = PARTS
    expand = expand_as = fliplr = flipud = movedim = narrow = permute = ravel = SHAPES
    repeat_interleave = rot90 = select = swapdims = t = transpose = unflatten = unsqueeze = SHAPES
    view = view_as = SHAPES
    split: Method[tuple[Tensor, ...]] = Method("manipulation")
    unstack: Method[tuple[Tensor, ...]] = Method("manipulation")
    reshape: Method[Tensor] = Method("shapes", "reshaped")
    reshape_as: Method[Tensor] = Method("shapes", "view_as")


class PlaceMethods:
    """Elements at places that other tensors name."""

    __slots__ = ()

    argwhere = gather = index_add = index_copy = index_fill = index_select = SCATTERING
    masked_fill = masked_select = scatter = scatter_add = take_along_dim = SCATTERING
    isin = searchsorted = SORTING
    nonzero: Method[tuple[Tensor, ...]] = Method("indexing")
    take: Method[Tensor] = Method("indexing")


class MatrixMethods:
    """Products, triangles and diagonals."""

    __slots__ = ()

    addmm = addmv = addr = baddbmm = bmm = cross = diag = diag_embed = diagflat = MATRICES
    diagonal = dot = ger = inner = kron = mm = mv = trace = tril = triu = MATRICES
    matmul = outer = LINEAR
    vdot: Method[Tensor] = Method("linear", "vecdot")

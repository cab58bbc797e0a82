"""Elementwise functions of the Array API standard, and `map` and `zip_with` for your own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tessella import dtypes
from tessella.arguments import elementwise as gated
from tessella.arguments import public
from tessella.arguments.kinds import scope
from tessella.arguments.precision import lower_dtype
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.primitives.elementwise import Elementwise, elementwise
from tessella.primitives.host import NumPyCall
from tessella.scalar.expression import OPERATORS
from tessella.scalar.function import ScalarFunction, scalar_function
from tessella.tensors.creation import asarray, zeros_like
from tessella.tensors.inspection import finfo
from tessella.tensors.operands import Operand, binary, compare, operand
from tessella.tensors.tensor import Tensor, another_handle, apply
from tessella.tracebacks import shorten


def _unary_function(public_name: str, name: str) -> Callable[[Tensor], Tensor]:
    primitive = elementwise(name)

    def function(x: Tensor, /) -> Tensor:
        return apply(primitive, (x,))

    return gated(_named(function, public_name, f"{_describe(name)} Elementwise; shapes: any."))


def _binary_function(
    public_name: str, name: str, compares: bool = False
) -> Callable[[Operand, Operand], Tensor]:
    primitive = elementwise(name)

    def function(x1: Operand, x2: Operand, /) -> Tensor:
        return binary(primitive, x1, x2)

    def compared(x1: Operand, x2: Operand, /) -> Tensor:
        return compare(name, x1, x2)

    documentation = f"{_describe(name)} Elementwise; shapes: any that broadcast."
    return gated(_named(compared if compares else function, public_name, documentation))


def _comparison(name: str) -> Callable[[Operand, Operand], Tensor]:
    return _binary_function(name, name, compares=True)


def _describe(name: str) -> str:
    found = OPERATORS[name].documentation
    return found or f"The scalar operator `{name}`."


def _named(function: Any, name: str, documentation: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = documentation
    function.__module__ = __name__
    return function


# Names are the standard's; the second is the scalar operator's.
abs = _unary_function("abs", "absolute")
acos = _unary_function("acos", "acos")
acosh = _unary_function("acosh", "acosh")
asin = _unary_function("asin", "asin")
asinh = _unary_function("asinh", "asinh")
atan = _unary_function("atan", "atan")
atanh = _unary_function("atanh", "atanh")
bitwise_invert = _unary_function("bitwise_invert", "bitwise_invert")
ceil = _unary_function("ceil", "ceil")
cos = _unary_function("cos", "cos")
cosh = _unary_function("cosh", "cosh")
digamma = _unary_function("digamma", "digamma")
erf = _unary_function("erf", "erf")
erfc = _unary_function("erfc", "erfc")
exp = _unary_function("exp", "exp")
exp2 = _unary_function("exp2", "exp2")
expm1 = _unary_function("expm1", "expm1")
floor = _unary_function("floor", "floor")
isfinite = _unary_function("isfinite", "isfinite")
isinf = _unary_function("isinf", "isinf")
isnan = _unary_function("isnan", "isnan")
lgamma = _unary_function("lgamma", "lgamma")
log = _unary_function("log", "log")
log10 = _unary_function("log10", "log10")
log1p = _unary_function("log1p", "log1p")
log2 = _unary_function("log2", "log2")
logical_not = _unary_function("logical_not", "logical_not")
negative = _unary_function("negative", "negative")
reciprocal = _unary_function("reciprocal", "reciprocal")
relu = _unary_function("relu", "relu")
_whole = _unary_function("round", "round")
_MOST_DECIMALS = 300  # more than any number has
rsqrt = _unary_function("rsqrt", "rsqrt")
sigmoid = _unary_function("sigmoid", "sigmoid")
sign = _unary_function("sign", "sign")
signbit = _unary_function("signbit", "signbit")
sin = _unary_function("sin", "sin")
sinh = _unary_function("sinh", "sinh")
softplus = _unary_function("softplus", "softplus")
sqrt = _unary_function("sqrt", "sqrt")
square = _unary_function("square", "square")
tan = _unary_function("tan", "tan")
tanh = _unary_function("tanh", "tanh")
trunc = _unary_function("trunc", "trunc")

add = _binary_function("add", "add")
atan2 = _binary_function("atan2", "atan2")
bitwise_and = _binary_function("bitwise_and", "bitwise_and")
bitwise_left_shift = _binary_function("bitwise_left_shift", "left_shift")
bitwise_or = _binary_function("bitwise_or", "bitwise_or")
bitwise_right_shift = _binary_function("bitwise_right_shift", "right_shift")
bitwise_xor = _binary_function("bitwise_xor", "bitwise_xor")
nextafter = _binary_function("nextafter", "nextafter")
copysign = _binary_function("copysign", "copysign")
divide = _binary_function("divide", "divide")
equal = _comparison("equal")
floor_divide = _binary_function("floor_divide", "floor_divide")
fmod = _binary_function("fmod", "fmod")
greater = _comparison("greater")
greater_equal = _comparison("greater_equal")
hypot = _binary_function("hypot", "hypot")
less = _comparison("less")
less_equal = _comparison("less_equal")
logaddexp = _binary_function("logaddexp", "logaddexp")
logical_and = _binary_function("logical_and", "logical_and")
logical_or = _binary_function("logical_or", "logical_or")
logical_xor = _binary_function("logical_xor", "logical_xor")
maximum = _binary_function("maximum", "maximum")
minimum = _binary_function("minimum", "minimum")
multiply = _binary_function("multiply", "multiply")
not_equal = _comparison("not_equal")
remainder = _binary_function("remainder", "remainder")
subtract = _binary_function("subtract", "subtract")


# like sqrt, but for the powers of -0.0 and -inf, which are 0.0 and inf
_half_power = Elementwise(
    ScalarFunction(lambda x: math.inf if x == -math.inf else math.sqrt(x + 0.0), "pow", ["x"])
)


@gated
def pow(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 to the power of x2.

    Small whole exponents are products, which is quicker and exact; the rest is the maths library's
    `pow`.

    >>> import tessella as ts
    >>> ts.pow(ts.asarray([2.0, 3.0]), 2)
    tensor([4., 9.])
    """
    return power(x1, x2)


def power(x1: Any, x2: Any) -> Tensor:
    """The same for the operator: NotImplemented if an operand is none."""
    if scope["casts"] and lower_dtype() is not None and isinstance(x2, (Tensor, int, float)):
        return pow(x1, x2)  # through the gate, which casts
    look = getattr(x2, "look", None)  # a number among the arguments of a traced function:
    x2 = x2 if look is None else look()  # which product it is depends on its value
    if isinstance(x1, Tensor) and x1.dtype.is_float and isinstance(x2, (int, float)):
        if x2 == 2:
            return apply(elementwise("square"), (x1,))
        if x2 == 1:
            return x1.copy()
        if x2 == 0.5:
            return apply(_half_power, (x1,))
        if x2 == -1:
            return apply(elementwise("reciprocal"), (x1,))
    return binary(elementwise("pow"), x1, x2)


@public
def round(x: Tensor, /, decimals: int = 0) -> Tensor:
    """x rounded to whole numbers, or to some decimal places; halves to even.

    >>> import tessella as ts
    >>> ts.round(ts.asarray([0.5, 1.5])), ts.asarray([1.25, 2.567]).round(decimals=1)
    (tensor([0., 2.]), tensor([1.2, 2.6]))
    """
    if decimals == 0:
        return _whole(x)
    if not x.dtype.is_float:
        if decimals > 0:
            return x.copy()
        raise DTypeError(f"round: {x.dtype.name} with decimals {decimals}; convert to float first")
    if not -_MOST_DECIMALS <= decimals <= _MOST_DECIMALS:
        raise ArgumentError(
            f"round: decimals is {decimals}; expected at most {_MOST_DECIMALS} on either side of the point"
        )
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    return _whole(x * scale) / scale if decimals > 0 else _whole(x / scale) * scale


@gated
def positive(x: Tensor, /) -> Tensor:
    """The same numbers."""
    return another_handle(x)


@gated
def where(condition: Tensor, x1: Operand, x2: Operand, /) -> Tensor:
    """x1 where the condition holds, else x2. (With one argument, in PyTorch and NumPy, it is `nonzero`.)

    Shapes: any that broadcast.

    >>> import tessella as ts
    >>> ts.where(ts.asarray([True, False]), ts.asarray([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    like = x1 if isinstance(x1, Tensor) else x2 if isinstance(x2, Tensor) else asarray(x1)
    first, second = operand(x1, like), operand(x2, like)
    if condition.dtype is not dtypes.bool_:
        condition = condition != 0
    if first.dtype.is_complex or second.dtype.is_complex:
        kind = dtypes.promote(first.dtype, second.dtype)
        return apply(NumPyCall("where", kind), (condition, first.astype(kind), second.astype(kind)))
    return apply(elementwise("select"), (condition, first, second))


@gated
def clip(x: Tensor, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x, but at least `min` and at most `max`; a bound that no number of an integer dtype passes is none.

    >>> import tessella as ts
    >>> ts.clip(ts.asarray([-1.0, 0.5, 3.0]), 0.0, 1.0)
    tensor([0. , 0.5, 1. ])
    """
    result = x
    if x.dtype.is_integer:
        min = None if isinstance(min, int) and min < x.dtype.low else min
        max = None if isinstance(max, int) and max > x.dtype.high else max
    if min is not None:
        result = maximum(result, min)
    if max is not None:
        result = minimum(result, max)
    return result if result is not x else x.copy()


@public
def isclose(
    x1: Tensor, x2: Operand, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |x1 - x2| <= atol + rtol |x2|.

    Dtypes: any; integers and bool are compared in float64, half precision in float32.

    >>> import tessella as ts
    >>> ts.isclose(ts.asarray([0, 255], dtype=ts.uint8), 1, atol=1.0)
    tensor([ True, False])
    """
    first = _comparable(x1)
    second = _comparable(operand(x2, first))
    close = abs(first - second) <= atol + rtol * abs(second)
    finite = apply(elementwise("isfinite"), (first,)) & apply(elementwise("isfinite"), (second,))
    result = (close & finite) | (first == second)
    if equal_nan:
        result = result | ((first != first) & (second != second))
    return result


def _comparable(x: Tensor) -> Tensor:
    """x in a dtype in which differences neither wrap around nor overflow."""
    if not x.dtype.is_inexact:
        return x.astype(dtypes.float64)
    return x if x.dtype.compute is x.dtype else x.astype(x.dtype.compute)


@public
def allclose(
    x1: Tensor, x2: Operand, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(x1, x2, rtol, atol, equal_nan).all())


@public
def map(function: Callable[..., Any], /) -> Callable[[Tensor], Tensor]:
    """An elementwise operation from a scalar function of your own.

    The function is traced once: it may branch, and it is differentiated and compiled.

    >>> import tessella as ts
    >>> double = ts.map(lambda x: x + x)
    >>> double(ts.asarray([1.0, 2.0]))
    tensor([2., 4.])
    """
    return zip_with(function)


@public
def zip_with(function: Callable[..., Any], /) -> Callable[..., Tensor]:
    """An elementwise operation of several tensors from a scalar function of your own.

    >>> import tessella as ts
    >>> blend = ts.zip_with(lambda x, y: 0.5 * x + 0.5 * y)
    >>> blend(ts.asarray([1.0, 2.0]), 4.0)
    tensor([2.5, 3. ])
    """
    primitive = Elementwise(scalar_function(function))

    @gated
    def looked_at(*operands: Operand) -> Tensor:
        like = next((x for x in operands if isinstance(x, Tensor)), None)
        if like is None:
            raise ArgumentTypeError(f"{primitive.name}: no operand was given; expected tensors")
        return apply(primitive, tuple([operand(x, like) for x in operands]))

    def mapped(*operands: Operand) -> Tensor:
        try:
            for x in operands:
                if isinstance(x, Tensor):
                    given = [operand(y, x) for y in operands]
                    if not [y for y in given if y is NotImplemented]:
                        return apply(primitive, tuple(given))
                    break
            return looked_at(*operands)
        except Exception as error:  # goes on as it is, but for the frames of ours
            shorten(error)
            raise

    return _named(mapped, primitive.name, f"{primitive.name}, for every element.")


def operation(name: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The same, of our own."""
    return zip_with(ScalarFunction(function, name))


@public
def conj(x: Tensor, /) -> Tensor:
    """The complex conjugate."""
    return apply(NumPyCall("conj", x.dtype), (x,)) if x.dtype.is_complex else another_handle(x)


@public
def real(x: Tensor, /) -> Tensor:
    """The real part."""
    return _part("real", x) if x.dtype.is_complex else another_handle(x)


@public
def imag(x: Tensor, /) -> Tensor:
    """The imaginary part: zeros for real numbers."""
    return _part("imag", x) if x.dtype.is_complex else zeros_like(x)


def _part(name: str, x: Tensor) -> Tensor:
    return apply(NumPyCall(name, dtypes.part_of(x.dtype)), (x,))


@public
def nan_to_num(
    x: Tensor, /, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with `nan` for NaN, and the largest and smallest numbers of its dtype (or others) for infinities.

    Dtypes: any; the same. Integers and bool stay as they are.

    >>> import tessella as ts
    >>> ts.nan_to_num(ts.asarray([math.nan, 1.0, math.inf]), posinf=9.0)
    tensor([0., 1., 9.])
    """
    if not x.dtype.is_inexact:
        return x.copy()
    if x.dtype.is_complex:
        options = (("nan", nan), ("posinf", posinf), ("neginf", neginf))
        return apply(NumPyCall("nan_to_num", x.dtype, options), (x,))
    limits = finfo(x.dtype)
    finite = where(x == math.inf, limits.max if posinf is None else posinf, x)
    finite = where(x == -math.inf, limits.min if neginf is None else neginf, finite)
    return where(x != x, nan, finite)

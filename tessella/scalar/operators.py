"""The core operators: what every target must be able to compute.

Read it as a table: an operator's meaning in NumPy, its partial derivatives, the identities that
simplify it. Functions of the maths library (`exp`, `tanh`, ...) are written in these, in
`tessella.scalar.mathematics`. Every operator applies to expressions, to scalars with history, and
to plain numbers:

>>> add(2, 3), maximum(2.0, 5.0)
(5, 5.0)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.errors import DTypeError
from tessella.scalar.expression import (
    Expression,
    Operand,
    Operator,
    Partial,
    applied,
    beside,
    constant,
    real_dtype,
)

# --- dtype rules -----------------------------------------------------------------------------------


def _boolean(*_: DType) -> DType:
    return dtypes.bool_


def _floating(*kinds: DType) -> DType:
    return dtypes.result_float(dtypes.promote(*kinds))


def _not_bool(name: str) -> Any:
    def rule(*kinds: DType) -> DType:
        if kinds[0].is_bool:
            raise DTypeError(
                f"{name}: bool operands have no {name}; convert with astype first", name
            )
        return dtypes.promote(*kinds)

    return rule


def _integers_only(name: str, bools: bool = False) -> Any:
    def rule(*kinds: DType) -> DType:
        dtype = dtypes.promote(*kinds)
        if not (dtype.is_integer or (bools and dtype.is_bool)):
            expected = "integers or bool" if bools else "integers"
            raise DTypeError(f"{name}: takes {expected}, not {dtype.name}", name)
        return dtype

    return rule


# --- identities ------------------------------------------------------------------------------------
# Only those that are exact for every value: x + 0.0 is not x when x is -0.0, and x * 0 is not 0
# when x is NaN.


def _is(node: Expression, value: float) -> bool:
    """Whether a node is the constant `value`, sign of zero included."""
    if not node.is_constant:
        return False
    number = node.static
    return bool(number == value) and np.copysign(1, number) == np.copysign(1, value)


def _is_any_zero(node: Expression) -> bool:
    return node.is_constant and node.static == 0


def _simplify_add(x: Expression, y: Expression) -> Expression | None:
    if x.dtype.is_integer:
        return y if _is_any_zero(x) else x if _is_any_zero(y) else None
    return y if _is(x, -0.0) else x if _is(y, -0.0) else None


def _simplify_subtract(x: Expression, y: Expression) -> Expression | None:
    if _is(y, 0.0):
        return x
    if x.dtype.is_integer and x is y:
        return constant(0, x.dtype)
    return None


def _simplify_multiply(x: Expression, y: Expression) -> Expression | None:
    if _is(x, 1):
        return y
    if _is(y, 1):
        return x
    if x.dtype.is_integer and (_is_any_zero(x) or _is_any_zero(y)):
        return constant(0, x.dtype)
    if _is(x, -1):
        return negative(y)
    return negative(x) if _is(y, -1) else None


def _simplify_divide(x: Expression, y: Expression) -> Expression | None:
    return x if _is(y, 1) and x.dtype.is_inexact else None


def _simplify_negative(x: Expression) -> Expression | None:
    return x.arguments[0] if x.operator is negative else None


def _simplify_absolute(x: Expression) -> Expression | None:
    if x.operator is absolute or x.dtype.kind in ("uint", "bool"):
        return x
    return absolute(x.arguments[0]) if x.operator is negative and x.dtype.is_float else None


def _simplify_equal_pair(x: Expression, y: Expression) -> Expression | None:
    return x if x is y else None


def _simplify_logic(neutral: bool) -> Any:
    """Of `and`, which True leaves alone, or of `or`, which False does."""

    def simplify(x: Expression, y: Expression) -> Expression | None:
        if x is y:
            return x
        if x.dtype.is_bool:
            for a, b in ((x, y), (y, x)):
                if a.is_constant:
                    return b if bool(a.static) is neutral else a
        return None

    return simplify


def _simplify_invert(x: Expression) -> Expression | None:
    return x.arguments[0] if x.operator is bitwise_invert else None


def _simplify_shift(x: Expression, y: Expression) -> Expression | None:
    return x if _is_any_zero(y) else None


def _simplify_quotient(x: Expression, y: Expression) -> Expression | None:
    return x if _is(y, 1) else None


def _simplify_modulo(x: Expression, y: Expression) -> Expression | None:
    return constant(0, x.dtype) if _is(y, 1) else None


def _simplify_cast(x: Expression, static: DType) -> Expression | None:
    if x.dtype is static:
        return x
    if x.is_constant:
        return constant(x.static, static) if _exact_constant(x, static) else None
    if x.operator is cast and x.arguments[0].dtype is static and _widens(static, x.dtype):
        return x.arguments[0]
    return None


def _exact_constant(x: Expression, dtype: DType) -> bool:
    return not (x.dtype.is_float and dtype.is_integer)  # out-of-range floats: let NumPy decide


def _widens(narrow: DType, wide: DType) -> bool:
    """Whether every value of `narrow` survives a trip through `wide`."""
    if wide.is_storage:
        return False
    if narrow.is_storage:
        return wide is narrow.compute or _widens(narrow.compute, wide)
    if narrow.kind == wide.kind:
        return wide.bits > narrow.bits
    return narrow.is_bool or (narrow.is_integer and wide.is_float and wide.bits > narrow.bits)


def _simplify_select(c: Expression, x: Expression, y: Expression) -> Expression | None:
    if c.is_constant:
        return x if c.static else y
    return x if x is y else None


# --- arithmetic ------------------------------------------------------------------------------------


def _np_fma(x: Any, y: Any, z: Any) -> Any:
    """x*y+z, rounded once (exactly, by integers where float64 would round twice)."""
    if np.asarray(x).dtype == np.float32:
        product = np.multiply(x, y, dtype=np.float64)  # exact: 24 + 24 bits fit in 53
        return _round_sum_to_float32(product, np.asarray(z, dtype=np.float64))
    return _fma_float64(x, y, z)


def _round_sum_to_float32(a: Any, b: Any) -> Any:
    """a + b of float64, rounded once to float32: to odd in float64 first (Boldo & Melquiond 2008)."""
    total = np.add(a, b)
    back = total - a
    error = (a - (total - back)) + (b - back)
    bits = np.asarray(total).view(np.int64)
    inexact = (error != 0) & np.isfinite(total) & ((bits & 1) == 0)
    away = (error > 0) == (total > 0)
    odd = np.where(inexact, np.where(away, bits + 1, bits - 1), bits)
    return odd.view(np.float64).astype(np.float32)


def _fma_float64(x: Any, y: Any, z: Any) -> Any:
    from fractions import Fraction

    def one(a: float, b: float, c: float) -> float:
        plain = a * b + c
        if not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
            return plain
        exact = Fraction(a) * Fraction(b) + Fraction(c)
        if exact == 0:
            return plain if a * b == 0 or plain == 0 else 0.0
        try:
            return float(exact)
        except OverflowError:
            return float(np.inf if exact > 0 else -np.inf)

    return np.vectorize(one, otypes=[np.float64])(x, y, z)


add: Operator = Operator(
    "add", 2, evaluate=np.add, partials=lambda r, x, y: (1, 1), simplify=_simplify_add
)
subtract: Operator = Operator(
    "subtract", 2, evaluate=np.subtract, result=_not_bool("subtract"),
    partials=lambda r, x, y: (1, -1), simplify=_simplify_subtract,
)  # fmt: skip
multiply: Operator = Operator(
    "multiply", 2, evaluate=np.multiply, partials=lambda r, x, y: (y, x),
    simplify=_simplify_multiply,
)  # fmt: skip
divide: Operator = Operator(
    "divide", 2, evaluate=np.true_divide, result=_floating, partials=lambda r, x, y: (1 / y, -r / y),
    simplify=_simplify_divide,
)  # fmt: skip
negative: Operator = Operator(
    "negative", 1, evaluate=np.negative, result=_not_bool("negative"), partials=lambda r, x: (-1,),
    simplify=_simplify_negative,
)  # fmt: skip
absolute: Operator = Operator(
    "absolute", 1, evaluate=np.absolute, partials=lambda r, x: (sign(x),),
    simplify=_simplify_absolute,
)  # fmt: skip
fma: Operator = Operator(
    "fma", 3, evaluate=_np_fma, result=_floating, partials=lambda r, x, y, z: (y, x, 1)
)


def _tie_split(first_wins: Expression, x: Expression, y: Expression) -> tuple[Expression, ...]:
    """Derivatives of max and min: 1 for the winner, one half each at a tie."""
    half = constant(0.5, x.dtype)
    one, zero = constant(1, x.dtype), constant(0, x.dtype)
    tie = equal(x, y)
    return (
        select(tie, half, select(first_wins, one, zero)),
        select(tie, half, select(first_wins, zero, one)),
    )


maximum: Operator = Operator(
    "maximum", 2, evaluate=np.maximum, partials=lambda r, x, y: _tie_split(greater(x, y), x, y),
    simplify=_simplify_equal_pair, documentation="The larger of two numbers; NaN if either is NaN.",
)  # fmt: skip
minimum: Operator = Operator(
    "minimum", 2, evaluate=np.minimum, partials=lambda r, x, y: _tie_split(less(x, y), x, y),
    simplify=_simplify_equal_pair,
    documentation="The smaller of two numbers; NaN if either is NaN.",
)  # fmt: skip
sqrt: Operator = Operator(
    "sqrt", 1, evaluate=np.sqrt, result=_floating, partials=lambda r, x: (0.5 / r,)
)


# --- rounding --------------------------------------------------------------------------------------


def _keep_integers(function: Any) -> Any:
    return lambda x: x if np.asarray(x).dtype.kind in "iub" else function(x)


def _simplify_rounding(x: Expression) -> Expression | None:
    return x if not x.dtype.is_float else None


def _rounding(name: str, function: Any, documentation: str) -> Operator:
    return Operator(
        name, 1, evaluate=_keep_integers(function), partials=lambda r, x: (None,),
        simplify=_simplify_rounding, documentation=documentation,
    )  # fmt: skip


floor: Operator = _rounding("floor", np.floor, "The largest integer not above x.")
ceil: Operator = _rounding("ceil", np.ceil, "The smallest integer not below x.")
trunc: Operator = _rounding("trunc", np.trunc, "x without its fraction.")
round: Operator = _rounding("round", np.rint, "The nearest integer; halves go to the even one.")

copysign: Operator = Operator(
    "copysign",
    2,
    evaluate=np.copysign,
    result=_floating,
    partials=lambda r, x, y: (
        select(equal(signbit(x), signbit(y)), constant(1, x.dtype), constant(-1, x.dtype)),
        None,
    ),
)
library_fmod: Operator = Operator(
    "library_fmod", 2, evaluate=np.fmod, result=_floating,
    documentation="The C library's fmod, for quotients that are no small whole numbers.",
)  # fmt: skip


def _expand_fmod(x: Expression, y: Expression) -> Expression:
    """x - trunc(x / y) y is exact by one fused multiply-add while the quotient is small.

    The division may round up to a whole number, and then what is left has the wrong sign.
    """
    if not x.dtype.is_float:
        rest = applied(_remainder_integers, (x, y))
        wrong_sign = not_equal(rest, 0) & not_equal(less(x, 0), less(y, 0))
        return rest if x.dtype.kind == "uint" else select(wrong_sign, rest - y, rest)
    size, step = absolute(x), absolute(y)
    ratio = size / step
    rest = fma(-trunc(ratio), step, size)
    usual = copysign(select(less(rest, 0), rest + step, rest), x)
    small = less(ratio, 2.0**22) & less(step, float("inf"))
    return applied(fallback, (~small, applied(library_fmod, (x, y)), usual))


fmod: Operator = Operator(
    "fmod", 2, evaluate=np.fmod, result=_not_bool("fmod"), expand=_expand_fmod,
    partials=lambda r, x, y: (1, -trunc(x / y)),
    documentation="The remainder of truncated division (the sign of x), as C's fmod.",
)  # fmt: skip

# --- integer division, and what floats make of it --------------------------------------------------

_floor_divide_integers: Operator = Operator(
    "floor_divide_integers", 2, evaluate=np.floor_divide, result=_integers_only("floor_divide"),
    simplify=_simplify_quotient,
    documentation="Quotient rounded down; 0 for a division by zero, as NumPy.",
)  # fmt: skip
_remainder_integers: Operator = Operator(
    "remainder_integers", 2, evaluate=np.remainder, result=_integers_only("remainder"),
    simplify=_simplify_modulo,
    documentation="Remainder with the divisor's sign; 0 for a division by zero, as NumPy.",
)  # fmt: skip
quotient: Operator = Operator(
    "quotient", 2, evaluate=np.floor_divide, result=_integers_only("quotient"),
    simplify=_simplify_quotient,
    documentation="Quotient of a non-negative by a positive integer, unchecked: for indices.",
)  # fmt: skip
modulo: Operator = Operator(
    "modulo", 2, evaluate=np.remainder, result=_integers_only("modulo"), simplify=_simplify_modulo,
    documentation="Remainder of a non-negative by a positive integer, unchecked: for indices.",
)  # fmt: skip


def _expand_remainder(x: Expression, y: Expression) -> Expression:
    """Python's and NumPy's `%`: the sign of the divisor (npy_divmod)."""
    if not x.dtype.is_float:
        return applied(_remainder_integers, (x, y))
    rest = fmod(x, y)
    wrong_sign = not_equal(less(y, 0), less(rest, 0))
    zero = copysign(constant(0.0, x.dtype), y)
    fixed = select(wrong_sign, rest + y, rest)
    return select(equal(rest, 0), zero, fixed)


def _expand_floor_divide(x: Expression, y: Expression) -> Expression:
    """Python's and NumPy's `//` (npy_divmod): exact where x / y would round to a whole number."""
    if not x.dtype.is_float:
        return applied(_floor_divide_integers, (x, y))
    rest = fmod(x, y)
    ratio = (x - rest) / y
    wrong_sign = not_equal(less(y, 0), less(rest, 0)) & not_equal(rest, 0)
    ratio = select(wrong_sign, ratio - 1, ratio)
    low = floor(ratio)
    whole = select(greater(ratio - low, 0.5), low + 1, low)
    signed_zero = copysign(constant(0.0, x.dtype), x / y)
    result = select(equal(ratio, 0), signed_zero, whole)
    return select(equal(y, 0), x / y, result)


remainder: Operator = Operator(
    "remainder", 2, evaluate=np.remainder, result=_not_bool("remainder"),
    partials=lambda r, x, y: (1, -floor_divide(x, y)), expand=_expand_remainder,
)  # fmt: skip
floor_divide: Operator = Operator(
    "floor_divide", 2, evaluate=np.floor_divide, result=_not_bool("floor_divide"),
    partials=lambda r, x, y: (None, None), expand=_expand_floor_divide,
)  # fmt: skip

# --- comparisons -----------------------------------------------------------------------------------


def _comparison(name: str, function: Any) -> Operator:
    return Operator(
        name, 2, evaluate=function, result=_boolean, partials=lambda r, x, y: (None, None),
        compares=True,
    )  # fmt: skip


less: Operator = _comparison("less", np.less)
less_equal: Operator = _comparison("less_equal", np.less_equal)
greater: Operator = _comparison("greater", np.greater)
greater_equal: Operator = _comparison("greater_equal", np.greater_equal)
equal: Operator = _comparison("equal", np.equal)
not_equal: Operator = _comparison("not_equal", np.not_equal)

# --- bits ------------------------------------------------------------------------------------------

bitwise_and: Operator = Operator(
    "bitwise_and", 2, evaluate=np.bitwise_and, result=_integers_only("bitwise_and", bools=True),
    simplify=_simplify_logic(True),
)  # fmt: skip
bitwise_or: Operator = Operator(
    "bitwise_or",
    2,
    evaluate=np.bitwise_or,
    result=_integers_only("bitwise_or", bools=True),
    simplify=_simplify_logic(False),
)
bitwise_xor: Operator = Operator(
    "bitwise_xor", 2, evaluate=np.bitwise_xor, result=_integers_only("bitwise_xor", bools=True)
)
bitwise_invert: Operator = Operator(
    "bitwise_invert", 1, evaluate=np.bitwise_not, result=_integers_only("bitwise_invert", bools=True),
    simplify=_simplify_invert,
)  # fmt: skip
left_shift: Operator = Operator(
    "left_shift", 2, evaluate=np.left_shift, result=_integers_only("left_shift"),
    simplify=_simplify_shift, documentation="x << y; 0 where y reaches the width of x.",
)  # fmt: skip
right_shift: Operator = Operator(
    "right_shift", 2, evaluate=np.right_shift, result=_integers_only("right_shift"),
    simplify=_simplify_shift,
    documentation="x >> y with the sign kept; 0 or -1 where y reaches the width of x.",
)  # fmt: skip
multiply_high: Operator = Operator(
    "multiply_high", 2,
    evaluate=lambda x, y: x.astype(np.uint64) * y.astype(np.uint64) >> np.uint64(32),
    result=lambda *kinds: dtypes.uint32,
    documentation="The high 32 bits of a product of uint32 numbers.",
)  # fmt: skip

# --- choosing and converting -----------------------------------------------------------------------


def _select_tangent(result: Expression, operands: Any, slopes: Any) -> Partial:
    """The slope of the side that is taken; that of the other may be anything, even infinite."""
    zero = constant(0, result.dtype.gradient)
    _, x, y = [zero if slope is None else constant(slope, zero.dtype) for slope in slopes]
    return select(operands[0], x, y)


_select: Operator = Operator(
    "select",
    3,
    evaluate=np.where,
    result=lambda condition, x, y: dtypes.promote(x, y),
    partials=lambda r, c, x, y: (
        None,
        select(c, constant(1, r.dtype.gradient), constant(0, r.dtype.gradient)),
        select(c, constant(0, r.dtype.gradient), constant(1, r.dtype.gradient)),
    ),
    tangent=_select_tangent,
    simplify=_simplify_select,
    promotes=False,
)


def select(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; both sides are computed.

    >>> select(True, 1.0, 2.0)
    1.0
    """
    operands = (condition, x, y)
    if not any(isinstance(operand, Expression) for operand in operands):
        return _select(*operands)
    condition = constant(condition)
    condition = condition if condition.dtype.is_bool else not_equal(condition, 0)
    x, y = _together(x, y)
    return applied(_select, (condition, x, y))


def _together(x: Operand, y: Operand) -> tuple[Expression, Expression]:
    """Two operands in their common dtype."""
    if not isinstance(x, Expression) and not isinstance(y, Expression):
        x = constant(x)
    if not isinstance(x, Expression):
        assert isinstance(y, Expression)
        x = beside(x, y.dtype)
    if not isinstance(y, Expression):
        y = beside(y, x.dtype)
    common = dtypes.promote(x.dtype, y.dtype)
    return _convert(x, common), _convert(y, common)


cast: Operator = Operator(
    "cast", 1, evaluate=lambda x, dtype: np.asarray(x).astype(dtype.numpy), result=lambda kind, static: static,
    partials=lambda r, x: (1,) if r.dtype.is_float and x.dtype.is_float else (None,),
    simplify=_simplify_cast,
)  # fmt: skip


def _convert(x: Expression, dtype: DType) -> Expression:
    return applied(cast, (x,), static=dtype)


def convert(x: Operand, dtype: DType) -> Expression:
    """x as another dtype: floats to integers towards zero, numbers to bool by `!= 0`.

    >>> convert(2.75, dtypes.int32)
    Expression(2, int32)
    """
    return _convert(constant(x), real_dtype(dtype))


bitcast_operator: Operator = Operator(
    "bitcast", 1,
    evaluate=lambda x, dtype: np.ascontiguousarray(x).view(dtype.numpy).reshape(np.shape(x)),
    result=lambda kind, static: static, partials=lambda r, x: (None,),
)  # fmt: skip


def bitcast(x: Operand, dtype: DType) -> Expression:
    """The same bits read as another dtype of the same width.

    >>> bitcast(1.0, dtypes.int32)
    Expression(1065353216, int32)
    """
    x, dtype = constant(x), real_dtype(dtype)
    if x.dtype.bits != dtype.bits:
        raise DTypeError(f"bitcast: {x.dtype.name} and {dtype.name} differ in width", "bitcast")
    return applied(bitcast_operator, (x,), static=dtype)


# --- the C library, for the few huge arguments our own functions do not serve ---------------------


c_library: Operator = Operator(
    "c_library", 1, evaluate=lambda x, name: getattr(np, name)(x), result=lambda kind, static: kind,
    documentation="One call of the C library's function of that name (static), lane by lane.",
)  # fmt: skip


fallback: Operator = Operator(
    "fallback", 3, evaluate=np.where, result=lambda condition, rare, usual: usual, promotes=False,
    documentation="select(condition, rare, usual) where `rare` is only computed if it is needed.",
)  # fmt: skip


# --- small functions everyone needs ----------------------------------------------------------------


def _expand_sign(x: Expression) -> Expression:
    one, zero = constant(1, x.dtype), constant(0, x.dtype)
    if x.dtype.kind == "uint":
        return select(greater(x, 0), one, zero)
    minus = constant(-1, x.dtype)
    signed = select(greater(x, 0), one, select(less(x, 0), minus, zero))
    return select(not_equal(x, x), x, signed) if x.dtype.is_float else signed


sign: Operator = Operator(
    "sign", 1, evaluate=np.sign, result=_not_bool("sign"), partials=lambda r, x: (None,),
    expand=_expand_sign, documentation="-1, 0 or 1; NaN for NaN.",
)  # fmt: skip


def _expand_signbit(x: Expression) -> Expression:
    if not x.dtype.is_float:
        return less(x, 0)
    integer = dtypes.int64 if x.dtype.bits == 64 else dtypes.int32
    return less(bitcast(x, integer), 0)


signbit: Operator = Operator(
    "signbit", 1, evaluate=np.signbit, result=_boolean, partials=lambda r, x: (None,),
    expand=_expand_signbit,
)  # fmt: skip


def _nextafter_result(*kinds: DType) -> DType:
    dtype = _floating(*kinds)
    if dtype.is_narrow:
        raise DTypeError(f"nextafter: takes float32 or float64, not {dtype.name}", "nextafter")
    return dtype


def _expand_nextafter(x: Expression, y: Expression) -> Expression:
    """Floats are ordered as their bits are, away from zero: one step is one more or one less."""
    dtype = _floating(x.dtype, y.dtype)
    x, y = _convert(x, dtype), _convert(y, dtype)
    integer = dtypes.int64 if dtype is dtypes.float64 else dtypes.int32
    bits = bitcast(x, integer)
    outwards = equal(less(x, y), less(constant(0, dtype), x))
    step = bitcast(select(outwards, bits + 1, bits - 1), dtype)
    smallest = copysign(bitcast(constant(1, integer), dtype), y)
    moved = select(equal(x, constant(0, dtype)), smallest, step)
    unordered = not_equal(x, x) | not_equal(y, y)
    return select(equal(x, y), y, select(unordered, x + y, moved))


def _np_nextafter(x: Any, y: Any) -> Any:
    kind = _floating(*(dtypes.as_dtype(np.asarray(operand).dtype) for operand in (x, y))).numpy
    return np.nextafter(np.asarray(x).astype(kind), np.asarray(y).astype(kind))


nextafter: Operator = Operator(
    "nextafter", 2, evaluate=_np_nextafter, result=_nextafter_result,
    partials=lambda r, x, y: (1, None), expand=_expand_nextafter,
    documentation="The next number after x on the way to y; y if they are equal.",
)  # fmt: skip
isnan: Operator = Operator(
    "isnan", 1, evaluate=lambda x: np.not_equal(x, x), result=_boolean,
    partials=lambda r, x: (None,), expand=lambda x: not_equal(x, x),
)  # fmt: skip


def _expand_isfinite(x: Expression) -> Expression:
    if not x.dtype.is_float:
        return constant(True)
    return less(absolute(x), float("inf"))


isfinite: Operator = Operator(
    "isfinite", 1, evaluate=np.isfinite, result=_boolean,
    partials=lambda r, x: (None,), expand=_expand_isfinite,
)  # fmt: skip
isinf: Operator = Operator(
    "isinf", 1, evaluate=np.isinf, result=_boolean, partials=lambda r, x: (None,),
    expand=lambda x: equal(absolute(x), float("inf")) if x.dtype.is_float else constant(False),
)  # fmt: skip


def _logical(x: Any) -> Any:
    return x if x.dtype.is_bool else not_equal(x, 0)


def _logical_operator(name: str, evaluate: Any, arity: int, expand: Any) -> Operator:
    return Operator(
        name, arity, evaluate=evaluate, result=_boolean, partials=lambda r, *xs: (None,) * len(xs),
        expand=expand, promotes=False,
    )  # fmt: skip


logical_and: Operator = _logical_operator(
    "logical_and", np.logical_and, 2, lambda x, y: _logical(x) & _logical(y)
)
logical_or: Operator = _logical_operator(
    "logical_or", np.logical_or, 2, lambda x, y: _logical(x) | _logical(y)
)
logical_xor: Operator = _logical_operator(
    "logical_xor", np.logical_xor, 2, lambda x, y: _logical(x) ^ _logical(y)
)
logical_not: Operator = _logical_operator("logical_not", np.logical_not, 1, lambda x: ~_logical(x))
square: Operator = Operator(
    "square", 1, evaluate=np.square, partials=lambda r, x: (2 * x,), expand=lambda x: x * x
)
reciprocal: Operator = Operator(
    "reciprocal", 1,
    evaluate=lambda x: np.reciprocal(x) if np.asarray(x).dtype.kind == "f" else 1 / np.float32(x),
    result=_floating, partials=lambda r, x: (-(r * r),),
    expand=lambda x: 1 / _convert(x, _floating(x.dtype)),
)  # fmt: skip

"""Operations whose order does not matter, by which many elements become one.

A `Monoid` says how an element enters, how two partial results become one, and what comes out. `argmax` is one
too: its partial result is a pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.primitives.base import NumPyArray
from tessella.primitives.elementwise import cast, elementwise
from tessella.primitives.generate import Iota
from tessella.primitives.movement import expand, reshape
from tessella.scalar import operators
from tessella.scalar.expression import Expression, Number, constant

Parts = tuple[Expression, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Monoid:
    """An associative operation with a neutral element, in scalar expressions.

    Args:
        name: what it is called.
        result: the result's dtype, from the input's.
        accumulator: the dtypes in which partial results are kept, from the input's dtype.
        start: the neutral element, for the input's dtype.
        lift: an element and its position, as a partial result.
        combine: two partial results as one (the second comes later in the input).
        meaning: the same in NumPy: a function of two numbers, or one of the array and the axes.
        slope: the derivative of the result by each element, from what reduces (it has `total`, the sum over what is
            reduced, and `restored`, a result beside every element), the elements, and the result if it is known;
            None if that is 1 everywhere.
        needs_elements: whether nothing can be told of none of them, as it is a choice among them, by their order.
    """

    name: str
    result: Callable[[DType], DType]
    accumulator: Callable[[DType], tuple[DType, ...]]
    start: Callable[[DType], tuple[Number, ...]]
    combine: Callable[[Parts, Parts], Parts]
    meaning: np.ufunc | Callable[[NumPyArray, tuple[int, ...]], NumPyArray]
    lift: Callable[[Expression, Expression], Parts] = lambda x, position: (x,)
    output: int = 0
    slope: Callable[[Any, Any, Any], Any] | None = None
    needs_elements: bool = False

    def reference(self, x: NumPyArray, axes: tuple[int, ...]) -> NumPyArray:
        """The meaning, in NumPy; sums and products of floats in float64, as the oracle is to be exact."""
        if not isinstance(self.meaning, np.ufunc):
            return self.meaning(x, axes)
        wide = np.float64 if x.dtype.kind not in "iubc" else None
        return np.asarray(self.meaning.reduce(x, axis=axes, dtype=wide))

    def __repr__(self) -> str:
        return f"<monoid {self.name}>"


def _sum_dtype(dtype: DType) -> DType:
    """Small integers are summed in 64 bits.

    Source: Python Array API standard, `sum` and `prod`.
    """
    if dtype.is_bool or dtype.kind == "int":
        return dtypes.int64
    return dtypes.uint64 if dtype.kind == "uint" else dtype


def _wide(dtype: DType) -> tuple[DType]:
    return (dtype.compute,)


def lowest(dtype: DType) -> Number:
    """What no number of a dtype is below: where a maximum starts.

    >>> lowest(dtypes.float16), lowest(dtypes.int8), lowest(dtypes.bool_)
    (-inf, -128, False)
    """
    if dtype.is_float:
        return float("-inf")
    return False if dtype.is_bool else dtypes.limits(dtype)[0]


def _highest(dtype: DType) -> Number:
    if dtype.is_float:
        return float("inf")
    return True if dtype.is_bool else dtypes.limits(dtype)[1]


def _boolean(dtype: DType) -> DType:
    return dtypes.bool_


def _shares(of: Any, x: Any, y: Any) -> Any:
    """What each element has in the extreme: ties share equally."""
    hit = elementwise("equal")(x, of.restored(of(x) if y is None else y, x.shape))
    hit = cast(hit, x.dtype.compute)  # half precision cannot count far
    return cast(hit / of.restored(of.total(hit), x.shape), x.dtype)


SUM = Monoid(
    "sum",
    result=_sum_dtype,
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (0,),
    combine=lambda a, b: (a[0] + b[0],),
    meaning=np.add,
)


WIDE_SUM = Monoid(  # of half precision, in float32: for what goes on with the sum
    "sum",
    result=lambda dtype: _sum_dtype(dtype).compute,
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (0,),
    combine=lambda a, b: (a[0] + b[0],),
    meaning=np.add,
)


PRODUCT = Monoid(
    "prod",
    result=_sum_dtype,
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (1,),
    combine=lambda a, b: (a[0] * b[0],),
    meaning=np.multiply,
    slope=lambda of, x, y: of.product_of_others(x),
)


MAXIMUM = Monoid(
    "max",
    result=lambda dtype: dtype,
    accumulator=_wide,
    start=lambda dtype: (lowest(dtype),),
    combine=lambda a, b: (operators.maximum(b[0], a[0]),),  # the new one is tested for NaN
    meaning=np.maximum,
    slope=_shares,
    needs_elements=True,
)


def _leads(of: Any, x: Any, y: Any) -> Any:
    """1 for the first of those that reach the maximum, 0 elsewhere."""
    hit = elementwise("equal")(x, of.restored(of(x) if y is None else y, x.shape))
    kind = x.dtype.compute
    hit, extents = (
        cast(hit, kind),
        tuple(n if axis in of.axes else 1 for axis, n in enumerate(x.shape)),
    )
    count = math.prod(extents)
    place = expand(reshape(cast(Iota(count, dtypes.int64)(x), kind), extents), x.shape)
    rank = place - hit * count  # of no element that is not hit is it below zero
    first = replace(of, monoid=MINIMUM)(rank)
    return cast(elementwise("equal")(rank, of.restored(first, x.shape)), x.dtype) * cast(
        hit, x.dtype
    )


LEADING_MAXIMUM = replace(
    MAXIMUM, slope=_leads
)  # whose gradient goes to the first of equal elements


MINIMUM = Monoid(
    "min",
    result=lambda dtype: dtype,
    accumulator=_wide,
    start=lambda dtype: (_highest(dtype),),
    combine=lambda a, b: (operators.minimum(b[0], a[0]),),
    meaning=np.minimum,
    slope=_shares,
    needs_elements=True,
)


def _as_bytes(dtype: DType) -> tuple[DType]:
    """Truths are kept as 0 and 1: vectors of bytes are added to in one step, those of bits are not on every processor."""
    return (dtypes.uint8,)


def _truth(x: Expression, position: Expression) -> Parts:
    return (operators.convert(operators.convert(x, dtypes.bool_), dtypes.uint8),)


ANY = Monoid(
    "any",
    result=_boolean,
    accumulator=_as_bytes,
    start=lambda dtype: (0,),
    lift=_truth,
    combine=lambda a, b: (a[0] | b[0],),
    meaning=lambda x, axes: np.any(x, axis=axes),
)


ALL = Monoid(
    "all",
    result=_boolean,
    accumulator=_as_bytes,
    start=lambda dtype: (1,),
    lift=_truth,
    combine=lambda a, b: (a[0] & b[0],),
    meaning=lambda x, axes: np.all(x, axis=axes),
)


def _better(a: Parts, b: Parts, beyond: Any) -> Parts:
    """Of two (value, position) pairs the better one; NaN is best, then the earlier one."""
    b_is_nan, a_is_nan = operators.not_equal(b[0], b[0]), operators.not_equal(a[0], a[0])
    earlier = operators.less(b[1], a[1])
    tie = operators.equal(a[0], b[0]) | (a_is_nan & b_is_nan)
    wins = beyond(b[0], a[0]) | (b_is_nan & operators.equal(a[0], a[0]))
    take = (wins & ~(a_is_nan & ~b_is_nan)) | (tie & earlier)
    return operators.select(take, b[0], a[0]), operators.select(take, b[1], a[1])


_LATEST = (1 << 63) - 1  # a position that every real one precedes


def _argument(name: str, start: Any, beyond: Any, reference: Any) -> Monoid:
    return Monoid(
        name,
        result=lambda dtype: dtypes.int64,
        accumulator=lambda dtype: (dtype.compute, dtypes.int64),
        start=lambda dtype: (start(dtype), _LATEST),
        lift=lambda x, position: (x, position),
        combine=lambda a, b: _better(a, b, beyond),
        meaning=lambda x, axes: reference(x, axis=axes[0]),
        output=1,
        needs_elements=True,
    )


ARGMAX = _argument("argmax", lowest, operators.greater, np.argmax)


ARGMIN = _argument("argmin", _highest, operators.less, np.argmin)


def neutral(monoid: Monoid, dtype: DType) -> tuple[Expression, ...]:
    """The neutral element as constants of the accumulator's dtypes."""
    values = zip(monoid.start(dtype), monoid.accumulator(dtype), strict=True)
    return tuple(constant(value, kind) for value, kind in values)

"""Reductions: many elements become one, by an operation whose order does not matter.

The operation is a `Monoid`: how an element enters, how two partial results become one, and what
comes out. `argmax` is one too: its partial result is a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import NumPyArray, Primitive, Sample, Spec, size_of
from tessella.primitives.movement import expand, move_axis, reshape
from tessella.scalar import operators
from tessella.scalar.expression import Expression, Number, constant

Parts = tuple[Expression, ...]


class Monoid:
    """An associative operation with a neutral element, in scalar expressions.

    Args:
        name: what it is called.
        result: the result's dtype, from the input's.
        accumulator: the dtypes in which partial results are kept, from the input's dtype.
        start: the neutral element, for the input's dtype.
        lift: an element and its position, as a partial result.
        combine: two partial results as one (the second comes later in the input).
        reference: the same in NumPy, given the array and the axes.
    """

    def __init__(
        self,
        name: str,
        *,
        result: Callable[[DType], DType],
        accumulator: Callable[[DType], tuple[DType, ...]],
        start: Callable[[DType], tuple[Number, ...]],
        combine: Callable[[Parts, Parts], Parts],
        reference: Callable[[NumPyArray, tuple[int, ...]], NumPyArray],
        lift: Callable[[Expression, Expression], Parts] = lambda x, position: (x,),
        output: int = 0,
        needs_elements: bool = False,
    ) -> None:
        self.name = name
        self.result = result
        self.accumulator = accumulator
        self.start = start
        self.lift = lift
        self.combine = combine
        self.reference = reference
        self.output = output
        self.needs_elements = needs_elements

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
    return (dtypes.compute_dtype(dtype),)


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


def _numpy_sum(x: NumPyArray, axes: tuple[int, ...]) -> NumPyArray:
    """Half precision is summed in float32, float32 in float64: the oracle is to be exact."""
    wide = np.float64 if x.dtype.kind not in "iubc" else None
    return np.asarray(np.sum(x, axis=axes, dtype=wide))


def _numpy_product(x: NumPyArray, axes: tuple[int, ...]) -> NumPyArray:
    wide = np.float64 if x.dtype.kind not in "iubc" else None
    return np.asarray(np.prod(x, axis=axes, dtype=wide))


SUM = Monoid(
    "sum",
    result=_sum_dtype,
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (0,),
    combine=lambda a, b: (a[0] + b[0],),
    reference=_numpy_sum,
)
WIDE_SUM = Monoid(  # of half precision, in float32: for what goes on with the sum
    "sum",
    result=lambda dtype: dtypes.compute_dtype(_sum_dtype(dtype)),
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (0,),
    combine=lambda a, b: (a[0] + b[0],),
    reference=_numpy_sum,
)
PRODUCT = Monoid(
    "prod",
    result=_sum_dtype,
    accumulator=lambda dtype: _wide(_sum_dtype(dtype)),
    start=lambda dtype: (1,),
    combine=lambda a, b: (a[0] * b[0],),
    reference=_numpy_product,
)
MAXIMUM = Monoid(
    "max",
    result=lambda dtype: dtype,
    accumulator=_wide,
    start=lambda dtype: (lowest(dtype),),
    combine=lambda a, b: (operators.maximum(b[0], a[0]),),  # the new one is tested for NaN
    reference=lambda x, axes: np.max(x, axis=axes),
    needs_elements=True,
)
MINIMUM = Monoid(
    "min",
    result=lambda dtype: dtype,
    accumulator=_wide,
    start=lambda dtype: (_highest(dtype),),
    combine=lambda a, b: (operators.minimum(b[0], a[0]),),
    reference=lambda x, axes: np.min(x, axis=axes),
    needs_elements=True,
)
ANY = Monoid(
    "any",
    result=_boolean,
    accumulator=lambda dtype: (dtypes.bool_,),
    start=lambda dtype: (False,),
    lift=lambda x, position: (operators.convert(x, dtypes.bool_),),
    combine=lambda a, b: (a[0] | b[0],),
    reference=lambda x, axes: np.any(x, axis=axes),
)
ALL = Monoid(
    "all",
    result=_boolean,
    accumulator=lambda dtype: (dtypes.bool_,),
    start=lambda dtype: (True,),
    lift=lambda x, position: (operators.convert(x, dtypes.bool_),),
    combine=lambda a, b: (a[0] & b[0],),
    reference=lambda x, axes: np.all(x, axis=axes),
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
        accumulator=lambda dtype: (dtypes.compute_dtype(dtype), dtypes.int64),
        start=lambda dtype: (start(dtype), _LATEST),
        lift=lambda x, position: (x, position),
        combine=lambda a, b: _better(a, b, beyond),
        reference=lambda x, axes: reference(x, axis=axes[0]),
        output=1,
        needs_elements=True,
    )


ARGMAX = _argument("argmax", lowest, operators.greater, np.argmax)
ARGMIN = _argument("argmin", _highest, operators.less, np.argmin)


@dataclass(frozen=True)
class Reduce(Primitive):
    """Reduce axes by a monoid; they are gone from the result's shape.

    Shapes: any; an empty reduction gives the neutral element, or an error where there is none.
    Dtypes: sums and products of small integers are 64 bits wide; half precision is accumulated in
        float32.
    """

    shared = True

    monoid: Monoid
    axes: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.monoid.name

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if x.dtype.is_complex and self.monoid not in (SUM, WIDE_SUM, PRODUCT, ANY, ALL):
            raise DTypeError(f"{self.name}: complex numbers have no order; take abs or real first")
        if self.monoid.needs_elements and any(x.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(
                f"{self.name}: shape {x.shape} has no elements along the axes {self.axes}, and "
                f"{self.name} of nothing is not defined"
            )
        shape = tuple(n for axis, n in enumerate(x.shape) if axis not in self.axes)
        return Spec(shape, self.monoid.result(x.dtype))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        dtype = self.monoid.result(dtypes.as_dtype(x.dtype))
        with np.errstate(all="ignore"):
            if not self.axes:
                return x.astype(dtype.numpy)
            return np.asarray(self.monoid.reference(x, self.axes)).astype(dtype.numpy)

    def _restore(self, y: Any, shape: tuple[int, ...]) -> Any:
        """Put the reduced axes back, repeated."""
        kept = tuple(1 if axis in self.axes else n for axis, n in enumerate(shape))
        return expand(reshape(y, kept), shape)

    def vjp(
        self, cotangents: tuple[Any, ...], inputs: tuple[Any, ...], outputs: tuple[Any, ...]
    ) -> list[Any]:
        from tessella.primitives.elementwise import cast

        (x,), (y,) = inputs, outputs
        if not self.monoid.result(x.dtype).is_inexact:
            return [None]
        ct = self._restore(cotangents[0], x.shape)
        if self.monoid in (SUM, WIDE_SUM):
            return [cast(ct, x.dtype)]
        if self.monoid is PRODUCT:
            return [ct * self._product_of_others(x)]
        return [ct * self._shares(x, y)]

    def _shares(self, x: Any, y: Any) -> Any:
        """What each element has in the extreme: ties share equally."""
        from tessella.primitives.elementwise import cast, elementwise

        hit = elementwise("equal")(x, self._restore(y, x.shape))
        hit = cast(hit, dtypes.compute_dtype(x.dtype))  # half precision cannot count far
        return cast(hit / self._restore(sum_over(hit, self.axes), x.shape), x.dtype)

    def _product_of_others(self, x: Any) -> Any:
        """The product of all elements but this one, right for zeros too: running products."""
        from tessella.primitives.elementwise import cast
        from tessella.primitives.movement import Pad, Slice, flip, permute
        from tessella.primitives.scan import CumulativeProduct

        kept = tuple(axis for axis in range(len(x.shape)) if axis not in self.axes)
        order = kept + self.axes
        outer = tuple(x.shape[axis] for axis in kept)
        count = size_of(tuple(x.shape[axis] for axis in self.axes))
        if count == 0:
            return x
        # in half precision, what comes before may overflow where the product of all does not
        wide = cast(x, dtypes.compute_dtype(x.dtype))
        rows = reshape(permute(wide, order), (*outer, count))
        last = len(outer)
        zeros, ones = (0,) * last, (1,) * (last + 1)

        def before(rows: Any) -> Any:
            shorter = Slice((0,) * (last + 1), (*outer, count - 1), ones)(rows)
            first = Pad((*zeros, 1), (0,) * (last + 1), (0,) * (last + 1), 1.0)
            return CumulativeProduct(last)(first(shorter))

        others = before(rows) * flip(before(flip(rows, (last,))), (last,))
        inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
        shape = tuple(x.shape[axis] for axis in order)
        return cast(permute(reshape(others, shape), inverse), x.dtype)

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None or not self.monoid.result(x.dtype).is_inexact:
            return None
        if self.monoid in (SUM, WIDE_SUM):
            return self(t)
        if self.monoid is PRODUCT:
            return sum_over(t * self._product_of_others(x), self.axes)
        return sum_over(t * self._shares(x, self(x)), self.axes)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        return replace(self, axes=tuple(axis + 1 for axis in self.axes))(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(1)
        x = random.standard_normal((3, 4, 5))
        for monoid in (SUM, PRODUCT, MAXIMUM, MINIMUM):
            for axes in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
                yield Sample(cls(monoid, axes), (x,))
        for monoid in (ARGMAX, ARGMIN):
            yield Sample(cls(monoid, (1,)), (x,), differentiable=False)
        for monoid in (ANY, ALL):
            yield Sample(cls(monoid, (0,)), (x > 0,), differentiable=False)
        yield Sample(cls(WIDE_SUM, (1,)), (x,))
        yield Sample(cls(WIDE_SUM, (0,)), (np.full(100, 1000, np.float16),), False)
        yield Sample(cls(SUM, (1,)), (np.zeros((3, 0)),))
        yield Sample(cls(SUM, (0,)), (random.integers(0, 200, 1000).astype(np.uint8),), False)
        long = random.standard_normal(5000).astype(np.float32)
        yield Sample(cls(SUM, (0,)), (long,))
        yield Sample(cls(ARGMAX, (0,)), (long,), differentiable=False)


def chosen(mask: Any, x: Any) -> Any:
    """x where a mask says so, else 0, even for NaN."""
    from tessella.primitives.elementwise import elementwise

    return elementwise("select")(mask, x, x.__tessella_zero__())


def sum_over(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum over some axes (x itself if there are none)."""
    return Reduce(SUM, axes)(x) if axes else x


def neutral(monoid: Monoid, dtype: DType) -> tuple[Expression, ...]:
    """The neutral element as constants of the accumulator's dtypes."""
    values = zip(monoid.start(dtype), monoid.accumulator(dtype), strict=True)
    return tuple(constant(value, kind) for value, kind in values)

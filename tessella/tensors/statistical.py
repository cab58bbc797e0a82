"""Reductions and running reductions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, shown
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.primitives import monoid as monoids
from tessella.primitives import movement, scan
from tessella.primitives.base import normalise_axes, normalise_axis
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.function_reduce import FunctionReduce, monoid_of
from tessella.primitives.monoid import Monoid
from tessella.primitives.reduce import Reduce
from tessella.scalar.function import ScalarFunction, scalar_function
from tessella.sizes.size import for_all, for_this_call, is_symbolic
from tessella.tensors.creation import full
from tessella.tensors.elementwise import imag, not_equal, real, where, zip_with
from tessella.tensors.manipulation import concat, reshape
from tessella.tensors.operands import Axes, axes_of, with_fractions
from tessella.tensors.tensor import Tensor, apply
from tessella.tracebacks import users_frames

_squared_difference = Elementwise(
    ScalarFunction(lambda x, y: (x - y) * (x - y), "squared_difference")
)
# Both have infinite slopes at 0, of which nothing comes: equal numbers stay equal in any direction to
# first order, and what is -inf does not count in a sum of exponentials.
_deviation = Elementwise(
    ScalarFunction(
        math.sqrt, "deviation", ["x"], [lambda x: 0.0 if x == 0.0 else 0.5 / math.sqrt(x)]
    )
)
_log_of_sum = Elementwise(
    ScalarFunction(math.log, "log_of_sum", ["x"], [lambda x: 0.0 if x == 0.0 else 1.0 / x])
)


def _reduce(x: Tensor, monoid: Monoid, axis: Axes, keepdims: bool) -> Tensor:
    axes = normalise_axes(axis, x.ndim, monoid.name)
    result: Tensor = apply(Reduce(monoid, axes), (x,))
    return _restored(result, x, axes) if keepdims else result


def _restored(result: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
    return movement.reshape(result, kept)


@public
def sum(
    x: Tensor, /, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None
) -> Tensor:
    """The sum over axes (all by default); 0 for none.

    Dtypes: small integers are summed in 64 bits; half precision is accumulated in float32.

    >>> import tessella as ts
    >>> ts.sum(ts.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    if dtype is None:
        return _reduce(x, monoids.SUM, axis, keepdims)
    return _reduce(x.astype(dtype), monoids.SUM, axis, keepdims).astype(dtype)


@public
def prod(
    x: Tensor, /, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None
) -> Tensor:
    """The product over axes (all by default); 1 for none."""
    x = x if dtype is None else x.astype(dtype)
    result = _reduce(x, monoids.PRODUCT, axis, keepdims)
    return result if dtype is None else result.astype(dtype)


@public
def max(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest element along axes; NaN if there is one. Equal ones share the gradient.

    PyTorch's gives the places, too, if an axis is named; they are `argmax` here.
    """
    return _reduce(x, monoids.MAXIMUM, axis, keepdims)


@public
def min(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest element along axes; NaN if there is one. Equal ones share the gradient.

    PyTorch's gives the places, too, if an axis is named; they are `argmin` here.
    """
    return _reduce(x, monoids.MINIMUM, axis, keepdims)


@public
def any(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether some element along axes is true (not zero)."""
    return _reduce(x, monoids.ANY, axis, keepdims)


@public
def all(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether every element along axes is true (not zero)."""
    return _reduce(x, monoids.ALL, axis, keepdims)


def _argument(x: Tensor, monoid: Monoid, axis: int | None, keepdims: bool) -> Tensor:
    if axis is None:
        flat = apply(Reduce(monoid, (0,)), (reshape(x, (x.size,)),))
        return reshape(flat, (1,) * x.ndim) if keepdims else flat
    place = normalise_axis(axis, x.ndim, monoid.name)
    return _reduce(x, monoid, place, keepdims)


@public
def argmax(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element is (the first of equal ones; NaN counts as largest)."""
    return _argument(x, monoids.ARGMAX, axis, keepdims)


@public
def argmin(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element is (the first of equal ones; NaN counts as smallest)."""
    return _argument(x, monoids.ARGMIN, axis, keepdims)


def _inexact(x: Tensor, name: str) -> Tensor:
    if not x.dtype.is_inexact:
        raise DTypeError(
            f"{name}: {x.dtype.name} has no fractions; convert first: x.astype(ts.float32)"
        )
    return x


@public
def mean(
    x: Tensor, /, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None
) -> Tensor:
    """The arithmetic mean along axes; NaN of nothing.

    Dtypes: floating or complex; the same, unless another one is asked for. Half precision is added and
        counted in float32.
    """
    x = x if dtype is None else x.astype(dtype)
    count = _count(_inexact(x, "mean"), axis)
    total = _reduce(x, monoids.WIDE_SUM, axis, keepdims)
    result = total / (count if for_all(count) else math.nan)
    return result if total.dtype is x.dtype else result.astype(x.dtype)


def _count(x: Tensor, axis: Axes) -> Any:
    count = math.prod(x.shape[i] for i in axes_of(x, axis, "mean"))
    return count if is_symbolic(count) else float(count)


@public
def var(
    x: Tensor, /, axis: Axes = None, *, correction: float = 0.0, keepdims: bool = False,
    dtype: DTypeLike = None,
) -> Tensor:  # fmt: skip
    """The variance along axes, by two passes; divided by the count less `correction`.

    As in NumPy, `correction` is 0 if it is left out; in PyTorch it is 1 then.

    That of complex numbers is the variance of their real parts and that of their imaginary parts.

    Dtypes: floating or complex; the same, real. Half precision is computed in float32.
    """
    x = x if dtype is None else x.astype(dtype)
    if x.dtype.is_complex:
        parts = (real(x), imag(x))
        a, b = (var(part, axis=axis, correction=correction, keepdims=keepdims) for part in parts)
        return a + b
    wide = widened(_inexact(x, "var"))
    squares = apply(_squared_difference, (wide, mean(wide, axis=axis, keepdims=True)))
    count = _count(x, axis)
    total = sum(squares, axis=axis, keepdims=keepdims)
    result = total / (count - correction if for_this_call(count) > correction else math.nan)
    return result if wide is x else result.astype(x.dtype)


@public
def std(
    x: Tensor, /, axis: Axes = None, *, correction: float = 0.0, keepdims: bool = False,
    dtype: DTypeLike = None,
) -> Tensor:  # fmt: skip
    """The standard deviation along axes; its gradient for equal numbers is 0.

    As in NumPy, `correction` is 0 if it is left out; in PyTorch it is 1 then.

    Dtypes: floating or complex; the same, real. Half precision is computed in float32.
    """
    x = x if dtype is None else x.astype(dtype)
    wide = widened(x)
    spread = var(wide, axis=axis, correction=correction, keepdims=keepdims)
    result: Tensor = apply(_deviation, (spread,))
    return result if wide is x else result.astype(x.dtype)


@public
def logsumexp(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along axes, without overflow; -inf of nothing, or of nothing but -inf.

    Dtypes: floating, the same; integers are made float32. Half precision is computed in float32.

    >>> import tessella as ts
    >>> ts.logsumexp(ts.asarray([0.0, 0.0])), ts.logsumexp(ts.zeros(0))
    (tensor(0.6931), tensor(-inf))
    """
    x = with_fractions("logsumexp", x)
    wide = widened(x)
    axes = axes_of(x, axis, "logsumexp")
    if 0 in [x.shape[i] for i in axes]:
        result: Tensor = apply(_log_of_sum, (sum(wide, axis=axes, keepdims=keepdims),))
        return result.astype(x.dtype)
    top = max(wide, axis=axes, keepdims=True).detach()
    top = where(top - top == 0, top, 0.0)  # an infinite maximum would make NaN of itself
    total = sum((wide - top).exp(), axis=axes, keepdims=True)
    result = (apply(_log_of_sum, (total,)) + top).astype(x.dtype)
    kept = tuple([n for i, n in enumerate(x.shape) if i not in axes])
    return result if keepdims else reshape(result, kept)


def widened(x: Tensor) -> Tensor:
    """x as the dtype in which it is added up: half precision as float32, all else as it is."""
    return x.astype(x.dtype.compute) if x.dtype.is_narrow else x


@public
def count_nonzero(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """How many elements along axes are not zero."""
    return sum(x != 0, axis=axis, keepdims=keepdims)


def narrowed(result: Tensor, *operands: Tensor) -> Tensor:
    """What was computed of `widened` operands, rounded to their half precision if they have one."""
    kind = dtypes.promote(*[x.dtype for x in operands])
    return result.astype(kind) if kind.is_narrow else result


def _scan(x: Tensor, kind: Any, axis: int | None, name: str) -> Tensor:
    if axis is None:
        if x.ndim != 1:
            raise ArgumentError(f"{name}: shape {x.shape}; say along which axis")
        axis = 0
    return apply(kind(normalise_axis(axis, x.ndim, name)), (x,))


@public
def cumulative_sum(
    x: Tensor, /, axis: int | None = None, *, dtype: DTypeLike = None, include_initial: bool = False
) -> Tensor:
    """Running sums along an axis.

    >>> import tessella as ts
    >>> ts.cumulative_sum(ts.asarray([1.0, 2.0, 3.0]))
    tensor([1., 3., 6.])
    """
    x = x if dtype is None else x.astype(dtype)
    result = _scan(x, scan.CumulativeSum, axis, "cumulative_sum")
    return _with_initial(result, axis, 0) if include_initial else result


@public
def cumulative_prod(
    x: Tensor, /, axis: int | None = None, *, dtype: DTypeLike = None, include_initial: bool = False
) -> Tensor:
    """Running products along an axis."""
    x = x if dtype is None else x.astype(dtype)
    result = _scan(x, scan.CumulativeProduct, axis, "cumulative_prod")
    return _with_initial(result, axis, 1) if include_initial else result


def _with_initial(result: Tensor, axis: int | None, value: int) -> Tensor:
    place = normalise_axis(axis or 0, result.ndim, "scan")
    shape = tuple(1 if i == place else n for i, n in enumerate(result.shape))
    return concat([full(shape, value, dtype=result.dtype), result], axis=place)


@public
def cumulative_max(x: Tensor, /, axis: int | None = None) -> Tensor:
    """Running maxima along an axis."""
    return _scan(x, scan.CumulativeMaximum, axis, "cumulative_max")


@public
def cumulative_min(x: Tensor, /, axis: int | None = None) -> Tensor:
    """Running minima along an axis."""
    return _scan(x, scan.CumulativeMinimum, axis, "cumulative_min")


@public
def reduce(function: Callable[..., Any], start: float | None = None, /) -> Callable[..., Tensor]:
    """A reduction from a scalar function of your own, of two numbers.

    Elements are combined in any order and grouping, so the function must be associative and
    commutative. `start` counts once, as in `functools.reduce`, and is the result for no elements;
    without it there must be some.

    Raises:
        ArgumentError: there is nothing to reduce, and no start.

    >>> import tessella as ts
    >>> longest = ts.reduce(lambda x, y: x if x > y else y, -1.0)
    >>> longest(ts.asarray([[1.0, 5.0], [3.0, 2.0]]), axis=1)
    tensor([5., 3.])
    """
    scalar = scalar_function(function)
    if scalar.arity != 2:
        raise ArgumentTypeError(
            f"reduce: {scalar.name} takes {scalar.arity} numbers; expected a function of two"
        )
    monoid = monoid_of(scalar)
    combine = zip_with(scalar)
    usual = functools.cache(functools.partial(_usual_reduction, scalar))  # by dtype

    @public
    @users_frames
    def reduced(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
        axes = axes_of(x, axis, monoid.name)
        if 0 in [x.shape[i] for i in axes]:
            if start is None:
                raise ArgumentError(
                    f"reduce: shape {x.shape} has no elements along {axes}; give a start, which is "
                    f"the result then: ts.reduce({scalar.name}, 0.0)"
                )
            kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
            result = full(kept, start, dtype=x.dtype)
        else:
            known, neutral = usual(x.dtype)
            reduction = (
                FunctionReduce(monoid, axes, scalar) if known is None else Reduce(known, axes)
            )
            result = apply(reduction, (x,))
            if start is not None and start != neutral:
                result = combine(start, result)
        return _restored(result, x, axes) if keepdims else result

    return reduced


def _usual_reduction(function: ScalarFunction, dtype: DType) -> tuple[Monoid | None, float | None]:
    """The sum or product, with its neutral element, if a function of two numbers is that; else None."""
    if dtype.is_inexact and not dtype.is_complex:  # sums of integers have another dtype
        kinds = (dtype, dtype)
        x, y = function.variables(kinds)
        meaning = function.expression(kinds)  # expressions of equal structure are one object
        if meaning is x + y or meaning is y + x:
            return monoids.SUM, 0.0
        if meaning is x * y or meaning is y * x:
            return monoids.PRODUCT, 1.0
    return None, None


_MOST_DIFFERENCES, _SOME = 1 << 20, 64


@public
def diff(
    x: Tensor, /, *, n: int = 1, axis: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The differences of neighbours along an axis, n times over.

    Shapes: the axis becomes n shorter (not below 0).

    Raises:
        ArgumentError: n is no whole number, or more than 2^20, which no axis of that use has.

    >>> import tessella as ts
    >>> diff(ts.asarray([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    if not isinstance(n, int) or not 0 <= n <= _MOST_DIFFERENCES:
        raise ArgumentError(
            f"diff: n is {shown(n)}; expected a whole number of at least 0 and at most {_MOST_DIFFERENCES:,}"
        )
    place = normalise_axis(axis, x.ndim, "diff")
    parts = [part for part in (prepend, x, append) if part is not None]
    x = concat(parts, axis=place) if len(parts) > 1 else x
    before = (slice(None),) * place
    for turn in range(n):
        if turn > _SOME and not x.shape[place]:
            break  # nothing is left
        later, earlier = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = not_equal(later, earlier) if x.dtype.is_bool else later - earlier
    return x

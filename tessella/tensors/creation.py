"""Making tensors from data and from nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tessella import dtypes
from tessella.arguments import public, was_refused
from tessella.arguments.kinds import (
    PLAIN,
    Device,
    DTypeLike,
    ShapeLike,
    is_of_64_bits,
    register,
    shown,
)
from tessella.devices.array import (
    check_count,
    check_shape,
    contiguous_layout,
    from_numpy,
    plain_ndarray,
    why_not_shared,
    write,
)
from tessella.devices.array import empty as empty_array
from tessella.devices.registry import host
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.primitives.generate import Iota
from tessella.sizes.size import INTEGERS, as_integer, for_all, is_symbolic
from tessella.tensors.interchange import from_dlpack, ndarray_of
from tessella.tensors.manipulation import broadcast_to, reshape, stack, swapaxes
from tessella.tensors.operands import fitting
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import (
    Number,
    Tensor,
    apply,
    filled,
    from_array,
    from_ndarray,
    is_traced,
)


def tracked(made: Tensor, requires_grad: bool) -> Tensor:
    """What was made, as a leaf that requires a gradient if that was asked for."""
    return made.requires_grad_() if requires_grad else made


@public
def asarray(
    obj: Any, /, *, dtype: DTypeLike = None, device: Device = None, copy: bool | None = None
) -> Tensor:
    """A tensor from numbers, nested sequences, NumPy arrays, or anything with DLPack.

    Data is copied, unless `copy=False`: then it is shared, or an error says why it cannot be. A tensor is
    given back as it is, unless `copy=True` or another dtype is asked for.
    Python floats become float32, integers int64; NumPy arrays and tensors keep their dtype, and in a
    sequence of several kinds Python floats take that of the tensors and arrays beside them.

    >>> asarray([[1, 2], [3, 4]]).dtype
    tessella.int64
    >>> asarray([1.0, 2.0])
    tensor([1., 2.])
    """
    target = None if dtype is None else as_dtype(dtype)
    if copy is False:
        return _shared(obj, target)
    if isinstance(obj, Tensor):
        result = obj if device is None else obj.to_device(device)
        result = result if target is None else result.astype(target)
        return result.copy() if copy and result is obj else result
    bind = getattr(type(obj), "__tessella_operand__", None)
    if bind is not None:  # a number among the arguments of a traced function
        return asarray(bind(obj, None), dtype=dtype)
    if isinstance(obj, (list, tuple)) and _is_alive(obj):
        return _stacked(obj, _dtype_of_stacked(obj) if target is None else target)
    data = _as_numpy(obj, target)
    if is_traced() and not isinstance(obj, (np.generic, *PLAIN)):  # memory that others may write to
        traced = from_ndarray(data)
        return traced if target is None else traced.astype(target)
    if target is not None and data.dtype != target.numpy:
        if data.dtype.kind == "c" and not (target.is_complex or target.is_bool):
            raise DTypeError(
                f"asarray: complex numbers were given for {target.name}, which would lose their imaginary parts; "
                "take x.real first, or a complex dtype"
            )
        if target.is_integer and data.dtype.kind in "iuf" and not _holds_numpy(obj):
            _check_fits(data, target)
        with np.errstate(all="ignore"):
            data = data.astype(target.numpy)
    return from_array(from_numpy(data, copy=True))


def converted(value: Any, like: Sequence[Tensor]) -> Tensor | None:
    """What can become a tensor without a guess, as one; None for all else.

    Python floats take the dtype of the tensors beside them, if those have fractions.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview, type)):
        return None
    if not (isinstance(value, _CONVERTED) or _speaks(value)):
        return None
    made = asarray(value)
    beside = [x.dtype for x in like if x.dtype.is_inexact]
    if not beside or not made.dtype.is_inexact or _holds_dtypes(value):
        return made
    kind = dtypes.python_scalar_dtype(1j if made.dtype.is_complex else 1.0, dtypes.promote(*beside))
    return made if kind is made.dtype else asarray(value, dtype=kind)


def _holds_dtypes(value: Any) -> bool:
    """Whether there is anything but Python's numbers in it."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_dtypes, value))
    return not isinstance(value, (bool, int, float, complex)) or isinstance(value, np.generic)


_CONVERTED = (np.ndarray, np.generic, bool, int, float, complex, list, tuple)


def _speaks(value: Any) -> bool:
    """Whether an object can say what its numbers are; ours are asked for by their class, as Python does it."""
    is_ours = hasattr(type(value), "__tessella_operand__")
    return is_ours or any(hasattr(value, name) for name in ("__dlpack__", "__array__"))


register(Tensor, converted)


def _shared(obj: Any, target: DType | None) -> Tensor:
    """A tensor on the memory of an object.

    Raises:
        ArgumentError: it cannot be without a copy.
    """
    if isinstance(obj, Tensor):
        found = obj
    elif isinstance(obj, np.ndarray):
        why = why_not_shared(_supported(obj))
        if why:
            raise _needs_a_copy(f"the array cannot be shared: {why}")
        found = from_array(from_numpy(obj))
    elif isinstance(obj, np.generic) or hasattr(type(obj), "__tessella_operand__"):
        raise _needs_a_copy("a number has no memory that a tensor could share")
    elif hasattr(obj, "__dlpack__"):
        found = from_dlpack(obj, copy=False)
    elif hasattr(obj, "__array__"):
        try:
            return _shared(np.asarray(obj, copy=False), target)
        except ValueError as error:
            raise _needs_a_copy(f"{type(obj).__name__}: {error}") from None
    else:
        raise _needs_a_copy(f"a {type(obj).__name__} has no memory that a tensor could share")
    if target is not None and found.dtype is not target:
        raise _needs_a_copy(f"{found.dtype.name} to {target.name}")
    return found


def _needs_a_copy(why: str) -> ArgumentError:
    return ArgumentError(f"asarray: {why}, and copy=False was given; leave it out for a copy")


@public
def tensor(
    data: Any, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor with a copy of the data, as `repr` prints tensors.

    >>> tensor([1.0, 2.0], requires_grad=True)
    tensor([1., 2.], requires_grad=True)
    """
    return tracked(asarray(data, dtype=dtype, device=device, copy=True).detach(), requires_grad)


def _as_numpy(obj: Any, target: DType | None) -> np.ndarray[Any, Any]:
    if isinstance(obj, (np.ndarray, np.generic)):
        return _supported(obj)
    if isinstance(obj, type):  # whose objects may speak DLPack
        raise ArgumentTypeError(f"asarray: obj is {shown(obj)}; numbers were expected")
    if hasattr(obj, "__dlpack__") and not isinstance(obj, (list, tuple)):
        return ndarray_of(obj)
    if hasattr(obj, "__array__"):
        return _supported(told_by_itself(obj))
    found: set[np.dtype[Any]] = set()
    obj = _plain(obj, found)
    try:
        data = np.asarray(obj)
    except ValueError as error:
        raise ArgumentError(f"asarray: the nested lists are not a box: {error}") from None
    except OverflowError as error:
        raise ArgumentError(f"asarray: {error}") from None
    if data.dtype == object or data.dtype.kind in "USMm":
        raise ArgumentTypeError(f"asarray: {_no_number(obj)}; numbers were expected")
    if target is None and data.dtype.kind in "fc":
        if not found and data.dtype.kind == "f" and _are_large_integers(obj, data):
            return _unsigned(obj)
        with np.errstate(over="ignore"):  # what is too large is infinite, as in any computation
            return data.astype(_common(data.dtype.kind, found).numpy, copy=False)
    if target is None and data.dtype.kind in "iu":
        return _stored(data, found)
    return data


def told_by_itself(obj: Any) -> np.ndarray[Any, Any]:
    """What `__array__` of an object gives.

    Raises:
        ArgumentTypeError: that is no array. (What goes wrong inside of it is the object's own matter.)
    """
    try:
        found = obj.__array__() if callable(obj.__array__) else obj.__array__
    except TypeError as error:
        if was_refused(error):
            raise ArgumentTypeError(
                f"asarray: __array__ of {shown(obj)} cannot be called as it is: {error}"
            ) from None
        raise
    if not isinstance(found, np.ndarray):
        raise ArgumentTypeError(
            f"asarray: __array__ of {shown(obj)} gives {shown(found)}; expected a NumPy array"
        )
    return found


def _no_number(obj: Any, place: str = "") -> str:
    """What in nested sequences is no number of any dtype, in words."""
    if isinstance(obj, (list, tuple)):
        inner = f" in a {type(obj).__name__}"
        return next((said for item in obj if (said := _no_number(item, inner))), "")
    if isinstance(obj, int):
        return "" if is_of_64_bits(obj) else f"{shown(obj)}{place} has more than 64 bits"
    if isinstance(obj, (float, complex, np.number, np.bool_)):
        return ""
    return f"{shown(obj)}{place} cannot become a tensor"


def _are_large_integers(obj: Any, data: np.ndarray[Any, Any]) -> bool:
    """Whether whole numbers, which NumPy made floats of, are too large for int64 and meant exactly."""
    return bool(data.size) and bool(np.max(np.abs(data)) >= -dtypes.int64.low) and _is_whole(obj)


def _is_whole(obj: Any) -> bool:
    return all(map(_is_whole, obj)) if isinstance(obj, (list, tuple)) else isinstance(obj, int)


def _unsigned(obj: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(obj, np.uint64)
    except OverflowError:
        raise ArgumentError(
            "asarray: the whole numbers lie both below 0 and beyond int64, and no dtype holds them all exactly; give "
            "dtype=ts.float64 for the nearest ones"
        ) from None


def _common(kind: str, found: set[np.dtype[Any]]) -> DType:
    """The dtype of fractions: that of the tensors and arrays among them, to which numbers adapt."""
    common = dtypes.promote(*map(as_dtype, found)) if found else default_float()
    return dtypes.python_scalar_dtype(1j if kind == "c" else 1.0, common)


def _stored(data: np.ndarray[Any, Any], found: set[np.dtype[Any]]) -> np.ndarray[Any, Any]:
    """Whole numbers, in the storage dtype of the tensors and arrays among them, if they have one."""
    kinds = [as_dtype(kind) for kind in found]
    if not any(kind.is_storage for kind in kinds):
        return data
    common = dtypes.promote(*kinds)
    _check_fits(data, common)
    return data.astype(common.numpy)


def _supported(data: np.ndarray[Any, Any] | np.generic) -> np.ndarray[Any, Any]:
    as_dtype(data.dtype)  # complains about what we have no dtype for
    return plain_ndarray(data)


def _check_fits(data: np.ndarray[Any, Any], target: DType) -> None:
    """Python numbers are exact: none of them is wrapped around, and NaN is no integer."""
    if not data.size:
        return
    low, high = data.min().item(), data.max().item()
    if not (target.low <= low and high < target.high + 1):
        raise ArgumentError(
            f"asarray: numbers from {low} to {high} do not fit in {target.name} "
            f"({target.low} to {target.high}); take a wider dtype"
        )


_DEEPEST = 64  # as in NumPy
_NUMBERS = {float, int, bool, complex}  # most lists hold nothing else, which is seen at once


def _check_depth(depth: int) -> None:
    if depth == _DEEPEST:
        raise ArgumentError(
            f"asarray: lists are nested more than {_DEEPEST} deep; a tensor has no more axes"
        )


def _plain(obj: Any, found: set[np.dtype[Any]], depth: int = 0) -> Any:
    """Nested sequences with tensors in them, as NumPy understands them; `found` gets their dtypes."""
    if type(obj) is float or type(obj) is int:  # as most of it is
        return obj
    if isinstance(obj, (list, tuple)):
        _check_depth(depth)
        if set(map(type, obj)) <= _NUMBERS:
            return obj
        return [_plain(item, found, depth + 1) for item in obj]
    if isinstance(obj, Tensor):
        obj = obj.numpy()
    if isinstance(obj, (np.ndarray, np.generic)):
        found.add(obj.dtype)
        obj = plain_ndarray(obj)
        if obj.dtype.kind == "V":  # of ml_dtypes, which NumPy does not combine with its own numbers
            return obj.astype(as_dtype(obj.dtype).compute.numpy)
    return obj


def _is_alive(obj: Any, depth: int = 0) -> bool:
    """Whether there is more to something in nested sequences than its numbers of now.

    That is the history of a tensor; and while a function is traced, every tensor, and memory that others may write to.
    """
    if type(obj) is float or isinstance(obj, (int, np.generic)):
        return False
    if isinstance(obj, (list, tuple)):
        _check_depth(depth)
        if set(map(type, obj)) <= _NUMBERS:
            return False
        return any(_is_alive(item, depth + 1) for item in obj)
    if isinstance(obj, Tensor):
        return obj.requires_grad or is_traced()
    if hasattr(type(obj), "__tessella_operand__"):  # a size, or a number of a traced function
        return True
    return is_traced() and any(hasattr(obj, name) for name in ("__dlpack__", "__array__"))


def _dtype_of_stacked(obj: Any) -> DType:
    """The dtype that nested sequences get: that of what stands for their tensors and numbers."""
    found: list[Any] = []

    def look(item: Any, depth: int) -> None:
        if isinstance(item, (list, tuple)):
            _check_depth(depth)
            for inner in item:
                look(inner, depth + 1)
        else:
            known = type(item) in PLAIN
            found.append(item if known else np.zeros((), asarray(item).dtype.numpy))

    look(obj, 0)
    return as_dtype(_as_numpy(found, None).dtype)


def _stacked(obj: Any, dtype: DType, depth: int = 0) -> Tensor:
    """Nested sequences put together by operations, which gradients pass through and traces see."""
    if not isinstance(obj, (list, tuple)):
        made = asarray(obj, dtype=dtype) if type(obj) in PLAIN else asarray(obj)
        return made if made.dtype is dtype else made.astype(dtype)
    if not obj:
        return filled(0, (0,), dtype)
    _check_depth(depth)
    parts = [_stacked(item, dtype, depth + 1) for item in obj]
    shapes = {part.shape: None for part in parts}
    if len(shapes) > 1:
        raise ArgumentError(
            f"asarray: the nested lists are not a box: beside each other are the shapes {', '.join(map(str, shapes))}"
        )
    return stack(parts)


def _holds_numpy(obj: Any) -> bool:
    while isinstance(obj, (list, tuple)):
        if not obj:
            return False
        obj = obj[0]
    return isinstance(obj, (np.ndarray, np.generic))


@public
def full(
    shape: ShapeLike, fill_value: Number, *, dtype: DTypeLike = None, device: Device = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of one value.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    bind = getattr(type(fill_value), "__tessella_operand__", None)
    if bind is not None:  # a number among the arguments of a traced function
        made = broadcast_to(
            asarray(bind(fill_value, None), dtype=dtype), check_shape(shape, "full")
        )
        return tracked(made, requires_grad)
    if isinstance(fill_value, Tensor):
        made = broadcast_to(asarray(fill_value, dtype=dtype), check_shape(shape, "full"))
        return tracked(made.copy(), requires_grad)
    kind = _dtype_of_number(fill_value) if dtype is None else as_dtype(dtype)
    return tracked(
        filled(fitting(fill_value, kind), check_shape(shape, "full"), kind), requires_grad
    )


def _dtype_of_number(value: Any) -> DType:
    if type(value) in (float, complex):
        return dtypes.python_scalar_dtype(value, default_float())
    return as_dtype(type(value))


@public
def zeros(
    shape: ShapeLike, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros (float32 by default)."""
    kind = as_dtype(dtype or default_float())
    return tracked(filled(0, check_shape(shape, "zeros"), kind), requires_grad)


@public
def ones(
    shape: ShapeLike, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ones (float32 by default)."""
    kind = as_dtype(dtype or default_float())
    return tracked(filled(1, check_shape(shape, "ones"), kind), requires_grad)


@public
def empty(
    shape: ShapeLike, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A tensor whose elements are whatever was in memory."""
    kind = as_dtype(dtype or default_float())
    made = from_array(empty_array(contiguous_layout(check_shape(shape, "empty"), kind)))
    return tracked(made, requires_grad)


@public
def zeros_like(
    x: Tensor, /, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of x's shape and dtype."""
    return zeros(x.shape, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad)


@public
def ones_like(
    x: Tensor, /, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Ones of x's shape and dtype."""
    return ones(x.shape, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad)


@public
def empty_like(
    x: Tensor, /, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of x's shape and dtype with unknown elements."""
    return empty(x.shape, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad)


@public
def full_like(
    x: Tensor, /, fill_value: Number, *, dtype: DTypeLike = None, device: Device = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """One value in x's shape and dtype."""
    return full(
        x.shape, fill_value, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad
    )


@public
def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: DTypeLike = None,
    device: Device = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below stop.

    In an integer dtype start and start + step are cut off towards zero first, and go on from there by their
    difference, as in NumPy: `arange(0, 2, 0.5, dtype=int64)` is four zeros. How many there are is decided
    by the numbers as they are given.

    Raises:
        ArgumentError: start or start + step does not fit in the dtype.

    >>> arange(3)
    tensor([0, 1, 2])
    >>> arange(1.7, 5, 1.5, dtype=dtypes.int32)
    tensor([1, 3, 5], dtype=int32)
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ArgumentError("arange: step is 0; the range would never end")
    symbolic = any(is_symbolic(number) for number in (start, stop, step))
    if not symbolic and not all(math.isfinite(number) for number in (start, stop, step)):
        raise ArgumentError(f"arange: from {start} to {stop} by {step}; expected finite numbers")
    kind = as_dtype(dtype) if dtype is not None else _range_dtype(start, stop, step)
    whole = symbolic and all(isinstance(number, INTEGERS) for number in (start, stop, step))
    if not symbolic and not math.isfinite((stop - start) / step):
        raise ArgumentError(
            f"arange: from {start} to {stop} by {step} are more numbers than can be counted; give a larger step"
        )
    count: Any = -((start - stop) // step) if whole else math.ceil((stop - start) / step)
    count = count if for_all(count) > 0 else 0
    if kind.is_integer and not symbolic:
        start, step = _whole_steps(start, step, count, kind)
    if is_traced() and (kind.is_integer or whole):
        counted: Tensor = apply(Iota(count, kind), (filled(0, (), kind),))
        counted = counted if step == 1 else counted * as_integer(step)
        counted = counted if start == 0 else counted + as_integer(start)
        return tracked(counted, requires_grad)
    result = empty_array(contiguous_layout((count,), kind))
    if count:
        with host().memory_for(24 * count):  # NumPy counts, multiplies and adds
            write(result, _counting(start, step, count, kind))
    return tracked(from_array(result), requires_grad)


def _whole_steps(start: float, step: float, count: int, kind: DType) -> tuple[int, int]:
    """The first integer of a range and the way to the next one, both within the dtype's bits."""
    first, second = int(start), int(start + step)
    for number in (first, second)[:count]:
        if not kind.low <= number <= kind.high:
            raise ArgumentError(
                f"arange: {number} does not fit in {kind.name} ({kind.low} to {kind.high}); take a "
                "wider dtype"
            )
    return first, _wrapped(second - first, kind)


def _wrapped(number: int, kind: DType) -> int:
    """A number as the integers of a dtype have it, which go on with the least after the largest."""
    return (number - kind.low) % 2**kind.bits + kind.low


def _counting(start: float, step: float, count: int, kind: DType) -> np.ndarray[Any, Any]:
    """start + step i; integers wrap around in their dtype, as the compiled ones do."""
    if not kind.is_integer:
        far = max(abs(start), abs(step)) >= 2**63  # no integers of NumPy's
        start, step = (float(start), float(step)) if far else (start, step)
        return (start + step * np.arange(count)).astype(kind.numpy)
    turns = np.arange(count).astype(kind.numpy)
    first, way = (np.asarray(number).astype(kind.numpy) for number in (start, step))
    with np.errstate(over="ignore"):
        counted: np.ndarray[Any, Any] = first + way * turns
    return counted


def _range_dtype(*numbers: float) -> DType:
    whole = all(isinstance(number, INTEGERS) for number in numbers)
    return dtypes.DEFAULT_INT if whole else default_float()


@public
def linspace(
    start: float, stop: float, /, num: int, *, dtype: DTypeLike = None, device: Device = None,
    endpoint: bool = True, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`num` evenly spaced numbers from start to stop.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    num = check_count(num, "linspace", "num")
    kind = as_dtype(dtype or default_float())
    # what is too large is infinite, as in any computation
    with host().memory_for(8 * num), np.errstate(over="ignore", invalid="ignore"):
        values = np.linspace(float(start), float(stop), num, endpoint=endpoint).astype(kind.numpy)
    return tracked(from_array(from_numpy(values, copy=True)), requires_grad)


@public
def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DTypeLike = None,
    device: Device = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on diagonal k, zeros elsewhere.

    >>> eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    shape = check_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    kind = as_dtype(dtype or default_float())
    with host().memory_for(math.prod(shape) * kind.itemsize):
        values = np.eye(n_rows, n_cols, k, dtype=kind.numpy)
    return tracked(from_array(from_numpy(values, copy=True)), requires_grad)


@public
def meshgrid(*arrays: Tensor, indexing: Literal["xy", "ij"] = "xy") -> list[Tensor]:
    """Coordinate matrices from coordinate vectors."""
    for x in arrays:
        if x.ndim != 1:
            raise ArgumentError(f"meshgrid: shape {x.shape}; expected vectors")
    if len({x.dtype for x in arrays}) > 1:
        raise DTypeError("meshgrid: the vectors must have one dtype")
    sizes = tuple(x.size for x in arrays)
    grids = [
        broadcast_to(reshape(x, (1,) * i + (-1,) + (1,) * (len(sizes) - i - 1)), sizes)
        for i, x in enumerate(arrays)
    ]
    return [swapaxes(g, 0, 1) for g in grids] if indexing == "xy" and len(grids) > 1 else grids

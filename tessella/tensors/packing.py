"""Several numbers to a byte: how files and kernels keep what has four or two bits.

A tensor of a storage dtype has a byte for each number, as `ml_dtypes` has it: it can be indexed, cut and joined
like any other. Packed it is a tensor of bytes, with the first number in the lowest bits, as ONNX and PyTorch
(`float4_e2m1fn_x2`) have it.
"""

from __future__ import annotations

import functools

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike
from tessella.dtypes import DType, as_dtype
from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.expression import Expression, applied
from tessella.scalar.function import ScalarFunction
from tessella.scalar.operators import bitcast_operator
from tessella.tensors.manipulation import moveaxis, pad, reshape, stack
from tessella.tensors.tensor import Tensor, apply


@public
def pack(x: Tensor, /, *, axis: int = -1) -> Tensor:
    """The numbers of an axis, two or four to a byte; the first of them has the lowest bits.

    Shapes: the axis has `ceil(size * bits / 8)` bytes; what is over in the last one is 0.
    Dtypes: int4, uint4, float4_e2m1fn, int2, uint2; uint8 comes out.

    Raises:
        DTypeError: numbers of another dtype, of which no whole number fills a byte.
        AxisError: there is no such axis.

    >>> import tessella as ts
    >>> x = ts.asarray([1, 2, -1], dtype=ts.int4)
    >>> pack(x)
    tensor([33, 15], dtype=uint8)
    >>> unpack(pack(x), ts.int4, 3)
    tensor([ 1,  2, -1], dtype=int4)
    """
    each = _per_byte("pack", x.dtype)
    axis = normalise_axis(axis, x.ndim, "pack")
    bits = moveaxis(apply(_bits_of(x.dtype), (x,)), axis, -1)
    over = -bits.shape[-1] % each
    if over:
        bits = pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, over)])
    packed = bits[..., ::each]
    for place in range(1, each):
        packed = packed | bits[..., place::each] << place * x.dtype.bits
    return moveaxis(packed, -1, axis)


@public
def unpack(x: Tensor, dtype: DTypeLike, size: int | None = None, /, *, axis: int = -1) -> Tensor:
    """The numbers of a dtype that `pack` has put into bytes.

    Args:
        size: how many there are along the axis; all that the bytes hold, if it is left out.

    Shapes: the axis has `size` numbers, of `x.shape[axis] * 8 / bits`.
    Dtypes: uint8; int4, uint4, float4_e2m1fn, int2 or uint2 comes out.

    Raises:
        DTypeError: x is not of uint8, or numbers of the dtype do not fill a byte.
        ShapeError: the bytes do not hold so many.
        AxisError: there is no such axis.
    """
    kind = as_dtype(dtype)
    each = _per_byte("unpack", kind)
    if x.dtype is not dtypes.uint8:
        raise DTypeError(f"unpack: x is {x.dtype.name}; expected uint8, as ts.pack gives it")
    axis = normalise_axis(axis, x.ndim, "unpack")
    held = x.shape[axis] * each
    if size is not None and not 0 <= size <= held:
        raise ShapeError(
            f"unpack: size is {size}; {x.shape[axis]} bytes hold {held} numbers of {kind.name}"
        )
    last = moveaxis(x, axis, -1)
    numbers = stack([last >> place * kind.bits for place in range(each)], axis=-1)
    numbers = reshape(apply(_of_bits(kind), (numbers,)), (*last.shape[:-1], held))
    return moveaxis(numbers if size is None else numbers[..., :size], -1, axis)


def _per_byte(name: str, kind: DType) -> int:
    """How many numbers of a dtype a byte holds."""
    if not kind.is_storage or kind.bits > 4:
        raise DTypeError(
            f"{name}: {kind.name} was given; expected one of int4, uint4, float4_e2m1fn, int2, uint2"
        )
    return 8 // kind.bits


@functools.cache
def _bits_of(kind: DType) -> Elementwise:
    """From numbers to their bits, as uint8."""

    def bits(x: Expression) -> Expression:
        return applied(bitcast_operator, (x,), static=dtypes.uint8) & (1 << kind.bits) - 1

    bits.makes_expression = True  # type: ignore[attr-defined]
    return Elementwise(ScalarFunction(bits, f"bits_of_{kind.name}", ("x",)))


@functools.cache
def _of_bits(kind: DType) -> Elementwise:
    """From bits, as uint8, to the numbers; what lies above them goes."""

    def number(x: Expression) -> Expression:
        return applied(bitcast_operator, (x & (1 << kind.bits) - 1,), static=kind)

    number.makes_expression = True  # type: ignore[attr-defined]
    return Elementwise(ScalarFunction(number, f"{kind.name}_of_bits", ("x",)))


__all__ = ["pack", "unpack"]

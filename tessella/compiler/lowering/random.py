"""Random bits and counting: what an element is follows from where it is."""

from __future__ import annotations

import functools

from tessella import dtypes
from tessella.compiler.lowering.kernels import call, decode, dot, lanes_of, sizes, values
from tessella.compiler.recipe import RESULT, Recipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.primitives.base import Spec, size_of
from tessella.primitives.generate import Iota
from tessella.primitives.random import RandomBits, threefry
from tessella.scalar import operators
from tessella.scalar.expression import Expression


def bits(primitive: RandomBits, layouts: list[Layout], result: Spec) -> Recipe:
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    *keys, _ = layouts[0].shape
    *strides, stride = layouts[0].strides
    count = size_of(tuple(keys))
    numbers = {"n": out.size // count, "stride": stride}
    if not keys:
        return Recipe(out, (call(_bits_kernel(), numbers, out.size, 12 * out.size, 0, RESULT),))
    numbers |= values("k", keys) | values("s", strides)
    kernel = _keyed_kernel(len(keys))
    return Recipe(out, (call(kernel, numbers, count, 12 * out.size, 0, RESULT),))


@functools.cache
def _bits_kernel() -> Kernel:
    key, out = Pointer("key", dtypes.uint32), Pointer("out", dtypes.uint32, written=True)
    i, n, stride = index_variable("i"), index_variable("n"), index_variable("stride")
    word = bits_at(i, load(key, 0), load(key, stride))
    body = Loop(i, n, (Store(out, i, word),), parallel=True, lanes=lanes_of(dtypes.uint32))
    return Kernel("random_bits", (key, out), (n, stride), (body,))


@functools.cache
def _keyed_kernel(rank: int) -> Kernel:
    """Many keys, with the same number of bits for each."""
    keys, out = Pointer("keys", dtypes.uint32), Pointer("out", dtypes.uint32, written=True)
    i, row = index_variable("i"), index_variable("row")
    n, stride = index_variable("n"), index_variable("stride")
    extents, strides = sizes("k", rank), sizes("s", rank)
    place = dot(decode(row, extents), strides)
    word = bits_at(i, load(keys, place), load(keys, place + stride))
    inside = Loop(i, n, (Store(out, row * n + i, word),), lanes=lanes_of(dtypes.uint32))
    body = Loop(row, None, (inside,), parallel=True)
    return Kernel("random_bits", (keys, out), (n, stride, *extents, *strides), (body,))


def bits_at(i: Expression, first: Expression, second: Expression) -> Expression:
    """The bits of element i for a key of two words."""
    low = operators.convert(i, dtypes.uint32)
    high = operators.convert(i >> 32, dtypes.uint32)
    word, _ = threefry((first, second), (low, high))
    found: Expression = word
    return found


def iota(primitive: Iota, layouts: list[Layout], result: Spec) -> Recipe:
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    return Recipe(
        out, (call(_iota_kernel(primitive.dtype), {"n": out.size}, out.size, out.size, RESULT),)
    )


@functools.cache
def _iota_kernel(dtype: DType) -> Kernel:
    out = Pointer("out", dtype, written=True)
    i, n = index_variable("i"), index_variable("n")
    body = Loop(i, n, (Store(out, i, operators.convert(i, dtype)),), parallel=True, lanes=16)
    return Kernel("iota", (out,), (n,), (body,))

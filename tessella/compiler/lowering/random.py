"""Random bits and counting: what an element is follows from where it is."""

from __future__ import annotations

import functools

from tessella import dtypes
from tessella.backends.array import Layout, contiguous_layout
from tessella.backends.loops import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.compiler.lowering.kernels import call, lanes_of
from tessella.compiler.recipe import RESULT, Recipe
from tessella.dtypes import DType
from tessella.primitives.base import Spec
from tessella.primitives.generate import Iota
from tessella.primitives.random import RandomBits, threefry
from tessella.scalar import operators


def bits(primitive: RandomBits, layouts: list[Layout], result: Spec) -> Recipe:
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    numbers = {"n": out.size, "stride": layouts[0].strides[0]}
    return Recipe(out, (call(_bits_kernel(), numbers, out.size, 12 * out.size, 0, RESULT),))


@functools.cache
def _bits_kernel() -> Kernel:
    key, out = Pointer("key", dtypes.uint32), Pointer("out", dtypes.uint32, written=True)
    i, n, stride = index_variable("i"), index_variable("n"), index_variable("stride")
    low = operators.convert(i, dtypes.uint32)
    high = operators.convert(i >> 32, dtypes.uint32)
    word, _ = threefry((load(key, 0), load(key, stride)), (low, high))
    body = Loop(i, n, (Store(out, i, word),), parallel=True, lanes=lanes_of(dtypes.uint32))
    return Kernel("random_bits", (key, out), (n, stride), (body,))


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

"""Tasks 3.3 and 3.4: CUDA. There is no GPU backend yet; the exercises run on the processor."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

import tessella as ts
from tessella.arguments import public
from tessella.errors import ShapeError
from tessella.minitorch.asserting import refuse
from tessella.minitorch.taken import CourseTensor
from tessella.minitorch.tensor_data import TensorData
from tessella.minitorch.tensor_ops import TensorOps, elementwise_kernel

THREADS_PER_BLOCK = 32


class CudaOps(TensorOps):
    """The operations on a GPU: each says that there is none yet."""

    cuda = True

    elementwise = staticmethod(elementwise_kernel)

    @staticmethod
    def running() -> NoReturn:
        refuse("CudaOps")


@public
def sum_practice(a: CourseTensor) -> TensorData:
    """The sum of each block of 32 numbers, as a block of threads would compute it in shared memory.

    Shapes: (n,) -> one sum for each block, at least two numbers.
    """
    if a.dims != 1:
        raise ShapeError(f"sum_practice: the shape is {a.shape}; expected one axis")
    blocks = max(2, -(-a.shape[0] // THREADS_PER_BLOCK))
    padded = ts.pad(a._data, [(0, blocks * THREADS_PER_BLOCK - a.shape[0])])
    sums = padded.reshape(blocks, THREADS_PER_BLOCK).sum(axis=1)
    return TensorData(np.array(sums.numpy()), (blocks,))


@public
def mm_practice(a: CourseTensor, b: CourseTensor) -> TensorData:
    """The product of two small square matrices, of at most 32 rows: one tile of shared memory each.

    Shapes: (n, n) and (n, n) -> (n, n).
    """
    if a.dims != 2 or not a.shape == b.shape == a.shape[::-1] or a.shape[0] > THREADS_PER_BLOCK:
        raise ShapeError(
            f"mm_practice: the shapes are {a.shape} and {b.shape}; expected the same square twice, as "
            f"one tile of at most {THREADS_PER_BLOCK} rows; for others, use a @ b"
        )
    return TensorData(np.array(ts.matmul(a._data, b._data).numpy()), a.shape)


__all__ = ["CudaOps", "mm_practice", "sum_practice"]

"""Tasks 3.1 and 3.2: `FastOps`, the operations as Tessella's compiled kernels, on all processors."""

from __future__ import annotations

from typing import Any

import tessella as ts
from tessella.minitorch import tensor_ops


class FastOps(tensor_ops.TensorOps):
    """Compiled kernels. A function must be one that Tessella can follow: arithmetic, `math`, branches."""

    elementwise = staticmethod(tensor_ops.elementwise_kernel)


_fast = tensor_ops.LowLevel(FastOps)
tensor_map, tensor_zip, tensor_reduce = _fast.tensor_map, _fast.tensor_zip, _fast.tensor_reduce


@tensor_ops.diagnosed
def tensor_matrix_multiply(*places: Any) -> None:
    """Write the product of the last two axes of a and b to out: (out..., a..., b...), each as storage,
    shape and strides.

    Shapes: (..., n, k) and (..., k, m) -> (..., n, m); the others broadcast.
    """
    tensor_ops.written(ts.matmul)(*places)


__all__ = ["FastOps"]

"""Linear functions."""

from __future__ import annotations

from tessella.arguments import public
from tessella.errors import ShapeError
from tessella.nn.functional.checks import check_sizes
from tessella.primitives.movement import permute
from tessella.tensors.linear import matmul
from tessella.tensors.tensor import Tensor


@public
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias.

    Shapes: (..., in) and (out, in) and (out,) -> (..., out).

    >>> import tessella as ts
    >>> linear(ts.ones((1, 3)), ts.ones((2, 3)), ts.asarray([0.0, 1.0]))
    tensor([[3., 4.]])
    """
    if weight.ndim != 2:
        raise ShapeError(f"linear: the weight has shape {weight.shape}; expected (out, in)")
    if x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        raise ShapeError(
            f"linear: the input has shape {x.shape}, the weight {weight.shape}; the last axis of "
            f"the input must have size {weight.shape[-1]}"
        )
    check_sizes(bias, weight.shape[:1], "linear", "bias")
    result = matmul(x, permute(weight, (1, 0)))
    return result if bias is None else result + bias

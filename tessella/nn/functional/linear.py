"""Linear functions."""

from __future__ import annotations

from tessella.arguments import public
from tessella.errors import ShapeError
from tessella.nn.functional.checks import check_floating, check_sizes
from tessella.primitives.movement import permute
from tessella.tensors.einsum import einsum
from tessella.tensors.linear import matmul
from tessella.tensors.tensor import Tensor


@public
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias.

    Shapes: (..., in) and (out, in) and (out,) -> (..., out).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: the input is of whole numbers, the weight of fractions.

    >>> import tessella as ts
    >>> linear(ts.ones((1, 3)), ts.ones((2, 3)), ts.asarray([0.0, 1.0]))
    tensor([[3., 4.]])
    """
    if weight.ndim != 2:
        raise ShapeError(f"linear: the weight has shape {weight.shape}; expected (out, in)")
    if x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        raise ShapeError(
            f"linear: the input has shape {x.shape}; expected (..., {weight.shape[-1]}), as the weight is "
            f"{weight.shape}"
        )
    check_floating(x, "linear", weight)
    check_sizes(bias, weight.shape[:1], "linear", "bias")
    result = matmul(x, permute(weight, (1, 0)))
    return result if bias is None else result + bias


@public
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1^T W input2 + bias, for each output.

    Shapes: (..., in1), (..., in2), (out, in1, in2) and (out,) -> (..., out).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: an input is of whole numbers, the weight of fractions.

    >>> import tessella as ts
    >>> bilinear(ts.ones((1, 2)), ts.ones((1, 3)), ts.ones((4, 2, 3)))
    tensor([[6., 6., 6., 6.]])
    """
    sizes = (*input1.shape[-1:], *input2.shape[-1:])
    if weight.ndim != 3 or weight.shape[1:] != sizes or input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(
            f"bilinear: the inputs have shapes {input1.shape} and {input2.shape}, the weight {weight.shape}; "
            "expected (..., in1), (..., in2) and (out, in1, in2)"
        )
    check_floating(input1, "bilinear", weight, "first input")
    check_floating(input2, "bilinear", weight, "second input")
    check_sizes(bias, weight.shape[:1], "bilinear", "bias")
    result = einsum("...i,oij,...j->...o", input1, weight, input2)
    return result if bias is None else result + bias

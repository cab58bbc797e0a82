"""Methods that are functions of the same name with their arguments in another order."""

from __future__ import annotations

from tessella.arguments import public
from tessella.tensors import elementwise
from tessella.tensors.operands import Operand
from tessella.tensors.tensor import Tensor


@public
def where(x: Tensor, condition: Tensor, other: Operand, /) -> Tensor:
    """x where a condition holds, and another tensor or number where not: `ts.where(condition, x, other)`.

    >>> import tessella as ts
    >>> ts.asarray([1.0, 2.0]).where(ts.asarray([True, False]), 0.0)
    tensor([1., 0.])
    """
    return elementwise.where(condition, x, other)

"""PyTorch's `inplace=True`: the tensor that was given stands for the result from then on, as with `+=`."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tessella.tensors.methods.rebinding import rebind, refuse_if_view
from tessella.tensors.tensor import Tensor


def settled(x: Tensor, result: Tensor, inplace: bool, name: str) -> Tensor:
    """The result; in place, the tensor itself, which stands for it now.

    Raises:
        ArgumentError: in place, and the tensor is a view of another one, which would not change with it.
        GradientError: in place, and the tensor is a leaf that requires a gradient.
    """
    if not inplace:
        return result
    refuse_if_view(x, name)
    return rebind(x, result, name)


def always_in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """PyTorch's spelling with an underscore of a function that takes `inplace`."""

    @functools.wraps(function)
    def changed(*operands: object, **options: object) -> Tensor:
        return function(*operands, **options, inplace=True)

    name = f"{function.__name__}_"
    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"`{function.__name__}(x, ..., inplace=True)`: x stands for the result from then on, as with `+=`."
    return changed

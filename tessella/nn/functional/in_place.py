"""PyTorch's `inplace=True`: the tensor that was given stands for the result from then on, as with `+=`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tessella.arguments import public
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

    def changed(*operands: Any, **options: Any) -> Tensor:
        return function(*operands, **options, inplace=True)

    signature = inspect.signature(function)
    kept = [given for name, given in signature.parameters.items() if name != "inplace"]
    made: Any = changed
    made.__signature__ = signature.replace(parameters=kept)
    made.__name__ = made.__qualname__ = f"{function.__name__}_"
    made.__module__ = function.__module__
    made.__doc__ = f"`{function.__name__}(x, ..., inplace=True)`: x stands for the result from then on, as with `+=`."
    return public(changed)

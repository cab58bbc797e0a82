"""Optimisers of the course."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.minitorch.module import Parameter
from tessella.minitorch.tensor import Tensor
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.function import scalar_function
from tessella.tensors.tensor import apply


def _descended(value: float, gradient: float, rate: float) -> float:
    return value - rate * gradient


_DESCEND = Elementwise(scalar_function(_descended))


class Optimizer:
    """The base of optimisers.

    Args:
        parameters: what to change.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters


class SGD(Optimizer):
    """Gradient descent: value <- value - lr * derivative, of scalars and of tensors.

    Args:
        parameters: what to change.
        lr: the learning rate.

    >>> from tessella import minitorch
    >>> weight = minitorch.Parameter(minitorch.Scalar(1.0))
    >>> optim = SGD([weight], lr=0.1)
    >>> (weight.value * 3.0).backward()
    >>> optim.step()
    >>> weight
    Scalar(0.700000)
    """

    def __init__(self, parameters: Sequence[Parameter], lr: float = 1.0) -> None:
        super().__init__(parameters)
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget all derivatives."""
        for parameter in self.parameters:
            for kind in ("derivative", "grad"):
                if hasattr(parameter.value, kind):
                    setattr(parameter.value, kind, None)

    def step(self) -> None:
        """Change the values, where there are derivatives."""
        for parameter in self.parameters:
            value = parameter.value
            if isinstance(value, Tensor):
                gradient = value.grad
                if gradient is not None:
                    rate = value._ensure(self.lr)
                    with value.backend.running():
                        operands = value._data, gradient._data, rate._data
                        parameter.update(value._like(apply(_DESCEND, operands)))
            elif getattr(value, "derivative", None) is not None:
                parameter.update(value - self.lr * value.derivative)


__all__ = ["SGD", "Optimizer"]

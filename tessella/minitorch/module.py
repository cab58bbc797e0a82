"""Task 0.4: `Module` and `Parameter`, with the course's names, on Tessella's modules."""

from __future__ import annotations

from typing import Any

from tessella import nn
from tessella.arguments import public
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tensors.surroundings import guarded
from tessella.tensors.tensor import is_traced


class Parameter:
    """A value that a module trains: a number, a scalar or a tensor, in a box that can be refilled.

    Args:
        value: anything; what can keep a derivative is told to.
        name: for people.

    >>> from tessella import minitorch
    >>> weight = Parameter(minitorch.Scalar(1.0), name="weight")
    >>> weight.update(minitorch.Scalar(2.0))
    >>> weight
    Scalar(2.000000)
    """

    def __init__(self, value: Any, name: str | None = None) -> None:
        self._value = value
        self.name = name
        self._claim(value)

    @property
    def value(self) -> Any:
        """What it holds."""
        if is_traced():
            guarded(self, "_handle", self._handle)
        return self._value

    @property
    def _handle(self) -> int:
        """What a compiled program knows of the value: another one makes another program."""
        return id(getattr(self._value, "_data", self._value))

    def update(self, value: Any) -> None:
        """Hold another value from now on."""
        replace = getattr(value, "_take_place_of", None)
        if replace is not None:
            replace(self._value)
        self._value = value
        self._claim(value)

    def _claim(self, value: Any) -> None:
        if hasattr(value, "requires_grad_") and not isinstance(value, type):
            value.requires_grad_(True)
            if self.name and hasattr(value, "name"):
                value.name = self.name

    def __repr__(self) -> str:
        return repr(self._value)

    def __str__(self) -> str:
        return str(self._value)


class Module(nn.Module):
    """A tree of modules and parameters. Write `__init__` and `forward`; the rest follows.

    It differs from `tessella.nn.Module` in what the course does differently: parameters are boxes
    (`Parameter.value`), lists are given where the other gives iterators, and `modules()` are the
    children alone.

    >>> class Affine(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = Parameter(2.0)
    ...         self.add_parameter("shift", 1.0)
    ...
    ...     def forward(self, x):
    ...         return self.scale.value * x + self.shift.value
    >>> Affine()(3.0), [name for name, _ in Affine().named_parameters()]
    (7.0, ['scale', 'shift'])
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter) and "_parameters" not in self.__dict__:
            raise ArgumentError(
                f"{type(self).__name__}.{name}: call super().__init__() before assigning parameters"
            )
        if name == "mode" and value in ("train", "eval"):
            self.training = value == "train"
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """`mode`: "train" or "eval", what `training` says in older editions of the course."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name != "mode":
                raise
        return "train" if self.training else "eval"

    def _home_of(self, name: str, value: Any) -> dict[str, Any] | None:
        if isinstance(value, Parameter):
            return self._parameters
        if name in self._parameters:
            raise ArgumentTypeError(
                f"{type(self).__name__}.{name} is a parameter; give it another value with "
                f"{name}.update(value), not {type(value).__name__}"
            )
        return super()._home_of(name, value)

    @public
    def add_parameter(self, name: str, value: Any) -> Parameter:
        """Add a parameter of a value, and give it."""
        parameter = value if isinstance(value, Parameter) else Parameter(value, name)
        self._parameters[name] = parameter  # type: ignore[assignment]
        return parameter

    def modules(self) -> list[nn.Module]:  # type: ignore[override]
        """The modules right below this one."""
        return list(self.children())

    def named_parameters(self, recurse: bool = True) -> list[tuple[str, Any]]:  # type: ignore[override]
        """All parameters below, with dotted names."""
        return list(super().named_parameters(recurse=recurse))

    def parameters(self, recurse: bool = True) -> list[Any]:  # type: ignore[override]
        """All parameters below."""
        return [parameter for _, parameter in self.named_parameters(recurse)]

    @public
    def train(self, mode: bool = True) -> Any:
        """Training mode for this module and all below it."""
        for _, module in self.named_modules():
            module.training = mode
        return self


__all__ = ["Module", "Parameter"]

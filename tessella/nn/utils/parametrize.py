"""Parameters that are computed from others: what a module calls its weight is a function of what it trains.

`register_parametrization(layer, "weight", function)` keeps what is trained under `layer.parametrizations.weight.original`
and lets `layer.weight` be the function of it; names and `state_dict` keys are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.nn.containers import ModuleList
from tessella.nn.module import Module, Parameter
from tessella.tensors.tensor import Tensor

_CHILD = "parametrizations"


class ParametrizationList(ModuleList):
    """The functions of one tensor, one after the other, and what the first of them is given.

    What is trained is `original`; `original0`, `original1`, ... if the first function takes several tensors.
    """

    def __init__(self, functions: Sequence[Module], original: Tensor) -> None:
        super().__init__(functions)
        value: Any = original
        with autodiff.no_grad():
            for function in reversed(functions):
                inverse = getattr(type(function), "right_inverse", None)
                value = value if inverse is None else inverse(function, value)
        self.is_tensor = isinstance(value, Tensor)
        if self.is_tensor:
            self._keep("original", _standing_for(original, value))
            return
        for i, part in enumerate(value):
            is_trained = isinstance(original, Parameter)
            kept = Parameter(part.detach().copy(), original.requires_grad) if is_trained else part
            self._keep(f"original{i}", kept)
        self.count = len(value)

    def _keep(self, name: str, value: Tensor) -> None:
        _register(self, name, value)

    def originals(self) -> list[Tensor]:
        """What is trained."""
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.count)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Tensor:
        """The tensor that the module calls by its name."""
        first, *others = self
        value: Tensor = first(*self.originals())
        for function in others:
            value = function(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Let the originals be such that the tensor becomes a value.

        Raises:
            ArgumentError: a function cannot be gone back through.
        """
        given: Any = value
        with autodiff.no_grad():
            for function in reversed(list(self)):
                inverse = getattr(type(function), "right_inverse", None)
                if inverse is None:
                    raise ArgumentError(
                        f"a parametrized tensor is assigned, and {type(function).__name__} has no right_inverse(value), "
                        "which would say what to train for it"
                    )
                given = inverse(function, given)
            parts = [given] if self.is_tensor else given
            for original, part in zip(self.originals(), parts, strict=True):
                original.assign(part.detach().astype(original.dtype))


class _Parametrizations(Module):
    """The lists of a module, by the names of their tensors."""

    def __getitem__(self, name: str) -> ParametrizationList:
        found: ParametrizationList = dict(self.named_children())[name]  # type: ignore[assignment]
        return found

    def __contains__(self, name: object) -> bool:
        return name in dict(self.named_children())

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.named_children()))

    def __len__(self) -> int:
        return len(list(self.children()))


@public
def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let a parameter or a buffer of a module be a function of what is trained instead of it.

    Args:
        parametrization: a module whose `forward` gives the tensor. With `right_inverse(value)` it says what to train
            so that the tensor is a value: its own at the beginning. Further ones are functions of the first one's result.
        unsafe: whether the result may have another shape than the tensor.

    Raises:
        ArgumentError: the module has no such parameter or buffer.
        ShapeError: the result has another shape.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all()), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        functions = _lists(module)[tensor_name]
        value = getattr(module, tensor_name)
        if not unsafe:
            _check_result(value, parametrization(value), tensor_name)
        functions.append(parametrization)
        return module
    own: dict[str, Any] = dict(module.named_parameters(recurse=False))
    own |= dict(module.named_buffers(recurse=False))
    value = own.get(tensor_name)
    if value is None:
        raise ArgumentError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {shown(tensor_name)}"
        )
    shape = value.shape
    functions = ParametrizationList([parametrization], value)
    functions.train(module.training)
    if not unsafe:
        with autodiff.no_grad():
            _check_result(shape, functions(), tensor_name)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.add_module(_CHILD, _Parametrizations())
    _lists(module).add_module(tensor_name, functions)
    _name(module, type_before_parametrizations(module))
    return module


@public
def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Let a tensor be a parameter or a buffer again.

    Args:
        leave_parametrized: whether it keeps the value that it has now; otherwise it is what was trained.

    Raises:
        ArgumentError: it is not parametrized, or several tensors were trained, none of which it could be.
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(
            f"remove_parametrizations: {type(module).__name__} has no parametrized tensor {shown(tensor_name)}"
        )
    lists, kind = _lists(module), type_before_parametrizations(module)
    functions = lists[tensor_name]
    if not functions.is_tensor and not leave_parametrized:
        raise ArgumentError(
            f"remove_parametrizations: {tensor_name} is computed from {functions.count} tensors, and can be none of "
            "them; leave leave_parametrized=False out"
        )
    kept = functions.originals()[0]
    if leave_parametrized:
        with autodiff.no_grad():
            value = functions()
        kept = _standing_for(kept, value)
    delattr(lists, tensor_name)
    if not len(lists):
        delattr(module, _CHILD)
    _name(module, kind)
    _register(module, tensor_name, kept)
    return module


@public
def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module is parametrized; without a name, whether any is."""
    lists = getattr(module, _CHILD, None)
    if not isinstance(lists, _Parametrizations):
        return False
    return bool(len(lists)) if tensor_name is None else tensor_name in lists


@public
def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before something of it was parametrized."""
    kind: type = getattr(type(module), "__tessella_before__", type(module))
    return kind


def _lists(module: Module) -> _Parametrizations:
    lists = getattr(module, _CHILD)
    assert isinstance(lists, _Parametrizations)  # as the callers have asked
    return lists


def _name(module: Module, kind: type) -> None:
    """Give a module a class of its own, in which its parametrized tensors are properties; or its first one again."""
    names = tuple(_lists(module)) if is_parametrized(module) else ()
    made = kind
    if names:
        members = {name: _property(name) for name in names}
        made = type(
            f"Parametrized{kind.__name__}", (kind,),
            {**members, "__tessella_before__": kind, "__setattr__": _assign, "__module__": kind.__module__},
        )  # fmt: skip
    object.__setattr__(module, "__class__", made)


def _property(name: str) -> property:
    return property(lambda module: _lists(module)[name]())


def _assign(module: Any, name: str, value: Any) -> None:
    """An assignment to a parametrized tensor goes back to what is trained."""
    if not is_parametrized(module, name):
        super(type(module), module).__setattr__(name, value)
        return
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"{type(module).__name__}.{name} is parametrized; assign a Tensor, not {shown(value)}"
        )
    _lists(module)[name].right_inverse(value)


def _standing_for(old: Tensor, value: Tensor) -> Tensor:
    """The old tensor with a value, so that optimisers know it still; a new one if the shape is another."""
    if value is old:
        return old
    if value.shape == old.shape and value.dtype is old.dtype:
        return old.assign(value.detach().copy())
    fresh = value.detach().copy()
    return Parameter(fresh, old.requires_grad) if isinstance(old, Parameter) else fresh


def _register(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _check_result(like: Any, result: Any, name: str) -> None:
    shape = like.shape if isinstance(like, Tensor) else like
    if not isinstance(result, Tensor):
        raise ArgumentTypeError(
            f"register_parametrization: the function of {name} gives {shown(result)}; expected a Tensor"
        )
    if result.shape != shape:
        raise ShapeError(
            f"register_parametrization: {name} has shape {shape}, its function gives {result.shape}; expected the "
            "same, or unsafe=True"
        )


__all__ = [
    "ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "type_before_parametrizations",
]  # fmt: skip

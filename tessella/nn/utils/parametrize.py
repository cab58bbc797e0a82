"""Parameters that are computed from others: what a module calls its weight is a function of what it trains.

`register_parametrization(layer, "weight", function)` keeps what is trained under `layer.parametrizations.weight.original`
and lets `layer.weight` be the function of it; names and `state_dict` keys are PyTorch's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from typing import Any

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.blocks import restoring
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.nn.containers import ModuleList
from tessella.nn.module import Module, Parameter
from tessella.nn.named_containers import ModuleDict
from tessella.tensors.surroundings import guarded
from tessella.tensors.tensor import Tensor

_CHILD = "parametrizations"


class _Kept(threading.local):
    """The tensors that have been computed within `cached()`, by their lists and the trace they belong to."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[tuple[int, int], tuple[ParametrizationList, Tensor]] = {}


_kept = _Kept()


@restoring
def cached() -> Generator[None, None, None]:
    """Within a `with` block a parametrized tensor is computed once, when it is asked for first.

    Assigning to the tensor lets it be computed again; a step of an optimiser does not: it belongs behind the block.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> with cached():
    ...     layer.weight is layer.weight
    True
    """
    _kept.depth += 1
    try:
        yield
    finally:
        _kept.depth -= 1
        if not _kept.depth:
            _kept.values.clear()


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
                with contextlib.suppress(NotImplementedError):  # it says that there is none
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

    def share(self, other: ParametrizationList) -> None:
        """Train what another list trains."""
        for name, value in other.named_parameters(recurse=False):
            self._parameters[name] = value
        for name, buffer in other.named_buffers(recurse=False):
            self._buffers[name] = buffer

    def originals(self) -> list[Tensor]:
        """What is trained."""
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.count)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Tensor:
        """The tensor that the module calls by its name; within `cached()` it is computed once."""
        if not guarded(_kept, "depth", _kept.depth):
            return self._computed()
        key = id(self), id(autodiff.mode.trace)  # what is traced stays in its trace
        if key not in _kept.values:
            _kept.values[key] = self, self._computed()
        return _kept.values[key][1]

    def _computed(self) -> Tensor:
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
        _kept.values.pop((id(self), id(autodiff.mode.trace)), None)
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
    own = {
        **dict(module.named_parameters(recurse=False)),
        **dict(module.named_buffers(recurse=False)),
    }
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
        module.add_module(_CHILD, ModuleDict())
    _lists(module)[tensor_name] = functions
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
    del lists[tensor_name]
    if not len(lists):
        delattr(module, _CHILD)
    _name(module, kind)
    _register(module, tensor_name, kept)
    return module


@public
def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Let a module have the parametrized tensors of another one: the functions and what is trained are shared.

    A tensor that it has not is made; nothing happens if the other one has none that is parametrized.

    Args:
        tensor_name: the only one; all, if it is not given.

    >>> from tessella import nn
    >>> first = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> second = transfer_parametrizations_and_params(first, nn.Linear(2, 2))
    >>> bool((first.weight == second.weight).all())
    True
    """
    if not is_parametrized(from_module, tensor_name):
        return to_module
    names = list(_lists(from_module)) if tensor_name is None else [tensor_name]
    for name in names:
        given = _lists(from_module)[name]
        if not hasattr(to_module, name):
            with autodiff.no_grad():
                _register(to_module, name, _like(given.originals()[0], given()))
        before = len(_lists(to_module)[name]) if is_parametrized(to_module, name) else 0
        for function in given:
            register_parametrization(to_module, name, function, unsafe=True)
        if not before:
            _lists(to_module)[name].share(given)
    return to_module


def _like(original: Tensor, value: Tensor) -> Tensor:
    """A value, trained if the original is."""
    return Parameter(value.detach().copy()) if isinstance(original, Parameter) else value


@public
def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module is parametrized; without a name, whether any is."""
    lists = getattr(module, _CHILD, None)
    if not isinstance(lists, ModuleDict):
        return False
    return bool(len(lists)) if tensor_name is None else tensor_name in lists


@public
def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before something of it was parametrized."""
    kind: type = getattr(type(module), "__tessella_before__", type(module))
    return kind


def _lists(module: Module) -> ModuleDict:
    lists = getattr(module, _CHILD)
    assert isinstance(lists, ModuleDict)  # as the callers have asked
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
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

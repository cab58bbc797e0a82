"""Modules as functions of their parameters, with PyTorch's names (`torch.func`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.nn.module import Module
from tessella.tensors.manipulation import stack
from tessella.tensors.rebinding import rebound
from tessella.tensors.tensor import Tensor


@public
def functional_call(
    module: Module, parameter_and_buffer_dicts: Any, args: Any = (),
    kwargs: Mapping[str, Any] | None = None, *, strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with other parameters and buffers than its own.

    Args:
        parameter_and_buffer_dicts: tensors by their names in the module; several dicts are one after the other.
            What is not named is the module's own. Buffers that the call changes are changed in the dict.
        args: the arguments; one that is no tuple is the only one.
        strict: whether every parameter and buffer must be named.

    Raises:
        ArgumentError: a name that the module does not have, or (strictly) one that is missing.
        ShapeError: a tensor of another shape than the one it stands for.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> model = nn.Linear(2, 1)
    >>> state = {"weight": ts.ones((1, 2)), "bias": ts.zeros(1)}
    >>> nn.functional_call(model, state, ts.asarray([3.0, 4.0]))
    tensor([7.])
    >>> ts.grad(lambda s: nn.functional_call(model, s, ts.asarray([3.0, 4.0])).sum())(state)["weight"]
    tensor([[3., 4.]])
    """
    dicts = (
        [parameter_and_buffer_dicts]
        if isinstance(parameter_and_buffer_dicts, Mapping)
        else list(parameter_and_buffer_dicts)
        if isinstance(parameter_and_buffer_dicts, (list, tuple))
        else [parameter_and_buffer_dicts]
    )
    if not all(isinstance(part, Mapping) for part in dicts):
        raise ArgumentTypeError(
            f"functional_call: parameter_and_buffer_dicts is {shown(parameter_and_buffer_dicts)}; expected a "
            "dictionary of names to tensors, or several"
        )
    given = {name: tensor for part in dicts for name, tensor in part.items()}
    own: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unknown = sorted(map(str, set(given) - set(own)))
    missing = sorted(set(own) - set(given)) if strict else []
    if unknown or missing:
        words = f"it has no {', '.join(unknown)}" if unknown else f"{', '.join(missing)} is missing"
        raise ArgumentError(
            f"functional_call: {type(module).__name__}: {words}; its names are {', '.join(sorted(own))}"
        )
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"functional_call: {name} is a {type(tensor).__name__}; expected a Tensor"
            )
        if tensor.shape != own[name].shape:
            raise ShapeError(
                f"functional_call: {name} has shape {tensor.shape}, the module's has {own[name].shape}; they "
                "must be equal (for many at once use ts.vmap)"
            )
    arguments = args if isinstance(args, tuple) else (args,)
    with rebound([own[name] for name in given], list(given.values())):
        return module(*arguments, **(kwargs or {}))


@public
def stack_module_state(modules: Iterable[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of modules of one kind, stacked: an ensemble for `ts.vmap`.

    Shapes: each tensor gets a first axis, along which the modules lie.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> models = [nn.Linear(2, 1) for _ in range(3)]
    >>> parameters, buffers = nn.stack_module_state(models)
    >>> call = lambda p, x: nn.functional_call(models[0], p, x)
    >>> ts.vmap(call, in_axes=(0, None))(parameters, ts.ones(2)).shape
    (3, 1)
    """
    modules = list(modules)
    for module in modules:
        if not isinstance(module, Module):
            raise ArgumentTypeError(
                f"stack_module_state: {shown(module)} is among the modules; expected an nn.Module"
            )
    if not modules:
        raise ArgumentError("stack_module_state: there are no modules; give at least one")
    parts = [(dict(m.named_parameters()), dict(m.named_buffers())) for m in modules]
    for number, (parameters, buffers) in enumerate(parts):
        if parameters.keys() != parts[0][0].keys() or buffers.keys() != parts[0][1].keys():
            raise ArgumentError(
                f"stack_module_state: module {number} has other parameters or buffers than module 0; they must "
                "be of one kind"
            )
    stacked = [
        {name: stack([part[which][name].detach() for part in parts]) for name in parts[0][which]}
        for which in (0, 1)
    ]
    for name, parameter in parts[0][0].items():
        stacked[0][name].requires_grad_(parameter.requires_grad)
    return stacked[0], stacked[1]


__all__ = ["functional_call", "stack_module_state"]

"""`Optimizer`: groups of parameters, their options and state, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tessella import autodiff
from tessella.errors import ArgumentError, ArgumentTypeError, StateDictError
from tessella.tensors.creation import asarray, zeros
from tessella.tensors.tensor import Tensor, about_to_write, guarded, is_traced, touched
from tessella.tensors.tracing import suspended
from tessella.tracing.changes import WatchedDict, WatchedList, note
from tessella.tracing.following import go_on, pause


class Optimizer:
    """The base of all optimisers. Subclasses give `_update` for one parameter.

    Groups of parameters with options of their own are given as dicts:
    `SGD([{"params": a}, {"params": b, "lr": 0.01}], lr=0.1)`.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = WatchedDict()
        self.param_groups: list[dict[str, Any]] = WatchedList()
        if isinstance(params, Tensor):
            raise ArgumentTypeError(
                "params: a single tensor was given; expected an iterable of parameters, for "
                "example model.parameters()"
            )
        groups = list(params)
        if not groups:
            raise ArgumentError("params: no parameters were given; does the model have any?")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        parameters = group["params"]
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        for parameter in parameters:
            if not isinstance(parameter, Tensor):
                raise ArgumentTypeError(
                    f"params: {type(parameter).__name__} among the parameters; expected tensors"
                )
            if not parameter.is_leaf:
                raise ArgumentError("params: a tensor with a history cannot be optimised")
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in known for p in parameters):
            raise ArgumentError("params: a parameter is in two groups")
        made = WatchedDict({**self.defaults, **group, "params": WatchedList(parameters)})
        self.param_groups.append(made)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        touched(self)
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none or parameter.grad is None:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach() * 0

    def step(self, closure: Any = None) -> Any:
        """Move every parameter that has a gradient; `closure` computes the loss anew if given."""
        move = self._update_traced if is_traced() else self._update
        loss = None
        if closure is not None:
            with autodiff.enable_grad():
                loss = closure()
        with autodiff.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        if parameter not in self.state:
                            self.state[parameter] = WatchedDict()
                        state = self.state[parameter]
                        _follow(parameter, state)
                        move(parameter, parameter.grad, state, group)
        return loss

    def _update_traced(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Update a parameter in a traced function; while the rule is our own, no code of users runs."""
        touched(self, state, options)
        paused = pause() if type(self)._update.__module__.startswith("tessella.") else None
        try:
            self._update(parameter, gradient, state, options)
        finally:
            go_on(paused)

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no _update")

    def state_dict(self) -> dict[str, Any]:
        """Options and state, with parameters by number."""
        numbers = {id(p): i for i, p in enumerate(self._all())}
        groups = [
            {**group, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {
            "state": {numbers[id(p)]: dict(s) for p, s in self.state.items()},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take options and state from a checkpoint.

        Raises:
            StateDictError: the groups do not match.
        """
        sizes = [len(group["params"]) for group in state_dict["param_groups"]]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise StateDictError(
                f"load_state_dict: the checkpoint has groups of {sizes} parameters, the optimiser "
                f"of {own}"
            )
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({name: value for name, value in saved.items() if name != "params"})
        parameters = list(self._all())
        self.state = WatchedDict({
            parameters[int(i)]: WatchedDict({name: _own(value) for name, value in state.items()})
            for i, state in state_dict["state"].items()
        })  # fmt: skip

    def _all(self) -> Iterable[Tensor]:
        return (p for group in self.param_groups for p in group["params"])

    # --- what compiled functions depend on ----------------------------------------------------------

    __tessella_watched__ = True
    __tessella_tables__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        about_to_write(self, name)
        object.__setattr__(self, name, value)
        note()

    def __tessella_names__(self) -> Iterator[tuple[Tensor, Tensor | None, str]]:
        """The tensors of its state, beside the parameters they are kept for, with their names."""
        for parameter, state in self.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    yield value, parameter, name

    def __tessella_members__(self) -> list[str]:
        """The attributes that a step reads."""
        return ["param_groups", "state"]

    def __tessella_containers__(self) -> list[tuple[str, Any]]:
        """The groups, their parameters, and the state; options are guarded where they are read."""
        found: list[tuple[str, Any]] = [("param_groups", self.param_groups), ("state", self.state)]
        found += [("params", group["params"]) for group in self.param_groups]
        return found + [("state", state) for state in self.state.values()]

    def __repr__(self) -> str:
        groups = [_told(group) for group in self.param_groups]
        if len(groups) == 1:
            return f"{type(self).__name__}({groups[0]})"
        lines = [f"  group {number}: {group}\n" for number, group in enumerate(groups)]
        return f"{type(self).__name__}(\n{''.join(lines)})"


def _told(group: dict[str, Any]) -> str:
    """The options of a group as they are now, and how much it holds."""
    options = ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
    tensors = group["params"]
    count = sum(tensor.size for tensor in tensors)
    return f"{options}; {len(tensors)} tensor{'s' * (len(tensors) != 1)} of {count:,} numbers"


def _own(value: Any) -> Any:
    """A value of a checkpoint as this library keeps it: tensors, counts of steps too."""
    if hasattr(value, "detach"):  # a tensor, perhaps another framework's
        value = value.detach()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return asarray(float(value))
    return asarray(value, copy=True) if hasattr(value, "shape") else value


def _follow(parameter: Tensor, state: dict[str, Any]) -> None:
    """Bring what is remembered of a parameter to its dtype, which may have changed (`Module.to`).

    The count of steps keeps its own, as it would soon be too large for half precision.
    """
    dtype = parameter.dtype
    for name, value in state.items():
        if name != "step" and isinstance(value, Tensor) and value.dtype is not dtype:
            with suspended():  # the same handle: compiled steps have captured it
                value._value = value.detach().astype(dtype)._value


def fresh_state(parameter: Tensor) -> Tensor:
    """Zeros to remember something in from step to step, made once even if the step is compiled."""
    with suspended():
        return zeros(parameter.shape, dtype=parameter.dtype)


def setting(options: dict[str, Any], name: str) -> Any:
    """An option that shapes the computation: compiled steps are compiled again when it changes."""
    return guarded(options, name, options[name])


def check_range(name: str, value: float, low: float = 0.0, high: float = float("inf")) -> None:
    """Complain about an option outside [low, high)."""
    if not isinstance(value, (int, float)):
        raise ArgumentTypeError(f"{name}: {value!r} was given; expected a number")
    if not low <= value < high:
        limit = "" if high == float("inf") else f" and below {high}"
        raise ArgumentError(f"{name}: {value} was given; expected at least {low}{limit}")

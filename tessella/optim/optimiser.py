"""`Optimizer`: groups of parameters, their options and state, as in PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from tessella import autodiff
from tessella.arguments import constructor_gate, public
from tessella.arguments.kinds import shown
from tessella.arguments.precision import as_written
from tessella.errors import ArgumentError, ArgumentTypeError, MissingRuleError, StateDictError
from tessella.names import missing
from tessella.tensors.creation import asarray
from tessella.tensors.surroundings import about_to_write, touched
from tessella.tensors.tensor import Tensor, hold_data_of, is_traced
from tessella.tracing.changes import WatchedDict, WatchedList, note
from tessella.tracing.trace import ours, suspended

# options that say nothing of the numbers: what a group holds, and what speaks of speed in PyTorch
_UNTOLD = ("params", "param_names", "foreach", "fused", "capturable", "differentiable")


class Optimizer:
    """The base of all optimisers. Subclasses give `_update` for one parameter.

    Groups of parameters with options of their own are given as dicts:
    `SGD([{"params": a}, {"params": b, "lr": 0.01}], lr=0.1)`. Pairs of names and parameters, as
    `model.named_parameters()` gives them, serve too; the names are the option `param_names` of their group.
    """

    moments: tuple[str, ...] = ()  # what is remembered of a parameter, in its shape
    counts: tuple[str, ...] = ()  # and as one number
    untold: tuple[str, ...] = ()  # likewise one number, which checkpoints do not have

    @public
    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.state: dict[Tensor, dict[str, Any]] = WatchedDict()
        self.param_groups: list[dict[str, Any]] = WatchedList()
        if isinstance(params, Tensor):
            raise ArgumentTypeError(
                "params: a single tensor was given; expected an iterable of parameters, for "
                "example model.parameters()"
            )
        _require_order(params)
        groups = list(params)
        if not groups:
            raise ArgumentError("params: no parameters were given; does the model have any?")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @public
    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own.

        Raises:
            ArgumentTypeError: something else than tensors among the parameters, or an option of a wrong type.
            ArgumentError: an option out of range, or parameters that cannot be optimised.
        """
        parameters = group.get("params")
        if not isinstance(parameters, Iterable) or isinstance(parameters, (str, bytes)):
            raise ArgumentTypeError(
                f"params: a group has {shown(parameters)} as 'params'; expected an iterable of parameters"
            )
        _require_order(parameters)
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        parameters, names = _without_names(parameters)
        for parameter in parameters:
            if not isinstance(parameter, Tensor):
                raise ArgumentTypeError(
                    f"params: {type(parameter).__name__} among the parameters; expected tensors"
                )
            if not parameter.is_leaf:
                raise ArgumentError("params: a tensor with a history cannot be optimised")
        if len({id(p) for p in parameters}) < len(parameters):
            raise ArgumentError(
                "params: a parameter is there twice, and would be moved twice by a step; give each once"
            )
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in known for p in parameters):
            raise ArgumentError("params: a parameter is in two groups")
        self._require_names_of_all(names)
        options = self._checked({**self.defaults, **group, **names})
        made = WatchedDict({**options, "params": WatchedList(parameters)})
        self.param_groups.append(made)

    def _require_names_of_all(self, names: Mapping[str, Any]) -> None:
        """
        Raises:
            ArgumentError: a group has names, and those before it have none, or the other way round.
        """
        if any(("param_names" in other) != bool(names) for other in self.param_groups):
            given, before = ("names", "none") if names else ("no names", "names")
            raise ArgumentError(
                f"params: a group of parameters with {given}, where the group before has {before}; give "
                "model.named_parameters() or model.parameters() in all groups"
            )

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a group, which must be what the constructor takes."""
        gate = constructor_gate(type(self))
        return dict(options) if gate is None else gate.fit_options(type(self).__name__, options)

    @public
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        touched(self)
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none or parameter.grad is None:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach() * 0

    @public
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; `closure` computes the loss anew if given."""
        move = self._update_traced if is_traced() else self._update
        loss = None
        if closure is not None:
            with autodiff.enable_grad():
                loss = closure()
        # in the precision of the parameters, whatever `autocast` says around
        with autodiff.no_grad(), as_written:
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        if parameter not in self.state:
                            self.state[parameter] = WatchedDict()
                        state = self.state[parameter]
                        _follow(parameter, state, self.counts + self.untold)
                        move(parameter, parameter.grad, state, group)
        return loss

    def _update_traced(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Update a parameter in a traced function; while the rule is our own, no code of users runs."""
        touched(self, state, options)
        is_ours = type(self)._update.__module__.startswith("tessella.")
        with ours() if is_ours else contextlib.nullcontext():
            self._update(parameter, gradient, state, options)

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        raise MissingRuleError(
            f"{type(self).__name__} has no _update; define _update(self, parameter, gradient, state, options)"
        )

    @public
    def state_dict(self) -> dict[str, Any]:
        """Options and state, with parameters by number."""
        numbers = {id(p): i for i, p in enumerate(self._all())}
        groups = [
            {**group, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {
            "state": {
                numbers[id(p)]: _taken_out(s, self.untold) for p, s in self.state.items() if s
            },
            "param_groups": groups,
        }

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take options and state from a checkpoint; nothing is changed if it does not fit.

        Raises:
            StateDictError: it is no checkpoint of an optimiser, or the groups or the shapes do not match.
            ArgumentError, ArgumentTypeError: an option that the optimiser does not take.
        """
        groups, states = _parts(state_dict)
        sizes = [len(group["params"]) for group in groups]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise StateDictError(
                f"load_state_dict: the checkpoint has groups of {sizes} parameters, the optimiser "
                f"of {own}"
            )
        options = [
            self._checked({name: value for name, value in saved.items() if name != "params"})
            for saved in groups
        ]
        parameters = list(self._all())
        found = {
            _numbered(parameters, number): self._remembered(_numbered(parameters, number), state)
            for number, state in states.items()
        }
        for group, own_options in zip(self.param_groups, options, strict=True):
            group.update(own_options)
        self.state = WatchedDict(found)

    def _remembered(self, parameter: Tensor, state: Any) -> dict[str, Any]:
        """What a checkpoint remembers of a parameter, as this library keeps it.

        Raises:
            StateDictError: it has another shape than the parameter, or something is missing.
        """
        if not isinstance(state, Mapping):
            raise StateDictError(
                f"load_state_dict: the state of a parameter is {shown(state)}; expected a mapping of names to "
                "tensors"
            )
        found = {name: _own(value, parameter) for name, value in state.items() if value is not None}
        for name, value in found.items():
            wanted = (
                parameter.shape if name in self.moments else () if name in self.counts else None
            )
            if wanted is not None and getattr(value, "shape", None) != wanted:
                shape = getattr(value, "shape", shown(value))
                raise StateDictError(
                    f"load_state_dict: {name} is {shape} in the checkpoint; expected a tensor of shape {wanted}, "
                    f"for a parameter of shape {parameter.shape}"
                )
        missing = [name for name in self.counts if found and name not in found]
        if missing:
            raise StateDictError(
                f"load_state_dict: {missing[0]} is missing from the state of a parameter of shape "
                f"{parameter.shape}; is it a checkpoint of {type(self).__name__}?"
            )
        return WatchedDict(found)

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

    if not TYPE_CHECKING:  # for which it would mean that all attributes are there

        def __getattr__(self, name: str) -> NoReturn:
            """The error says where an option is, what PyTorch means by a name, or which one is near it."""
            if name.startswith("__"):  # which Python itself and libraries look for
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            is_option = name in self.__dict__.get("defaults", ())
            where = (
                f"its groups have it: optimiser.param_groups[0]['{name}']" if is_option else None
            )
            raise missing("Optimizer", name, self, where)

    def __repr__(self) -> str:
        groups = [_told(group) for group in self.param_groups]
        if len(groups) == 1:
            return f"{type(self).__name__}({groups[0]})"
        lines = [f"  group {number}: {group}\n" for number, group in enumerate(groups)]
        return f"{type(self).__name__}(\n{''.join(lines)})"


def _without_names(parameters: list[Any]) -> tuple[list[Any], dict[str, list[str]]]:
    """Parameters, and their names as an option, if pairs were given as `named_parameters()` gives them."""
    pairs = [
        x for x in parameters if isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], str)
    ]
    if not pairs or len(pairs) < len(parameters):
        return parameters, {}
    return [parameter for _, parameter in pairs], {"param_names": [name for name, _ in pairs]}


def _taken_out(state: Mapping[str, Any], untold: tuple[str, ...]) -> dict[str, Any]:
    """What is remembered of a parameter, for a checkpoint: lists stay as they are now."""
    told = {name: value for name, value in state.items() if name not in untold}
    return {name: [*v] if isinstance(v, list) else v for name, v in told.items()}


def _require_order(parameters: Iterable[Any]) -> None:
    if isinstance(parameters, (set, frozenset)):
        raise ArgumentTypeError(
            "params: a set was given, whose order is another one in every run; give a list"
        )


def _told(group: dict[str, Any]) -> str:
    """The options of a group as they are now, and how much it holds."""
    options = ", ".join(f"{name}={value!r}" for name, value in group.items() if name not in _UNTOLD)
    tensors = group["params"]
    count = sum(tensor.size for tensor in tensors)
    return f"{options}; {len(tensors)} tensor{'s' * (len(tensors) != 1)} of {count:,} numbers"


def _parts(state_dict: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], Mapping[Any, Any]]:
    """The groups and the state of a checkpoint.

    Raises:
        StateDictError: it is none.
    """
    groups, states = state_dict.get("param_groups"), state_dict.get("state")
    good = isinstance(groups, (list, tuple)) and isinstance(states, Mapping)
    if not good or not all(_is_a_group(group) for group in groups or ()):
        raise StateDictError(
            "load_state_dict: this is no checkpoint of an optimiser; expected {'state': {number: {name: tensor}}, "
            "'param_groups': [{'params': [number], ...}]}, as state_dict() gives it"
        )
    return list(groups or ()), states or {}


def _is_a_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get("params"), (list, tuple))


def _numbered(parameters: list[Tensor], number: Any) -> Tensor:
    """A parameter by its number, which is text in some files."""
    known = {str(i): parameter for i, parameter in enumerate(parameters)}
    found = known.get(shown(number).strip("'"))
    if found is None:
        raise StateDictError(
            f"load_state_dict: the state of parameter {shown(number)}, of parameters 0 to {len(parameters) - 1}"
        )
    return found


def _own(value: Any, parameter: Tensor) -> Any:
    """A value of a checkpoint as this library keeps it beside a parameter: tensors, counts of steps too."""
    if hasattr(value, "detach"):  # a tensor, perhaps another framework's
        value = value.detach()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return asarray(float(value), device=parameter.device)
    if not hasattr(value, "shape"):
        return value
    return asarray(value, copy=True).to_device(parameter.device)


def _follow(parameter: Tensor, state: dict[str, Any], counts: tuple[str, ...]) -> None:
    """Bring what is remembered of a parameter to its device and the dtype it is computed in (`Module.to` changes them).

    Counts of steps keep their own.
    """
    dtype, device = parameter.dtype.compute, parameter.device
    for name, value in state.items():
        if not isinstance(value, Tensor):
            continue
        wanted = value.dtype if name in counts else dtype
        if value.dtype is not wanted or value.device is not device:
            with suspended():  # the same handle: compiled steps have captured it
                hold_data_of(value, value.detach().to(device, wanted))

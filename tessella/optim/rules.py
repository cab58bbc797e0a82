"""What rules of updates are written with: options, what is remembered from step to step, gradients, moves.

A rule never reads `options[name]` itself. A compiled step would keep what it read for good; these functions say what of
it a step depends on: on the very value (`setting`), on whether there is any (`is_on`), or on nothing, because it is read
again at every call (`number`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tessella import dtypes
from tessella.arguments.kinds import UNFIT, Kind, register_kind
from tessella.errors import ArgumentError
from tessella.tensors.creation import full, full_like
from tessella.tensors.elementwise import operation
from tessella.tensors.surroundings import entry, guarded, guarded_truth, number_in
from tessella.tensors.tensor import Tensor
from tessella.tracing.trace import suspended

# --- options ------------------------------------------------------------------------------------------------


def setting(options: dict[str, Any], name: str) -> Any:
    """An option that shapes the computation: compiled steps are compiled again when it changes."""
    return guarded(options, name, entry(options, name))


def is_on(options: dict[str, Any], name: str) -> bool:
    """Whether an option is neither 0, False nor None: compiled steps are compiled again when that changes."""
    return guarded_truth(options, name, entry(options, name))


def number(
    options: dict[str, Any], name: str, like: Tensor, change: Callable[[Any], Any] | None = None
) -> Any:
    """An option that compiled steps read at every call.

    Args:
        like: what it is used with.
        change: makes the number of the option; one function of a module, not a new one at every call.
    """
    return number_in(options, name, like, change)


def _numbers(expected: str, *fits: Callable[[Any], bool]) -> Kind:
    """Several numbers, as a tuple or a list, each of which must fit."""

    def look(value: Any) -> Any:
        several = isinstance(value, (tuple, list)) and len(value) == len(fits)
        good = several and all(fit(x) for fit, x in zip(fits, value, strict=True))
        return tuple(value) if good else UNFIT

    return Kind(expected, "False", look, ArgumentError)


def is_number(value: Any) -> bool:
    """Whether it is a real number of Python's."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _below_one(value: Any) -> bool:
    return is_number(value) and 0 <= value < 1


def _positive(value: Any) -> bool:
    return is_number(value) and value >= 0


Betas: TypeAlias = tuple[float, float]
register_kind("Betas", _numbers("two numbers of at least 0 and below 1", _below_one, _below_one))
Shrinking: TypeAlias = tuple[float, float]  # and growing
register_kind(
    "Shrinking",
    _numbers(
        "two numbers, one between 0 and 1 and one above 1",
        lambda x: _below_one(x) and x > 0,
        lambda x: is_number(x) and x > 1,
    ),
)
Bounds: TypeAlias = tuple[float, float]
register_kind("Bounds", _numbers("two numbers of at least 0", _positive, _positive))
Floors: TypeAlias = tuple[float | None, float]
register_kind(
    "Floors",
    _numbers(
        "two numbers of at least 0, the first of which may be None",
        lambda x: x is None or _positive(x),
        _positive,
    ),
)
Coefficients: TypeAlias = tuple[float, float, float]
register_kind("Coefficients", _numbers("three numbers", is_number, is_number, is_number))
NotPositive: TypeAlias = float
register_kind(
    "NotPositive",
    Kind("a number of at most 0", "False", lambda x: x if is_number(x) and x <= 0 else UNFIT, ArgumentError),
)  # fmt: skip
AtLeastOne: TypeAlias = float
register_kind(
    "AtLeastOne",
    Kind("a number of at least 1", "False", lambda x: x if is_number(x) and x >= 1 else UNFIT, ArgumentError),
)  # fmt: skip
Recorded: TypeAlias = bool
register_kind(
    "Recorded",
    Kind(
        "False, as steps are not recorded; to differentiate through them, write the update with tensors and take "
        "ts.grad of it",
        "{0} is False",
        lambda value: False if value is False else UNFIT,
        ArgumentError,
    ),
)  # fmt: skip


# --- what is remembered -------------------------------------------------------------------------------------


def fresh_state(parameter: Tensor, value: float = 0.0) -> Tensor:
    """A tensor to remember something in from step to step, made once even if the step is compiled.

    It is in the precision that is computed in: float32 for parameters of half precision.
    """
    with suspended():
        kind = parameter.dtype.compute
        return full_like(parameter, value, dtype=kind, device=parameter.device)


def one_number(parameter: Tensor, value: float = 0.0) -> Tensor:
    """Likewise one number, beside a parameter: float32, as in PyTorch's checkpoints."""
    with suspended():
        return full((), value, dtype=dtypes.float32, device=parameter.device)


def count_step(state: dict[str, Any], like: Tensor) -> Tensor:
    """Count this step; gives how many there were by now, in the precision that is computed in."""
    step: Tensor = state["step"]
    step.assign(step + 1.0)
    return step.detach().astype(like.dtype.compute)


def keep(target: Tensor, value: Tensor) -> Tensor:
    """Let a tensor hold another value, in its own dtype."""
    return target.assign(value if value.dtype is target.dtype else value.astype(target.dtype))


# --- gradients ----------------------------------------------------------------------------------------------

mix = operation("mix", lambda old, new, share: old + (new - old) * share)
mix_square = operation("mix_square", lambda old, new, share: old + (new * new - old) * share)
_add_decay = operation("weight_decay", lambda g, p, decay: g + p * decay)


def uphill(gradient: Tensor, options: dict[str, Any]) -> Tensor:
    """The gradient, the other way round if the loss is to become large."""
    return -gradient.detach() if is_on(options, "maximize") else gradient.detach()


def decayed(parameter: Tensor, gradient: Tensor, options: dict[str, Any]) -> Tensor:
    """The gradient of the loss with half of `weight_decay` times the square of the parameter added to it."""
    gradient = uphill(gradient, options)
    if not is_on(options, "weight_decay"):
        return gradient
    return _add_decay(gradient, parameter.detach(), number(options, "weight_decay", parameter))


def pulled(parameter: Tensor, gradient: Tensor, options: dict[str, Any]) -> Tensor:
    """The same, unless the weights decay apart from the gradient."""
    apart = is_on(options, "decoupled_weight_decay")
    return uphill(gradient, options) if apart else decayed(parameter, gradient, options)


def decay_apart(options: dict[str, Any], parameter: Tensor) -> Any:
    """By what a parameter shrinks besides, as a share of the learning rate."""
    apart = is_on(options, "weight_decay") and is_on(options, "decoupled_weight_decay")
    return number(options, "weight_decay", parameter) if apart else 0.0

"""Steps scaled by the gradients there were: Adagrad, Adadelta, RMSprop, Adafactor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import NotNegative, Probability
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import (
    AtLeastOne,
    Floors,
    NotPositive,
    Recorded,
    count_step,
    decayed,
    fresh_state,
    is_on,
    keep,
    mix,
    mix_square,
    number,
    one_number,
    setting,
    uphill,
)
from tessella.scalar.mathematics import pow
from tessella.scalar.operators import maximum, minimum, sqrt
from tessella.tensors.creation import zeros
from tessella.tensors.elementwise import operation
from tessella.tensors.inspection import finfo
from tessella.tensors.statistical import widened
from tessella.tensors.surroundings import entry
from tessella.tensors.tensor import Tensor
from tessella.tracing.trace import suspended

_add_square = operation("adagrad_sum", lambda total, g: total + g * g)
_slower = operation("adagrad_rate", lambda step, rate, decay: rate / (1 + (step - 1) * decay))
_scaled_move = operation("scaled_step", lambda p, g, v, rate, eps: p - rate * g / (sqrt(v) + eps))


class Adagrad(Optimizer):
    """Steps scaled by the sum of all squares of the gradient.

    g = gradient + weight_decay p;  s = s + g^2
    p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    Args:
        initial_accumulator_value: what s starts with.

    Source: Duchi et al., *Adaptive subgradient methods for online learning* (2011).
    """

    moments = ("sum",)
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-2, lr_decay: NotNegative = 0.0,
        weight_decay: NotNegative = 0.0, initial_accumulator_value: NotNegative = 0.0,
        eps: NotNegative = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: Recorded = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    @public
    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own; what is remembered of them starts at once."""
        super().add_param_group(group)
        made = self.param_groups[-1]
        for parameter in made["params"]:
            self.state[parameter] = self._start(parameter, made["initial_accumulator_value"])

    @staticmethod
    def _start(parameter: Tensor, value: float) -> dict[str, Any]:
        return {"step": one_number(parameter), "sum": fresh_state(parameter, value)}

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        if not state:  # somebody cleared it
            state.update(self._start(parameter, entry(options, "initial_accumulator_value")))
        step, total = count_step(state, parameter), state["sum"]
        keep(total, _add_square(total, gradient))
        rate = number(options, "lr", parameter)
        if is_on(options, "lr_decay"):
            rate = _slower(step, rate, number(options, "lr_decay", parameter))
        eps = setting(options, "eps")
        keep(parameter, _scaled_move(parameter.detach(), gradient, total, rate, eps))


def _rest(share: float) -> float:
    return 1 - share


_span = operation("adadelta", lambda g, v, u, eps: sqrt(u + eps) / sqrt(v + eps) * g)
_move = operation("adadelta_step", lambda p, d, rate: p - rate * d)


class Adadelta(Optimizer):
    """Steps in the units of the parameters: scaled by the steps there were, over the gradients there were.

    g = gradient + weight_decay p;  v = rho v + (1 - rho) g^2
    d = sqrt(u + eps) / sqrt(v + eps) g;  u = rho u + (1 - rho) d^2;  p = p - lr d

    Source: Zeiler, *ADADELTA: an adaptive learning rate method* (2012), algorithm 1.
    """

    moments = ("square_avg", "acc_delta")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1.0, rho: Probability = 0.9, eps: NotNegative = 1e-6,
        weight_decay: NotNegative = 0.0, foreach: bool | None = None, *, capturable: bool = False,
        maximize: bool = False, differentiable: Recorded = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        if not state:
            state["step"] = one_number(parameter)
            state["square_avg"], state["acc_delta"] = fresh_state(parameter), fresh_state(parameter)
        count_step(state, parameter)
        v, u, share = (
            state["square_avg"],
            state["acc_delta"],
            number(options, "rho", parameter, _rest),
        )
        keep(v, mix_square(v, gradient, share))
        step = _span(gradient, v, u, setting(options, "eps"))
        keep(u, mix_square(u, step, share))
        keep(parameter, _move(parameter.detach(), step, number(options, "lr", parameter)))


_spread = operation("rmsprop_variance", lambda v, mean: v - mean * mean)
_gather = operation("rmsprop_velocity", lambda b, g, v, momentum, eps: b * momentum + g / (sqrt(v) + eps))  # fmt: skip


class RMSprop(Optimizer):
    """Steps scaled by a running average of the square of the gradient.

    g = gradient + weight_decay p;  v = alpha v + (1 - alpha) g^2
    centered: a = alpha a + (1 - alpha) g, and v - a^2 in place of v below
    without momentum: p = p - lr g / (sqrt(v) + eps)
    with it: b = momentum b + g / (sqrt(v) + eps);  p = p - lr b

    Source: Tieleman & Hinton, *Lecture 6.5: rmsprop* (2012); Graves, *Generating sequences with recurrent neural
    networks* (2013), equations 38 to 45, for centered.
    """

    moments = ("square_avg", "momentum_buffer", "grad_avg")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-2, alpha: NotNegative = 0.99,
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, momentum: NotNegative = 0.0,
        centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: Recorded = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        self._begin(parameter, state, options)
        count_step(state, parameter)
        share = number(options, "alpha", parameter, _rest)
        v = keep(state["square_avg"], mix_square(state["square_avg"], gradient, share))
        if is_on(options, "centered"):
            mean = keep(state["grad_avg"], mix(state["grad_avg"], gradient, share))
            v = _spread(v, mean)
        rate, eps = number(options, "lr", parameter), setting(options, "eps")
        if not is_on(options, "momentum"):
            keep(parameter, _scaled_move(parameter.detach(), gradient, v, rate, eps))
            return
        gathered, momentum = state["momentum_buffer"], number(options, "momentum", parameter)
        keep(gathered, _gather(gathered, gradient, v, momentum, eps))
        keep(parameter, _move(parameter.detach(), gathered, rate))

    @staticmethod
    def _begin(parameter: Tensor, state: dict[str, Any], options: dict[str, Any]) -> None:
        """What is remembered, also of what was turned on later."""
        if "step" not in state:
            state["step"] = one_number(parameter)
        wanted = ["square_avg"]
        wanted += ["momentum_buffer"] * is_on(options, "momentum")
        wanted += ["grad_avg"] * is_on(options, "centered")
        for name in wanted:
            if name not in state:
                state[name] = fresh_state(parameter)


_newest = operation("adafactor_share", lambda step, decay: pow(step, decay))
_relative = operation("adafactor_rate", lambda step, rate, size, floor: maximum(floor, size) * minimum(rate, 1 / sqrt(step)))  # fmt: skip
_divide = operation("adafactor_update", lambda g, v, floor: g / sqrt(maximum(v, floor)))
_clip = operation("adafactor_clip", lambda rate, size, most: rate / maximum(1.0, size / most))
_outer = operation("adafactor_outer", lambda row, column, mean, floor: row * column / maximum(mean, floor))  # fmt: skip
_decay_and_move = operation("adafactor_step", lambda p, u, rate, decay: p * (1 - decay) - rate * u)


def _root_mean_square(x: Tensor) -> Tensor:
    return (x * x).mean() ** 0.5


class Adafactor(Optimizer):
    """Adam with little memory: of a matrix of squares only the means of rows and columns are kept.

    share = t^beta2_decay;  rate = min(lr, 1 / sqrt(t)) max(eps2, rms(p))
    matrices: r = r + share (mean of g^2 along rows - r);  c likewise along columns;  v = r c / max(mean of r, eps1)
    vectors: v = v + share (g^2 - v)
    u = g / sqrt(max(v, eps1^2));  p = p - lr weight_decay p - rate u / max(1, rms(u) / d)

    Args:
        eps: eps1, for which None means that of the dtype, and eps2.
        d: what the root mean square of u is cut at.

    Source: Shazeer & Stern, *Adafactor: adaptive learning rates with sublinear memory cost* (2018), algorithm 4.
    """

    moments = ("variance",)
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-2, beta2_decay: NotPositive = -0.8,
        eps: Floors = (None, 1e-3), d: AtLeastOne = 1.0, weight_decay: NotNegative = 0.0, *,
        foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient, p = uphill(gradient, options), parameter.detach()
        if not state:
            state.update(self._start(parameter))
        step, rate = count_step(state, parameter), number(options, "lr", parameter)
        share = _newest(step, number(options, "beta2_decay", parameter))
        smallest, floor = setting(options, "eps")
        smallest = finfo(parameter.dtype).eps if smallest is None else smallest
        estimate = self._estimate(gradient, state, share, smallest)
        update = _divide(gradient, estimate, smallest * smallest)
        size = _relative(step, rate, _root_mean_square(p).astype(step.dtype), floor)
        cut = _clip(size, _root_mean_square(update).astype(step.dtype), setting(options, "d"))
        decay = is_on(options, "weight_decay")
        shrink = rate * number(options, "weight_decay", parameter) if decay else 0.0
        keep(parameter, _decay_and_move(p, update, cut, shrink))

    @staticmethod
    def _start(parameter: Tensor) -> dict[str, Any]:
        if parameter.ndim < 2:
            return {"step": one_number(parameter), "variance": fresh_state(parameter)}
        row, column = list(parameter.shape), list(parameter.shape)
        row[-1] = column[-2] = 1
        with suspended():
            kind = parameter.dtype.compute
            like: dict[str, Any] = {"dtype": kind, "device": parameter.device}
            made = {"row_var": zeros(row, **like), "col_var": zeros(column, **like)}
        return {"step": one_number(parameter), **made}

    @staticmethod
    def _estimate(
        gradient: Tensor, state: dict[str, Any], share: Tensor, smallest: float
    ) -> Tensor:
        """The squares of gradients as they are expected, as a product of two factors if there are columns."""
        if gradient.ndim < 2:
            return keep(state["variance"], mix_square(state["variance"], gradient, share)).detach()
        row, column, wide = state["row_var"], state["col_var"], widened(gradient)
        square = wide * wide
        keep(row, mix(row, square.mean(-1, keepdims=True), share))
        keep(column, mix(column, square.mean(-2, keepdims=True), share))
        return _outer(row, column, row.detach().mean(-2, keepdims=True), smallest)

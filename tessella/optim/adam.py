"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Kind, NotNegative, register_kind
from tessella.errors import ArgumentError
from tessella.optim.optimiser import Optimizer, fresh_state, setting
from tessella.scalar.mathematics import expm1
from tessella.scalar.operators import sqrt
from tessella.tensors.creation import zeros
from tessella.tensors.elementwise import maximum, operation
from tessella.tensors.surroundings import number_in
from tessella.tensors.tensor import Tensor
from tessella.tracing.trace import suspended


def _step(p: Any, m: Any, v: Any, rate: Any, first: Any, second: Any, eps: Any, decay: Any) -> Any:
    """One step; `first` and `second` are what m and v have by now."""
    return p - p * (rate * decay) - rate / first * m / (sqrt(v) / sqrt(second) + eps)


_first = operation("adam_first_moment", lambda m, g, beta: m + (g - m) * (1 - beta))
_second = operation("adam_second_moment", lambda v, g, beta: v * beta + g * g * (1 - beta))
# 1 - beta^step: what a running average that started at zero has by now
_has = operation("adam_correction", lambda step, log_beta: -expm1(step * log_beta))
_move = operation("adam_step", _step)


def _counter(parameter: Tensor) -> Tensor:
    """How many steps there were: float32, as in PyTorch's checkpoints."""
    with suspended():
        return zeros((), device=parameter.device)


def _betas(value: Any) -> Any:
    items = value if isinstance(value, (tuple, list)) and len(value) == 2 else ()
    good = [isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x < 1 for x in items]
    return tuple(items) if good and all(good) else UNFIT


Betas: TypeAlias = tuple[float, float]
register_kind(
    "Betas", Kind("two numbers of at least 0 and below 1", "False", _betas, ArgumentError)
)


class Adam(Optimizer):
    """Steps scaled by running averages of the gradient and of its square.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    p = p - lr m' / (sqrt(v') + eps), with m' and v' corrected for their start at zero.

    Source: Kingma & Ba, *Adam* (2015), algorithm 1.
    """

    decoupled = False
    moments = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = -gradient.detach() if setting(options, "maximize") else gradient.detach()
        decay = setting(options, "weight_decay")
        if decay and not self.decoupled:
            gradient = gradient + parameter.detach() * decay
        if not state:
            state.update(
                step=_counter(parameter), exp_avg=fresh_state(parameter),
                exp_avg_sq=fresh_state(parameter),
            )  # fmt: skip
        beta1, beta2 = setting(options, "betas")
        step, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
        step.assign(step + 1.0)
        m.assign(_first(m, gradient, beta1))
        v.assign(_second(v, gradient, beta2))
        second = self._largest(state, v) if setting(options, "amsgrad") else v
        count = step.astype(dtypes.compute_dtype(parameter.dtype))
        moved = _move(
            parameter.detach(), m, second, number_in(options, "lr", parameter),
            _has(count, math.log(beta1) if beta1 else -math.inf),
            _has(count, math.log(beta2) if beta2 else -math.inf),
            setting(options, "eps"), decay if self.decoupled else 0.0,
        )  # fmt: skip
        parameter.assign(moved.astype(parameter.dtype))

    @staticmethod
    def _largest(state: dict[str, Any], second: Tensor) -> Tensor:
        if "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = fresh_state(second)
        largest: Tensor = state["max_exp_avg_sq"]
        return largest.assign(maximum(largest, second))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    Source: Loshchilov & Hutter, *Decoupled weight decay regularization* (2019).
    """

    decoupled = True

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 1e-2, amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)

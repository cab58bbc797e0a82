"""Steps that look at a whole layer: LAMB, Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Kind, Natural, NotNegative, register_kind
from tessella.errors import ArgumentError, ShapeError
from tessella.optim.moments import average, begin, first_share, second_share, weight
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import (
    Betas,
    Coefficients,
    count_step,
    fresh_state,
    is_on,
    keep,
    mix,
    number,
    setting,
    uphill,
)
from tessella.scalar.operators import maximum, sqrt
from tessella.tensors.elementwise import operation
from tessella.tensors.tensor import Tensor


def _direction(p: Any, m: Any, v: Any, first: Any, second: Any, eps: Any, decay: Any) -> Any:
    return m / first / (sqrt(v / second) + eps) + p * decay


_lamb = operation("lamb_direction", _direction)
_trust = operation("lamb_trust", lambda p, u: p / u if p * u > 0 else 1.0)
_move_lamb = operation("lamb", lambda p, u, rate, trust: p - rate * trust * u)


def _size(x: Tensor) -> Tensor:
    return (x * x).sum() ** 0.5


class LAMB(Optimizer):
    """Adam whose step is in each layer as large as the layer, for large batches.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    u = m' / (sqrt(v') + eps) + weight_decay p, with m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t)
    p = p - lr |p| / |u| u, with 1 for the quotient where one of the norms is 0

    Source: You et al., *Large batch optimization for deep learning: training BERT in 76 minutes* (2020), algorithm 2.

    >>> import tessella as ts
    >>> p = ts.nn.Parameter(ts.asarray([3.0, 4.0]))
    >>> optimiser = ts.optim.LAMB([p], lr=0.1)
    >>> p.sum().backward()
    >>> optimiser.step()
    >>> p.detach()
    tensor([2.6464, 3.6464])
    """

    moments = ("exp_avg", "exp_avg_sq")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-6, weight_decay: NotNegative = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        p = parameter.detach()
        begin(parameter, state)
        step = count_step(state, parameter)
        m, v = average(parameter, uphill(gradient, options), state, options)
        first = weight(step, number(options, "betas", parameter, first_share))
        second = weight(step, number(options, "betas", parameter, second_share))
        decay = is_on(options, "weight_decay")
        shrink = number(options, "weight_decay", parameter) if decay else 0.0
        update = _lamb(p, m, v, first, second, setting(options, "eps"), shrink)
        trust = _trust(_size(p), _size(update))
        keep(parameter, _move_lamb(p, update, number(options, "lr", parameter), trust))


def _scaled(rate: Any, shape: tuple[int, ...], how: str | None) -> Any:
    """The rate with which the updates of matrices of all shapes are alike."""
    rows, columns = shape
    if how == "match_rms_adamw":
        return rate * (0.2 * math.sqrt(max(rows, columns)))
    return rate * math.sqrt(max(1, rows / columns))


def _orthogonal(x: Tensor, coefficients: Coefficients, steps: int, eps: float) -> Tensor:
    """A matrix near x whose singular values are near 1, by an iteration of Newton and Schulz in bfloat16."""
    a, b, c = coefficients
    is_tall = x.shape[0] > x.shape[1]
    wide = (x.T if is_tall else x).astype(dtypes.bfloat16)
    norm = _size(wide.astype(dtypes.float32)).astype(dtypes.bfloat16)
    wide = _normalise(wide, norm, eps)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = wide * a + (gram * b + (gram @ gram) * c) @ wide
    return wide.T if is_tall else wide


_normalise = operation("muon_norm", lambda x, norm, eps: x / maximum(norm, eps))
_move_muon = operation("muon", lambda p, u, rate, shrink: p * (1 - shrink) - rate * u)

Adjusting: TypeAlias = Literal["original", "match_rms_adamw"]
_WAYS = ("original", "match_rms_adamw")
register_kind(
    "Adjusting",
    Kind("'original' or 'match_rms_adamw'", "False", lambda x: x if x in _WAYS else UNFIT, ArgumentError),
)  # fmt: skip


class Muon(Optimizer):
    """Momentum whose steps are made orthogonal, for the matrices of hidden layers.

    b = momentum b + (1 - momentum) g;  u = (1 - momentum) g + momentum b with Nesterov, else b
    x = u / max(|u|, eps); ns_steps times: x = a x + (b' x x^T + c (x x^T)^2) x, with (a, b', c) = ns_coefficients
    p = p - lr weight_decay p - lr scale x, where scale is sqrt(max(1, rows / columns))

    Biases, norms, embeddings and the last layer go to another optimiser, such as AdamW.

    Args:
        params: matrices, or dicts of them with options of their own.
        adjust_lr_fn: "original" (as None) for that scale, "match_rms_adamw" for 0.2 sqrt(max(rows, columns)), with
            which the learning rates of AdamW serve.

    Raises:
        ShapeError: a parameter is not a matrix.

    Source: Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024); Liu et al., *Muon is
    scalable for LLM training* (2025), for "match_rms_adamw".
    """

    moments = ("momentum_buffer",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, weight_decay: NotNegative = 0.1,
        momentum: NotNegative = 0.95, nesterov: bool = True,
        ns_coefficients: Coefficients = (3.4445, -4.7750, 2.0315), eps: NotNegative = 1e-7,
        ns_steps: Natural = 5, adjust_lr_fn: Adjusting | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        })  # fmt: skip

    @public
    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add matrices with options of their own."""
        super().add_param_group(group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.ndim != 2:
                del self.param_groups[-1]
                raise ShapeError(
                    f"Muon: a parameter of shape {parameter.shape}; expected matrices; give the others to another "
                    "optimiser, such as AdamW"
                )

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        if not state:
            state["momentum_buffer"] = fresh_state(parameter)
        gathered, gradient = state["momentum_buffer"], gradient.detach()
        keep(gathered, mix(gathered, gradient, number(options, "momentum", parameter, _rest)))
        update = gathered.detach()
        if is_on(options, "nesterov"):
            update = mix(gradient, update, number(options, "momentum", parameter))
        update = _orthogonal(
            update, setting(options, "ns_coefficients"), setting(options, "ns_steps"),
            setting(options, "eps"),
        ).astype(parameter.dtype.compute)  # fmt: skip
        rate, shrink = number(options, "lr", parameter), 0.0
        if is_on(options, "weight_decay"):
            shrink = rate * number(options, "weight_decay", parameter)
        adjusted = _scaled(rate, parameter.shape, setting(options, "adjust_lr_fn"))
        keep(parameter, _move_muon(parameter.detach(), update, adjusted, shrink))


def _rest(share: float) -> float:
    return 1 - share

"""Adam and its relatives: steps along a running average of the gradients, scaled by one of their sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import NotNegative
from tessella.optim.moments import average, begin, first_share, second_share, weight
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import (
    Betas,
    Recorded,
    count_step,
    decay_apart,
    decayed,
    fresh_state,
    is_on,
    keep,
    mix,
    number,
    one_number,
    pulled,
    setting,
)
from tessella.scalar.mathematics import expm1, log1p, pow
from tessella.scalar.operators import maximum, sqrt
from tessella.tensors.elementwise import maximum as larger
from tessella.tensors.elementwise import operation
from tessella.tensors.tensor import Tensor


def _first_beta(betas: Betas) -> float:
    return betas[0]


def _second_beta(betas: Betas) -> float:
    return betas[1]


def _adam(p: Any, m: Any, v: Any, rate: Any, first: Any, second: Any, eps: Any, decay: Any) -> Any:
    """One step; `first` and `second` are what m and v have by now."""
    return p - p * (rate * decay) - rate / first * m / (sqrt(v) / sqrt(second) + eps)


_move_adam = operation("adam_step", _adam)


class Adam(Optimizer):
    """Steps scaled by running averages of the gradient and of its square.

    g = gradient + weight_decay p
    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    p = p - lr m' / (sqrt(v') + eps), with m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t)

    Args:
        params: parameters, or dicts of them with options of their own.
        amsgrad: scale by the largest v there was.
        maximize: make the loss large.
        decoupled_weight_decay: p = p - lr weight_decay p instead, apart from the gradient (AdamW).
        foreach, fused, capturable: speak of speed in PyTorch; a compiled step is one program whatever they are.
        differentiable: False, as steps are not recorded.

    Source: Kingma & Ba, *Adam* (2015), algorithm 1; Reddi et al., *On the convergence of Adam* (2018), for amsgrad.

    >>> import tessella as ts
    >>> p = ts.nn.Parameter(ts.ones(2))
    >>> optimiser = ts.optim.Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimiser.step()
    >>> p.detach()
    tensor([0.9, 0.9])
    """

    moments = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, amsgrad: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: Recorded = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = pulled(parameter, gradient, options)
        begin(parameter, state)
        step = count_step(state, parameter)
        m, v = average(parameter, gradient, state, options)
        if is_on(options, "amsgrad"):
            v = self._largest(state, v)
        keep(parameter, _move_adam(
            parameter.detach(), m, v, number(options, "lr", parameter),
            weight(step, number(options, "betas", parameter, first_share)),
            weight(step, number(options, "betas", parameter, second_share)),
            setting(options, "eps"), decay_apart(options, parameter),
        ))  # fmt: skip

    @staticmethod
    def _largest(state: dict[str, Any], second: Tensor) -> Tensor:
        if "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = fresh_state(second)
        largest: Tensor = state["max_exp_avg_sq"]
        return largest.assign(larger(largest, second))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p = p - lr weight_decay p before each step.

    Source: Loshchilov & Hutter, *Decoupled weight decay regularization* (2019), algorithm 2.
    """

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: Recorded = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip


_grow = operation("adamax_size", lambda u, g, beta, eps: maximum(u * beta, abs(g) + eps))
_move_adamax = operation("adamax_step", lambda p, m, u, rate, first: p - rate / first * m / u)


class Adamax(Optimizer):
    """Adam with the largest gradient of late instead of the mean square.

    g = gradient + weight_decay p
    m = beta1 m + (1 - beta1) g;  u = max(beta2 u, |g| + eps)
    p = p - lr m / ((1 - beta1^t) u)

    Source: Kingma & Ba, *Adam* (2015), algorithm 2.
    """

    moments = ("exp_avg", "exp_inf")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 2e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: Recorded = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        begin(parameter, state, "exp_inf")
        step = count_step(state, parameter)
        share = number(options, "betas", parameter, first_share)
        m, u = state["exp_avg"], state["exp_inf"]
        keep(m, mix(m, gradient, share))
        beta = number(options, "betas", parameter, _second_beta)
        keep(u, _grow(u, gradient, beta, setting(options, "eps")))
        rate = number(options, "lr", parameter)
        keep(parameter, _move_adamax(parameter.detach(), m, u, rate, weight(step, share)))


# beta1 (1 - 0.96^(step momentum_decay) / 2): how much of the momentum counts by now
_momentum = operation("nadam_momentum", lambda step, beta, decay: beta * (1 - 0.5 * pow(0.96, step * decay)))  # fmt: skip


def _nadam(
    p: Any, g: Any, m: Any, v: Any, rate: Any, of_gradient: Any, of_average: Any, second: Any,
    eps: Any, decay: Any,
) -> Any:  # fmt: skip
    moved = (of_gradient * g + of_average * m) / (sqrt(v / second) + eps)
    return p - p * (rate * decay) - rate * moved


_move_nadam = operation("nadam_step", _nadam)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which warms up.

    g = gradient + weight_decay p;  mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    m' = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
    p = p - lr m' / (sqrt(v / (1 - beta2^t)) + eps)

    Args:
        decoupled_weight_decay: p = p - lr weight_decay p instead, apart from the gradient.

    Source: Dozat, *Incorporating Nesterov momentum into Adam* (2016).
    """

    moments = ("exp_avg", "exp_avg_sq")
    counts = ("step", "mu_product")

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 2e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, momentum_decay: NotNegative = 4e-3,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: Recorded = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = pulled(parameter, gradient, options)
        if not state:
            begin(parameter, state)
            state["mu_product"] = one_number(parameter, 1.0)
        step = count_step(state, parameter)
        m, v = average(parameter, gradient, state, options)
        of_gradient, of_average = self._shares(step, state, options, parameter)
        second = weight(step, number(options, "betas", parameter, second_share))
        keep(parameter, _move_nadam(
            parameter.detach(), gradient, m, v, number(options, "lr", parameter), of_gradient,
            of_average, second, setting(options, "eps"), decay_apart(options, parameter),
        ))  # fmt: skip

    @staticmethod
    def _shares(
        step: Tensor, state: dict[str, Any], options: dict[str, Any], parameter: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How much of the gradient, and of its average, a step takes."""
        beta = number(options, "betas", parameter, _first_beta)
        decay = number(options, "momentum_decay", parameter)
        now, soon = _momentum(step, beta, decay), _momentum(step + 1.0, beta, decay)
        product = keep(state["mu_product"], state["mu_product"] * now).detach().astype(step.dtype)
        return (1.0 - now) / (1.0 - product), soon / (1.0 - product * soon)


def _rectification(step: Any, share: Any) -> Any:
    """By what the adaptive rate is made smaller, its correction included; 0 while it is of no use."""
    longest = 2 / share - 1
    weight = -expm1(step * log1p(-share))
    length = longest - 2 * step * (1 - weight) / weight
    shrunk = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return sqrt(maximum(shrunk, 0.0) * weight) if length > 5 else 0.0


def _radam(
    p: Any, m: Any, v: Any, rate: Any, first: Any, rectified: Any, eps: Any, decay: Any
) -> Any:
    adaptive = rectified / (sqrt(v) + eps) if rectified > 0 else 1.0
    return p - p * (rate * decay) - rate * (m / first) * adaptive


_rectify = operation("radam_rectification", _rectification)
_move_radam = operation("radam_step", _radam)


class RAdam(Optimizer):
    """Adam whose rate is adaptive only when there are enough gradients to tell their variance.

    g = gradient + weight_decay p
    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  m' = m / (1 - beta1^t)
    rho_inf = 2 / (1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t / (1 - beta2^t)
    if rho > 5: r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)),
        p = p - lr m' r sqrt(1 - beta2^t) / (sqrt(v) + eps)
    else: p = p - lr m'

    Args:
        decoupled_weight_decay: p = p - lr weight_decay p instead, apart from the gradient.

    Source: Liu et al., *On the variance of the adaptive learning rate and beyond* (2020), algorithm 2.
    """

    moments = ("exp_avg", "exp_avg_sq")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8, weight_decay: NotNegative = 0.0, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: Recorded = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = pulled(parameter, gradient, options)
        begin(parameter, state)
        step = count_step(state, parameter)
        m, v = average(parameter, gradient, state, options)
        exact = step.astype(dtypes.float64)  # as the lengths are differences of large numbers
        rectified = _rectify(exact, number(options, "betas", exact, second_share))
        keep(parameter, _move_radam(
            parameter.detach(), m, v, number(options, "lr", parameter),
            weight(step, number(options, "betas", parameter, first_share)), rectified.astype(step.dtype),
            setting(options, "eps"), decay_apart(options, parameter),
        ))  # fmt: skip

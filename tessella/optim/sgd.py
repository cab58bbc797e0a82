"""Steps along the gradient: with momentum, and averaged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import NotNegative
from tessella.errors import ArgumentError
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import (
    Recorded,
    count_step,
    decayed,
    fresh_state,
    is_on,
    keep,
    mix,
    number,
    one_number,
    setting,
)
from tessella.scalar.mathematics import pow
from tessella.scalar.operators import maximum
from tessella.tensors.creation import ones_like
from tessella.tensors.elementwise import operation
from tessella.tensors.surroundings import entry
from tessella.tensors.tensor import Tensor

_move = operation("sgd", lambda p, g, rate: p - rate * g)
_gather = operation("sgd_velocity", lambda v, g, momentum, damping: v * momentum + g * (1 - damping))  # fmt: skip
_look_ahead = operation("sgd_nesterov", lambda g, v, momentum: g + v * momentum)


class SGD(Optimizer):
    """Gradient descent with momentum.

    g = gradient + weight_decay p;  v = momentum v + (1 - dampening) g;  p = p - lr v
    (with Nesterov: p = p - lr (g + momentum v)). The first v is g.

    Args:
        params: parameters, or dicts of them with options of their own.
        maximize: make the loss large.
        foreach, fused: speak of speed in PyTorch; a compiled step is one program whatever they are.
        differentiable: False, as steps are not recorded.

    Source: Sutskever et al., *On the importance of initialization and momentum* (2013).

    >>> import tessella as ts
    >>> p = ts.nn.Parameter(ts.ones(2))
    >>> optimiser = ts.optim.SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimiser.step()
    >>> p.detach()
    tensor([0.8, 0.8])
    """

    moments = ("momentum_buffer",)
    untold = ("begun",)  # 0 before a parameter's first damped step, then 1

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, momentum: NotNegative = 0.0,
        dampening: float = 0.0, weight_decay: NotNegative = 0.0, nesterov: bool = False, *,
        maximize: bool = False, foreach: bool | None = None, differentiable: Recorded = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError("nesterov: needs a momentum and no dampening")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        if is_on(options, "momentum"):
            gradient = self._velocity(parameter, gradient, state, options)
        keep(parameter, _move(parameter.detach(), gradient, number(options, "lr", parameter)))

    def _velocity(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> Tensor:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = fresh_state(parameter)
            if is_on(options, "dampening"):
                state["begun"] = one_number(parameter)
        momentum = number(options, "momentum", parameter)
        damping = _damping(parameter, state, options)
        velocity = state["momentum_buffer"]
        velocity = keep(velocity, _gather(velocity, gradient, momentum, damping)).detach()
        ahead = is_on(options, "nesterov")
        return _look_ahead(gradient, velocity, momentum) if ahead else velocity


def _damping(parameter: Tensor, state: dict[str, Any], options: dict[str, Any]) -> Any:
    """By what a gradient counts less: the first counts in full, which is known by a number, so that one program does."""
    damping = number(options, "dampening", parameter) if is_on(options, "dampening") else 0.0
    if "begun" not in state:
        return damping
    begun = state["begun"]
    now = begun.detach().astype(parameter.dtype.compute)
    keep(begun, ones_like(begun))
    return now * damping


_move_asgd = operation("asgd", lambda p, g, eta, lambd: p * (1 - lambd * eta) - eta * g)
_rate = operation("asgd_rate", lambda step, rate, lambd, alpha: rate / pow(1 + lambd * rate * step, alpha))  # fmt: skip
_share = operation("asgd_share", lambda step, start: 1 / maximum(step - start, 1.0))


class ASGD(Optimizer):
    """Gradient descent whose parameters are averaged over the steps.

    g = gradient + weight_decay p;  p = (1 - lambd eta) p - eta g;  ax = ax + mu (p - ax)
    then, for the next step: eta = lr / (1 + lambd lr t)^alpha;  mu = 1 / max(1, t - t0)

    The average is `optimiser.state[p]["ax"]`. It is p itself until t0.

    Source: Polyak & Juditsky, *Acceleration of stochastic approximation by averaging* (1992).
    """

    moments = ("ax",)
    counts = ("step", "eta", "mu")

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
        t0: float = 1e6, weight_decay: NotNegative = 0.0, foreach: bool | None = None,
        maximize: bool = False, differentiable: Recorded = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = decayed(parameter, gradient, options)
        if not state:
            state["step"], state["ax"] = one_number(parameter), fresh_state(parameter)
            state["eta"] = one_number(parameter, float(entry(options, "lr")))
            state["mu"] = one_number(parameter, 1.0)
        step, eta, mu, ax = count_step(state, parameter), state["eta"], state["mu"], state["ax"]
        lambd = number(options, "lambd", parameter)
        keep(parameter, _move_asgd(parameter.detach(), gradient, eta.astype(step.dtype), lambd))
        keep(ax, mix(ax, parameter.detach(), mu.astype(step.dtype)))
        rate = number(options, "lr", parameter)
        keep(eta, _rate(step, rate, lambd, number(options, "alpha", parameter)))
        keep(mu, _share(step, setting(options, "t0")))

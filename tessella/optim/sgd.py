"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import NotNegative
from tessella.errors import ArgumentError
from tessella.optim.optimiser import Optimizer, fresh_state, setting
from tessella.tensors.elementwise import operation
from tessella.tensors.surroundings import after_call, guarded, number_in
from tessella.tensors.tensor import Tensor

_move = operation("sgd", lambda p, g, rate: p - rate * g)


class SGD(Optimizer):
    """Gradient descent with momentum.

    g = gradient + weight_decay p;  v = momentum v + (1 - dampening) g;  p = p - lr v
    (with Nesterov: p = p - lr (g + momentum v)).

    Source: Sutskever et al., *On the importance of initialization and momentum* (2013).
    """

    moments = ("momentum_buffer",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-3, momentum: NotNegative = 0.0,
        dampening: float = 0.0, weight_decay: NotNegative = 0.0, nesterov: bool = False,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError("nesterov: needs a momentum and no dampening")
        self._first: dict[Tensor, bool] = {}  # whether a parameter's next step is its first
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening,
            "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = gradient.detach()
        if setting(options, "maximize"):
            gradient = -gradient
        if setting(options, "weight_decay"):
            gradient = gradient + parameter.detach() * options["weight_decay"]
        momentum = setting(options, "momentum")
        if momentum:
            damping = setting(options, "dampening")
            is_new = "momentum_buffer" not in state
            if is_new:
                state["momentum_buffer"] = fresh_state(parameter)
            if damping and self._is_first(parameter, is_new):
                damping = 0.0  # the first gradient counts in full
            velocity = state["momentum_buffer"]
            velocity.assign(velocity * momentum + gradient * (1 - damping))
            velocity = velocity.detach()
            nesterov = setting(options, "nesterov")
            gradient = gradient + velocity * momentum if nesterov else velocity
        parameter.assign(_move(parameter.detach(), gradient, number_in(options, "lr", parameter)))

    def _is_first(self, parameter: Tensor, is_new: bool) -> bool:
        """Whether it is a parameter's first step; a compiled step is made for one of the two."""
        if is_new:
            self._first[parameter] = True
        first: bool = guarded(self._first, parameter, self._first.setdefault(parameter, False))
        after_call(lambda: self._first.update({parameter: False}))
        return first

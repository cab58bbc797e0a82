"""Steps by the signs of gradients: Rprop, Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import NotNegative
from tessella.optim.moments import first_share, second_share
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import (
    Betas,
    Bounds,
    Recorded,
    Shrinking,
    count_step,
    fresh_state,
    is_on,
    keep,
    mix,
    number,
    one_number,
    setting,
    uphill,
)
from tessella.scalar.operators import maximum, minimum, sign
from tessella.tensors.elementwise import operation
from tessella.tensors.surroundings import entry
from tessella.tensors.tensor import Tensor


def _resize(size: Any, g: Any, before: Any, less: Any, more: Any, least: Any, most: Any) -> Any:
    product = g * before
    factor = more if product > 0 else less if product < 0 else 1.0
    return minimum(maximum(size * factor, least), most)


_new_size = operation("rprop_size", _resize)
_held = operation("rprop_gradient", lambda g, before: 0.0 if g * before < 0 else g)
_move_rprop = operation("rprop", lambda p, g, size: p - sign(g) * size)


class Rprop(Optimizer):
    """Steps by the sign of the gradient, of a size for each number that grows while the sign stays.

    s = s eta_plus where the gradient has the sign that it had, s eta_minus where it has the other one,
        between the two step_sizes; s is lr at first
    g = gradient, but 0 where the sign has changed;  p = p - sign(g) s

    Args:
        lr: the first size of all steps; it is not read afterwards.
        etas: eta_minus and eta_plus.
        step_sizes: the smallest and the largest step.

    Source: Riedmiller & Braun, *A direct adaptive method for faster backpropagation learning* (1993), without its
    stepping back, as PyTorch has it (iRprop-: Igel & Hüsken, 2000).
    """

    moments = ("prev", "step_size")
    counts = ("step",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-2, etas: Shrinking = (0.5, 1.2),
        step_sizes: Bounds = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: Recorded = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = uphill(gradient, options)
        if not state:
            state["step"], state["prev"] = one_number(parameter), fresh_state(parameter)
            state["step_size"] = fresh_state(parameter, float(entry(options, "lr")))
        count_step(state, parameter)
        before, size = state["prev"], state["step_size"]
        etas, bounds = setting(options, "etas"), setting(options, "step_sizes")
        keep(size, _new_size(size, gradient, before, *etas, *bounds))
        keep(before, _held(gradient, before))
        keep(parameter, _move_rprop(parameter.detach(), before, size))


def _lion(p: Any, g: Any, m: Any, rate: Any, share: Any, decay: Any) -> Any:
    return p - rate * (sign(m + (g - m) * share) + decay * p)


_move_lion = operation("lion", _lion)


class Lion(Optimizer):
    """Steps by the sign of a momentum: all numbers move by lr.

    p = p - lr (sign(beta1 m + (1 - beta1) g) + weight_decay p);  then m = beta2 m + (1 - beta2) g

    Its lr is best three to ten times smaller than Adam's, its weight_decay as many times larger.

    Source: Chen et al., *Symbolic discovery of optimization algorithms* (2023), algorithm 2.

    >>> import tessella as ts
    >>> p = ts.nn.Parameter(ts.asarray([1.0, -3.0]))
    >>> optimiser = ts.optim.Lion([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimiser.step()
    >>> p.detach()
    tensor([ 0.5, -2.5])
    """

    moments = ("exp_avg",)

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1e-4, betas: Betas = (0.9, 0.99),
        weight_decay: NotNegative = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize,
        })  # fmt: skip

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> None:
        gradient = uphill(gradient, options)
        if not state:
            state["exp_avg"] = fresh_state(parameter)
        m, share = state["exp_avg"], number(options, "betas", parameter, first_share)
        decay = is_on(options, "weight_decay")
        shrink = number(options, "weight_decay", parameter) if decay else 0.0
        rate = number(options, "lr", parameter)
        keep(parameter, _move_lion(parameter.detach(), gradient, m, rate, share, shrink))
        keep(m, mix(m, gradient, number(options, "betas", parameter, second_share)))

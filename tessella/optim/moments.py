"""Running averages of gradients and of their squares, with which Adam and its relatives scale their steps."""

from __future__ import annotations

from typing import Any

from tessella.optim.rules import Betas, fresh_state, keep, mix, mix_square, number, one_number
from tessella.scalar.mathematics import expm1, log1p
from tessella.tensors.elementwise import operation
from tessella.tensors.tensor import Tensor

# What is taken of a new gradient: 1 - beta, made in Python's precision, as it is small beside beta.


def first_share(betas: Betas) -> float:
    """Of a new gradient, in the average of them."""
    return 1 - betas[0]


def second_share(betas: Betas) -> float:
    """Of the square of a new gradient, in the average of these."""
    return 1 - betas[1]


# 1 - beta^step: what a running average that started at zero has by now
weight = operation("average_weight", lambda step, share: -expm1(step * log1p(-share)))


def begin(parameter: Tensor, state: dict[str, Any], size: str = "exp_avg_sq") -> None:
    """Start the averages of a parameter, if there are none.

    Args:
        size: the name of the second one.
    """
    if not state:
        state["step"] = one_number(parameter)
        state["exp_avg"], state[size] = fresh_state(parameter), fresh_state(parameter)


def average(
    parameter: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Take a gradient into the averages; gives them.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    """
    m, v = state["exp_avg"], state["exp_avg_sq"]
    keep(m, mix(m, gradient, number(options, "betas", parameter, first_share)))
    keep(v, mix_square(v, gradient, number(options, "betas", parameter, second_share)))
    return m, v

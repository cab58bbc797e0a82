"""Activations."""

from .case import case, normal

CASES = [
    case("relu", normal(4, 5)),
    case("ELU", normal(4, 5), alpha=2.0),
    case("Softmax", normal(4, 5, 3), dim=1),
]

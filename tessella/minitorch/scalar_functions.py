"""Tasks 1.2 and 1.4: the functions of scalars, under the name that the course has for them.

They stand with `Scalar` in one file, as each is made of the other.
"""

from tessella.minitorch.autodiff import wrap_tuple
from tessella.minitorch.scalar import (
    EQ,
    LT,
    Add,
    Exp,
    Inv,
    Log,
    Mul,
    Neg,
    ReLU,
    ScalarFunction,
    Sigmoid,
)

__all__ = [
    "EQ", "LT", "Add", "Exp", "Inv", "Log", "Mul", "Neg", "ReLU", "ScalarFunction", "Sigmoid",
    "wrap_tuple",
]  # fmt: skip

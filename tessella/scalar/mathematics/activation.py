"""Activation functions that are operators because their derivative at a kink is a convention."""

from __future__ import annotations

import numpy as np

from tessella.scalar.expression import Operator, constant
from tessella.scalar.operators import less, maximum, select

relu = Operator(
    "relu", 1, evaluate=lambda x: np.maximum(x, x.dtype.type(0)),
    partials=lambda r, x: (select(less(0, x), constant(1, x.dtype), constant(0, x.dtype)),),
    expand=lambda x: maximum(x, constant(0, x.dtype)),
    documentation="max(x, 0); its derivative at 0 is 0.",
)  # fmt: skip

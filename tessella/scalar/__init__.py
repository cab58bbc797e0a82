"""Scalars: operators, expressions, derivatives, the maths library (Modules 0 and 1)."""

from tessella.scalar import functions, mathematics, operators
from tessella.scalar.derivative import derivative
from tessella.scalar.expression import OPERATORS, Expression, Operator, constant, evaluate, variable
from tessella.scalar.function import ScalarFunction, scalar_function
from tessella.scalar.higher_order import map, reduce, zip_with
from tessella.scalar.operators import bitcast, convert, select
from tessella.scalar.precision import expand, widen
from tessella.scalar.rewriting import substitute
from tessella.scalar.trace import trace
from tessella.scalar.value import Scalar

# What a name stands for in Tessella itself; operators that others define come after this line.
OWN_OPERATORS = frozenset(OPERATORS.values())

__all__ = [
    "OWN_OPERATORS",
    "Expression",
    "Operator",
    "Scalar",
    "ScalarFunction",
    "bitcast",
    "constant",
    "convert",
    "derivative",
    "evaluate",
    "expand",
    "functions",
    "map",
    "mathematics",
    "operators",
    "reduce",
    "scalar_function",
    "select",
    "substitute",
    "trace",
    "variable",
    "widen",
    "zip_with",
]

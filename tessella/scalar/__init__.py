"""Scalars: operators, expressions, derivatives, the maths library (Modules 0 and 1)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.names import missing as _missing
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

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("scalar", name)


__all__ = [
    "OWN_OPERATORS", "Expression", "Operator", "Scalar", "ScalarFunction", "bitcast", "constant",
    "convert", "derivative", "evaluate", "expand", "functions", "map", "mathematics", "operators",
    "reduce", "scalar_function", "select", "substitute", "trace", "variable", "widen", "zip_with",
]  # fmt: skip

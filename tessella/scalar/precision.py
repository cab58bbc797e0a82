"""Passes that bring an expression to what a target computes: wide arithmetic, core operators."""

from __future__ import annotations

from tessella import dtypes
from tessella.errors import MissingRuleError
from tessella.scalar import storage
from tessella.scalar.expression import (
    CONSTANT,
    OPERATORS,
    Expression,
    applied,
    constant,
    require_expression,
)
from tessella.scalar.operators import bitcast_operator, cast, convert
from tessella.scalar.rewriting import rewrite_once


def _to(node: Expression, dtype: dtypes.DType) -> Expression:
    return applied(cast, (node,), static=dtype)


def widen(root: Expression) -> Expression:
    """The expression with half-precision arithmetic done in float32 and rounded once at the end.

    Inputs (variables, loads) and explicit casts keep their half precision.

    >>> from tessella.scalar.expression import variable
    >>> x = variable("x", dtypes.float16)
    >>> str(widen(x * x + x))
    'cast(cast(x, float32) * cast(x, float32) + cast(x, float32), float16)'
    """

    return _to(rewrite_once(require_expression(root, "widen"), _widened, "widened"), root.dtype)


def _widened(node: Expression, arguments: tuple[Expression, ...]) -> Expression | None:
    if node.operator is CONSTANT:
        wide = node.dtype if node.dtype.is_storage else node.dtype.compute
        return None if wide is node.dtype else constant(node.static, wide)
    if not node.arguments:
        return None
    if node.operator is bitcast_operator:  # of the bits as they are, not of those of a wider number
        return applied(node.operator, (_to(arguments[0], node.arguments[0].dtype),), node.static)
    if node.operator is OPERATORS["select"] and arguments == node.arguments:
        return None  # what is chosen, and not computed, stays as it is stored
    if node.operator is cast:
        return _to(_to(_wide(arguments[0]), node.static), node.static.compute)
    if node.operator.promotes and node.operator.expand is None and node.static is None:
        arguments = tuple(_operand(argument, node.dtype) for argument in arguments)
    if all(argument.dtype.compute is argument.dtype for argument in arguments):
        same = arguments == node.arguments
        return None if same else applied(node.operator, arguments, node.static)
    return applied(node.operator, [_wide(argument) for argument in arguments], node.static)


def _operand(argument: Expression, result: dtypes.DType) -> Expression:
    """Integers that become a float, as in a division, are floats from the start."""
    if result.is_float and not argument.dtype.is_float:
        return _to(argument, result.compute)
    return argument


def _wide(node: Expression) -> Expression:
    return _to(node, node.dtype.compute)


def expand(root: Expression) -> Expression:
    """The expression in core operators: functions of the maths library are written out.

    >>> from tessella.scalar.expression import variable
    >>> from tessella.scalar.operators import square
    >>> x = variable("x", dtypes.float32)
    >>> str(expand(square(x)))
    'x * x'
    """

    return rewrite_once(require_expression(root, "expand"), _expanded, "expanded")


def _expanded(node: Expression, arguments: tuple[Expression, ...]) -> Expression | None:
    """A function of the library, or the conversion of what is stored, written out; functions in which that is written are, too."""
    if node.operator is cast:
        converted = storage.conversion(arguments[0], node.static)
        return None if converted is None else expand(converted)
    if node.operator.expand is None:
        return None
    return expand(constant(node.operator.expand(*arguments)))


def require_core(root: Expression) -> None:
    """Complain about an operator that a code generator was not given.

    Raises:
        MissingRuleError: always; called where a target finds an operator it does not know.
    """
    raise MissingRuleError(
        f"no code can be generated for the operator {root.operator.name}: give it an `expand` "
        "in tessella/scalar, or an instruction in tessella/loops/llvm.py"
    )


def core(root: Expression, dtype: dtypes.DType | None = None) -> Expression:
    """The expression as it is computed: wide arithmetic, core operators, cast to `dtype`."""
    node = root if dtype is None or dtype is root.dtype else convert(root, dtype)
    return expand(widen(node))

"""Derivatives of scalar expressions, by the chain rule in forward order.

Source: Baydin et al., *Automatic Differentiation in Machine Learning: a Survey* (2018), section 3.1.
"""

from __future__ import annotations

from typing import Any

from tessella.errors import MissingRuleError
from tessella.scalar.expression import (
    Expression,
    Partial,
    applied,
    constant,
    postorder,
    require_expression,
)
from tessella.scalar.operators import cast, multiply


def derivative(root: Expression, variable: Expression) -> Expression:
    """The derivative of an expression by one of its variables, as an expression.

    At a kink the derivative is a value between those of the two sides: 0 for `abs` at 0, one half
    each for `maximum` and `minimum` of equal numbers. Both branches of a `select` are
    differentiated, and the condition chooses between them.

    Raises:
        MissingRuleError: an operator on the way has no derivative.

    >>> from tessella import dtypes
    >>> from tessella.scalar.expression import variable
    >>> x = variable("x", dtypes.float32)
    >>> str(derivative(x * x * x, x))
    'x * (x + x) + x * x'
    """
    require_expression(root, "derivative")
    require_expression(variable, "derivative")
    slopes: dict[Expression, Partial] = {}  # None stands for zero
    for node in postorder(root):
        if node is variable:
            slopes[node] = 1
        elif any(slopes[argument] is not None for argument in node.arguments):
            slopes[node] = _chain(node, slopes)
        else:
            slopes[node] = None
    slope = slopes[root]
    slope = 0 if slope is None else slope
    if isinstance(slope, Expression):
        return _of_dtype(slope, root)
    return constant(slope, root.dtype.gradient)


def _chain(node: Expression, slopes: dict[Expression, Partial]) -> Partial:
    """Sum over the operands of (partial derivative) x (slope of the operand)."""
    operator = node.operator
    if operator.tangent is not None:
        own = [_of_dtype(slopes[argument], node) for argument in node.arguments]
        return operator.tangent(node, node.arguments, own)
    if operator.partials is None:
        if not node.dtype.is_float:
            return None  # integers and bits do not move when their inputs do
        raise MissingRuleError(
            f"the operator {operator.name} has no derivative; add `partials` to it in "
            "tessella/scalar"
        )
    total: Partial = None
    partials = operator.partials(node, *node.arguments)
    for argument, partial in zip(node.arguments, partials, strict=True):
        total = _plus(total, _times(partial, slopes[argument], node))
    return total


def _times(partial: Partial, slope: Partial, node: Expression) -> Partial:
    if partial is None or slope is None:
        return None
    slope = _of_dtype(slope, node)
    assert slope is not None
    if isinstance(partial, Expression) or isinstance(slope, Expression):
        return applied(multiply, (partial, slope))
    return partial * slope


def _of_dtype(slope: Any, node: Expression) -> Any:
    """A slope in the dtype of a node's gradients."""
    kind = node.dtype.gradient
    if isinstance(slope, Expression) and slope.dtype is not kind:
        return applied(cast, (slope,), static=kind)
    return slope


def _plus(a: Partial, b: Partial) -> Partial:
    if a is None:
        return b
    return a if b is None else a + b

"""Expressions made of others: variables replaced, nodes rewritten from the leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tessella.errors import ArgumentTypeError
from tessella.scalar.expression import Expression, applied, postorder, require_expression


def variables(*roots: Expression) -> list[Expression]:
    """The variables an expression reads, in the order they are met."""
    return [node for node in postorder(*roots) if node.is_variable]


def substitute(root: Expression, values: Mapping[Expression, Expression]) -> Expression:
    """The expression with variables (or whole subexpressions) replaced, simplified again.

    >>> from tessella import dtypes
    >>> from tessella.scalar.expression import variable
    >>> x, y = variable("x", dtypes.float32), variable("y", dtypes.float32)
    >>> str(substitute(x * x, {x: y + 1}))
    '(y + 1.0) * (y + 1.0)'
    """
    if not isinstance(values, Mapping) or not all(
        isinstance(x, Expression) for x in values.values()
    ):
        raise ArgumentTypeError(
            "substitute: the values are no mapping of expressions to expressions"
        )
    return Substitution(values)(require_expression(root, "substitute"))


class Substitution:
    """`substitute` for several roots: what they share is gone through once.

    Args:
        values: what stands for what; it must not change any more.
    """

    def __init__(self, values: Mapping[Expression, Expression]) -> None:
        self.done = dict(values)

    def __call__(self, root: Expression) -> Expression:
        for node in postorder(root, besides=self.done):
            arguments = tuple([self.done[argument] for argument in node.arguments])
            self.done[node] = rebuilt(node, arguments)
        return self.done[root]


Rule = Callable[[Expression, tuple[Expression, ...]], "Expression | None"]


def rebuilt(node: Expression, arguments: tuple[Expression, ...]) -> Expression:
    """The node with other operands, simplified again."""
    if arguments == node.arguments:
        return node
    return applied(node.operator, arguments, node.static)


def rewrite_once(root: Expression, rule: Rule, slot: str) -> Expression:
    """Rebuild from the leaves: `rule(node, new_arguments)` gives a replacement or None.

    The rule may depend on nothing but what it is given: what it makes of a node is kept in a slot of the
    node, so that expressions with common parts cost no more than all of their nodes.
    """
    for node in postorder(root, besides=_Done(slot)):
        arguments = tuple([_found(argument, slot) for argument in node.arguments])
        replaced = rule(node, arguments)
        found = rebuilt(node, arguments) if replaced is None else replaced
        # a node that holds itself would never be freed
        setattr(node, slot, _ITSELF if found is node else found)
    return _found(root, slot)


_ITSELF: Any = object()


def _found(node: Expression, slot: str) -> Expression:
    found: Expression = getattr(node, slot)
    return node if found is _ITSELF else found


class _Done:
    """The nodes with something in a slot, as a set."""

    def __init__(self, slot: str) -> None:
        self.slot = slot

    def __contains__(self, node: object) -> bool:
        return getattr(node, self.slot) is not None

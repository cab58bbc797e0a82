"""Expressions as text people read."""

from __future__ import annotations

from tessella.scalar.expression import Expression

_INFIX = {
    "multiply": ("*", 5),
    "divide": ("/", 5),
    "floor_divide": ("//", 5),
    "remainder": ("%", 5),
    "add": ("+", 4),
    "subtract": ("-", 4),
    "left_shift": ("<<", 3),
    "right_shift": (">>", 3),
    "bitwise_and": ("&", 2),
    "bitwise_xor": ("^", 2),
    "bitwise_or": ("|", 2),
    "less": ("<", 1),
    "less_equal": ("<=", 1),
    "greater": (">", 1),
    "greater_equal": (">=", 1),
    "equal": ("==", 1),
    "not_equal": ("!=", 1),
}
_LOOSEST = 0
_UNARY = 6


def infix(node: Expression) -> str:
    """Python-like text of an expression, with only the brackets it needs.

    >>> from tessella import dtypes
    >>> from tessella.scalar.expression import variable
    >>> x = variable("x", dtypes.float32)
    >>> infix((x + 1) * -x)
    '(x + 1.0) * -x'
    """
    return _write(node, _LOOSEST)


def _write(node: Expression, context: int) -> str:
    if node.is_variable or node.is_constant:
        return str(node.static)
    name = node.operator.name
    if name in _INFIX:
        symbol, strength = _INFIX[name]
        left = _write(node.arguments[0], strength)
        right = _write(node.arguments[1], strength + 1)
        text = f"{left} {symbol} {right}"
        return f"({text})" if strength < context else text
    if name == "negative":
        return "-" + _write(node.arguments[0], _UNARY)
    arguments = [_write(argument, _LOOSEST) for argument in node.arguments]
    if node.static is not None:
        arguments.append(getattr(node.static, "name", str(node.static)))
    return f"{name}({', '.join(arguments)})"

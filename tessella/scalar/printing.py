"""Expressions as text people read."""

from __future__ import annotations

from tessella.scalar.expression import Expression, postorder

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
_UNARY = 6
_ATOM = 7


MOST = 4000  # characters: what is common is written wherever it is used, which may be without end


def infix(node: Expression) -> str:
    """Python-like text of an expression, with only the brackets it needs.

    In a text that would be very long, what lies deep inside is written as `...`.

    >>> from tessella import dtypes
    >>> from tessella.scalar.expression import variable
    >>> x = variable("x", dtypes.float32)
    >>> infix((x + 1) * -x)
    '(x + 1.0) * -x'
    """
    texts: dict[Expression, tuple[str, int]] = {}  # and how strongly what is in it holds together
    for part in postorder(node):
        text, strength = _write(part, texts)
        texts[part] = (text, strength) if len(text) <= MOST else ("...", _ATOM)
    return texts[node][0]


def _write(node: Expression, texts: dict[Expression, tuple[str, int]]) -> tuple[str, int]:
    def part(number: int, context: int) -> str:
        text, strength = texts[node.arguments[number]]
        return f"({text})" if strength < context else text

    if node.is_variable or node.is_constant:
        return str(node.static), _ATOM
    name = node.operator.name
    if name in _INFIX:
        symbol, strength = _INFIX[name]
        return f"{part(0, strength)} {symbol} {part(1, strength + 1)}", strength
    if name == "negative":
        return "-" + part(0, _UNARY), _ATOM
    arguments = [texts[argument][0] for argument in node.arguments]
    if node.static is not None:
        arguments.append(getattr(node.static, "name", str(node.static)))
    return f"{name}({', '.join(arguments)})", _ATOM

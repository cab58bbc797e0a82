"""Symbolic scalar expressions: a small DAG of operators.

An expression says how one number is computed from others. It can be evaluated (`evaluate`),
differentiated (`tessella.scalar.derivative`), printed, and compiled to machine code. Expressions
are interned: building the same expression twice gives the same object, so common subexpressions
are shared by construction and `is` compares structure.

An `Operator` holds everything the system knows about one scalar operation, in one place: its dtype
rule, its meaning in NumPy, its partial derivatives, its identities, and, for the functions of the
maths library, how it is written in simpler operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tessella import dtypes
from tessella.blocks import Block, Setting
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.weak import WeakValues

Number: TypeAlias = "bool | int | float"
Operand: TypeAlias = "Expression | bool | int | float"
Partial: TypeAlias = "Expression | bool | int | float | None"


OPERATORS: dict[str, Operator] = {}  # every operator, by name


class Operator:
    """One scalar operator and all its rules.

    Args:
        name: what it is called, in printed expressions and generated code.
        result: dtype rule, from the operands' dtypes (and the static parameter) to the result's.
        evaluate: its meaning, on NumPy arrays.
        partials: given the result and the operands (as expressions), its partial derivatives;
            None stands for a derivative that is zero everywhere.
        tangent: given the result, the operands and their slopes, the slope of the result; for operators
            to which partial derivatives times slopes do no justice.
        simplify: given the operands, an equal simpler expression, or None. Only identities that
            hold for every value, signed zeros and NaN included.
        expand: given the operands, the same function in simpler operators (maths library only).
        promotes: whether operands are first brought to one dtype.
        folds: whether it can be computed now when its operands are constants.
        compares: whether Python numbers need not fit the integers that they meet.
        text: how it is written, from the texts of its operands and the static parameter, if not as a call.
    """

    __slots__ = (
        "arity", "compares", "documentation", "evaluate", "expand", "folds", "name", "partials", "promotes",
        "result", "simplify", "tangent", "text",
    )  # fmt: skip

    def __init__(
        self, name: str, arity: int, *, evaluate: Callable[..., Any],
        result: Callable[..., DType] | None = None,
        partials: Callable[..., Sequence[Partial]] | None = None,
        tangent: Callable[..., Partial] | None = None,
        simplify: Callable[..., Expression | None] | None = None,
        expand: Callable[..., Operand] | None = None, promotes: bool = True, folds: bool = True,
        compares: bool = False, documentation: str = "",
        text: Callable[[Sequence[str], Any], str] | None = None,
    ) -> None:  # fmt: skip
        if (
            not isinstance(name, str)
            or type(arity) is not int
            or not (evaluate is None or callable(evaluate))
        ):
            raise ArgumentTypeError(
                "Operator: expected a name, how many operands it takes, and a function that evaluates it"
            )
        self.name = name
        self.arity = arity
        self.evaluate = evaluate
        self.result = result or dtypes.promote
        self.partials = partials
        self.tangent = tangent
        self.simplify = simplify
        self.expand = expand
        self.promotes = promotes
        self.folds = folds
        self.compares = compares
        self.documentation = documentation
        self.text = text
        OPERATORS[name] = self

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    def __call__(self, *operands: Any) -> Any:
        """Apply to expressions (giving one), to scalars with history, or to plain numbers.

        Raises:
            ArgumentTypeError: a wrong number of operands, or one that is no scalar.
        """
        if len(operands) != self.arity:
            raise ArgumentTypeError(
                f"{self.name}: {len(operands)} operands given, {self.arity} expected"
            )
        for operand in operands:
            if isinstance(operand, Expression):
                return applied(self, operands)
            bind = getattr(operand, "__tessella_scalar__", None)
            if bind is not None:
                return bind(self, operands)
        with weak_floats(dtypes.float64):  # as Python computes
            return applied(self, operands).number()


def _operator(name: str) -> Callable[..., Expression]:
    """The method of one of Python's operators."""
    return lambda self, other: _binary(name, self, other)


def _swapped(name: str) -> Callable[..., Expression]:
    """The one for an expression on the right."""
    return lambda self, other: _binary(name, other, self)


class Expression:
    """A node of a scalar expression: an operator, its operands, and the dtype of its value.

    >>> x = variable("x", dtypes.float32)
    >>> (x * x + 1).dtype, str(x * x + 1)
    (tessella.float32, 'x * x + 1.0')
    """

    __slots__ = ("__weakref__", "arguments", "dtype", "expanded", "operator", "static", "widened")

    operator: Operator
    arguments: tuple[Expression, ...]
    dtype: DType
    static: Any
    widened: Expression | None  # what passes have made of it (see `rewrite_once`)
    expanded: Expression | None

    def __init__(self) -> None:
        raise ArgumentTypeError(
            "Expression: none is made so; use ts.scalar.variable, ts.scalar.constant, and functions of them"
        )

    def __str__(self) -> str:
        return infix(self)

    def __repr__(self) -> str:
        return f"Expression({self}, {self.dtype.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("expressions are interned and cannot be pickled; pickle the function")

    @property
    def is_constant(self) -> bool:
        return self.operator is CONSTANT

    @property
    def is_variable(self) -> bool:
        return self.operator is VARIABLE

    def number(self) -> Number:
        """The Python number of a constant expression."""
        if not self.is_constant:
            raise ArgumentTypeError(f"number: {self} is not a constant")
        return self.static

    __add__, __radd__ = _operator("add"), _swapped("add")
    __sub__, __rsub__ = _operator("subtract"), _swapped("subtract")
    __mul__, __rmul__ = _operator("multiply"), _swapped("multiply")
    __truediv__, __rtruediv__ = _operator("divide"), _swapped("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _swapped("floor_divide")
    __mod__, __rmod__ = _operator("remainder"), _swapped("remainder")
    __pow__, __rpow__ = _operator("pow"), _swapped("pow")
    __and__, __rand__ = _operator("bitwise_and"), _swapped("bitwise_and")
    __or__, __ror__ = _operator("bitwise_or"), _swapped("bitwise_or")
    __xor__, __rxor__ = _operator("bitwise_xor"), _swapped("bitwise_xor")
    __lshift__, __rlshift__ = _operator("left_shift"), _swapped("left_shift")
    __rshift__, __rrshift__ = _operator("right_shift"), _swapped("right_shift")
    __lt__ = _operator("less")
    __le__ = _operator("less_equal")
    __gt__ = _operator("greater")
    __ge__ = _operator("greater_equal")

    # `==` stays identity: expressions are keys of dictionaries. Use `operators.equal(x, y)`.

    def __neg__(self) -> Expression:
        return _unary("negative", self)

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return _unary("absolute", self)

    def __invert__(self) -> Expression:
        return _unary("bitwise_invert", self)

    def __bool__(self) -> bool:
        raise ArgumentTypeError(
            f"the truth of the expression {self} is not known while it is being built; "
            "use scalar.select(condition, x, y)"
        )


def _binary(name: str, x: Operand, y: Operand) -> Expression:
    if not isinstance(x, (Expression, bool, int, float)):
        return NotImplemented
    if not isinstance(y, (Expression, bool, int, float)):
        return NotImplemented
    return applied(_named(name), (x, y))


def _unary(name: str, x: Expression) -> Expression:
    return applied(_named(name), (x,))


def _named(name: str) -> Operator:
    return OPERATORS[name]


def _no_rule(*_: Any, **__: Any) -> Any:
    raise AssertionError("variables, constants and loads have no rule of this kind")


VARIABLE = Operator("variable", 0, evaluate=_no_rule, result=_no_rule)
CONSTANT = Operator("constant", 0, evaluate=_no_rule, result=_no_rule)

# Interned expressions. A key holds the operands alive, the entry goes when the expression does.
_interned: WeakValues[Expression] = WeakValues()


def _intern(
    operator: Operator, arguments: tuple[Expression, ...], dtype: DType, static: Any
) -> Expression:
    # repr tells -0.0 from 0.0 and finds NaN equal to itself, as `==` on floats does not
    identity = repr(static) if operator is CONSTANT else static
    key = (operator, arguments, dtype, identity)
    node = _interned.get(key)
    if node is None:
        node = object.__new__(Expression)
        node.operator = operator
        node.arguments = arguments
        node.dtype = dtype
        node.static = static
        node.widened = node.expanded = None
        node = _interned.setdefault(key, node)  # another thread may have been faster
    return node


def real_dtype(dtype: Any) -> DType:
    """A dtype of real numbers, of which expressions are made.

    Raises:
        DTypeError: it is none.
    """
    kind = as_dtype(dtype)
    if kind.is_complex:
        raise DTypeError(f"{kind.name}: a scalar expression is made of real numbers")
    return kind


def variable(name: str, dtype: DType) -> Expression:
    """A named input of an expression."""
    if not isinstance(name, str):
        raise ArgumentTypeError(f"variable: the name is a {type(name).__name__}; expected text")
    return _intern(VARIABLE, (), real_dtype(dtype), name)


# What a Python float becomes that meets no expression with a float dtype.
_weak_float: Setting[DType] = Setting("weak_float", dtypes.DEFAULT_FLOAT)


def weak_floats(dtype: DType) -> Block:
    """Inside the block, Python floats that meet no float expression have this dtype.

    >>> with weak_floats(dtypes.float64):
    ...     constant(0.1)
    Expression(0.1, float64)
    """
    return _weak_float.block(dtype)


def constant(value: Any, dtype: DType | None = None) -> Expression:
    """A constant; without a dtype, the default one of the Python number (see `weak_floats`).

    >>> constant(2.5)
    Expression(2.5, float32)
    """
    if isinstance(value, Expression):
        return value
    if not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        raise ArgumentTypeError(
            f"a scalar expression is made of real numbers; {type(value).__name__} was given"
        )
    dtype = _dtype_alone(value) if dtype is None else real_dtype(dtype)
    return _intern(CONSTANT, (), dtype, _normalised(value, dtype))


def _dtype_alone(value: Any) -> DType:
    if isinstance(value, np.generic):
        return dtypes.as_dtype(value.dtype)
    return _weak_float.get() if isinstance(value, float) else dtypes.as_dtype(type(value))


_SURELY_FINITE = 3e38  # in float32


def _normalised(value: Any, dtype: DType) -> Number:
    """The Python number that `value` is once it has been stored as `dtype`."""
    if dtype.is_bool:
        return bool(value)
    if dtype.is_integer:
        wrapped = int(value) & ((1 << dtype.bits) - 1)
        negative = dtype.kind == "int" and wrapped >> (dtype.bits - 1)
        return wrapped - (1 << dtype.bits) if negative else wrapped
    if dtype is dtypes.float32:
        if abs(value) < _SURELY_FINITE:
            return float(np.float32(value))
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    if dtype.is_storage:
        with np.errstate(all="ignore"):
            return float(np.asarray(value, np.float64).astype(dtype.numpy))
    return float(value)  # half precision is computed in float32, so its constants are not rounded


def applied(operator: Operator, operands: Sequence[Operand], static: Any = None) -> Expression:
    """The expression of an operator applied to operands, simplified.

    Raises:
        DTypeError: the operands' dtypes do not promote, or the operator does not take them.
    """
    arguments = _as_expressions(operands, operator.compares)
    kinds = [argument.dtype for argument in arguments]
    if operator.promotes and len(kinds) > 1 and len({*kinds}) > 1:
        common = dtypes.promote(*kinds)
        arguments = tuple(_cast(argument, common) for argument in arguments)
        kinds = [common] * len(arguments)
    rule: Any = operator.result
    dtype = rule(*kinds) if static is None else rule(*kinds, static=static)
    if dtype.is_storage and operator.promotes and static is None:
        raise dtypes.nothing_is_computed(dtype).told_of(operator.name)
    if operator.simplify is not None:
        simpler = (
            operator.simplify(*arguments)
            if static is None
            else operator.simplify(*arguments, static=static)
        )
        if simpler is not None:
            return simpler
    node = _intern(operator, arguments, dtype, static)
    if operator.folds and arguments:
        for argument in arguments:
            if argument.operator is not CONSTANT:
                return node
        return _fold(node)
    return node


def _as_expressions(operands: Sequence[Operand], compared: bool) -> tuple[Expression, ...]:
    """Give weak Python numbers the dtype of the expressions they meet.

    Raises:
        ArgumentError: an integer does not fit (unless it is only compared).
    """
    for operand in operands:
        if type(operand) is not Expression:
            break
    else:
        return tuple(operands)  # type: ignore[arg-type]
    strong = [operand.dtype for operand in operands if isinstance(operand, Expression)]
    if not strong:
        return tuple(constant(operand) for operand in operands)
    numeric = [dtype for dtype in strong if not dtype.is_bool]
    try:
        like = dtypes.promote(*(numeric or strong))
    except DTypeError:
        like = strong[-1]
    adapted = _compared if compared and like.is_integer else beside
    return tuple(
        operand if isinstance(operand, Expression) else adapted(operand, like)
        for operand in operands
    )


def beside(number: Number, like: DType) -> Expression:
    """A Python number that is to be computed with beside an expression of dtype `like`.

    Raises:
        ArgumentError: it is an integer, and `like` is a dtype of integers that does not hold it.
    """
    kind = weak_dtype(number, like)
    if kind.is_integer and isinstance(number, int) and not kind.low <= number <= kind.high:
        raise ArgumentError(
            f"the number {number} does not fit in {kind.name} ({kind.low} to {kind.high}); convert "
            "the other operand to a wider dtype first"
        )
    return constant(number, kind)


def _compared(number: Number, like: DType) -> Expression:
    """A Python number that integers are compared with, which may be a fraction, or beyond them all."""
    if isinstance(number, int) and like.low <= number <= like.high:
        return constant(number, like)
    number = math.inf if number > like.high else -math.inf if number < like.low else number
    return constant(float(number), dtypes.float64)


def weak_dtype(value: Number, like: DType) -> DType:
    """The dtype of a Python number that meets an expression of dtype `like`."""
    if isinstance(value, float) and not like.is_float:
        return _weak_float.get()
    return dtypes.python_scalar_dtype(value, like)


def _cast(argument: Expression, dtype: DType) -> Expression:
    if argument.dtype is dtype:
        return argument
    return applied(OPERATORS["cast"], (argument,), static=dtype)


def _fold(node: Expression) -> Expression:
    """Compute an expression of constants now."""
    value = evaluate(node, {})
    return _intern(CONSTANT, (), node.dtype, _normalised(value.item(), node.dtype))


def require_expression(x: Any, name: str) -> Expression:
    """x, which must be an expression.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if not isinstance(x, Expression):
        raise ArgumentTypeError(
            f"{name}: a {type(x).__name__} was given; expected an expression, as ts.scalar.variable makes one"
        )
    return x


def postorder(*roots: Expression, besides: Container[Expression] = ()) -> Iterator[Expression]:
    """Every node below the roots once, operands before the nodes that use them.

    Args:
        besides: nodes to leave out, with what only they need; it may grow by what has been given.
    """
    seen: set[Expression] = set()
    stack = [*reversed(roots)]
    while stack:
        node = stack[-1]
        if besides and node in besides:
            stack.pop()
            continue
        if node.arguments:
            waiting = [argument for argument in node.arguments if argument not in seen]
            if besides:
                waiting = [argument for argument in waiting if argument not in besides]
            if waiting:
                waiting.reverse()
                stack += waiting
                continue
        stack.pop()
        if node not in seen:
            seen.add(node)
            yield node


def evaluate(root: Expression, values: Mapping[Expression, Any]) -> np.ndarray[Any, Any]:
    """The value of an expression, in NumPy; `values` gives arrays (or numbers) for variables.

    Half precision is computed in float32 and rounded at the end, as compiled code does.

    >>> x = variable("x", dtypes.float64)
    >>> float(evaluate(x * x + 1, {x: 3.0}))
    10.0
    """
    if not isinstance(values, Mapping):
        raise ArgumentTypeError(
            f"evaluate: the values are a {type(values).__name__}; expected a mapping of variables to numbers"
        )
    require_expression(root, "evaluate")
    results: dict[Expression, Any] = {}
    with np.errstate(all="ignore"):
        for node in postorder(root):
            if node.is_variable:
                results[node] = np.asarray(values[node], dtype=node.dtype.numpy)
            elif node.is_constant:
                results[node] = np.asarray(node.static).astype(node.dtype.numpy)
            else:
                operands = [results[argument] for argument in node.arguments]
                static = () if node.static is None else (node.static,)
                value = node.operator.evaluate(*operands, *static)
                results[node] = np.asarray(value).astype(node.dtype.numpy, copy=False)
    return results[root]


# --- as text ---------------------------------------------------------------------------------------------

_INFIX = {
    "multiply": ("*", 5),
    "divide": ("/", 5),
    "floor_divide": ("//", 5),
    "remainder": ("%", 5),
    "quotient": ("//", 5),
    "modulo": ("%", 5),
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
    if node.operator.text is not None:
        return node.operator.text(arguments, node.static), _ATOM
    if node.static is not None:
        arguments.append(getattr(node.static, "name", str(node.static)))
    return f"{name}({', '.join(arguments)})", _ATOM

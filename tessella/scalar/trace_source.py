"""Following a function's source on symbolic numbers.

Everything that does not depend on a symbolic number is done by Python as it stands. A branch on one
is followed on both sides, each with its own copy of the local variables, which are then joined by
selects. `return`, `break` and `continue` on one side only do not end the walk: `alive` is the
condition under which what follows still counts.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
import operator
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tessella.errors import StorageDTypeError, TracingError, UntraceableLineError
from tessella.scalar import operators
from tessella.scalar.expression import Expression, Operator, constant
from tessella.scalar.trace_calls import truth

MOST_TURNS = 10_000
MOST_DEPTH = 50
Function = ast.FunctionDef | ast.Lambda

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], tuple[Callable[[Any, Any], Any], Operator]] = {
    ast.Lt: (operator.lt, operators.less), ast.LtE: (operator.le, operators.less_equal),
    ast.Gt: (operator.gt, operators.greater), ast.GtE: (operator.ge, operators.greater_equal),
    ast.Eq: (operator.eq, operators.equal), ast.NotEq: (operator.ne, operators.not_equal),
}  # fmt: skip
_SAFE_MODULES = {"math", "builtins", "_operator", "numpy", "operator"}


# --- finding the source ---------------------------------------------------------------------------


def source_of(function: types.FunctionType) -> Function | None:
    """The syntax tree of a function, or None if its source cannot be had."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        return None
    lambdas = function.__name__ == "<lambda>"
    found: list[ast.AST] = []
    if not lambdas:
        found = [n for n in _functions(_own_lines(code, lines)) if _is_of(n, code, lambdas)]
    if not found:
        found = [n for n in _functions("".join(lines)) if _is_of(n, code, lambdas)]
    if lambdas:
        found = _matching_lambdas(found, code)
    return found[0] if len(found) == 1 else None  # type: ignore[return-value]


def _own_lines(code: types.CodeType, lines: list[str]) -> str:
    """The lines of a function alone, where they are: parsing them takes less than the whole file."""
    first, last = code.co_firstlineno, _last_line(code)
    text = lines[first - 1 : last]
    indented = bool(text) and text[0][:1].isspace()
    before = "\n" * (first - 2) + "if True:\n" if indented and first > 1 else "\n" * (first - 1)
    return before + "".join(text)


def _last_line(code: types.CodeType) -> int:
    own = [place[1] for place in code.co_positions() if place[1] is not None]
    inner = [_last_line(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return max([code.co_firstlineno, *own, *inner])


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> list[ast.AST]:
    """The functions and lambdas in a text, none if it cannot be parsed."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]


def _is_of(node: ast.AST, code: types.CodeType, lambdas: bool) -> bool:
    if lambdas:
        return isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    if not isinstance(node, ast.FunctionDef) or node.name != code.co_name:
        return False
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return first == code.co_firstlineno


def _matching_lambdas(found: list[ast.AST], code: types.CodeType) -> list[ast.AST]:
    """Of several lambdas that start on a line, the one whose body the code came from."""
    spots = [p for p in code.co_positions() if p[0] is not None and p[2] is not None]
    spots = [p for p in spots if p[3] != p[2]]  # positions that name no text

    def body(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        b = node.body
        return (b.lineno, b.col_offset), (b.end_lineno, b.end_col_offset)

    def holds(node: Any) -> bool:
        start, end = body(node)
        return all(
            start <= (line, column) and (last, end_column) <= end
            for line, last, column, end_column in spots
        )

    inside = [node for node in found if holds(node)]
    inside.sort(key=lambda node: body(node)[1])
    # a lambda within a lambda: the innermost that holds everything
    tight = [
        n
        for n in inside
        if not any(
            m is not n and body(n)[0] < body(m)[0] and body(m)[1] <= body(n)[1] for m in inside
        )
    ]
    return tight or inside


# --- the walk ----------------------------------------------------------------------------------------


class _Missing:
    """A variable that was set on one side of a branch only."""

    def __init__(self, line: int) -> None:
        self.line = line


class _Closure:
    """A function defined inside the traced one."""

    def __init__(self, node: Function, walk: _Walk, defaults: list[Any]) -> None:
        self.node, self.walk, self.defaults = node, walk, defaults


Call = Callable[[Any, list[Any], dict[str, Any]], Any]


def follow(
    function: types.FunctionType, node: Function, arguments: list[Any], keywords: dict[str, Any],
    call: Call,
) -> Any:  # fmt: skip
    """The value of a function for symbolic arguments.

    Args:
        node: the function's syntax tree.
        call: gives the value of any function that this one calls, for symbolic arguments.
    """
    try:
        bound = inspect.signature(function).bind(*arguments, **keywords)
    except TypeError as error:
        raise TracingError(f"{function.__name__}: {error}") from None
    bound.apply_defaults()
    outside = dict(function.__globals__)
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        outside[name] = _cell(cell)
    walk = _Walk(function.__code__.co_filename, outside, dict(bound.arguments), call)
    return walk.run(node)


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _Missing(0)


_depth = 0


class _Walk:
    """One call of one function."""

    def __init__(
        self, filename: str, outside: dict[str, Any], variables: dict[str, Any], call: Call
    ) -> None:
        self.filename = filename
        self.call = call
        self.outside = outside
        self.variables = variables
        self.alive: Any = True  # whether the walk still counts here
        self.path: Any = True  # the branches we are inside of
        self.returns: list[tuple[Any, Any]] = []
        self.loops: list[dict[str, Any]] = []

    def run(self, node: Function) -> Any:
        global _depth
        if _depth > MOST_DEPTH:
            raise self.error(node, "calls itself without end", "write the recursion as a loop")
        _depth += 1
        try:
            if isinstance(node, ast.Lambda):
                return self.value(node.body)
            self.block(node.body)
            return self._result(node)
        finally:
            _depth -= 1

    def _result(self, node: ast.FunctionDef) -> Any:
        """The first return whose condition holds."""
        if _possible(self.alive) or not self.returns:
            raise self.error(
                node, "may end without returning a number", "return one on every way through"
            )
        *earlier, (_, result) = self.returns
        for condition, value in reversed(earlier):
            result = self.choose(condition, value, result, node)
        return result

    def error(self, node: ast.AST, why: str, cure: str) -> UntraceableLineError:
        line = getattr(node, "lineno", 0)
        text = linecache.getline(self.filename, line).strip()
        return UntraceableLineError(
            f"{self.filename}:{line}: this cannot become an expression of numbers:\n"
            f"    {text}\nit {why}; {cure}"
        )

    def choose(self, condition: Any, yes: Any, no: Any, node: ast.AST) -> Any:
        """A value that depends on a condition."""
        if isinstance(condition, bool):
            return yes if condition else no
        if yes is no:
            return yes
        if isinstance(yes, (tuple, list)) and isinstance(no, type(yes)) and len(yes) == len(no):
            return type(yes)(
                self.choose(condition, a, b, node) for a, b in zip(yes, no, strict=True)
            )
        for value in (yes, no):
            if not isinstance(value, (Expression, bool, int, float)):
                try:
                    if bool(yes == no):
                        return yes
                except Exception:
                    pass
                raise self.error(
                    node,
                    f"chooses between {type(yes).__name__} and {type(no).__name__} by a traced value",
                    "only numbers can be chosen",
                )
        return operators.select(condition, yes, no)

    # --- statements -----------------------------------------------------------------------------

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if not _possible(self.alive):
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        handler = getattr(self, f"on_{type(node).__name__}", None)
        if handler is None:
            raise self.error(
                node,
                f"is a {type(node).__name__} statement",
                "use assignments, if, for over a constant range, and return",
            )
        handler(node)

    def on_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.value(node.value)

    def on_Pass(self, node: ast.Pass) -> None:
        pass

    def on_Assert(self, node: ast.Assert) -> None:
        condition = truth(self.value(node.test))
        if condition is False and self.path is True and self.alive is True:
            raise self.error(node, "is an assertion that fails", "mend the assertion")

    def on_Return(self, node: ast.Return) -> None:
        if node.value is None:
            raise self.error(node, "returns None", "return a number")
        self.returns.append((_both(self.path, self.alive), self.value(node.value)))
        self.alive = False

    def on_Assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.assign(target, value)

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.value(node.value))

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        before = self.value(_loaded(node.target))
        self.assign(node.target, self.binary(node, node.op, before, self.value(node.value)))

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            before = self.variables.get(target.id, value)
            usable = not isinstance(before, _Missing)
            self.variables[target.id] = (
                self.choose(self.alive, value, before, target) if usable else value
            )
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = list(value)
            if len(values) != len(target.elts):
                raise self.error(target, "unpacks another number of values", "match the names")
            for part, item in zip(target.elts, values, strict=True):
                self.assign(part, item)
        else:
            raise self.error(
                target, "changes an object outside the function", "assign to a local variable"
            )

    def on_FunctionDef(self, node: ast.FunctionDef) -> None:
        defaults = [self.value(default) for default in node.args.defaults]
        self.variables[node.name] = _Closure(node, self, defaults)

    def on_If(self, node: ast.If) -> None:
        condition = truth(self.value(node.test))
        if isinstance(condition, bool):
            self.block(node.body if condition else node.orelse)
            return
        variables, alive, path = dict(self.variables), self.alive, self.path
        self.path = _both(path, condition)
        self.block(node.body)
        yes, yes_alive = self.variables, self.alive
        self.variables, self.alive = dict(variables), alive
        self.path = _both(path, _not(condition))
        self.block(node.orelse)
        no, no_alive = self.variables, self.alive
        self.path = path
        self.alive = _if(condition, yes_alive, no_alive)
        self.variables = self._joined(node, condition, (yes, yes_alive), (no, no_alive))

    def _joined(
        self, node: ast.If, condition: Any, yes: tuple[dict[str, Any], Any],
        no: tuple[dict[str, Any], Any],
    ) -> dict[str, Any]:  # fmt: skip
        (first, first_alive), (second, second_alive) = yes, no
        if not _possible(first_alive) and not self.loops:
            return second
        if not _possible(second_alive) and not self.loops:
            return first
        joined: dict[str, Any] = {}
        for name in {**first, **second}:
            a, b = first.get(name, _Missing(node.lineno)), second.get(name, _Missing(node.lineno))
            if isinstance(a, _Missing) or isinstance(b, _Missing):
                joined[name] = a if isinstance(a, _Missing) else b
            else:
                joined[name] = self.choose(condition, a, b, node)
        return joined

    def on_For(self, node: ast.For) -> None:
        items = self.value(node.iter)
        if isinstance(items, Expression):
            raise self.error(node, "loops over a traced value", "loop over a constant range")
        try:
            turns = list(items)
        except TypeError as error:
            raise self.error(node, f"cannot be looped over ({error})", "use range(...)") from None
        if len(turns) > MOST_TURNS:
            raise self.error(node, f"makes {len(turns)} turns", f"keep below {MOST_TURNS}")
        with self.loop():
            for item in turns:
                self.assign(node.target, item)
                self.turn(node.body)
                if not _possible(self.alive):
                    break
            if node.orelse:
                self.block(node.orelse)

    def on_While(self, node: ast.While) -> None:
        with self.loop():
            for _ in range(MOST_TURNS):
                condition = truth(self.value(node.test))
                if not isinstance(condition, bool):
                    raise self.error(
                        node,
                        "loops as long as a traced value says",
                        "use a for loop over a constant range and choose with if",
                    )
                if not condition or not _possible(self.alive):
                    break
                self.turn(node.body)
            else:
                raise self.error(node, f"makes more than {MOST_TURNS} turns", "end it sooner")

    @contextmanager
    def loop(self) -> Iterator[None]:
        self.loops.append({"broken": False, "continued": False})
        yield
        frame = self.loops.pop()
        self.alive = _either(self.alive, frame["broken"])

    def turn(self, body: list[ast.stmt]) -> None:
        frame = self.loops[-1]
        frame["continued"] = False
        self.block(body)
        self.alive = _either(self.alive, frame["continued"])

    def on_Break(self, node: ast.Break) -> None:
        frame = self.loops[-1]
        frame["broken"] = _either(frame["broken"], _both(self.path, self.alive))
        self.alive = False

    def on_Continue(self, node: ast.Continue) -> None:
        frame = self.loops[-1]
        frame["continued"] = _either(frame["continued"], _both(self.path, self.alive))
        self.alive = False

    # --- expressions ----------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Any:
        handler = getattr(self, f"of_{type(node).__name__}", None)
        if handler is None:
            raise self.error(
                node, f"uses {type(node).__name__}", "use numbers, arithmetic and comparisons"
            )
        return handler(node)

    def of_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def of_Name(self, node: ast.Name) -> Any:
        for scope in (self.variables, self.outside, vars(builtins)):
            if node.id in scope:
                found = scope[node.id]
                if isinstance(found, _Missing):
                    raise self.error(
                        node,
                        f"uses {node.id!r}, which is set on one side of a branch only",
                        "set it before the branch",
                    )
                return found
        raise self.error(node, f"uses the unknown name {node.id!r}", "define it first")

    def of_BinOp(self, node: ast.BinOp) -> Any:
        return self.binary(node, node.op, self.value(node.left), self.value(node.right))

    def binary(self, node: ast.AST, op: ast.operator, x: Any, y: Any) -> Any:
        if type(op) not in _BINARY:
            raise self.error(node, "uses @", "use * between numbers")
        try:
            return _BINARY[type(op)](x, y)
        except (ZeroDivisionError, OverflowError) as error:
            if self.path is True and self.alive is True:
                raise self.error(node, f"fails: {error}", "mend the constants") from None
            return float("nan")  # on a side that need not be taken
        except StorageDTypeError:
            raise
        except TypeError as error:
            raise self.error(node, f"fails: {error}", "use numbers") from None

    def of_UnaryOp(self, node: ast.UnaryOp) -> Any:
        x = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return _not(truth(x))
        if isinstance(node.op, ast.USub):
            return -x
        return +x if isinstance(node.op, ast.UAdd) else ~x

    def of_BoolOp(self, node: ast.BoolOp) -> Any:
        """`x and y` is y if x is true, else x, and `or` the other way round."""
        result = self.value(node.values[0])
        for item in node.values[1:]:
            condition = truth(result)
            conjunction = isinstance(node.op, ast.And)
            if isinstance(condition, bool):
                result = self.value(item) if condition == conjunction else result
                continue
            with self.within(condition if conjunction else _not(condition)):
                other = self.value(item)
            if _is_truth(result) and _is_truth(other):
                result = (_both if conjunction else _either)(condition, truth(other))
            else:
                pair = (other, result) if conjunction else (result, other)
                result = self.choose(condition, *pair, node)
        return result

    @contextmanager
    def within(self, condition: Any) -> Iterator[None]:
        """Look at something that only counts if a condition holds."""
        path = self.path
        self.path = _both(path, condition)
        try:
            yield
        finally:
            self.path = path

    def of_Compare(self, node: ast.Compare) -> Any:
        result: Any = True
        left = self.value(node.left)
        for op, item in zip(node.ops, node.comparators, strict=True):
            right = self.value(item)
            result = _both(result, self.compare(node, op, left, right))
            left = right
        return result

    def compare(self, node: ast.AST, op: ast.cmpop, x: Any, y: Any) -> Any:
        traced = isinstance(x, Expression) or isinstance(y, Expression)
        if isinstance(op, (ast.Is, ast.IsNot)):
            return (x is y) == isinstance(op, ast.Is)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not traced and not _holds_traced(y):
                return (x in y) == isinstance(op, ast.In)
            hits = [operators.equal(constant(x), item) for item in y]
            found = functools.reduce(_either, hits, False)
            return found if isinstance(op, ast.In) else _not(found)
        plain, symbolic = _COMPARE[type(op)]
        if not traced:
            return plain(x, y)
        for value in (x, y):
            if not isinstance(value, (Expression, bool, int, float)):
                raise self.error(
                    node, f"compares a number with {type(value).__name__}", "compare numbers"
                )
        return symbolic(constant(x) if not isinstance(y, Expression) else x, y)

    def of_IfExp(self, node: ast.IfExp) -> Any:
        condition = truth(self.value(node.test))
        if isinstance(condition, bool):
            return self.value(node.body if condition else node.orelse)
        with self.within(condition):
            yes = self.value(node.body)
        with self.within(_not(condition)):
            no = self.value(node.orelse)
        return self.choose(condition, yes, no, node)

    def of_Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.items(node.elts))

    def of_List(self, node: ast.List) -> Any:
        return list(self.items(node.elts))

    def items(self, nodes: list[ast.expr]) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self.value(node.value)
            else:
                yield self.value(node)

    def of_Attribute(self, node: ast.Attribute) -> Any:
        target = self.value(node.value)
        if isinstance(target, Expression):
            raise self.error(
                node, f"asks a traced number for .{node.attr}", "use operators and the math module"
            )
        try:
            return getattr(target, node.attr)
        except AttributeError as error:
            raise self.error(node, f"fails: {error}", "mend the name") from None

    def of_Subscript(self, node: ast.Subscript) -> Any:
        target, index = self.value(node.value), self.value(node.slice)
        if isinstance(index, Expression):
            raise self.error(
                node,
                "looks something up by a traced value",
                "choose with if, or use ts.take on tensors",
            )
        try:
            return target[index]
        except (TypeError, LookupError) as error:
            raise self.error(node, f"fails: {error}", "use a constant index") from None

    def of_Slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self.value(part) for part in parts))

    def of_NamedExpr(self, node: ast.NamedExpr) -> Any:
        value = self.value(node.value)
        self.assign(node.target, value)
        return value

    def of_Lambda(self, node: ast.Lambda) -> Any:
        return _Closure(node, self, [self.value(default) for default in node.args.defaults])

    def of_ListComp(self, node: ast.ListComp) -> Any:
        return list(self.comprehension(node))

    def of_GeneratorExp(self, node: ast.GeneratorExp) -> Any:
        return list(self.comprehension(node))

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Any]:
        (generator, *more) = node.generators
        if more:
            raise self.error(node, "has several loops in one", "write them as for statements")
        before = dict(self.variables)
        for item in self.value(generator.iter):
            self.assign(generator.target, item)
            tests = [truth(self.value(test)) for test in generator.ifs]
            if not all(isinstance(test, bool) for test in tests):
                raise self.error(node, "filters by a traced value", "choose with if")
            if all(tests):
                yield self.value(node.elt)
        self.variables = before

    def of_Call(self, node: ast.Call) -> Any:
        function = self.value(node.func)
        arguments = list(self.items(node.args))
        keywords = {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
        if isinstance(function, _Closure):
            return self.closure(node, function, arguments, keywords)
        if not any(map(_holds_traced, [*arguments, *keywords.values()])):
            return self.plain_call(node, function, arguments, keywords)
        if function in (range, enumerate, zip, reversed, tuple, list, len) and not any(
            isinstance(a, Expression) for a in arguments
        ):
            return function(*arguments, **keywords)
        try:
            return self.call(function, arguments, keywords)
        except (UntraceableLineError, StorageDTypeError):
            raise
        except TracingError as error:
            raise self.error(node, f"calls something that cannot be traced: {error}", "") from None
        except TypeError as error:
            raise self.error(node, f"fails: {error}", "mend the call") from None

    def plain_call(
        self, node: ast.Call, function: Any, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """A call without traced values is Python's own, if it always gives the same."""
        module = getattr(function, "__module__", None) or ""
        written = isinstance(function, (types.FunctionType, functools.partial, type, Operator))
        written = written or hasattr(function, "function")
        if not written and module.split(".")[0] not in _SAFE_MODULES:
            raise self.error(
                node,
                f"calls {getattr(function, '__qualname__', function)}, which may give something "
                "else every time",
                "pass what it gives as an argument",
            )
        try:
            return function(*arguments, **keywords)
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            if self.path is True and self.alive is True:
                raise self.error(node, f"fails: {error}", "mend the constants") from None
            return float("nan")

    def closure(
        self, node: ast.Call, closure: _Closure, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        names = [a.arg for a in closure.node.args.args]
        values = dict(zip(names, arguments, strict=False)) | keywords
        defaults = dict(zip(reversed(names), reversed(closure.defaults), strict=False))
        missing = [name for name in names if name not in values and name not in defaults]
        if missing or len(arguments) > len(names):
            raise self.error(node, f"calls with {len(arguments)} arguments", f"give {len(names)}")
        outside = {**closure.walk.outside, **closure.walk.variables}
        walk = _Walk(self.filename, outside, {**defaults, **values}, self.call)
        return walk.run(closure.node)


def _holds_traced(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(_holds_traced, value))
    return isinstance(value, Expression)


def _loaded(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    return target


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, Expression) and value.dtype.is_bool)


def _possible(condition: Any) -> bool:
    return condition is not False


def _constant_truth(condition: Any) -> Any:
    if isinstance(condition, Expression) and condition.is_constant:
        return bool(condition.static)
    return condition


def _not(a: Any) -> Any:
    return not a if isinstance(a, bool) else _constant_truth(operators.bitwise_invert(a))


def _both(a: Any, b: Any) -> Any:
    if isinstance(a, bool):
        return b if a else False
    if isinstance(b, bool):
        return a if b else False
    return _constant_truth(a & b)


def _either(a: Any, b: Any) -> Any:
    if isinstance(a, bool):
        return True if a else b
    if isinstance(b, bool):
        return True if b else a
    return _constant_truth(a | b)


def _if(condition: Any, a: Any, b: Any) -> Any:
    """condition ? a : b, for truths."""
    if isinstance(a, bool) and isinstance(b, bool):
        return a if a == b else (condition if a else _not(condition))
    return _either(_both(condition, a), _both(_not(condition), b))

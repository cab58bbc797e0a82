"""Loop nests as text that people read.

An array is read as it is written, `x[place]`. What several places are made of has a name: it is computed where the loop
begins whose variable it needs, in `let`. So has what a long value uses several times.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from tessella.loops import nest
from tessella.scalar.expression import Expression, postorder, variable
from tessella.scalar.rewriting import Substitution, rebuilt, variables

LONG = 40  # operations and operands from which on the parts of a value are named


def source(kernel: nest.Kernel) -> str:
    """The loop nest as text.

    >>> from tessella import dtypes
    >>> from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
    >>> i, n = index_variable("i"), index_variable("n")
    >>> x, y = Pointer("x", dtypes.float32), Pointer("y", dtypes.float32, written=True)
    >>> body = Loop(i, n, (Store(y, i * n + 1, load(x, i * n) * 2),), parallel=True, lanes=16)
    >>> print(source(Kernel("double", (x, y), (n,), (body,))))
    kernel double(x: float32, y: float32, n)
      for i in n [parallel, 16 lanes]
        let p0 = i * n
        y[p0 + 1] = x[p0] * 2.0
    """
    pointers = [f"{p.name}: {p.dtype.name}" for p in kernel.pointers if p.local is None]
    sizes = [str(size) for size in kernel.sizes]
    lines = [f"kernel {kernel.name}({', '.join(pointers + sizes)})"]
    lines += [
        f"  local {p.name}[{p.local}]: {p.dtype.name}"
        for p in kernel.pointers
        if p.local is not None
    ]
    named = _Named(kernel)
    body = [e for statement in kernel.body for e in _expressions(statement)]
    lines += [f"  {let}" for let in named.lets(body, kernel.sizes, set())]
    for statement in kernel.body:
        lines += _lines(statement, 1, named, frozenset(kernel.sizes))
    return "\n".join(lines)


class _Named:
    """What has a name, and where the names are given."""

    def __init__(self, kernel: nest.Kernel) -> None:
        known = {*kernel.sizes, *_loop_variables(kernel.body)}
        repeated = [node for node in _repeated(kernel.body) if {*variables(node)} <= known]
        self.names = {
            node: nest.index_variable(f"p{number}") for number, node in enumerate(repeated)
        }
        self.shown = Substitution(self.names)
        self.numbers = itertools.count()

    def text(self, expression: Expression) -> str:
        return str(self.shown(expression))

    def values(self, expressions: Iterable[Expression]) -> tuple[list[str], list[str]]:
        """What is computed side by side; if that is long, what it uses several times is named before."""
        wholes = [self.shown(expression) for expression in expressions]
        parts: dict[Expression, int] = {}  # as it is written, where nothing has a name
        uses = Counter(wholes)
        for node in postorder(*wholes):
            parts[node] = 1 + sum(parts[argument] for argument in node.arguments)
            uses.update(node.arguments)
        if sum(parts[whole] for whole in wholes) <= LONG:
            return [], [str(whole) for whole in wholes]
        lets: list[str] = []
        known: dict[Expression, Expression] = {}
        for node in postorder(*wholes):
            known[node] = rebuilt(node, tuple([known[argument] for argument in node.arguments]))
            if node.arguments and uses[node] > 1:
                name = variable(f"v{next(self.numbers)}", node.dtype)
                lets.append(f"let {name} = {known[node]}")
                known[node] = name
        return lets, [str(known[whole]) for whole in wholes]

    def lets(
        self, body: Iterable[Expression], outer: Iterable[Expression], own: set[Expression]
    ) -> Iterator[str]:
        """Names that are given where something begins.

        Args:
            body: the expressions in it.
            outer: the variables there are around it.
            own: those that come with it, of which what is named here needs one.
        """
        used = {*postorder(*body)}
        for node, name in self.names.items():
            needs = {*variables(node)}.difference(outer)
            if node in used and needs <= own and bool(needs) == bool(own):
                arguments = [self.shown(argument) for argument in node.arguments]
                yield f"let {name} = {rebuilt(node, tuple(arguments))}"


def _loop_variables(body: Iterable[nest.Statement]) -> Iterator[Expression]:
    for statement in body:
        if isinstance(statement, nest.Loop):
            yield statement.variable
            yield from _loop_variables(statement.body)


def _repeated(body: Iterable[nest.Statement]) -> list[Expression]:
    """What several places, or one place several times, are made of, the inner things first."""
    places = [place for statement in body for place in _places(statement)]
    nodes = [node for node in postorder(*dict.fromkeys(places)) if node.arguments]
    uses = {node: places.count(node) for node in nodes}
    for node in nodes:
        for argument in node.arguments:
            if argument in uses:
                uses[argument] += 1
    return [node for node in nodes if uses[node] > 1]


def _places(statement: nest.Statement) -> Iterator[Expression]:
    """Where arrays are read and written, as often as it is written down."""
    if isinstance(statement, (nest.Store, nest.Fetch)):
        yield statement.index
    times = Counter(_own(statement))
    for node in reversed([*postorder(*times)]):
        for argument in node.arguments:
            times[argument] += min(times[node], 2)  # once and several times is all that counts
        if node.operator in (nest.LOAD, nest.MASKED_LOAD):
            yield from itertools.repeat(node.arguments[0], times[node])
    if isinstance(statement, nest.Loop):
        for inner in statement.body:
            yield from _places(inner)


def _own(statement: nest.Statement) -> list[Expression]:
    """The expressions of a statement, but for those of statements inside."""
    if isinstance(statement, nest.Store):
        return [
            statement.index,
            statement.value,
            *([] if statement.mask is None else [statement.mask]),
        ]
    if isinstance(statement, nest.Fetch):
        return [statement.index]
    carried = [part for c in statement.carried for part in (c.start, c.next)]
    return carried if statement.extent is None else [statement.extent, *carried]


def _expressions(statement: nest.Statement) -> Iterator[Expression]:
    yield from _own(statement)
    if isinstance(statement, nest.Loop):
        for inner in statement.body:
            yield from _expressions(inner)


def _lines(
    statement: nest.Statement, depth: int, named: _Named, outer: frozenset[Expression]
) -> list[str]:
    indent = "  " * depth
    if isinstance(statement, nest.Store):
        mask = "" if statement.mask is None else f" where {named.text(statement.mask)}"
        lets, (value,) = named.values([statement.value])
        store = f"{statement.pointer.name}[{named.text(statement.index)}] = {value}{mask}"
        return [f"{indent}{line}" for line in (*lets, store)]
    if isinstance(statement, nest.Fetch):
        return [f"{indent}fetch {statement.pointer.name}[{named.text(statement.index)}]"]
    notes = ["parallel"] if statement.parallel else []
    notes += [f"{statement.lanes} lanes"] if statement.lanes > 1 else []
    extent = "its share" if statement.extent is None else named.text(statement.extent)
    head = f"{indent}for {statement.variable} in {extent}"
    lines = [head + (f" [{', '.join(notes)}]" if notes else "")]
    lines += [f"{indent}  carry {c.variable} = {named.text(c.start)}" for c in statement.carried]
    inside = named.lets(_expressions(statement), outer, {statement.variable})
    lines += [f"{indent}  {let}" for let in inside]
    for inner in statement.body:
        lines += _lines(inner, depth + 1, named, outer | {statement.variable})
    lets, values = named.values([carried.next for carried in statement.carried])
    lines += [f"{indent}  {let}" for let in lets]
    for carried, value in zip(statement.carried, values, strict=True):
        lines.append(f"{indent}  {carried.variable} <- {value}")
    return lines

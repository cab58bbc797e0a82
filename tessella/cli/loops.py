"""What became of a function: its loops, what runs in parallel, what was taken out of loops and fused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from tessella.compiler.recipe import Role
from tessella.compiler.texts import roles_of
from tessella.devices.registry import host
from tessella.loops.nest import Kernel, Loop, Statement, Store
from tessella.loops.printer import source
from tessella.scalar.expression import Expression, postorder
from tessella.transforms.jit import Jitted

_MOST = 4  # expressions that are listed
_TILES = (
    "multiplies tiles that stay in registers; the threads share blocks of rows and columns\n"
    "  (tessella/targets/cpu/tiles.py writes it in LLVM IR; docs/architecture.md says how it is cut)"
)


def report(name: str, function: Jitted[..., Any], arguments: Any, everything: bool = False) -> None:
    """Print what a function becomes for some arguments.

    Args:
        everything: the loops that only pack operands of products, too.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.rule(f"[bold]{name}")
    found = function.explain(*arguments)
    for kernel, role in roles_of(found.program).items():
        native = not isinstance(kernel, Kernel)  # written in LLVM IR, not in loops
        if role is Role.PACK and (native or not everything):
            console.print(f"kernel {kernel.name}: brings an operand in the order of the tiles\n")
            continue
        if native:
            console.print(f"kernel {kernel.name}: {_TILES}\n")
            continue
        console.print(Text(source(kernel)))
        for fact, text in _facts(kernel):
            console.print(Text(f"  {fact:<16}{text}", style="cyan"))
        console.print()
    for row in found.rows:
        console.print(Text(f"  {row.name}, on {row.ran}: {row.note}", style="dim"))
    console.print()


def _facts(kernel: Kernel) -> Iterator[tuple[str, str]]:
    loops = list(_loops(kernel.body))
    parallel = [str(loop.variable) for loop in loops if loop.parallel]
    count = host().limits.threads
    if parallel:
        yield "in parallel", f"{', '.join(parallel)}: up to {count} threads take shares of it"
    for loop in loops:
        if loop.lanes > 1:
            yield "vectors", f"{loop.variable}: {loop.lanes} numbers at a time"
    for loop in loops:
        taken = [str(x) for x in dict.fromkeys(_invariant(loop))]
        if taken:
            more = f", and {len(taken) - _MOST} more" if len(taken) > _MOST else ""
            yield "out of the loop", f"{loop.variable}: {'; '.join(taken[:_MOST])}{more}"


def _loops(body: tuple[Statement, ...]) -> Iterator[Loop]:
    for statement in body:
        if isinstance(statement, Loop):
            yield statement
            yield from _loops(statement.body)


def _invariant(loop: Loop) -> Iterator[Expression]:
    """The largest expressions in an innermost loop that are the same for all its turns."""
    if any(isinstance(statement, Loop) for statement in loop.body):
        return
    changing = {loop.variable, *[carried.variable for carried in loop.carried]}
    roots = [carried.next for carried in loop.carried]
    for statement in loop.body:
        if isinstance(statement, Store):
            roots += [statement.index, statement.value]
    same: dict[Expression, bool] = {}
    for node in postorder(*roots):
        same[node] = node not in changing and all(same[x] for x in node.arguments)
    for node in same:
        if not same[node]:
            yield from (x for x in node.arguments if same[x] and x.arguments)

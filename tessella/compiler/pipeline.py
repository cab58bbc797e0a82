"""From a traced graph to a program: the passes, in order.

Each pass is a function from graph to graph. `PASSES` is the whole list; what a pass needs and what
it leaves true stands in its docstring.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from tessella.compiler import fusion, heads, lookups, simplify, sums
from tessella.compiler.machine_code import together
from tessella.compiler.observe import compiled, passed, stage
from tessella.compiler.program import Program
from tessella.devices.array import Layout, device_of
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.primitives.graph import Graph, verify

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    heads.loop_over_heads,
    simplify.permute_contractions,  # before half precision gets a cast behind its products
    simplify.decompose,
    simplify.drop_unused_operands,
    simplify.compose_movement,
    simplify.remove_dead_code,
    simplify.share_common_subexpressions,
    simplify.join_padded_pieces,
    simplify.permute_contractions,
    lookups.multiply_tables,
    simplify.permute_contractions,
    simplify.remove_dead_code,
    sums.join_sums_of_products,
    simplify.remove_dead_code,
    fusion.fuse,
)


def optimise(graph: Graph, name: str = "program") -> Graph:
    """Run all passes."""
    checked = os.environ.get("TESSELLA_VERIFY") == "1"
    passed(name, "", graph)
    for step in PASSES:
        with stage(step.__name__, name):
            graph = step(graph)
        passed(name, step.__name__, graph)
        if checked:
            verify(graph)
    return graph


def compile(
    graph: Graph,
    layouts: Sequence[Layout],
    in_place: dict[int, int],
    fixed: frozenset[int],
    name: str = "program",
) -> Program:
    """Optimise a graph and make it a program.

    Args:
        layouts: those of the inputs.
        in_place: for some outputs, the input whose memory they may take.
        fixed: inputs that mostly stay the same from call to call.
        name: for readers.
    """
    with device_for(graph, layouts, name):
        return finish(optimise(graph, name), layouts, in_place, fixed, name, lambda: graph)


def device_for(graph: Graph, layouts: Sequence[Layout], name: str) -> Device:
    """The device of a program: that of its inputs and constants.

    Raises:
        DeviceError: they are on several.
    """
    return device_of([*layouts, *[array.layout for array in graph.constants.values()]], name)


def finish(
    optimised: Graph,
    layouts: Sequence[Layout],
    in_place: dict[int, int],
    fixed: frozenset[int],
    name: str,
    traced: Callable[[], Graph],
    arena: Callable[[int], Any] | None = None,
) -> Program:
    """Make an optimised graph a program of the current device; the other arguments are those of `compile`.

    Args:
        traced: gives the graph as the function wrote it.
        arena: gives the memory of intermediate values; None for memory of its own.
    """
    device = current()
    with together(device) as work:
        program = Program(
            optimised, layouts, in_place, fixed, arena or device.allocate, compile, device
        )
        program.name, program.as_traced = name, traced
        work.later(lambda: compiled(program))
    return program

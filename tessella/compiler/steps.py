"""What a program is made of: buffers, places in them, and the steps that read and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tessella.compiler.recipe import Call
from tessella.devices.array import Layout
from tessella.primitives.graph import GraphNode, Where
from tessella.primitives.indexing import Length, Lengths, Limits

if TYPE_CHECKING:
    from tessella.compiler.lowering.epilogue import Epilogue


class Location(NamedTuple):
    """Where a value is: a buffer, how many bytes into it, and its layout."""

    buffer: int
    offset: int
    layout: Layout


class Step(NamedTuple):
    """A native call of the program, and where it comes from."""

    call: Call
    places: tuple[tuple[int, int], ...]  # buffers and offsets in bytes
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    nodes: tuple[GraphNode, ...]
    in_step: frozenset[int] = frozenset()  # buffers read only where the results are written
    epilogue: Epilogue | None = None
    epilogue_places: tuple[tuple[int, int], ...] = ()

    @property
    def where(self) -> Where | None:
        return self.nodes[-1].where if self.nodes else None

    @property
    def name(self) -> str:
        """The kernel's name, with that of its epilogue."""
        name = self.call.kernel.name
        return name if self.epilogue is None else f"{name} + {self.epilogue.kernel.name}"


class HostStep(NamedTuple):
    """A primitive that NumPy computes between native calls; or one of control, which has a `runner`."""

    node: GraphNode
    inputs: tuple[Location, ...]
    outputs: tuple[Location, ...]
    runner: Any = None

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(location.buffer for location in self.inputs)

    @property
    def writes(self) -> tuple[int, ...]:
        return tuple(location.buffer for location in self.outputs)


class Check(NamedTuple):
    """Stop the program if the word at a place is not zero."""

    place: tuple[int, int]
    node: GraphNode
    limits: Limits | Length | Lengths
    indices: Location

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.place[0], self.indices.buffer)

    @property
    def writes(self) -> tuple[int, ...]:
        return ()


INPUT, RESULT_BUFFER, CONSTANT, ARENA, KEPT = "input", "result", "constant", "arena", "kept"


class ProgramBuffer:
    """A block of memory of a program: what kind, its number among its kind, and its bytes."""

    def __init__(self, kind: str, number: int, nbytes: int, name: str = "") -> None:
        self.kind, self.number, self.nbytes, self.name = kind, number, nbytes, name

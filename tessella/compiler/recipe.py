"""A recipe: the native calls that compute one result, written down.

A lowering gives a recipe. Eager mode makes a Python function of it (`tessella.compiler.eager`), a
compiled program puts the calls of many recipes into one table (`tessella.compiler.program`).
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from tessella.devices.array import Layout, contiguous_layout
from tessella.sizes.polynomials import Binding
from tessella.sizes.size import at

if TYPE_CHECKING:
    from tessella.loops.nest import Kernel
    from tessella.primitives.indexing import Length, Lengths, Limits

MOST_KERNELS = 4096  # of a kind that are remembered: functions of users come and go
RESULT = -1  # the buffer of the result; operands count from 0, scratch buffers from -2 down


class Native(NamedTuple):
    """A kernel written as LLVM IR: the text, and the name of its function."""

    name: str
    text: str


class Region(NamedTuple):
    """A buffer of a recipe, and how many bytes into it."""

    buffer: int
    offset: int = 0


class Role(Enum):
    """What a call does for its node, for who shows it."""

    WHOLE = "all there is to do, or a part like others"
    MULTIPLY = "the products of a contraction"
    PACK = "brings an operand of a contraction in the order of its tiles"


class Call(NamedTuple):
    """One call of a kernel over [0, total).

    Args:
        kernel: a loop nest, or LLVM IR.
        places: what its pointers point at.
        numbers: the values of its sizes, 8 bytes each; a tuple if some are not known yet.
        chunk: items that one thread takes at a time; 0 for all on the calling thread.
        completes: whether blocks of the result are final after it, and an epilogue may follow.
        links: words of `numbers` that are to be the addresses of other kernels.
        packs: whether all it does is to pack an operand whole; equal calls need be made only once.
        duplicates: whether all it does is to copy an operand as it lies, which may be done onto itself.
        role: what it does for its node.
    """

    kernel: Kernel | Native
    places: tuple[Region, ...]
    numbers: Any  # bytes
    total: int
    chunk: int
    completes: bool = False
    packs: bool = False
    duplicates: bool = False
    links: tuple[tuple[int, Kernel | Native], ...] = ()
    role: Role = Role.WHOLE

    def at(self, binding: Binding) -> Call:
        """The call with a number for every size."""
        numbers = self.numbers
        if isinstance(numbers, tuple):
            numbers = struct.pack(f"<{len(numbers)}q", *at(numbers, binding))
        return self._replace(
            numbers=numbers, total=at(self.total, binding), chunk=at(self.chunk, binding)
        )


class Blocks(NamedTuple):
    """How a product is cut into blocks: (size, stride in the result) of the axes of each kind.

    Args:
        most_arguments: how many words an epilogue over blocks may have.
    """

    batch: tuple[tuple[int, int], ...]
    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]
    most_arguments: int


class Bound(NamedTuple):
    """An operand that holds indices, and what they may be."""

    operand: int
    limits: Limits | Length | Lengths


class Recipe(NamedTuple):
    """Everything that computes one result.

    Args:
        result: the layout of the result as the calls write it.
        scratch: the bytes of each scratch buffer.
        bounds: what must hold before the calls may run.
        shown: the layout the result is looked at with, if another one.
        keep: objects whose memory the numbers point at.
        blocks: of a product, for an epilogue.
    """

    result: Layout
    calls: tuple[Call, ...]
    scratch: tuple[int, ...] = ()
    bounds: tuple[Bound, ...] = ()
    shown: Layout | None = None
    keep: Any = None
    blocks: Blocks | None = None


class View(NamedTuple):
    """A recipe without calls: the first operand with another layout, some bytes further on."""

    layout: Layout
    offset: int = 0
    bounds: tuple[Bound, ...] = ()


class Elsewhere(Enum):
    """Who computes what has no kernel of its own."""

    NUMPY = "NumPy, on the host"
    PROGRAMS = "programs of the graphs that the primitive holds"


class FusedRecipe(NamedTuple):
    """What computes the results of a `Fused`: buffers count operands, then results, then scratch.

    Args:
        in_step: operands that are only read at the very elements that are written.
    """

    results: tuple[Layout, ...]
    calls: tuple[Call, ...]
    scratch: tuple[int, ...] = ()
    in_step: frozenset[int] = frozenset()

    def at(self, binding: Binding) -> FusedRecipe:
        """The recipe with a number for every size."""
        results = tuple(
            contiguous_layout(at(layout.shape, binding), layout.dtype) for layout in self.results
        )
        calls = tuple([call.at(binding) for call in self.calls])
        return self._replace(results=results, calls=calls, scratch=at(self.scratch, binding))

"""Why a kernel is as it is, in words: what `explain()` quotes of the decisions of `fusion`."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.primitives.base import Shape
from tessella.primitives.contraction import Contraction
from tessella.primitives.graph import GraphNode, Note
from tessella.primitives.host import Host
from tessella.primitives.movement import Movement

MOST_QUOTED = 2
Loops = tuple[Shape, tuple[int, ...]]  # their sizes, and the axes that are reduced


def of_group(
    count: int, again: int, cheap: int, loops: Loops, apart: Sequence[tuple[str, str]]
) -> Note:
    """What a group is, and why it is apart from those it reads from.

    Args:
        count: its operations.
        again: how many of them other groups do as well.
        cheap: the most steps such an operation has.
        apart: names of other groups, and why they are others.
    """
    parts = [f"{count} operation{'s' if count != 1 else ''} in loops over {_loops(loops)}"]
    if again:
        parts.append(f"{again} of them so cheap (at most {cheap} steps) that each reader does them")
    quoted = dict.fromkeys(f"apart from {name}: {why}" for name, why in apart)
    return Note(", ".join(parts), tuple(quoted)[:MOST_QUOTED])


def of_single(node: GraphNode, most_pieces: int) -> str:
    """Why a node is in no group."""
    primitive = node.primitive
    values = (*node.inputs, *node.outputs)
    if primitive.has_effect:
        return "an effect: Python does it, in its turn"
    if isinstance(primitive, Host):
        return "NumPy does it"
    if any(value.dtype.is_complex for value in values):
        return "complex numbers: NumPy does it"
    if any(0 in value.shape for value in values):
        return "an array is empty"
    if isinstance(primitive, Contraction):
        return "a product: a kernel of its own, in packed tiles"
    if isinstance(primitive, Movement) and len(node.inputs) > most_pieces:
        return f"more than {most_pieces} pieces: a copy for each is faster"
    return "its family has kernels of its own"


def other_loops(wanted: Loops, found: Loops, cut: bool) -> str:
    """Why a node cannot walk the loops of a group.

    Args:
        wanted: the loops of the node.
        found: those of the group.
        cut: whether the rows of the group are cut for the threads.
    """
    if cut:
        return "its few rows are cut into chunks for the threads, and are whole only afterwards"
    return f"it walks other loops: {_loops(found)}, not {_loops(wanted)}"


def _loops(loops: Loops) -> str:
    shape, axes = loops
    if not axes:
        return str(shape)
    return f"{shape} reduced over {', '.join(map(str, axes))}"

"""How each family of primitives runs, on any device: one table, with a row for each family.

A row says up to three things. `steps` writes a primitive as simpler ones: eager mode runs them, the pass
`simplify.decompose` writes them down. `view` gives a new layout of the first operand's memory; `lower` a `Recipe`, the
native calls that compute the result, or who else does. What a device lowers in its own way is in a table of its own
(`Device.lowerings`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tessella.compiler.lowering import (
    decompositions,
    dynamic_slice,
    elementwise,
    fused,
    indexing,
    movement,
    plain_contraction,
    random,
    reduce,
    scan,
    views,
)
from tessella.compiler.lowering.decompositions import Steps
from tessella.compiler.recipe import Elsewhere, FusedRecipe, Recipe, View
from tessella.devices.array import Layout
from tessella.devices.device import Device
from tessella.errors import MissingRuleError
from tessella.primitives.barrier import Barrier
from tessella.primitives.base import Composite, Primitive, Spec
from tessella.primitives.contraction import Contraction
from tessella.primitives.control import Control
from tessella.primitives.dynamic_slice import DynamicSlice, DynamicUpdateSlice
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.generate import Full, Iota
from tessella.primitives.host import Host
from tessella.primitives.indexing import Gather, InRange, Scatter
from tessella.primitives.movement import (
    Concatenate,
    Movement,
    Pad,
    Rearrangement,
    Reshape,
    UpdateSlice,
)
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.primitives.scan import Scan
from tessella.primitives.window import Fold

Lowered = View | Recipe | FusedRecipe | Elsewhere
NEITHER = (False, False)


class Family(NamedTuple):
    """How the primitives of a class run.

    Args:
        lower: gives what computes it, from the primitive, the layouts of its operands, and its result's shape and dtype.
        view: is given the same; None if elements must move.
        steps: the primitive as simpler ones, on a device; None if it runs as it is.
        complex_too: whether `lower` serves complex numbers; NumPy does otherwise.
    """

    lower: Callable[[Any, list[Layout], Any], Lowered] = lambda *_: Elsewhere.NUMPY
    view: Callable[[Any, list[Layout], Spec], View | None] = lambda *_: None
    steps: Callable[[Any, Sequence[Spec], Device], Steps | None] = lambda *_: None
    complex_too: bool = False


FAMILIES: dict[type[Primitive], Family] = {
    Barrier: Family(view=lambda primitive, layouts, result: View(layouts[0])),
    Composite: Family(steps=decompositions.composite),
    Concatenate: Family(movement.concatenate),
    Contraction: Family(plain_contraction.lower, steps=decompositions.contraction),
    Control: Family(lambda *_: Elsewhere.PROGRAMS, complex_too=True),
    DynamicSlice: Family(dynamic_slice.read),
    DynamicUpdateSlice: Family(dynamic_slice.write),
    Elementwise: Family(elementwise.lower),
    Fold: Family(movement.fold),
    Full: Family(movement.full),
    Fused: Family(fused.lower),
    Gather: Family(indexing.gather),
    Host: Family(lambda *_: Elsewhere.NUMPY),
    InRange: Family(view=indexing.in_range),
    Iota: Family(random.iota),
    Movement: Family(movement.moved),
    Pad: Family(movement.pad),
    RandomBits: Family(random.bits),
    Rearrangement: Family(movement.moved, view=views.view),
    Reduce: Family(reduce.lower),
    Reshape: Family(movement.reshape, view=views.view),
    Scan: Family(scan.lower),
    Scatter: Family(indexing.scatter, steps=decompositions.scatter),
    UpdateSlice: Family(movement.update_slice),
}


@functools.cache
def family_of(kind: type[Primitive]) -> Family:
    """The row of a class of primitives, or of what it is derived from.

    Raises:
        MissingRuleError: there is none.
    """
    for base in kind.__mro__:
        if base in FAMILIES:
            return FAMILIES[base]
    raise MissingRuleError(
        f"{kind.__name__} has no lowering; add its family to tessella/compiler/lowering"
    )


def steps_of(primitive: Primitive, inputs: Sequence[Spec], device: Device) -> Steps | None:
    """How a primitive is computed by others on inputs like these, or None if a device runs it itself."""
    return family_of(type(primitive)).steps(primitive, inputs, device)


def lower(
    primitive: Primitive, layouts: list[Layout], result: Any, device: Device,
    same: tuple[bool, bool] = NEITHER,
) -> Lowered:  # fmt: skip
    """How a device runs a primitive that is not computed in steps.

    Args:
        result: its shape and dtype, or a tuple of them.
        same: which operands of a product stay the same from call to call.

    Raises:
        MissingRuleError: its family is not in the table.
    """
    kind = type(primitive)
    family = family_of(kind)
    view = family.view(primitive, layouts, result)
    if view is not None:
        return view
    results = result if primitive.multiple_results else (result,)
    if not family.complex_too and any(part.dtype.is_complex for part in (*layouts, *results)):
        return Elsewhere.NUMPY
    for base in kind.__mro__:
        if base in device.lowerings:
            found: Lowered = device.lowerings[base](primitive, layouts, result, same)
            return found
    return family.lower(primitive, layouts, result)

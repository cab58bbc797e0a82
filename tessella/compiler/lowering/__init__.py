"""How each family of primitives runs, on any device: views cost nothing, the rest are kernels.

A lowering is given the primitive, the layouts of its operands and the result's shape and dtype, and
gives a `Recipe`: the native calls that compute the result; or a `View`. What a device lowers in its own way is in
its table (`Device.lowerings`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella.compiler.lowering import (
    dynamic_slice,
    elementwise,
    indexing,
    movement,
    plain_contraction,
    random,
    reduce,
    scan,
    views,
)
from tessella.compiler.recipe import Recipe, View
from tessella.devices.array import Layout
from tessella.devices.device import Device
from tessella.errors import MissingRuleError
from tessella.primitives.barrier import Barrier
from tessella.primitives.base import Primitive, Spec
from tessella.primitives.contraction import Contraction
from tessella.primitives.dynamic_slice import DynamicSlice, DynamicUpdateSlice
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.generate import Full, Iota
from tessella.primitives.indexing import Gather, InRange, Scatter
from tessella.primitives.movement import (
    Concatenate,
    Expand,
    Pad,
    Permute,
    Reshape,
    Slice,
    UpdateSlice,
)
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.primitives.scan import Scan
from tessella.primitives.window import Fold, Window

VIEWS: dict[type[Primitive], Callable[[Any, list[Layout], Spec], View | None]] = {
    Reshape: views.reshape,
    Permute: views.permute,
    Expand: views.expand,
    Slice: views.slice_,
    Window: views.window,
    Barrier: views.barrier,
    InRange: indexing.in_range,
}
KERNELS: dict[type[Primitive], Callable[[Any, list[Layout], Spec], Recipe]] = {
    Elementwise: elementwise.lower,
    Reduce: reduce.lower,
    Reshape: movement.reshape,
    Pad: movement.pad,
    Concatenate: movement.concatenate,
    UpdateSlice: movement.update_slice,
    Fold: movement.fold,
    Contraction: plain_contraction.lower,
    Gather: indexing.gather,
    Scatter: indexing.scatter,
    DynamicSlice: dynamic_slice.read,
    DynamicUpdateSlice: dynamic_slice.write,
    Scan: scan.lower,
    RandomBits: random.bits,
    Iota: random.iota,
    Full: movement.full,
}


def lower_view(primitive: Primitive, layouts: list[Layout], result: Spec) -> View | None:
    """Only a new layout, or None if elements must move."""
    rule = VIEWS.get(type(primitive))
    return None if rule is None else rule(primitive, layouts, result)


def lowering_of(
    primitive: Primitive, device: Device
) -> Callable[[Any, list[Layout], Spec], Recipe]:
    """What lowers the family of a primitive on a device.

    Raises:
        MissingRuleError: nothing does.
    """
    for kind in type(primitive).__mro__:
        found = device.lowerings.get(kind) or KERNELS.get(kind)
        if found is not None:
            return found
    raise MissingRuleError(
        f"{primitive.name} has no lowering; add its family to tessella/compiler/lowering"
    )


def lower(
    primitive: Primitive, layouts: list[Layout], result: Spec, device: Device
) -> Recipe | View:
    """The recipe of a primitive on a device.

    Raises:
        MissingRuleError: its family has no lowering.
    """
    view = lower_view(primitive, layouts, result)
    return lowering_of(primitive, device)(primitive, layouts, result) if view is None else view

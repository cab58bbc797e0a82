"""Fused groups: one loop nest for many primitives.

The loops are those of the group's *space*. Axes that are reduced are the inner ones. Between two
reductions that depend on each other the inner loops are gone through again: softmax is a pass for the
maximum, one for the sum, and one for the result, over a row that stays in the cache.

    for row in parallel(kept axes):
        for i in reduced axes:   pass 0: what needs no reduction; reductions of it
        for i in reduced axes:   pass 1: what needs the results of pass 0
        ...
        what there is once for each row

Every value is followed back to what is in memory, through an index map (`tessella.primitives.index`):
movement costs nothing, and each element is computed where it is needed. A value that is expensive and
needed in several passes is kept in memory in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tessella.compiler.lowering.computation import Computation, Shape, computation_of
from tessella.compiler.lowering.elementwise import safe
from tessella.compiler.lowering.kernels import call, decode
from tessella.compiler.lowering.passes import PassPlan, splits
from tessella.compiler.lowering.reduce import CHUNK, MOST_CHUNKS, NARROW, second_stage
from tessella.compiler.lowering.spaces import Loops, Numbers
from tessella.compiler.lowering.writer import Chunk, Memory, Writer, fitting, memory_of, rest_of
from tessella.compiler.recipe import MOST_KERNELS, Call, FusedRecipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.loops.nest import Kernel, Loop, index_variable
from tessella.primitives.base import Spec, size_of
from tessella.primitives.fused import Fused, Origin
from tessella.primitives.index import Dim
from tessella.scalar import operators
from tessella.sizes.scope import Guard
from tessella.sizes.size import is_symbolic

MOST_STASHED = 8192  # elements of a row that are kept on the stack

_recipes: dict[Any, FusedRecipe] = {}


def lower(fused: Fused, layouts: Sequence[Layout], results: Sequence[Spec]) -> FusedRecipe:
    """The calls of a fused group; groups of one structure, as the layers of a model, share them."""
    if fused.origin is not None:
        recipe = _for_many_sizes(fused.origin, layouts)
        if recipe is not None:
            return recipe
    key = structure(fused, layouts)
    found = _recipes.get(key)
    if found is None:
        if len(_recipes) >= MOST_KERNELS:
            _recipes.clear()
        found = _recipes[key] = _recipe(fused, layouts)
    return found


_symbolic_recipes: dict[Any, list[tuple[tuple[Guard, ...], FusedRecipe]]] = {}


def _for_many_sizes(origin: Origin, layouts: Sequence[Layout]) -> FusedRecipe | None:
    """The calls of a group with symbolic sizes; None if a layout is not known to be row-major.

    What the lowering asks about sizes goes with the recipe: it serves all sizes for which that holds.
    """
    fused, binding = origin.fused, origin.binding
    symbolic = []
    for value, layout in zip(fused.graph.inputs, layouts, strict=True):
        if any(is_symbolic(n) for n in value.shape):
            if layout is not contiguous_layout(layout.shape, layout.dtype):
                return None
            layout = contiguous_layout(value.shape, value.dtype)
        symbolic.append(layout)
    if len(_symbolic_recipes) >= MOST_KERNELS:
        _symbolic_recipes.clear()
    known = _symbolic_recipes.setdefault(structure(fused, symbolic), [])
    for guards, recipe in known:
        if all(guard.holds(binding) for guard in guards):
            return recipe.at(binding)
    with origin.scope.compiling(binding) as asked:
        recipe = _recipe(fused, symbolic)
    known.append((tuple(asked), recipe))
    return recipe.at(binding)


def structure(fused: Fused, layouts: Sequence[Layout]) -> Any:
    """What a group's kernel depends on: its nodes and how they hang together, but not who they are."""
    numbers = {value: number for number, value in enumerate(fused.graph.inputs)}
    nodes = []
    for node in fused.graph.nodes:
        nodes.append((node.primitive, tuple(numbers[value] for value in node.inputs)))
        numbers[node.output] = len(numbers)
    outputs = tuple(numbers[value] for value in fused.graph.outputs)
    return tuple(nodes), outputs, tuple(layouts), fused.space, fused.axes


def _recipe(fused: Fused, layouts: Sequence[Layout]) -> FusedRecipe:
    computation, shape = _described(fused, layouts)
    plan, number = computation.plan, Numbers()
    chunks = 1
    if splits(fused.space, fused.axes) and plan.looped and shape.loops.reduced:
        wanted = min(MOST_CHUNKS, size_of(fused.space) // CHUNK)
        chunks = max(1, min(wanted, shape.loops.reduced[0].size))
    memory = memory_of(computation, number, shape.row_length(), chunks)
    body, total = _body(computation, shape, memory, number, chunks)
    kernel = Kernel(
        f"fused_{safe(fused.label)[:60]}",
        (*computation.inputs, *memory.outputs, *memory.local.values()),
        tuple(number.names.values()), (body,),
    )  # fmt: skip
    places, scratch, second_stages = _places(computation, memory, chunks)
    first = call(kernel, number.values(), total, computation.work(), *places)
    results = tuple(contiguous_layout(v.shape, v.dtype) for v in fused.graph.outputs)
    return FusedRecipe(results, (first, *second_stages), tuple(scratch), computation.in_step())


def _described(fused: Fused, layouts: Sequence[Layout]) -> tuple[Computation, Shape]:
    """What a group computes, and in which loops."""
    computation = computation_of(fused, layouts, PassPlan(fused))
    shape = _shape_of(computation)
    if shape.row_length() > MOST_STASHED:  # too long for the stack: computed again instead
        plan = computation.plan.keeping(fused.graph.outputs)
        computation = Computation(fused, layouts, plan, computation.splits)
        shape = _shape_of(computation)
    return computation, shape


def _shape_of(computation: Computation) -> Shape:
    indices = computation.indices()
    loops = Loops(computation.of.dims, computation.fused.axes, indices)
    columns = _by_columns(computation, loops)
    short = None if columns and loops.reduced else loops.short()
    return Shape(loops, columns, computation.lanes(), short)


def _by_columns(computation: Computation, loops: Loops) -> bool:
    """Whether vectors go along the last kept axis, for groups that reduce."""
    if not loops.reduced:
        return True
    if not loops.kept or loops.kept[-1].size < NARROW:
        return False
    of = computation.of
    renamed = [loops.rename(access.where) for access in of.accesses]
    stored = sum(len(step.stores) for step in computation.plan.passes)
    renamed += [loops.rename(of.position)] * stored
    score = {}
    for dim in (loops.kept[-1], loops.reduced[-1]):
        steps = [index.factor(dim) for index in renamed if index.is_affine]
        score[dim] = sum((step == 1) - 2 * (step not in (0, 1)) for step in steps)
    return score[loops.kept[-1]] > score[loops.reduced[-1]]


def _body(
    computation: Computation, shape: Shape, memory: Memory, number: Numbers, chunks: int
) -> tuple[Loop, int]:
    """The loops of a group, and how many items the outermost one has."""
    kept, row = shape.loops.kept, index_variable("row")
    kept = kept if shape.short not in kept else kept[:-1]
    inner = (kept[-1] if kept else Dim(-1, 1)) if shape.columns else None
    outer = kept[:-1] if shape.columns else kept
    rows = math.prod(dim.size for dim in outer)
    chunk, position = None, row
    if chunks > 1:
        place = operators.modulo(row, number(chunks))
        position = operators.quotient(row, number(chunks))
        chunk = Chunk(chunks, place, rows * (inner.size if inner else 1))
    at = dict(zip(outer, decode(position, [number(dim.size) for dim in outer]), strict=True))
    vector = shape.walked()[-1] if inner is None else inner
    writer = Writer(computation, shape, memory, number, at, vector, chunk)
    if inner is None:
        return Loop(row, None, writer.passes(), parallel=True), rows * chunks
    column = index_variable("j")
    at[inner] = column
    extent, lanes = (
        number(inner.size),
        fitting(_column_lanes(computation, shape, inner), inner.size),
    )
    if not outer and chunks == 1:
        return Loop(column, extent, writer.passes(), parallel=True, lanes=lanes), inner.size
    inside = Loop(column, extent, writer.passes(), lanes=lanes, rest=rest_of(lanes, inner.size))
    return Loop(row, None, (inside,), parallel=True), rows * chunks


def _column_lanes(computation: Computation, shape: Shape, inner: Dim) -> int:
    """Several vectors side by side, where sums of columns would wait for each other."""
    parts = sum(len(carried) for carried in computation.carried.values())
    if not 0 < parts <= 2 or inner.size < 8 * shape.lanes or len(computation.inputs) > 4:
        return shape.lanes
    return 4 * shape.lanes


def _places(
    computation: Computation, memory: Memory, chunks: int
) -> tuple[list[int], list[int], list[Call]]:
    """The buffers of the kernel's pointers, the bytes of those between, and the calls that put parts together."""
    outputs = computation.fused.graph.outputs
    result = len(computation.inputs)
    places, scratch, calls = list(range(result)), list[int](), list[Call]()
    for value in outputs:
        node = computation.plan.producers[value]
        if chunks > 1 and node in computation.carried:
            primitive: Any = node.primitive
            count, parts = size_of(value.shape), []
            for pointer in memory.target[value]:
                parts.append(len(computation.inputs) + len(outputs) + len(scratch))
                scratch.append(count * chunks * pointer.dtype.itemsize)
            dtype = node.inputs[0].dtype
            calls.append(second_stage(primitive.monoid, dtype, chunks, count, *parts, result))
            places += parts
        else:
            places.append(result)
        result += 1
    return places, scratch, calls

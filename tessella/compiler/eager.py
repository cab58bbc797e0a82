"""Running one primitive on concrete arrays.

The first call with some layouts makes a *plan*: the result's layout, the kernel, and its arguments
but for the addresses. Later calls look the plan up and make one native call. Kernels take sizes as
arguments, so a plan for a new shape compiles nothing if a plan of the same form was made before.

A primitive knows the table of its plans, so that nothing has to be hashed but layouts, which are compared
by identity; equal primitives have one table.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella import forking
from tessella.arguments.kinds import shown
from tessella.blocks import Restoring
from tessella.compiler import observe
from tessella.compiler.machine_code import compile_all, numbers_of
from tessella.compiler.recipe import RESULT, Call, Elsewhere, Recipe, Region, View
from tessella.devices.array import (
    Array,
    Layout,
    contiguous_layout,
    device_of,
    empty,
    from_numpy,
    maker,
    to_numpy,
    write,
)
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.errors import DeviceError
from tessella.primitives.base import Composite, Primitive, Spec, result_of

if TYPE_CHECKING:
    from tessella.compiler.program import Program

Plan = Callable[[Sequence[Array]], Any]
Plans = dict[Any, Plan]  # by the choice of the thread and the layouts of the operands
BACKENDS = ("cpu", "reference")
_MOST_PLANS = 16_384

_tables: dict[Primitive, Plans] = {}
_made = itertools.count(1)


_choice = observe.settings


def current_backend() -> str:
    """The backend that runs primitives in this thread."""
    return _choice.backend


def backend(name: str) -> Restoring[None]:
    """Run everything inside on a backend: "cpu", or "reference" (NumPy: slow and obvious).

    Raises:
        DeviceError: there is no such backend.
    """
    if not isinstance(name, str) or name not in BACKENDS:
        raise DeviceError(
            f"backend: there is no backend {shown(name)}; choose one of {', '.join(BACKENDS)}"
        )
    return observe.setting(backend=name)


def run(primitive: Primitive, arrays: Sequence[Array]) -> Any:
    """Apply a primitive to concrete arrays: an array, or a tuple of them."""
    if not arrays:
        return _first_plan(primitive, [])(arrays)
    plan = primitive.plans.get((_choice.key, *[array.layout for array in arrays]))
    if plan is None:
        plan = _first_plan(primitive, [array.layout for array in arrays])
    return plan(arrays)


def run_unary(primitive: Primitive, x: Array) -> Any:
    """`run` for one operand, without lists: small operations are as long as what is around them."""
    plan = primitive.plans.get((_choice.key, x.layout))
    if plan is None:
        plan = _first_plan(primitive, [x.layout])
    return plan((x,))


def run_binary(primitive: Primitive, x: Array, y: Array) -> Any:
    """`run` for two operands."""
    plan = primitive.plans.get((_choice.key, x.layout, y.layout))
    if plan is None:
        plan = _first_plan(primitive, [x.layout, y.layout])
    return plan((x, y))


def _first_plan(primitive: Primitive, layouts: list[Layout]) -> Plan:
    """The plan of an equal primitive, or a new one, made on the device of the operands.

    Raises:
        DeviceError: they are on several.
    """
    device = device_of(layouts, primitive.name)
    key = (_choice.key, *layouts) if layouts else (_choice.key, device)
    plan = _table_of(primitive).get(key)
    if plan is None:
        with device:
            plan = _make_plan(primitive, layouts)
        _table_of(primitive)[key] = plan  # another table, if all were forgotten meanwhile
        if next(_made) % _MOST_PLANS == 0:
            forget()
    return plan


def _table_of(primitive: Primitive) -> Plans:
    """The table that `forget` knows, with the primitive from now on."""
    plans = vars(primitive)["plans"] = _tables.setdefault(primitive, {})
    return plans


def _observed(primitive: Primitive, arrays: Sequence[Array]) -> Any:
    """Run a primitive for those who look on; what it is composed of is not shown to them."""
    begin = observe.now()
    with observe.unobserved() as observers:
        result = run(primitive, arrays)
    end = observe.now()
    results = result if primitive.multiple_results else (result,)
    for observer in observers:
        observer.operation(primitive, arrays, results, begin, end)
    return result


def forget() -> None:
    """Let every primitive be lowered anew."""
    for plans in list(_tables.values()):
        plans.clear()
    _tables.clear()


def _make_plan(primitive: Primitive, layouts: list[Layout]) -> Plan:
    if _choice.observers:
        return functools.partial(_observed, primitive)
    with forking.making.section(), observe.stage("plan", primitive.name):
        return _new_plan(primitive, layouts)


def _new_plan(primitive: Primitive, layouts: list[Layout]) -> Plan:
    specs = [Spec(layout.shape, layout.dtype) for layout in layouts]
    result = result_of(primitive, *specs)  # complains about what does not fit
    if _choice.backend == "reference":
        return _reference_plan(primitive)
    from tessella.compiler.lowering import lower, steps_of

    device = current()
    steps = steps_of(primitive, specs, device)
    if steps is not None:
        return _steps_plan(primitive, steps, layouts, result)
    lowered = lower(primitive, layouts, result, device)
    if isinstance(lowered, View):
        return _view_plan(lowered)
    if isinstance(lowered, Recipe):
        return _recipe_plan(lowered)
    if lowered is Elsewhere.NUMPY:
        return _reference_plan(primitive)
    return _program_plan(primitive, _program_of(primitive, layouts, result))


def _steps_plan(
    primitive: Primitive, steps: Callable[..., Any], layouts: list[Layout], result: Any
) -> Plan:
    """One kernel, if all its steps become one; otherwise one step after the other.

    A program of several would keep memory for what is between its kernels as long as the plan lives.
    """
    if isinstance(primitive, Composite) and primitive.fuses:
        program = _program_of(primitive, layouts, result)
        if program.arena_plan.nbytes == 0:
            alone = program.only_call()
            return _program_plan(primitive, program) if alone is None else _recipe_plan(alone)
    return functools.partial(steps, _runner(layouts[0].device))


def _program_of(primitive: Primitive, layouts: list[Layout], result: Any) -> Program:
    """A program of one node."""
    from tessella.compiler.pipeline import compile
    from tessella.primitives.graph import Graph, GraphNode, Value

    inputs = [Value(layout.shape, layout.dtype) for layout in layouts]
    specs = result if primitive.multiple_results else (result,)
    outputs = [Value(spec.shape, spec.dtype) for spec in specs]
    graph = Graph(inputs, [GraphNode(primitive, inputs, outputs)], outputs)
    return compile(graph, layouts, {}, frozenset(), primitive.name)


def _program_plan(primitive: Primitive, program: Program) -> Plan:
    if primitive.multiple_results:
        return lambda arrays: tuple(program.run(arrays))
    return lambda arrays: program.run(arrays)[0]


def _runner(device: Device) -> Callable[[Primitive, Sequence[Array]], Any]:
    """What runs the steps of a primitive; what has no operands is made beside the others'."""

    def run_there(primitive: Primitive, arrays: Sequence[Array]) -> Any:
        if arrays:
            return run(primitive, arrays)
        with device:
            return run(primitive, arrays)

    return run_there


def _view_plan(view: View) -> Plan:
    layout, offset, bounds = view
    if bounds:
        return functools.partial(_checked_view, view)

    def plan(arrays: Sequence[Array]) -> Array:
        array = arrays[0]
        return Array(array.buffer, array.address + offset, layout)

    return plan


def _checked_view(view: View, arrays: Sequence[Array]) -> Array:
    for bound in view.bounds:
        bound.limits.check(to_numpy(arrays[bound.operand]))
    return Array(arrays[0].buffer, arrays[0].address + view.offset, view.layout)


def _recipe_plan(recipe: Recipe) -> Plan:
    """The recipe as a Python function; the common forms are written out: microseconds count.

    The function holds what the numbers of its calls point at.
    """
    simple = len(recipe.calls) == 1 and not recipe.scratch and not recipe.bounds
    if simple and recipe.shown is None:
        (only,) = recipe.calls
        run, make = native_call(only), maker(recipe.result)
        if only.places == (Region(0), Region(RESULT)):

            def one(arrays: Sequence[Array], keep: Any = recipe.keep) -> Array:
                result = make()
                run(arrays[0].address, result.address)
                return result

            return one
        if only.places == (Region(0), Region(1), Region(RESULT)):

            def two(arrays: Sequence[Array], keep: Any = recipe.keep) -> Array:
                first, second = arrays
                result = make()
                run(first.address, second.address, result.address)
                return result

            return two
    compile_all(recipe.calls, current())
    calls = [(native_call(c), c.places) for c in recipe.calls]
    return functools.partial(_follow, recipe, calls, current().allocate)


def _follow(
    recipe: Recipe, calls: list[tuple[Callable[..., None], Any]], allocate: Callable[[int], Any],
    arrays: Sequence[Array],
) -> Array:  # fmt: skip
    for bound in recipe.bounds:
        bound.limits.check(to_numpy(arrays[bound.operand]))
    result = empty(recipe.result)
    scratch = [allocate(nbytes) for nbytes in recipe.scratch]
    # buffer numbers are indices: operands from the front, the result last, scratch before it
    addresses = [array.address for array in arrays]
    addresses += [buffer.address for buffer in reversed(scratch)]
    addresses.append(result.address)
    for run, places in calls:
        run(*[addresses[buffer] + offset for buffer, offset in places])
    if recipe.shown is not None:
        return Array(result.buffer, result.address, recipe.shown)
    return result


def native_call(call: Call) -> Callable[..., None]:
    """A call as a function of addresses."""
    device = current()
    address, numbers = device.address_of(call.kernel), numbers_of(call, device)
    return device.launcher(address, len(call.places), numbers, call.total, call.chunk)


def _reference_plan(primitive: Primitive) -> Plan:
    device = current()

    def plan(arrays: Sequence[Array]) -> Any:
        values = primitive.reference(*[to_numpy(array) for array in arrays])
        if primitive.multiple_results:
            return tuple([own(value) for value in values])
        return own(values)

    def own(value: Any) -> Array:  # what NumPy gives may be a view of an operand
        return from_numpy(np.asarray(value), copy=True, device=device)

    return plan


_LARGE = 1e38  # what is near the end of float32, or beyond it


def fill(value: Any, shape: tuple[int, ...], dtype: Any, device: Device | None = None) -> Array:
    """An array of one value, on a device or on that of the thread."""
    result = empty(contiguous_layout(shape, dtype, device))
    if dtype.compute is not dtype or abs(value) > _LARGE:
        with np.errstate(over="ignore"):  # what is too large is infinite, as in any computation
            write(result, value)
    else:
        write(result, value)
    return result

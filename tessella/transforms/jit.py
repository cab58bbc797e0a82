"""`jit`: a Python function on tensors becomes a program, one native call.

The function runs once while its tensors are traced (`tessella.tracing.trace`). What it did becomes
a graph, the graph a program (`tessella.compiler`). A later call with arguments of the same shapes,
dtypes and structure runs the program. Tensors of the surroundings that the function reads are
implicit inputs; those it gives other data (`p.assign(...)`, `p.grad`, `x += 1`) implicit outputs.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    TypeVar,
    overload,
)

import numpy as np

from tessella import autodiff, forking
from tessella.arguments import public, require_function
from tessella.arguments.kinds import scope, shown
from tessella.arguments.precision import lower_dtype
from tessella.compiler.observe import compiling, settings
from tessella.devices.array import Array, Layout, from_numpy
from tessella.devices.device import Device
from tessella.devices.registry import current, host
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, RetraceWarning, SideEffectError
from tessella.tensors.numbers import FLOATS
from tessella.tensors.tensor import Tensor
from tessella.tracebacks import calls_users, shorten
from tessella.tracing.guards import Guards, Source
from tessella.transforms.dynamic import (
    MOST_PROGRAMS,
    Declared,
    Dimensions,
    Family,
    takes_any_names,
)
from tessella.transforms.specialisation import Specialisation
from tessella.transforms.traced_arguments import Whole, number_array
from tessella.transforms.traced_function import TracedFunction
from tessella.tree_nodes import become_nodes, key_of
from tessella.trees import taken_apart

if TYPE_CHECKING:
    from tessella.compiler.program import Program
    from tessella.primitives.pictures import DrawnGraph

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
VARIABLE = "TESSELLA_JIT"
_MOST_QUIET_TRACES = 8
_MOST_PROGRAMS = 256  # of one function
_TIMES_UNTIL_INPUT = 2
_mode = autodiff.mode


@overload
def jit(
    function: Callable[P, R],
    *,
    static_argnums: int | Sequence[int] = ...,
    static_argnames: str | Sequence[str] = ...,
    dynamic: Any = ...,
) -> Jitted[P, R]: ...


@overload
def jit(
    function: None = None,
    *,
    static_argnums: int | Sequence[int] = ...,
    static_argnames: str | Sequence[str] = ...,
    dynamic: Any = ...,
) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...


@public
def jit(
    function: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    dynamic: Any = None,
) -> Any:
    """Compile a function of tensors into one native call.

    Arguments may be trees (lists, tuples, dicts, dataclasses, see `ts.tree_map`) of tensors. A float in them, one of
    NumPy's too, is an input like a tensor, unless the function looks at its value. Everything that is no tensor, NumPy
    array or float is static: another value is traced and compiled again. Whole arguments can be declared static.

    What the function reads around itself (globals, attributes, modules, ...) is guarded: if it is not what it was, the
    function is traced again. What it writes there is written by every call. docs/surroundings.md has the details.

    A dimension that comes with a third size becomes *dynamic*: the function is traced once with a symbolic size,
    and what is traced serves every size. `dynamic` declares dimensions from the start: names of arguments, with
    their axes and, if dimensions are to be equal, the names of these; `True` stands for all dimensions, `False`
    for none, ever.

    Raises:
        TracedValueError: the function asks for the elements of a tensor, for example in an `if`.
        SideEffectError: the function does what a program could not repeat.

    >>> import tessella as ts
    >>> @ts.jit
    ... def distance(x, y):
    ...     return ((x - y) ** 2).sum().sqrt()
    >>> distance(ts.asarray([0.0, 3.0]), ts.asarray([4.0, 0.0]))
    tensor(5.)

    >>> total = ts.jit(lambda x, y: (x @ y).sum(), dynamic={"x": {0: "batch"}})
    >>> [float(total(ts.ones((size, 2)), ts.ones((2, 3)))) for size in (4, 5, 0)], len(total.traces)
    ([24.0, 30.0, 0.0], 1)
    """
    if function is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, dynamic=dynamic
        )
    require_function(function, "jit")
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    if numbers or names:
        _require_parameters(function, numbers, names)
    return Jitted(function, numbers, names, Declared.of(dynamic, function))


def _require_parameters(
    function: Callable[..., Any], numbers: Sequence[int], names: Sequence[str]
) -> None:
    """Complain about what is declared static and is no parameter: nothing would be static."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some that are written in C
        return
    kinds = {p.kind for p in parameters}
    placed = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for number in numbers:
        if inspect.Parameter.VAR_POSITIONAL not in kinds and not -len(placed) <= number < len(
            placed
        ):
            raise ArgumentError(
                f"jit: static_argnums is {shown(numbers)}, but the function has {len(placed)} parameters by place: "
                f"{', '.join(placed) or 'none'}"
            )
    for name in names:
        if inspect.Parameter.VAR_KEYWORD not in kinds and name not in named:
            raise ArgumentError(
                f"jit: static_argnames names {name!r}, but the function has the parameters {', '.join(named) or 'none'}"
            )


class Static:
    """A part of the arguments that is no tensor: equal if type and value are, at the time of the calls."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value  # and kept: where it goes by its id, no other has that
        self.key = key_of(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class _Shared(NamedTuple):
    """A structure in which tensors are given several times: for each input the first place of its tensor."""

    structure: Any
    first: tuple[int, ...]


class _Given(NamedTuple):
    """The arguments of a call.

    Args:
        arrays: the inputs of the program among them.
        key: what else a program depends on: structure, layouts, static values.
        tensors: those that need gradients, each once.
        numbers: the floats.
        handles: all tensors, by the numbers of their inputs; None for what is none.
        foreign: NumPy arrays, by the numbers of their inputs.
    """

    arrays: list[Array]
    key: tuple[Any, ...]
    tensors: list[Tensor]
    numbers: list[float]
    handles: list[Tensor | None]
    foreign: dict[int, Any]

    def arrays_for(self, found: Specialisation) -> list[Array]:
        """The inputs; NumPy arrays are copied if somebody may look at them after the call."""
        for number, array in self.foreign.items():
            if number in found.kept:
                self.arrays[number] = from_numpy(array, True, host())
        return self.arrays


_NUMBER = FLOATS[float]  # in keys


class _Quick(NamedTuple):
    """A program for tensors without history, and how to see that arguments are of its kind."""

    found: Specialisation
    enabled: bool  # whether gradients are recorded
    device: Device  # that of the thread
    lower: DType | None  # of `autocast`
    layouts: list[Layout]
    changes: frozenset[int]  # ids of tensors that must not be among the arguments

    @classmethod
    def of(cls, found: Specialisation, args: Sequence[Any]) -> _Quick | None:
        if any(type(x) is float for x in args):
            return None
        changes = found.traced.changes
        layouts = [x._value.layout for x in args]
        return cls(found, autodiff.is_enabled(), current(), lower_dtype(), layouts, changes)

    def arrays(self, args: Sequence[Any]) -> list[Array] | None:
        """The arrays of the arguments; None if they are of another kind."""
        if len(args) != len(self.layouts):
            return None
        found = []
        for x, layout in zip(args, self.layouts, strict=True):
            if type(x) is not Tensor or x._node is not None:
                return None
            array = x._value
            if array.layout is not layout or id(x) in self.changes:
                return None
            found.append(array)
        return found


class Subject(NamedTuple):
    """A program to be explained.

    Args:
        traces: why each trace of its function was made.
        inputs: to time it on.
        depends: facts about what it depends on, with titles.
        guards: all that is looked at before it is called.
    """

    title: str
    traces: list[str]
    program: Program
    inputs: Sequence[Array]
    depends: list[tuple[str, str]]
    guards: list[str]


class Jitted(Generic[P, R]):
    """A function that `jit` compiles; call it like the function."""

    most_quiet_traces: float = _MOST_QUIET_TRACES  # more of them are warned of

    def __init__(
        self, function: Callable[P, R], static_numbers: tuple[int, ...],
        static_names: tuple[str, ...], declared: Declared,
    ) -> None:  # fmt: skip
        self.function = function
        self.declared = declared
        self.dimensions = Dimensions(declared, function)  # which of them are dynamic
        self.families: list[Family] = []  # traced with symbolic sizes, the last one first
        self.static_numbers = static_numbers
        self.static_names = static_names
        self.sees_order = takes_any_names(function)  # in which keyword arguments are given
        self.specialisations: dict[Any, list[Specialisation]] = {}
        self.plain: dict[Any, list[Specialisation]] = {}  # for what `_kinds` knows, by position
        # the program that was called last, if that is simple to ask
        self.quick: _Quick | None = None
        self.traces: list[str] = []  # why each trace was made
        self.changing = Changing()
        self.lock = forking.lock()  # its programs share the tensors they write: one at a time
        self.compiles = os.environ.get(VARIABLE, "1") != "0"
        if self.compiles:  # whoever writes `jit` will compile: the compiler is loaded now, not then
            importlib.import_module("tessella.compiler.pipeline")
            importlib.import_module("tessella.tracing.reading")
            current().load()
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        functools.update_wrapper(self, function, updated=())

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Jitted[P, R]: ...

    @overload
    def __get__(
        self: Jitted[Concatenate[Any, Q], S], instance: object, owner: Any = None
    ) -> Jitted[Q, S]: ...

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        kept = getattr(instance, "__dict__", None)
        if kept is None:  # there is no place to keep programs: they stay with the class
            return functools.partial(self, instance)
        name = f"_jit_{self.__name__}"
        found = kept.get(name)
        if type(found) is not BoundJitted or found.of is not self or found.instance is not instance:
            found = kept[name] = BoundJitted(self, instance)
        return found

    @calls_users
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if _mode.trace is not None or not self.compiles or not settings.compiles:
            return self.function(*args, **kwargs)  # inlined, or run as it is
        try:
            with self.lock:
                if not kwargs:  # the quick ways for what is most common
                    quick = self.quick
                    if (
                        quick is not None
                        and quick.enabled is autodiff.is_enabled()
                        and (scope["alone"] or quick.device is current())
                        and (not scope["casts"] or quick.lower is lower_dtype())
                    ):
                        arrays = quick.arrays(args)
                        if arrays is not None:
                            found = quick.found
                            settled = found.state.is_settled()
                            if found.fits(settled):
                                return found.call(arrays, (), settled)
                    for found in self.plain.get((*_plainly(), *_kinds(args)), ()):
                        settled = found.state.is_settled()
                        numbers = (
                            [x for x in args if type(x) is float] if found.needs_numbers else ()
                        )
                        if found.fits(settled, numbers) and _apart(found, args):
                            self.quick = _Quick.of(found, args)
                            arrays = [
                                number_array(x) if type(x) is float else x._value  # type: ignore[attr-defined]
                                for x in args
                            ]
                            return found.call(arrays, (), settled, (), numbers)
                return self._call(args, kwargs)
        except Exception as error:  # goes on as it is, but for the frames of ours
            shorten(error)
            raise

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = self._flatten(args, kwargs)
        for found in self.specialisations.get(given.key, ()):
            settled = found.state.is_settled()
            if found.fits(settled, given.numbers):
                return self._run(found, given, settled, (args, kwargs))
        found = self._of_a_family(args, kwargs, given) or self._specialise(args, kwargs, given)
        return self._run(found, given, False, (args, kwargs))

    def _run(self, found: Specialisation, given: _Given, settled: bool, tree: Any) -> Any:
        """Call a program.

        Raises:
            SideEffectError: a tensor is an argument, and is changed from outside, too.
        """
        for number, tensor in enumerate(given.handles):
            if tensor is not None and id(tensor) in found.traced.changes:
                raise SideEffectError(
                    f"{self.__name__}: the tensor of shape {tensor.shape} that is input {number} is used by the "
                    "function from outside, too, and is changed in one of the two ways, which a program cannot "
                    "follow; use it in one way only, as an argument or from outside"
                )
        arrays = given.arrays_for(found)
        return found.call(arrays, given.tensors, settled, given.handles, given.numbers, tree)

    def _of_a_family(self, args: Any, kwargs: Any, given: _Given) -> Specialisation | None:
        """A program for other sizes of what has been traced with symbolic ones."""
        for family in self.families:
            binding = family.binding(given.key)
            if binding is not None and not family.misfit(binding, given.numbers):
                return self._add(
                    args, kwargs, given.key, family.program(given.key, binding), family
                )
        return None

    def _flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Given:
        arrays: list[Array] = []
        tensors: list[Tensor] = []
        numbers: list[float] = []
        handles: list[Tensor | None] = []
        foreign: dict[int, Any] = {}
        parts: list[Any] = [_now()]
        for leaf in _leaves(self._with_statics(args, kwargs), parts):
            if isinstance(leaf, Tensor):
                array = leaf._value
                arrays.append(array)
                handles.append(leaf)
                parts.append((array.layout, leaf._node is not None))
                if leaf._node is not None:
                    tensors.append(leaf)
            elif isinstance(leaf, np.ndarray):
                array = from_numpy(leaf, device=host())
                foreign[len(arrays)] = leaf
                arrays.append(array)
                handles.append(None)
                parts.append((array.layout, False))
            elif type(leaf) in FLOATS:
                arrays.append(number_array(leaf))
                handles.append(None)
                numbers.append(leaf)
                parts.append(FLOATS[type(leaf)])
            elif hasattr(leaf, "__dataclass_fields__") and become_nodes([type(leaf)]):
                return self._flatten(args, kwargs)  # with its fields as leaves
            else:
                parts.append(Static(leaf.value if isinstance(leaf, Whole) else leaf))
        if len({id(x) for x in handles if x is not None}) < len(handles) - sum(
            x is None for x in handles
        ):
            first: dict[int, int] = {}  # a tensor that is given several times is one tensor
            same = tuple([first.setdefault(id(x), number) for number, x in enumerate(handles)])
            parts[1] = _Shared(parts[1], same)
            tensors = list({id(x): x for x in tensors}.values())
        return _Given(arrays, tuple(parts), tensors, numbers, handles, foreign)

    def _with_statics(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(kwargs) > 1 and not self.sees_order:
            kwargs = dict(sorted(kwargs.items()))
        if not self.static_numbers and not self.static_names:
            return args, kwargs
        numbers = {n % len(args) if args else n for n in self.static_numbers}
        whole = tuple(Whole(a) if i in numbers else a for i, a in enumerate(args))
        return whole, {k: Whole(v) if k in self.static_names else v for k, v in kwargs.items()}

    def _specialise(self, args: Any, kwargs: Any, given: _Given) -> Specialisation:
        key = given.key
        fitting = [known.guards for known in self.specialisations.get(key, ())]
        fitting += [f.traced.around.guards for f in self.families if f.binding(key) is not None]
        for guards in fitting[:1]:
            self.changing.note(guards)
        self.traces.append(self._reason(given))
        if len(self.traces) == self.most_quiet_traces:
            warnings.warn(
                f"jit: {getattr(self.function, '__name__', self.function)} has been traced "
                f"{len(self.traces)} times, each time compiling a program; the last time because "
                f"{self.traces[-1]}. Pass numbers that change as tensors, and keep shapes the same.",
                RetraceWarning,
                stacklevel=4,
            )
        name = getattr(self.function, "__name__", "jit")
        tree = self._with_statics(args, kwargs)
        dimensions = self.dimensions.of(key, tree)
        self.dimensions.note(key)
        with compiling(name, len(self.traces), self.traces[-1]):
            family = self._family(tree, key, dimensions) if dimensions else None
            if family is None:
                traced = self._traced(lambda lent: TracedFunction(self.function, tree, lent=lent))
                made = Specialisation(traced, [array.layout for array in given.arrays])
                return self._add(args, kwargs, key, made)
            self.families.insert(0, family)
            binding = family.binding(key)
            assert binding is not None
            return self._add(args, kwargs, key, family.program(key, binding), family)

    def _traced(self, make: Callable[[Sequence[Source]], Any]) -> Any:
        """What is made by tracing; numbers from outside that keep changing become inputs."""
        lent = self.changing.lent()
        if lent:
            try:
                return make(lent)
            except Exception:  # whatever wants a number, and no stand-in for one, goes on without
                self.changing.give_up()
        return make(())

    def _family(self, tree: Any, key: Any, dimensions: Any) -> Any:
        """The function traced with symbolic sizes; None if it cannot be, and nobody asked for that."""
        try:
            names = list(self.dimensions.leaf_names(tree))
            return self._traced(
                lambda lent: Family(self.function, tree, key, dimensions, names, lent)
            )
        except Exception as error:
            if not self.dimensions.give_up(key, tree):
                raise
            self.traces[-1] += f" (with symbolic sizes: {type(error).__name__}: {error})"
            return None

    def _add(
        self, args: Any, kwargs: Any, key: Any, made: Specialisation, family: Family | None = None
    ) -> Specialisation:
        """Keep a program for calls like this one."""
        made.program.lock = self.lock
        self.specialisations.setdefault(key, []).insert(0, made)
        kinds = _kinds(args)
        plain = not kwargs and not self.static_numbers and None not in kinds
        if plain and not made.traced.written_arguments and type(key[1]) is not _Shared:
            self.plain.setdefault((*_plainly(), *kinds), []).insert(0, made)
        if family is not None and len(family.programs) > MOST_PROGRAMS:
            self._drop(family.programs.pop(next(iter(family.programs))))
        if sum(map(len, self.specialisations.values())) > _MOST_PROGRAMS:
            self._drop(next(iter(self.specialisations.values()))[-1])
        return made

    def _drop(self, old: Specialisation) -> None:
        """Forget a program: it can be made again."""
        for known in (self.specialisations, self.plain):
            for key in [k for k, programs in known.items() if old in programs]:
                known[key].remove(old)
                if not known[key]:
                    del known[key]
        for family in self.families:
            for key in [k for k, program in family.programs.items() if program is old]:
                del family.programs[key]
        if self.quick is not None and self.quick.found is old:
            self.quick = None

    def _reason(self, given: _Given) -> str:
        """Why no program fits."""
        if not self.specialisations:
            return "it is the first call"
        known = self.specialisations.get(given.key)
        if known:
            traced = known[0].traced
            return traced.misfit() or traced.changed_number(given.numbers)
        for family in self.families:
            binding = family.binding(given.key)
            if binding is not None:
                return family.misfit(binding, given.numbers)
        last = next(reversed(self.specialisations))
        return _difference(last, given.key)

    # --- looking inside -------------------------------------------------------------------------

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", self.__name__)
        programs = sum(map(len, self.specialisations.values()))
        if not self.traces:
            return f"<jit of {name}: not called yet>"
        times = f"traced {len(self.traces)} time{'s' * (len(self.traces) != 1)}"
        return f"<jit of {name}: {times}, {programs} program{'s' * (programs != 1)}; explain() shows them>"

    def graph(self, *args: Any, **kwargs: Any) -> DrawnGraph:
        """The graph of the last program, or of the one for some arguments."""
        from tessella.primitives.pictures import drawn

        return drawn(self._program_for(args, kwargs).program.graph)

    def source(self, kind: str = "graph", *args: Any, **kwargs: Any) -> str:
        """The program as text: "graph", "loops", "llvm" or "asm".

        Of the last program, or of the one for the arguments that follow.

        >>> import tessella as ts
        >>> f = ts.jit(lambda x: ts.relu(x) + 1.0)
        >>> print(f.source("loops", ts.ones(20)))
        kernel fused_relu_add(x0: float32, y0: float32, n0)
          for j in n0 [parallel, 16 lanes]
            y0[j] = relu(x0[j]) + 1.0
        """
        from tessella.compiler.texts import sources

        if not isinstance(kind, str) or kind not in ("graph", "loops", "llvm", "asm"):
            raise ArgumentError(
                f"source: {shown(kind)}; expected 'graph', 'loops', 'llvm' or 'asm'"
            )
        program = self._program_for(args, kwargs).program
        return str(program.graph) if kind == "graph" else sources(program, kind)

    if TYPE_CHECKING:  # it times the program, and is bound above (`tessella.debug.explaining`)

        def explain(self, *args: Any, html: Any = None, **kwargs: Any) -> Any: ...

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Drop the programs for some arguments, or all: the next call traces and compiles again."""
        if args or kwargs:
            for found in list(self.specialisations.get(self._flatten(args, kwargs).key, ())):
                self._drop(found)
            return
        self.specialisations.clear()
        self.plain.clear()
        self.families.clear()
        self.dimensions.forget()
        self.changing = Changing()
        self.quick = None

    # --- copies -----------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> Jitted[P, R]:
        """Another one without programs, of the copied function: a copied object's method is its own."""
        function = copy.deepcopy(self.function, memo)
        return Jitted(function, self.static_numbers, self.static_names, self.declared)

    def __reduce__(self) -> Any:
        home: Any = sys.modules.get(getattr(self.function, "__module__", None) or "")
        name = getattr(self.function, "__qualname__", "")
        if functools.reduce(lambda x, n: getattr(x, n, None), name.split("."), home) is self:
            return name  # a decorated function is found by its name
        return (Jitted, (self.function, self.static_numbers, self.static_names, self.declared))

    def _program_for(self, args: Any, kwargs: Any) -> Specialisation:
        if args or kwargs:
            given = self._flatten(args, kwargs)
            for found in self.specialisations.get(given.key, ()):
                if found.fits(False, given.numbers):
                    return found
            made = self._of_a_family(args, kwargs, given)
            return made or self._specialise(args, kwargs, given)
        if not self.specialisations:
            raise ArgumentTypeError(
                "jit: nothing has been compiled yet; call the function first, or give arguments here"
            )
        return next(reversed(self.specialisations.values()))[0]


def subject_of(jitted: Jitted[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Subject:
    """What there is to explain about the program for some arguments, or for those of the last call."""
    found = jitted._program_for(args, kwargs)
    arrays = jitted._flatten(args, kwargs).arrays if args or kwargs else None
    name = getattr(jitted.function, "__qualname__", repr(jitted.function))
    family = next((f for f in jitted.families if f.traced is found.traced), None)
    depends = found.traced.facts() + ([] if family is None else family.facts(found))
    guards = [guard.told for guard in found.guards]
    return Subject(name, jitted.traces, found.program, found.inputs(arrays), depends, guards)


def specialisation_for(
    jitted: Jitted[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
) -> Specialisation:
    """The program for some arguments, which is made if need be."""
    return jitted._program_for(tuple(args), dict(kwargs or {}))


class BoundJitted(Jitted[..., Any]):
    """A compiled method of one object, kept in the object: its programs go when the object goes."""

    __tessella_aside__ = True  # it is no part of the object's data

    def __init__(self, of: Jitted[..., Any], instance: Any) -> None:
        # the object itself is no argument here
        numbers = tuple(n - 1 if n > 0 else n for n in of.static_numbers if n != 0)
        super().__init__(
            types.MethodType(of.function, instance), numbers, of.static_names, of.declared
        )
        self.of, self.instance = of, instance

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundJitted:
        return BoundJitted(self.of, copy.deepcopy(self.instance, memo))

    def __reduce__(self) -> Any:
        return (getattr, (self.instance, self.__name__))


class Changing:
    """Numbers from outside that differ from call to call; after the second time they become inputs."""

    def __init__(self) -> None:
        self._times: dict[tuple[Any, ...], tuple[Source, int]] = {}
        self._given_up: set[tuple[Any, ...]] = set()

    def note(self, guards: Guards) -> None:
        """The guards of a program do not hold: remember which numbers have changed."""
        for guard in guards:
            source = guard.source
            if source is None or not source.can_lend() or guard.holds():
                continue
            if type(source.find()) in (int, float) and source.id not in self._given_up:
                _, times = self._times.get(source.id, (source, 0))
                self._times[source.id] = source, times + 1

    def lent(self) -> list[Source]:
        """The sources that are to be inputs."""
        return [
            source
            for source, times in self._times.values()
            if times >= _TIMES_UNTIL_INPUT and type(source.find()) in (int, float)
        ]

    def give_up(self) -> None:
        """Let what is an input now be a part of the program for good."""
        for source in self.lent():
            self._given_up.add(source.id)
            del self._times[source.id]


def _apart(found: Specialisation, args: Sequence[Any]) -> bool:
    """Whether no argument is a tensor that the function uses from outside and changes."""
    changes = found.traced.changes
    return not any(id(x) in changes for x in args)


class _Thread(NamedTuple):
    """What a thread does: whether gradients are recorded, where tensors are made, and to what `autocast` casts."""

    records: bool
    device: Device
    lower: DType | None


def _now() -> _Thread:
    return _Thread(autodiff.is_enabled(), current(), lower_dtype())


def _plainly() -> tuple[Any, ...]:
    """The same, where much of it is known without asking."""
    device = scope["alone"] or current()
    return autodiff.is_enabled(), device, lower_dtype() if scope["casts"] else None


def _kinds(args: Sequence[Any]) -> list[Any]:
    """What a program depends on in tensors without history and in floats; None for all else."""
    return [
        x._value.layout if type(x) is Tensor and x._node is None
        else _NUMBER if type(x) is float else None
        for x in args
    ]  # fmt: skip


def _leaves(tree: Any, parts: list[Any]) -> Iterable[Any]:
    """The leaves of a tree; its structure goes to `parts`."""
    with forking.making.section():  # no thread is cut off in C++
        leaves, structure = taken_apart(tree)
    parts.append(structure)
    return leaves


def _difference(old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    """What differs between two keys, in words."""
    if old[0] != new[0]:
        if old[0].device is not new[0].device:
            return f"tensors are made on {new[0].device.name!r} now"
        if old[0].lower is not new[0].lower:
            return (
                f"autocast casts to {new[0].lower.name} now"
                if new[0].lower
                else "nothing is cast by autocast now"
            )
        return f"gradients are {'recorded' if new[0].records else 'not recorded'} now"
    if old[1] != new[1]:
        return "the structure of the arguments differs"
    for number, (before, after) in enumerate(zip(old[2:], new[2:], strict=True)):
        if before == after:
            continue
        if not (isinstance(before, tuple) and isinstance(after, tuple)):
            now = after.value if isinstance(after, Static) else after
            shown = (
                repr(now)
                if isinstance(after, Static)
                else after
                if isinstance(after, str)
                else "a tensor"
            )
            return f"the static argument {number} is {shown} now"
        (a, _), (b, _) = before, after
        if a.device is not b.device:
            return f"argument {number} is on {b.device.name!r} now, it was on {a.device.name!r}"
        return (
            f"argument {number} is {b.dtype.name}{list(b.shape)} now, it was "
            f"{a.dtype.name}{list(a.shape)}"
        )
    return "an argument changed"

"""Dynamic shapes: a compiled function that is traced once for arguments of every size.

Which dimensions of the arguments may differ from call to call is declared (`ts.jit(f, dynamic={"x": {0:
"batch"}})`), or found out: a dimension that comes with a third size is dynamic from then on. The function is
traced with symbolic sizes (`tessella.sizes`) for them; for each size that is then met, the graph is lowered
with numbers in their places, to kernels that take sizes as arguments and are there already.

What the function asked about sizes is kept as guards. A call for which one does not hold is traced anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from tessella.devices.array import Layout
from tessella.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError, TessellaError
from tessella.primitives.graph import verify
from tessella.primitives.sized import graph_at
from tessella.sizes.polynomials import Binding
from tessella.sizes.scope import Scope
from tessella.sizes.size import AT_LEAST
from tessella.tracing.guards import Source
from tessella.transforms.specialisation import Specialisation
from tessella.transforms.traced_arguments import NUMBER_LAYOUT
from tessella.transforms.traced_function import TracedFunction

Key: TypeAlias = "tuple[Any, ...]"  # of a call: see `Jitted._flatten`
_FIRST = 2  # the place of the first leaf in a key
_SIZES_UNTIL_DYNAMIC = 3
_NAMES = ("n", "m", "k", "p", "q", "r")
MOST_PROGRAMS = 64  # of one traced function


class SizePlace(NamedTuple):
    """A dimension of an argument: the number of the leaf among all leaves, and the axis."""

    leaf: int
    axis: int


class Declared:
    """What `jit(dynamic=...)` says about arguments.

    Args:
        axes: for names of arguments, their dynamic axes and the names of these.
        everything: whether all dimensions are dynamic from the first call on.
        automatic: whether dimensions become dynamic when they come with a third size.
    """

    def __init__(
        self, axes: Mapping[str, Mapping[int, str | None]], everything: bool, automatic: bool
    ) -> None:
        self.axes, self.everything, self.automatic = axes, everything, automatic

    @classmethod
    def of(cls, dynamic: Any, function: Callable[..., Any]) -> Declared:
        """From the argument of `jit`.

        Raises:
            ArgumentTypeError: it is no mapping from names to axes.
            ArgumentError: the function has no argument of such a name.
        """
        if dynamic is None or isinstance(dynamic, bool):
            return cls({}, dynamic is True, dynamic is not False)
        if not isinstance(dynamic, Mapping):
            raise ArgumentTypeError(
                f"jit: dynamic is {dynamic!r}; expected names of arguments with their axes, such as "
                '{"x": {0: "batch"}}, or True, False or None'
            )
        known = _parameters(function)
        for name in dynamic:
            if known is not None and name not in known:
                raise ArgumentError(
                    f"jit: dynamic names the argument {name!r}; the function has {', '.join(known)}"
                )
        return cls({name: _axes(name, given) for name, given in dynamic.items()}, False, True)


def _axes(name: str, given: Any) -> dict[int, str | None]:
    """The axes of an argument, with their names."""
    if isinstance(given, int) and not isinstance(given, bool):
        given = (given,)
    found = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, None)
    for axis, label in found.items():
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise ArgumentTypeError(
                f"jit: dynamic[{name!r}] has the axis {axis!r}; expected integers"
            )
        if label is not None and not (isinstance(label, str) and label.isidentifier()):
            raise ArgumentTypeError(
                f"jit: dynamic[{name!r}][{axis}] is {label!r}; expected a name, such as 'batch'"
            )
    return found


def _parameters(function: Callable[..., Any]) -> list[str] | None:
    """The names of a function's parameters; None if it takes any, or nobody knows."""
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values()):
        return None
    return list(found)


def takes_any_names(function: Callable[..., Any]) -> bool:
    """Whether a function has `**kwargs`, in which it sees the order of its keyword arguments; or nobody knows."""
    try:
        found = inspect.signature(function, follow_wrapped=False).parameters
    except (TypeError, ValueError):
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())


class Dimensions:
    """Which dimensions of a function's arguments are dynamic: as declared, or as calls have shown."""

    def __init__(self, declared: Declared, function: Callable[..., Any]) -> None:
        self.declared, self.function = declared, function
        self.seen: dict[Key, list[Key]] = {}  # keys, by what they are without their sizes
        self.fixed: set[Key] = set()  # what cannot be traced with symbolic sizes

    def note(self, key: Key) -> None:
        """Remember a call that no program was there for."""
        self.seen.setdefault(_without_sizes(key), []).append(key)

    def of(self, key: Key, tree: Any) -> dict[SizePlace, str]:
        """The dynamic dimensions of a call, and the names of their symbols.

        Args:
            tree: the arguments, as the key was made from them.

        Raises:
            ShapeError: dimensions of one name have different sizes.
            AxisError: an argument has no such axis.
        """
        found = self._declared(key, tree)
        if self.declared.everything or (
            self.declared.automatic and _without_sizes(key) not in self.fixed
        ):
            found = {**self._shown(key, found), **found}
        # 0 and 1 have rules of their own
        return {} if any(_extent(key, place) < AT_LEAST for place in found) else found

    def give_up(self, key: Key, tree: Any) -> bool:
        """Let dimensions be dynamic no more that nobody has asked to be; gives whether there were only such.

        A function that takes sizes for Python's integers cannot be traced without them, and has done so far.
        """
        if self.declared.everything or self._declared(key, tree):
            return False
        self.fixed.add(_without_sizes(key))
        return True

    def forget(self) -> None:
        """Forget all calls."""
        self.seen.clear()
        self.fixed.clear()

    def _declared(self, key: Key, tree: Any) -> dict[SizePlace, str]:
        if not self.declared.axes:
            return {}
        found: dict[SizePlace, str] = {}
        sizes: dict[str, tuple[int, str]] = {}
        for leaf, name in enumerate(self.leaf_names(tree)):
            part = key[_FIRST + leaf]
            axes = self.declared.axes.get(name)
            if axes is None or type(part) is not tuple:
                continue
            for axis, label in axes.items():
                place = SizePlace(leaf, _normalised(axis, part[0], name))
                symbol = label or f"{name}_{place.axis}"
                size, text = _extent(key, place), f"{name} (axis {place.axis})"
                if sizes.setdefault(symbol, (size, text))[0] != size:
                    raise ShapeError(
                        f"jit: the dynamic dimension {symbol!r} is {sizes[symbol][0]} in "
                        f"{sizes[symbol][1]} and {size} in {text}; dimensions of one name must be equal"
                    )
                found[place] = symbol
        return found

    def leaf_names(self, tree: Any) -> Iterator[str]:
        """The name of the argument that each leaf is a part of."""
        import optree

        paths, _, _ = optree.tree_flatten_with_path(tree, none_is_leaf=True, namespace="tessella")
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        several = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
        plain = [p.name for p in parameters if p.kind not in _SEVERAL]
        for path in paths:
            group, which = path[0], path[1]
            if group == 1:
                yield str(which)
            else:
                yield plain[which] if which < len(plain) else several[0] if several else ""

    def _shown(self, key: Key, declared: Mapping[SizePlace, str]) -> dict[SizePlace, str]:
        """Dimensions that have come with several sizes; those that were always equal share a symbol."""
        seen = [*self.seen.get(_without_sizes(key), ()), key]
        histories: dict[tuple[int, ...], str] = {}
        for place, label in declared.items():
            histories[tuple(_extent(one, place) for one in seen)] = label
        names = (name for name in _names() if name not in declared.values())
        found: dict[SizePlace, str] = {}
        for leaf, part in enumerate(key[_FIRST:]):
            for axis in range(part[0].ndim) if type(part) is tuple else ():
                place = SizePlace(leaf, axis)
                history = tuple(_extent(one, place) for one in seen)
                if self.declared.everything:
                    chosen = history[-1] >= AT_LEAST
                else:
                    chosen = len(set(history)) >= _SIZES_UNTIL_DYNAMIC
                if chosen and place not in declared:
                    if history not in histories:
                        histories[history] = next(names)
                    found[place] = histories[history]
        return found


_SEVERAL = (
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def _names() -> Iterator[str]:
    yield from _NAMES
    number = 0
    while True:
        yield f"n{number}"
        number += 1


def _normalised(axis: int, layout: Layout, name: str) -> int:
    if not -layout.ndim <= axis < layout.ndim:
        raise AxisError(
            f"jit: dynamic names axis {axis} of {name}, of which a tensor of shape {layout.shape} was "
            f"given; it has {layout.ndim} axes"
        )
    return axis % layout.ndim


def _extent(key: Key, place: SizePlace) -> int:
    found: int = key[_FIRST + place.leaf][0].shape[place.axis]
    return found


def _without_sizes(key: Key) -> Key:
    """What a call is apart from the sizes and strides of its tensors."""
    return tuple(
        (part[0].device, part[0].dtype, part[0].ndim, part[1]) if type(part) is tuple else part
        for part in key
    )


class Family:
    """A function that was traced with symbolic sizes, and the programs made of it so far.

    Args:
        key: of the call it is traced for.
        dimensions: the dynamic ones, and their names.
        names: of the argument that each leaf is a part of.
        lent: numbers from outside that are inputs.
    """

    def __init__(
        self, function: Any, tree: Any, key: Key, dimensions: Mapping[SizePlace, str],
        names: Sequence[str], lent: Sequence[Source] = (),
    ) -> None:  # fmt: skip
        self.key, self.dimensions, self.names = key, dict(dimensions), list(names)
        self.kind = _without_sizes(key)
        hints = {name: _extent(key, place) for place, name in dimensions.items()}
        self.scope = Scope(hints)
        symbols = {name: self.scope.symbol(name) for name in hints}
        self.traced = TracedFunction(function, tree, list(self._shapes(symbols)), self.scope, lent)
        self.programs: dict[Key, Specialisation] = {}

    def _shapes(self, symbols: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The shape of each input among the leaves."""
        for leaf, part in enumerate(self.key[_FIRST:]):
            if type(part) is tuple:
                names = [self.dimensions.get(SizePlace(leaf, axis)) for axis in range(part[0].ndim)]
                yield tuple(
                    n if name is None else symbols[name]
                    for n, name in zip(part[0].shape, names, strict=True)
                )
            elif isinstance(part, str):  # a float
                yield ()

    def binding(self, key: Key) -> dict[str, int] | None:
        """The sizes of a call's symbols; None if it has other arguments."""
        if len(key) != len(self.key) or _without_sizes(key) != self.kind:
            return None
        found: dict[str, int] = {}
        for leaf, part in enumerate(key[_FIRST:]):
            if type(part) is not tuple:
                continue
            expected = self.key[_FIRST + leaf][0].shape
            for axis, size in enumerate(part[0].shape):
                name = self.dimensions.get(SizePlace(leaf, axis))
                if size != (expected[axis] if name is None else found.setdefault(name, size)):
                    return None
        return found

    def misfit(self, binding: Binding, numbers: Sequence[float]) -> str:
        """Why the function must be traced again for some sizes, in words; empty if it need not be."""
        for guard in self.scope.guards:
            if not guard.holds(binding):
                now = ", ".join(f"{name} = {size}" for name, size in binding.items())
                return f"{now} now; it was traced for {guard}, which {guard.cause} asks for"
        why = self.traced.misfit() or self.traced.changed_number(numbers)
        assumed = all(size >= AT_LEAST for size in binding.values())
        if why or (assumed and all(x.holds(binding) for x in self.scope.assumptions)):
            return why
        try:
            verify(graph_at(self.traced.graph, binding))
        except TessellaError as error:
            return f"a size is 0 or 1, which have rules of their own: {error}"
        return ""

    def facts(self, program: Specialisation) -> list[tuple[str, str]]:
        """What there is to say about sizes, with titles, for readers."""
        places: dict[str, list[str]] = {}
        for place, name in self.dimensions.items():
            places.setdefault(name, []).append(f"{self.names[place.leaf]}, axis {place.axis}")
        sizes = [
            f"{name} ({'; '.join(places[name])}) is {size} here"
            for name, size in (program.binding or {}).items()
        ]
        guards = [f"{guard}, asked at {guard.cause}" for guard in self.scope.guards]
        return [
            ("dynamic sizes", "; ".join(sizes)),
            ("programs for sizes met so far", str(len(self.programs))),
            ("guards", "; ".join(guards) or "none: it serves every size"),
        ]

    def program(self, key: Key, binding: Binding) -> Specialisation:
        """The program for a call that fits."""
        layouts = [
            part[0] if type(part) is tuple else NUMBER_LAYOUT
            for part in key[_FIRST:]
            if type(part) is tuple or isinstance(part, str)
        ]
        made = Specialisation(self.traced, layouts, binding)
        self.programs[key] = made
        return made

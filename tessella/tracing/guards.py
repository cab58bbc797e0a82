"""What must be as it was when a function was traced, for its program to be what the function would do now.

A guard is one expression on one object: `owner.name is value`. All guards of a program are written as one Python
function, so that looking at thirty of them takes less than a microsecond. Those of modules and optimisers,
which count their changes (`tessella.tracing.changes`), are asked again only when the count has moved.
"""

from __future__ import annotations

import dataclasses
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tessella.arguments.kinds import an
from tessella.tracing import changes
from tessella.tracing.attributes import attribute, of_class
from tessella.tracing.changes import is_watched
from tessella.tracing.code import plain_setter, setter_of_user
from tessella.tracing.objects import base_of, is_of_a_users_class, items_of, keeps_items

_ABSENT = object()


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Source:
    """Where a value is read from: an attribute, an item of a container, or a variable of a function around.

    Args:
        kind: "attribute", "item" or "variable".
        owner: the object, the container, or the cell.
        key: the name or the key.
        text: how the function wrote it.
    """

    kind: str
    owner: Any
    key: Any
    text: str

    @property
    def id(self) -> tuple[Any, ...]:
        """Equal for sources that are the same; only as long as the owner lives."""
        return (self.kind, id(self.owner), self.key)

    def get(self) -> Any:
        """The value now.

        Raises:
            LookupError: there is none.
        """
        try:
            if self.kind == "attribute":
                return getattr(self.owner, self.key)
            return self.owner.cell_contents if self.kind == "variable" else self.owner[self.key]
        except (AttributeError, ValueError, TypeError) as error:
            raise LookupError(f"{self.text} is not there") from error

    def find(self, default: Any = None) -> Any:
        """The value now, or a default."""
        try:
            return self.get()
        except LookupError:
            return default

    def put(self, value: Any) -> None:
        """Let it hold a value, as an assignment would."""
        if self.kind == "attribute":
            kind = type(self.owner)
            if isinstance(kind.__setattr__, types.FunctionType) and setter_of_user(kind):
                plain_setter(kind)(
                    self.owner, self.key, value
                )  # what the user's did is in the value
            else:
                setattr(self.owner, self.key, value)
        elif self.kind == "variable":
            self.owner.cell_contents = value
        elif is_of_a_users_class(self.owner):  # what its `__setitem__` did is in the value
            base_of(self.owner).__setitem__(self.owner, self.key, value)
        else:
            self.owner[self.key] = value

    def lend(self, value: Any) -> None:
        """Let it hold a value for a while, without telling anybody."""
        if self.kind == "variable":
            self.owner.cell_contents = value
        elif self.kind == "item" and isinstance(self.owner, dict):
            dict.__setitem__(self.owner, self.key, value)
        elif self.kind == "item":
            list.__setitem__(self.owner, self.key, value)
        elif self.key in getattr(self.owner, "__dict__", ()) and not isinstance(self.owner, type):
            self.owner.__dict__[self.key] = value
        elif isinstance(self.owner, type):
            type.__setattr__(self.owner, self.key, value)
        else:
            object.__setattr__(self.owner, self.key, value)

    def remove(self) -> None:
        """Let it hold nothing, as `del` would."""
        if self.kind == "attribute":
            delattr(self.owner, self.key)
        elif self.kind == "variable":
            del self.owner.cell_contents
        else:
            del self.owner[self.key]

    def can_lend(self) -> bool:
        """Whether it can hold something else for a while: tuples cannot, nor can what is computed."""
        if self.kind != "attribute":
            return (
                self.kind == "variable"
                or (isinstance(self.owner, (list, dict)) and keeps_items(type(self.owner)))
                or is_watched(self.owner)
            )
        return attribute(self.owner, self.key).kind == "own"

    def expression(self, bind: Callable[[Any], str]) -> str:
        """Python that gives the value."""
        owner = bind(self.owner)
        if self.kind == "variable":
            return f"{owner}.cell_contents"
        if self.kind == "item":
            return f"{owner}[{bind(self.key)}]"
        if self.key.isidentifier():
            return f"{owner}.{self.key}"
        return f"getattr({owner}, {self.key!r})"


def same(now: Any, then: Any) -> bool:
    """Whether a value is what it was: numbers, strings and tuples of them by value, all else by identity."""
    if now is then:
        return True
    kind = type(then)
    if type(now) is not kind:
        return False
    if kind in (int, str, bytes, range):
        return bool(now == then)
    if kind in (float, complex):
        return repr(now) == repr(then)  # -0.0 is not 0.0, NaN is NaN
    if kind is tuple:
        return len(now) == len(then) and all(map(same, now, then))
    if kind is types.MethodType:
        return now.__self__ is then.__self__ and now.__func__ is then.__func__
    if isinstance(then, np.generic):
        return now.dtype == then.dtype and now.tobytes() == then.tobytes()
    return False


def same_items(now: Sequence[Any], then: Sequence[Any]) -> bool:
    """Whether the items of a list or a tuple are what they were."""
    if len(now) != len(then):
        return False
    return all(map(operator.is_, now, then)) or all(map(same, now, then))


def same_contents(now: Any, then: Sequence[Any]) -> bool:
    """Whether a container of a user's class holds what it held, whatever its methods say."""
    found = items_of(now)
    if isinstance(now, (set, frozenset)):
        return len(found) == len(then) and all(x in then for x in found)
    return same_items(found, then)


def same_table(now: dict[Any, Any], then: list[tuple[Any, Any]]) -> bool:
    """Whether a dict has the items it had, in their order."""
    if len(now) != len(then):
        return False
    return all(
        same(key, before) and same(value, was)
        for (key, value), (before, was) in zip(now.items(), then, strict=True)
    )


class Guard(NamedTuple):
    """One thing that must be as it was.

    Args:
        id: equal for guards of the same thing.
        watched: whether its owner counts its changes.
        expression: Python that is true while the guard holds, given a function that names objects.
        told: what it says, and what is so instead, for people.
    """

    id: tuple[Any, ...]
    watched: bool
    expression: Callable[[Callable[[Any], str]], str]
    told: str
    now: Callable[[], str]
    source: Source | None = None  # whose value it is about

    def holds(self) -> bool:
        """Whether it is as it was."""
        return bool(_function([self])())


def value_guard(source: Source, value: Any) -> Guard:
    """A source holds a value."""

    def expression(bind: Callable[[Any], str]) -> str:
        found, then = source.expression(bind), bind(value)
        if type(value) in (float, complex, int, str, bytes, tuple, range, types.MethodType) or (
            isinstance(value, np.generic)
        ):
            return f"((found := {found}) is {then} or same(found, {then}))"
        return f"{found} is {then}"

    return Guard(
        ("value", *source.id), is_watched(source.owner), expression,
        f"{source.text} is {shown(value)}",
        lambda: f"{source.text} is {shown(source.find(_ABSENT))} now, it was {shown(value)}",
        source,
    )  # fmt: skip


def truth_guard(source: Source, value: bool) -> Guard:
    """A source holds something that is true, or something that is not: a number that is 0, None, False."""
    return Guard(
        ("truth", *source.id), is_watched(source.owner),
        lambda bind: f"bool({source.expression(bind)}) is {value}",
        f"{source.text} is {'not ' if value else ''}0, False or None",
        lambda: f"{source.text} is {shown(source.find(_ABSENT))} now",
    )  # fmt: skip


def kind_guard(source: Source, kind: type) -> Guard:
    """A source holds a number of some type, whichever."""
    limit = " and -9223372036854775808 <= found < 9223372036854775808" if kind is int else ""
    return Guard(
        ("value", *source.id), is_watched(source.owner),
        lambda bind: f"(type(found := {source.expression(bind)}) is {bind(kind)}{limit})",
        f"{source.text} is any {kind.__name__}",
        lambda: f"{source.text} is {shown(source.find(_ABSENT))} now, it was {an(kind.__name__)}",
    )  # fmt: skip


def layout_guard(source: Source, tensor_type: type, layout: Any) -> Guard:
    """A source holds a tensor of some layout, without history, whichever."""
    return Guard(
        ("value", *source.id), is_watched(source.owner),
        lambda bind: (
            f"(type(found := {source.expression(bind)}) is {bind(tensor_type)} and found._value.layout is "
            f"{bind(layout)} and found._node is None)"
        ),
        f"{source.text} is any {layout.dtype.name}{list(layout.shape)}",
        lambda: f"{source.text} is {shown(source.find(_ABSENT))} now, another kind of tensor",
    )  # fmt: skip


def absence_guard(source: Source) -> Guard:
    """A source holds nothing."""

    def expression(bind: Callable[[Any], str]) -> str:
        owner, key = bind(source.owner), bind(source.key)
        if source.kind == "item":
            return f"{key} not in {owner}"
        return f"not hasattr({owner}, {key})"

    return Guard(
        ("absent", *source.id), is_watched(source.owner), expression,
        f"{source.text} is not there",
        lambda: f"{source.text} is there now",
    )  # fmt: skip


def presence_guard(owner: Any, key: Any, text: str) -> Guard:
    """A dict or a set has a key, or has none."""
    there = key in owner
    return Guard(
        ("presence", id(owner), key), is_watched(owner),
        lambda bind: f"({bind(key)} in {bind(owner)}) is {there}",
        f"{shown(key)} is {'' if there else 'not '}in {text}",
        lambda: f"{shown(key)} is {'not ' if there else ''}in {text} now",
    )  # fmt: skip


def shadow_guard(owner: Any, name: str, text: str) -> Guard:
    """An object has no attribute of its own that would stand before one of its class."""
    return Guard(
        ("shadow", id(owner), name), is_watched(owner),
        lambda bind: f"{name!r} not in {bind(owner)}.__dict__",
        f"{text} is its class's",
        lambda: f"{text} is the object's own now",
    )  # fmt: skip


def class_guard(owner: Any) -> Guard:
    """An object is of the class it was of."""
    kind = type(owner)
    return Guard(
        ("class", id(owner)), is_watched(owner),
        lambda bind: f"type({bind(owner)}) is {bind(kind)}",
        f"{an(kind.__name__)} is of its class",
        lambda: f"{an(kind.__name__)} is {an(type(owner).__name__)} now",
    )  # fmt: skip


def defined_guard(owner: Any, name: str, text: str) -> Guard:
    """The class of an object defines an attribute (by a property, or another descriptor) as it did."""
    then = of_class(owner, name)
    return Guard(
        ("defined", id(owner), name), is_watched(owner),
        lambda bind: f"of_class({bind(owner)}, {name!r}) is {bind(then)}",
        f"{text} is what its class defined",
        lambda: f"{text} is defined otherwise now",
    )  # fmt: skip


def whole_guard(owner: Any, text: str, items: Any = None) -> Guard:
    """A list, dict, set or deque holds the items it held; those of a dict are pairs."""
    items = items_of(owner) if items is None else list(items)
    if is_of_a_users_class(owner):
        ask = "same_contents"
    elif isinstance(owner, dict):
        ask = "same_table"
    elif isinstance(owner, (set, frozenset)):
        items, ask = set(items), "equal"
    else:
        ask = "same_items"
    return Guard(
        ("whole", id(owner)), is_watched(owner),
        lambda bind: f"{ask}({bind(owner)}, {bind(items)})",
        f"{text} has the same {len(items)} items",
        lambda: f"{text} has other items now",
    )  # fmt: skip


def fields_guard(owner: Any, text: str) -> Guard:
    """A plain object has the attributes it had."""
    items = list(vars(owner).items())
    return Guard(
        ("fields", id(owner)), is_watched(owner),
        lambda bind: f"same_table({bind(owner)}.__dict__, {bind(items)})",
        f"{text} has the same attributes",
        lambda: f"{text} has other attributes now",
    )  # fmt: skip


def names_guard(owner: Any, table: str, text: str) -> Guard:
    """A table of a module has the names it had, in their order."""
    names = tuple(getattr(owner, table))
    return Guard(
        ("names", id(owner), table), is_watched(owner),
        lambda bind: f"tuple({bind(owner)}.{table}) == {bind(names)}",
        f"{text} has the same {table.strip('_')}",
        lambda: f"{text} has other {table.strip('_')} now",
    )  # fmt: skip


def elements_guard(array: np.ndarray[Any, Any], text: str) -> Guard:
    """A NumPy array holds the numbers it held."""
    then = array.copy()

    def unchanged(now: np.ndarray[Any, Any]) -> bool:
        return now.shape == then.shape and now.dtype == then.dtype and now.tobytes() == data

    data = then.tobytes()
    return Guard(
        ("elements", id(array)), False,
        lambda bind: f"{bind(unchanged)}({bind(array)})",
        f"{text} has the same elements",
        lambda: f"the elements of the NumPy array {text} have changed",
    )  # fmt: skip


def content_guard(owner: Any, read: Callable[[Any], Any], text: str) -> Guard:
    """What can be read of an object is what it was."""
    then = read(owner)
    return Guard(
        ("content", id(owner)), False,
        lambda bind: f"{bind(same)}({bind(read)}({bind(owner)}), {bind(then)})",
        f"{text} holds what it held",
        lambda: f"what {text} holds has changed",
    )  # fmt: skip


def shape_guard(array: np.ndarray[Any, Any]) -> Guard:
    """A NumPy array has the shape and dtype it had, whatever its elements."""
    then = array.shape, array.dtype

    def unchanged(now: np.ndarray[Any, Any]) -> bool:
        return (now.shape, now.dtype) == then

    return Guard(
        ("shape", id(array)), False,
        lambda bind: f"{bind(unchanged)}({bind(array)})",
        f"a NumPy array from outside is any {array.dtype}{list(array.shape)}",
        lambda: f"a NumPy array from outside is {array.dtype}{list(array.shape)} now",
    )  # fmt: skip


def data_guard(tensor: Any) -> Guard:
    """A tensor holds the very data it held: its elements were looked at."""
    then = tensor._value
    return Guard(
        ("data", id(tensor)), False,
        lambda bind: f"{bind(tensor)}._value is {bind(then)}",
        f"the elements of a tensor of shape {then.shape} are the same",
        lambda: "a tensor from outside, whose elements the function looked at, has other data now",
    )  # fmt: skip


def shown(value: Any) -> str:
    """A value in a message."""
    if value is _ABSENT:
        return "not there"
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    if isinstance(value, types.CodeType):
        return "what it was"
    if isinstance(value, (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
        return value.__qualname__
    return an(type(value).__name__)


def _function(guards: Sequence[Guard], seen: list[int] | None = None) -> Callable[[], bool]:
    """One function for some guards.

    Args:
        seen: a count of changes, which must be that of now, too.
    """
    names: dict[int, str] = {}
    values: list[Any] = []

    def bind(value: Any) -> str:
        if id(value) not in names:
            names[id(value)] = f"v{len(values)}"
            values.append(value)
        return names[id(value)]

    # a line for each, as an expression of thousands of parts is deep
    lines = [f"        if not {guard.expression(bind)}: return False" for guard in guards]
    end = "True" if seen is None else f"{bind(changes.count)}[0] == {bind(seen)}[0]"
    parameters = ", ".join(f"{name}={name}" for name in names.values())
    source = "\n".join([
        f"def holds({parameters}):", "    try:", *(lines or ["        pass"]),
        "    except (AttributeError, LookupError, TypeError, ValueError):", "        return False",
        f"    return {end}",
    ])  # fmt: skip
    scope: dict[str, Any] = {
        "same": same, "same_items": same_items, "same_table": same_table, "equal": _equal,
        "same_contents": same_contents, "of_class": of_class,
    }  # fmt: skip
    scope |= dict(zip(names.values(), values, strict=True))
    exec(compile(source, "<guards>", "exec"), scope)
    made: Callable[[], bool] = scope["holds"]
    return made


def _equal(now: set[Any], then: set[Any]) -> bool:
    return len(now) == len(then) and all(x in now for x in then)


class Guards:
    """All guards of one program."""

    def __init__(self) -> None:
        self._guards: dict[tuple[Any, ...], Guard] = {}
        self._seen = [-1]  # the count of changes when the watched ones were asked last
        # of what nobody watches, and that the count has not moved: asked every time
        self._quick: Callable[[], bool] | None = None
        self._functions: tuple[Callable[[], bool], Callable[[], bool]] | None = None

    def add(self, guard: Guard) -> None:
        """One more; the first about a thing counts."""
        if guard.id not in self._guards:
            self.replace(guard)

    def replace(self, guard: Guard) -> None:
        """Let a guard stand in place of the one about the same thing."""
        self._guards[guard.id] = guard
        self._quick = self._functions = None

    def __iter__(self) -> Iterator[Guard]:
        return iter(self._guards.values())

    def __len__(self) -> int:
        return len(self._guards)

    def settle(self) -> None:
        """Everything is known to be as it should: nobody need look before something changes."""
        self._seen[0] = changes.count[0]

    def hold(self) -> bool:
        """Whether everything is as it was."""
        quick = self._quick
        return (quick is not None and quick()) or self._look()

    def _look(self) -> bool:
        """Ask those that nobody watches, and if the count has moved, the others, too."""
        if self._quick is None:
            self._quick = _function(self._of(watched=False), self._seen)
        if self._functions is None:
            self._functions = _function(self._of(watched=False)), _function(self._of(watched=True))
        near, far = self._functions
        now = changes.count[0]
        if not near() or (now != self._seen[0] and not far()):
            return False
        self._seen[0] = now
        return True

    def _of(self, watched: bool) -> list[Guard]:
        return [guard for guard in self._guards.values() if guard.watched is watched]

    def broken(self) -> Guard | None:
        """The first guard that does not hold."""
        return next((guard for guard in self._guards.values() if not guard.holds()), None)

"""What a traced function writes around itself: it is taken back when the trace ends, and done again by every call.

Tensors do not belong to it: what they stand for, a trace keeps to itself. But what Python objects hold, Python code reads by
itself, so what is written there is there until the trace ends. From its first write on a trace is the only one that writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tessella import forking
from tessella.arguments.kinds import an
from tessella.blocks import Restoring, undoing
from tessella.errors import SideEffectError
from tessella.primitives.graph import Where
from tessella.tracing.changes import is_watched
from tessella.tracing.guards import Source, shown
from tessella.tracing.objects import base_of, is_of_a_users_class, items_of

ABSENT = object()  # what a place holds that holds nothing
_writing = forking.lock()


class Write(NamedTuple):
    """Something from outside that the function gave another value.

    Args:
        before: what it held, or `ABSENT`.
        value: what it held at the end.
    """

    source: Source
    before: Any
    value: Any
    where: Where

    def do(self, value: Any) -> None:
        """Write what another call has made."""
        if self.source.kind == "append":
            _methods(self.source.owner).append(self.source.owner, value)
        elif self.source.kind == "add":
            _methods(self.source.owner).add(self.source.owner, value)
        else:
            self.source.put(value)


def _methods(owner: Any) -> Any:
    """The class whose methods change a container: what those of a user's class did is in the values."""
    return base_of(owner) if is_of_a_users_class(owner) else type(owner)


class Contents(NamedTuple):
    """A container that is changed, as it was before."""

    owner: Any
    items: Any
    text: str
    where: Where

    def held(self, key: Any, value: Any) -> bool:
        """Whether an item is still what it was before."""
        if isinstance(self.owner, dict):
            return dict(self.items).get(key, ABSENT) is value
        return -len(self.items) <= key < len(self.items) and self.items[key] is value


class Writes:
    """What has been written so far.

    Args:
        line: gives the line that is at work.
    """

    def __init__(self, line: Callable[[], Where]) -> None:
        self._line = line
        self._sources: dict[tuple[Any, ...], tuple[Source, Any, Where]] = {}
        self._contents: dict[int, Contents] = {}
        self._variables: dict[tuple[Any, ...], tuple[Source, Any]] = {}
        self._lines: dict[str, Where] = {}  # where variables got their values last
        self._refused: tuple[Where, str] | None = None
        self._alone = False

    def lasting(self) -> Restoring[None]:
        """From the first write in the block to its end no other trace writes."""
        return undoing(self._let_others)

    def alone(self) -> None:
        """Wait until no other trace has written what it will take back, and let none do so."""
        if not self._alone:
            self._alone = True
            _writing.acquire()

    def _let_others(self) -> None:
        if self._alone and _writing._is_owned():
            _writing.release()
        self._alone = False

    def has(self, source: Source) -> bool:
        """Whether a source has been given another value."""
        return source.id in self._sources

    def contents(self, owner: Any) -> Contents | None:
        """What a container held before it was changed; None if it was not."""
        return self._contents.get(id(owner))

    def variable(self, name: str) -> None:
        """A variable of a function around is about to get another value; what it held is known."""
        watched = [known for known in self._variables.values() if known[0].text == name]
        if watched:
            self.alone()
            if name not in self._lines:  # meanwhile another trace may have written it
                self._variables |= {
                    source.id: (source, source.find(ABSENT)) for source, _ in watched
                }
        self._lines[name] = self._line()

    def watch(self, source: Source) -> bool:
        """Remember what a variable of a function around holds; whether that is new."""
        if source.id in self._variables:
            return False
        self._variables[source.id] = source, source.find(ABSENT)
        return True

    def write(self, source: Source, deletes: bool = False) -> None:
        """The function is about to give something from outside another value."""
        if deletes:
            self.refuse(
                f"{source.text} is deleted in a traced function, which a program does not repeat"
            )
        if source.id not in self._sources:
            self.alone()
            self._sources[source.id] = source, source.find(ABSENT), self._line()

    def change(self, owner: Any, text: str) -> None:
        """The function is about to change a container from outside."""
        if id(owner) not in self._contents:
            self.alone()
            self._contents[id(owner)] = Contents(owner, items_of(owner), text, self._line())

    def refuse(self, why: str) -> None:
        if self._refused is None:
            self._refused = self._line(), why

    def take_back(self) -> list[Write]:
        """What the function wrote; everything outside is as it was before."""
        found = self._attribute_writes() + self._variable_writes()
        for contents in self._contents.values():
            found += self._container_writes(contents)
        return found

    def check(self) -> None:
        """Complain about what a program does not repeat.

        Raises:
            SideEffectError: the function did such a thing.
        """
        if self._refused is not None:
            where, why = self._refused
            raise SideEffectError(f"{where}: {why}")

    def _attribute_writes(self) -> list[Write]:
        found = []
        for source, before, where in self._sources.values():
            value = source.find(ABSENT)
            _restore(source, before)
            if value is not before:
                found.append(Write(source, before, value, where))
        return found

    def _variable_writes(self) -> list[Write]:
        """Variables of functions around that hold something else than when they were first read."""
        found = []
        for source, before in self._variables.values():
            value = source.find(ABSENT) if source.text in self._lines else before
            if value is not before:
                _restore(source, before)
                found.append(Write(source, before, value, self._lines[source.text]))
        return found

    def _container_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, contents.items
        if isinstance(owner, dict):
            return self._dict_writes(contents)
        if isinstance(owner, set):
            return self._set_writes(contents)
        now, base = items_of(owner), base_of(owner)
        base.clear(owner)
        base.extend(owner, before)
        if len(now) < len(before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
            return []
        found = [
            Write(Source("item", owner, i, f"{contents.text}[{i}]"), was, item, contents.where)
            for i, (was, item) in enumerate(zip(before, now, strict=False))
            if was is not item
        ]
        return found + [
            Write(Source("append", owner, None, contents.text), ABSENT, item, contents.where)
            for item in now[len(before) :]
        ]

    def _dict_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, dict(contents.items)
        now, base = dict(items_of(owner)), base_of(owner)
        base.clear(owner)
        base.update(owner, before)
        if any(key not in now for key in before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
            return []
        if any(a is not b for a, b in zip(now, before, strict=False)):
            self._refused = (
                contents.where,
                _cannot(contents, "the items are put into another order in"),
            )
            return []
        return [
            Write(
                Source("item", owner, key, f"{contents.text}[{shown(key)}]"),
                before.get(key, ABSENT), value, contents.where,
            )
            for key, value in now.items()
            if value is not before.get(key, ABSENT)
        ]  # fmt: skip

    def _set_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, contents.items
        added = [x for x in owner if x not in before]
        if len(owner) - len(added) != len(before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
        owner.clear()
        owner.update(before)
        return [
            Write(Source("add", owner, None, contents.text), ABSENT, item, contents.where)
            for item in added
        ]


def _restore(source: Source, before: Any) -> None:
    """Let a source hold what it held."""
    if before is not ABSENT:
        if source.find(ABSENT) is not before:
            source.put(before) if is_watched(source.owner) else source.lend(before)
    elif source.find(ABSENT) is not ABSENT:
        source.remove()


def _cannot(contents: Contents, what: str) -> str:
    return (
        f"{what} {contents.text}, {an(type(contents.owner).__name__)} from outside, in a traced function, which a "
        "program does not repeat; return what is new, or do it outside the compiled function"
    )

"""What a traced function does to the containers among its arguments: lists, dicts and dataclasses.

The traced function gets copies of them, with stand-ins for tensors. If it changes one (`batch.pop("labels")`,
`state["h"] = h`), every call does the same to what its caller gave.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_MUTABLE = (list, dict, collections.deque)


class Step(NamedTuple):
    """One step into a container.

    Args:
        key: an index, a key, or the name of a field.
        is_field: whether it is a field of a dataclass.
    """

    key: Any
    is_field: bool

    def of(self, owner: Any) -> Any:
        return getattr(owner, self.key) if self.is_field else owner[self.key]


class Kept:
    """Stands for a part of the arguments that is the caller's own."""

    __slots__ = ("path",)

    def __init__(self, path: tuple[Step, ...]) -> None:
        self.path = path

    def of(self, arguments: Any) -> Any:
        """That part of some arguments."""
        for step in self.path:
            arguments = step.of(arguments)
        return arguments


class Changed(NamedTuple):
    """A container among the arguments that the function changed.

    Args:
        place: where it is.
        keys: those of a dict, or the names of fields; None for a list.
        items: what it holds now; `Kept` for what the caller gave.
    """

    place: Kept
    keys: list[Any] | None
    items: list[Any]


def _children(owner: Any) -> Iterator[tuple[Step, Any]]:
    """What a container holds, and how to get there."""
    if isinstance(owner, dict):
        for key, value in owner.items():
            yield Step(key, False), value
    elif isinstance(owner, (list, tuple, collections.deque)):
        for index, value in enumerate(owner):
            yield Step(index, False), value
    elif dataclasses.is_dataclass(owner) and not isinstance(owner, type):
        for field in dataclasses.fields(owner):
            if hasattr(owner, field.name):
                yield Step(field.name, True), getattr(owner, field.name)


class Containers:
    """The containers in the arguments that a function is traced with, as they were before."""

    def __init__(self, arguments: Any) -> None:
        self._places: dict[int, Kept] = {}
        self._before: list[tuple[Any, Kept, list[Any], list[Any]]] = []
        self._walk(arguments, ())

    def _walk(self, owner: Any, path: tuple[Step, ...]) -> None:
        if id(owner) in self._places:  # it is there twice, or holds itself
            return
        self._places[id(owner)] = Kept(path)
        children = list(_children(owner))
        top = len(path) < 2 and isinstance(owner, (tuple, dict))  # `args` and `kwargs` are nobody's
        mutable = isinstance(owner, _MUTABLE) or dataclasses.is_dataclass(owner)
        if mutable and not top:
            steps, held = [step for step, _ in children], [value for _, value in children]
            self._before.append((owner, Kept(path), steps, held))
        for step, child in children:
            self._walk(child, (*path, step))

    def changed(self) -> list[Changed]:
        """What was changed since, with `Kept` for what is the caller's own."""
        found = []
        for owner, place, steps, held in self._before:
            now = list(_children(owner))
            same = len(now) == len(held) and all(
                step == before and value is was
                for (step, value), before, was in zip(now, steps, held, strict=True)
            )
            if not same:
                by_key = not isinstance(owner, (list, collections.deque))
                keys = [step.key for step, _ in now] if by_key else None
                found.append(Changed(place, keys, [self._own(value) for _, value in now]))
        return found

    def _own(self, value: Any) -> Any:
        kept = self._places.get(id(value))
        immutable = isinstance(value, (str, int, float, bool, type(None)))
        return value if kept is None or immutable else kept


def change(changed: Sequence[Changed], items: Sequence[Sequence[Any]], arguments: Any) -> None:
    """Do to a caller's arguments what the function did to those it was traced with."""
    done = []
    for one, values in zip(changed, items, strict=True):
        own = [x.of(arguments) if isinstance(x, Kept) else x for x in values]
        done.append((one.place.of(arguments), one.keys, own))
    for owner, keys, values in done:
        if keys is None:
            owner.clear()
            owner.extend(values)
        elif isinstance(owner, dict):
            owner.clear()
            owner.update(zip(keys, values, strict=True))
        else:
            for key, value in zip(keys, values, strict=True):
                setattr(owner, key, value)

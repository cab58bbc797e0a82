"""The count of changes to modules and optimisers: while it stands still, nobody need look at any of them.

A compiled function depends on what its modules and optimisers hold: parameters, submodules, options, state.
Looking at all of it before every call would take longer than a small step. So everything of ours that a
program may depend on raises one counter when it changes, and programs look again only if it has moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex

count = [0]  # of all changes in this process; a list, so that generated code can read it


def note() -> None:
    """Something that programs may depend on has changed."""
    count[0] += 1


class WatchedDict(dict[Any, Any]):
    """A dict whose changes are counted.

    >>> table, before = WatchedDict(a=1), count[0]
    >>> table["b"] = 2
    >>> count[0] > before
    True
    """

    __slots__ = ()
    __tessella_watched__ = True

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        note()

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        note()

    def __ior__(self, other: Any) -> WatchedDict:  # type: ignore[misc]
        self.update(other)
        return self

    def clear(self) -> None:
        super().clear()
        note()

    def pop(self, *key_and_default: Any) -> Any:
        found = super().pop(*key_and_default)
        note()
        return found

    def popitem(self) -> tuple[Any, Any]:
        found = super().popitem()
        note()
        return found

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **items: Any) -> None:
        super().update(*others, **items)
        note()

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self),))


class WatchedList(list[Any]):
    """A list whose changes are counted.

    >>> items, before = WatchedList([1]), count[0]
    >>> items.append(2)
    >>> count[0] > before
    True
    """

    __slots__ = ()
    __tessella_watched__ = True

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        note()

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        super().__delitem__(index)
        note()

    def __iadd__(self, others: Iterable[Any]) -> WatchedList:  # type: ignore[misc]
        self.extend(others)
        return self

    def __imul__(self, times: SupportsIndex) -> WatchedList:
        super().__imul__(times)
        note()
        return self

    def append(self, item: Any) -> None:
        super().append(item)
        note()

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(items)
        note()

    def insert(self, index: SupportsIndex, item: Any) -> None:
        super().insert(index, item)
        note()

    def pop(self, index: SupportsIndex = -1) -> Any:
        found = super().pop(index)
        note()
        return found

    def remove(self, item: Any) -> None:
        super().remove(item)
        note()

    def clear(self) -> None:
        super().clear()
        note()

    def reverse(self) -> None:
        super().reverse()
        note()

    def sort(self, **options: Any) -> None:
        super().sort(**options)
        note()


def is_watched(owner: Any) -> bool:
    """Whether every change of an object is counted."""
    return any("__tessella_watched__" in kind.__dict__ for kind in type(owner).__mro__)

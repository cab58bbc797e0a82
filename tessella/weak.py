"""A dictionary whose values go when nobody else needs them.

`weakref.WeakValueDictionary` removes an entry in a callback written in Python, and it may run anywhere:
a KeyboardInterrupt that arrives in it is printed and lost. Here the callback is `deque.append`. The dead
entries that it collects are removed when the next entry is made.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from tessella import forking

Kept = TypeVar("Kept")


class _Reference(weakref.ref[Any]):
    """A weak reference that knows the key it stands at."""

    __slots__ = ("key",)

    key: Hashable


class WeakValues(Generic[Kept]):
    """Values by key, none of them kept alive.

    >>> class Thing: pass
    >>> table, thing = WeakValues(), Thing()
    >>> table.setdefault("a", thing) is table.get("a") is thing
    True
    >>> del thing
    >>> print(table.get("a"))
    None
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Reference] = {}
        self._dead: deque[_Reference] = deque()
        self._lock = forking.lock()  # what dies meanwhile may come back here

    def get(self, key: Hashable) -> Kept | None:
        """The value at a key, if it is still alive."""
        found = self._entries.get(key)
        return None if found is None else found()

    def setdefault(self, key: Hashable, value: Kept) -> Kept:
        """The value at a key, which is `value` if there was none."""
        with self._lock:
            self._remove_dead()
            known = self.get(key)
            if known is not None:
                return known
            made = _Reference(value, self._dead.append)
            made.key = key
            self._entries[key] = made
            return value

    def _remove_dead(self) -> None:
        while self._dead:
            dead = self._dead.popleft()
            if self._entries.get(dead.key) is dead:
                del self._entries[dead.key]

    def __len__(self) -> int:
        with self._lock:
            self._remove_dead()
            return len(self._entries)

"""The count of changes to modules and optimisers: while it stands still, nobody need look at any of them.

A compiled function depends on what its modules and optimisers hold: parameters, submodules, options, state.
Looking at all of it before every call would take longer than a small step. So everything of ours that a
program may depend on raises one counter when it changes, and programs look again only if it has moved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

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


def _counted(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that changes its object, and counts that."""

    @functools.wraps(method)
    def changing(*arguments: Any, **named: Any) -> Any:
        found = method(*arguments, **named)
        count[0] += 1
        return found

    return changing


_DICTS = "__setitem__ __delitem__ __ior__ clear pop popitem update"
_LISTS = (
    "__setitem__ __delitem__ __iadd__ __imul__ append extend insert pop remove clear reverse sort"
)
for _kind, _names in ((WatchedDict, _DICTS), (WatchedList, _LISTS)):
    for _name in _names.split():
        setattr(_kind, _name, _counted(getattr(_kind.__base__, _name)))


def is_watched(owner: Any) -> bool:
    """Whether every change of an object is counted."""
    return any("__tessella_watched__" in kind.__dict__ for kind in type(owner).__mro__)

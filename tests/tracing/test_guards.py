"""Guards: what is the same, and that looking costs nothing while nothing changes."""

import math
import types

import numpy as np
import pytest

from tessella.tracing import changes
from tessella.tracing.changes import WatchedDict, WatchedList
from tessella.tracing.guards import (
    Guards,
    Source,
    absence_guard,
    kind_guard,
    presence_guard,
    same,
    value_guard,
    whole_guard,
)  # fmt: skip


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (1, 1, True), (1, 1.0, False), (1, True, False), (0.0, -0.0, False), (math.nan, math.nan, True),
        (float("nan"), float("nan"), True), ("a", "a", True), (None, None, True), (None, 0, False),
        ((1, 2.0), (1, 2.0), True), ((1, 2.0), (1, 2), False), ([1], [1], False), (10**30, 10**30, True),
        (np.float32(1), np.float32(1), True), (np.float32(1), np.float64(1), False), (1j, 1j, True),
        (range(3), range(3), True), ((1, (2, "x")), (1, (2, "x")), True),
    ],
)  # fmt: skip
def test_same(now, then, expected):
    assert same(now, then) is expected


def test_guards_hold_until_something_changes():
    owner, table, items = types.SimpleNamespace(k=2.0), {"a": 1}, [1, 2]
    guards = Guards()
    guards.add(value_guard(Source("attribute", owner, "k", "owner.k"), 2.0))
    guards.add(value_guard(Source("item", table, "a", "table['a']"), 1))
    guards.add(whole_guard(items, "items"))
    guards.add(absence_guard(Source("item", table, "z", "table['z']")))
    guards.add(presence_guard(table, "a", "table"))
    guards.settle()
    assert guards.hold()
    assert guards.broken() is None
    for change, back, told in [
        (
            lambda: setattr(owner, "k", 3.0),
            lambda: setattr(owner, "k", 2.0),
            "owner.k is 3.0 now, it was 2.0",
        ),
        (
            lambda: delattr(owner, "k"),
            lambda: setattr(owner, "k", 2.0),
            "owner.k is not there now, it was 2.0",
        ),
        (lambda: items.append(3), lambda: items.pop(), "items has other items now"),
        (lambda: table.update(z=1), lambda: table.pop("z"), "table['z'] is there now"),
    ]:
        change()
        assert not guards.hold()
        assert guards.broken().now() == told
        back()
        assert guards.hold()


def test_numbers_of_a_kind():
    owner = types.SimpleNamespace(k=2)
    guards = Guards()
    guards.add(kind_guard(Source("attribute", owner, "k", "k"), int))
    assert guards.hold()
    owner.k = 7
    assert guards.hold()
    for other in (2.0, True, 2**63, "2"):
        owner.k = other
        assert not guards.hold()


def test_what_counts_its_changes_is_asked_when_the_count_moves():
    asked = []

    class Table(WatchedDict):
        def __getitem__(self, key):
            asked.append(key)
            return super().__getitem__(key)

    table = Table(a=1)
    guards = Guards()
    guards.add(value_guard(Source("item", table, "a", "a"), 1))
    guards.settle()
    assert guards.hold()
    assert asked == []
    table["b"] = 2
    assert guards.hold()
    assert guards.hold()
    assert asked == ["a"]
    table["a"] = 3
    assert not guards.hold()


@pytest.mark.parametrize(
    ("made", "change"),
    [
        (WatchedDict(a=1), lambda x: x.__setitem__("b", 2)), (WatchedDict(a=1), lambda x: x.pop("a")),
        (WatchedDict(a=1), lambda x: x.popitem()), (WatchedDict(a=1), lambda x: x.clear()),
        (WatchedDict(a=1), lambda x: x.update(b=1)), (WatchedDict(a=1), lambda x: x.setdefault("b", 1)),
        (WatchedDict(a=1), lambda x: x.__ior__({"b": 1})), (WatchedDict(a=1), lambda x: x.__delitem__("a")),
        (WatchedList([1]), lambda x: x.append(1)), (WatchedList([1]), lambda x: x.extend([1])),
        (WatchedList([1]), lambda x: x.insert(0, 1)), (WatchedList([1]), lambda x: x.pop()),
        (WatchedList([1]), lambda x: x.remove(1)), (WatchedList([1]), lambda x: x.clear()),
        (WatchedList([1]), lambda x: x.sort()), (WatchedList([1]), lambda x: x.reverse()),
        (WatchedList([1]), lambda x: x.__setitem__(0, 2)), (WatchedList([1]), lambda x: x.__delitem__(0)),
        (WatchedList([1]), lambda x: x.__iadd__([2])), (WatchedList([1]), lambda x: x.__imul__(2)),
    ],
)  # fmt: skip
def test_every_change_is_counted(made, change):
    before = changes.count[0]
    change(made)
    assert changes.count[0] > before


def test_every_method_that_changes_a_dict_or_a_list_is_there():
    for watched, plain in ((WatchedDict, dict), (WatchedList, list)):
        looking = {
            "__contains__", "__eq__", "__ge__", "__getattribute__", "__getitem__", "__gt__", "__iter__", "__le__",
            "__len__", "__lt__", "__ne__", "__new__", "__or__", "__ror__", "__repr__", "__reversed__", "__sizeof__",
            "copy", "fromkeys", "get", "items", "keys", "values", "__class_getitem__", "__hash__", "__add__",
            "__mul__", "__rmul__", "count", "index", "__doc__", "__init__",
        }  # fmt: skip
        assert set(vars(plain)) - looking <= set(vars(watched))

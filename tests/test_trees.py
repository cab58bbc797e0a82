"""Trees: what is one, how it is taken apart, and what users call."""

import collections
import dataclasses
import enum
import subprocess
import sys
import threading
import typing

import numpy as np
import pytest

import tessella as ts
from tessella import errors, trees
from tessella.tree_nodes import key_of


@dataclasses.dataclass
class State:
    x: object
    k: object = 2.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    state: object
    name: str = dataclasses.field(default="plain", metadata={"static": True})


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: object
    b: object = None


class Point(typing.NamedTuple):
    x: object
    y: object


T = typing.TypeVar("T")


@dataclasses.dataclass
class Generic(typing.Generic[T]):
    value: T


@dataclasses.dataclass
class Derived(State):
    z: object = dataclasses.field(init=False)

    def __post_init__(self):
        self.sizes = [1, 2]
        self.note = "set later"


@dataclasses.dataclass(kw_only=True)
class Base:
    u: object


@dataclasses.dataclass
class SlottedBelow(Base):
    __slots__ = ("by_hand",)
    v: object


# --- what is taken apart ------------------------------------------------------------------------------

TREES = {
    "dataclass": (State(1, 3.0), [1, 3.0]),
    "frozen": (Frozen(State(1, [2, 3])), [1, 2, 3]),
    "slots": (Slotted(1, {"b": 2, "a": 3}), [1, 2, 3]),
    "generic": (Generic[int](5), [5]),
    "named tuple": (Point(1, Point(2, 3)), [1, 2, 3]),
    "ordered": (collections.OrderedDict(b=1, a=2), [1, 2]),
    "default": (collections.defaultdict(list, b=1, a=2), [1, 2]),
    "deque": (collections.deque([1, 2], maxlen=3), [1, 2]),
    "dict": ({"b": 1, "a": {3: 2, None: 3}}, [1, 2, 3]),
    "not comparable keys": ({"b": 1, 3: 2, (): 3}, [1, 2, 3]),
}


@pytest.mark.parametrize("name", TREES)
def test_what_is_taken_apart_is_put_together(name):
    tree, expected = TREES[name]
    leaves, structure = ts.tree_flatten(tree)
    assert leaves == expected == ts.tree_leaves(tree)
    again = ts.tree_unflatten(structure, leaves)
    assert again == tree
    assert type(again) is type(tree)
    if isinstance(tree, dict):
        assert list(again) == list(tree)
    assert ts.tree_leaves(ts.tree_map(lambda leaf: leaf * 10, tree)) == [x * 10 for x in expected]


def test_whatever_else_an_instance_was_given_goes_with_it():
    one = Derived(1)
    leaves, structure = ts.tree_flatten(one)
    assert leaves == [1, 2.0, 1, 2]  # no z: it was never set
    again = ts.tree_unflatten(structure, ["x", "k", "s", "t"])
    assert (again.x, again.k, again.sizes, again.note) == ("x", "k", ["s", "t"], "set later")
    assert not hasattr(again, "z")
    one.z = 7
    assert ts.tree_leaves(one) == [1, 2.0, 7, 1, 2]
    one.note = "another"
    assert ts.tree_flatten(one)[1] != structure


def test_slots_of_bases_go_with_an_instance():
    one = SlottedBelow(u=1, v=2)
    one.by_hand = [3]
    leaves, structure = ts.tree_flatten(one)
    assert leaves == [1, 2, 3] or leaves == [2, 1, 3]
    again = ts.tree_unflatten(structure, leaves)
    assert (again.u, again.v, again.by_hand) == (1, 2, [3])


def test_init_is_not_called():
    @dataclasses.dataclass
    class Checked:
        x: float

        def __post_init__(self):
            assert self.x > 0

    assert ts.tree_map(lambda x: -x, Checked(1.0)).x == -1.0


def test_static_fields_belong_to_the_structure():
    plain, other = Frozen(1), Frozen(1, "other")
    assert ts.tree_leaves(plain) == [1]
    assert ts.tree_flatten(plain)[1] != ts.tree_flatten(other)[1]
    assert ts.tree_map(lambda x: x + 1, other) == Frozen(2, "other")
    with pytest.raises(errors.ArgumentTypeError, match=r"static field 'name' of Frozen is a list"):
        ts.tree_leaves(Frozen(1, ["a"]))
    with pytest.raises(
        errors.ArgumentTypeError, match=r"static field 'name' of Frozen is a Tensor"
    ):
        ts.tree_leaves(Frozen(1, ts.ones(2)))


def test_static_values_are_equal_if_type_and_value_are():
    def structure(value):
        return ts.tree_flatten(Frozen(1, value))[1]

    assert structure(float("nan")) == structure(float("nan"))
    for one, other in ((1, 1.0), (1, True), (0.0, -0.0), ((1,), (1.0,)), (np.float32(1), 1.0)):
        assert structure(one) != structure(other)


def test_what_is_no_tree():
    @dataclasses.dataclass
    class Mistake(Exception):
        x: int

    class Layer(ts.nn.Module):
        pass

    dataclasses.dataclass(Layer, init=False)
    for leaf in (Mistake(1), Layer(), State, ts.ones(2), np.ones(2), "text", {1, 2}, enum.Enum):
        found = ts.tree_leaves(leaf)
        assert len(found) == 1
        assert found[0] is leaf


def test_two_classes_of_one_name_are_two():
    def make(names):
        return dataclasses.make_dataclass("Same", names)

    first, second = make(["a"]), make(["a", "b"])
    assert ts.tree_leaves([first(1), second(2, 3)]) == [1, 2, 3]
    assert ts.tree_flatten(first(1))[1] != ts.tree_flatten(make(["a"])(1))[1]


def test_none_is_no_leaf_for_users():
    assert ts.tree_map(lambda x: x + 1, {"w": 1, "b": None}) == {"w": 2, "b": None}
    assert ts.tree_leaves([None, 1, (None,)]) == [1]


def test_threads_that_see_a_class_for_the_first_time_together():
    for number in range(30):
        kind = dataclasses.make_dataclass(f"New{number}", ["x", "y"])
        gate, found = threading.Barrier(4), []

        def work(kind=kind, gate=gate, found=found):
            gate.wait()
            found.append(ts.tree_leaves([kind(1, 2), kind(3, kind(4, 5))]))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [[1, 2, 3, 4, 5]] * 4


# --- several trees ------------------------------------------------------------------------------------


def test_trees_side_by_side():
    assert ts.tree_map(lambda a, b: (a, b), {"b": 1, "a": 2}, {"a": 3, "b": 4}) == {
        "b": (1, 4),
        "a": (2, 3),
    }
    assert ts.tree_map(lambda a, b: a + len(b), State(1, 2), State([1, 2], "abc")) == State(3, 5)
    with pytest.raises(errors.ArgumentError, match=r"tree 2 is \{'b': \*\}, the first one \{'a': "):
        ts.tree_map(lambda a, b: a, {"a": (1, 2)}, {"b": 1})
    with pytest.raises(errors.ArgumentError, match="tree 3 is"):
        ts.tree_map(lambda a, b, c: a, [1, 2], [1, 2], [1])
    with pytest.raises(ZeroDivisionError):
        ts.tree_map(lambda a: a / 0, [1])
    with pytest.raises(errors.ArgumentTypeError, match="list was given; expected a function"):
        ts.tree_map([1], lambda x: x)


def test_the_wrong_number_of_leaves():
    structure = ts.tree_flatten({"a": 1, "b": (2, 3)})[1]
    with pytest.raises(errors.ArgumentError, match=r"2 leaves were given for .*which has 3"):
        ts.tree_unflatten(structure, [1, 2])
    with pytest.raises(errors.ArgumentTypeError, match=r"what ts\.tree_flatten gives"):
        ts.tree_unflatten([1, 2], [1, 2])


ALIKE = [
    ({"b": 1, "a": 2}, {"a": 3, "b": 4}, [4, 3]),
    ([{"b": (1, 2), "a": 2}], [{"a": 3, "b": (4, 5)}], [4, 5, 3]),
    (State({"u": 1, "v": 2}, 3), State({"v": 4, "u": 5}, 6), [5, 4, 6]),
    (Point(1, 2), Point(3, 4), [3, 4]),
    ({"b": 1}, {"b": 1, "a": 2}, None),
    ({"b": 1}, {"a": 1}, None),
    ({"b": 1}, collections.OrderedDict(b=1), None),
    (collections.OrderedDict(b=1, a=2), collections.OrderedDict(a=1, b=2), None),
    ([1, 2], (1, 2), None),
    ([1, 2], [1, (2,)], None),
    (Frozen({"a": 1, "b": 2}), Frozen({"b": 1, "a": 2}, "other"), None),
    (State(1), Slotted(1, 2), None),
]


@pytest.mark.parametrize(("tree", "other", "expected"), ALIKE)
def test_trees_that_are_alike(tree, other, expected):
    assert trees.leaves_like(trees.flatten(tree)[1], other) == expected


# --- classes of users ---------------------------------------------------------------------------------


class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right


ts.register_tree(Pair, lambda p: ((p.left, p.right), None), lambda _, parts: Pair(*parts))


def test_registered_classes_are_trees():
    pair = ts.tree_map(lambda x: x + 1, Pair(1, [2, Pair(3, 4)]))
    assert ts.tree_leaves(pair) == [2, 3, 4, 5]
    value, gradient = ts.value_and_grad(lambda p: (p.left * p.right).sum())(
        Pair(ts.asarray([1.0, 2.0]), ts.asarray([3.0, 4.0]))
    )
    assert float(value) == 11.0
    assert type(gradient) is Pair
    assert gradient.left.tolist() == [3.0, 4.0]


def test_a_dataclass_may_be_given_other_ways():
    @dataclasses.dataclass
    class Weighted:
        x: object
        weight: float

    assert ts.tree_leaves(Weighted(1, 2.0)) == [1, 2.0]
    given = ts.register_tree(
        Weighted, lambda w: ((w.x,), w.weight), lambda w, parts: Weighted(*parts, w)
    )
    assert given is Weighted
    assert ts.tree_leaves(Weighted(1, 2.0)) == [1]
    with pytest.raises(errors.ArgumentError, match=r"Weighted is a tree already"):
        ts.register_tree(
            Weighted, lambda w: ((w.x,), w.weight), lambda w, parts: Weighted(*parts, w)
        )


def test_dataclasses_may_be_registered_as_they_are():
    @ts.register_tree
    @dataclasses.dataclass
    class Plain:
        x: object

    assert ts.tree_leaves(ts.register_tree(Plain)(1)) == [1]


class Nothing:
    pass


class Half:
    def tree_flatten(self):
        return (), None


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ((3,), errors.ArgumentTypeError, "a int was given; expected a class"),
        ((Nothing,), errors.ArgumentTypeError, "Nothing is no dataclass and has no methods"),
        ((Half,), errors.ArgumentTypeError, "unflatten of .*Half is None; expected a function"),
        ((Nothing, len), errors.ArgumentTypeError, "unflatten of .*Nothing is None"),
        ((list, len, len), errors.ArgumentError, "list is a tree already"),
        ((ts.Tensor, len, len), errors.ArgumentError, "Tensor is a leaf by itself"),
        ((ts.nn.Linear, len, len), errors.ArgumentError, "Linear is a leaf by itself"),
    ],
)
def test_wrong_arguments_of_register_tree(arguments, kind, text):
    with pytest.raises(kind, match=text):
        ts.register_tree(*arguments)


def test_wrong_ways_of_taking_apart():
    class Wrong:
        pass

    class Unhashable:
        pass

    ts.register_tree(Wrong, lambda w: [1, 2], lambda rest, parts: Wrong())
    with pytest.raises(
        errors.ArgumentTypeError, match=r"flatten of .*Wrong gave a list; expected a pair"
    ):
        ts.tree_leaves(Wrong())
    ts.register_tree(Unhashable, lambda u: ((), [1]), lambda rest, parts: Unhashable())
    with pytest.raises(errors.ArgumentTypeError, match="beside the parts is a list"):
        ts.tree_leaves(Unhashable())


# --- vectors ------------------------------------------------------------------------------------------


def test_ravel_tree():
    tree = State({"w": ts.asarray([[1.0, 2.0]]), "n": ts.asarray([3, 4])}, np.float64(5.0))
    vector, unravel = ts.ravel_tree(tree)
    assert vector.tolist() == [1, 2, 3, 4, 5]
    assert vector.dtype is ts.float64
    back = unravel(np.arange(5.0))
    assert type(back) is State
    assert back.x["w"].dtype is ts.float32
    assert back.x["w"].tolist() == [[0.0, 1.0]]
    assert back.x["n"].dtype is ts.int64
    assert back.k.tolist() == 4.0


def test_gradients_go_through_vectors():
    tree = {"b": ts.asarray([1.0, 2.0]), "a": ts.asarray(3.0)}
    vector, unravel = ts.ravel_tree(tree)

    def loss(v):
        t = unravel(v)
        return (t["b"] * t["a"]).sum()

    assert ts.grad(loss)(vector).tolist() == [3.0, 3.0, 3.0]
    assert ts.jit(ts.grad(loss))(vector).tolist() == [3.0, 3.0, 3.0]
    both = ts.vmap(loss)(ts.stack([vector, 2 * vector]))
    assert both.tolist() == [9.0, 36.0]
    gradient = ts.grad(lambda t: (ts.ravel_tree(t)[0] ** 2).sum())(tree)
    assert list(gradient) == ["b", "a"]
    assert gradient["b"].tolist() == [2.0, 4.0]


def test_ravel_tree_of_nothing_and_of_what_is_no_number():
    vector, unravel = ts.ravel_tree({"a": None, "b": ()})
    assert (vector.shape, vector.dtype) == ((0,), ts.float32)
    assert unravel(vector) == {"a": None, "b": ()}
    with pytest.raises(errors.ArgumentTypeError, match=r"leaf 1 is a str \('x'\)"):
        ts.ravel_tree([1.0, "x"])
    with pytest.raises(errors.ShapeError, match=r"has shape \(2,\); expected \(3,\).*\{'a': \*\}"):
        ts.ravel_tree({"a": ts.ones(3)})[1](ts.ones(2))


# --- keys ---------------------------------------------------------------------------------------------


def test_keys_tell_values_apart():
    different = [
        1, 1.0, True, 0.0, -0.0, 1j, complex(-0.0, 1), np.float32(1), np.int64(1), "1", None, (1,), (1.0,), [1],
        [1.0], {1}, {1.0}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, State(1, 1), State(1, 1.0), Frozen(1), Frozen(1.0),
        bytearray(b"1"), b"1", frozenset([1]), Point(1, 2), (1, 2),
    ]  # fmt: skip
    assert len({key_of(value) for value in different}) == len(different)
    for make in (
        lambda: [1, [2]],
        lambda: {"a": {1}},
        lambda: State([1], float("nan")),
        lambda: (np.float64("nan"),),
    ):
        assert key_of(make()) == key_of(make())
    assert key_of(Nothing()) != key_of(Nothing())


def test_keys_of_what_changes():
    array, ring = np.zeros(2), [1]
    ring.append(ring)
    before = key_of(array), key_of(ring)
    assert before == (key_of(np.zeros(2)), key_of(ring))
    array[0], ring[0] = 1.0, 2
    assert key_of(array) != before[0]
    assert key_of(ring) != before[1]
    x = ts.ones(2)
    assert key_of([x]) == key_of([x])
    assert key_of([x]) != key_of([ts.ones(2)])


def test_a_tree_that_holds_itself():
    ring = State(1)
    ring.k = ring
    with pytest.raises(errors.ArgumentError, match=r"States that holds itself.*static_argnums"):
        ts.tree_leaves(ring)
    f = ts.jit(lambda x, ring: x * ring.x, static_argnums=1)
    assert float(f(ts.asarray(2.0), ring)) == 2.0
    ring.x = 3
    assert float(f(ts.asarray(2.0), ring)) == 6.0
    assert len(f.traces) == 2


def test_the_import_is_light():
    code = (
        "import dataclasses, sys, tessella as ts\n"
        "assert 'optree' not in sys.modules\n"
        "S = dataclasses.make_dataclass('S', ['x'])\n"
        "print(ts.tree_map(lambda x: x + 1, {'b': S(1), 'a': 2}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'b': S(x=2), 'a': 3}\n"
    assert done.stderr == ""

"""Laws of trees: a function of a random tree is what it is of its leaves, through every transformation."""

import collections
import dataclasses
import typing

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella import trees


@dataclasses.dataclass
class Node:
    left: object
    right: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    value: object
    name: str = dataclasses.field(default="", metadata={"static": True})


class Pair(typing.NamedTuple):
    one: object
    other: object


class Own:
    def __init__(self, parts, rest):
        self.parts, self.rest = parts, rest


ts.register_tree(Own, lambda own: (own.parts, own.rest), lambda rest, parts: Own(list(parts), rest))

NAMES = st.text("abc", min_size=1, max_size=2)
LEAVES = st.floats(-2, 2, width=32).map(lambda v: np.float32([v, 1 - v]))


def containers(inner):
    items = st.lists(inner, max_size=3)
    named = st.lists(st.tuples(NAMES, inner), max_size=3)
    return st.one_of(
        items,
        items.map(tuple),
        named.map(dict),
        named.map(collections.OrderedDict),
        named.map(lambda pairs: collections.defaultdict(list, pairs)),
        items.map(collections.deque),
        st.builds(Node, inner, st.none() | inner),
        st.builds(Named, inner, NAMES),
        st.builds(Pair, inner, inner),
        st.builds(Own, items, NAMES),
    )


TREES = st.recursive(LEAVES, containers, max_leaves=6).map(
    lambda tree: [tree, np.float32([0.5, 2.0])]
)


def shuffled(tree, seed):
    """The same tree, with the keys of its dicts in another order."""
    random = np.random.default_rng(seed)

    def again(part):
        if type(part) in (dict, collections.defaultdict):
            keys = [list(part)[i] for i in random.permutation(len(part))]
            made = type(part)() if type(part) is dict else collections.defaultdict(list)
            made.update({key: again(part[key]) for key in keys})
            return made
        if isinstance(part, (list, tuple, collections.deque)) and type(part) is not Pair:
            return type(part)([again(item) for item in part])
        return part

    return again(tree)


def tensors(tree):
    return ts.tree_map(ts.asarray, tree)


def total(tree):
    """A number in which every leaf has a part of its own, by its place."""
    parts = [ts.sin(x * (i + 1)).sum() for i, x in enumerate(ts.tree_leaves(tree))]
    return sum(parts, ts.asarray(0.0))


def squared(tree):
    return ts.tree_map(lambda x: x * x, tree)


def same(got, expected):
    assert ts.tree_flatten(got)[1] == ts.tree_flatten(expected)[1]
    assert list(map(type, _walk(got))) == list(map(type, _walk(expected)))
    for a, b in zip(ts.tree_leaves(got), ts.tree_leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


def _walk(tree):
    """The containers of a tree, with the keys of dicts in their order."""
    if not isinstance(tree, (np.ndarray, ts.Tensor)):
        yield tree
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield key
            yield from _walk(part)
    elif isinstance(tree, (list, tuple, collections.deque)):
        for part in tree:
            yield from _walk(part)


@given(TREES)
def test_flattening_is_undone(tree):
    leaves, structure = ts.tree_flatten(tree)
    again = ts.tree_unflatten(structure, leaves)
    same(again, tree)
    vector, unravel = ts.ravel_tree(tree)
    same(unravel(vector), tensors(tree))
    assert vector.size == 2 * len(leaves)


@given(TREES, st.integers(0, 2**32))
def test_the_order_of_keys_does_not_make_another_tree(tree, seed):
    structure = trees.flatten(tree)[1]
    found = trees.leaves_like(structure, shuffled(tree, seed))
    assert found is not None
    assert all(a is b for a, b in zip(found, trees.flatten(tree)[0], strict=True))


@settings(max_examples=25)
@given(TREES, st.integers(0, 2**32))
def test_a_compiled_function_sees_the_tree_it_is_given(tree, seed):
    f = ts.jit(lambda t: (total(t), squared(t)))
    for given_tree in (tree, shuffled(tree, seed), tree):
        mine = tensors(given_tree)
        number, back = f(mine)
        same(number, total(mine))
        same(back, squared(mine))


@settings(max_examples=40)
@given(TREES)
def test_derivatives_have_the_structure_of_the_arguments(tree):
    tree = tensors(tree)
    leaves, structure = ts.tree_flatten(tree)
    slopes = [ts.cos(x * (i + 1)) * (i + 1) for i, x in enumerate(leaves)]
    expected = ts.tree_unflatten(structure, slopes)
    value, gradient = ts.value_and_grad(total)(tree)
    same(gradient, expected)
    same(ts.grad(ts.checkpoint(total))(tree), expected)
    same(ts.vjp(total, tree)[1](ts.asarray(1.0))[0], expected)
    same(ts.jacrev(total)(tree), expected)
    same(ts.jacfwd(total)(tree), expected)
    out, along = ts.jvp(total, (tree,), (gradient,))
    length = sum(float((s * s).sum()) for s in slopes)
    np.testing.assert_allclose(float(out), float(value), rtol=1e-5)
    np.testing.assert_allclose(float(along), length, rtol=1e-4)

    own = ts.custom_vjp(lambda t: squared(t))
    own.defvjp(
        lambda t: (squared(t), t), lambda t, ct: (ts.tree_map(lambda x, c: 2 * x * c, t, ct),)
    )
    same(ts.grad(lambda t: total(own(t)))(tree), ts.grad(lambda t: total(squared(t)))(tree))


@settings(max_examples=30)
@given(TREES, st.integers(0, 2**32))
def test_batches_and_loops_carry_any_tree(tree, seed):
    tree = tensors(tree)
    rows = ts.tree_map(lambda x: ts.stack([x, x + 1.0]), tree)
    one = ts.tree_map(lambda x: x + 1.0, tree)
    same(ts.tree_map(lambda x: x[1], ts.vmap(squared)(rows)), squared(one))
    np.testing.assert_allclose(
        ts.vmap(total)(rows)[1].numpy(), total(one).numpy(), rtol=1e-4, atol=1e-5
    )

    def turn(carry, x):
        return shuffled(ts.tree_map(lambda a, b: a * 0.5 + b, carry, x), seed), carry

    def loops(tree, rows):
        last, seen = ts.scan(turn, tree, rows)
        return ts.fori_loop(0, 2, lambda i, t: turn(t, tree)[0], last), seen

    last, seen = loops(tree, rows)
    first = ts.tree_map(lambda x: (x * 0.5 + x) * 0.5 + x + 1.0, tree)
    twice = ts.tree_map(lambda a, x: (a * 0.5 + x) * 0.5 + x, first, tree)
    same(last, twice)
    same(ts.tree_map(lambda x: x[0], seen), tree)
    chosen = ts.cond(total(last) > 0, squared, lambda t: shuffled(t, seed), last)
    recorded = ts.checkpoint(
        lambda t: ts.cond(total(t) > 0, squared, lambda t: shuffled(t, seed), t)
    )(last)
    assert trees.leaves_like(trees.flatten(chosen)[1], recorded) is not None

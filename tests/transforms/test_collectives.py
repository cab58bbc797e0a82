"""Collectives of a named `vmap` inside loops, choices, checkpoints and functions with rules of their own."""

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentError
from tessella.primitives import Collective, Operation

xs = np.arange(4.0) / 2
table = np.arange(12.0).reshape(3, 4) / 5


def both(function, *arguments):
    """What a function gives eagerly and compiled, as lists of arrays."""
    found = [x.numpy() for x in ts.tree_leaves(function(*arguments))]
    compiled = [x.numpy() for x in ts.tree_leaves(ts.jit(function)(*arguments))]
    for a, b in zip(found, compiled, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)
    return found


def expect(function, *expected, given=xs):
    found = both(ts.vmap(function, axis_name="b"), ts.asarray(given))
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-9)


# --- values: what NumPy gives for all examples at once ------------------------------------------------


def test_loops():
    c = xs
    for _ in range(2):
        c = c * 0.5 + c.sum() - c.mean() + c.max() * c.min()
    expect(
        lambda x: ts.fori_loop(
            0, 2,
            lambda i, c: c * 0.5 + ts.psum(c, "b") - ts.pmean(c, "b") + ts.pmax(c, "b") * ts.pmin(c, "b"),
            x,
        ),
        c,
    )  # fmt: skip
    expect(
        lambda x: ts.scan(lambda c, y: (c + ts.psum(x, "b") * y, ts.pmax(c, "b")), x, ts.asarray([1.0, 2.0])),
        xs + 3 * xs.sum(), [[1.5, 1.5 + xs.sum()]] * 4,
    )  # fmt: skip
    expect(lambda x: ts.fori_loop(0, 2, lambda i, c: c + ts.all_gather(c, "b")[2], x), xs + 3.0)
    expect(
        lambda x: ts.fori_loop(0, 2, lambda i, c: c + ts.axis_index("b"), ts.asarray(0)),
        [0, 2, 4, 6],
    )
    expect(lambda x: ts.fori_loop(0, 2, lambda i, c: c + ts.psum(ts.asarray(1.0), "b"), x), xs + 8)


def test_loops_that_end_at_different_times():
    """Who is done stays in the sums, with what it has come to."""

    def loop(c):
        while (active := c < 9).any():
            c = np.where(active, c + c.sum() * 0.5 + 1, c)
        return c

    expect(
        lambda x: ts.while_loop(lambda c: c < 9, lambda c: c + ts.psum(c, "b") * 0.5 + 1, x),
        loop(xs),
    )
    c = xs
    while c.sum() < 50:
        c = 2 * c + 1
    expect(lambda x: ts.while_loop(lambda c: ts.psum(c, "b") < 50, lambda c: c * 2 + 1, x), c)
    expect(
        lambda x: ts.while_loop(
            lambda c: c < ts.axis_index("b"), lambda c: c + 1.0, ts.asarray(0.0)
        ),
        [0, 1, 2, 3],
    )


def test_choices():
    """All examples are in the sums of a branch, also those that take another one."""
    right = np.where(xs > 0.7, xs.sum() * xs, -xs)
    expect(lambda x: ts.cond(x > 0.7, lambda x: ts.psum(x, "b") * x, lambda x: -x, x), right)
    expect(lambda x: ts.cond(x > 0.7, lambda x: -x, lambda x: ts.psum(x, "b") * x, x),
        np.where(xs > 0.7, -xs, xs.sum() * xs))  # fmt: skip
    expect(
        lambda x: ts.cond(ts.psum(x, "b") > 1, lambda x: ts.pmean(x, "b") * x, lambda x: x, x),
        xs.mean() * xs,
    )
    branches = [lambda x: x, lambda x: ts.psum(x, "b"), lambda x: ts.pmax(x, "b")]
    expect(lambda x: ts.switch(ts.axis_index("b"), branches, x), [0, 3, 1.5, 1.5])
    expect(
        lambda x: ts.cond(
            ts.axis_index("b") > 1, lambda: ts.axis_index("b") * 3.0, lambda: ts.asarray(-1.0)
        ),
        [-1, -1, 6, 9],
    )


def test_checkpoints_and_rules():
    f = ts.custom_vjp(lambda x: x * ts.psum(x, "b"))
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * ts.pmean(x, "b"),))
    g = ts.custom_jvp(lambda x: x * ts.psum(x, "b"))
    g.defjvp(lambda p, t: (g(*p), ts.pmax(t[0], "b")))
    for h in (
        f,
        g,
        ts.checkpoint(lambda x: x * ts.psum(x, "b")),
        ts.jit(lambda x: x * ts.psum(x, "b")),
    ):
        expect(h, xs * xs.sum())
        expect(lambda x, h=h: ts.fori_loop(0, 1, lambda i, c: h(c), x), xs * xs.sum())
    expect(ts.grad(f), [xs.mean()] * 4)
    expect(lambda x: ts.jvp(g, (x,), (x,))[1], [1.5] * 4)
    np.testing.assert_allclose(
        both(ts.grad(lambda v: ts.vmap(f, axis_name="b")(v).sum()), ts.asarray(xs))[0],
        [xs.mean()] * 4,
    )


NESTED = {
    "both names": ("a", "b"), "the outer one": ("a", None), "the inner one": (None, "b"),
    "the same twice": ("b", "b"),
}  # fmt: skip


@pytest.mark.parametrize("names", NESTED.values(), ids=NESTED)
def test_nested_names(names):
    """Each sum goes over its own axis, also where examples of the other one disagree."""
    inner_axis = 1 if names[1] is not None else 0
    name = names[1] or names[0]

    def numpy(m):
        total = m.sum(axis=inner_axis, keepdims=True)
        c = np.where(m > 0.9, total * m, np.sin(m))
        for _ in range(2):
            c = c * 0.5 + c.sum(axis=inner_axis, keepdims=True)
        while (active := c < 99).any():
            c = np.where(active, c + c.max(axis=inner_axis, keepdims=True) + 1, c)
        return c

    def f(x):
        c = ts.cond(x > 0.9, lambda x: ts.psum(x, name) * x, ts.sin, x)
        c = ts.fori_loop(0, 2, lambda i, c: c * 0.5 + ts.psum(c, name), c)
        return ts.while_loop(lambda c: c < 99, lambda c: c + ts.pmax(c, name) + 1, c)

    run = ts.vmap(ts.vmap(f, axis_name=names[1]), axis_name=names[0])
    np.testing.assert_allclose(both(run, ts.asarray(table))[0], numpy(table), rtol=1e-9)


# --- gradients: against central differences of the sum over all examples --------------------------------

GRADIENTS = {
    "scan": lambda x: ts.scan(lambda c, y: (ts.sin(c) * ts.psum(c * y, "b"), c), x, ts.asarray([1.0, 0.5]))[0],
    "fori_loop": lambda x: ts.fori_loop(0, 2, lambda i, c: ts.sin(c) * ts.pmean(c, "b"), x),
    "all_gather": lambda x: (ts.all_gather(ts.sin(x), "b") * ts.asarray([1.0, 2.0, 3.0, 4.0]) * x).sum(),
    "all_gather in a loop": lambda x: ts.fori_loop(0, 2, lambda i, c: ts.all_gather(c, "b")[1] * ts.sin(c), x),
    "cond": lambda x: ts.cond(x > 0.7, lambda x: ts.psum(ts.sin(x), "b") * x, lambda x: x * x, x),
    "cond, the other way": lambda x: ts.cond(
        x > 0.7, lambda x: x * x, lambda x: ts.pmean(ts.sin(x), "b") * x, x
    ),
    "cond for all": lambda x: ts.cond(ts.psum(x, "b") > 0, lambda x: ts.psum(x * x, "b") * x, ts.sin, x),
    "cond in scan": lambda x: ts.scan(
        lambda c, y: (ts.cond(c > 0.6, lambda c: ts.sin(c) + ts.pmean(c * y, "b"), lambda c: c * 2, c), None),
        x, ts.asarray([1.0, 0.5, 2.0]),
    )[0],
    "switch": lambda x: ts.switch(
        ts.axis_index("b"), [ts.sin, lambda x: ts.psum(x * x, "b") * x, lambda x: ts.pmean(ts.exp(x), "b")], x
    ),
    "checkpoint": ts.checkpoint(lambda x: ts.psum(ts.sin(x), "b") * x),
    "checkpoint in scan": lambda x: ts.scan(
        lambda c, y: (ts.checkpoint(lambda c: ts.sin(c) * ts.psum(c * y, "b"))(c), None), x,
        ts.asarray([1.0, 0.5]),
    )[0],
    "shared": lambda x: ts.scan(lambda c, y: (c + ts.psum(x * y, "b") * c, c), x, ts.asarray([0.1, 0.2]))[1][1],
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    f = GRADIENTS[name]

    def total(v):
        return ts.vmap(f, axis_name="b")(v).sum()

    v, step = ts.asarray(xs), 1e-6
    central = [
        float(total(v + step * unit) - total(v - step * unit)) / (2 * step)
        for unit in ts.eye(4, dtype=ts.float64)
    ]
    np.testing.assert_allclose(both(ts.grad(total), v)[0], central, rtol=1e-6, atol=1e-7)
    inside = both(ts.vmap(ts.grad(f), axis_name="b"), v)[0]
    np.testing.assert_allclose(inside, central, rtol=1e-6, atol=1e-7)
    along = both(lambda v: ts.jvp(total, (v,), (v,))[1], v)[0]
    np.testing.assert_allclose(along, np.dot(central, xs), rtol=1e-6, atol=1e-7)


def test_a_branch_that_nobody_takes_gives_no_nan():
    def f(x):
        return ts.cond(
            ts.psum(x, "b") > 100, lambda x: ts.log(ts.psum(x, "b") * 0 - x * 0), ts.sin, x
        )

    for gradient in (
        ts.vmap(ts.grad(f), axis_name="b"),
        ts.grad(lambda v: ts.vmap(f, axis_name="b")(v).sum()),
    ):
        np.testing.assert_allclose(both(gradient, ts.asarray(xs))[0], np.cos(xs), rtol=1e-9)


# --- derivatives in the vmap --------------------------------------------------------------------------


def test_extremes_have_gradients_and_ties_share_them():
    """Everyone is given the extreme: what reaches it has the gradients of all."""
    ties = ts.asarray([3.0, 1.0, 3.0, 2.0])
    weights = ts.asarray([1.0, 10.0, 100.0, 1000.0])
    for extreme, share in ((ts.pmax, [0.5, 0, 0.5, 0]), (ts.pmin, [0, 1, 0, 0])):

        def f(x, weight, extreme=extreme):
            return weight * extreme(x, "b")

        pulled = both(ts.vmap(ts.grad(f), axis_name="b"), ties, weights)
        np.testing.assert_allclose(pulled[0], 1111 * np.asarray(share))
        around = ts.grad(lambda x, f=f: ts.vmap(f, axis_name="b")(x, weights).sum())
        np.testing.assert_allclose(both(around, ties)[0], pulled[0])
        pushed = ts.vmap(
            lambda x, t, e=extreme: ts.jvp(lambda x: e(x, "b"), (x,), (t,))[1], axis_name="b"
        )
        along = float(np.asarray(share) @ weights.numpy())
        np.testing.assert_allclose(both(pushed, ties, weights)[0], [along] * 4)


def test_a_collective_alone_and_among_others():
    x = ts.asarray([1, 2, 3], dtype=ts.int8)
    assert Collective("b", Operation.SUM, 1)(x).dtype is ts.int64
    assert Collective("b", Operation.GATHER, 1)(x).shape == (1, 3)
    assert int(ts.jit(Collective("b", Operation.INDEX, 1))(x)) == 0
    told = r"collective_sum: none of those along 'b' can compute it alone; it has a meaning in ts.vmap\(f, axis_name='b'\)"
    with pytest.raises(ArgumentError, match=told):
        Collective("b", Operation.SUM, 4)(x)

"""Control flow: the same eagerly, compiled, batched and differentiated."""

import numpy as np
import optree
import pytest

import tessella as ts
from tessella import errors
from tessella.primitives.control import ScanLoop


def same(function, *arguments, tolerance=1e-5):
    """A function gives the same eagerly and compiled; gives what it gives."""
    expected = function(*arguments)
    got = ts.jit(function)(*arguments)
    for a, b in zip(optree.tree_leaves(expected), optree.tree_leaves(got), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)
        assert a.dtype is b.dtype
    return got


x = ts.asarray([1.0, 2.0, 3.0])


# --- cond and switch ----------------------------------------------------------------------------------


def choose(x):
    return ts.cond(x.sum() > 0, lambda x: x * 2.0, lambda x: ts.exp(x), x)


def test_cond():
    np.testing.assert_allclose(same(choose, x).numpy(), [2, 4, 6])
    np.testing.assert_allclose(same(choose, -x).numpy(), np.exp([-1, -2, -3]), rtol=1e-6)
    np.testing.assert_allclose(same(ts.grad(lambda x: choose(x).sum()), x).numpy(), [2, 2, 2])
    batch = ts.stack([x, -x])
    each = [choose(x), choose(-x)]
    np.testing.assert_allclose(
        same(ts.vmap(choose), batch).numpy(), np.stack([e.numpy() for e in each])
    )
    slopes = same(ts.vmap(ts.grad(lambda x: choose(x).sum())), batch)
    np.testing.assert_allclose(slopes.numpy()[1], np.exp([-1, -2, -3]), rtol=1e-6)
    assert same(ts.grad(lambda x: ts.vmap(choose)(x).sum()), batch).shape == (2, 3)


def test_only_the_chosen_branch_is_computed():
    seen = []

    @ts.jit
    def f(flag, x):
        def loud(x):
            ts.debug.print("chosen {}", x)
            return x

        return ts.cond(flag, loud, lambda x: x + 1.0, x)

    import contextlib
    import io

    for flag in (False, True):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            f(ts.asarray(flag), ts.asarray(1.0))
        seen.append(out.getvalue())
    assert seen[0] == ""
    assert "chosen" in seen[1]


def test_a_known_condition_is_pythons_if():
    assert ts.cond(True, lambda x: x + 1, lambda x: 1 / 0, 1) == 2
    graph = ts.make_graph(lambda x: ts.cond(False, ts.exp, ts.sin, x))(x)
    assert [node.primitive.name for node in graph.nodes] == ["sin"]


def test_untaken_lanes_make_no_nan():
    def root(x):
        return ts.cond(x > 0, ts.sqrt, lambda x: x * 0.0, x)

    values = ts.asarray([4.0, -1.0, 0.0, 9.0])
    np.testing.assert_allclose(same(ts.vmap(root), values).numpy(), [2, 0, 0, 3])
    np.testing.assert_allclose(
        same(ts.vmap(ts.grad(root)), values).numpy(), [0.25, 0, 0, 1 / 6], rtol=1e-6
    )
    slopes = same(ts.grad(lambda v: ts.vmap(root)(v).sum()), values).numpy()
    np.testing.assert_allclose(slopes, [0.25, 0, 0, 1 / 6], rtol=1e-6)
    nobody = ts.asarray([-1.0, -2.0])
    np.testing.assert_allclose(
        same(ts.grad(lambda v: ts.vmap(root)(v).sum()), nobody).numpy(), [0, 0]
    )


def test_switch():
    branches = [lambda x: x, lambda x: x * x, lambda x: -x]

    def f(i, x):
        return ts.switch(i, branches, x)

    for number, expected in ((-5, 3.0), (0, 3.0), (1, 9.0), (2, -3.0), (7, -3.0)):
        assert same(f, ts.asarray(number), ts.asarray(3.0)).item() == expected
    indices = ts.asarray([2, 0, 1, 9])
    got = same(ts.vmap(f, in_axes=(0, None)), indices, ts.asarray(3.0))
    np.testing.assert_allclose(got.numpy(), [-3, 3, 9, -3])
    slope = same(ts.vmap(ts.grad(f, 1), in_axes=(0, None)), indices, ts.asarray(3.0))
    np.testing.assert_allclose(slope.numpy(), [-1, 1, 6, -1])


# --- loops --------------------------------------------------------------------------------------------


def doubled(x):
    return ts.while_loop(lambda c: c < 100.0, lambda c: c * 2.0, x)


def test_while_loop():
    assert same(doubled, ts.asarray(3.0)).item() == 192.0
    assert same(doubled, ts.asarray(300.0)).item() == 300.0
    many = ts.asarray([3.0, 150.0, 50.0])
    np.testing.assert_allclose(same(ts.vmap(doubled), many).numpy(), [192, 150, 100])
    _, slope = same(lambda x: ts.jvp(ts.vmap(doubled), (x,), (ts.ones(3),)), many)
    np.testing.assert_allclose(slope.numpy(), [64, 1, 2])


def test_lanes_that_are_done_compute_nothing_of_their_own():
    def halve(x):  # below 1 the logarithm would be negative, and its root NaN
        return ts.while_loop(lambda c: c > 1.0, lambda c: ts.sqrt(ts.log(c)) + c * 0.25, x)

    values = ts.asarray([50.0, 0.5, 1e-8, 3.0])
    got = same(ts.vmap(halve), values).numpy()
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, [halve(v).item() for v in values], rtol=1e-6)
    _, slope = same(lambda x: ts.jvp(ts.vmap(halve), (x,), (ts.ones(4),)), values)
    assert np.isfinite(slope.numpy()).all()


def test_newton_under_vmap():
    def root(a):
        def more(state):
            y, step = state
            return ts.abs(step) > 1e-6 * ts.abs(y)

        def turn(state):
            y, _ = state
            after = 0.5 * (y + a / y)
            return after, after - y

        return ts.while_loop(more, turn, (a, a))[0]

    values = ts.asarray([1.0, 2.0, 9.0, 1e6, 0.25])
    np.testing.assert_allclose(
        same(ts.vmap(root), values).numpy(), np.sqrt(values.numpy()), rtol=1e-5
    )


def test_fori_loop():
    assert same(lambda: ts.fori_loop(0, 5, lambda i, c: c + i, ts.asarray(0))).item() == 10
    assert same(lambda x: ts.fori_loop(3, 3, lambda i, c: c * 0.0, x), x).tolist() == x.tolist()
    power = ts.grad(lambda x: ts.fori_loop(0, 3, lambda i, c: c * x, ts.asarray(1.0)))
    assert same(power, ts.asarray(2.0)).item() == 12.0
    upper = ts.asarray(4)
    got = same(lambda n: ts.fori_loop(0, n, lambda i, c: c + i, ts.asarray(0)), upper)
    assert got.item() == 6


def cell(carry, x):
    h, total = carry
    after = ts.tanh(h * 0.5 + x)
    return (after, total + after * x), (after, x * 2.0)


def run(xs):
    return ts.scan(cell, (ts.zeros(()), ts.zeros(())), xs)


def loss(xs):
    (h, total), (hs, doubles) = run(xs)
    return h + total * 0.5 + (hs * hs).sum() + doubles.sum()


def by_hand(xs):
    carry, hs, doubles = (ts.zeros(()), ts.zeros(())), [], []
    for i in range(xs.shape[0]):
        carry, (h, double) = cell(carry, xs[i])
        hs.append(h)
        doubles.append(double)
    return carry[0] + carry[1] * 0.5 + (ts.stack(hs) ** 2).sum() + ts.stack(doubles).sum()


def test_scan_and_its_derivatives():
    xs = ts.asarray([0.3, -1.0, 0.7, 2.0])
    np.testing.assert_allclose(same(loss, xs).numpy(), by_hand(xs).numpy(), rtol=1e-6)
    slope = ts.grad(by_hand)(xs).numpy()
    np.testing.assert_allclose(same(ts.grad(loss), xs).numpy(), slope, rtol=1e-5)
    _, along = same(lambda x: ts.jvp(loss, (x,), (ts.ones(4),)), xs)
    np.testing.assert_allclose(along.numpy(), slope.sum(), rtol=1e-5)
    second = ts.hessian(by_hand)(xs).numpy()
    np.testing.assert_allclose(same(ts.hessian(loss), xs).numpy(), second, rtol=1e-4, atol=1e-5)
    batch = ts.stack([xs, xs * 0.5, -xs], axis=1)
    got = same(ts.vmap(ts.grad(loss), in_axes=1), batch).numpy()
    each = np.stack([ts.grad(by_hand)(batch[:, i]).numpy() for i in range(3)])
    np.testing.assert_allclose(got, each, rtol=1e-5, atol=1e-6)


def test_scan_backwards_without_sequences_and_with_none():
    reverse = same(lambda x: ts.scan(lambda c, y: (c + y, c), ts.asarray(0.0), x, reverse=True), x)
    assert reverse[0].item() == 6.0
    assert reverse[1].tolist() == [5.0, 3.0, 0.0]
    last, ys = same(lambda: ts.scan(lambda c, _: (c * 2.0, None), ts.asarray(1.0), length=5))
    assert (last.item(), ys) == (32.0, None)
    none = same(lambda x: ts.scan(lambda c, y: (c + y, c * y), ts.asarray(2.0), x[:0]), x)
    assert (none[0].item(), none[1].shape) == (2.0, (0,))


def test_scan_with_weights_from_outside():
    weight = ts.asarray([[0.5, -0.2], [0.1, 0.3]]).requires_grad_()

    def f(xs):
        return ts.scan(lambda h, x: (ts.tanh(weight @ h + x), None), ts.zeros(2), xs)[0].sum()

    xs = ts.asarray(np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32))
    f(xs).backward()
    eager = weight.grad.numpy().copy()
    weight.grad = None

    @ts.jit
    def step(xs):
        value = f(xs)
        value.backward()
        return value.detach()

    step(xs)
    np.testing.assert_allclose(weight.grad.numpy(), eager, rtol=1e-5)


def test_nested_loops():
    def f(x):
        def outer(total, row):
            inner, _ = ts.scan(lambda c, v: (c + v * total, None), ts.zeros(()), row)
            return total + inner, inner

        return ts.scan(outer, ts.asarray(1.0), x)

    matrix = ts.asarray([[1.0, 2.0], [3.0, 4.0], [0.5, 0.25]])
    total, inner = same(f, matrix)
    assert inner.tolist() == [3.0, 28.0, 24.0]
    assert total.item() == 56.0
    assert same(ts.grad(lambda x: f(x)[0]), matrix).shape == (3, 2)
    assert same(ts.vmap(lambda x: f(x)[0]), ts.stack([matrix, matrix])).tolist() == [56.0, 56.0]


def test_every_turn_draws_its_own_numbers():
    ts.random.manual_seed(3)
    draw = ts.jit(lambda x: ts.scan(lambda c, y: (c, ts.random.rand(4)), ts.zeros(()), x)[1])
    first, second = draw(ts.zeros(5)).numpy(), draw(ts.zeros(5)).numpy()
    assert len(np.unique(np.concatenate([first.ravel(), second.ravel()]))) == 40


def test_a_function_of_associative_scan_that_gives_nothing():
    with pytest.raises(
        errors.ArgumentError, match=r"the function gives None where the sequences are \*; it must"
    ):
        ts.associative_scan(lambda a, b: None, ts.ones(2))


def test_associative_scan():
    for count in (0, 1, 2, 3, 5, 8, 17):
        values = ts.arange(1, count + 1)
        got = same(lambda v: ts.associative_scan(ts.add, v), values)
        assert got.tolist() == np.cumsum(np.arange(1, count + 1)).tolist()
    pairs = (ts.asarray([2.0, 3.0, 4.0]), ts.asarray([1.0, 1.0, 1.0]))

    def affine(a, b):  # y -> a1 (a0 y + b0) + b1
        return a[0] * b[0], a[1] * b[0] + b[1]

    assert same(lambda p: ts.associative_scan(affine, p), pairs)[1].tolist() == [1.0, 4.0, 17.0]
    backwards = ts.associative_scan(ts.maximum, ts.asarray([[1, 5], [4, 2]]), reverse=True, axis=1)
    assert backwards.tolist() == [[5, 5], [4, 2]]


def test_a_long_loop_can_be_interrupted():
    """A loop without an end goes back to Python now and then, which sees a signal."""
    import os
    import signal
    import threading

    forever = ts.jit(lambda x: ts.while_loop(lambda c: c > 0.0, lambda c: c * 1.0, x))
    assert forever(ts.asarray(-1.0)).item() == -1.0
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        forever(ts.asarray(1.0))
    timer.join()
    assert forever(ts.asarray(-2.0)).item() == -2.0


def test_a_loop_reports_an_index_that_is_out_of_range():
    table = ts.asarray([1.0, 2.0])

    @ts.jit
    def f(indices):
        return ts.scan(
            lambda c, i: (c + ts.take(table, i.reshape((1,)))[0], None), ts.zeros(()), indices
        )[0]

    assert f(ts.asarray([0, 1, 1])).item() == 5.0
    with pytest.raises(errors.IndexingError, match="7"):
        f(ts.asarray([0, 7, 1]))


# --- bad input ----------------------------------------------------------------------------------------


def traced(function, *arguments):
    return lambda: ts.jit(function)(*arguments)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (traced(lambda x: ts.cond(x > 0, ts.exp, ts.sin, x), x), errors.ShapeError, "the condition has shape"),
        (
            traced(lambda x: ts.cond(x.sum() > 0, lambda x: x, lambda x: x.sum(), x), x),
            errors.ShapeError,
            r"cond: the branches give different results: the true branch gives float32\[3\], the false branch "
            r"gives float32\[\]; they must agree in structure, shapes and dtypes",
        ),
        (
            traced(lambda x: ts.switch(x.sum().astype(ts.int32), [ts.exp, ts.sin, ts.sum], x), x),
            errors.ShapeError, r"switch: .* results: branch 2 gives float32\[\], branch 0 gives float32\[3\];",
        ),
        (
            traced(lambda x: ts.cond(x.sum() > 0, lambda x: (x, x), lambda x: x, x), x),
            errors.ShapeError,
            r"true branch gives float32\[3\], float32\[3\] as \(\*, \*\), the false branch gives float32\[3\] as \*;",
        ),
        (
            traced(lambda x: ts.cond(x.sum() > 0, lambda x: x, lambda x: "no", x), x),
            errors.ArgumentTypeError, "cond: the false branch gives a str .'no'.; expected tensors, numbers and None",
        ),
        (
            lambda: ts.cond(ts.asarray(True), lambda x: "yes", lambda x: x, x),
            errors.ArgumentTypeError, "cond: the branch gives a str",
        ),
        *[
            (run(lambda: ts.scan(lambda c, y: (c, "y"), x, x)), errors.ArgumentTypeError, "scan: the body gives a str")
            for run in (lambda call: call, traced)
        ],
        (
            traced(lambda x: ts.while_loop(lambda c: "more", lambda c: c, x), x),
            errors.ArgumentTypeError, "while_loop: the condition gives a str",
        ),
        (lambda: ts.cond(True, 3, ts.sin, x), errors.ArgumentTypeError, "cond: when_true is 3; expected a function"),
        (lambda: ts.cond(True, ts.sin, 3, x), errors.ArgumentTypeError, "cond: when_false is 3; expected a function"),
        (lambda: ts.switch(0, [ts.sin, 3], x), errors.ArgumentTypeError, "switch: branch 1: int was given"),
        (lambda: ts.switch(0, []), errors.ArgumentError, "no branches"),
        (
            traced(lambda x: ts.while_loop(lambda c: c.sum() < 9, lambda c: c[:2], x), x),
            errors.ShapeError, "must keep its shape and dtype",
        ),
        (
            lambda: ts.while_loop(lambda c: c.sum() < 9, lambda c: (c, c), x),
            errors.ArgumentError, "must keep its structure",
        ),
        (
            traced(lambda x: ts.grad(lambda x: ts.while_loop(lambda c: c < 9, lambda c: c * 2, x))(x), ts.asarray(1.0)),
            errors.GradientError, "ts.fori_loop with bounds that are Python integers",
        ),
        *[
            case
            for upper in (3, ts.asarray(3))  # by scan, and by while_loop
            for run in (lambda call: call, traced)
            for case in (
                (
                    run(lambda upper=upper: ts.fori_loop(0, upper, lambda i, c: c[:2], ts.ones(3))), errors.ShapeError,
                    r"fori_loop: the body gives float32 \(2,\) where start has float32 \(3,\) \(leaf 0\)",
                ),
                (
                    run(lambda upper=upper: ts.fori_loop(0, upper, lambda i, c: (c, c), ts.ones(3))),
                    errors.ArgumentError, r"fori_loop: the body gives \(\*, \*\) where start is \*; what is carried",
                ),
                (
                    run(lambda upper=upper: ts.fori_loop(0, upper, lambda i, c: c, {"a": "b"})),
                    errors.ArgumentTypeError, "fori_loop: start holds a str",
                ),
            )
        ],
        (
            traced(lambda n: ts.fori_loop(0, n, lambda i, c: c + ts.random.rand(), 0.0), ts.asarray(3)),
            errors.ArgumentError, "fori_loop: random numbers are drawn in a loop of unknown length",
        ),
        (
            traced(lambda x, n: ts.grad(lambda x: ts.fori_loop(0, n, lambda i, c: c * 2, x))(x), x.sum(), ts.asarray(3)),
            errors.GradientError, "fori_loop: it has no reverse mode",
        ),
        (
            lambda: ts.associative_scan(lambda a, b: a.sum() + b.sum(), x),
            errors.ShapeError, r"associative_scan: the function gives the shape \(\) where it is given \(1,\)",
        ),
        (lambda: ts.scan(lambda c, y: c, ts.zeros(()), x), errors.ArgumentTypeError, "a pair"),
        (lambda: ts.scan(cell, ts.zeros(()), (x, x[:2])), errors.ShapeError, "they say 2, 3"),
        (lambda: ts.scan(cell, ts.zeros(())), errors.ShapeError, "they say none"),
        (lambda: ts.scan(cell, "start", x), errors.ArgumentTypeError, "start holds a str"),
        (
            traced(lambda x: ts.while_loop(lambda c: c < 9, lambda c: c + ts.random.rand(), x), ts.asarray(1.0)),
            errors.ArgumentError, "every turn would draw the same",
        ),
    ],
)  # fmt: skip
def test_messages(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


# --- complex numbers ----------------------------------------------------------------------------------

COMPLEX = {
    "cond": lambda z, m: ts.cond(
        ts.real(z).sum() > 0, lambda z, m: (m @ z, z[::-1]), lambda z, m: (z * 2, ts.conj(z)), z, m
    ),
    "cond, unchanged": lambda z, m: ts.cond(ts.asarray(True), lambda z: z, lambda z: z * 2, z),
    "switch": lambda z, m: ts.switch(
        ts.asarray(1), [lambda z: z, lambda z: z.reshape((3, 1)).reshape((3,)) * 1j, lambda z: z], z
    ),
    "fori_loop": lambda z, m: ts.fori_loop(0, 3, lambda i, c: c * c * 0.5 + m[0], z),
    "fori_loop of unknown length": lambda z, m: ts.fori_loop(0, ts.asarray(3), lambda i, c: m @ c, z),
    "swapped": lambda z, m: ts.fori_loop(0, 3, lambda i, c: (c[1], c[0]), (z, m[0])),
    "transposed": lambda z, m: ts.fori_loop(0, 3, lambda i, c: c.mT, m),
    "scan": lambda z, m: ts.scan(lambda c, x: (c * x + x.sum(), (c, ts.real(x), x[::-1])), z, m),
    "scan, reversed": lambda z, m: ts.scan(lambda c, x: (x, c), z, m, reverse=True),
    "scan of nothing": lambda z, m: ts.scan(lambda c, x: (c * x, c), z, m[:0]),
    "scan from a number": lambda z, m: ts.scan(lambda c, x: (c + 1j, x), ts.asarray(1j), z),
    "while_loop": lambda z, m: ts.while_loop(
        lambda c: abs(c[0]).sum() < 50, lambda c: (c[0] * (1.5 + 0.5j), c[1] + 1), (z, ts.asarray(0))
    ),
    "vmap of cond": lambda z, m: ts.vmap(
        lambda r: ts.cond(ts.real(r).sum() > 0, lambda r: r * 1j, lambda r: r + 1, r)
    )(m),
    "vmap of while_loop": lambda z, m: ts.vmap(
        lambda r: ts.while_loop(lambda c: abs(c).sum() < 20, lambda c: c * (1 + 1j), r)
    )(m),
    "vmap of scan": lambda z, m: ts.vmap(lambda r: ts.scan(lambda c, x: (c * x, c + x), r[0], r))(m),
    "one in another": lambda z, m: ts.fori_loop(
        0, 2,
        lambda i, c: ts.cond(
            ts.real(c).sum() > 0, lambda c: ts.scan(lambda a, x: (a * x, a), c, m)[0], ts.conj, c
        ),
        z,
    ),
    "no loop": lambda z, m: (m.mT, m[::2], m[:, 1], ts.flip(m), z, m[1]),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers(name, dtype):
    random = np.random.default_rng(3)
    z, m = (
        ts.asarray((random.standard_normal(s) + 1j * random.standard_normal(s)).astype(dtype))
        for s in ((3,), (3, 3))
    )
    same(COMPLEX[name], z, m)


def test_complex_tensors_are_updated_in_place():
    state = ts.asarray(np.asarray([[1 + 2j, 3], [4, 5]], np.complex64))
    expected, factor = state.numpy().copy(), np.asarray([[1j, 2], [3, 1 - 1j]], np.complex64)

    @ts.jit
    def update(x):
        before = state.mT
        state.assign(before * x)
        return before, x.mT

    for _ in range(3):
        before, shown = update(ts.asarray(factor))
        np.testing.assert_array_equal(before.numpy(), expected.T)
        np.testing.assert_array_equal(shown.numpy(), factor.T)
        expected = expected.T * factor
        np.testing.assert_array_equal(state.numpy(), expected)


# --- functions with rules of their own in loops of a program --------------------------------------------


def test_rules_in_compiled_loops():
    """A program does what the function does, and its gradient is that of the rule."""
    outside = ts.asarray(3.0)
    f = ts.custom_vjp(ts.sin)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (ct * 100.0,))
    g = ts.custom_jvp(lambda x: x * outside)
    g.defjvp(lambda p, t: (g(*p), t[0] * 7.0))

    def loops(x):
        k = x * 2.0
        c, _ = ts.scan(
            lambda c, y: (f(c) * y + g(c) + ts.checkpoint(lambda z: z * k)(c), None), x, ts.ones(2)
        )
        c = ts.fori_loop(0, 2, lambda i, c: ts.cond(c > 0, f, lambda c: g(c) * 0.1, c), c)
        return c

    def ends(x):
        return ts.while_loop(lambda c: g(c) < 15.0, lambda c: c + 2.0 + f(c), loops(x))

    value = ts.asarray(0.7)
    same(loops, value)
    same(ends, value)
    slope = same(ts.grad(loops), value)
    assert float(slope) > 1e4  # by the rule of f, which says 100
    same(ts.grad(lambda x: ts.grad(loops)(x) * 1e-4), value)
    pair = ts.asarray([0.7, -0.3])
    same(ts.vmap(ts.grad(loops)), pair)
    same(ts.grad(lambda v: ts.vmap(loops)(v).sum()), pair)


# --- functions that take another number of arguments ------------------------------------------------------


def with_rules(forward, backward):
    double = ts.custom_vjp(lambda x: x * 2)
    double.defvjp(forward, backward)
    return lambda x: ts.grad(lambda x: double(x).sum())(x)


def with_tangents(rule):
    double = ts.custom_jvp(lambda x: x * 2)
    double.defjvp(rule)
    return lambda x: ts.jvp(double, (x,), (x,))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ts.fori_loop(0, 3, lambda c: c, x), r"fori_loop: the body is called as body\(i, carry\); .* takes 1"),
        (lambda x: ts.fori_loop(ts.asarray(0), 3, lambda: x, x), r"fori_loop: the body is called as body\(i, carry\)"),
        (lambda x: ts.scan(lambda c: c, x, x), r"scan: the body is called as body\(carry, x\); .* takes 1 positional"),
        (lambda x: ts.while_loop(lambda: True, lambda c: c, x), r"the condition is called as condition\(carry\)"),
        (lambda x: ts.while_loop(lambda c: True, lambda a, b: a, x), r"while_loop: the body is called as body\(carry\)"),
        (lambda x: ts.cond(True, lambda x: x, lambda x: x), r"cond: the true branch is called with 0 operands \(what"),
        (lambda x: ts.cond(x.sum() > 9, lambda x: x, lambda: x, x), "cond: the false branch is called with 1 operand"),
        (lambda x: ts.switch(0, [lambda x: x]), "switch: branch 0 is called with 0 operands"),
        (lambda x: ts.associative_scan(lambda a: a, x), r"the function is called as function\(left, right\)"),
        (with_rules(lambda: 1, lambda r, c: (c,)), "the forward rule of <lambda> is called with the arguments of"),
        (with_rules(lambda x: (x, x), lambda c: (c,)), "the backward rule .* with the residuals and the cotangent"),
        (with_tangents(lambda p: p), "the rule .* is called with a tuple of primals and one of tangents"),
    ],
)  # fmt: skip
def test_how_functions_are_called_is_told(call, said):
    x = ts.asarray([1.0, 2.0])
    for run in (call, ts.jit(call)):
        with pytest.raises(errors.ArgumentTypeError, match=said):
            run(x)


def test_errors_inside_such_functions_stay_what_they_are():
    with pytest.raises(TypeError, match="has no len") as caught:
        ts.scan(lambda carry, x: (carry + len(3), x), ts.asarray(0.0), ts.ones(3))
    assert not isinstance(caught.value, errors.TessellaError)


# --- what is computed once ----------------------------------------------------------------------------


def recurrent(w, xs):
    def turn(h, x):
        h = ts.tanh(h * w + x)
        return h, (h * h, ts.exp(h))

    last, (squares, _) = ts.scan(turn, ts.zeros(3, dtype=ts.float64), xs)
    return squares.sum() + last[0]


def loops_of(graph):
    return [node.primitive for node in graph.nodes if isinstance(node.primitive, ScanLoop)]


def test_the_forward_pass_of_a_loop_keeps_what_its_gradient_needs():
    w = ts.asarray([0.5, -1.0, 2.0], dtype=ts.float64)
    xs = ts.asarray(np.linspace(-1, 1, 12).reshape(4, 3))
    step = ts.jit(ts.grad(recurrent, argnums=(0, 1)))
    forward, backward = loops_of(step.graph(w, xs))  # not a third one, for what is carried
    assert forward.reverse != backward.reverse
    assert len(forward.body.outputs) == 2  # h, and what h was before; nobody asks for the others
    for found, right in zip(step(w, xs), ts.grad(recurrent, argnums=(0, 1))(w, xs), strict=True):
        np.testing.assert_allclose(found.numpy(), right.numpy())
    second = lambda w: (ts.grad(recurrent)(w, xs) ** 2).sum()  # noqa: E731
    for nested in (second, lambda w: ts.vmap(second)(ts.stack([w, w + 0.1]))[0]):
        right = ts.grad(second)(w).numpy()
        np.testing.assert_allclose(ts.jit(ts.grad(nested))(w).numpy(), right)
        np.testing.assert_allclose(
            ts.jit(lambda w, f=nested: ts.jvp(f, (w,), (w,))[1])(w).numpy(), right @ w.numpy()
        )


def test_a_loop_does_not_give_what_nobody_asks_for():
    w = ts.asarray([0.5, -1.0, 2.0], dtype=ts.float64)
    xs = ts.asarray(np.linspace(-1, 1, 12).reshape(4, 3))

    def in_vain(w):  # a gradient could be asked for, and is not
        return recurrent(w.requires_grad_(), xs).detach()

    compiled = ts.jit(in_vain)
    (loop,) = loops_of(compiled.graph(w))
    assert len(loop.body.outputs) == 2  # h and its square
    np.testing.assert_allclose(compiled(w).item(), recurrent(w, xs).item())

"""A loop in a loop is a row of the outer loop's table: what it computes, what stops it, and who looks on."""

import signal

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.compiler.program import Program
from tessella.devices.registry import host

ROWS = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def scan_in_scan(x):
    def outer(total, row):
        inner, each = ts.scan(lambda c, v: (ts.tanh(c * 0.5 + v), c * v), total, row, reverse=True)
        return inner, (each, inner)

    return ts.scan(outer, ts.zeros((), device=x.device), x)


def while_in_scan(x):
    def outer(c, row):
        grown = ts.fori_loop(
            0, ts.sum(row > 0), lambda i, v: v + ts.tanh(row * c) * i, ts.zeros_like(row)
        )
        return ts.tanh(c + grown.sum()), grown

    return ts.scan(outer, ts.ones((), device=x.device), x)


def scan_in_while(x):
    def turn(state):
        i, total = state
        return i + 1, ts.scan(lambda c, row: (ts.tanh(c + row), None), total, x[:3])[0]

    return ts.while_loop(
        lambda s: s[0] < 4, turn, (x[0, 0].astype(ts.int32) * 0, ts.zeros_like(x[0]))
    )[1]


def while_in_condition(x):
    """Of a loop: the condition has one in itself."""

    def goes_on(v):
        return ts.while_loop(lambda s: s.sum() < 10.0, lambda s: s * 2.0, v.abs() + 1.0).max() < 12

    return ts.while_loop(goes_on, lambda v: v + 1.0, x[0])


def three_deep(x):
    def middle(c, v):
        return ts.scan(lambda a, w: (ts.sin(a + w * v), a), c, x[1])

    def outer(c, row):
        c, seen = ts.scan(middle, c, row)
        return c, seen

    return ts.scan(outer, ts.zeros((), device=x.device), x)


def what_is_computed_once(x):
    """The inner body multiplies by a matrix that stays the same, which is packed before its first turn."""
    weight = ts.ones((16, 16), device=x.device) * 0.05

    def outer(c, row):
        return ts.scan(lambda h, v: (ts.tanh(h @ (weight * row[0]) + v), h.sum()), c, row)

    return ts.scan(outer, ts.ones((16, 16), device=x.device), x)


def swapped(x):
    """What is carried changes places, and starts as one and the same."""

    def outer(c, row):
        a, b = ts.fori_loop(0, 3, lambda i, s: (s[1] + row, s[0] * 2.0), (c, c))
        return a - b, (a, c)

    return ts.scan(outer, x[0], x)


def without_turns(x):
    def outer(c, row):
        d, none = ts.scan(lambda s, v: (s * v, v), c, row[:0])
        e = ts.while_loop(lambda s: s.sum() > 1e9, lambda s: s * row, row)
        return c + d + e.sum(), none

    return ts.scan(outer, ts.ones((), device=x.device), x)


def branch_in_scan(x):
    def outer(c, row):
        chosen = ts.cond(row.sum() > 0, lambda v: ts.tanh(v + c), lambda v: v * 0.5, row)
        other = ts.switch(ts.sum(row > 0), [lambda v: v, lambda v: v * c, lambda v: ts.sin(v)], row)
        return c * 0.9 + chosen.sum(), (chosen, other)

    return ts.scan(outer, ts.ones((), device=x.device), x)


FUNCTIONS = [
    scan_in_scan, while_in_scan, scan_in_while, while_in_condition, three_deep, what_is_computed_once, swapped,
    without_turns, branch_in_scan,
]  # fmt: skip


def leaves(tree):
    return [np.asarray(leaf) for leaf in ts.tree_leaves(tree)]


def near(found, expected):
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("where", ["cpu", "emulated"])
def test_values(function, where):
    x = ts.asarray(ROWS, device=where)
    compiled = ts.jit(function)
    for _ in range(2):
        near(compiled(x), function(ts.asarray(ROWS)))
    near(compiled(-x), function(ts.asarray(-ROWS)))


@pytest.mark.parametrize(
    "function", [scan_in_scan, three_deep, what_is_computed_once, swapped, branch_in_scan]
)
def test_gradients(function):
    def loss(x):
        return sum((leaf * leaf).sum() for leaf in ts.tree_leaves(function(x)))

    x = ts.asarray(ROWS)
    near(ts.jit(ts.grad(loss))(x), ts.grad(loss)(x))


def test_a_batch_of_them():
    x = ts.asarray(np.stack([ROWS, -ROWS, ROWS * 0.5]))
    expected = [leaves(while_in_scan(one)) for one in x]
    for k, found in enumerate(leaves(ts.jit(ts.vmap(while_in_scan))(x))):
        np.testing.assert_allclose(
            found, np.stack([one[k] for one in expected]), rtol=2e-5, atol=2e-6
        )


@pytest.mark.parametrize("count", [1, 2])
def test_kernels_whose_work_is_shared(count):
    """The inner body is large enough for several threads."""

    def function(x):
        def outer(c, _):
            return ts.fori_loop(0, 3, lambda i, v: ts.tanh(v * 0.5 + x) + i, c), None

        return ts.scan(outer, x, length=4)[0]

    x = ts.asarray(np.random.default_rng(0).standard_normal(300_000).astype(np.float32))
    before = ts.get_num_threads()
    try:
        ts.set_num_threads(count)
        near(ts.jit(function)(x), function(x))
    finally:
        ts.set_num_threads(before)


# --- who runs it ----------------------------------------------------------------------------------------

native = pytest.mark.skipif(not host().signals(), reason="native code does not look for signals")


def programs_run(monkeypatch, function, *arguments):
    """How many programs Python runs in a call."""
    function(*arguments)
    seen, execute = [], Program.execute

    def noted(self, effects=True):
        seen.append(self)
        execute(self, effects)

    monkeypatch.setattr(Program, "execute", noted)
    function(*arguments)
    return len(seen)


@native
@pytest.mark.parametrize("function", FUNCTIONS[:-1])
def test_no_turn_is_of_python(function, monkeypatch):
    assert programs_run(monkeypatch, ts.jit(function), ts.asarray(ROWS)) == 1


def test_who_looks_on_sees_every_turn(monkeypatch):
    compiled, x = ts.jit(scan_in_scan), ts.asarray(ROWS)
    expected = compiled(x)
    with ts.profile() as seen:
        assert programs_run(monkeypatch, compiled, x) == 1 + 5 + 5 * 4
    assert sum(event.name.endswith("body") for event in seen.events) >= 25
    near(compiled(x), expected)


def test_what_is_not_finite_is_found_in_the_inner_loop():
    def function(x):
        return ts.scan(
            lambda c, row: ts.scan(lambda a, v: (a + ts.log(v), None), c, row), ts.zeros(()), x
        )[0]

    with ts.debug.check_nan(), pytest.raises(errors.NotFiniteError, match="scan made a NaN"):
        ts.jit(function)(ts.asarray(ROWS))


def test_an_effect_in_the_inner_loop_is_had_in_order(capfd):
    def function(x):
        def inner(c, v):
            ts.debug.print("at {}", v)
            return c + v, None

        return ts.scan(lambda c, row: ts.scan(inner, c, row), ts.zeros(()), x)[0]

    assert ts.jit(function)(ts.asarray([[1.0, 2.0], [3.0, 4.0]])).item() == 10.0
    lines = capfd.readouterr().out.split("\n")
    assert [line for line in lines if line] == [f"at tensor({i}.)" for i in (1, 2, 3, 4)]


# --- what stops it --------------------------------------------------------------------------------------


def looked_up(table, indices):
    def inner(c, i):
        return c + ts.take(table, i.reshape((1,)))[0], None

    return ts.scan(lambda c, row: ts.scan(inner, c, row), ts.zeros(()), indices)[0]


def asked_for(table, indices):
    """The condition of the inner loop looks up."""

    def inner(c, i):
        return ts.while_loop(lambda s: s < ts.take(table, i.reshape((1,)))[0], lambda s: s + 1.0, c)

    return ts.scan(
        lambda c, row: ts.scan(lambda d, i: (inner(d, i), None), c, row), ts.zeros(()), indices
    )[0]


def prepared(table, indices):
    """What is looked up stays the same for all turns of the inner loop."""

    def inner(c, v, i):
        return c + ts.take(table, i[:1])[0] * v, None

    return ts.scan(
        lambda c, i: ts.scan(lambda c, v: inner(c, v, i), c, table), ts.zeros(()), indices
    )[0]


@pytest.mark.parametrize("function", [looked_up, asked_for, prepared])
@pytest.mark.parametrize("where", ["cpu", "emulated"])
def test_an_index_that_is_out_of_range(function, where):
    table = ts.asarray([1.0, 2.0, 3.0], device=where)
    right, wrong = (ts.asarray(i, device=where) for i in ([[0, 1], [2, 1]], [[0, 1], [7, 1]]))
    compiled = ts.jit(lambda table, indices: function(table, indices))
    with ts.device(where):
        expected = function(table, right).item()
        for _ in range(2):
            assert compiled(table, right).item() == pytest.approx(expected)
            with pytest.raises(
                errors.IndexingError, match=r"test_nested_loops.py:\d+ in .*index 7"
            ):
                compiled(table, wrong)


def test_what_a_loop_without_turns_would_look_up_is_not_checked():
    table = ts.asarray([1.0, 2.0])

    def function(x, i):
        def outer(c, v):
            def turn(s):
                return s + ts.take(table, i)[0]

            return ts.while_loop(lambda s: s < v, turn, c), None

        return ts.scan(outer, ts.zeros(()), x)[0]

    compiled, far = ts.jit(function), ts.asarray([7])
    assert compiled(ts.asarray([-1.0, -2.0]), far).item() == 0.0
    with pytest.raises(errors.IndexingError, match="index 7"):
        compiled(ts.asarray([-1.0, 2.0]), far)
    assert compiled(ts.asarray([0.5, 2.5]), ts.asarray([0])).item() == 3.0


class Alarm(Exception):
    """Raised by the handler of a signal."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="sends signals")
@pytest.mark.parametrize("where", ["cpu", "emulated"])
def test_an_inner_loop_without_an_end_can_be_interrupted(where):
    def function(x):
        def outer(c, row):
            return ts.while_loop(lambda s: s.sum() < 1e30, lambda s: s * 1.0, c + row), None

        return ts.scan(outer, ts.zeros_like(x[0]), x)[0]

    def ring(*_):
        raise Alarm

    compiled, large = ts.jit(function), ts.asarray(ROWS * 0 + 1e30, device=where)
    expected = leaves(compiled(large))
    before = signal.signal(signal.SIGALRM, ring)
    endless = ts.asarray(ROWS, device=where)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Alarm):
            compiled(endless)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    near(compiled(large), expected)

"""Dynamic shapes: which dimensions are dynamic, what sizes can do, when there is a new trace, what is said."""

import gc
import math
import numbers
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F
from tessella.sizes import scope as scopes
from tessella.sizes.size import for_all, for_this_call
from tessella.tracing.trace import Trace, ours, tracing
from tessella.transforms.dynamic import MOST_PROGRAMS

random = np.random.default_rng(0)


def floats(*shape):
    return ts.asarray(random.standard_normal(shape).astype(np.float32))


def same(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert a.dtype is b.dtype
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


def classifier():
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
    return model, optim.Adam(model.parameters(), 1e-2)


def step_of(model, optimiser):
    def step(x, y):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    return step


def batch(size):
    return floats(size, 12), ts.asarray(random.integers(0, 4, size))


# --- which dimensions are dynamic -------------------------------------------------------------------------


def test_twenty_batch_sizes_are_three_traces():
    ts.manual_seed(0)
    model, optimiser = classifier()
    ts.manual_seed(0)
    other, other_optimiser = classifier()
    step, eager = ts.jit(step_of(model, optimiser)), step_of(other, other_optimiser)
    for size in range(1, 21):
        x, y = batch(size)
        same(step(x, y), eager(x, y), 1e-4)
    assert len(step.traces) == 3
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        same(one, two, 1e-3)


def test_declared_dimensions_are_one_trace():
    model, optimiser = classifier()
    step = ts.jit(step_of(model, optimiser), dynamic={"x": {0: "batch"}, "y": {0: "batch"}})
    for size in (8, 3, 1, 100, 0, 8, 5):
        assert step(*batch(size)).shape == ()
    assert step.traces == ["it is the first call"]
    family = step.families[0]
    assert not family.scope.guards
    assert str(family.traced.graph.inputs[0].shape) == "(batch, 12)"
    assert str(family.traced.graph.inputs[1].shape) == "(batch,)"


@pytest.mark.parametrize("dynamic", [{"x": 0}, {"x": [0]}, {"x": {0: None}}, {"x": {-2: "rows"}}])
def test_ways_to_name_an_axis(dynamic):
    f = ts.jit(lambda x: x * 2.0, dynamic=dynamic)
    for size in (4, 7, 2):
        x = floats(size, 3)
        same(f(x), x * 2.0)
    assert len(f.traces) == 1


def test_keywords_trees_and_several_arguments():
    def f(batch, *others, scale=1.0, **more):
        return batch["x"] * scale + sum(others) + more["shift"]

    compiled = ts.jit(f, dynamic={"batch": [0], "others": {0: "n"}, "shift": {0: "n"}})
    for size in (4, 6, 9):
        x, y, z = floats(size, 2), floats(size, 2), floats(size, 2)
        same(compiled({"x": x}, y, y, scale=3.0, shift=z), x * 3.0 + y + y + z)
    assert len(compiled.traces) == 1


def test_everything_but_what_is_one():
    f = ts.jit(lambda x: (x - x.mean(axis=1, keepdims=True)).sum(axis=0), dynamic=True)
    for shape in ((4, 1, 5), (3, 1, 7), (2, 1, 2)):
        x = floats(*shape)
        same(f(x), (x - x.mean(axis=1, keepdims=True)).sum(axis=0))
    assert len(f.traces) == 1
    assert str(f.families[0].traced.graph.inputs[0].shape) == "(n, 1, m)"
    f(floats(3, 2, 7))
    assert len(f.traces) == 2


def test_dimensions_that_were_always_equal_share_a_symbol():
    f = ts.jit(lambda x, y: (x @ y, x + y.T))
    for size in (3, 4, 5, 6):
        x, y = floats(size, 2), floats(2, size)
        product, total = f(x, y)
        same(product, x @ y)
        same(total, x + y.T)
    assert len(f.traces) == 3
    assert {str(n) for v in f.families[0].traced.graph.inputs for n in v.shape} == {"n", "2"}


def test_dimensions_that_differ_later_are_traced_again():
    f = ts.jit(lambda x, y: (x.sum(), y.sum()), dynamic=True)
    for x, y in ((4, 4), (5, 5), (3, 6), (6, 2)):
        a, b = f(ts.ones(x), ts.ones(y))
        assert (float(a), float(b)) == (x, y)
    assert len(f.traces) == 2


def test_never_dynamic():
    f = ts.jit(lambda x: x + 1.0, dynamic=False)
    for size in (2, 3, 4, 5):
        f(floats(size))
    assert len(f.traces) == 4
    assert not f.families


def test_strided_arguments():
    f = ts.jit(lambda x: ts.exp(x).sum(axis=0), dynamic=True)
    x = floats(8, 6)
    for view in (x, x[:5], x.T, x[::2, 1:], ts.broadcast_to(x[0], (4, 6)), x[2:]):
        same(f(view), ts.exp(view).sum(axis=0))
    assert len(f.traces) <= 2


# --- what sizes can do --------------------------------------------------------------------------------


def test_sizes_take_part_in_arithmetic():
    def f(x):
        n, m = x.shape
        assert isinstance(n, numbers.Integral)
        pairs = x[: n // 2 * 2].reshape((n // 2, 2, m))
        return (
            x.sum() / n, x * (n * m), ts.full((n + 1,), 2.0), pairs, ts.arange(1, 2 * n, 2),
            x / math.prod(x.shape), x[-1], x[n - 1], x[1:], x[::-1], n, (n, {"half": n // 2}),
            1.0 / n * x, x * (n / 2), x * ((n - 1) / (m + n)), x * n**2, (n - 1) % 3, x + n, x.mean(axis=0), x.var(axis=0, correction=1),
        )  # fmt: skip

    compiled = ts.jit(f, dynamic={"x": [0]})
    for size in (6, 9, 2, 17):
        x = floats(size, 3)
        for got, expected in zip(compiled(x), f(x), strict=True):
            if isinstance(expected, ts.Tensor):
                same(got, expected)
            else:
                assert got == expected
                assert type(got) is type(expected)


def test_a_comparison_that_always_holds_leaves_no_guard():
    def f(x):
        n = x.shape[0]
        assert n >= 0
        assert n + 1 > n
        assert (2 * n) % 2 == 0
        assert (n // 2) * 2 <= n
        return x * 2.0

    compiled = ts.jit(f, dynamic=True)
    for size in (3, 0, 8):
        compiled(floats(size))
    assert len(compiled.traces) == 1


def test_a_question_is_a_guard():
    def f(x):
        return x.sum() if x.shape[0] > 4 else x.mean()

    compiled = ts.jit(f, dynamic=True)
    for size in (6, 9, 3, 4, 5):
        x = floats(size)
        same(compiled(x), f(x))
    assert len(compiled.traces) == 2
    assert "n = 3 now; it was traced for n > 4, which " in compiled.traces[1]
    assert "test_dynamic.py" in compiled.traces[1]
    shown = str(compiled.explain(floats(7)))
    assert "dynamic sizes: n (x, axis 0) is 7 here" in shown
    assert "guards: n > 4, asked at " in shown


def test_asking_for_the_number_itself_is_a_guard():
    def f(x):
        total = ts.zeros(())
        for i in range(x.shape[0]):
            total = total + x[i] * i
        return total

    compiled = ts.jit(f, dynamic=True)
    for size in (5, 2, 5, 3):
        x = floats(size)
        same(compiled(x), f(x))
    assert len(compiled.traces) == 3
    assert "it was traced for n == 5" in compiled.traces[1]
    line_of_numpy = ts.jit(lambda x: x + ts.linspace(0, 1, x.shape[0]), dynamic=True)
    for size in (5, 4):
        line_of_numpy(floats(size))
    assert "test_dynamic.py" in line_of_numpy.traces[1]


def test_sizes_of_one_and_none_follow_the_rules_of_broadcasting():
    f = ts.jit(lambda x, y: x + y, dynamic={"x": {0: "n"}, "y": {0: "m"}})
    y = floats(5)
    for size in (5, 1, 5):
        x = floats(size)
        same(f(x, y), x + y)
    with pytest.raises(errors.ShapeError, match="do not broadcast"):
        f(floats(3), y)


def test_nothing_to_reduce_is_still_a_mistake():
    f = ts.jit(lambda x: x.max(), dynamic=True)
    f(floats(4))
    with pytest.raises(errors.ShapeError, match="max of nothing is not defined"):
        f(floats(0))
    same(f(ts.ones(3)), ts.ones(()))


def test_a_function_that_takes_sizes_for_integers_goes_on_as_before():
    def f(x):
        if not isinstance(x.shape[0], int):
            raise TypeError("sizes are integers")
        return x * 2.0

    compiled = ts.jit(f)
    for size in (2, 3, 4, 5, 4):
        same(compiled(ts.ones(size)), ts.full((size,), 2.0))
    assert len(compiled.traces) == 4
    assert "(with symbolic sizes: TypeError: sizes are integers)" in compiled.traces[2]
    with pytest.raises(TypeError, match="sizes are integers"):
        ts.jit(f, dynamic={"x": 0})(ts.ones(3))


# --- with everything else ---------------------------------------------------------------------------


def test_gradients_of_arguments():
    f = ts.jit(lambda x, w: (ts.tanh(x @ w) ** 2).mean(), dynamic={"x": {0: "batch"}})
    for size in (5, 2, 9, 1):
        x, w = floats(size, 3).requires_grad_(), floats(3, 4).requires_grad_()
        f(x, w).backward()
        a, b = x.detach().requires_grad_(), w.detach().requires_grad_()
        (ts.tanh(a @ b) ** 2).mean().backward()
        same(x.grad, a.grad)
        same(w.grad, b.grad)
    assert len(f.traces) == 1


def test_second_derivatives():
    f = ts.jit(lambda x: (ts.sin(x) / x.shape[0]).sum(), dynamic=True)
    for size in (4, 3):
        x = floats(size)
        same(ts.grad(f)(x), ts.cos(x) / size)
        same(ts.grad(lambda x: ts.grad(f)(x).sum())(x), -ts.sin(x) / size)
    assert len(f.traces) <= 2  # with gradients recorded, and without


def test_transformations_inside():
    weights = floats(3, 3)

    def loss(w, row):
        return ts.tanh(w @ row).sum()

    def f(w, x):
        each = ts.vmap(ts.grad(loss), in_axes=(None, 0))(w, x)
        value, slope = ts.jvp(lambda x: ts.exp(x).mean(), (x,), (x,))
        carry, rows = ts.scan(lambda c, row: (c + row, c * row), ts.zeros(3), x)
        running = ts.fori_loop(0, 3, lambda i, total: total + x.sum() * i, ts.zeros(()))
        chosen = ts.cond(x.sum() > 0, lambda x: x * 2.0, lambda x: x - 1.0, x)
        return each, value, slope, carry, rows, running, chosen

    compiled = ts.jit(f, dynamic={"x": {0: "n"}})
    for size in (4, 2, 7, 1):
        x = floats(size, 3)
        for got, expected in zip(compiled(weights, x), f(weights, x), strict=True):
            same(got, expected)
    assert len(compiled.traces) == 1


def test_operations_of_all_kinds():
    weights = floats(6, 6)

    def f(x, mask, y):
        z = ts.concat([ts.where(mask, x @ weights, ts.zeros_like(x)), y], axis=0)
        scores = ts.einsum("ij,kj->ik", z, z)
        return (
            ts.stack([z.max(axis=0), z.min(axis=0)]), ts.top_k(scores.sum(axis=0), 2).values,
            ts.roll(z, 1, axis=0), ts.tile(z, (2, 1)), ts.repeat(z, 2, axis=0), ts.tril(scores),
            ts.cumulative_sum(z, axis=0)[-1], ts.take(z, ts.asarray([0, 1]), axis=0),
            F.one_hot(ts.argmax(z, axis=1), 6), ts.pad(z, [(1, 2), (0, 0)]), ts.sort(z, axis=0), ts.argmax(z, axis=0), z[::2, None],
        )  # fmt: skip

    compiled = ts.jit(f, dynamic={"x": {0: "n"}, "mask": {0: "n"}, "y": {0: "m"}})
    for n, m in ((4, 3), (5, 5), (2, 9), (7, 2)):
        arguments = floats(n, 6), ts.asarray(random.random((n, 6)) > 0.5), floats(m, 6)
        for got, expected in zip(compiled(*arguments), f(*arguments), strict=True):
            same(got, expected, 1e-4)
    assert len(compiled.traces) == 1


def test_a_recurrent_network_for_batches_of_any_size():
    embedding, lstm = nn.Embedding(50, 16), nn.LSTM(16, 8)
    f = ts.jit(lambda ids: lstm(embedding(ids))[0][-1], dynamic={"ids": {1: "batch"}})
    for size in (4, 7, 1, 12):
        ids = ts.asarray(random.integers(0, 50, (5, size)))
        same(f(ids), lstm(embedding(ids))[0][-1])
    assert len(f.traces) == 1


def test_random_numbers():
    f = ts.jit(lambda x: x + ts.rand(*x.shape), dynamic=True)
    for size in (3, 5, 4):
        ts.manual_seed(1)
        got = f(ts.zeros(size))
        ts.manual_seed(1)
        same(got, ts.rand(size))
    assert len(f.traces) == 1


def test_convolutions_pooling_and_normalisation():
    ts.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, stride=2), nn.ReLU(),
    )  # fmt: skip
    model.eval()
    compiled = ts.jit(lambda x: model(x), dynamic={"x": {0: "batch", 2: "height", 3: "width"}})
    for shape in ((4, 1, 12, 14), (2, 1, 16, 12), (3, 1, 20, 22)):
        x = floats(*shape)
        same(compiled(x), model(x), 1e-4)
    assert len(compiled.traces) == 1


def test_attention_over_sequences_of_any_length():
    project = nn.Linear(16, 48)

    def attend(x):
        query, key, value = ts.split(project(x), 16, axis=-1)
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)

    f = ts.jit(attend, dynamic={"x": {0: "batch", 1: "time"}})
    for size, time in ((2, 5), (3, 9), (1, 7), (2, 16)):
        x = floats(size, time, 16)
        same(f(x), attend(x), 1e-4)
    assert len(f.traces) == 1


# --- memory ----------------------------------------------------------------------------------------------


def test_programs_share_their_memory_and_old_ones_are_dropped():
    f = ts.jit(lambda x: (ts.exp(x) @ ts.ones((4, 4))).sum(), dynamic=True)
    for size in range(2, MOST_PROGRAMS + 12):
        assert float(f(ts.zeros((size, 4)))) == pytest.approx(16 * size)
    family = f.families[0]
    assert len(family.programs) == MOST_PROGRAMS
    assert sum(map(len, f.specialisations.values())) == MOST_PROGRAMS
    arenas = {found.program._addresses.arena.address for found in family.programs.values()}
    assert len(arenas) < 8
    assert float(f(ts.zeros((2, 4)))) == 32  # made again
    assert len(f.traces) == 1


def test_forgetting():
    f = ts.jit(lambda x: x * 2.0, dynamic=True)
    f(floats(3))
    gone = weakref.ref(f.families[0])
    f.forget()
    gc.collect()
    assert gone() is None
    same(f(ts.ones(3)), ts.full((3,), 2.0))


# --- mistakes --------------------------------------------------------------------------------------------


def test_mistakes_in_declarations():
    def f(x, y):
        return x + y

    with pytest.raises(errors.ArgumentError, match="names the argument 'z'; the function has x, y"):
        ts.jit(f, dynamic={"z": {0: "n"}})
    with pytest.raises(errors.ArgumentTypeError, match="dynamic is 3; expected names of arguments"):
        ts.jit(f, dynamic=3)
    with pytest.raises(errors.ArgumentTypeError, match="axis 'a'; expected integers"):
        ts.jit(f, dynamic={"x": {"a": "n"}})
    with pytest.raises(errors.ArgumentTypeError, match="expected a name, such as 'batch'"):
        ts.jit(f, dynamic={"x": {0: "a b"}})
    with pytest.raises(errors.AxisError, match=r"axis 2 of x, of which a tensor of shape \(3,\)"):
        ts.jit(f, dynamic={"x": {2: "n"}})(ts.ones(3), ts.ones(3))


def test_dimensions_of_one_name_must_be_equal():
    f = ts.jit(lambda x, y: x.sum() + y.sum(), dynamic={"x": {0: "n"}, "y": {0: "n"}})
    f(ts.ones(3), ts.ones(3))
    with pytest.raises(errors.ShapeError, match=r"'n' is 3 in x \(axis 0\) and 4 in y \(axis 0\)"):
        f(ts.ones(3), ts.ones(4))


def test_a_size_that_is_kept_says_so():
    kept = []
    keep = kept.append

    def f(x):
        keep(x.shape[0])
        return x * 2.0

    ts.jit(f, dynamic=True)(ts.ones(3))
    assert str(kept[0]) == "n"
    with pytest.raises(errors.TracedValueError, match="kept from a traced function that has ended"):
        range(kept[0])


# --- what is asked of sizes, and for which of them ----------------------------------------------------------


def asked(question):
    """The guards that a question leaves, asked as code of a user's, and as code of a file of the package."""
    found = []
    for file in ("a script", scopes.__file__):
        scope = scopes.Scope({"n": 8})
        names = {
            "n": scope.symbol("n"),
            "for_all": for_all,
            "for_this_call": for_this_call,
        }
        assert eval(compile(question, file, "eval"), names)
        found.append([str(guard) for guard in scope.guards])
    assert found[0] == found[1]
    return found[0]


def test_a_question_is_asked_for_all_sizes_or_for_this_call():
    assert (
        asked("n > 1")
        == asked("for_this_call(n) > 1")
        == asked("1 < n")
        == asked("n > 1.0")
        == ["n > 1"]
    )
    assert asked("bool(n)") == ["n != 0"]
    for question in ("for_all(n) > 1", "1 < for_all(n)", "bool(for_all(n))", "for_all(n) != 1"):
        assert asked(question) == []
    assert asked("for_all(n) > 2") == ["n > 2"]
    assert for_all(3) == for_this_call(3) == 3


def test_what_rules_ask_holds_for_all_sizes_and_what_is_asked_for_this_call_leaves_a_guard():
    scope = scopes.Scope({"n": 8})
    n = scope.symbol("n")
    trace = Trace()
    trace.scope = scope
    with tracing(trace):
        with ours():
            assert n > 1
            assert scope.guards == {}
            assert for_this_call(n) > 1
        assert [str(guard) for guard in scope.guards] == ["n > 1"]
        assert scope.least == 0

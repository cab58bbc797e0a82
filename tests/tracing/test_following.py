"""Following code leaves others that do the same alone, and says clearly what it cannot have."""

import collections
import sys
import threading
import types

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.tracing.following import following


def test_another_tracer_goes_on():
    lines, config = [], types.SimpleNamespace(k=2.0)

    def step(x):
        y = x * config.k
        return y + 1

    def tracer(frame, event, argument):
        if frame.f_code is not step.__code__:
            return None
        lines.append((event, frame.f_lineno - step.__code__.co_firstlineno))
        return tracer

    compiled = ts.jit(step)
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        compiled(ts.ones(1))
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert [line for event, line in lines if event == "line"] == [1, 2]
    config.k = 5.0
    assert compiled(ts.ones(1)).tolist() == [6.0]


class Recorder:
    def __init__(self, code):
        self.code, self.offsets, self.results = code, [], []

    def begins(self, frame):
        return frame.f_code is self.code

    def wants_result(self, caller):
        return caller is not None and caller.f_code is self.code

    def instruction(self, frame, offset):
        self.offsets.append(offset)

    def returns(self, caller, result):
        self.results.append(result)


def test_the_first_run_of_a_function_is_seen():
    def helper(x):
        return x + 1

    def function(x):
        return helper(x) * 2

    recorder = Recorder(function.__code__)
    with following(recorder):
        function(1)
    assert recorder.results == [2]
    assert len(recorder.offsets) > 3
    seen = len(recorder.offsets)
    function(1)
    assert len(recorder.offsets) == seen  # the block has ended


def test_other_threads_are_left_alone():
    def function(x):
        return x + 1

    recorder = Recorder(function.__code__)
    with following(recorder):
        thread = threading.Thread(target=function, args=(1,))
        thread.start()
        thread.join()
    assert recorder.offsets == []


def test_an_exception_takes_back_what_was_written():
    state = types.SimpleNamespace(n=0, items=[1], table={"a": 1})

    @ts.jit
    def step(x):
        state.n += 1
        state.items.append(x)
        state.table["a"] = x
        raise KeyError("stopped")

    for _ in range(2):
        with pytest.raises(KeyError, match="stopped"):
            step(ts.ones(1))
    assert vars(state) == {"n": 0, "items": [1], "table": {"a": 1}}


class Thing:
    pass


def popping(x, state):
    state.items.pop()
    return x


def making(x, state):
    state.thing = Thing()
    return x


def rebinding(x, state):
    thing = None

    def inner():
        nonlocal thing
        thing = Thing()

    inner()
    return x if thing else -x


def deleting(x, state):
    del state.n
    return x


def dropping(x, state):
    del state.table["a"]
    return x


def filling(x, state):
    state.array[0] = 5
    return x


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (popping, r"items are taken away from state.items, a list from outside.*return what is new"),
        (making, r"state.thing is from outside the traced function and is given a Thing made in it.*tensors and numbers"),
        (deleting, r"state.n is deleted in a traced function, which a program does not repeat"),
        (dropping, r"items are taken away from state.table, a dict from outside"),
        (filling, r"a NumPy array from outside \(state.array\) is written to.*let it be a tensor"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)  # fmt: skip
def test_what_a_program_cannot_repeat_is_refused_with_its_line(function, text):
    state = types.SimpleNamespace(n=0, items=[3, 1], table={"a": 1}, array=np.ones(2, np.float32))
    compiled = ts.jit(lambda x: function(x, state))
    line = function.__code__.co_firstlineno + 1
    with pytest.raises(
        errors.SideEffectError, match=rf"test_following.py:{line} in {function.__name__}: {text}"
    ):
        compiled(ts.ones(1))
    assert (state.n, state.items, state.table) == (0, [3, 1], {"a": 1})


def test_a_tensor_is_used_in_one_way():
    total = ts.zeros(2)

    @ts.jit
    def add(x):
        global_total = total
        global_total += x
        return global_total.sum()

    assert add(ts.ones(2)).tolist() == 2.0
    with pytest.raises(
        errors.SideEffectError, match=r"add: the tensor of shape \(2,\) that is input 0 is used by"
    ):
        add(total)
    assert total.tolist() == [1.0, 1.0]


def test_a_numpy_argument_is_not_written_to():
    def change(x):
        x[0] = 5.0
        return x

    with pytest.raises(
        errors.SideEffectError,
        match=r"change: a NumPy array that was given as an argument is changed",
    ):
        ts.jit(change)(np.ones(2, np.float32))


def test_large_arrays_whose_elements_are_looked_at_are_refused():
    large = np.ones(100_000, np.float32)
    mean = ts.jit(lambda x: x * float(np.mean(large)))
    with pytest.raises(
        errors.SideEffectError,
        match=r"shape \(100000,\) from outside \(large\) are looked at.*ts.asarray",
    ):
        mean(ts.ones(1))
    large.flags.writeable = False
    assert mean(ts.ones(1)).tolist() == [1.0]


def test_arguments_that_are_containers_are_changed():
    Pair = collections.namedtuple("Pair", "items table")

    def change(pair, batch):
        labels = batch.pop("labels")
        pair.items.append(labels * 2)
        pair.table["h"] = pair.table["h"] + labels
        batch["x"] = batch["x"] * 2
        return labels

    for jit in (lambda f: f, ts.jit):
        compiled = jit(change)
        for _ in range(2):
            pair, batch = Pair([], {"h": ts.zeros(1)}), {"labels": ts.ones(1), "x": ts.ones(1)}
            compiled(pair, batch)
            compiled(pair, {**batch, "labels": ts.ones(1)})
            assert [x.tolist() for x in pair.items] == [[2.0], [2.0]]
            assert pair.table["h"].tolist() == [2.0]
            assert batch["x"].tolist() == [2.0]
            assert list(batch) == ["x"]


def test_explain_lists_guards_and_the_broken_one():
    config = types.SimpleNamespace(k=2.0, n=0)

    def step(x):
        config.n = config.n + 0
        return x * config.k

    compiled = ts.jit(step)
    compiled(ts.ones(1))
    text = str(compiled.explain())
    assert "config.k is 2.0" in text
    assert "config.k is 2.0" in compiled.explain().guards
    assert "broken by now" not in text
    config.k = 3.0
    assert "broken by now: config.k is 3.0 now, it was 2.0" in str(compiled.explain())


@pytest.mark.parametrize(
    "function",
    [
        lambda x, a: x * (-a), lambda x, a: sum(x * v for v in a), lambda x, a: x * 2 if (a > 2).all() else x,
        lambda x, a: x * ts.asarray(a[::-1]), lambda x, a: x * a[None, :], lambda x, a: x + a.T * 2,
        lambda x, a: x * a.sum(), lambda x, a: x @ ts.asarray(a.tolist()), lambda x, a: x * float(a[0]),
        lambda x, a: (lambda u, v: x * u + v)(*a), lambda x, a: x + np.outer(a, a)[0], lambda x, a: x @ ts.asarray(a),
        lambda x, a: ts.vmap(lambda y: y * ts.asarray(a).sum())(x), lambda x, a: ts.stack([x, ts.asarray(a)]),
    ],
)  # fmt: skip
def test_numpy_arrays_from_outside_may_change(function):
    array, x = np.array([1.0, 2.0], np.float32), ts.asarray([1.0, -1.0])
    compiled = ts.jit(lambda x: function(x, array))
    for numbers in ([1, 2], [3, 4], [0, -1]):
        array[:] = numbers
        np.testing.assert_allclose(compiled(x).numpy(), function(x, array).numpy(), rtol=1e-6)


def test_a_list_that_holds_itself():
    items = [1.0]
    items.append(items)
    assert ts.jit(lambda x: x * len(str(items)))(ts.ones(1)).tolist() == [12.0]


def test_results_do_not_change_with_a_numpy_array_from_outside():
    table, weight = np.ones(2, np.float32), ts.ones(2).requires_grad_()
    given = ts.jit(lambda x: (ts.asarray(table), ts.asarray(table)[1:], ts.asarray(table[::-1])))(
        ts.ones(1)
    )
    loss = ts.jit(lambda x: (weight * table * x).sum())(ts.ones(1))
    table[:] = 9
    loss.backward()
    assert [part.tolist() for part in given] == [[1.0, 1.0], [1.0], [1.0, 1.0]]
    assert weight.grad.tolist() == [1.0, 1.0]


def test_the_line_of_a_variable_is_told():
    thing = None

    def rebind(x):
        nonlocal thing
        thing = Thing()
        return x

    line = rebind.__code__.co_firstlineno + 2
    with pytest.raises(
        errors.SideEffectError, match=rf"test_following.py:{line} in rebind: thing is from outside"
    ):
        ts.jit(rebind)(ts.ones(1))
    assert thing is None


def test_variables_of_functions_that_are_traced_are_their_own():
    assert ts.jit(lambda x: rebinding(x, None))(ts.ones(1)).tolist() == [1.0]


_colours = None


def test_modules_may_be_imported_when_they_are_needed_first():
    def step(x):
        global _colours
        if _colours is None:
            import colorsys as _colours
        return x * _colours.rgb_to_hsv(0.5, 0.5, 0.5)[2]

    compiled = ts.jit(step)
    for _ in range(3):
        assert compiled(ts.ones(1)).tolist() == [0.5]
    assert len(compiled.traces) == 2

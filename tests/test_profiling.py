"""`profile`: what is recorded, that it nests, and that the trace keeps to the format."""

import itertools
import json
import threading

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.compiler.observe import settings
from tessella.nn import functional as F
from tessella.targets.cpu import threads


@ts.jit
def step(x, y):
    ts.debug.print("{}", x.shape)
    return (x @ y).sum(axis=0), ts.argsort(x), ts.take(x, ts.asarray([0, 1]), axis=0)


@pytest.fixture
def arguments():
    return ts.randn(64, 32), ts.randn(32, 48)


def test_everything_that_runs_is_recorded(arguments, capsys):
    with ts.profile() as p:
        for _ in range(3):
            step(*arguments)
        ts.exp(arguments[0]).sum()
    rows = {(row.kind, row.name): row for row in p.rows()}
    assert rows["program", "step"].calls == 3
    assert rows["program", "step"].where.line == step.function.__code__.co_firstlineno
    product = rows["kernel", "product"]
    assert product.calls == 3
    assert product.shapes == "float32[64,32], float32[32,48]"
    assert product.where.function == "step"
    assert rows["host", "ArgSort"].calls == 3
    assert rows["host", "debug.print"].calls == 3
    assert rows["eager", "exp"].shapes == "float32[64,32]"
    assert rows["eager", "sum"].where.file == __file__
    assert capsys.readouterr().out.count("(64, 32)") == 3


def test_eager_operations_of_a_backward_pass_name_the_forward_line():
    x = ts.ones(3).requires_grad_()
    with ts.profile() as p:
        y = ts.exp(x)
        y.sum().backward()
    first, *rest = [event.where for event in p.events if "exp" in event.name and event.where]
    assert not first.backward
    assert rest == [first._replace(backward=True)]


def test_compilation_is_recorded():
    f = ts.jit(lambda x: ts.exp(x) * 3.25)
    with ts.profile() as p:
        f(ts.ones(7))
    names = {event.name for event in p.events if event.kind == "compile"}
    assert {"trace <lambda>", "fuse <lambda>", "lower", "machine_code"} <= names


def test_kernels_lie_within_their_program_one_after_the_other(arguments):
    step(*arguments)
    with ts.profile() as p:
        step(*arguments)
    programs = [event for event in p.events if event.kind == "program"]
    assert [event.name for event in programs] == ["step"]  # what is done once was done before
    inside = [event for event in p.events if event.kind in ("kernel", "host")]
    assert len(inside) >= 5
    for event in inside:
        assert any(q.begin <= event.begin <= event.end <= q.end for q in programs)
    program = programs[-1]
    assert all(a.end <= b.begin for a, b in itertools.pairwise(inside))
    assert p.begin <= program.begin
    assert program.end <= p.end


@pytest.mark.parametrize("count", [1, 2])
def test_results_are_those_without_a_profile(count):
    results = []
    for profiled in (False, True):
        ts.manual_seed(0)
        model = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 5))
        optimiser = optim.Adam(model.parameters())

        @ts.jit
        def train(x, model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), ts.zeros(300, dtype=ts.int64))
            loss.backward()
            optimiser.step()
            return loss

        x = ts.randn(300, 200)
        with threads.limited(count):
            if profiled:
                with ts.profile():
                    losses = [train(x).item() for _ in range(4)]
            else:
                losses = [train(x).item() for _ in range(4)]
        results.append((losses, model[0].weight.numpy().copy()))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_the_trace_keeps_to_the_format(arguments, tmp_path):
    """Trace Event Format: complete events with times in microseconds, that nest on their thread."""
    path = tmp_path / "trace.json"
    with ts.profile() as p:
        step(*arguments)
        ts.exp(arguments[0])
    p.to_chrome(path)
    trace = json.loads(path.read_text())
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    metadata = [event for event in trace["traceEvents"] if event["ph"] == "M"]
    assert {event["name"] for event in metadata} == {"process_name", "thread_name"}
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert len(complete) == len(p.events)
    assert len(metadata) + len(complete) == len(trace["traceEvents"])
    stack = []
    for event in complete:
        assert {"ph", "name", "cat", "ts", "dur", "pid", "tid", "args"} == set(event)
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        while stack and stack[-1] <= event["ts"] + 1e-3:  # a nanosecond: ends are sums of floats
            stack.pop()
        end = event["ts"] + event["dur"]
        assert not stack or end <= stack[-1] + 1e-3
        stack.append(end)
    product = next(event for event in complete if event["name"] == "product")
    assert product["args"]["operands"] == "float32[64,32], float32[32,48]"
    assert "test_profiling.py" in product["args"]["line"]


def test_the_table(arguments):
    with ts.profile() as p:
        ts.exp(arguments[0])
    text = str(p)
    assert text == repr(p)
    assert "in all, " in text
    assert "eager    exp\n        float32[64,32]\n" in text
    assert f"{__file__}:" in text


def test_nobody_looks_on_before_and_afterwards(arguments):
    p = ts.profile()

    def failing():
        with p:
            ts.exp(arguments[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    count = len(p.events)
    ts.exp(arguments[0])
    step(*arguments)
    assert len(p.events) == count
    assert (settings.key, settings.observers, settings.witnesses) == ("cpu", (), ())


def test_other_threads_are_left_alone(arguments):
    with ts.profile() as p:
        thread = threading.Thread(target=lambda: ts.exp(arguments[0]))
        thread.start()
        thread.join()
    assert p.events == []


def test_profiles_in_profiles_and_with_other_observers(arguments):
    with ts.profile() as outer, ts.debug.check_nan(), ts.profile() as inner:
        ts.exp(arguments[0])
    assert [event.name for event in outer.events if event.kind == "eager"] == ["exp"]
    assert [event.name for event in inner.events if event.kind == "eager"] == ["exp"]


def test_an_error_in_a_program_is_the_same():
    f = ts.jit(lambda x, i: ts.take(x, i))
    with ts.profile(), pytest.raises(errors.IndexingError, match=r"test_profiling.py:\d+ in"):
        f(ts.ones(3), ts.asarray([7]))


def test_a_profile_is_taken_once():
    p = ts.profile()
    with p:
        pass
    with pytest.raises(errors.ArgumentError, match="make another"), p:
        pass

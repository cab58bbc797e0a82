"""Compiled functions when things go wrong, or happen at the same time."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import autodiff, errors, files, nn, optim
from tessella.nn import functional as F
from tessella.targets.cpu import cache, engine, threads


def network():
    ts.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def contents(model):
    return {name: np.array(value.numpy()) for name, value in model.state_dict().items()}


def assert_untouched(model, before):
    for name, value in contents(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert autodiff.mode.trace is None
    assert autodiff.is_enabled()
    for parameter in model.parameters():
        assert type(parameter._value).__name__ == "Array"


def training(model, inside=lambda: None):
    optimiser = optim.Adam(model.parameters(), lr=0.01)

    def step(x):
        optimiser.zero_grad()
        loss = (model(x) ** 2).mean()
        inside()
        loss.backward()
        optimiser.step()
        return loss

    return step


def expected_losses(count):
    step = training(network())
    return [step(ts.ones((2, 4))).item() for _ in range(count)]


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["value_of", "record", "set_gradient", "rebound", "end"])
def test_an_interruption_while_tracing(name, monkeypatch):
    from tessella.tracing.trace import Trace

    model = network()
    before = contents(model)
    step = ts.jit(training(model))
    original, calls = getattr(Trace, name), []

    def interrupted(self, *args):
        calls.append(name)
        if name == "end":
            original(self, *args)
        if len(calls) == (1 if name in ("rebound", "end") else 3):
            signal.raise_signal(signal.SIGINT)
        return original(self, *args)

    monkeypatch.setattr(Trace, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(ts.ones((2, 4)))
    monkeypatch.undo()
    assert_untouched(model, before)
    losses = [step(ts.ones((2, 4))).item() for _ in range(3)]
    np.testing.assert_allclose(losses, expected_losses(3), rtol=1e-5)


@pytest.mark.parametrize("place", ["_optimise", "_link", "cache.store", "cache.replace"])
@pytest.mark.parametrize("at", [1, 4])
def test_an_interruption_while_compiling(place, at, monkeypatch, tmp_path):
    monkeypatch.setenv("TESSELLA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(engine, "_compiled", {})  # as in a new process
    from tessella.targets.cpu import kernels

    kernels.address_of.cache_clear()
    owner, name = {
        "_optimise": (engine, "_optimise"), "_link": (engine, "_link"),
        "cache.store": (cache, "store"), "cache.replace": (os, "replace"),
    }[place]  # fmt: skip
    original, calls = getattr(owner, name), []

    def interrupted(*args):
        calls.append(name)
        if len(calls) == at:
            raise KeyboardInterrupt  # in a worker, as well as in the thread that gets the signal
        return original(*args)

    model = network()
    before = contents(model)
    step = ts.jit(training(model))
    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(ts.ones((2, 4)))
    monkeypatch.setattr(owner, name, original)
    assert_untouched(model, before)
    entries = list((tmp_path / "kernels").iterdir())
    assert [entry.name for entry in entries if entry.name.startswith(files.UNFINISHED)] == []
    for entry in entries:
        assert cache.load(entry.stem) is not None
    losses = [step(ts.ones((2, 4))).item() for _ in range(3)]
    np.testing.assert_allclose(losses, expected_losses(3), rtol=1e-5)
    kernels.address_of.cache_clear()


def test_an_interruption_between_call_and_bookkeeping(monkeypatch):
    """Every tensor holds something whole, and the next call finds out what."""
    from tessella.transforms.places import Place

    model = network()
    step = ts.jit(training(model))
    x = ts.ones((2, 4))
    kept = model[0].weight.detach()  # so that the next call has something to put
    put, calls = Place.put, []

    def interrupted(self, array):
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        put(self, array)

    monkeypatch.setattr(Place, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(x)
    monkeypatch.undo()
    assert np.isfinite([step(x).item() for _ in range(5)]).all()
    assert type(model[0].weight._value).__name__ == "Array"
    np.testing.assert_array_equal(kept.numpy(), contents(network())["0.weight"])


INTERRUPTED = """
    import threading
    import tessella as ts
    from tessella import nn, optim
    model = nn.Sequential(*[nn.Linear(n, n + 1) for n in range(4, 40)])
    optimiser = optim.Adam(model.parameters())
    @ts.jit
    def step(x):
        optimiser.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss
    def train():
        first = step(ts.ones((2, 4))).item()
        for _ in range(30):
            last = step(ts.ones((2, 4))).item()
        return first, last
    try:
        print("ready", flush=True)
        train()
        threading.Event().wait(60)  # a fast machine is done before the signal comes
        print("no signal came")
    except KeyboardInterrupt:
        pass
    first, last = train()
    assert last < first, (first, last)
    print("fine")
"""


# a signal between open() and the `with` that would close the file leaves it to the collector
WARNINGS = ["-W", "error", "-W", "ignore::ResourceWarning"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("after", [0.02, 0.15, 0.4])
def test_a_real_interruption(after, tmp_path):
    """A signal at some moment of the first calls, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", textwrap.dedent(INTERRUPTED)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TESSELLA_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    threading.Event().wait(after)
    process.send_signal(signal.SIGINT)
    output, complaints = process.communicate(timeout=120)
    assert output == "fine\n", complaints
    ignored = complaints.split("Exception ignored in")[1:]
    # what Python's own imports leave behind is not ours
    assert not [x for x in ignored if "<frozen importlib" not in x], complaints
    entries = (tmp_path / "kernels").glob("*")
    assert not [entry for entry in entries if entry.name.startswith(files.UNFINISHED)]


# --- exceptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["inside", "in no_grad", "in an inner jit", "in a hook"])
def test_after_an_exception_everything_works(where):
    model, broken = network(), [True]

    def complain():
        if broken:
            raise RuntimeError("by the user")

    def inside():
        if where == "inside":
            complain()
        if where == "in no_grad":
            with ts.no_grad():
                complain()
        if where == "in an inner jit":
            ts.jit(complain)()

    def step(x):
        if where == "in a hook":
            x = x.detach().requires_grad_()
            x.register_hook(lambda _: complain())
        return train(x)

    train = training(model, inside)
    before = contents(model)
    compiled = ts.jit(step)
    with pytest.raises(RuntimeError, match="by the user"):
        compiled(ts.ones((2, 4)))
    assert_untouched(model, before)
    broken.clear()
    losses = [compiled(ts.ones((2, 4))).item() for _ in range(3)]
    np.testing.assert_allclose(losses, expected_losses(3), rtol=1e-5)


def test_an_index_out_of_range_leaves_the_program_usable():
    table, total = ts.ones((5, 3)), ts.zeros(3)

    @ts.jit
    def add(index):
        nonlocal total
        total += table[index].sum(axis=0)

    add(ts.asarray([0, 1]))
    with pytest.raises(errors.IndexingError, match="index 7"):
        add(ts.asarray([0, 7]))
    np.testing.assert_array_equal(total.numpy(), [2.0, 2.0, 2.0])
    add(ts.asarray([1, 2]))
    np.testing.assert_array_equal(total.numpy(), [4.0, 4.0, 4.0])


def test_an_index_out_of_range_after_an_assignment_changes_nothing():
    table, count = ts.ones((5, 3)), ts.zeros(2)

    @ts.jit
    def take(index):
        nonlocal count
        count += 1
        return ts.exp(table[ts.cumulative_sum(index)])

    take(ts.asarray([0, 1]))
    for _ in range(2):
        with pytest.raises(errors.IndexingError, match="index 9"):
            take(ts.asarray([2, 7]))
        np.testing.assert_array_equal(count.numpy(), [1.0, 1.0])
    take(ts.asarray([0, 1]))
    np.testing.assert_array_equal(count.numpy(), [2.0, 2.0])


# --- threads --------------------------------------------------------------------------------------


def together(count, work):
    """Run `work(number)` in threads that start at the same moment; gives what they raised."""
    barrier, raised = threading.Barrier(count), []

    def run(number):
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    started = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return raised


def test_functions_are_compiled_in_several_threads_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("TESSELLA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(engine, "_compiled", {})
    shared = ts.randn(16, 16)
    found = {}

    def work(number):
        f = ts.jit(lambda x: ts.tanh(x @ shared) * (number % 3) + x.sum(axis=-1, keepdims=True))
        x = ts.ones((4, 16)) * number
        found[number] = f(x).numpy(), (ts.tanh(x @ shared) * (number % 3) + 16.0 * number).numpy()

    assert together(6, work) == []
    assert len(found) == 6
    for got, expected in found.values():
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_first_call_in_several_threads_is_traced_once():
    f = ts.jit(lambda x: x * 2 + 1)
    assert together(4, lambda n: f(ts.ones(3))) == []
    assert len(f.traces) == 1


def test_one_program_counts_in_several_threads():
    total = ts.zeros(100)

    @ts.jit
    def add(x):
        nonlocal total
        total += x
        return total.sum()

    add(ts.zeros(100))
    assert together(4, lambda n: [add(ts.ones(100)) for _ in range(50)]) == []
    np.testing.assert_array_equal(total.numpy(), np.full(100, 200.0, np.float32))


def test_reading_while_another_thread_trains():
    model = network()
    step = ts.jit(training(model))
    step(ts.ones((2, 4)))
    kept = []

    def work(number):
        for _ in range(50):
            if number == 0:
                step(ts.ones((2, 4)))
            else:
                view = model[0].weight.detach()
                kept.append((view, view.numpy().copy()))

    assert together(3, work) == []
    step(ts.ones((2, 4)))
    for view, seen in kept:
        np.testing.assert_array_equal(view.numpy(), seen)


# --- processes ------------------------------------------------------------------------------------

SHARING = """
    import tessella as ts
    f = ts.jit(lambda x: ts.tanh(x @ x.T).sum(axis=0) * ts.exp(-x[:, 0]))
    x = ts.ones((24, 24)) * 0.125
    print(f(x).sum().item())
"""


def test_ten_processes_share_a_cache(tmp_path):
    environment = {**os.environ, "TESSELLA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(SHARING)]
    processes = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(10)
    ]
    results = [process.communicate(timeout=300) for process in processes]
    assert [complaints for _, complaints in results if complaints] == []
    assert len({output for output, _ in results}) == 1
    names = [entry.name for entry in (tmp_path / "kernels").iterdir()]
    assert names
    assert not [name for name in names if name.startswith(".")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_goes_on_training_and_compiles_more():
    model, same_step = network(), training(network())
    step = ts.jit(training(model))
    x = ts.ones((300, 4))
    step(x)
    expected = [same_step(x).item() for _ in range(4)][1:]
    big = ts.jit(lambda x: (x @ x).sum())
    product = big(ts.ones((300, 300))).item()  # the threads are running
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            losses = [step(x).item() for _ in range(3)]
            fresh = ts.jit(lambda x: ts.log(x * 3.0 + 1.0).sum() * 1.25)
            value = fresh(ts.ones((7, 11))).item()
            right = (
                np.allclose(losses, expected, rtol=1e-4)
                and abs(value - 77 * np.log(4) * 1.25) < 1e-2
            )
            os._exit(0 if right and big(ts.ones((300, 300))).item() == product else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    before = contents(model)  # the child had memory of its own
    step(x)
    assert any((contents(model)[name] != before[name]).any() for name in before)


# --- what a program depends on --------------------------------------------------------------------


def test_recording_is_part_of_what_a_program_is_made_for():
    model = network()
    f = ts.jit(lambda x: model(x))
    x = ts.ones((2, 4))
    assert f(x).requires_grad
    with ts.no_grad():
        assert not f(x).requires_grad
    assert f(x).requires_grad
    assert len(f.traces) == 2
    assert "not recorded now" in f.traces[1]


def test_a_frozen_parameter_is_seen():
    model = network()
    f = ts.jit(lambda x: model(x).sum())
    x = ts.ones((2, 4))
    for frozen in (False, True, False):
        model[0].weight.requires_grad_(not frozen)
        for parameter in model.parameters():
            parameter.grad = None
        f(x).backward()
        assert (model[0].weight.grad is None) is frozen
        assert model[2].weight.grad is not None
    assert "requires a gradient" in f.traces[1]


def test_modes_in_turns_trace_twice():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    f = ts.jit(lambda x: model(x).detach())
    x = ts.ones((2, 4))
    for _ in range(3):
        model.train()
        f(x)
        model.eval()
        np.testing.assert_allclose(f(x).numpy(), model(x).numpy(), rtol=1e-5)
    assert len(f.traces) == 2
    assert "training" in f.traces[1]


def test_the_number_of_threads_may_change_between_calls():
    model = network()
    twin = network()
    step, same_step = ts.jit(training(model)), ts.jit(training(twin))
    x = ts.randn(400, 4)
    for count in (1, 2, 3, 1):
        with threads.limited(count):
            step(x)
        same_step(x)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert len(step.traces) == 1


def test_other_backends_run_the_function_as_it_is():
    from tessella.compiler.eager import backend

    seen = []
    f = ts.jit(lambda x: seen.append("run") or F.gelu(x))
    x = ts.asarray([-1.0, 0.5])
    f(x)
    f(x)
    with backend("reference"):
        np.testing.assert_allclose(f(x).numpy(), F.gelu(x).numpy(), rtol=1e-5)
    assert seen == ["run"] * 3


def test_switched_off_for_everything(monkeypatch):
    monkeypatch.setenv("TESSELLA_JIT", "0")
    model = network()
    step = ts.jit(training(model))
    losses = [step(ts.ones((2, 4))).item() for _ in range(3)]
    np.testing.assert_allclose(losses, expected_losses(3), rtol=1e-6)
    assert step.traces == []

"""Functions that are traced at the same time, in several threads, and share tensors with each other and with eager code."""

import sys
import threading
import types
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.tracing.trace import Traced

ROUNDS = 12


@pytest.fixture(autouse=True)
def _often():
    """Threads take turns within a trace."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    yield
    sys.setswitchinterval(before)


def together(*works):
    """Do some work in threads that begin at once; gives what went wrong."""
    wrong, barrier = [], threading.Barrier(len(works))

    def run(work):
        barrier.wait()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", errors.RetraceWarning)
                work()
        except BaseException as error:  # is looked at
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return wrong


def traced_and_held(inside, *others):
    """Trace a function, and hold it in the middle while others work in another thread."""
    reached, go_on, wrong = threading.Event(), threading.Event(), []

    def pause():
        reached.set()
        assert go_on.wait(60)

    def run():
        try:
            ts.jit(lambda: inside(pause))()
        except BaseException as error:  # is looked at
            wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert reached.wait(60)
    found = [other() for other in others]
    go_on.set()
    thread.join(60)
    assert wrong == []
    return found


def test_another_thread_sees_what_a_tensor_is_while_a_function_that_changes_it_is_traced():
    w, b = ts.ones(3).requires_grad_(), ts.zeros(3)
    w.grad = ts.asarray([1.0, 2.0, 3.0])

    def inside(pause):
        with ts.no_grad():
            w.assign(w * 5.0)
        nonlocal_b[0] += w.detach()
        w.grad = None
        pause()
        assert type((w + 1.0)._value) is Traced
        return w.sum() + b.sum()

    nonlocal_b = [b]
    found = traced_and_held(
        inside,
        lambda: w.tolist(), lambda: (w * 2.0).tolist(), lambda: w.grad.tolist(), lambda: b.tolist(),
        lambda: w.requires_grad and w.is_leaf, lambda: ts.vmap(lambda x: x * w)(ts.ones((1, 3))).tolist(),
        lambda: ts.grad(lambda x: (x * w).sum())(ts.ones(3)).tolist(),
    )  # fmt: skip
    assert found == [
        [1.0] * 3, [2.0] * 3, [1.0, 2.0, 3.0], [0.0] * 3, True, [[1.0] * 3], [1.0] * 3,
    ]  # fmt: skip
    assert (w.tolist(), b.tolist(), w.grad) == ([5.0] * 3, [5.0] * 3, None)


def test_another_thread_traces_with_the_same_tensors_meanwhile():
    w = ts.ones(3).requires_grad_()

    def inside(pause):
        with ts.no_grad():
            w.mul_(2.0)
        pause()
        return (w * w).sum()

    def other():
        y = ts.jit(lambda x: (x * w).sum())(ts.ones(3))
        y.backward()
        return y.item(), w.grad.tolist()

    assert traced_and_held(inside, other) == [(3.0, [1.0, 1.0, 1.0])]
    assert w.tolist() == [2.0] * 3


def test_many_functions_that_read_the_same_tensors_are_traced_at_once():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).eval()
    x = ts.randn(3, 4)
    wanted = model(x).numpy()
    wrong_values = []

    def work():
        for turn in range(ROUNDS):
            got = ts.jit(lambda x: model(x) * float(turn))(x)  # noqa: B023  # it is called here
            if not np.allclose(got.numpy(), wanted * turn, atol=1e-5):
                wrong_values.append(turn)

    def eagerly():
        for _ in range(30 * ROUNDS):
            if not np.allclose(model(x).numpy(), wanted, atol=1e-5):
                wrong_values.append("eager")

    assert together(work, work, work, eagerly) == []
    assert wrong_values == []


def test_eight_threads_are_in_the_middle_of_a_trace_at_the_same_time():
    w, barrier, found = ts.ones(3), threading.Barrier(8), []

    def work(number):
        def f(x):
            nonlocal_w.mul_(2.0)
            barrier.wait(60)
            return x * config.factors[number] + w

        nonlocal_w = ts.ones(3) * float(number)
        config = types.SimpleNamespace(factors={number: float(number)})
        step = ts.jit(f)
        found.append((step(ts.ones(3)) - w - float(number)).tolist())
        assert nonlocal_w.tolist() == [2.0 * number] * 3

    assert together(*[lambda number=number: work(number) for number in range(8)]) == []
    assert found == [[0.0] * 3] * 8


def test_functions_that_change_the_same_tensor_are_traced_at_once_and_lose_nothing():
    total = ts.zeros(4)

    def work():
        for _ in range(ROUNDS):
            step = ts.jit(lambda x: total.add_(x).sum())
            step(ts.ones(4))
            step(ts.ones(4))

    assert together(work, work, work) == []
    assert total.tolist() == [6.0 * ROUNDS] * 4


def test_training_while_another_thread_looks_and_predicts():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimiser = optim.SGD(model.parameters(), lr=0.0)  # what is learned does not matter
    x, seen = ts.randn(6, 4), []
    before = [p.numpy().copy() for p in model.parameters()]

    def train():
        for _ in range(ROUNDS):

            @ts.jit
            def step(x):
                optimiser.zero_grad()
                loss = (model(x) ** 2).mean()
                loss.backward()
                optimiser.step()
                return loss

            step(x)

    def look():
        for _ in range(60 * ROUNDS):
            seen.append(
                all(
                    np.array_equal(p.numpy(), b)
                    for p, b in zip(model.parameters(), before, strict=True)
                )
            )

    assert together(train, look, look) == []
    assert all(seen)


def test_random_numbers_drawn_in_functions_that_are_traced_at_once():
    generator, found = ts.random.Generator(3), []

    def work():
        for _ in range(ROUNDS):
            found.append(tuple(ts.jit(lambda: generator.uniform(4))().tolist()))

    before = generator.state[1]
    assert together(work, work, work) == []
    assert generator.state[1] - before == 3 * ROUNDS


def test_what_python_holds_is_written_by_one_trace_at_a_time():
    """A list, an attribute and a variable of a function around: every trace writes, and takes back, what is its own."""
    config, kept, count = types.SimpleNamespace(last=None, calls=0), [], 0
    lock, calls = threading.Lock(), []

    def step(x):
        nonlocal count
        y = x * 2.0
        kept.append(y)
        config.last = y
        count += 1
        config.calls = config.calls + 1
        return y

    def work():
        for number in range(ROUNDS):
            got = ts.jit(step)(ts.ones(2) * float(number))
            with lock:
                calls.append((number, got.tolist()))

    assert together(work, work, work) == []
    assert all(values == [2.0 * number] * 2 for number, values in calls)
    assert len(kept) == 3 * ROUNDS
    assert sorted(x.tolist() for x in kept) == sorted(values for _, values in calls)
    assert config.last.tolist() in [values for _, values in calls]
    assert 1 <= count <= 3 * ROUNDS
    assert 1 <= config.calls <= 3 * ROUNDS


def test_a_number_that_is_lent_to_a_trace_is_a_number_for_the_others():
    config, wrong = types.SimpleNamespace(rate=1.0), []
    steps = [ts.jit(lambda x: x * config.rate) for _ in range(3)]

    def work(step):
        for number in range(ROUNDS):
            config.rate = float(number)
            got = step(ts.ones(2)).tolist()
            if got[0] not in {float(n) for n in range(ROUNDS)}:
                wrong.append(got)

    assert together(*[lambda step=step: work(step) for step in steps]) == []
    assert wrong == []
    assert type(config.rate) is float


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_what_goes_wrong_in_a_trace_leaves_nothing_to_be_put_back(kind):
    w, b = ts.ones(3).requires_grad_(), ts.zeros(3)
    held = w._value, w._node, b._value

    def f():
        with ts.no_grad():
            w.mul_(2.0)
        b[0] = 7.0
        w.grad = ts.ones(3)
        assert (w._value, w._node, b._value) == held
        raise kind

    for _ in range(2):
        with pytest.raises(kind):
            ts.jit(f)()
        assert (w._value, w._node, b._value) == held
        assert w.grad is None

    def example(x):
        b[0] = 7.0
        assert x.shape == w.shape == (3,)
        raise kind

    with pytest.raises(kind):
        ts.vmap(example)(ts.ones((2, 3)))
    assert (w._value, w._node, b._value) == held


def test_a_module_is_called_with_other_parameters_in_a_trace_while_another_thread_calls_it():
    model, x = nn.Linear(2, 1), ts.ones((1, 2))
    expected = model(x).item()
    state = {"weight": ts.asarray([[3.0, 4.0]]), "bias": ts.asarray([5.0])}

    class Held(nn.Module):
        def __init__(self, pause):
            super().__init__()
            self.inner, self.pause = model, pause

        def forward(self, x):
            y = self.inner(x)
            self.pause()
            return y + self.inner.weight.sum()

    got = []

    def inside(pause):
        names = {f"inner.{name}": tensor for name, tensor in state.items()}
        y = nn.functional_call(Held(pause), names, x)
        got.append(y)
        return y

    found = traced_and_held(
        inside,
        lambda: model(x).item(),
        lambda: ts.jit(model)(x).item(),
        lambda: nn.functional_call(model, {"bias": ts.zeros(1)}, x).item(),
        lambda: ts.grad(lambda m: m(x).sum())(model)["weight"].tolist(),
    )
    bias = model.bias.item()
    assert found == [
        pytest.approx(expected),
        pytest.approx(expected),
        pytest.approx(expected - bias),
        [[1.0, 1.0]],
    ]
    call = ts.jit(lambda state, x: nn.functional_call(model, state, x))
    assert call(state, x).item() == 12.0
    assert model(x).item() == pytest.approx(expected)

"""What compiled programs write in place, and what they must never write over."""

import gc
import subprocess
import sys

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.devices import words
from tessella.nn import functional as F
from tessella.targets.cpu import buffers, watch
from tessella.transforms import places, state


@pytest.fixture(params=["native", "in Python", "fresh memory"])
def watched(request, monkeypatch):
    """The ways of looking after tensors: a native loop, what other interpreters do, and not at all.

    Gives whether anything is written in place.
    """
    if request.param == "native":
        if not places.may_write_over():
            pytest.skip("TESSELLA_IN_PLACE is 0")
        assert places.is_watchable()
        return True
    monkeypatch.setattr(state, "is_watchable", lambda: False)
    if request.param == "fresh memory":
        for module in (places, state):
            monkeypatch.setattr(module, "may_write_over", lambda: False)
    return places.may_write_over()


def training(optimiser=lambda p: optim.Adam(p, lr=0.01), reads_gradients=False):
    ts.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    chosen = optimiser(model.parameters())

    def step(x):
        if not reads_gradients:
            chosen.zero_grad()
        loss = F.mse_loss(model(x), ts.zeros((x.shape[0], 1)))
        loss.backward()
        chosen.step()
        return loss

    return model, step


def addresses(model):
    found = [p._value.address for p in model.parameters()]
    return found + [p.grad._value.address for p in model.parameters()]


def batches():
    random = np.random.default_rng(0)
    sizes = [16, 16, 5, 16, 16, 5, 5, 16]  # as at the end of an epoch
    return [ts.asarray(random.standard_normal((n, 4)).astype(np.float32)) for n in sizes]


@pytest.mark.parametrize("reads_gradients", [False, True])
def test_programs_for_two_sizes_write_to_the_same_memory(watched, reads_gradients):
    model, step = training(reads_gradients=reads_gradients)
    other, same_step = training(reads_gradients=reads_gradients)
    compiled = ts.jit(step)
    seen = []
    for _ in range(3):
        for x in batches():
            assert compiled(x).item() == pytest.approx(same_step(x).item(), rel=1e-4)
            seen.append(addresses(model))
    assert not watched or all(found == seen[-1] for found in seen[len(batches()) :])
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_both_programs_are_settled(watched):
    _, step = training()
    compiled = ts.jit(step)
    for x in batches() * 2:
        compiled(x)
    states = [s.state for found in compiled.specialisations.values() for s in found]
    assert [s.is_settled() for s in states] == [watched] * 2


def collect_all():
    """Until nothing is left: what one round frees may let go of more, of other tests too."""
    while gc.collect():
        pass


def test_nothing_grows():
    model, step = training()
    compiled = ts.jit(step)
    evaluate = ts.jit(lambda x: model(x).detach())
    for x in batches():
        compiled(x)
        evaluate(x)
    users = [len(p.users) for s in compiled.specialisations.values() for p, _ in s[0].state.places]

    def growth():
        """By how many objects and cached bytes a round grows."""
        collect_all()
        objects, cached = len(gc.get_objects()), buffers.statistics().cached_bytes
        for x in batches() * 5:
            compiled(x)
            evaluate(x)
        collect_all()
        return len(gc.get_objects()) - objects, buffers.statistics().cached_bytes - cached

    # what other tests let go of meanwhile may show once, what the programs keep shows every time
    rounds = [growth() for _ in range(3)]
    assert min(objects for objects, _ in rounds) <= 20
    assert min(cached for _, cached in rounds) <= 0
    assert users == [
        len(p.users) for s in compiled.specialisations.values() for p, _ in s[0].state.places
    ]


def test_training_and_evaluation_in_turns(watched):
    model, step = training()
    compiled = ts.jit(step)
    evaluate = ts.jit(lambda x: F.sigmoid(model(x)).detach())  # keeps packed weights
    x = batches()[0]
    for turns in (1, 2, 3, 1, 1):
        for _ in range(turns):
            compiled(x)
        for _ in range(turns):
            expected = F.sigmoid(model(x)).numpy()
            np.testing.assert_allclose(evaluate(x).numpy(), expected, rtol=1e-5)


KEEP = {
    "a tensor on the same array": lambda p: p.detach(),
    "a view": lambda p: p.detach().reshape(-1)[2:],
    "a NumPy array": lambda p: p.numpy(),
    "the gradient": lambda p: p.grad,
    "a view of the gradient": lambda p: p.grad.T,
    "a NumPy array of the gradient": lambda p: p.grad.numpy(),
    "the history": lambda p: (p * p).sum(),
    "what NumPy made through DLPack": lambda p: np.from_dlpack(p.detach()),
}


@pytest.mark.parametrize("keep", KEEP.values(), ids=KEEP)
@pytest.mark.parametrize("settled", [False, True])
def test_what_is_kept_stays(watched, keep, settled):
    model, step = training()
    compiled = ts.jit(step)
    x = batches()[0]
    for _ in range(3 if settled else 1):
        compiled(x)
    weight = model[0].weight
    kept = keep(weight)
    if isinstance(kept, ts.Tensor) and kept.requires_grad:
        before = kept.item()
        kept_gradient = ts.gradients([kept], [weight], retain_graph=True)[0].numpy().copy()
    else:
        before = np.array(kept)
    first = weight.numpy().copy()
    for _ in range(3):
        compiled(x)
    assert (weight.numpy() != first).any()
    if isinstance(kept, ts.Tensor) and kept.requires_grad:
        assert kept.item() == before
        again = ts.gradients([kept], [weight])[0].numpy()
        np.testing.assert_array_equal(again, kept_gradient)
    else:
        np.testing.assert_array_equal(np.array(kept), before)


def test_once_nobody_holds_it_memory_is_written_in_place_again(watched):
    model, step = training()
    compiled = ts.jit(step)
    x = batches()[0]
    kept = model[0].weight.numpy()
    for _ in range(3):
        compiled(x)
    del kept
    compiled(x)
    before = addresses(model)
    compiled(x)
    assert not watched or addresses(model) == before


def test_memory_of_others_is_never_written(watched):
    data = np.ones(64, np.float32)
    weight = ts.from_dlpack(data)

    @ts.jit
    def double():
        weight.assign(weight * 2)

    for _ in range(3):
        double()
    np.testing.assert_array_equal(data, np.ones(64, np.float32))
    np.testing.assert_array_equal(weight.numpy(), data * 8)


def test_a_part_of_a_larger_array_is_not_written_at_its_beginning(watched):
    base = np.arange(100_000, dtype=np.float32)
    part = ts.asarray(base)[3:]

    @ts.jit
    def shift():
        part.assign(part + 1)

    for _ in range(3):
        shift()
    np.testing.assert_array_equal(part.numpy(), base[3:] + 3)


def test_a_transposed_parameter_is_traced_again_once_it_lies_in_order(watched):
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    weight = ts.asarray(base).T

    @ts.jit
    def shift():
        weight.assign(weight + 1)

    for _ in range(4):
        shift()
    np.testing.assert_array_equal(weight.numpy(), base.T + 4)
    assert len(shift.traces) == 2


def test_explaining_does_not_disturb_the_next_call(watched):
    weight = ts.ones(3)

    @ts.jit
    def double():
        weight.assign(weight * 2)
        return weight.sum()

    for call in range(3):
        double()
        double()
        double.explain()
        np.testing.assert_array_equal(weight.numpy(), np.full(3, 4.0 ** (call + 1), np.float32))


def test_loading_a_checkpoint_between_calls(watched):
    model, step = training()
    compiled = ts.jit(step)
    x = batches()[0]
    compiled(x)
    saved = {name: np.array(value.numpy()) for name, value in model.state_dict().items()}
    losses = [compiled(x).item()]
    for _ in range(2):
        model.load_state_dict({name: ts.asarray(value) for name, value in saved.items()})
        losses.append(compiled(x).item())
    assert losses[0] == losses[1] == losses[2]
    assert len(compiled.traces) == 1


def test_gradients_that_are_taken_away_outside(watched):
    model, step = training(reads_gradients=True)
    compiled = ts.jit(step)
    x = batches()[0]
    for _ in range(4):
        for parameter in model.parameters():
            parameter.grad = None
        compiled(x)
    before = addresses(model)
    for parameter in model.parameters():
        parameter.grad = None
    compiled(x)
    assert not watched or addresses(model) == before
    assert len(compiled.traces) == 1


def test_gradients_that_are_taken_away_inside(watched):
    weight = ts.ones(3).requires_grad_()

    @ts.jit
    def step(x):
        (weight * x).sum().backward()
        with ts.no_grad():
            weight.assign(weight - weight.grad)
        weight.grad = None

    for call in range(1, 4):
        step(ts.ones(3))
        assert weight.grad is None
        np.testing.assert_array_equal(weight.numpy(), np.full(3, 1.0 - call, np.float32))


def test_an_argument_that_is_a_parameter(watched):
    weight = ts.ones(3)

    @ts.jit
    def add(x):
        weight.assign(weight + x)
        return x * 1.0

    add(ts.ones(3))
    for call in range(2, 5):
        shown = add(weight.detach())
        assert shown[0].item() == 2.0 ** (call - 1)
        assert weight[0].item() == 2.0**call


def test_two_functions_on_the_same_state(watched):
    total = ts.zeros(3)

    @ts.jit
    def up(x):
        nonlocal total
        total += x

    @ts.jit
    def down(x):
        nonlocal total
        total -= x
        return total

    up(ts.ones(3))
    down(ts.ones(3))
    for _ in range(3):
        up(ts.ones(3) * 2)
        up(ts.ones(3))
        shown = down(ts.ones(3) * 3)
        np.testing.assert_array_equal(shown.numpy(), np.zeros(3))
        del shown
    up(ts.ones(3))
    address = total._value.address
    for _ in range(3):
        up(ts.ones(3))
        assert not watched or total._value.address == address
    np.testing.assert_array_equal(total.numpy(), np.full(3, 4.0, np.float32))


def test_programs_that_check_indices_write_in_place(watched):
    # the gradient of the last layer is there before the one of the embedding, which takes indices again
    model = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))
    optimiser = optim.SGD(model.parameters(), lr=0.1)

    @ts.jit
    def step(tokens):
        optimiser.zero_grad()
        loss = (model(tokens) ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss

    tokens = ts.asarray(np.arange(20))
    step(tokens)
    step(tokens)
    before = [p._value.address for p in model.parameters()]
    for _ in range(3):
        step(tokens)
        assert not watched or [p._value.address for p in model.parameters()] == before
    weights = [p.numpy().copy() for p in model.parameters()]
    with pytest.raises(IndexError):
        step(ts.asarray(np.arange(31, 51)))
    for p, weight in zip(model.parameters(), weights, strict=True):
        np.testing.assert_array_equal(p.numpy(), weight)


def test_one_kernel_writes_a_tensor_and_reads_what_it_was():
    """All that a turn reads is read before any of its results is stored: one may lie where it is read."""
    p = ts.asarray(np.arange(20000, dtype=np.float32))

    @ts.jit
    def step(g):
        h, old = ts.exp(g), p.detach()
        p.assign(h * 2.0)
        return old * 0.01 + h

    for k in range(4):
        before = p.numpy().copy()
        out = step(ts.ones(20000) * float(k))
        np.testing.assert_allclose(out.numpy(), before * 0.01 + np.exp(np.float32(k)), rtol=1e-5)
    (kernel,) = step.source("loops").split("\n\n")
    assert kernel.count("y1[j] =") == 1


# --- generators --------------------------------------------------------------------------------------------


def test_the_state_of_a_generator_is_a_captured_tensor():
    generator, other = ts.random.Generator(3), ts.random.Generator(3)
    f = ts.jit(lambda x: (x + generator.uniform(x.shape), x * generator.normal(x.shape)))
    x = ts.ones(4)
    for _ in range(3):
        uniform, normal = f(x)
        assert uniform.tolist() == (x + other.uniform((4,))).tolist()
        assert normal.tolist() == (x * other.normal((4,))).tolist()
    assert generator.state == other.state == (3, 9)
    assert len(f.traces) == 1
    generator.state = (3, 0)
    other.state = (3, 0)
    assert f(x)[0].tolist() == (x + other.uniform((4,))).tolist()


SEEDING = """
import tessella as ts

@ts.jit
def f(x):
    ts.manual_seed(5)
    return x + ts.rand(3)

first = f(ts.zeros(3))
ts.rand(2)
assert f(ts.zeros(3)).tolist() == first.tolist()
ts.manual_seed(5)
assert ts.rand(3).tolist() == first.tolist()
ts.manual_seed(7)
f(ts.zeros(3))
with ts.device("emulated"):
    assert ts.rand(3).tolist() == first.tolist()  # what a program seeded with holds everywhere
"""


def test_a_compiled_function_may_seed():
    """In a process of its own, whose first draw it is."""
    subprocess.run([sys.executable, "-c", SEEDING], check=True)


def test_a_compiled_function_seeds_one_device():
    generator = ts.random.Generator(1)
    generator.uniform((2,))
    with ts.device("emulated"):
        generator.uniform((2,))
    with pytest.raises(
        errors.DeviceError, match="drawn on cpu and on emulated, and a program works on one"
    ):
        ts.jit(lambda: generator.seed(3))()
    generator.seed(3)
    assert generator.state == (3, 0)


def test_a_failing_program_draws_nothing():
    generator = ts.random.Generator(1)
    f = ts.jit(lambda x, i: x[i] + generator.uniform(()))
    f(ts.ones(3), ts.asarray([0, 1]))
    before = generator.state
    with pytest.raises(errors.IndexingError):
        f(ts.ones(3), ts.asarray([0, 7]))
    assert generator.state == before


# --- how the interpreter counts ----------------------------------------------------------------------


class Holder:
    __slots__ = ("held",)


def count_of_an_argument(target):
    return sys.getrefcount(target) - places._LOCAL


def test_the_interpreter_counts_references_as_we_do():
    """One for everything that holds an object, whatever a local variable costs: places rely on it."""
    holders = [Holder() for _ in range(3)]
    holders[0].held = object()
    # compared afterwards: `assert` may keep what it is shown
    locals_, arguments = [], []
    for holder in holders:
        holder.held = target = holders[0].held
        locals_.append(sys.getrefcount(target) - places._LOCAL)
        del target
        arguments.append(count_of_an_argument(holders[0].held))
    kept = [holders[0].held]
    arguments.append(count_of_an_argument(holders[0].held))
    kept.append((kept[0], {"key": kept[0]}))
    arguments.append(count_of_an_argument(holders[0].held))
    kept.clear()
    arguments.append(count_of_an_argument(holders[0].held))
    assert locals_ == [1, 2, 3]
    assert arguments == [1, 2, 3, 4, 6, 3]


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="this interpreter is asked in Python",
)
def test_the_words_of_objects_say_so_too():
    """If this fails, the interpreter keeps its counts elsewhere: programs then ask in Python, and are slower."""
    assert words.is_possible((Holder, "held"))
    first, second = Holder(), Holder()
    first.held, second.held = object(), object()
    watched = watch.Watch([words.refers(first, "held", first.held), words.held(first.held, 1)])
    assert watched.holds()
    other = first.held
    assert not watched.holds()
    del other
    assert watched.holds()
    first.held, second.held = second.held, first.held
    assert not watched.holds()
    first.held, second.held = second.held, first.held
    assert watched.holds()
    seen = [first.held]
    assert not watched.holds()
    del seen
    assert watched.holds()


def test_an_interpreter_that_counts_in_other_words_is_asked_in_python(monkeypatch):
    class Elsewhere:  # a word that does not move
        value = 1

        @classmethod
        def from_address(cls, address):
            return cls()

    monkeypatch.setattr(words.ctypes, "c_int64", Elsewhere)
    assert not words._counts_are_words.__wrapped__()


@pytest.mark.parametrize("chosen", ["1", "0", None])
def test_the_switch_to_do_without(chosen, monkeypatch):
    monkeypatch.delenv("TESSELLA_IN_PLACE", raising=False)
    if chosen is not None:
        monkeypatch.setenv("TESSELLA_IN_PLACE", chosen)
    assert places.may_write_over.__wrapped__() is (chosen != "0")


def test_another_value_of_the_switch_is_an_error(monkeypatch):
    monkeypatch.setenv("TESSELLA_IN_PLACE", "no")
    with pytest.raises(errors.ConfigurationError) as caught:
        places.may_write_over.__wrapped__()
    assert str(caught.value) == (
        "TESSELLA_IN_PLACE is 'no'; expected 0 (compiled functions give what they write fresh memory) or 1 (they "
        "write over memory that nobody else refers to); leave it out for 1"
    )


def test_without_counting_nobody_reads_counts(monkeypatch):
    """Neither words of objects nor `getrefcount`, and every write goes to fresh memory."""
    for module in (places, state):
        monkeypatch.setattr(module, "may_write_over", lambda: False)
    monkeypatch.setattr(places, "getrefcount", None)
    monkeypatch.setattr(watch, "Watch", None)
    model, step = training()
    _, same_step = training()
    compiled = ts.jit(step)
    for x in batches():
        kept = [p._value for p in model.parameters()]
        assert compiled(x).item() == pytest.approx(same_step(x).item(), rel=1e-4)
        assert all(a is not p._value for a, p in zip(kept, model.parameters(), strict=True))


def test_without_counting_what_is_only_read_is_still_settled(monkeypatch):
    for module in (places, state):
        monkeypatch.setattr(module, "may_write_over", lambda: False)
    weight = ts.ones(3)
    compiled = ts.jit(lambda x: x * weight)
    compiled(ts.ones(3))
    compiled(ts.ones(3))
    ((found,),) = compiled.specialisations.values()
    assert found.state.is_settled()


def test_a_gradient_that_is_changed_in_place_is_so_after_the_call():
    p = ts.ones(3).requires_grad_()
    p.grad = ts.ones(3)

    @ts.jit
    def triple():
        p.grad.assign(p.grad * 3.0)

    for expected in (3.0, 9.0, 27.0):
        triple()
        assert p.grad.tolist() == [expected] * 3


def test_a_tensor_from_outside_gets_data_with_a_history_that_is_gone_through_outside():
    w, total = ts.ones(3).requires_grad_(), [ts.zeros(3)]

    @ts.jit
    def add(x):
        total[0] += w * x
        return (total[0] * total[0]).sum()

    y = add(ts.asarray([1.0, 2.0, 3.0]))
    y.backward(retain_graph=True)
    assert w.grad.tolist() == [2.0, 8.0, 18.0]
    (total[0] * 1.0).sum().backward()
    assert w.grad.tolist() == [3.0, 10.0, 21.0]


def test_a_module_becomes_of_another_dtype_in_a_function():
    model = nn.Linear(2, 1)

    @ts.jit
    def f(x):
        model.to(ts.float64)
        return model(x.astype(model.weight.dtype))

    x, expected = ts.ones((1, 2)), model(ts.ones((1, 2))).item()
    for _ in range(2):
        got = f(x)
        assert got.dtype is model.weight.dtype is ts.float64
        assert got.item() == pytest.approx(expected)
        model.to(ts.float32)

    @ts.jit
    def late(x):
        y = model(x)
        model.to(ts.float64)
        return y

    with pytest.raises(
        errors.SideEffectError, match="worked with it before; do that first, or outside"
    ):
        late(x)
    assert model.weight.dtype is ts.float32


def test_elements_that_are_looked_at_under_vmap_are_a_part_of_the_program_around():
    v = ts.asarray([1.0, 2.0])
    f = ts.jit(lambda x: ts.vmap(lambda a: a * v.tolist()[1])(x))
    assert f(ts.ones(2)).tolist() == [2.0, 2.0]
    v[1] = 5.0
    assert f(ts.ones(2)).tolist() == [5.0, 5.0]


@pytest.mark.parametrize("how", ["grad", "gradients", "a rule", "checkpoint", "vmap"])
def test_what_is_differentiated_inside_goes_on_outside(how):
    """By a tensor from outside that has a history there."""
    w, x = ts.ones(3).requires_grad_(), ts.asarray([1.0, 2.0, 3.0])
    square = ts.custom_vjp(lambda a: a * a)
    square.defvjp(lambda a: (a * a, a), lambda residual, ct: (ct * 2.0 * residual,))
    found = []
    for compile in (lambda function: function, ts.jit):
        w.grad, h = None, w * 2.0
        functions = {
            "grad": lambda x, h=h: ts.grad(lambda a: (a * a * x).sum())(h).sum(),
            "gradients": lambda x, h=h: ts.gradients([(h * h * x).sum()], [h], create_graph=True)[0].sum(),
            "a rule": lambda x, h=h: (square(h) * x).sum(),
            "checkpoint": lambda x, h=h: (ts.checkpoint(lambda a: ts.sin(a) * a)(h) * x).sum(),
            "vmap": lambda x, h=h: ts.vmap(lambda a: a * h.sum())(x).sum(),
        }  # fmt: skip
        compile(functions[how])(x).backward()
        found.append(w.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_backward_inside_does_not_go_on_outside():
    w = ts.ones(3).requires_grad_()
    for backward in (lambda h: h.sum().backward(), lambda h: h.backward(ts.ones(3))):
        h = w * 2.0
        with pytest.raises(
            errors.TracedValueError, match="goes on into what was computed outside of it"
        ):
            ts.jit(lambda: backward(h))()  # noqa: B023  # it is called here
        assert w.grad is None
        h.sum().backward()
        w.grad = None

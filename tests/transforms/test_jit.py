"""`jit`: what it keeps of Python's meaning, when it traces again, and what it refuses."""

import copy
import os
import threading
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F


def same(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


# --- arguments and results ---------------------------------------------------------------------


def test_trees_go_in_and_out():
    @ts.jit
    def f(batch, scale=2.0):
        return {"sum": batch["x"] + batch["y"][0], "scaled": (batch["x"] * scale, None, "kept")}

    batch = {"x": ts.ones(3), "y": [ts.asarray([1.0, 2.0, 3.0])]}
    for _ in range(2):
        found = f(batch, scale=3.0)
        same(found["sum"], ts.asarray([2.0, 3.0, 4.0]))
        same(found["scaled"][0], ts.full((3,), 3.0))
        assert found["scaled"][1:] == (None, "kept")
    assert len(f.traces) == 1


def test_numpy_arrays_are_arguments():
    f = ts.jit(lambda x: x * 2)
    same(f(np.arange(3.0)), ts.asarray(np.arange(3.0)) * 2)
    same(f(np.arange(3.0) + 1), (ts.asarray(np.arange(3.0)) + 1) * 2)
    assert len(f.traces) == 1


def test_strided_arguments():
    f = ts.jit(lambda x: ts.exp(x).sum(axis=0), dynamic=False)
    x = ts.randn(6, 8)
    for view in (x, x.T, x[::2, 1:], ts.broadcast_to(x[0], (4, 8))):
        same(f(view), ts.exp(view).sum(axis=0))
    assert len(f.traces) == 4


def test_an_argument_is_returned_as_it_is():
    x, y = ts.ones(3), ts.zeros(2)
    a, b, c = ts.jit(lambda x, y: (x, y[:1], x.reshape(3, 1)))(x, y)
    same(a, x)
    same(b, y[:1])
    assert c.shape == (3, 1)


def test_methods_and_static_arguments():
    class Scaler:
        def __init__(self, factor):
            self.factor = factor

        @ts.jit
        def apply(self, x):
            return x * self.factor

    a, b = Scaler(2.0), Scaler(3.0)
    same(a.apply(ts.ones(2)), ts.full((2,), 2.0))
    same(b.apply(ts.ones(2)), ts.full((2,), 3.0))

    @ts.jit(static_argnums=1, static_argnames="how")
    def f(x, axes, how="sum"):
        return getattr(x, how)(axis=axes)

    x = ts.randn(2, 3)
    same(f(x, 0), x.sum(axis=0))
    same(f(x, 1), x.sum(axis=1))
    same(f(x, 1, how="max"), x.max(axis=1))
    assert len(f.traces) == 3
    assert "static argument" in f.traces[1]


def test_empty_and_zero_dimensional():
    f = ts.jit(lambda x: (ts.exp(x) + 1, x.sum()))
    for shape in ((), (0,), (3, 0), (1, 1)):
        got, total = f(ts.zeros(shape))
        assert got.shape == shape
        assert total.item() == 0.0


def test_host_primitives_run_between_native_calls():
    def f(x):
        order = ts.argsort(ts.exp(x))
        return ts.take(x, order) * 2.0

    x = ts.randn(20)
    same(ts.jit(f)(x), f(x))


def test_complex_numbers_go_through_numpy():
    x = ts.asarray(np.array([1 + 2j, 3 - 1j]))
    same(ts.jit(lambda x: x * x + 1)(x), x * x + 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(dtype):
    x, w = ts.randn(2, 3, 8, 8).astype(dtype), ts.randn(4, 3, 3, 3).astype(dtype)

    def f(x, w):
        y = F.relu(F.conv2d(x, w, padding=1))
        return F.softmax(ts.reshape(y, (2, -1)), -1), y.mean(axis=(2, 3))

    for got, expected in zip(ts.jit(f)(x, w), f(x, w), strict=True):
        assert got.dtype == expected.dtype
        same(got.astype(ts.float32), expected.astype(ts.float32), 1e-2)


# --- the surroundings --------------------------------------------------------------------------


def network():
    ts.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
        lambda p: optim.Adam(p, lr=0.01),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
        lambda p: optim.AdamW(p, lr=0.01),
    ],
    ids=["sgd", "nesterov", "dampening", "adam", "amsgrad", "adamw"],
)
def test_training_is_the_same(make):
    models = [network() for _ in range(2)]
    x, y = ts.randn(16, 4), ts.randn(16, 1)
    losses = []
    for model, compiled in zip(models, (False, True), strict=True):
        optimiser = make(model.parameters())

        def step(x, y, model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        run = ts.jit(step) if compiled else step
        losses.append([run(x, y).item() for _ in range(6)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for a, b in zip(*[m.parameters() for m in models], strict=True):
        same(a, b)
        same(a.grad, b.grad)


def test_the_learning_rate_can_change():
    model = network()
    optimiser = optim.SGD(model.parameters(), lr=0.1)

    @ts.jit
    def step(x):
        optimiser.zero_grad()
        model(x).sum().backward()
        optimiser.step()

    x = ts.ones((2, 4))
    step(x)
    optimiser.param_groups[0]["lr"] = 0.0
    before = model[0].weight.numpy().copy()
    step(x)
    np.testing.assert_array_equal(model[0].weight.numpy(), before)
    optimiser.param_groups[0]["lr"] = 0.1
    step(x)
    assert (model[0].weight.numpy() != before).any()
    assert len(step.traces) == 1


def test_gradients_accumulate():
    model = network()
    step = ts.jit(lambda x: model(x).sum().backward())
    x = ts.ones((2, 4))
    step(x)
    once = model[0].weight.grad.numpy().copy()
    step(x)
    step(x)
    np.testing.assert_allclose(model[0].weight.grad.numpy(), 3 * once, rtol=1e-6)
    assert len(step.traces) == 2  # without a gradient, and with one
    assert "gradient" in step.traces[1]


def test_tensors_of_the_surroundings_are_read_again():
    weight = ts.ones(3)
    f = ts.jit(lambda x: x * weight)
    same(f(ts.ones(3)), ts.ones(3))
    weight.assign(ts.full((3,), 5.0))
    same(f(ts.ones(3)), ts.full((3,), 5.0))
    weight += 1
    same(f(ts.ones(3)), ts.full((3,), 6.0))
    assert len(f.traces) == 1


@pytest.mark.parametrize("inner", [10, 64])
@pytest.mark.parametrize("read_before", [False, True])
def test_a_matrix_is_updated_by_a_product_in_place(inner, read_before):
    """The product must not be written over the matrix before its epilogue has read it."""
    random = np.random.default_rng(0)
    start = random.standard_normal((100, 100))
    a, b = (ts.asarray(random.standard_normal((inner, 100))) for _ in range(2))
    weight = ts.asarray(start.copy())

    @ts.jit
    def step(a, b):
        before = b @ weight.mT if read_before else None
        weight.assign(weight - 0.05 * (a.mT @ b))
        return before

    for _ in range(2):
        step(a, b)
    expected = start - 2 * 0.05 * (a.numpy().T @ b.numpy())
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_counters_and_assignment_in_place():
    total, seen = ts.zeros(3), []

    @ts.jit
    def f(x):
        nonlocal total
        total += x
        total[0] = 7.0
        seen.append("called")
        return total * 2

    for i in range(1, 4):
        same(f(ts.ones(3)), ts.asarray([14.0, 2.0 * i, 2.0 * i]))
    same(total, ts.asarray([7.0, 3.0, 3.0]))
    assert seen == ["called"] * 3
    assert len(f.traces) == 1


def test_what_others_hold_is_not_written_over():
    model = network()
    optimiser = optim.SGD(model.parameters(), lr=0.1)

    @ts.jit
    def step(x):
        optimiser.zero_grad()
        model(x).sum().backward()
        optimiser.step()

    x = ts.ones((2, 4))
    for _ in range(3):
        step(x)
    weight = model[0].weight
    held = [weight.detach(), weight.detach().T, weight.numpy(), weight.grad, weight.grad.numpy()]
    before = [np.array(h) for h in held]
    for _ in range(3):
        step(x)
    for now, then in zip(held, before, strict=True):
        np.testing.assert_array_equal(np.asarray(now), then)
    assert (weight.numpy() != before[0]).any()


def test_swapped_tensors():
    a, b = ts.ones(2), ts.zeros(2)

    @ts.jit
    def swap():
        old = a.detach()
        a.assign(b)
        b.assign(old)

    for i in range(4):
        swap()
        assert (a[0].item(), b[0].item()) == ((0.0, 1.0) if i % 2 == 0 else (1.0, 0.0))


def test_batch_normalisation_and_modes():
    models = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    forward = ts.jit(lambda x: models[1](x))
    x = ts.randn(3, 1, 6, 6)
    for mode in (True, True, False, True, False):
        models[0].train(mode)
        models[1].train(mode)
        same(models[0](x), forward(x), 1e-4)
    assert len(forward.traces) == 2
    assert "training" in forward.traces[1]
    for (name, a), (_, b) in zip(
        models[0].state_dict().items(), models[1].state_dict().items(), strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_random_numbers_are_those_of_eager_mode():
    def f(x):
        return F.dropout(x, 0.5) + ts.random.rand(100) + ts.random.randn(100)

    compiled = ts.jit(f)
    x = ts.ones(100)
    ts.manual_seed(3)
    eager = [f(x) for _ in range(3)]
    ts.manual_seed(3)
    for expected in eager:
        same(compiled(x), expected)
    assert (eager[0].numpy() != eager[1].numpy()).any()


def test_jit_inside_jit_is_inlined():
    inner = ts.jit(lambda x: x * 2)
    outer = ts.jit(lambda x: inner(x) + inner(x + 1))
    same(outer(ts.ones(3)), ts.full((3,), 6.0))
    assert inner.traces == []


def test_second_derivatives():
    def f(x):
        x = x.detach().requires_grad_()
        (slope,) = ts.gradients([(x**3).sum()], [x], create_graph=True)
        (curve,) = ts.gradients([slope.sum()], [x])
        return curve

    x = ts.asarray([1.0, 2.0])
    same(ts.jit(f)(x), x * 6)


# --- gradients from outside ---------------------------------------------------------------------


def test_gradients_go_through_a_compiled_function():
    models = [network() for _ in range(2)]
    forward = ts.jit(lambda x, scale: (models[1](x) * scale, scale * 2.0, "kept"))
    x = [ts.asarray(np.ones((3, 4), np.float32)).requires_grad_() for _ in range(2)]
    for _ in range(3):
        scale = ts.asarray(3.0)
        y, double, text = forward(x[1], scale)
        assert text == "kept"
        assert y.requires_grad
        assert not double.requires_grad
        (y * y).sum().backward()
        ((models[0](x[0]) * scale) ** 2).sum().backward()
    assert len(forward.traces) == 1
    same(x[0].grad, x[1].grad, 1e-4)
    for a, b in zip(*[m.parameters() for m in models], strict=True):
        same(a.grad, b.grad, 1e-4)


def test_gradients_train_a_compiled_forward_pass():
    models = [network() for _ in range(2)]
    forward = ts.jit(lambda x: models[1](x))
    losses = []
    for model, call in ((models[0], models[0]), (models[1], forward)):
        optimiser = optim.Adam(model.parameters(), lr=0.05)
        found = []
        for _ in range(5):
            optimiser.zero_grad()
            loss = F.mse_loss(call(ts.ones((4, 4))), ts.zeros((4, 1)))
            loss.backward()
            optimiser.step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_backward_inside_reaches_the_arguments():
    def step(x, w):
        loss = (x * w).sum()
        loss.backward()
        return loss

    compiled = ts.jit(step)
    for run in (step, compiled):
        x, w = ts.ones(3).requires_grad_(), ts.asarray([1.0, 2.0, 3.0])
        run(x, w)
        run(x, w)
        same(x.grad, ts.asarray([2.0, 4.0, 6.0]))


def test_some_outputs_get_no_gradient():
    f = ts.jit(lambda x: (ts.sin(x), ts.exp(x)))
    x = ts.asarray([0.5]).requires_grad_()
    sine, _ = f(x)
    sine.sum().backward()
    same(x.grad, ts.cos(x.detach()))


def test_second_derivatives_from_outside():
    weight = ts.asarray([3.0]).requires_grad_()
    f = ts.jit(lambda x: (x**3 * weight).sum())
    x = ts.asarray([2.0]).requires_grad_()
    (first,) = ts.gradients([f(x)], [x], create_graph=True)
    (second,) = ts.gradients([first.sum()], [x], create_graph=True)
    assert (first.item(), second.item()) == (36.0, 36.0)
    second.sum().backward()
    assert (x.grad.item(), weight.grad.item()) == (18.0, 12.0)


# --- when it is traced again --------------------------------------------------------------------


def test_reasons_to_trace_again():
    f = ts.jit(lambda x: x + 1)
    f(ts.ones(3))
    f(ts.ones(4))
    f(ts.ones(4, dtype=ts.float64))
    f([ts.ones(4)][0])
    assert f.traces[0] == "it is the first call"
    assert "float32[4] now, it was float32[3]" in f.traces[1]
    assert "float64[4] now, it was float32[4]" in f.traces[2]
    assert len(f.traces) == 3


def test_many_traces_warn():
    f = ts.jit(lambda x, n: x * n)
    for n in range(7):
        f(ts.ones(2), n)
    with pytest.warns(errors.RetraceWarning, match="traced 8 times.*static argument"):
        f(ts.ones(2), 7)
    f(ts.ones(2), 8)


def test_switched_off(monkeypatch):
    monkeypatch.setenv("TESSELLA_JIT", "0")
    f = ts.jit(lambda x: x + 1 if x[0] > 0 else x)
    same(f(ts.ones(2)), ts.full((2,), 2.0))
    assert f.traces == []


# --- what is refused ----------------------------------------------------------------------------


def test_branching_names_the_line_and_the_cure():
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(errors.TracedValueError, match=r"test_jit.py:\d+ in f.*ts\.where"):
        ts.jit(f)(ts.ones(2))


def test_values_do_not_leak():
    kept = []
    keep = kept.append  # a method by another name, behind which nobody looks
    f = ts.jit(lambda x: keep(x * 2) or x)
    f(ts.ones(2))
    with pytest.raises(errors.TracedValueError, match="has ended"):
        kept[0].numpy()
    with pytest.raises(errors.TracedValueError, match="has ended"):
        kept[0] + 1


def test_an_exception_leaves_everything_as_it_was():
    model = network()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}

    @ts.jit
    def broken(x):
        with ts.no_grad():
            for parameter in model.parameters():
                parameter.assign(parameter.detach() * 2)
        model(x).sum().backward()
        raise RuntimeError("by the user")

    with pytest.raises(RuntimeError, match="by the user"):
        broken(ts.ones((1, 4)))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert all(p.grad is None for p in model.parameters())
    assert model(ts.ones((1, 4))).shape == (1, 1)


def test_an_index_out_of_range_is_found():
    table = ts.randn(5, 3)
    f = ts.jit(lambda i: table[i])
    same(f(ts.asarray([0, 4, -5])), table[ts.asarray([0, 4, -5])])
    with pytest.raises(errors.IndexingError, match="index 5 is out of range for axis 0 of size 5"):
        f(ts.asarray([0, 5, 1]))
    loss = ts.jit(lambda x, y: F.cross_entropy(x, y))
    with pytest.raises(errors.IndexingError, match="class 9 is out of range for 3 classes"):
        loss(ts.zeros((2, 3)), ts.asarray([0, 9]))


def test_wrong_arguments_of_jit():
    with pytest.raises(errors.ArgumentTypeError, match="expected a function"):
        ts.jit(3)
    with pytest.raises(errors.ArgumentTypeError, match="nothing has been compiled yet"):
        ts.jit(lambda x: x).graph()


def test_gradients_go_through_to_what_was_computed_outside():
    w = ts.asarray([1.0, 2.0]).requires_grad_()
    h = w * w
    f = ts.jit(lambda x: (x * h).sum() + (h * w).sum())  # by way of h, and directly
    f(ts.asarray([1.0, 10.0])).backward()
    assert w.grad.tolist() == [2.0 + 3.0, 40.0 + 12.0]
    assert h.requires_grad
    assert not h.is_leaf


def test_what_cannot_be_done_to_what_was_computed_outside():
    w = ts.ones(2).requires_grad_()
    h = w * 2

    def backward(x):
        (x * h).sum().backward()
        return x

    def update(x):
        h.assign(h + x)
        return x

    with pytest.raises(
        errors.TracedValueError, match=r"goes on into what was computed outside.*x\.detach\(\)"
    ):
        ts.jit(backward)(ts.ones(2))
    with pytest.raises(
        errors.SideEffectError, match=r"shape \(2,\) that was computed outside, with a history"
    ):
        ts.jit(update)(ts.ones(2))
    (h * 3).sum().backward()  # and it is as it was
    assert w.grad.tolist() == [6.0, 6.0]


# --- threads and processes ----------------------------------------------------------------------


def test_threads_compile_and_call_together():
    model = network()
    f = ts.jit(lambda x: model(x))
    x = [ts.randn(5, 4) for _ in range(4)]
    expected = [model(value).numpy() for value in x]
    wrong = []

    def work(number):
        for _ in range(30):
            if not np.allclose(f(x[number]).numpy(), expected[number], atol=1e-5):
                wrong.append(number)
            if not np.allclose(model(x[number]).numpy(), expected[number], atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_can_go_on():
    f = ts.jit(lambda x: (x @ x).sum())
    x = ts.ones((300, 300))
    expected = f(x).item()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if f(x).item() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_results_do_not_depend_on_the_number_of_threads():
    from tessella.targets.cpu import threads

    def f(x):
        return F.softmax(x, -1).sum(axis=0), (x * x).mean(), F.layer_norm(x, 1000)

    x = ts.randn(300, 1000)
    compiled = ts.jit(f)
    results = []
    for count in (1, 2, 3):
        with threads.limited(count):
            results.append([y.numpy() for y in compiled(x)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_jitted_module_can_be_copied():
    model = network()
    twin = copy.deepcopy(model)
    f = ts.jit(lambda x: model(x) - twin(x))
    same(f(ts.ones((2, 4))), ts.zeros((2, 1)))


# --- what depends on numbers that are not known yet --------------------------------------------------


def cut_off(x):
    x = x * 1.0
    x[x > 2] = 0.0
    return x


def rows_replaced(x):
    x = x * 1.0
    x[x[:, 0] > 2] = ts.asarray([7.0, 8.0, 9.0])
    return x


def replaced_by_an_outer_mask(x):
    x = x * 1.0
    x[np.array([True, False]),] = x.sum()
    return x


@pytest.mark.parametrize("change", [cut_off, rows_replaced, replaced_by_an_outer_mask])
def test_a_mask_that_is_not_known_yet_may_be_assigned_to(change):
    x = ts.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = change(x)
    same(ts.jit(change)(x), expected, 0)
    batch = ts.stack([x, x + 1, x - 1])
    same(ts.vmap(change)(batch), ts.stack([change(one) for one in batch]), 0)

    def total(x):
        return (change(x) ** 2).sum()

    same(ts.jit(ts.grad(total))(x), ts.grad(total)(x))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x[x > 2], r"x\[mask\]: how many elements the mask chooses decides a shape"),
        (lambda x: x[x > 2].sum(), r"ts.where\(mask, x, other\) keeps the shape, and x\[mask\] = value may give"),
        (lambda x: ts.masked_select(x, x > 2), r"x\[mask\]: how many elements"),
        (lambda x: x.nonzero(), "nonzero: how many elements are not zero decides a shape"),
        (lambda x: ts.argwhere(x), "nonzero: how many elements are not zero decides a shape"),
        (lambda x: ts.unique_values(x), "unique_values: how many values are distinct decides a shape"),
        (lambda x: ts.unique_counts(x), r"unique_all: how many .*; ts.sort\(x\) keeps the shape"),
        (lambda x: np.sin(x), r"NumPy was given a tensor, and the elements of a tensor of shape \(2, 3\) are not "
         r"known yet while its function is being traced; take the function of ts instead \(ts.sin\(x\) for"),
    ],
)  # fmt: skip
def test_what_needs_numbers_that_are_not_known_yet_is_named(function, said):
    x = ts.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with pytest.raises(errors.TracedValueError, match=said) as caught:
        ts.jit(function)(x)
    assert "test_jit.py" in str(caught.value)
    function(x)


def test_as_many_values_as_a_mask_chooses_cannot_be_assigned_before_it_is_known():
    def change(x):
        x = x * 1.0
        x[x > 4] = ts.asarray([7.0, 8.0])
        return x

    x = ts.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert change(x).tolist() == [[1.0, 2.0, 3.0], [4.0, 7.0, 8.0]]
    with pytest.raises(errors.TracedValueError, match="how many elements the mask chooses"):
        ts.jit(change)(x)

"""The tape on tensors: accumulation, hooks, retained history, higher orders, and its errors."""

import gc
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella import errors


def leaf(*values):
    return ts.asarray(values, dtype=ts.float64).requires_grad_()


def test_gradients_accumulate_until_they_are_forgotten():
    x = leaf(1.0, 2.0)
    for count in (1, 2, 3):
        (x * x).sum().backward()
        assert x.grad.tolist() == [2.0 * count, 4.0 * count]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_value_used_many_times():
    x = leaf(2.0)
    y = x
    for _ in range(20):
        y = y + y * x
    y.sum().backward()
    assert x.grad.item() == pytest.approx(3.0**20 + 20 * 2 * 3.0**19)


def test_long_histories_need_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.item() == 1.0


def test_backward_with_a_gradient_of_its_own():
    x = leaf(1.0, 2.0, 3.0)
    (x * x).backward(ts.asarray([1.0, 0.0, 10.0], dtype=ts.float64))
    assert x.grad.tolist() == [2.0, 0.0, 60.0]
    with pytest.raises(errors.GradientError, match=r"shape \(2,\), the tensor \(3,\)"):
        (x * x).backward(ts.ones(2))


def test_history_is_freed_unless_it_is_retained():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(errors.GradientError, match="retain_graph=True"):
        y.backward()
    kept = x.exp()
    reference = weakref.ref(kept._value.buffer)
    total = kept.sum()
    del kept
    gc.collect()
    assert reference() is not None
    total.backward()
    gc.collect()
    assert reference() is None


def test_two_results_that_share_a_history():
    x = leaf(3.0)
    shared = x * x
    first, second = (shared * 2).sum(), (shared * 5).sum()
    first.backward(retain_graph=True)
    second.backward()
    assert x.grad.item() == 7 * 6.0


def test_no_grad_detach_and_enable_grad():
    x = leaf(2.0)
    with ts.no_grad():
        y = x * x
        with ts.enable_grad():
            z = x * x
    assert not y.requires_grad
    assert z.requires_grad
    (x * x.detach()).sum().backward()
    assert x.grad.item() == 2.0

    @ts.no_grad()
    def quiet(value):
        return value * 2

    assert not quiet(x).requires_grad


def test_grad_mode_belongs_to_its_thread():
    from threading import Thread

    x, seen = leaf(1.0), []
    with ts.no_grad():
        thread = Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_hooks_see_and_change_gradients():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]]
    assert x.grad.tolist() == [31.0, 31.0]
    handle.remove()
    handle.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]
    with pytest.raises(errors.GradientError, match="requires_grad_"):
        ts.ones(1).register_hook(print)


def test_retained_gradients_of_results():
    x = leaf(1.0, 2.0)
    y = x * x
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [2.0, 8.0]
    assert x.grad.tolist() == [4.0, 32.0]


def test_gradients_leave_grad_alone():
    x, y, unused = leaf(2.0), leaf(3.0), leaf(1.0)
    gx, gy, none = ts.gradients([(x * x * y).sum()], [x, y, unused])
    assert (gx.item(), gy.item(), none) == (12.0, 4.0, None)
    assert x.grad is None
    middle = x * y
    (gm,) = ts.gradients([(middle * middle).sum()], [middle])
    assert gm.item() == 12.0


def test_third_derivatives():
    x = leaf(0.7)
    order = x.exp() * x
    for expected in (1.7, 2.7, 3.7):
        (order,) = ts.gradients([order.sum()], [x], create_graph=True)
        assert order.item() == pytest.approx(expected * np.exp(0.7))


def test_hessian_of_a_product_of_matrices():
    random = np.random.default_rng(0)
    a = ts.asarray(random.standard_normal((3, 3)))
    x = ts.asarray(random.standard_normal(3)).requires_grad_()
    (gradient,) = ts.gradients([x @ (a @ x)], [x], create_graph=True)
    rows = [ts.gradients([gradient[i]], [x], retain_graph=True)[0].numpy() for i in range(3)]
    np.testing.assert_allclose(np.stack(rows), a.numpy() + a.numpy().T)


def test_backward_through_its_own_result():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    gradient, x.grad = x.grad, None
    gradient.sum().backward()
    assert x.grad.item() == 12.0


def test_in_place_changes_keep_the_history_right():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1.0
    y[1] = 10.0
    y *= y
    z = y[0]
    y[0] = 100.0
    (y.sum() + z).backward()
    assert x.grad.tolist() == [2.0, 0.0, 6.0]


def test_gradients_flow_into_what_is_assigned():
    x, v = leaf(1.0, 2.0, 3.0), leaf(5.0)
    y = x * 2
    y[2] = v[0]
    (y * y).sum().backward()
    assert v.grad.tolist() == [10.0]
    assert x.grad.tolist() == [8.0, 16.0, 0.0]


def test_views_and_indexing_have_gradients():
    x = ts.asarray(np.arange(12.0).reshape(3, 4)).requires_grad_()
    y = x.T[1:3].reshape(-1)[::2].sum() + x[ts.asarray([0, 0, 2])].sum() + x[x > 10].sum()
    y.backward()
    expected = np.zeros((3, 4))
    expected.T[1:3].reshape(-1)
    flat = np.zeros((2, 3)).reshape(-1)
    flat[::2] = 1
    expected.T[1:3] += flat.reshape(2, 3)
    expected[0] += 2
    expected[2] += 1
    expected[2, 3] += 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_mixed_dtypes_give_each_its_own():
    x = ts.ones(3, dtype=ts.float16).requires_grad_()
    y = ts.ones(3, dtype=ts.float64).requires_grad_()
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (ts.float16, ts.float64)


def test_integers_end_the_history():
    x = leaf(1.5, 2.5)
    y = (x * 2).astype(ts.int64)
    assert not y.requires_grad
    assert not (x > 2).requires_grad
    with pytest.raises(errors.GradientError, match="no history"):
        y.sum().backward()


def test_setting_grad_and_requires_grad():
    x = leaf(1.0)
    x.requires_grad = False
    assert not x.requires_grad
    x.requires_grad = True
    y = x * 2
    with pytest.raises(errors.GradientError, match="detach"):
        y.requires_grad = False
    assert y.requires_grad_() is y


def test_no_cycle_keeps_tensors_alive():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = (x * x).exp().sum()
        references = [weakref.ref(x._value.buffer), weakref.ref(y._value.buffer)]
        y.backward()
        del x, y
        assert all(reference() is None for reference in references)
        z = leaf(1.0)
        w = z * 2  # never walked backwards
        reference = weakref.ref(w._value.buffer)
        del z, w
        assert reference() is None
    finally:
        gc.enable()

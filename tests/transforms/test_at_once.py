"""Functions that are one program without a trace around: the same numbers, gradients, errors, for all sizes."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.transforms.at_once import AtOnce, at_once


def _scaled(x, weight, axis, times=2.0):
    centred = x - x.mean(axis=axis, keepdims=True)
    return centred * weight * times, (centred * centred).sum()


def values(*shape, seed=0):
    return ts.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def gradients(function, x, weight):
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y, total = function(x, weight, 1)
    ((y * y).sum() + total).backward()
    return y.detach(), x.grad, weight.grad


def test_results_and_gradients_are_those_of_its_steps():
    function = at_once(_scaled)
    for rows in (3, 4, 5):
        given = values(rows, 6), values(6, seed=1)
        for got, expected in zip(gradients(function, *given), gradients(_scaled, *given), strict=True):  # fmt: skip
            np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def traces(function):
    return sum(len(compiled.traces) for compiled in function.compiled.values())


def test_a_new_size_is_not_traced_and_another_option_is():
    function = at_once(_scaled)
    for rows in (3, 7, 5, 30):
        function(values(rows, 4), values(4), 1)
    assert traces(function) == 1
    function(values(3, 4), values(4), 0)
    function(values(3, 4), values(4), 1, 3.0)
    assert traces(function) == 3
    for _ in range(20):  # without a warning that it is traced too often
        function(values(3, 4), values(4), 1, float(np.random.rand()))


def test_a_list_among_the_options():
    function = at_once(lambda x, axes: x.sum(axis=tuple(axes)))
    for _ in range(2):
        assert function(ts.ones((2, 3)), [0, 1]).item() == 6.0


def test_nothing_in_the_tensors():
    function = at_once(lambda x: (x * 2.0 + 1.0).sum(axis=0))
    assert function(ts.ones((0, 3))).tolist() == [0.0, 0.0, 0.0]
    assert traces(function) == 0


def test_one_tensor_given_twice():
    x = values(4).requires_grad_()
    at_once(lambda a, b: (a * b).sum())(x, x).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy(), rtol=1e-6)


def test_errors_speak_of_this_call():
    @at_once
    def halves(x):
        if x.shape[0] % 2:
            raise errors.ShapeError(f"halves: shape {x.shape}")
        return x[: x.shape[0] // 2]

    assert halves(ts.ones(4)).shape == (2,)
    for size in (5, 7):
        with pytest.raises(errors.ShapeError, match=rf"^halves: shape \({size},\)"):
            halves(ts.ones(size))


def test_an_index_out_of_range_names_no_line_of_another_caller():
    loss = ts.nn.functional.cross_entropy
    loss(ts.ones((2, 3)), ts.asarray([0, 1]))
    with pytest.raises(errors.IndexingError, match=r"^cross_entropy: class 3 is out of range"):
        loss(ts.ones((2, 3)), ts.asarray([0, 3]))


def test_transformations_and_second_derivatives():
    function = at_once(lambda x, power: (x**power).sum())
    x = values(3)
    np.testing.assert_allclose(
        ts.hessian(lambda x: function(x, 3))(x).numpy(), np.diag(6 * x.numpy()), rtol=1e-5
    )
    rows = ts.vmap(lambda x: function(x, 2))(values(4, 3))
    np.testing.assert_allclose(rows.numpy(), (values(4, 3).numpy() ** 2).sum(axis=1), rtol=1e-5)
    _, tangent = ts.jvp(lambda x: function(x, 2), (x,), (ts.ones(3),))
    np.testing.assert_allclose(tangent.item(), 2 * x.numpy().sum(), rtol=1e-5)
    x = x.requires_grad_()
    function(x, 3).backward(create_graph=True)
    x.grad.sum().backward()


def test_cotangents_of_two_layouts_keep_their_programs():
    function = at_once(lambda x: (x * x) * 2.0)
    x = values(3, 4).requires_grad_()
    for _ in range(3):
        function(x).sum().backward()  # one number, repeated
        function(x).backward(ts.ones((3, 4)))
    np.testing.assert_allclose(x.grad.numpy(), 6 * 4 * x.detach().numpy(), rtol=1e-5)


def test_inside_a_trace_and_without_gradients():
    function = at_once(_scaled)
    x, weight = values(3, 4), values(4).requires_grad_()
    compiled = ts.jit(lambda x: function(x, weight, 1)[0])
    with ts.no_grad():
        plain = function(x, weight, 1)[0]
    assert not plain.requires_grad
    np.testing.assert_allclose(compiled(x).detach().numpy(), plain.numpy(), rtol=1e-6)


def test_in_lower_precision():
    function = at_once(lambda x, y: x @ y)
    x = values(4, 4)
    assert function(x, x).dtype is ts.float32
    with ts.autocast(ts.bfloat16):
        assert function(x, x).dtype is ts.bfloat16
    assert function(x, x).dtype is ts.float32


def test_it_keeps_its_name_and_signature():
    assert isinstance(at_once(_scaled), AtOnce)
    assert at_once(_scaled).__name__ == "_scaled"

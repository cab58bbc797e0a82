"""Functions of NumPy arrays: what they give is stated, and held against what they gave."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.primitives import NumPyCall, Spec

x = ts.asarray([[3.0, 1.0], [2.0, 5.0]], dtype=ts.float64)


def test_nothing_runs_before_it_is_to_compute():
    calls = []

    def doubled(a):
        calls.append(a.shape)
        return a * 2.0

    call = NumPyCall(doubled, ts.float64)
    assert call.result(Spec((4, 1), ts.float64), Spec((3,), ts.float64)) == ((4, 3), ts.float64)
    compiled = ts.jit(call)
    compiled.graph(x)
    assert calls == []
    np.testing.assert_array_equal(compiled(x).numpy(), x.numpy() * 2.0)
    assert calls == [(2, 2)]


def singular(a):
    u, s, vh = np.linalg.svd(a)
    return u, s, vh


SVD = NumPyCall(
    singular, (Spec((2, 2), ts.float64), Spec((2,), ts.float64), Spec((2, 2), ts.float64))
)


@pytest.mark.parametrize("wrap", [lambda f: f, ts.jit])
def test_several_results(wrap):
    u, s, vh = wrap(lambda a: SVD(a))(x)
    np.testing.assert_allclose((u * s @ vh).numpy(), x.numpy())
    both = wrap(ts.vmap(lambda a: SVD(a)))(ts.stack([x, x + 1.0]))
    np.testing.assert_allclose(
        both[1].numpy(), np.linalg.svd(np.stack([x.numpy(), x.numpy() + 1]))[1]
    )


def test_a_gradient_that_is_given():
    sine = NumPyCall(
        np.sin, ts.float64, gradient=lambda cts, inputs, outputs: [cts[0] * ts.cos(inputs[0])]
    )
    for function in (ts.grad, lambda f: ts.jit(ts.grad(f))):
        found = function(lambda a: (sine(a) ** 2).sum())(x)
        np.testing.assert_allclose(found.numpy(), np.sin(2 * x.numpy()))
    many = ts.vmap(ts.grad(lambda a: sine(a).sum()))(x)
    np.testing.assert_allclose(many.numpy(), np.cos(x.numpy()))
    with pytest.raises(
        errors.MissingRuleError, match="singular has no gradient, as NumPy computes it"
    ):
        ts.grad(lambda a: SVD(a)[1].sum())(x)


@pytest.mark.parametrize("wrap", [lambda f: f, ts.jit])
def test_what_is_not_as_stated_is_refused(wrap):
    one = Spec((2, 2), ts.float64)
    for call, told in (
        (NumPyCall("sum", ts.float64), r"sum: it gives float64\[\]; float64\[2,2\] was stated"),
        (NumPyCall("sin", ts.float32), r"sin: it gives float64\[2,2\]; float32\[2,2\] was stated"),
        (
            NumPyCall(singular, (one,)),
            r"singular: it gives .*, float64\[2,2\]; float64\[2,2\] was stated",
        ),
    ):
        with pytest.raises(errors.ShapeError, match=told):
            wrap(lambda a, call=call: call(a))(x)


def test_choices_of_complex_numbers_promote_as_others():
    for kind in (ts.int32, ts.float32, ts.float64):
        found = ts.where(
            ts.asarray([True, False]), ts.asarray([1, 2], dtype=kind), ts.asarray([1j, 2j])
        )
        assert found.dtype is ts.dtypes.promote(kind, ts.asarray([1j]).dtype)
        np.testing.assert_array_equal(found.numpy(), [1, 2j])

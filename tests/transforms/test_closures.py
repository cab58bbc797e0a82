"""Compiled functions inside transformations, closing over what is differentiated, batched or traced outside."""

import numpy as np
import pytest

import tessella as ts

x = ts.asarray([0.5, -1.5])
rows = ts.asarray([[1.0, 2.0], [3.0, -1.0]])


def loss(x, jit=ts.jit):
    h = ts.sin(x)
    inner = jit(
        lambda y: (y * h * x).sum() + ts.exp(h).sum()
    )  # closes over x, and over what comes from it
    return inner(x * 2.0) + inner(ts.ones(2)) * h.sum()


def deep(x, jit=ts.jit):
    """One in another, each with what the others have computed."""
    a = ts.exp(x)
    outer = jit(lambda y: jit(lambda z: z * a + y)(y * x) * a)
    b = outer(x)
    return jit(lambda: (a * b).sum() + jit(lambda z: (z * b).sum())(a))()


def mapped(x, jit=ts.jit):
    return ts.vmap(jit(lambda y: (y * x).sum()))(rows).sum() * jit(lambda: x[0])()


def differentiated(x, jit=ts.jit):
    h = x * x
    return (jit(ts.grad(lambda y: (y * y * h * x).sum()))(x * 3.0) * h).sum()


def pushed(x, jit=ts.jit):
    h = x * x
    return ts.jvp(jit(lambda y: (y * h * x).sum()), (h,), (x,))[1]


def looped(x, jit=ts.jit):
    def turn(carry, y):
        return carry * jit(lambda z: (z * x * carry).sum())(y) + y, None

    return ts.scan(turn, x, rows * 0.1)[0].sum()


def kept(x, jit=ts.jit):
    h = ts.tanh(x)
    return ts.checkpoint(jit(lambda y: ts.sin(y * h * x).sum()))(h * 2.0)


FUNCTIONS = [loss, deep, mapped, differentiated, pushed, looped, kept]
WAYS = {
    "grad": lambda f: ts.grad(f)(x),
    "value_and_grad": lambda f: ts.value_and_grad(f)(x),
    "grad of grad": lambda f: ts.grad(lambda x: ts.grad(f)(x).sum())(x),
    "jacrev": lambda f: ts.jacrev(lambda x: f(x) * x)(x),
    "jacfwd": lambda f: ts.jacfwd(lambda x: f(x) * x)(x),
    "hvp": lambda f: ts.hvp(f, (x,), (ts.asarray([1.0, -2.0]),)),
    "jvp": lambda f: ts.jvp(f, (x,), (x,)),
    "jvp of grad": lambda f: ts.jvp(ts.grad(f), (x,), (x,)),
    "linearize": lambda f: ts.linearize(f, x)[1](x),
    "vmap": lambda f: ts.vmap(f)(rows),
    "vmap of grad": lambda f: ts.vmap(ts.grad(f))(rows * 0.2),
    "grad of vmap": lambda f: ts.grad(lambda r: ts.vmap(f)(r).sum())(rows * 0.2),
    "vjp": lambda f: ts.vjp(f, x)[1](ts.asarray(2.0)),
    "vmap of pullback": lambda f: ts.vmap(ts.vjp(f, x)[1])(ts.asarray([1.0, 2.0])),
    "jit of pullback": lambda f: ts.jit(ts.vjp(f, x)[1])(ts.asarray(2.0)),
    "jvp of pullback": lambda f: ts.jvp(ts.vjp(f, x)[1], (ts.asarray(2.0),), (ts.asarray(1.0),)),
    "checkpoint": lambda f: ts.grad(ts.checkpoint(f))(x),
    "scan": lambda f: ts.grad(
        lambda x: ts.scan(lambda c, y: (f(c) * 0.01 * c + y, None), x, rows)[0].sum()
    )(x * 0.1),
    "cond": lambda f: ts.grad(lambda x: ts.cond(x.sum() < 0, f, lambda x: x.sum(), x))(x),
    "jit of grad": lambda f: ts.jit(ts.grad(f))(x),
    "backward": lambda f: backward(f),
}


def backward(f):
    leaf = ts.asarray(x.tolist()).requires_grad_()
    f(leaf * 1.0).backward()
    return leaf.grad


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_compiled_inside_is_as_if_it_were_not(function, way):
    expected = WAYS[way](lambda x: function(x, jit=lambda f: f))
    got = WAYS[way](function)
    for a, b in zip(ts.tree_leaves(got), ts.tree_leaves(expected), strict=True):
        assert a.dtype is b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-4, atol=1e-4)


def test_no_history_where_nobody_wants_one():
    h = ts.asarray([1.0, 2.0]).requires_grad_() * 2
    f = ts.jit(lambda y: y * h)
    with ts.no_grad():
        assert not f(ts.ones(2)).requires_grad
    assert f(ts.ones(2)).requires_grad
    assert not ts.jit(lambda y: y * h.detach())(ts.ones(2)).requires_grad

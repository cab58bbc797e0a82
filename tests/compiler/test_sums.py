"""Sums of products become one product, where that is less to read and write."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.primitives.contraction import Contraction


def products(graph):
    return [node for node in graph.nodes if isinstance(node.primitive, Contraction)]


def operands(count, rows=4):
    random = np.random.default_rng(0)
    xs = [ts.asarray(random.standard_normal((rows, 40))) for _ in range(count)]
    ys = [ts.asarray(random.standard_normal((rows, 30))) for _ in range(count)]
    return xs, ys


def summed(xs, ys):
    total = xs[0].T @ ys[0]
    for x, y in zip(xs[1:], ys[1:], strict=True):
        total = total + x.T @ y
    return total


def test_many_thin_products_are_one():
    xs, ys = operands(6)
    compiled = ts.jit(summed)
    np.testing.assert_allclose(compiled(xs, ys).numpy(), summed(xs, ys).numpy(), atol=1e-12)
    (only,) = products(compiled.graph())
    assert [value.shape for value in only.inputs] == [(40, 24), (24, 30)]


@pytest.mark.parametrize("case", ["two", "large operands", "used elsewhere", "other terms"])
def test_what_is_left_as_it_is(case):
    xs, ys = operands(2 if case == "two" else 4, rows=30 if case == "large operands" else 4)

    def function(xs, ys):
        if case == "used elsewhere":
            parts = [x.T @ y for x, y in zip(xs, ys, strict=True)]
            return parts[0] + parts[1] + parts[2] + parts[3], parts
        if case == "other terms":
            return (
                xs[0].T
                + 1.0
                + summed(xs, [y[:, :1] for y in ys])
                + ts.ones((1, 4), dtype=ts.float64)
            )
        return summed(xs, ys)

    import optree

    compiled = ts.jit(function)
    for got, wanted in zip(
        optree.tree_leaves(compiled(xs, ys)), optree.tree_leaves(function(xs, ys)), strict=True
    ):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=1e-12)
    assert len(products(compiled.graph())) == len(xs)


def test_other_terms_are_added_too():
    xs, ys = operands(5)
    bias = ts.asarray(np.random.default_rng(1).standard_normal((40, 30)))
    function = lambda xs, ys: (bias + summed(xs[:3], ys[:3])) + (xs[3].T @ ys[3] + xs[4].T @ ys[4])  # noqa: E731
    compiled = ts.jit(function)
    np.testing.assert_allclose(compiled(xs, ys).numpy(), function(xs, ys).numpy(), atol=1e-12)
    assert len(products(compiled.graph())) == 1


def test_the_weights_of_a_recurrent_layer_get_one_product_for_the_whole_sequence():
    ts.manual_seed(0)
    layer = nn.LSTM(8, 64)
    x = ts.asarray(np.random.default_rng(0).standard_normal((12, 4, 8)).astype(np.float32))

    def step(x):
        for p in layer.parameters():
            p.grad = None
        layer(x)[0].sum().backward()
        return [p.grad for p in layer.parameters()]

    expected = [g.numpy().copy() for g in step(x)]
    compiled = ts.jit(step)
    for got, wanted in zip(compiled(x), expected, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-4)
    whole = [n for n in products(compiled.graph()) if n.output.shape in ((256, 64), (64, 256))]
    assert len(whole) == 1


def test_a_function_of_the_user_is_no_sum_because_it_is_called_so():
    def add(x, y):
        return x * y

    join = ts.zip_with(add)

    def joined(xs, ys):
        total = xs[0].T @ ys[0]
        for x, y in zip(xs[1:], ys[1:], strict=True):
            total = join(total, x.T @ y)
        return total

    xs, ys = operands(6)
    expected = np.prod([x.numpy().T @ y.numpy() for x, y in zip(xs, ys, strict=True)], axis=0)
    np.testing.assert_allclose(ts.jit(joined)(xs, ys).numpy(), expected, rtol=1e-9, atol=1e-9)

"""What small programs become: the fused graph and the loop nests, to be read, and to be kept.

`pytest tests/golden --update-golden` writes the files anew.
"""

import pytest

import tessella as ts
from tessella.nn import functional as F

x = ts.ones((8, 64))
image = ts.ones((2, 3, 8, 8))


def chain(x):
    return ts.sigmoid(2.0 * x + 1.0) * ts.tanh(x)


def row_softmax(x):
    return F.softmax(x, -1)


def softmax_of_long_rows(x):
    return F.softmax(x, -1)


def column_softmax(x):
    return F.softmax(x, 0)


def layer_norm(x):
    return F.layer_norm(x, 64)


def mean_and_variance(x):
    return ts.mean(x, axis=1), ts.var(x, axis=1)


def large_sum(x):
    return (x * x).sum()


def transposed_sum(x):
    return (x.T + 1.0).sum(axis=0)


def padded(x):
    return ts.relu(F.max_pool2d(x, 2))


def heads(x):
    return ts.permute_dims(ts.reshape(x * 2.0, (8, 4, 16)), (1, 0, 2)) + 1.0


def joined(x):
    return ts.concat([x, -x], axis=1) * 3.0


def best(x):
    return ts.argmax(x, axis=1)


def linear(x):
    return F.relu(x @ ts.full((64, 32), 0.5) + 1.0)


def gradient_of_softmax(x):
    x = x.detach().requires_grad_()
    (F.softmax(x, -1) ** 2).sum().backward()
    return x.grad


PROGRAMS = {
    function.__name__: (function, argument)
    for function, argument in (
        (chain, x), (row_softmax, x), (column_softmax, x), (layer_norm, x),
        (softmax_of_long_rows, ts.ones((8, 1000))),
        (mean_and_variance, x), (large_sum, ts.ones((1024, 1024))), (transposed_sum, x),
        (padded, image), (heads, x), (joined, x), (best, x), (linear, x), (gradient_of_softmax, x),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, golden):
    function, argument = PROGRAMS[name]
    compiled = ts.jit(function)
    text = f"{compiled.source('graph', argument)}\n\n{compiled.source('loops')}"
    golden(name, text)


def test_what_is_read_once_is_left_to_the_processor():
    """Next rows are fetched while rows are gone through again, and only if they are long."""
    sums = ts.jit(lambda x: ts.sum(x, axis=1))
    assert "fetch" not in sums.source("loops", ts.ones((8, 1000)))
    assert "fetch" not in ts.jit(row_softmax).source("loops", x)

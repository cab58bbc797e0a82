"""Index comprehensions against loops of Python."""

import itertools

import numpy as np
import pytest

import tessella as ts
from tessella import errors

random = np.random.default_rng(0)
A = random.standard_normal((4, 5))
B = random.standard_normal((5, 6))
X = random.standard_normal(12)
a, b, x = ts.asarray(A), ts.asarray(B), ts.asarray(X)
sum_over = ts.sum_over


def by_hand(function, shape):
    found = np.empty(shape)
    for place in itertools.product(*map(range, shape)):
        found[place] = function(*place)
    return found


COMPREHENSIONS = {
    "product": (
        lambda i, j: sum_over(lambda k: a[i, k] * b[k, j]), (4, 6), lambda i, j: A[i] @ B[:, j],
    ),
    "transpose": (lambda i, j: a[j, i], (5, 4), lambda i, j: A[j, i]),
    "numbers": (lambda i, j: i * 10 + j - 0.5, (3, 2), lambda i, j: i * 10 + j - 0.5),
    "outer": (lambda i, j: x[i] * x[j] + 1.0, (12, 12), lambda i, j: X[i] * X[j] + 1),
    "part": (lambda i, j: a[2, i] - a[i + 1, j], (3, 5), lambda i, j: A[2, i] - A[i + 1, j]),
    "backwards": (lambda i: x[11 - i] + x[2 * i - i], (12,), lambda i: X[11 - i] + X[i]),
    "every third": (lambda i: x[3 * i + 1], (4,), lambda i: X[3 * i + 1]),
    "diagonal": (lambda i: a[i, i] * a[i, i + 1], (4,), lambda i: A[i, i] * A[i, i + 1]),
    "trace": (lambda: sum_over(lambda k: a[k, k]), (), lambda: np.trace(A)),
    "convolution": (
        lambda i: sum_over(lambda k: x[i + k] * b[k, 0]), (8,), lambda i: X[i : i + 5] @ B[:, 0],
    ),
    "strided and dilated": (
        lambda i: sum_over(lambda k: x[2 * i + 3 * k] * b[k, 1], size=3), (3,),
        lambda i: X[2 * i : 2 * i + 9 : 3] @ B[:3, 1],
    ),
    "correlation": (lambda i: sum_over(lambda k: x[i - k + 4] * b[k, 0]), (8,), lambda i: X[i : i + 5][::-1] @ B[:, 0]),
    "softmax": (
        lambda i, j: ts.exp(a[i, j]) / sum_over(lambda k: ts.exp(a[i, k])), (4, 5),
        lambda i, j: np.exp(A[i, j]) / np.exp(A[i]).sum(),
    ),
    "two sums": (
        lambda i: sum_over(lambda k: sum_over(lambda m: a[i, k] * b[k, m])), (4,), lambda i: (A[i] @ B).sum(),
    ),
    "a sum of a sum": (
        lambda i: sum_over(lambda k: a[i, k] * sum_over(lambda m: b[k, m] ** 2)), (4,),
        lambda i: A[i] @ (B**2).sum(1),
    ),
    "extremes": (
        lambda i: ts.max_over(lambda k: a[i, k]) - ts.min_over(lambda k: a[i, k]) + ts.mean_over(lambda k: a[i, k]),
        (4,), lambda i: A[i].max() - A[i].min() + A[i].mean(),
    ),
    "products": (lambda i: ts.prod_over(lambda k: a[i, k]), (4,), lambda i: A[i].prod()),
    "chosen": (
        lambda i, j: ts.where((i <= j) & (j < 4), a[i, j], -1.0), (4, 5),
        lambda i, j: A[i, j] if i <= j < 4 else -1.0,
    ),
    "padded": (
        lambda i: sum_over(lambda k: ts.where((i + k >= 1) & (i + k <= 12), x[ts.clip(i + k - 1, 0, 11)], 0.0), size=3),
        (12,), lambda i: np.pad(X, 1)[i : i + 3].sum(),
    ),
    "powers": (lambda i: sum_over(lambda k: x[i] ** k, size=4), (12,), lambda i: sum(X[i] ** k for k in range(4))),
    "division": (lambda i, j: a[i // 2, j % 5], (8, 7), lambda i, j: A[i // 2, j % 5]),
    "three loops": (lambda i, j, k: x[i + j + k], (3, 4, 5), lambda i, j, k: X[i + j + k]),
    "empty": (lambda i, j: a[i, j], (0, 5), lambda i, j: 0.0),
    "without any loop": (lambda i: 3.0, (2,), lambda i: 3.0),
    "a sum of nothing": (lambda i: sum_over(lambda k: a[i, k], size=0), (4,), lambda i: 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPREHENSIONS)
def test_as_by_hand(name):
    function, shape, meant = COMPREHENSIONS[name]
    expected = by_hand(meant, shape)
    np.testing.assert_allclose(ts.table(function, shape).numpy(), expected, rtol=1e-10, atol=1e-10)
    compiled = ts.jit(lambda: ts.table(function, shape))()
    np.testing.assert_allclose(compiled.numpy(), expected, rtol=1e-10, atol=1e-10)


def test_places_from_data():
    order = ts.asarray([3, 0, 2])
    got = ts.table(lambda i, j: a[order[i], j], (3, 5))
    np.testing.assert_array_equal(got.numpy(), A[[3, 0, 2]])
    with pytest.raises(errors.IndexingError):
        ts.table(lambda i: x[order[i] * 10], (3,))


def test_a_product_becomes_a_contraction():
    graph = ts.make_graph(
        lambda p, q: ts.table(lambda i, j: sum_over(lambda k: p[i, k] * q[k, j]), (4, 6))
    )(a, b)
    kinds = [node.primitive.name for node in graph.nodes]
    assert "contraction" in kinds
    assert not {"multiply", "sum", "Gather"} & set(kinds)


def test_transformed():
    def product(p, q):
        return ts.table(lambda i, j: sum_over(lambda k: p[i, k] * q[k, j]), (4, 6))

    slope = ts.grad(lambda p: (product(p, b) ** 2).sum())(a)
    np.testing.assert_allclose(slope.numpy(), 2 * (A @ B) @ B.T)
    batch = ts.vmap(product, in_axes=(0, None))(ts.stack([a, a * 2.0]), b)
    np.testing.assert_allclose(batch.numpy(), [A @ B, 2 * A @ B])
    np.testing.assert_allclose(
        ts.jit(ts.vmap(product, in_axes=(0, None)))(ts.stack([a, a]), b)[1].numpy(), A @ B
    )
    kernel = b[:, 0]

    def convolved(signal):
        return ts.table(lambda i: sum_over(lambda k: signal[i + k] * kernel[k]), (8,))

    _, along = ts.jvp(convolved, (x,), (x,))
    np.testing.assert_allclose(along.numpy(), np.convolve(X, B[::-1, 0], "valid"))


def test_a_function_of_ones_own():
    smooth = ts.map(lambda v: v / (1 + abs(v)))
    np.testing.assert_allclose(ts.table(lambda i: smooth(x[i]) + ts.maximum(x[i], 0.0), (12,)).numpy(),
                               X / (1 + np.abs(X)) + np.maximum(X, 0))  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: ts.table(lambda i: a[i, 0], (2, 3)), errors.ArgumentError, "takes 1 arguments, and 2 loops"),
        (lambda: ts.table(lambda i: a[i], (4,)), errors.IndexingError, "is given 1 indices; an element needs one for each"),
        (lambda: ts.table(lambda i: x[i], (13,)), errors.IndexingError, "goes from 0 to 12, and the axis has 12"),
        (lambda: ts.table(lambda i: x[i - 1], (3,)), errors.IndexingError, "goes from -1 to 1.*ts.clip"),
        (lambda: ts.table(lambda i: x[0.5], (3,)), errors.ArgumentTypeError, "expected integers|integer"),
        (lambda: ts.table(lambda i: x[a[0, i]], (3,)), errors.IndexingError, "is of float64; expected integers"),
        (lambda: ts.table(lambda i: 1.0 if i > 2 else 0.0, (3,)), errors.ArgumentTypeError, "test_comprehensions.*ts.where"),
        (lambda: ts.table(lambda i: a, (3,)), errors.ArgumentTypeError, r"gave a tensor of shape \(4, 5\)"),
        (lambda: ts.table(lambda i: x[i] + a, (3,)), errors.ShapeError, "index it, so that it is a single number"),
        (lambda: ts.table(lambda i: sum_over(lambda k: k * 1.0), (3,)), errors.ArgumentError, "how many turns the loop 'k' has is not known: it indexes no axis"),
        (lambda: ts.table(3, (3,)), errors.ArgumentTypeError, "table: function is 3; expected a function"),
        (lambda: ts.table(lambda i: "x", (3,)), errors.ArgumentTypeError, "gave str"),
    ],
)  # fmt: skip
def test_messages(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_a_loop_that_is_over():
    kept = []
    with pytest.raises(errors.ArgumentError, match="is over"):
        ts.table(lambda i: sum_over(lambda k: kept.append(a[i, k]) or a[i, k]) + kept[0], (4,))


def test_what_is_the_same_at_every_turn_takes_no_turns():
    turns = 2**40 + 1
    assert ts.prod_over(lambda k: -1.0, turns).item() == -1.0
    assert ts.sum_over(lambda k: 2.0, turns).item() == pytest.approx(2.0 * turns)
    for reduction in (ts.mean_over, ts.max_over, ts.min_over):
        assert reduction(lambda k: 3.0, turns).item() == 3.0
    assert ts.grad(lambda x: ts.prod_over(lambda k: x, 3))(ts.asarray(2.0)).item() == 12.0

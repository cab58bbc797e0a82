"""Convolutions, pooling, maxima, softmax and dropout, compared with loops and with NumPy."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import ArgumentError, ShapeError
from tessella.minitorch import grad_check, tensor


def normal(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def same(found, expected):
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-10, atol=1e-12)


# --- convolutions --------------------------------------------------------------------------------


def convolved(image, weight):
    """The course's geometry: a kernel begins at each place, and reads zeros beyond the end."""
    places = image.shape[2:]
    out = np.zeros((image.shape[0], weight.shape[0], *places))
    for batch, channel, *place in np.ndindex(out.shape):
        for source, *step in np.ndindex(weight.shape[1:]):
            read = tuple(p + s for p, s in zip(place, step, strict=True))
            if all(r < n for r, n in zip(read, places, strict=True)):
                factor = weight[(channel, source, *step)]
                out[(batch, channel, *place)] += image[(batch, source, *read)] * factor
    return out


CONVOLUTIONS = [
    (minitorch.conv1d, (1, 1, 6), (1, 1, 4)),
    (minitorch.conv1d, (2, 3, 5), (4, 3, 2)),
    (minitorch.conv1d, (2, 1, 2), (1, 1, 5)),
    (minitorch.conv2d, (1, 1, 4, 4), (1, 1, 2, 2)),
    (minitorch.conv2d, (2, 3, 4, 5), (2, 3, 3, 2)),
    (minitorch.conv2d, (1, 2, 2, 3), (1, 2, 3, 1)),
]


@pytest.mark.parametrize(("convolve", "image", "weight"), CONVOLUTIONS)
def test_convolutions(backend, convolve, image, weight):
    a, w = normal(*image), normal(*weight)
    same(convolve(tensor(a, backend), tensor(w, backend)), convolved(a, w))
    grad_check(convolve, tensor(a, backend), tensor(w, backend))


def test_an_impulse_shows_the_kernel_backwards(backend):
    x = tensor([[[0.0, 0.0, 1.0, 0.0]]], backend)
    same(minitorch.conv1d(x, tensor([[[1.0, 2.0, 3.0]]], backend)), [[[3.0, 2.0, 1.0, 0.0]]])


def test_convolutions_are_functions(backend):
    x, w = (tensor(normal(1, 1, 3), backend, requires_grad=True) for _ in range(2))
    found = minitorch.conv1d(x, w)
    assert found.history.last_fn is minitorch.Conv1dFun
    assert found.backend is backend
    with pytest.raises(ShapeError, match="conv1d: the input has 1 channels, the weight expects 2"):
        minitorch.conv1d(x, minitorch.ones((1, 2, 3), backend))


# --- pooling -------------------------------------------------------------------------------------


def tiled(a, kh, kw):
    batch, channel, height, width = a.shape
    cut = a.reshape(batch, channel, height // kh, kh, width // kw, kw).swapaxes(3, 4)
    return cut.reshape(batch, channel, height // kh, width // kw, kh * kw)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (2, 3), (4, 1), (4, 6)])
def test_pooling(backend, kernel):
    a = normal(2, 3, 4, 6)
    x, tiles = tensor(a, backend), tiled(a, *kernel)
    found, rows, columns = minitorch.tile(x, kernel)
    assert (rows, columns) == (4 // kernel[0], 6 // kernel[1])
    same(found, tiles)
    same(minitorch.avgpool2d(x, kernel), tiles.mean(-1))
    same(minitorch.maxpool2d(x, kernel), tiles.max(-1))


@pytest.mark.parametrize("pool", [minitorch.avgpool2d, minitorch.maxpool2d])
def test_gradients_of_pooling(backend, pool):
    grad_check(lambda x: pool(x, (2, 3)), tensor(normal(1, 2, 4, 6), backend))


def test_permuted_images_are_pooled(backend):
    a = normal(2, 3, 4, 6)
    turned = tensor(a, backend).permute(0, 1, 3, 2)
    same(minitorch.maxpool2d(turned, (3, 2)), tiled(a.swapaxes(2, 3), 3, 2).max(-1))


def test_kernels_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"a kernel \(3, 2\) does not divide an image \(4, 4\)"):
        minitorch.maxpool2d(minitorch.ones((1, 1, 4, 4)), (3, 2))
    with pytest.raises(ShapeError, match=r"\(4, 4\); expected batch, channel, height, width"):
        minitorch.avgpool2d(minitorch.ones((4, 4)), (2, 2))


# --- maxima and softmax --------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_maxima(backend, dim):
    a = normal(2, 3, 4)
    x = tensor(a, backend)
    largest = a.max(dim, keepdims=True)
    same(minitorch.max(x, dim), largest)
    same(minitorch.Max.apply(x, tensor([float(dim)])), largest)
    same(minitorch.argmax(x, dim), (a == largest) * 1.0)
    grad_check(lambda t: minitorch.max(t, dim), x)


def test_the_gradient_of_a_maximum_goes_to_where_it_was(backend):
    x = tensor([[1.0, 5.0, 2.0], [7.0, 0.0, -1.0]], backend, requires_grad=True)
    (minitorch.max(x, 1) * tensor([[10.0], [20.0]], backend)).sum().backward()
    same(x.grad, [[0.0, 10.0, 0.0], [20.0, 0.0, 0.0]])


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax(backend, dim):
    a = normal(2, 3, 4)
    expected = np.exp(a) / np.exp(a).sum(dim, keepdims=True)
    same(minitorch.softmax(tensor(a, backend), dim), expected)
    same(minitorch.logsoftmax(tensor(a, backend), dim), np.log(expected))
    grad_check(lambda x: minitorch.softmax(x, dim) * x, tensor(a, backend))
    grad_check(lambda x: minitorch.logsoftmax(x, dim) * x, tensor(a, backend))


def test_softmax_does_not_overflow(backend):
    x = tensor([[1000.0, 0.0, -1000.0]], backend)
    same(minitorch.softmax(x, 1), [[1.0, 0.0, 0.0]])
    same(minitorch.logsoftmax(x, 1), [[0.0, -1000.0, -2000.0]])


# --- dropout -------------------------------------------------------------------------------------


def test_dropout_drops_a_share(backend):
    dropped = minitorch.dropout(minitorch.ones((100, 100), backend), 0.3).to_numpy()
    assert set(dropped.flat) == {0.0, 1.0}  # what is left is not scaled
    assert abs(dropped.mean() - 0.7) < 0.03


def test_dropout_draws_anew(backend):
    x = minitorch.ones((100,), backend)
    first, second = (minitorch.dropout(x, 0.5).to_numpy() for _ in range(2))
    assert (first != second).any()


def test_the_ends_of_dropout(backend):
    a = normal(5, 5)
    x = tensor(a, backend)
    same(minitorch.dropout(x, 0.0), a)
    same(minitorch.dropout(x, 1.0), np.zeros((5, 5)))
    same(minitorch.dropout(x, 1.0, ignore=True), a)


def test_gradients_go_where_nothing_was_dropped(backend):
    x = tensor(normal(6, 6), backend, requires_grad=True)
    kept = minitorch.dropout(x, 0.5)
    kept.sum().backward()
    same(x.grad, (kept.to_numpy() != 0) * 1.0)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate):
    message = rf"dropout: rate is {rate}; expected a probability from 0 to 1"
    for ignore in (False, True):
        with pytest.raises(ArgumentError, match=message):
            minitorch.dropout(minitorch.ones((2,)), rate, ignore)

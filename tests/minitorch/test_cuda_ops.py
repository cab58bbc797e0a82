"""`CudaOps`, which is still missing, and the exercises in shared memory."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import DeviceError, ShapeError
from tessella.minitorch import CudaOps, TensorBackend, tensor

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -6.0]])


def test_cuda_ops_can_be_named_everywhere():
    backend = TensorBackend(CudaOps)
    assert backend.cuda
    assert not minitorch.SimpleBackend.cuda
    assert repr(backend) == "TensorBackend(CudaOps)"
    np.testing.assert_array_equal(tensor(X, backend).to_numpy(), X)  # nothing is computed yet


USES = {
    "map": lambda x: -x,
    "zip": lambda x: x + x,
    "product": lambda x: x @ x.permute(1, 0),
    "in order": lambda x: CudaOps.reduce(lambda a, v: a - v)(x, 0),
}


@pytest.mark.parametrize("use", USES)
def test_cuda_says_that_it_is_missing_when_it_is_used(use):
    x = tensor(X, TensorBackend(CudaOps))
    message = (
        r"CudaOps: Tessella has no GPU backend yet; use minitorch\.TensorBackend\(minitorch\.F"
    )
    with pytest.raises(DeviceError, match=message):
        USES[use](x)


@pytest.mark.parametrize("n", [1, 10, 32, 40, 100])
def test_sum_practice(n):
    numbers = np.arange(1.0, n + 1)
    found = minitorch.sum_practice(tensor(numbers))
    padded = np.zeros(max(64, -(-n // 32) * 32))
    padded[:n] = numbers
    assert list(found._storage) == list(padded.reshape(-1, 32).sum(1))
    with pytest.raises(ShapeError, match=r"sum_practice: the shape is \(2, 3\); expected one axis"):
        minitorch.sum_practice(tensor(X))


@pytest.mark.parametrize("n", [1, 2, 5, 32])
def test_mm_practice(n):
    a, b = np.random.default_rng(n).normal(size=(2, n, n))
    found = minitorch.mm_practice(tensor(a), tensor(b))
    np.testing.assert_allclose(found.array(), a @ b, rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((2, 2), (3, 3), r"the shapes are \(2, 2\) and \(3, 3\); expected the same square twice"),
        ((2, 3), (2, 3), "expected the same square twice"),
        ((33, 33), (33, 33), "as one tile of at most 32 rows; for others, use a @ b"),
    ],
)
def test_mm_practice_is_one_tile(first, second, message):
    with pytest.raises(ShapeError, match=message):
        minitorch.mm_practice(minitorch.ones(first), minitorch.ones(second))

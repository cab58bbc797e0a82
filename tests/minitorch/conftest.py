"""What the tests of the course share: the two backends."""

import pytest

from tessella import minitorch

BACKENDS = {
    "simple": minitorch.SimpleBackend,
    "fast": minitorch.TensorBackend(minitorch.FastOps),
}


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS, scope="module")
def backend(request):
    return request.param

"""Where MiniTorch's code asserts, an error is both: ours, and an `AssertionError`."""

import pytest

from tessella import errors, minitorch
from tessella.minitorch import TensorData, tensor

X = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
CASES = {
    "view": (lambda: X.permute(1, 0).view(6), errors.CourseShapeError, r"contiguous\(\)\.view\(6,\)"),
    "permute": (lambda: TensorData([1.0], (1,)).permute(1), errors.CourseIndexingError, "each of the axes"),
    "storage": (lambda: TensorData([1.0], (2,)), errors.CourseShapeError, "1 numbers for shape"),
    "Tensor": (lambda: minitorch.Tensor([1.0]), errors.CourseArgumentError, "expected TensorData"),
    "item": (lambda: X.item(), errors.CourseArgumentError, "has 6 elements"),
    "matmul": (lambda: X @ X, errors.CourseShapeError, "the 3 and the 2 must be equal"),
    "conv1d": (
        lambda: minitorch.conv1d(minitorch.ones((1, 1, 4)), minitorch.ones((1, 2, 2))),
        errors.CourseShapeError,
        "the input has 1 channels, the weight expects 2",
    ),
    "conv2d": (
        lambda: minitorch.conv2d(minitorch.ones((1, 1, 4, 4)), minitorch.ones((1, 2, 2, 2))),
        errors.CourseShapeError,
        "the input has 1 channels",
    ),
    "pool": (
        lambda: minitorch.avgpool2d(minitorch.ones((1, 1, 4, 4)), (3, 2)),
        errors.CourseShapeError,
        "does not divide",
    ),
    "leaf": (
        lambda: X.accumulate_derivative(X), errors.CourseGradientError, "only leaves keep derivatives",
    ),
    "backward": (
        lambda: (tensor([1.0, 2.0], requires_grad=True) * 2.0).backward(),
        errors.CourseGradientError,
        r"\(1,\) if it is left out",
    ),
    "chain rule": (lambda: X.chain_rule(X), errors.CourseGradientError, "was not computed"),
}  # fmt: skip


@pytest.mark.parametrize(("attempt", "kind", "message"), CASES.values(), ids=CASES)
def test_an_error_is_both(attempt, kind, message):
    with pytest.raises(AssertionError, match=message) as caught:
        attempt()
    assert type(caught.value) is kind
    assert isinstance(caught.value, errors.TessellaError)


def test_a_view_of_other_sizes_is_no_assertion():
    with pytest.raises(errors.ShapeError) as caught:
        X.view(4)
    assert not isinstance(caught.value, AssertionError)

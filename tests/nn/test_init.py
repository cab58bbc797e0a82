"""Initialisers: the numbers that are promised, their statistics, generators, what is refused."""

import math

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.nn import init

SHAPE = (200, 100)
STATISTICS = {  # mean, standard deviation, largest size
    "uniform_": ((-1.0, 3.0), 1.0, 4 / 12**0.5, 3.0), "normal_": ((0.5, 2.0), 0.5, 2.0, math.inf),
    "trunc_normal_": ((0.0, 1.0, -1.0, 1.0), 0.0, 0.5396, 1.0),
    "xavier_uniform_": ((2.0,), 0.0, 2 * (2 / 300) ** 0.5, 2 * (6 / 300) ** 0.5),
    "xavier_normal_": ((2.0,), 0.0, 2 * (2 / 300) ** 0.5, math.inf),
    "kaiming_uniform_": ((0.0, "fan_out", "relu"), 0.0, (2 / 200) ** 0.5, (6 / 200) ** 0.5),
    "kaiming_normal_": ((0.5,), 0.0, (2 / 1.25 / 100) ** 0.5, math.inf),
}  # fmt: skip


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(name):
    options, mean, deviation, most = STATISTICS[name]
    ts.manual_seed(11)
    filled = ts.empty(SHAPE)
    assert getattr(init, name)(filled, *options) is filled
    x = filled.numpy().astype(np.float64)
    assert abs(x.mean() - mean) < 4 * deviation / x.size**0.5
    assert x.std() == pytest.approx(deviation, rel=0.02)
    assert abs(x).max() <= most + 1e-6


DRAWN = ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
         "kaiming_normal_", "orthogonal_"]  # fmt: skip


@pytest.mark.parametrize("name", [*DRAWN, "sparse_"])
def test_a_generator_of_ones_own_draws(name):
    options = {"sparsity": 0.5} if name == "sparse_" else {}
    before = ts.random.default.state
    first, again, other = (
        getattr(init, name)(
            ts.empty((5, 4)), **options, generator=ts.random.Generator(seed)
        ).numpy()
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert ts.random.default.state == before
    with pytest.raises(
        errors.ArgumentTypeError, match=f"{name}: generator is 3; expected a ts.random.Generator"
    ):
        getattr(init, name)(ts.empty((5, 4)), **options, generator=3)


@pytest.mark.parametrize("name", [*DRAWN, "zeros_", "ones_", "eye_"])
def test_what_is_empty_stays_so(name):
    assert getattr(init, name)(ts.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 2, 2, 2), (1, 5)])
def test_orthogonal(shape):
    rows = init.orthogonal_(ts.empty(shape), gain=2.0).numpy().reshape(shape[0], -1)
    product = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    np.testing.assert_allclose(product, 4.0 * np.eye(len(product)), atol=1e-5)


def test_sparse_zeroes_other_places_of_each_column():
    ts.manual_seed(2)
    x = init.sparse_(ts.empty((50, 40)), 0.25, std=2.0).numpy()
    assert ((x == 0).sum(axis=0) == math.ceil(0.25 * 50)).all()
    assert x[x != 0].std() == pytest.approx(2.0, rel=0.06)
    assert len({tuple(np.flatnonzero(column == 0)) for column in x.T}) > 30
    assert not init.sparse_(ts.empty((3, 2)), 1.0).numpy().any()


@pytest.mark.peers
@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 2, 3), 1), ((2, 4, 2, 3), 1), ((6, 2, 1, 2, 3), 3), ((4, 4, 3, 3), 2), ((2, 0, 3), 1)]
)  # fmt: skip
def test_dirac_as_pytorch(shape, groups):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    assert np.array_equal(init.dirac_(ts.empty(shape), groups).numpy(), expected)


@pytest.mark.peers
def test_gains_as_pytorch():
    torch = pytest.importorskip("torch")
    names = [
        "linear",
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu",
        "selu",
        "conv1d",
        "conv_transpose3d",
    ]
    for name in names:
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
    known = {name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")}
    assert known <= set(init.__all__)


def test_dirac_gives_the_input_back():
    weight, x = init.dirac_(ts.empty((3, 3, 3, 3))), ts.randn(2, 3, 5, 4)
    assert ts.allclose(ts.nn.functional.conv2d(x, weight, padding=1), x)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: init.dirac_(ts.empty((2, 3))), errors.ShapeError, "dirac_: shape (2, 3) with groups=1; expected (out, in, kernel)"),
        (lambda: init.dirac_(ts.empty((3, 2, 3)), 2), errors.ShapeError, "out to be divisible by groups"),
        (lambda: init.dirac_(ts.empty((3, 2, 3)), 0), errors.ArgumentError, "dirac_: groups is 0"),
        (lambda: init.sparse_(ts.empty(3), 0.1), errors.ShapeError, "sparse_: shape (3,); expected a matrix"),
        (lambda: init.sparse_(ts.empty((3, 2)), 1.5), errors.ArgumentError, "sparsity is 1.5; expected a probability"),
        (lambda: init.eye_(ts.empty(3)), errors.ShapeError, "eye_: shape (3,); expected a matrix"),
        (lambda: init.calculate_gain("gelu"), errors.ArgumentError, "unknown nonlinearity 'gelu'; expected one of linear, sigmoid"),
        (lambda: init.kaiming_normal_(ts.empty(3)), errors.ShapeError, "two axes are needed"),
        (lambda: init.zeros_(np.ones(3)), errors.ArgumentTypeError, "a Tensor, which is filled in place"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value)

"""What dropouts draw: whole channels, of the right share, with mean and variance kept."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (nn.Dropout1d(0.25), (50, 40, 3), 2),
        (nn.Dropout1d(0.25), (900, 3), 1),
        (nn.Dropout2d(0.25), (50, 40, 3, 2), (2, 3)),
        (nn.Dropout2d(0.25), (50, 40, 3), 2),
        (nn.Dropout3d(0.25), (50, 40, 2, 1, 2), (2, 3, 4)),
        (nn.Dropout3d(0.25), (900, 2, 1, 2), (1, 2, 3)),
    ],
    ids=str,
)
def test_whole_channels_are_dropped(layer, shape, axes):
    ts.manual_seed(0)
    dropped = ts.jit(layer)(ts.ones(shape))
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    assert (dropped.max(axis=axes) == dropped.min(axis=axes)).all()
    assert abs((dropped == 0).astype(ts.float32).mean().item() - 0.25) < 0.06
    gradient = ts.grad(lambda x: layer(x).sum())(ts.ones(shape))
    assert (gradient.max(axis=axes) == gradient.min(axis=axes)).all()


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3)], ids=str)
def test_mean_and_variance_stay(layer):
    ts.manual_seed(0)
    x = ts.randn(300, 200, 1)
    y = layer(x)
    assert abs(y.mean().item()) < 0.02
    assert abs(y.std().item() - 1) < 0.02
    kept = ts.grad(lambda x: layer(x).sum())(x) != 0
    assert abs(kept.astype(ts.float32).mean().item() - 0.7) < 0.02
    scale = ((1.7580993**2 * 0.3 + 1) * 0.7) ** -0.5
    saturated = abs(y + 1.7580993 * scale * 0.7) < 1e-5
    assert abs(saturated.astype(ts.float32).mean().item() - 0.3) < 0.02
    assert layer.eval()(x) is x


def test_whole_channels_saturate():
    ts.manual_seed(0)
    y = F.feature_alpha_dropout(ts.ones((30, 20, 4)), 0.5, True)
    assert (y.max(axis=2) == y.min(axis=2)).all()
    assert len(set(y.flatten().tolist())) == 2  # kept or not


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: F.dropout2d(ts.ones((2, 3))), r"dropout2d: shape \(2, 3\); expected 3 or 4 axes"),
        (lambda: F.dropout1d(ts.ones((2, 3)), 1.5), "dropout1d: p is 1.5; expected a probability from 0 to 1"),
        (lambda: F.alpha_dropout(ts.ones(2), -0.1), "alpha_dropout: p is -0.1; expected a probability"),
        (lambda: F.feature_alpha_dropout(ts.ones(2), training=True), r"feature_alpha_dropout: shape \(2,\); expected \(N, C, \.\.\.\)"),
        (lambda: nn.Dropout3d(2.0), "Dropout3d: p is 2.0; expected a probability from 0 to 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()

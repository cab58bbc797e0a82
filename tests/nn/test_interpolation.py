"""What resampling says of what does not fit, what is outside a grid, and inverses."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X = ts.reshape(ts.arange(48.0), (1, 2, 4, 6))
GRID = ts.zeros((1, 3, 3, 2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: F.interpolate(X), "interpolate: give size or scale_factor, one of them"),
        (lambda: F.interpolate(X, 2, 2.0), "interpolate: give size or scale_factor, one of them"),
        (lambda: F.interpolate(X, 2, mode="linear"), r"interpolate: shape \(1, 2, 4, 6\) with mode 'linear'; expected \(N, C, \.\.\.\) with 1 axes after"),
        (lambda: F.interpolate(X, (1, 2, 3)), r"interpolate: size: \(1, 2, 3\); expected an integer or 2 integers"),
        (lambda: F.interpolate(X, scale_factor=-1.0), "scale_factor is -1.0; expected a positive number, or 2 of them"),
        (lambda: F.interpolate(X, scale_factor=0.1), r"from shape \(1, 2, 4, 6\) to the sizes \(0, 0\); expected at least 1"),
        (lambda: F.interpolate(X, 2, align_corners=True), "align_corners=True with mode 'nearest'; it is of linear"),
        (lambda: F.interpolate(X, 2, antialias=True), "antialias with mode 'nearest'; it is of bilinear, bicubic"),
        (lambda: F.interpolate(X, 2, recompute_scale_factor=True), "recompute_scale_factor with size"),
        (lambda: F.interpolate(X.astype(ts.int32), 2, mode="bilinear"), "mode 'bilinear' of int32; convert first"),
        (lambda: F.interpolate(X, 2, mode="cubic"), "mode is 'cubic'; expected 'nearest' or 'nearest-exact'"),
        (lambda: F.grid_sample(X, GRID[0]), r"grid_sample: the input has shape \(1, 2, 4, 6\), the grid \(3, 3, 2\); expected \(N, C, H, W\)"),
        (lambda: F.grid_sample(X[..., :0], GRID), "with at least one element to read"),
        (lambda: F.grid_sample(ts.ones((1, 1, 2, 2, 2)), ts.ones((1, 1, 1, 1, 3)), "bicubic"), "mode 'bicubic' is of images"),
        (lambda: F.affine_grid(ts.ones((2, 3)), (1, 1, 2, 2)), r"affine_grid: theta has shape \(2, 3\), size is \(1, 1, 2, 2\); expected \(N, 2, 3\)"),
        (lambda: F.pixel_shuffle(X, 2), r"pixel_shuffle: shape \(1, 2, 4, 6\); expected \(\.\.\., C, H, W\), C a multiple of 4"),
        (lambda: F.pixel_unshuffle(X, 4), "H and W multiples of 4"),
        (lambda: F.channel_shuffle(X, 3), "C a multiple of 3"),
        (lambda: F.unfold(X, 5), r"unfold: the window \(5, 5\) is larger than the padded input \(4, 6\)"),
        (lambda: F.unfold(X[0, 0], 2), r"unfold: shape \(4, 6\); expected \(N, C, H, W\) or \(C, H, W\)"),
        (lambda: F.unfold(X, 2, stride=0), "must be at least 1"),
        (lambda: F.fold(ts.ones((1, 4, 5)), (3, 3), 2), r"fold: shape \(1, 4, 5\); of output_size \(3, 3\) expected \(N, C \* 4, 4\)"),
        (lambda: F.interpolate(X, 2**40), "memory were asked for"),
        (lambda: F.affine_grid(ts.ones((1, 2, 3)), (1, 1, 2**40, 2)), "memory were asked for"),
        (lambda: F.adaptive_avg_pool2d(X, 2**70), "has more elements than any machine can address|out of range|expected"),
        (lambda: nn.PixelShuffle(0), "PixelShuffle: upscale_factor is 0; expected a whole number of at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()


def test_what_is_outside_or_no_number_is_not_read():
    grid = ts.asarray([[[[ts.nan, 0.0], [1e30, 0.0], [-ts.inf, 0.0], [0.0, 0.0]]]])
    for mode in ("bilinear", "nearest"):
        values = F.grid_sample(X, grid, mode)
        assert values[0, 0, 0, :3].tolist() == [0.0, 0.0, 0.0]
        assert values[0, 0, 0, 3].item() > 0
    nan = ts.where(X == 47, ts.nan, X)  # reaches what reads it, and nothing else
    assert ts.isnan(F.interpolate(nan, 2, mode="area")).sum().item() == 1
    assert ts.isnan(F.interpolate(nan, scale_factor=2)).sum().item() == 4


def test_shuffles_and_columns_have_inverses():
    shuffled = F.pixel_shuffle(ts.concat([X] * 2, axis=1), 2)
    assert (F.pixel_unshuffle(shuffled, 2) == ts.concat([X] * 2, axis=1)).all()
    assert (F.channel_shuffle(F.channel_shuffle(ts.concat([X] * 3, axis=1), 3), 2) == ts.concat([X] * 3, axis=1)).all()  # fmt: skip
    options = {"kernel_size": 2, "stride": 2}
    assert (F.fold(F.unfold(X, **options), (4, 6), **options) == X).all()


def test_resampling_is_mapped_and_keeps_half_precision():
    for mode in ("nearest", "bilinear", "bicubic"):
        resampled = lambda x, mode=mode: F.interpolate(x[None], (3, 9), mode=mode)[0]  # noqa: E731
        images = ts.concat([X, X + 1], axis=0)
        assert ts.allclose(ts.vmap(resampled)(images), F.interpolate(images, (3, 9), mode=mode))
        assert F.interpolate(X.astype(ts.float16), 2, mode=mode).dtype is ts.float16
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2, mode='nearest')"

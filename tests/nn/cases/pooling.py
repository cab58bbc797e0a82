"""Pooling: every option, ties, windows that end behind the axis, sizes of zero and one."""

import numpy as np

from .case import Case, between, case, normal, whole

LINE, IMAGE, VOLUME = normal(2, 3, 9), normal(2, 2, 7, 8), normal(1, 2, 5, 4, 6)
TIES = whole(3, 2, 2, 7, 8).astype(np.float32)
POSITIVE = {
    1: between(0.5, 2, 2, 3, 9),
    2: between(0.5, 2, 2, 2, 7, 8),
    3: between(0.5, 2, 1, 2, 5, 4, 6),
}
LOWEST = np.full((1, 1, 3, 3), np.iinfo(np.int64).min)  # as low as what is padded
PLACES = np.array([[[0, 3, 5], [1, 2, 7]]])


def unpooled(name, x, indices, size=None, **options):
    return Case(name, (x, indices), options, {} if size is None else {"output_size": size})


CASES = [
    case("MaxPool1d", LINE, kernel_size=2),
    case("MaxPool1d", LINE, kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True),
    case("MaxPool1d", LINE[0], kernel_size=4, stride=3, ceil_mode=True, return_indices=True),
    case("MaxPool1d", LINE, kernel_size=9),
    case("MaxPool1d", normal(1, 20, 1).reshape(1, 1, 20), kernel_size=18, stride=1),
    case("MaxPool2d", TIES, kernel_size=2),
    case("MaxPool2d", TIES, kernel_size=3, stride=2, padding=1, return_indices=True),
    case("MaxPool2d", TIES, kernel_size=(5, 4), stride=(1, 2), padding=(2, 1)),
    case("MaxPool2d", TIES[:, :, :5, :5], kernel_size=5),
    case("MaxPool2d", IMAGE[0], kernel_size=(1, 3), dilation=(1, 2), stride=1, return_indices=True),
    case("MaxPool2d", normal(0, 2, 4, 4), kernel_size=2),
    case("MaxPool3d", VOLUME, kernel_size=2, stride=(1, 2, 2), padding=1),
    case("MaxPool3d", VOLUME[0], kernel_size=(2, 3, 2), ceil_mode=True, return_indices=True),
    case("MaxPool3d", VOLUME, kernel_size=(5, 4, 3), stride=1),
    case("max_pool1d", LINE, 3, 1, 1),
    case("max_pool2d", LOWEST, 3, 1, 1, 1, False, True),
    case("max_pool2d", whole(9, 1, 1, 5, 5), 2),
    case("max_pool3d", VOLUME, 2, 2, 0, 1, True),
    case("AvgPool1d", LINE, kernel_size=3),
    case("AvgPool1d", LINE, kernel_size=4, stride=2, padding=2, ceil_mode=True, count_include_pad=False),
    case("AvgPool1d", LINE[0], kernel_size=2, stride=3, padding=1, ceil_mode=True),
    case("AvgPool2d", IMAGE, kernel_size=2),
    case("AvgPool2d", IMAGE, kernel_size=(3, 2), stride=2, padding=1, count_include_pad=False),
    case("AvgPool2d", IMAGE, kernel_size=3, stride=2, padding=1, ceil_mode=True, divisor_override=5),
    case("AvgPool2d", IMAGE[0], kernel_size=(5, 6), stride=1, padding=(2, 3)),
    case("AvgPool2d", IMAGE, kernel_size=(7, 8)),
    case("AvgPool2d", normal(1, 1, 1, 1), kernel_size=1),
    case("AvgPool3d", VOLUME, kernel_size=2, padding=1, ceil_mode=True),
    case("AvgPool3d", VOLUME, kernel_size=(2, 3, 3), stride=1, count_include_pad=False, padding=(1, 0, 1), divisor_override=-3),
    case("avg_pool1d", LINE, 2, 1),
    case("avg_pool2d", IMAGE, 2, 2, 0, True),
    case("avg_pool3d", VOLUME[0], 2),
    *[case(f"LPPool{r}d", POSITIVE[r], norm_type=p, kernel_size=3, stride=2, ceil_mode=c) for r, p, c in ((1, 2, True), (2, 3.0, False), (3, 1.5, True))],
    case("lp_pool1d", POSITIVE[1][0], 2, 2),
    case("lp_pool2d", POSITIVE[2], 4, (2, 3)),
    case("lp_pool3d", POSITIVE[3], 2, 2),
    case("AdaptiveAvgPool1d", LINE, output_size=3),
    case("AdaptiveAvgPool1d", LINE[0], output_size=4),
    case("AdaptiveAvgPool1d", LINE, output_size=13),
    case("AdaptiveAvgPool2d", IMAGE, output_size=(3, None)),
    case("AdaptiveAvgPool2d", IMAGE, output_size=1),
    case("AdaptiveAvgPool3d", VOLUME, output_size=(2, 3, 4)),
    case("adaptive_avg_pool1d", LINE, 2),
    case("adaptive_avg_pool2d", IMAGE[0], (2, 3)),
    case("adaptive_avg_pool3d", VOLUME, 1),
    case("AdaptiveMaxPool1d", LINE, output_size=4, return_indices=True),
    case("AdaptiveMaxPool2d", TIES, output_size=(3, 4), return_indices=True),
    case("AdaptiveMaxPool2d", IMAGE[0], output_size=(None, 5)),
    case("AdaptiveMaxPool3d", VOLUME, output_size=(2, 3, 4), return_indices=True),
    case("adaptive_max_pool1d", LINE[0], 2),
    case("adaptive_max_pool2d", TIES, 3),
    case("adaptive_max_pool3d", VOLUME[0], (1, 2, 3)),
    case("FractionalMaxPool2d", IMAGE, kernel_size=2, output_size=(3, 5), _random_samples=between(0, 1, 2, 2, 2)),
    case("FractionalMaxPool2d", IMAGE[0], kernel_size=(2, 3), output_ratio=(0.5, 0.7), return_indices=True, _random_samples=between(0, 1, 1, 2, 2)),
    case("FractionalMaxPool3d", VOLUME, kernel_size=2, output_ratio=0.5, return_indices=True, _random_samples=between(0, 1, 1, 2, 3)),
    case("fractional_max_pool2d", IMAGE, 3, (1, 2), _random_samples=between(0, 1, 2, 2, 2)),
    case("fractional_max_pool3d", VOLUME, (1, 2, 3), (4, 2, 3), _random_samples=between(0, 1, 1, 2, 3)),
    unpooled("MaxUnpool1d", normal(1, 2, 3), PLACES, kernel_size=3),
    unpooled("MaxUnpool1d", normal(2, 3), PLACES[0], (8,), kernel_size=2, stride=3, padding=0),
    unpooled("MaxUnpool2d", normal(1, 1, 2, 3), PLACES[None], (1, 1, 4, 7), kernel_size=2, stride=(2, 2), padding=0),
    unpooled("MaxUnpool3d", normal(1, 1, 2, 3), PLACES[None], kernel_size=(1, 2, 2), padding=(0, 1, 0)),
    case("max_unpool1d", normal(1, 2, 3), PLACES, 3, 3, 0),
    case("max_unpool2d", normal(1, 2, 3), PLACES, 2, output_size=(4, 6)),
    case("max_unpool3d", normal(1, 1, 1, 2, 3), PLACES[None, None], 2),
]  # fmt: skip

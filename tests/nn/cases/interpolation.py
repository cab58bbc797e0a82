"""Resampling, grids, shuffles, windows as columns."""

import numpy as np

from .case import between, case, normal, whole

LINE, IMAGE, VOLUME = normal(2, 3, 5), normal(2, 2, 5, 7), normal(1, 2, 3, 4, 5)
GRID, BOX = between(-1.6, 1.6, 2, 3, 4, 2), between(-1.6, 1.6, 1, 2, 3, 2, 3)

CASES = [
    *[case("interpolate", LINE, size=n, mode=mode) for mode in ("nearest", "nearest-exact", "linear", "area") for n in (3, 10, 13)],
    case("interpolate", LINE, scale_factor=1.7, mode="linear", recompute_scale_factor=True),
    case("interpolate", LINE, scale_factor=1.7, mode="linear"),
    case("interpolate", LINE, scale_factor=0.7, mode="nearest"),
    case("interpolate", LINE, size=1, mode="linear", align_corners=True),
    case("interpolate", normal(2, 2, 1), size=4, mode="linear", align_corners=False),
    case("interpolate", normal(0, 2, 3), size=4, mode="linear"),
    case("interpolate", whole(9, 1, 2, 3, 4).astype(np.uint8), scale_factor=2),
    case("interpolate", IMAGE, size=(9, 4), mode="bilinear", align_corners=True),
    case("interpolate", IMAGE, scale_factor=(2.0, 1.5), mode="bilinear"),
    case("interpolate", IMAGE, scale_factor=2, mode="bicubic", align_corners=True),
    case("interpolate", IMAGE, size=(3, 11), mode="bicubic"),
    case("interpolate", IMAGE, size=(2, 3), mode="bilinear", antialias=True),
    case("interpolate", IMAGE, size=(8, 3), mode="bicubic", antialias=True),
    case("interpolate", IMAGE, size=(2, 3), mode="bilinear", align_corners=True, antialias=True),
    case("interpolate", IMAGE, scale_factor=0.6, mode="bicubic", antialias=True, recompute_scale_factor=False),
    case("interpolate", IMAGE, size=(2, 3), mode="area"),
    case("interpolate", VOLUME, size=(2, 6, 5), mode="trilinear"),
    case("interpolate", VOLUME, scale_factor=1.5, mode="trilinear", align_corners=True),
    case("interpolate", VOLUME, size=(6, 4, 3), mode="nearest-exact"),
    case("Upsample", IMAGE, scale_factor=(2, 3)),
    case("Upsample", LINE, size=7, mode="linear", align_corners=True),
    case("Upsample", IMAGE, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True),
    case("UpsamplingNearest2d", IMAGE, scale_factor=2),
    case("UpsamplingBilinear2d", IMAGE, size=(3, 8)),
    *[case("grid_sample", IMAGE, GRID, mode, padding, corners) for mode in ("bilinear", "nearest", "bicubic") for padding in ("zeros", "border", "reflection") for corners in (True, False)],
    case("grid_sample", VOLUME, BOX, padding_mode="border", align_corners=True),
    case("grid_sample", VOLUME, BOX, mode="nearest", align_corners=False),
    case("grid_sample", VOLUME, BOX, padding_mode="reflection"),
    case("grid_sample", normal(1, 1, 1, 1), between(-0.9, 0.9, 1, 2, 2, 2), "bilinear", "reflection", True),
    case("affine_grid", normal(2, 2, 3), size=(2, 1, 3, 4), align_corners=True),
    case("affine_grid", normal(2, 2, 3), size=(2, 1, 1, 5), align_corners=False),
    case("affine_grid", normal(1, 3, 4), size=(1, 2, 2, 3, 4)),
    case("PixelShuffle", normal(2, 8, 3, 1), upscale_factor=2),
    case("pixel_shuffle", normal(9, 2, 3), 3),
    case("PixelUnshuffle", normal(2, 1, 4, 6), downscale_factor=2),
    case("pixel_unshuffle", normal(1, 2, 3, 3), 3),
    case("ChannelShuffle", normal(2, 6, 3), groups=3),
    case("channel_shuffle", normal(1, 4, 2, 2), 2),
    case("Unfold", IMAGE, kernel_size=(2, 3), dilation=(2, 1), padding=1, stride=(1, 2)),
    case("Unfold", IMAGE[0], kernel_size=2),
    case("unfold", IMAGE, 3, padding=(0, 2)),
    case("Fold", normal(2, 12, 12), output_size=(4, 5), kernel_size=2),
    case("Fold", normal(8, 21), output_size=(5, 6), kernel_size=(2, 2), dilation=(2, 1), padding=1, stride=(2, 1)),
    case("fold", normal(1, 4, 6), (4, 6), 2, stride=2),
]  # fmt: skip

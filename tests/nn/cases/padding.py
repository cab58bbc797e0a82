"""Padding: every mode, one to three axes, widths of zero and below."""

from .case import case, normal, whole

LINE, IMAGE, VOLUME = normal(2, 3, 5), normal(2, 1, 4, 5), normal(1, 2, 3, 4, 5)
WIDTHS = {1: (2, 1), 2: (2, 1, 0, 3), 3: (1, 2, 0, 3, 2, 1)}
INPUTS = {1: LINE, 2: IMAGE, 3: VOLUME}

CASES = [
    case("pad", LINE, pad=(1, 2)),
    case("pad", LINE, pad=(0, 0)),
    case("pad", LINE, pad=()),
    case("pad", LINE, pad=(1, 2, 0, 1, 2, 0), value=3.5),
    case("pad", LINE, pad=(-1, 2, 1, -2)),
    case("pad", LINE, pad=(-5, 0)),
    case("pad", whole(9, 3, 4), pad=(1, 1), value=7),
    case("pad", normal(0, 3), pad=(1, 1, 2, 1), value=1.0),
    case("pad", normal(3, 0), pad=(1, 1)),
    case("pad", LINE, pad=(4, 4), mode="reflect"),
    case("pad", LINE, pad=(-2, 3), mode="reflect"),
    case("pad", LINE, pad=(7, 9), mode="replicate"),
    case("pad", LINE, pad=(-1, 3), mode="replicate"),
    case("pad", normal(2, 3, 1), pad=(2, 2), mode="replicate"),
    case("pad", LINE, pad=(5, 5), mode="circular"),
    case("pad", LINE, pad=(2, -1), mode="circular"),
    case("pad", LINE[0], pad=(2, 1), mode="reflect"),
    case("pad", IMAGE, pad=WIDTHS[2], mode="reflect"),
    case("pad", VOLUME, pad=WIDTHS[3], mode="replicate"),
    *[
        case(f"{name}{rank}d", INPUTS[rank], padding=padding)
        for name in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")
        for rank in (1, 2, 3)
        for padding in (2, WIDTHS[rank])
    ],
    *[case(f"ConstantPad{rank}d", INPUTS[rank], padding=WIDTHS[rank], value=-1.5) for rank in (1, 2, 3)],
    case("ConstantPad2d", IMAGE[0], padding=1, value=2.0),
    case("ReflectionPad2d", IMAGE[0], padding=1),
    case("ZeroPad2d", IMAGE, padding=(-1, 1, -2, 0)),
]  # fmt: skip

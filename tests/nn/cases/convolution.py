"""Convolutions and transposed convolutions."""

from .case import Case, case, normal

LINE, IMAGE, VOLUME = normal(2, 4, 9), normal(2, 4, 7, 6), normal(1, 2, 4, 5, 3)


def sized(name, x, size, **options):
    """A transposed convolution that is told the size of its output."""
    return Case(name, (x,), options, {"output_size": size})


CASES = [
    case("Conv1d", LINE, in_channels=4, out_channels=6, kernel_size=3, stride=2, padding=1, groups=2),
    case("Conv1d", LINE[0], in_channels=4, out_channels=3, kernel_size=3, bias=False),
    case("Conv1d", LINE, in_channels=4, out_channels=4, kernel_size=4, padding="same", dilation=2),
    case("Conv1d", LINE, in_channels=4, out_channels=2, kernel_size=3, padding="valid"),
    case("Conv1d", LINE, in_channels=4, out_channels=2, kernel_size=3, padding=2, padding_mode="circular"),
    case("Conv1d", LINE, in_channels=4, out_channels=2, kernel_size=4, padding="same", padding_mode="replicate"),
    case("Conv1d", normal(0, 4, 5), in_channels=4, out_channels=2, kernel_size=3),
    case("Conv1d", normal(1, 1, 1), in_channels=1, out_channels=1, kernel_size=1),
    case("Conv2d", IMAGE, in_channels=4, out_channels=4, kernel_size=(3, 2), stride=(2, 1), padding=(2, 0), dilation=(1, 2), groups=4),
    case("Conv2d", IMAGE, in_channels=4, out_channels=2, kernel_size=3, padding=(1, 2), padding_mode="reflect"),
    case("Conv2d", IMAGE, in_channels=4, out_channels=2, kernel_size=3, padding=1, stride=2, padding_mode="replicate"),
    case("Conv2d", IMAGE[0], in_channels=4, out_channels=2, kernel_size=(2, 3), padding="same"),
    case("Conv3d", VOLUME, in_channels=2, out_channels=3, kernel_size=(2, 3, 1), padding=(1, 0, 2), padding_mode="circular"),
    case("Conv3d", VOLUME[0], in_channels=2, out_channels=2, kernel_size=2, groups=2, stride=2),
    case("conv3d", VOLUME, normal(2, 2, 2, 2, 2), normal(2), dilation=(1, 2, 2), padding="same"),
    case("ConvTranspose1d", LINE, in_channels=4, out_channels=3, kernel_size=3),
    case("ConvTranspose1d", LINE, in_channels=4, out_channels=6, kernel_size=4, stride=2, padding=1, groups=2),
    case("ConvTranspose1d", LINE[0], in_channels=4, out_channels=2, kernel_size=2, stride=3, output_padding=2, bias=False),
    case("ConvTranspose1d", LINE, in_channels=4, out_channels=2, kernel_size=3, dilation=3, output_padding=2),
    case("ConvTranspose1d", LINE, in_channels=4, out_channels=2, kernel_size=3, stride=2, dilation=3, padding=4, output_padding=2),
    case("ConvTranspose1d", LINE, in_channels=4, out_channels=2, kernel_size=3, stride=3, padding=7),
    sized("ConvTranspose1d", LINE, (20,), in_channels=4, out_channels=2, kernel_size=4, stride=2),
    case("ConvTranspose1d", normal(0, 4, 3), in_channels=4, out_channels=2, kernel_size=2, stride=2),
    case("ConvTranspose1d", normal(1, 1, 1), in_channels=1, out_channels=1, kernel_size=1),
    case("ConvTranspose2d", IMAGE, in_channels=4, out_channels=2, kernel_size=2, stride=2),
    case("ConvTranspose2d", IMAGE, in_channels=4, out_channels=4, kernel_size=(3, 5), stride=(2, 1), padding=(1, 2), output_padding=(1, 0), groups=4),
    case("ConvTranspose2d", IMAGE[0], in_channels=4, out_channels=2, kernel_size=(3, 2), stride=(1, 3), dilation=(2, 2)),
    sized("ConvTranspose2d", IMAGE, [14, 12], in_channels=4, out_channels=2, kernel_size=3, stride=2, padding=1),
    case("ConvTranspose3d", VOLUME, in_channels=2, out_channels=3, kernel_size=(2, 3, 1), stride=(1, 2, 2), padding=(0, 1, 0)),
    case("conv_transpose1d", LINE, normal(4, 2, 3), normal(2), stride=2),
    case("conv_transpose2d", IMAGE, normal(4, 2, 2, 3), stride=(1, 2), padding=1),
    case("conv_transpose3d", VOLUME[0], normal(2, 1, 2, 2, 2), None, 2, 0, 1, 2),
]  # fmt: skip

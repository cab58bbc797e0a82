"""The table of every layer and function that `layers.py` times: what is called, with what, at two sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_Random = np.random.default_rng


class Sizes(NamedTuple):
    """How large the inputs are: of lines, images and volumes along an axis, and of what has features."""

    batch: int
    channels: int
    line: int
    side: int
    cube: int
    features: int
    places: int
    classes: int


SIZES = {
    "medium": Sizes(16, 64, 256, 28, 8, 256, 64, 1000),
    "small": Sizes(2, 4, 16, 8, 4, 16, 8, 10),
}


class Row(NamedTuple):
    """A layer (its name begins with a capital letter) or a function, which both libraries call so.

    Args:
        inputs: arrays, of which those of floats get gradients; anything else is given as it is.
        options: keywords of the function, or of the layer's constructor.
        call: keywords of the layer's call.
        wrap: what makes the inputs of the call from tensors, given the library; a packed sequence, for one.
        label: what tells the row from others of this name.
    """

    name: str
    inputs: tuple[Any, ...]
    options: dict[str, Any] = {}
    call: dict[str, Any] = {}
    wrap: Callable[[Any, list[Any]], list[Any]] | None = None
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.label}".rstrip()


def normal(*shape: int, seed: int = 0) -> Any:
    return _Random(seed).standard_normal(shape).astype(np.float32)


def between(low: float, high: float, *shape: int, seed: int = 1) -> Any:
    return _Random(seed).uniform(low, high, shape).astype(np.float32)


def whole(high: int, *shape: int, low: int = 0, seed: int = 2) -> Any:
    return _Random(seed).integers(low, high, shape)


def row(name: str, *inputs: Any, label: str = "", **options: Any) -> Row:
    return Row(name, inputs, options, label=label)


def _by_rank(s: Sizes) -> dict[int, Any]:
    """A line, an image, a volume."""
    front = s.batch, s.channels
    return {
        1: normal(*front, s.line),
        2: normal(*front, s.side, s.side),
        3: normal(*front, s.cube, s.cube, s.cube),
    }


def activations(s: Sizes) -> list[Row]:
    x = _by_rank(s)[2]
    plain = (
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
        "Mish", "PReLU", "ReLU", "ReLU6", "RReLU", "SELU", "Sigmoid", "SiLU", "Softmax2d", "Softplus", "Softshrink",
        "Softsign", "Tanh", "Tanhshrink",
    )  # fmt: skip
    return [
        *[row(name, x) for name in plain],
        row("GELU", x, approximate="tanh", label="tanh"),
        *[row(name, x, dim=-1) for name in ("Softmax", "LogSoftmax", "Softmin")],
        row("Softmax", x, dim=1, label="of channels"),
        row("Threshold", x, threshold=0.1, value=20.0),
        row("gumbel_softmax", normal(s.batch * s.places, s.classes)),
    ]


def linear(s: Sizes) -> list[Row]:
    rows, more = normal(s.batch, s.places, s.features), normal(s.batch, s.features)
    return [
        row("Linear", rows, in_features=s.features, out_features=s.features),
        row("Linear", more, in_features=s.features, out_features=s.features, label="of rows"),
        row("Bilinear", more, more + 1, in1_features=s.features, in2_features=s.features, out_features=32),
        row("Flatten", _by_rank(s)[2]), row("Unflatten", more, dim=1, unflattened_size=(2, -1)), row("Identity", more),
    ]  # fmt: skip


def convolutions(s: Sizes) -> list[Row]:
    n = s.channels
    own = {"in_channels": n, "out_channels": n}
    found = []
    for rank, x in _by_rank(s).items():
        for kind in ("Conv", "ConvTranspose"):
            name = f"{kind}{rank}d"
            found += [
                row(name, x, kernel_size=3, padding=1, **own),
                row(
                    name,
                    x,
                    kernel_size=4 if kind != "Conv" else 3,
                    padding=1,
                    stride=2,
                    label="stride 2",
                    **own,
                ),
            ]
            found.append(
                row(name, x, kernel_size=3, padding=1, groups=n, label="by channel", **own)
            )
    image = _by_rank(s)[2]
    return [
        *found,
        row("Conv2d", image, kernel_size=1, label="1×1", **own),
        row("Conv2d", image, kernel_size=1, stride=2, label="1×1, stride 2", **own),
        row("Conv2d", image, kernel_size=3, padding=2, dilation=2, label="dilation 2", **own),
        row("Conv2d", image, kernel_size=3, padding=1, groups=2, label="2 groups", **own),
        row("Conv2d", image, kernel_size=3, padding=1, padding_mode="circular", label="circular", **own),
        row("Conv2d", image, kernel_size=5, padding=2, label="5×5", **own),
        row("Conv2d", image[:, :3].copy(), kernel_size=7, padding=3, stride=2, label="3 channels, 7×7, stride 2", in_channels=3, out_channels=n),
        row("ConvTranspose2d", image, kernel_size=2, stride=2, label="2×2, stride 2", **own),
    ]  # fmt: skip


def pools(s: Sizes) -> list[Row]:
    found = []
    for rank, x in _by_rank(s).items():
        half = x.shape[-1] // 2
        found += [
            row(f"MaxPool{rank}d", x, kernel_size=2),
            row(f"MaxPool{rank}d", x, kernel_size=3, stride=2, padding=1, label="3, stride 2"),
            row(f"MaxPool{rank}d", x, kernel_size=2, return_indices=True, label="with indices"),
            row(f"AvgPool{rank}d", x, kernel_size=2),
            row(f"AvgPool{rank}d", x, kernel_size=3, stride=2, padding=1, label="3, stride 2"),
            row(f"LPPool{rank}d", np.abs(x) + 0.1, norm_type=2, kernel_size=2),
            row(f"AdaptiveAvgPool{rank}d", x, output_size=half),
            row(f"AdaptiveAvgPool{rank}d", x, output_size=1, label="to 1"),
            row(f"AdaptiveAvgPool{rank}d", x, output_size=half - 1, label="uneven"),
            row(f"AdaptiveMaxPool{rank}d", x, output_size=half),
            row(f"AdaptiveMaxPool{rank}d", x, output_size=half - 1, label="uneven"),
            _unpool(rank, x, half),
        ]
        if rank > 1:
            found.append(row(f"FractionalMaxPool{rank}d", x, kernel_size=2, output_size=half))
    return found


def _unpool(rank: int, x: Any, half: int) -> Row:
    """Each place of the pooled line, image or volume goes to the corner of its window."""
    each = np.arange(half) * 2
    places = np.zeros((half,) * rank, np.int64)
    for axis in range(rank):
        places = places * (2 * half) + each.reshape(-1, *(1,) * (rank - axis - 1))
    pooled = x[(slice(None), slice(None), *(slice(0, 2 * half, 2),) * rank)].copy()
    return row(
        f"MaxUnpool{rank}d", pooled, np.broadcast_to(places, pooled.shape).copy(), kernel_size=2
    )


def resampling(s: Sizes) -> list[Row]:
    line, image, volume = _by_rank(s).values()
    grid = between(-1.1, 1.1, s.batch, s.side, s.side, 2)
    box = between(-1.1, 1.1, s.batch, s.cube, s.cube, s.cube, 3)
    front = s.batch, s.channels
    columns = normal(s.batch, 9 * s.channels, s.side * s.side)
    return [
        row("Upsample", image, scale_factor=2),
        row("UpsamplingNearest2d", image, scale_factor=2), row("UpsamplingBilinear2d", image, scale_factor=2),
        row("interpolate", image, size=(20, 37), mode="nearest", label="nearest, uneven"),
        row("interpolate", line, scale_factor=2, mode="linear", label="linear"),
        row("interpolate", image, scale_factor=2, mode="bilinear", label="bilinear"),
        row("interpolate", image, scale_factor=0.5, mode="bilinear", label="bilinear, to half"),
        row("interpolate", image, scale_factor=0.5, mode="bilinear", antialias=True, label="bilinear, antialias"),
        row("interpolate", image, scale_factor=2, mode="bicubic", label="bicubic"),
        row("interpolate", volume, scale_factor=2, mode="trilinear", label="trilinear"),
        row("interpolate", image, scale_factor=0.5, mode="area", label="area"),
        *[row("grid_sample", image, grid, mode=mode, align_corners=False, label=mode) for mode in ("bilinear", "nearest", "bicubic")],
        row("grid_sample", image, grid, padding_mode="border", align_corners=True, label="border"),
        row("grid_sample", volume, box, align_corners=False, label="volume"),
        row("affine_grid", normal(s.batch, 2, 3), size=(*front, s.side, s.side), align_corners=False),
        row("PixelShuffle", image, upscale_factor=2), row("PixelUnshuffle", image, downscale_factor=2),
        row("ChannelShuffle", image, groups=2),
        row("Unfold", image, kernel_size=3, padding=1),
        row("Fold", columns, output_size=(s.side, s.side), kernel_size=3, padding=1),
    ]  # fmt: skip


def padding(s: Sizes) -> list[Row]:
    found = []
    for rank, x in _by_rank(s).items():
        kinds = ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")
        found += [row(f"{kind}{rank}d", x, padding=2) for kind in kinds]
        found.append(row(f"ConstantPad{rank}d", x, padding=2, value=0.5))
    return found


def normalisations(s: Sizes) -> list[Row]:
    found = []
    for rank, x in _by_rank(s).items():
        found += [
            row(f"BatchNorm{rank}d", x, num_features=s.channels),
            row(f"InstanceNorm{rank}d", x, num_features=s.channels),
        ]
    image = _by_rank(s)[2]
    rows = normal(s.batch, s.places, s.features)
    return [
        *found,
        row("BatchNorm1d", normal(s.batch, s.features), num_features=s.features, label="of rows"),
        row("InstanceNorm2d", image, num_features=s.channels, affine=True, track_running_stats=True, label="all options"),
        row("GroupNorm", image, num_groups=2, num_channels=s.channels),
        row("LayerNorm", rows, normalized_shape=s.features),
        row("LayerNorm", image, normalized_shape=image.shape[1:], label="of images"),
        row("RMSNorm", rows, normalized_shape=s.features),
        row("LocalResponseNorm", image, size=5), row("normalize", rows, dim=-1),
    ]  # fmt: skip


def dropouts(s: Sizes) -> list[Row]:
    line, image, volume = _by_rank(s).values()
    return [
        row("Dropout", image), row("Dropout1d", line), row("Dropout2d", image), row("Dropout3d", volume),
        row("AlphaDropout", image), row("FeatureAlphaDropout", image),
    ]  # fmt: skip


def tables(s: Sizes) -> list[Row]:
    own = {"num_embeddings": 10 * s.classes, "embedding_dim": s.features}
    words = whole(10 * s.classes, s.batch, s.places)
    return [
        row("Embedding", words, **own), row("Embedding", words, padding_idx=0, scale_grad_by_freq=True, label="by frequency", **own),
        row("Embedding", words, max_norm=1.0, label="max_norm", **own),
        *[row("EmbeddingBag", words, mode=mode, label=mode, **own) for mode in ("sum", "mean", "max")],
    ]  # fmt: skip


def recurrent(s: Sizes) -> list[Row]:
    found = []
    x, h, c = normal(s.batch, s.features), normal(s.batch, s.features, seed=1), normal(s.batch, s.features, seed=2)  # fmt: skip
    own = {"input_size": s.features, "hidden_size": s.features}
    cells = [
        row("RNNCell", x, h, **own), row("GRUCell", x, h, **own),
        Row("LSTMCell", (x, h, c), own, wrap=lambda _, given: [given[0], tuple(given[1:])]),
    ]  # fmt: skip
    small = s is SIZES["small"]
    batch, places, hidden = (4, 20, 32) if small else (32, 64, 256)
    steps, own = normal(places, batch, hidden), {"input_size": hidden, "hidden_size": hidden}
    lengths = [int(n) for n in sorted(whole(places + 1, batch, low=places // 4), reverse=True)]

    def packed(library: Any, given: list[Any]) -> list[Any]:
        return [library.nn.utils.rnn.pack_padded_sequence(given[0], lengths)]

    for name in ("RNN", "GRU", "LSTM"):
        found += [
            row(name, steps, **own),
            row(name, steps, num_layers=2, label="2 layers", **own),
            row(name, steps, bidirectional=True, label="bidirectional", **own),
            Row(name, (steps,), {**own, "num_layers": 2, "bidirectional": True}, wrap=packed, label="2 layers, bidirectional, packed"),
        ]  # fmt: skip
    one = normal(4 * places, 1, hidden)
    return [
        *cells, *found, row("LSTM", steps, proj_size=hidden // 2, label="proj_size", **own),
        row("LSTM", one, label="batch 1", **own),
    ]  # fmt: skip


def attention(s: Sizes) -> list[Row]:
    x = normal(s.batch, s.places, s.features)
    heads = [normal(s.batch, 4, s.places, s.features // 4, seed=seed) for seed in range(3)]
    block = {
        "d_model": s.features,
        "nhead": 4,
        "dim_feedforward": 4 * s.features,
        "batch_first": True,
    }
    own = {"embed_dim": s.features, "num_heads": 4, "batch_first": True}
    padded = np.arange(s.places) >= whole(s.places + 1, s.batch, 1, low=1)
    return [
        Row("MultiheadAttention", (x, x, x), own),
        Row("MultiheadAttention", (x, x, x), own, {"need_weights": False, "key_padding_mask": padded}, label="masked"),
        row("TransformerEncoderLayer", x, **block), row("TransformerDecoderLayer", x, x + 1, **block),
        row("Transformer", x, x + 1, num_encoder_layers=1, num_decoder_layers=1, **block),
        row("scaled_dot_product_attention", *heads), row("scaled_dot_product_attention", *heads, is_causal=True, label="causal"),
    ]  # fmt: skip


def losses(s: Sizes) -> list[Row]:
    rows, y = normal(s.batch * s.places, s.classes), normal(s.batch * s.places, s.classes, seed=4)
    classes, signs = whole(s.classes, len(rows)), whole(2, *rows.shape) * 2 - 1
    labels = np.full(rows.shape, -1)
    labels[:, :3] = np.argsort(rows, axis=1)[:, :3]
    shares = (lambda e: e / e.sum(axis=1, keepdims=True))(np.exp(rows))
    share = between(0.01, 0.99, *rows.shape)
    x, a, b = (normal(s.batch * s.places, s.features, seed=seed) for seed in range(3))
    sign, bound = signs[:, 0].copy(), s.classes // 10
    return [
        *[row(name, rows, y) for name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss")],
        row("BCELoss", share, between(0, 1, *rows.shape, seed=5)), row("BCEWithLogitsLoss", rows, share),
        row("PoissonNLLLoss", rows, whole(5, *rows.shape)), row("GaussianNLLLoss", rows, y, share),
        row("KLDivLoss", np.log(shares), shares, reduction="batchmean"),
        row("NLLLoss", np.log(shares), classes), row("CrossEntropyLoss", rows, classes),
        row("CrossEntropyLoss", rows, classes, label_smoothing=0.1, label="smoothed"),
        row("CrossEntropyLoss", rows, shares, label="of shares"),
        row("CrossEntropyLoss", normal(s.batch, 10, s.side, s.side), whole(10, s.batch, s.side, s.side), label="of images"),
        row("MultiMarginLoss", rows, classes), row("MultiLabelMarginLoss", rows[: s.batch].copy(), labels[: s.batch].copy()),
        row("MultiLabelSoftMarginLoss", rows, (signs > 0).astype(np.float32)),
        row("HingeEmbeddingLoss", rows, signs), row("SoftMarginLoss", rows, signs), row("MarginRankingLoss", rows, y, signs),
        row("CosineEmbeddingLoss", x, a, sign), row("TripletMarginLoss", x, a, b), row("TripletMarginWithDistanceLoss", x, a, b),
        row("LinearCrossEntropyLoss", x, classes, in_features=s.features, num_classes=s.classes),
        row("AdaptiveLogSoftmaxWithLoss", x, classes, in_features=s.features, n_classes=s.classes, cutoffs=[bound, 3 * bound]),
        _alignments(s),
    ]  # fmt: skip


def _alignments(s: Sizes) -> Row:
    """CTC on 200 frames, or on 20."""
    steps, count = (200, 40) if s.batch > 2 else (20, 4)
    logs = normal(steps, s.batch, 28 + 1)
    logs -= np.log(np.exp(logs).sum(axis=-1, keepdims=True))
    lengths = np.full(s.batch, steps), np.full(s.batch, count)
    return row("CTCLoss", logs, whole(29, s.batch, count, low=1), *lengths)


def distances(s: Sizes) -> list[Row]:
    x, y = (normal(s.batch * s.places, s.features, seed=seed) for seed in range(2))
    few = normal(s.batch * 8, s.features)
    return [
        row("CosineSimilarity", x, y), row("PairwiseDistance", x, y), row("pdist", few),
        row("pdist", few, p=1.0, label="p = 1"), row("pdist", few, p=math.inf, label="p = inf"),
    ]  # fmt: skip


FAMILIES = (
    activations, linear, convolutions, pools, resampling, padding, normalisations, dropouts, tables, recurrent,
    attention, losses, distances,
)  # fmt: skip


def rows(size: str) -> list[Row]:
    """All rows at a size: "medium" or "small"."""
    return [row for family in FAMILIES for row in family(SIZES[size])]

"""Training steps written once for both frameworks: Tessella has PyTorch's names, so the same lines make the same step."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[..., Any]


@dataclass(frozen=True)
class Framework:
    """Where a work takes its layers, functions, optimisers and tensors from."""

    name: str

    @property
    def top(self) -> Any:
        return importlib.import_module(self.name)

    @property
    def nn(self) -> Any:
        return importlib.import_module(f"{self.name}.nn")

    @property
    def F(self) -> Any:
        return importlib.import_module(f"{self.name}.nn.functional")

    @property
    def optim(self) -> Any:
        return importlib.import_module(f"{self.name}.optim")

    @property
    def rnn(self) -> Any:
        return importlib.import_module(f"{self.name}.nn.utils.rnn")

    def tensor(self, array: np.ndarray[Any, Any]) -> Any:
        return self.top.asarray(array)

    def floats(self, random: np.random.Generator, *shape: int) -> Any:
        return self.tensor(random.standard_normal(shape).astype(np.float32))

    def classes(self, random: np.random.Generator, count: int, *shape: int) -> Any:
        return self.tensor(random.integers(0, count, shape))


def _trained(optimiser: Any, loss: Step, *data: Any) -> tuple[Step, tuple[Any, ...]]:
    """One step of training, and the data it is called with."""

    def step(*data: Any) -> Any:
        optimiser.zero_grad()
        value = loss(*data)
        value.backward()
        optimiser.step()
        return value

    return step, data


def lstm(t: Framework) -> Any:
    """A language model of letters: 65 of them, 64 places, 32 sequences."""
    random = np.random.default_rng(0)

    class Language(t.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.lstm = t.nn.Embedding(65, 128), t.nn.LSTM(128, 256)
            self.out = t.nn.Linear(256, 65)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(self.tokens(x))[0])

    model = Language()

    def loss(x: Any, y: Any) -> Any:
        return t.F.cross_entropy(model(x).reshape((-1, 65)), y.reshape((-1,)))

    optimiser = t.optim.Adam(model.parameters())
    return _trained(optimiser, loss, t.classes(random, 65, 64, 32), t.classes(random, 65, 64, 32))


def gru(t: Framework) -> Any:
    """Sequences of 8 to 64 places, classified by the last states of two layers in both directions."""
    random = np.random.default_rng(0)
    lengths = random.integers(8, 65, 32).tolist()
    layer, head = t.nn.GRU(128, 256, 2, bidirectional=True, batch_first=True), t.nn.Linear(512, 10)

    def loss(x: Any, y: Any) -> Any:
        packed = t.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, last = layer(packed)
        return t.F.cross_entropy(head(t.top.cat([last[-2], last[-1]], 1)), y)

    optimiser = t.optim.Adam([*layer.parameters(), *head.parameters()])
    return _trained(optimiser, loss, t.floats(random, 32, 64, 128), t.classes(random, 10, 32))


def unet(t: Framework) -> Any:
    """Ronneberger et al., *U-Net* (2015), of three levels: 64² pixels, batch 16."""
    random = np.random.default_rng(0)

    def twice(inside: int, outside: int) -> Any:
        layers = []
        for channels in (inside, outside):
            layers += [t.nn.Conv2d(channels, outside, 3, padding=1), t.nn.ReLU()]
        return t.nn.Sequential(*layers)

    class UNet(t.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            widths = (32, 64, 128)
            self.down = t.nn.ModuleList(
                [twice(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True)]
            )
            self.bottom = twice(128, 256)
            self.up = t.nn.ModuleList(
                [t.nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[::-1]]
            )
            self.joined = t.nn.ModuleList([twice(2 * width, width) for width in widths[::-1]])
            self.out = t.nn.Conv2d(32, 1, 1)

        def forward(self, x: Any) -> Any:
            kept = []
            for block in self.down:
                x = block(x)
                kept.append(x)
                x = t.F.max_pool2d(x, 2)
            x = self.bottom(x)
            for up, block, other in zip(self.up, self.joined, kept[::-1], strict=True):
                x = block(t.top.cat([up(x), other], 1))
            return self.out(x)

    model = UNet()

    def loss(x: Any, y: Any) -> Any:
        return t.F.binary_cross_entropy_with_logits(model(x), y)

    mask = t.tensor((random.random((16, 1, 64, 64)) > 0.5).astype(np.float32))
    optimiser = t.optim.Adam(model.parameters())
    return _trained(optimiser, loss, t.floats(random, 16, 3, 64, 64), mask)


def resnet(t: Framework, grouped: bool = False) -> Any:
    """He et al., *Deep residual learning* (2015): ResNet-18 for 32² pixels, batch 64."""
    random = np.random.default_rng(0)

    def norm(channels: int) -> Any:
        return t.nn.GroupNorm(32, channels) if grouped else t.nn.BatchNorm2d(channels)

    class Residual(t.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.norm1 = t.nn.Conv2d(inside, outside, 3, stride, 1, bias=False), norm(outside)  # fmt: skip
            self.conv2, self.norm2 = t.nn.Conv2d(outside, outside, 3, 1, 1, bias=False), norm(outside)  # fmt: skip
            short = [t.nn.Conv2d(inside, outside, 1, stride, bias=False), norm(outside)]
            self.short = t.nn.Sequential(*short[: 2 * (stride != 1)])

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(t.F.relu(self.norm1(self.conv1(x)))))
            return t.F.relu(y + self.short(x))

    layers = [t.nn.Conv2d(3, 64, 3, 1, 1, bias=False), norm(64), t.nn.ReLU()]
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(inside, outside, stride), Residual(outside, outside, 1)]
        inside = outside
    model = t.nn.Sequential(*layers, t.nn.AvgPool2d(4), t.nn.Flatten(), t.nn.Linear(512, 10))

    def loss(x: Any, y: Any) -> Any:
        return t.F.cross_entropy(model(x), y)

    optimiser = t.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return _trained(optimiser, loss, t.floats(random, 64, 3, 32, 32), t.classes(random, 10, 64))


def group_resnet(t: Framework) -> Any:
    """The same with GroupNorm of 32 groups."""
    return resnet(t, grouped=True)


def encoder(t: Framework) -> Any:
    """Four layers of a Transformer's encoder over 16 sequences of 32 to 128 places, the rest hidden by a mask."""
    random = np.random.default_rng(0)
    layer = t.nn.TransformerEncoderLayer(256, 8, 1024, activation="gelu", batch_first=True)
    model, head = t.nn.TransformerEncoder(layer, 4), t.nn.Linear(256, 10)
    lengths = random.integers(32, 129, (16, 1))
    hidden = t.tensor(np.arange(128) >= lengths)

    def loss(x: Any, hidden: Any, y: Any) -> Any:
        return t.F.cross_entropy(head(model(x, src_key_padding_mask=hidden)[:, 0]), y)

    optimiser = t.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-3)
    return _trained(
        optimiser, loss, t.floats(random, 16, 128, 256), hidden, t.classes(random, 10, 16)
    )


def ctc(t: Framework) -> Any:
    """Graves et al., *Connectionist temporal classification* (2006): 200 frames, 32 sequences, up to 40 of 64 labels."""
    random = np.random.default_rng(0)
    layer = t.nn.Linear(80, 64)
    frames, labels = random.integers(120, 201, 32), random.integers(10, 41, 32)

    def loss(x: Any, y: Any, frames: Any, labels: Any) -> Any:
        return t.F.ctc_loss(t.F.log_softmax(layer(x), -1), y, frames, labels)

    targets = t.tensor(random.integers(1, 64, (32, 40)))
    optimiser = t.optim.SGD(layer.parameters(), lr=0.1)
    return _trained(
        optimiser, loss, t.floats(random, 200, 32, 80), targets, t.tensor(frames), t.tensor(labels)
    )


def adamw(t: Framework) -> Any:
    """AdamW on 50 million numbers in 12 tensors, whose gradients are there."""
    random = np.random.default_rng(0)
    shapes = [(2048, 2048)] * 11 + [(1882, 2048)]
    parameters = [t.nn.Parameter(t.floats(random, *shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = t.floats(random, *parameter.shape)
    optimiser = t.optim.AdamW(parameters, fused=True)

    def step() -> None:
        optimiser.step()

    return step, ()


def handwriting(t: Framework) -> Any:
    """The network of `tessella train handwriting`."""
    random = np.random.default_rng(0)
    nn = t.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip
    optimiser = t.optim.AdamW(model.parameters(), fused=True)
    data = t.floats(random, 64, 1, 28, 28), t.classes(random, 10, 64)
    return _trained(optimiser, lambda x, y: t.F.cross_entropy(model(x), y), *data)


def sentences(t: Framework) -> Any:
    """The network of `tessella train sentiment`: Kim (2014)."""
    random = np.random.default_rng(0)
    nn = t.nn

    class SentenceCNN(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9000, 128, padding_idx=0)
            self.convolutions = nn.ModuleList([nn.Conv1d(128, 100, size) for size in (3, 4, 5)])
            self.output, self.dropout = nn.Linear(300, 2), nn.Dropout(0.5)

        def forward(self, words: Any) -> Any:
            vectors = self.embedding(words).permute(0, 2, 1)
            features = [t.top.amax(t.F.relu(layer(vectors)), -1) for layer in self.convolutions]
            return self.output(self.dropout(t.top.cat(features, 1)))

    model = SentenceCNN()
    optimiser = t.optim.AdamW(model.parameters(), fused=True)
    data = t.classes(random, 9000, 50, 56), t.classes(random, 2, 50)
    return _trained(optimiser, lambda x, y: t.F.cross_entropy(model(x), y), *data)


def characters(t: Framework) -> Any:
    """The network of `tessella train gpt`: 4 layers, 128 wide, context 64, batch 12."""
    random = np.random.default_rng(0)
    nn, width, heads = t.nn, 128, 4

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            n, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).reshape(n, length, 3, heads, width // heads)
            q, k, v = (parts[:, :, i].permute(0, 2, 1, 3) for i in range(3))
            seen = t.F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(seen.permute(0, 2, 1, 3).reshape(n, length, width))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(65, width), nn.Embedding(64, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 65, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.places(t.top.arange(tokens.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    model = GPT()
    optimiser = t.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.1, fused=True)

    def loss(x: Any, y: Any) -> Any:
        return t.F.cross_entropy(model(x).reshape(-1, 65), y.reshape(-1))

    return _trained(optimiser, loss, t.classes(random, 65, 12, 64), t.classes(random, 65, 12, 64))

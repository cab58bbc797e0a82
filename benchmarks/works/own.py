"""The works in Tessella: each function gives a step to be called again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F

Step = Callable[..., Any]
random = np.random.default_rng(0)


def trained(model: nn.Module, loss: Step, optimiser: optim.Optimizer, data: list[ts.Tensor]) -> Any:
    """One step of training, and the data it is called with."""

    def step(*data: ts.Tensor) -> ts.Tensor:
        optimiser.zero_grad()
        value = loss(model, *data)
        value.backward()
        optimiser.step()
        return value

    return step, data


def floats(*shape: int) -> ts.Tensor:
    return ts.asarray(random.standard_normal(shape).astype(np.float32))


def classes(count: int, *shape: int) -> ts.Tensor:
    return ts.asarray(random.integers(0, count, shape))


def split() -> Any:
    model = nn.Sequential(
        nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1)
    )
    labels = ts.asarray((random.random((10, 1)) > 0.5).astype(np.float32))
    loss = lambda m, x, y: F.binary_cross_entropy_with_logits(m(x), y)  # noqa: E731
    return trained(model, loss, optim.SGD(model.parameters(), lr=0.05), [floats(10, 2), labels])


def mlp() -> Any:
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    loss = lambda m, x, y: F.cross_entropy(m(x), y)  # noqa: E731
    return trained(
        model, loss, optim.SGD(model.parameters(), lr=0.1), [floats(128, 784), classes(10, 128)]
    )


def cnn() -> Any:
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    loss = lambda m, x, y: F.cross_entropy(m(x), y)  # noqa: E731
    data = [floats(64, 1, 28, 28), classes(10, 64)]
    return trained(model, loss, optim.Adam(model.parameters()), data)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        batch, length, width = x.shape  # (B, T, D)
        parts = ts.reshape(self.qkv(x), (batch, length, 3, self.heads, width // self.heads))
        q, k, v = (ts.permute_dims(parts[:, :, i], (0, 2, 1, 3)) for i in range(3))  # (B, H, T, d)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(ts.reshape(ts.permute_dims(seen, (0, 2, 1, 3)), (batch, length, width)))


class PreNormBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, causal=True)
        self.norm2 = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, length: int, checkpoints: bool
    ) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([PreNormBlock(width, heads) for _ in range(layers)])
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        h = self.tokens(x) + self.places(ts.arange(x.shape[1]))
        for block in self.blocks:
            h = ts.checkpoint(block)(h) if self.checkpoints else block(h)
        return self.out(self.norm(h))


def gpt(layers: int = 6, batch: int = 8, checkpoints: bool = False) -> Any:
    model = GPT(65, 384, layers, 6, 128, checkpoints)
    loss = lambda m, x, y: F.cross_entropy(ts.reshape(m(x), (-1, 65)), ts.reshape(y, (-1,)))  # noqa: E731
    data = [classes(65, batch, 128), classes(65, batch, 128)]
    return trained(model, loss, optim.AdamW(model.parameters(), lr=3e-4), data)


class PostNormBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention, self.norm1 = Attention(width, heads, causal=False), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class BERT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(30522, 768), nn.Embedding(512, 768)
        self.norm = nn.LayerNorm(768)
        self.blocks = nn.ModuleList([PostNormBlock(768, 12) for _ in range(12)])

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        h = self.norm(self.tokens(x) + self.places(ts.arange(x.shape[1])))
        for block in self.blocks:
            h = block(h)
        return h


def inference(function: Step, data: list[ts.Tensor]) -> Any:
    def step(*data: ts.Tensor) -> ts.Tensor:
        with ts.no_grad():
            return function(*data)

    return step, data


def bert() -> Any:
    return inference(BERT().eval(), [classes(30522, 1, 128)])


def softmax() -> Any:
    return inference(lambda x: F.softmax(x, -1), [floats(4096, 1024)])


def gelu_layer_norm() -> Any:
    norm = nn.LayerNorm(1024)
    return inference(lambda x: F.gelu(norm(x)), [floats(4096, 1024)])


def chain() -> Any:
    def function(x: ts.Tensor) -> ts.Tensor:
        return ts.sigmoid(2.0 * x + 1.0) * ts.tanh(x) - ts.minimum(ts.exp(x), 3.0)

    return inference(function, [floats(4096, 1024)])


def convolution() -> Any:
    layer = nn.Conv2d(64, 64, 3, padding=1)
    return inference(lambda x: F.relu(layer(x)), [floats(8, 64, 56, 56)])


def product_bfloat16(size: int) -> Any:
    data = [floats(size, size).astype(ts.bfloat16) for _ in range(2)]
    return inference(lambda x, y: x @ y, data)


def product(size: int) -> Any:
    return inference(lambda x, y: x @ y, [floats(size, size), floats(size, size)])


def matrix_vector() -> Any:
    layer = nn.Linear(4096, 4096)
    return inference(layer, [floats(1, 4096)])


class Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.short = (
            nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )
            if stride != 1 or inside != outside
            else nn.Sequential()
        )

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.short(x))


def resnet() -> Any:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(inside, outside, stride), Residual(outside, outside, 1)]
        inside = outside
    model = nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 10))
    loss = lambda m, x, y: F.cross_entropy(m(x), y)  # noqa: E731
    optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, loss, optimiser, [floats(64, 3, 32, 32), classes(10, 64)])


def embedding() -> Any:
    model = nn.Embedding(10000, 256)
    loss = lambda m, x: (m(x) ** 2).mean()  # noqa: E731
    return trained(model, loss, optim.SGD(model.parameters(), lr=0.1), [classes(10000, 64, 128)])


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.lstm = nn.Embedding(65, 128), nn.LSTM(128, 256)
        self.out = nn.Linear(256, 65)

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        return self.out(self.lstm(self.tokens(x))[0])


def lstm() -> Any:
    model = Language()
    loss = lambda m, x, y: F.cross_entropy(ts.reshape(m(x), (-1, 65)), ts.reshape(y, (-1,)))  # noqa: E731
    data = [classes(65, 64, 32), classes(65, 64, 32)]
    return trained(model, loss, optim.Adam(model.parameters()), data)


def attention() -> Any:
    def step(q: ts.Tensor, k: ts.Tensor, v: ts.Tensor, ct: ts.Tensor) -> Any:
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(ct)
        return q.grad, k.grad, v.grad

    return step, [floats(1, 12, 2048, 64) for _ in range(4)]

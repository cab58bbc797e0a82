"""Module 4: a convolutional network reads handwritten digits, ten classes at once.

The images and labels are files of the MNIST database in its own format (IDX, gzipped or not).
"""

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import tessella as ts
import tessella.minitorch as minitorch
from tessella.cli.course import check, seeded
from tessella.cli.guard import run
from tessella.cli.views import ImageView
from tessella.errors import ArgumentError

BACKEND = minitorch.TensorBackend(minitorch.FastOps)
BATCH = 16
C = 10  # classes
H, W = 28, 28


def RParam(*shape: int, fan_in: int) -> minitorch.Parameter:
    """Random numbers that keep the size of signals through a ReLU (He et al., 2015, equation 10)."""
    bound = math.sqrt(6.0 / fan_in)
    return minitorch.Parameter(2 * bound * (minitorch.rand(shape, backend=BACKEND) - 0.5))


def zeros(*shape: int) -> minitorch.Parameter:
    return minitorch.Parameter(minitorch.zeros(shape, backend=BACKEND))


class Linear(minitorch.Module):
    """x W + b."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.weights = RParam(in_size, out_size, fan_in=in_size)
        self.bias = zeros(out_size)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return x @ self.weights.value + self.bias.value


class Conv2d(minitorch.Module):
    """A bank of kernels over images, and a bias for each."""

    def __init__(self, in_channels: int, out_channels: int, kh: int, kw: int) -> None:
        super().__init__()
        self.weights = RParam(out_channels, in_channels, kh, kw, fan_in=in_channels * kh * kw)
        self.bias = zeros(out_channels, 1, 1)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return minitorch.conv2d(x, self.weights.value) + self.bias.value


class Network(minitorch.Module):
    """Two convolutions, one pooling, two linear layers: (batch, 1, 28, 28) -> (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(1, 4, 3, 3)
        self.conv2 = Conv2d(4, 8, 3, 3)
        self.linear1 = Linear(392, 64)
        self.linear2 = Linear(64, C)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        x = self.conv1(x).relu()
        x = self.conv2(x).relu()
        x = minitorch.avgpool2d(x, (4, 4))
        x = self.linear1(x.view(x.shape[0], 392)).relu()
        x = minitorch.dropout(x, 0.25, ignore=not self.training)
        return minitorch.logsoftmax(self.linear2(x), 1)


class ImageTrain:
    """Trains the network in batches of 16; every few of them it reads a batch that is held out."""

    def __init__(self, jit: bool = True) -> None:
        self.model = Network()
        self.jit = ts.jit if jit else lambda function: function

    def run_many(self, X: Any) -> minitorch.Tensor:
        return self.model(minitorch.tensor(X, backend=BACKEND).view(len(X), 1, H, W))

    def train(
        self, data_train, data_val, learning_rate: float, max_epochs: int,
        log_fn: Callable[..., None],
    ) -> None:  # fmt: skip
        (X_train, y_train), (X_val, y_val) = data_train, data_val
        model = self.model
        optim = minitorch.SGD(model.parameters(), learning_rate)

        @self.jit
        def step(x: minitorch.Tensor, y: minitorch.Tensor) -> minitorch.Tensor:
            optim.zero_grad()
            out = model(x.view(BATCH, 1, H, W))
            loss = -((out * y).sum(1) / BATCH).sum()
            loss.backward()
            optim.step()
            return loss

        @self.jit
        def read(x: minitorch.Tensor) -> minitorch.Tensor:
            return model(x.view(BATCH, 1, H, W))

        losses: list[float] = []
        starts = range(0, len(X_train) - BATCH + 1, BATCH)
        for epoch in range(1, max_epochs + 1):
            for number, first in enumerate(starts):
                x = minitorch.tensor(X_train[first : first + BATCH], backend=BACKEND)
                y = minitorch.tensor(y_train[first : first + BATCH], backend=BACKEND)
                losses.append(step(x, y).item())
                if number % 5 and number + 1 < len(starts):
                    continue
                model.eval()
                place = BATCH * (len(losses) // 5 % (len(X_val) // BATCH))
                x = minitorch.tensor(X_val[place : place + BATCH], backend=BACKEND)
                found = read(x).to_numpy().argmax(1)
                correct = int((found == y_val[place : place + BATCH].argmax(1)).sum())
                model.train()
                log_fn(epoch, sum(losses[-5:]), correct, BATCH, losses, model)


def read_idx(path: Path) -> np.ndarray:
    """An array of bytes from a file of the MNIST database.

    Source: LeCun, Cortes & Burges, *The MNIST database of handwritten digits*, file formats.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read ({error.strerror or error})") from None
    if data[:3] != b"\0\0\x08":
        raise ArgumentError(f"{path} is no IDX file of bytes; expected one of the MNIST database")
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images of one file and the labels of another, which belong together.

    Shapes: (N, H, W) and (N,).
    """
    pictures, classes = read_idx(images), read_idx(labels)
    for path, array, rank, what in (
        (
            images,
            pictures,
            3,
            "images, of three axes (train-images-idx3-ubyte, t10k-images-idx3-ubyte)",
        ),
        (
            labels,
            classes,
            1,
            "labels, of one axis (train-labels-idx1-ubyte, t10k-labels-idx1-ubyte)",
        ),
    ):
        if array.ndim != rank:
            raise ArgumentError(
                f"{path} holds an array of shape {array.shape}; expected {what}; the images come first, then the labels"
            )
    if pictures.shape[1:] != (H, W) or len(pictures) != len(classes) or classes.max(initial=0) >= C:
        raise ArgumentError(
            f"{images} and {labels}: {len(pictures)} images of {pictures.shape[1:]} and {len(classes)} labels up to "
            f"{classes.max(initial=0)} were read; expected as many of both, of ({H}, {W}), and labels below {C}"
        )
    return pictures, classes


def make_mnist(images: np.ndarray, labels: np.ndarray, start: int, stop: int) -> tuple:
    """Images of 0 to 1 and their classes, each as a row with a single 1."""
    return images[start:stop] / 255.0, np.eye(C)[labels[start:stop]]


def main(
    images: Annotated[Path, typer.Argument(help="t10k-images-idx3-ubyte.gz or the like.")],
    labels: Annotated[Path, typer.Argument(help="t10k-labels-idx1-ubyte.gz or the like.")],
    train: Annotated[int, typer.Option(help="How many images to learn from.")] = 5000,
    validate: Annotated[int, typer.Option(help="How many of the next to hold out.")] = 512,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.2,
    epochs: Annotated[int, typer.Option(help="How often to go through the images.")] = 5,
    jit: Annotated[bool, typer.Option(help="Compile whole steps.")] = True,
    seed: Annotated[int, typer.Option(help="Decides the start.")] = 0,
) -> None:
    """Train a convolutional network to read digits (Module 4)."""
    check(train=train, epochs=epochs, rate=rate)
    pictures, classes = read_pair(images, labels)
    if train + validate > len(pictures) or validate < BATCH or train < BATCH:
        raise ArgumentError(
            f"--train {train} and --validate {validate}: there are {len(pictures)} images; each needs "
            f"at least {BATCH}"
        )
    seeded(seed)
    training = ImageTrain(jit)
    held_out = make_mnist(pictures, classes, train, train + validate)
    with ImageView(epochs, train // BATCH) as view:
        training.train(make_mnist(pictures, classes, 0, train), held_out, rate, epochs, view)
    training.model.eval()
    view.finish(pictures[train : train + validate], training.run_many(held_out[0]), held_out[1])


if __name__ == "__main__":
    run(main)

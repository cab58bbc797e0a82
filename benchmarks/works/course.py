"""The course's trainings, written in MiniTorch's own API: for it and for Tessella alike.

Each function takes the module `minitorch` and a set of operations, and gives a function of no arguments:
one epoch, one step or one product. Numbers come from Python's `random`, so both get the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

Work = Callable[[], object]


def _random(minitorch: Any, shape: tuple[int, ...], backend: Any, spread: float = 1.0) -> Any:
    count = 1
    for n in shape:
        count *= n
    values = [spread * (random.random() - 0.5) for _ in range(count)]
    return minitorch.tensor(values, backend=backend).view(*shape)


def _network(minitorch: Any, sizes: tuple[int, ...], backend: Any) -> tuple[Any, list[Any]]:
    """A network of linear layers with matrix products: ReLU between, a sigmoid at the end."""
    parameters = []
    for size, after in pairwise(sizes):
        parameters.append(minitorch.Parameter(_random(minitorch, (size, after), backend)))
        parameters.append(minitorch.Parameter(_random(minitorch, (after,), backend)))

    def forward(x: Any) -> Any:
        for number in range(0, len(parameters), 2):
            x = x @ parameters[number].value + parameters[number + 1].value
            x = x.relu() if number + 2 < len(parameters) else x.sigmoid()
        return x

    return forward, parameters


def fast_epoch(minitorch: Any, ops: str = "FastOps", jit: Any = None) -> Work:
    """Split, 50 points, hidden 100, batches of 10: an epoch."""
    random.seed(0)
    backend = minitorch.TensorBackend(getattr(minitorch, ops))
    forward, parameters = _network(minitorch, (2, 100, 100, 1), backend)
    optim = minitorch.SGD(parameters, 0.05)

    def step(X: Any, y: Any) -> Any:
        optim.zero_grad()
        out = forward(X).view(y.shape[0])
        probability = (out * y) + (out - 1.0) * (y - 1.0)
        loss = -probability.log()
        (loss / y.shape[0]).sum().view(1).backward()
        optim.step()
        return loss.sum().view(1)

    compiled = step if jit is None else jit(step)
    data = minitorch.datasets["Split"](50)
    pairs = list(zip(data.X, data.y, strict=True))

    def epoch() -> float:
        total = 0.0
        random.shuffle(pairs)
        for first in range(0, 50, 10):
            X, y = zip(*pairs[first : first + 10], strict=True)
            loss = compiled(
                minitorch.tensor(list(X), backend=backend),
                minitorch.tensor(list(y), backend=backend),
            )
            total += loss[0]
        return total

    return epoch


def tensor_epoch(minitorch: Any) -> Work:
    """Simple, 50 points, hidden 10, all at once on SimpleOps, products by broadcasting: an epoch."""
    random.seed(0)
    backend = minitorch.TensorBackend(minitorch.SimpleOps)
    sizes = (2, 10, 10, 1)
    weights = [
        minitorch.Parameter(_random(minitorch, (a, b), backend, 2.0)) for a, b in pairwise(sizes)
    ]
    biases = [minitorch.Parameter(_random(minitorch, (b,), backend, 2.0)) for b in sizes[1:]]
    optim = minitorch.SGD(weights + biases, 0.5)
    data = minitorch.datasets["Simple"](50)
    X = minitorch.tensor(data.X, backend=backend)
    y = minitorch.tensor(data.y, backend=backend)

    def epoch() -> float:
        optim.zero_grad()
        x = X
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            w = weight.value
            products = x.view(50, w.shape[0], 1) * w.view(1, *w.shape)
            x = products.sum(1).view(50, w.shape[1]) + bias.value
            x = x.relu() if number < 2 else x.sigmoid()
        out = x.view(50)
        loss = -((out * y) + (out - 1.0) * (y - 1.0)).log()
        (loss / 50).sum().view(1).backward()
        optim.step()
        return loss.sum()[0]

    return epoch


def scalar_epoch(minitorch: Any) -> Work:
    """Simple, 50 points, hidden 4, on scalars, one point after the other: an epoch."""
    random.seed(0)
    sizes = (2, 4, 4, 1)
    layers = [
        (
            [[minitorch.Parameter(_scalar(minitorch)) for _ in range(b)] for _ in range(a)],
            [minitorch.Parameter(_scalar(minitorch)) for _ in range(b)],
        )
        for a, b in pairwise(sizes)
    ]
    parameters = [p for weights, biases in layers for row in (*weights, biases) for p in row]
    optim = minitorch.SGD(parameters, 0.5)
    data = minitorch.datasets["Simple"](50)

    def forward(point: tuple[float, float]) -> Any:
        xs = [minitorch.Scalar(value) for value in point]
        for number, (weights, biases) in enumerate(layers):
            totals = [bias.value for bias in biases]
            for x, row in zip(xs, weights, strict=True):
                totals = [t + x * w.value for t, w in zip(totals, row, strict=True)]
            xs = [t.relu() if number < 2 else t.sigmoid() for t in totals]
        return xs[0]

    def epoch() -> float:
        total = 0.0
        optim.zero_grad()
        for point, label in zip(data.X, data.y, strict=True):
            out = forward(point)
            loss = -(out if label else -out + 1.0).log()
            (loss / 50).backward()
            total += loss.data
        optim.step()
        return total

    return epoch


def _scalar(minitorch: Any) -> Any:
    return minitorch.Scalar(2 * (random.random() - 0.5))


def mnist_step(minitorch: Any, jit: Any = None) -> Work:
    """The convolutional network for MNIST, a batch of 16: a step."""
    random.seed(0)
    backend = minitorch.TensorBackend(minitorch.FastOps)
    shapes = (4, 1, 3, 3), (4, 1, 1), (8, 4, 3, 3), (8, 1, 1), (392, 64), (64,), (64, 10), (10,)
    parameters = [minitorch.Parameter(_random(minitorch, s, backend, 0.1)) for s in shapes]
    optim = minitorch.SGD(parameters, 0.01)

    def step(x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3, w4, b4 = (p.value for p in parameters)
        optim.zero_grad()
        x = (minitorch.Conv2dFun.apply(x.view(16, 1, 28, 28), w1) + b1).relu()
        x = (minitorch.Conv2dFun.apply(x, w2) + b2).relu()
        x = minitorch.avgpool2d(x, (4, 4)).view(16, 392)
        x = minitorch.dropout((x @ w3 + b3).relu(), 0.25)
        out = minitorch.logsoftmax(x @ w4 + b4, 1)
        loss = -((out * y).sum(1) / 16.0).sum()
        loss.view(1).backward()
        optim.step()
        return loss

    compiled = step if jit is None else jit(step)
    x = _random(minitorch, (16, 28, 28), backend)
    rows = [[float(j == i % 10) for j in range(10)] for i in range(16)]
    y = minitorch.tensor(rows, backend=backend)
    return lambda: compiled(x, y)[0]


def _largest(minitorch: Any, x: Any) -> Any:
    """The largest along the last axis; some solved versions have a method, others a function."""
    return x.max(2) if hasattr(x, "max") else minitorch.max(x, 2)


def sentiment_step(minitorch: Any, jit: Any = None) -> Work:
    """The convolutional network for sentences: 10 of 52 words, vectors of 50, 100 kernels of each
    width: a step."""
    random.seed(0)
    backend = minitorch.TensorBackend(minitorch.FastOps)
    shapes = [(100, 50, 3), (1, 100, 1), (100, 50, 4), (1, 100, 1), (100, 50, 5), (1, 100, 1)]
    shapes += [(100, 1), (1,)]
    parameters = [minitorch.Parameter(_random(minitorch, s, backend, 0.1)) for s in shapes]
    optim = minitorch.SGD(parameters, 0.01)

    def step(x: Any, y: Any) -> Any:
        *convs, weight, bias = (p.value for p in parameters)
        optim.zero_grad()
        x = x.permute(0, 2, 1)
        total = None
        for kernel, shift in zip(convs[0::2], convs[1::2], strict=True):
            found = (minitorch.Conv1dFun.apply(x, kernel) + shift).relu()
            largest = _largest(minitorch, found).view(10, 100)
            total = largest if total is None else total + largest
        out = minitorch.dropout(total @ weight + bias, 0.25).sigmoid().view(10)
        probability = (out * y) + (out - 1.0) * (y - 1.0)
        loss = -(probability.log() / 10.0).sum()
        loss.view(1).backward()
        optim.step()
        return loss

    compiled = step if jit is None else jit(step)
    x = _random(minitorch, (10, 52, 50), backend)
    y = minitorch.tensor([float(i % 2) for i in range(10)], backend=backend)
    return lambda: compiled(x, y)[0]


def product(minitorch: Any) -> Work:
    """The product of two 1024 x 1024 matrices."""
    random.seed(0)
    backend = minitorch.TensorBackend(minitorch.FastOps)
    a, b = (_random(minitorch, (1024, 1024), backend) for _ in range(2))
    return lambda: (a @ b)[0, 0]


WORKS = {
    "fast": fast_epoch,
    "tensor": tensor_epoch,
    "scalar": scalar_epoch,
    "mnist": mnist_step,
    "sentiment": sentiment_step,
    "product": product,
}

"""Training steps of whole networks, eagerly."""

from __future__ import annotations

import numpy as np
import torch
from report import Table
from timer import compare

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F


def networks() -> Table:
    """A training step: forward, backward, optimiser."""
    table = Table("networks", ["work", "Tessella", "PyTorch", "ratio", "must reach"])
    table.add("Split: 2-100-100-1, batch 10, SGD", compare(_split()), "≤ 4 ×")
    table.add("784-512-512-10, batch 128, SGD", compare(_mlp()), "")
    table.add("conv 1→32→64, 28×28, batch 64, Adam", compare(_cnn(), rounds=7), "")
    return table


def _step(model, optimiser, loss_of) -> object:
    def step() -> object:
        optimiser.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimiser.step()
        return loss

    return step


def _split() -> dict:
    random = np.random.default_rng(0)
    x = random.random((10, 2), np.float32)
    y = ((x[:, :1] < 0.2) | (x[:, :1] > 0.8)).astype(np.float32)
    layers = [(2, 100), (100, 100), (100, 1)]
    own = nn.Sequential(nn.Linear(*layers[0]), nn.ReLU(), nn.Linear(*layers[1]), nn.ReLU(), nn.Linear(*layers[2]), nn.Sigmoid())  # fmt: skip
    peer = torch.nn.Sequential(
        torch.nn.Linear(*layers[0]), torch.nn.ReLU(), torch.nn.Linear(*layers[1]), torch.nn.ReLU(),
        torch.nn.Linear(*layers[2]), torch.nn.Sigmoid(),
    )  # fmt: skip
    xa, ya, xb, yb = ts.asarray(x), ts.asarray(y), torch.tensor(x), torch.tensor(y)
    return {
        "Tessella": _step(own, optim.SGD(own.parameters(), lr=0.5), lambda m: F.binary_cross_entropy(m(xa), ya)),
        "PyTorch": _step(
            peer, torch.optim.SGD(peer.parameters(), lr=0.5),
            lambda m: torch.nn.functional.binary_cross_entropy(m(xb), yb),
        ),
    }  # fmt: skip


def _mlp() -> dict:
    random = np.random.default_rng(0)
    x, y = random.random((128, 784), np.float32), random.integers(0, 10, 128)
    own = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    peer = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )  # fmt: skip
    xa, ya, xb, yb = ts.asarray(x), ts.asarray(y), torch.tensor(x), torch.tensor(y)
    return {
        "Tessella": _step(own, optim.SGD(own.parameters(), lr=0.01), lambda m: F.cross_entropy(m(xa), ya)),
        "PyTorch": _step(
            peer, torch.optim.SGD(peer.parameters(), lr=0.01),
            lambda m: torch.nn.functional.cross_entropy(m(xb), yb),
        ),
    }  # fmt: skip


def _cnn() -> dict:
    random = np.random.default_rng(0)
    x, y = random.random((64, 1, 28, 28), np.float32), random.integers(0, 10, 64)
    found = {}
    for name, n in (("Tessella", nn), ("PyTorch", torch.nn)):
        found[name] = n.Sequential(
            n.Conv2d(1, 32, 3), n.ReLU(), n.Conv2d(32, 64, 3), n.ReLU(), n.MaxPool2d(2), n.Flatten(),
            n.Linear(9216, 128), n.ReLU(), n.Linear(128, 10),
        )  # fmt: skip
    own, peer = found["Tessella"], found["PyTorch"]
    xa, ya, xb, yb = ts.asarray(x), ts.asarray(y), torch.tensor(x), torch.tensor(y)
    return {
        "Tessella": _step(own, optim.Adam(own.parameters()), lambda m: F.cross_entropy(m(xa), ya)),
        "PyTorch": _step(
            peer, torch.optim.Adam(peer.parameters()),
            lambda m: torch.nn.functional.cross_entropy(m(xb), yb),
        ),
    }  # fmt: skip

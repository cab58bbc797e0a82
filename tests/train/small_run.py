"""A small training that uses all that has a state; it is killed by `kill.py`, and goes on."""

import random
import sys

import numpy as np

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F

STEPS = 40


class Noisy:
    """Batches whose order and noise come from NumPy's and Python's own generators."""

    def __init__(self, rows: int, size: int) -> None:
        source = np.random.default_rng(0)
        self.x = source.standard_normal((rows, 16)).astype(np.float32)
        self.y = (self.x[:, 0] * self.x[:, 1] > 0).astype(np.int64)
        self.size = size

    def __iter__(self):
        order = np.random.permutation(len(self.x))
        for start in range(0, len(order), self.size):
            chosen = order[start : start + self.size]
            noise = random.random() * 0.1
            yield ts.asarray(self.x[chosen] + np.float32(noise)), ts.asarray(self.y[chosen])


class Rows:
    """The same, row by row, with noise that each worker draws."""

    def __init__(self, source: Noisy) -> None:
        self.x, self.y = source.x, source.y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int):
        return self.x[i] + np.float32(np.random.random() + random.random()), self.y[i]


def main(folder: str, kind: str, steps: int = STEPS) -> ts.train.History:
    """The run; it goes on if it was killed."""
    ts.manual_seed(1), random.seed(2), np.random.seed(3)
    model = nn.Sequential(
        nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 2)
    )
    optimiser = optim.AdamW(model.parameters(), lr=0.01)
    halves = kind == "halves"
    schedule = optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.05, total_steps=steps)
    data = Noisy(200, 16)
    if kind == "workers":
        data = ts.data.DataLoader(
            Rows(data), batch_size=16, shuffle=True, num_workers=2, persistent_workers=True
        )
    return ts.train.fit(
        model, data, F.cross_entropy, optimiser, steps=steps, scheduler=schedule,
        validation=list(Noisy(64, 32)), metrics=[ts.train.Accuracy(), ts.train.AUROC()],
        every=3, log_every=1, folder=folder, config={"kind": kind}, progress=False,
        accumulate=2 if halves else 1, precision=ts.float16 if halves else None, clip_norm=1.0, ema=0.9,
        callbacks=[_say],
    )  # fmt: skip


def _say(event: ts.train.Event) -> None:
    if event.kind in ("start", "step"):
        print(event.step, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What it costs to bring data to a training step: batches of images in memory, and of images in folders."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from report import Table
from timer import Measurement, compare
from torch.utils import data as peer

from tessella import data

BATCH = 64
WORKERS = (0, 1, 2)
ROUNDS = 5  # an epoch is long
PICTURES, SIDE = 512, 256  # files, and their height and width
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loading() -> Table:
    """An epoch, shuffled, in batches of 64; all with their best number of workers, of 0, 1 and 2."""
    table = Table("loading", ["an epoch of", "Tessella", "PyTorch", "images/s", "ratio", "target"])
    for work, shape, dtype in (
        ("60,000 images of 28×28 in memory, uint8", (60_000, 28, 28), np.uint8),
        ("60,000 images of 28×28 in memory, float32", (60_000, 28, 28), np.float32),
        ("10,000 images of 28×28 in memory, float32", (10_000, 28, 28), np.float32),
        ("50,000 images of 3×32×32 in memory, uint8", (50_000, 3, 32, 32), np.uint8),
    ):
        _in_memory(table, work, shape, dtype)
    with tempfile.TemporaryDirectory() as folder:
        _write_pictures(Path(folder))
        for side in (64, 224):
            _in_folder(table, Path(folder), side)
    return table


def _add(table: Table, work: str, images: int, found: dict[str, Measurement], target: str) -> None:
    table.add(work, found, target, note=f"{images / found['Tessella'].median:,.0f}")


def _in_memory(table: Table, work: str, shape: tuple[int, ...], dtype: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    labels = np.arange(len(images)) % 10
    tensors = peer.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    found = _compared(
        lambda workers: data.DataLoader((images, labels), BATCH, True, num_workers=workers),
        lambda workers: peer.DataLoader(tensors, BATCH, True, num_workers=workers),
    )
    _add(table, work, len(images), found, "≤ 1/5")


def _compared(ours: Callable[[int], Any], theirs: Callable[[int], Any]) -> dict[str, Measurement]:
    """Each with the number of workers with which an epoch is shortest."""
    contenders = {}
    for name, make in (("Tessella", ours), ("PyTorch", theirs)):
        epochs = [_epoch(make, workers) for workers in WORKERS]
        contenders[name] = min(epochs, key=lambda run: min(_seconds(run) for _ in range(2)))
    return compare(contenders, rounds=ROUNDS)


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _epoch(make: Callable[[int], Any], workers: int) -> Callable[[], None]:
    loader = make(workers)

    def run() -> None:
        with warnings.catch_warnings():  # of forks beside threads
            warnings.simplefilter("ignore", DeprecationWarning)
            for _ in loader:
                pass

    return run


# --- folders --------------------------------------------------------------------------------------------


def _write_pictures(folder: Path) -> None:
    """Files as cameras make them: smooth, with some noise."""
    chance = np.random.default_rng(0)
    for number in range(PICTURES):
        coarse = Image.fromarray(chance.integers(0, 256, (9, 9, 3), np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + chance.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        path = folder / f"{number % 10}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noisy).save(path, quality=90)


def _in_folder(table: Table, folder: Path, side: int) -> None:
    transform = data.Compose(
        [data.RandomResizedCrop(side), data.RandomHorizontalFlip(), data.ToFloat(), data.Normalize(MEAN, STD)]
    )  # fmt: skip
    ours = data.ImageFolder(folder, transform=transform)
    theirs = _Pictures(ours.samples, side)
    found = _compared(
        lambda workers: data.DataLoader(ours, BATCH, True, num_workers=workers),
        lambda workers: peer.DataLoader(theirs, BATCH, True, num_workers=workers),
    )
    work = f"{PICTURES:,} JPEG files of {SIDE}×{SIDE}: decoded, a random part at {side}×{side}, flipped, normalised"
    _add(table, work, PICTURES, found, "≤ 1/1.2")


class _Pictures(peer.Dataset):
    """The same with Pillow and PyTorch, as its users write it: a picture at a time."""

    def __init__(self, samples: list[tuple[Path, int]], side: int) -> None:
        self.samples, self.side = samples, side
        self.mean, self.std = (torch.tensor(x).reshape(3, 1, 1) for x in (MEAN, STD))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, label = self.samples[row]
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        top, left, height, width = self._part(*picture.size)
        size = (self.side, self.side)
        picture = picture.resize(
            size, Image.Resampling.BILINEAR, (left, top, left + width, top + height)
        )
        if torch.rand(()) < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div(255)
        return image.sub_(self.mean).div_(self.std), label

    def _part(self, width: int, height: int) -> tuple[int, int, int, int]:
        """A tenth to all of the picture's area, as `torchvision.transforms.RandomResizedCrop` finds it."""
        for _ in range(10):
            area = width * height * float(torch.empty(1).uniform_(0.08, 1.0))
            ratio = float(
                torch.exp(torch.empty(1).uniform_(float(np.log(3 / 4)), float(np.log(4 / 3))))
            )
            w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
            if 0 < w <= width and 0 < h <= height:
                top, left = (
                    int(torch.randint(0, n, (1,))) for n in (height - h + 1, width - w + 1)
                )
                return top, left, h, w
        return 0, 0, height, width

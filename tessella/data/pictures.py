"""Batches of images as one picture in a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from tessella import files
from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural, shown
from tessella.data.png import png
from tessella.data.tables import place
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tessella.tensors.tensor import Tensor

Array = np.ndarray[Any, Any]


@public
def save_image(images: Any, path: Any, columns: Count = 8, padding: Natural = 2) -> Path:
    """Write a batch of images as one picture, a PNG file: row after row, on black; gives the path of the file.

    Args:
        images: a tensor or an array; `image[None]` makes a batch of a single one.
        path: of the file, which ends in `.png`.
        columns: how many stand in a row.
        padding: how many pixels lie between them.

    Shapes: (N, H, W), or (N, C, H, W) with one or three channels.

    Dtypes: fractions from 0 to 1 (what lies beyond is cut off, NaN is black), uint8 from 0 to 255, or bool.

    Raises:
        ArgumentTypeError, ShapeError, DTypeError: they are no images.
        ArgumentError: the file is to be of another kind.
        OSError: it cannot be written.

    >>> import tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.data.save_image(ts.rand(10, 28, 28), f"{folder}/noise.png", columns=5).name
    'noise.png'
    """
    where = place(path, "save_image")
    if where.suffix.lower() != ".png":
        raise ArgumentError(f"save_image: path is {str(path)!r}; expected one that ends in .png")
    files.write(where, png(_side_by_side(_bytes(_pixels(images)), columns, padding)))
    return where


def _pixels(images: Any) -> Array:
    """Images as (N, H, W, C)."""
    found = images.detach().numpy() if isinstance(images, Tensor) else images
    if not isinstance(found, np.ndarray):
        raise ArgumentTypeError(
            f"save_image: images is {shown(images)}; expected a tensor or an array"
        )
    if found.ndim == 3:
        found = found[:, None]
    if found.ndim != 4 or found.shape[1] not in (1, 3) or not found.size:
        raise ShapeError(
            f"save_image: images has the shape {tuple(images.shape)}; expected (N, H, W), or (N, C, H, W) with one or "
            "three channels, and at least one image"
        )
    return np.moveaxis(found, 1, 3)


def _bytes(pixels: Array) -> Array:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in "fVb":
        raise DTypeError(
            f"save_image: images is of {pixels.dtype}; expected fractions from 0 to 1, uint8 from 0 to 255, or bool"
        )
    numbers = np.nan_to_num(pixels.astype(np.float32), nan=0.0)
    return (255 * numbers.clip(0, 1) + 0.5).astype(np.uint8)


def _side_by_side(pixels: Array, columns: int, padding: int) -> Array:
    """All images in one of (height, width, 3)."""
    count, height, width, _ = pixels.shape
    columns = min(columns, count)
    down, across = height + padding, width + padding
    picture = np.zeros((math.ceil(count / columns) * down, columns * across, 3), np.uint8)
    for number, image in enumerate(pixels):
        top, left = number // columns * down, number % columns * across
        picture[top : top + height, left : left + width] = image
    return picture[: -padding or None, : -padding or None]

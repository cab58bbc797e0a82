"""Images as PNG files, in text too: what a page shows needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def png(image: Array) -> bytes:
    """An image (height, width, 3) of bytes as a PNG file.

    Source: W3C, *Portable Network Graphics (PNG) Specification*, sections 5 and 11.2.

    >>> png(np.zeros((2, 3, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits of red, green, blue
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def png_url(image: Array) -> str:
    """The same as a text that an `<img>` takes."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()


def as_image(values: Array) -> Array | None:
    """Numbers as an image (height, width, 3) of bytes; None if they are none.

    Args:
        values: (H, W), (C, H, W) or (H, W, C) with one or three channels. Bytes are taken as they are; other numbers are
            spread from the least to the largest, because nobody knows how they were normalised.

    >>> as_image(np.asarray([[0.0, 0.5], [1.0, 0.0]]))[:, :, 0]
    array([[  0, 127],
           [255,   0]], dtype=uint8)
    """
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = np.moveaxis(values, 0, 2)
    image = values[:, :, None] if values.ndim == 2 else values
    if image.ndim != 3 or image.shape[2] not in (1, 3) or min(image.shape[:2]) < 2:
        return None
    return np.broadcast_to(_bytes(image), (*image.shape[:2], 3))


def _bytes(image: Array) -> Array:
    if image.dtype == np.uint8:
        return image
    numbers = np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = numbers.min(), numbers.max()
    return (255 * (numbers - low) / (high - low if high > low else 1.0)).astype(np.uint8)

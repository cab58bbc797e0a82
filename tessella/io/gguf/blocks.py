"""Blocks of quantised numbers, as the C code of ggml lays them out, and the numbers they stand for.

A block keeps a few numbers that all its elements share (a scale `d`, a least value `m`) and for each element a few bits
`q`. Of the kinds that end with 0 an element is `d q`, of those with 1 it is `d q + m`. The kinds K have blocks of 256
elements in groups of 16 or 32, each with a scale (and a least value) of its own, which are few bits, too.

Source: ggml, src/ggml-common.h (the layouts) and src/ggml-quants.c (`dequantize_row_*`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_AT_ONCE = 1 << 12  # blocks whose numbers lie in the cache while they are worked out


class Blocks(NamedTuple):
    """A kind of blocks.

    Args:
        size: how many elements a block has.
        layout: its fields.
        numbers: gives the elements of blocks, one block a row.
    """

    size: int
    layout: np.dtype[Any]
    numbers: Callable[[Array], Array]


def dequantised(kind: Blocks, raw: Array, order: str) -> Array:
    """The elements that blocks stand for, one after the other, in float32.

    Args:
        raw: the bytes of the blocks.
        order: of the bytes in a number, "<" or ">".
    """
    blocks = raw.view(kind.layout.newbyteorder(order))  # type: ignore[arg-type]
    found = np.empty((len(blocks), kind.size), np.float32)
    with np.errstate(all="ignore"):  # scales may be infinite or NaN, and so are elements then
        for start in range(0, len(blocks), _AT_ONCE):
            found[start : start + _AT_ONCE] = kind.numbers(blocks[start : start + _AT_ONCE])
    return found.reshape(-1)


def _number(field: Array) -> Array:
    """A number that the elements of each block share."""
    return field.astype(np.float32)[:, None]


def _halves(bytes_: Array) -> Array:
    """The lower four bits of some bytes, then the upper four: (blocks, ..., n) to (blocks, ..., 2 n)."""
    return np.concatenate([bytes_ & 15, bytes_ >> 4], axis=-1)


def _bits(bytes_: Array) -> Array:
    """Single bits, from the lowest of the first byte on."""
    return np.unpackbits(bytes_, axis=-1, bitorder="little")


def _signed(bits: Array, middle: int) -> Array:
    return bits.astype(np.int8) - np.int8(middle)


# --- blocks of 32 -----------------------------------------------------------------------------------


def _q4_0(blocks: Array) -> Array:
    return _number(blocks["d"]) * _signed(_halves(blocks["q"]), 8)


def _q4_1(blocks: Array) -> Array:
    return _number(blocks["d"]) * _halves(blocks["q"]) + _number(blocks["m"])


def _five(blocks: Array) -> Array:
    return _halves(blocks["q"]) | _bits(blocks["high"]) << 4


def _q5_0(blocks: Array) -> Array:
    return _number(blocks["d"]) * _signed(_five(blocks), 16)


def _q5_1(blocks: Array) -> Array:
    return _number(blocks["d"]) * _five(blocks) + _number(blocks["m"])


def _q8(blocks: Array) -> Array:
    return _number(blocks["d"]) * blocks["q"]


# --- blocks of 256 ----------------------------------------------------------------------------------


def _grouped(scales: Array, q: Array) -> Array:
    """Elements times the scales of their groups: (blocks, groups) and (blocks, 256)."""
    count = scales.shape[-1]
    return (scales[..., None] * q.reshape(len(q), count, -1)).reshape(len(q), -1)


def _less(elements: Array, least: Array) -> Array:
    """Elements without the least values of their groups, which are kept as what is taken away."""
    count = least.shape[-1]
    groups = elements.reshape(len(elements), count, -1)
    return (groups - least[..., None]).reshape(len(elements), -1)


def _twos(bytes_: Array) -> Array:
    """Two bits of an element each: all 32 bytes' lowest two, then their next two, ...: (blocks, 64) to (blocks, 256)."""
    rows = bytes_.reshape(len(bytes_), -1, 1, 32)
    return (rows >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3).reshape(len(bytes_), -1)


def _fours(bytes_: Array) -> Array:
    """Four bits of an element each, by 32 bytes: (blocks, 128) to (blocks, 256)."""
    return _halves(bytes_.reshape(len(bytes_), -1, 32)).reshape(len(bytes_), -1)


def _q2_k(blocks: Array) -> Array:
    scales = _number(blocks["d"]) * (blocks["scales"] & 15)
    least = _number(blocks["least"]) * (blocks["scales"] >> 4)
    return _less(_grouped(scales, _twos(blocks["q"])), least)


def _q3_k(blocks: Array) -> Array:
    low = _halves(blocks["scales"][:, :8])
    high = blocks["scales"][:, None, 8:] >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    scales = _number(blocks["d"]) * _signed(low | high.reshape(len(blocks), 16) << 4, 32)
    is_high = blocks["high"][:, None, :] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    return _grouped(scales, _signed(_twos(blocks["q"]) | is_high.reshape(len(blocks), 256) << 2, 4))


def _scales_and_least(blocks: Array) -> tuple[Array, Array]:
    """Eight scales and eight least values of six bits each, from twelve bytes."""
    first, second, third = np.split(blocks["scales"], 3, axis=-1)
    scales = np.concatenate([first & 63, third & 15 | first >> 6 << 4], axis=-1)
    least = np.concatenate([second & 63, third >> 4 | second >> 6 << 4], axis=-1)
    return _number(blocks["d"]) * scales, _number(blocks["least"]) * least


def _q4_k(blocks: Array) -> Array:
    scales, least = _scales_and_least(blocks)
    return _less(_grouped(scales, _fours(blocks["q"])), least)


def _q5_k(blocks: Array) -> Array:
    scales, least = _scales_and_least(blocks)
    is_high = blocks["high"][:, None, :] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    q = _fours(blocks["q"]) | is_high.reshape(len(blocks), 256) << 4
    return _less(_grouped(scales, q), least)


def _q6_k(blocks: Array) -> Array:
    low = _halves(blocks["q"].reshape(len(blocks), 2, 64)).reshape(len(blocks), 256)
    q = _signed(low | _twos(blocks["high"]) << 4, 32)
    return _grouped(_number(blocks["d"]) * blocks["scales"], q)


def _layout(*fields: tuple[Any, ...]) -> np.dtype[Any]:
    return np.dtype(list(fields))


_D, _M = ("d", "<f2"), ("m", "<f2")
_TWO_SCALES = (("d", "<f2"), ("least", "<f2"))

KINDS = {
    "Q4_0": Blocks(32, _layout(_D, ("q", "u1", 16)), _q4_0),
    "Q4_1": Blocks(32, _layout(_D, _M, ("q", "u1", 16)), _q4_1),
    "Q5_0": Blocks(32, _layout(_D, ("high", "u1", 4), ("q", "u1", 16)), _q5_0),
    "Q5_1": Blocks(32, _layout(_D, _M, ("high", "u1", 4), ("q", "u1", 16)), _q5_1),
    "Q8_0": Blocks(32, _layout(_D, ("q", "i1", 32)), _q8),
    "Q2_K": Blocks(256, _layout(("scales", "u1", 16), ("q", "u1", 64), *_TWO_SCALES), _q2_k),
    "Q3_K": Blocks(
        256, _layout(("high", "u1", 32), ("q", "u1", 64), ("scales", "u1", 12), _D), _q3_k
    ),
    "Q4_K": Blocks(256, _layout(*_TWO_SCALES, ("scales", "u1", 12), ("q", "u1", 128)), _q4_k),
    "Q5_K": Blocks(
        256,
        _layout(*_TWO_SCALES, ("scales", "u1", 12), ("high", "u1", 32), ("q", "u1", 128)),
        _q5_k,
    ),
    "Q6_K": Blocks(
        256, _layout(("q", "u1", 128), ("high", "u1", 64), ("scales", "i1", 16), _D), _q6_k
    ),
    "Q8_K": Blocks(256, _layout(("d", "<f4"), ("q", "i1", 256), ("sums", "<i2", 16)), _q8),
}

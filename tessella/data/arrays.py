"""Datasets of files with arrays: IDX, as MNIST has it, and NumPy's."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.data.datasets import ArrayDataset
from tessella.data.tables import place
from tessella.errors import ArgumentError, BadRowError

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 16
_MOST_PACKED = 1032  # bytes that a byte of a gzip file can stand for


def read_idx(path: Any) -> np.ndarray[Any, Any]:
    """The array in a file in the IDX format, compressed with gzip or not.

    The sizes that the file declares are compared with its own before anything is made of them.

    Raises:
        ArgumentError: it is no such file, or shorter or longer than it declares.
        OSError: it cannot be read.

    Source: LeCun, Cortes & Burges, *The MNIST database of handwritten digits*, the section on file formats.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels.idx"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    where = place(path, "read_idx")
    with where.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    opened: Any = gzip.open if is_packed else open
    most = where.stat().st_size * (_MOST_PACKED if is_packed else 1)
    try:
        with opened(where, "rb") as file:
            return _idx(file, where, most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArgumentError(f"read_idx: {where} is a damaged gzip file: {error}") from None


def _idx(file: Any, where: Path, most: int) -> np.ndarray[Any, Any]:
    head = file.read(4)
    if (
        len(head) < 4
        or head[:2] != b"\0\0"
        or head[2] not in _IDX_TYPES
        or not 0 < head[3] <= _MOST_AXES
    ):
        raise ArgumentError(
            f"read_idx: {where} is no file in the IDX format: it begins with {head!r}; expected two zeros, a type and "
            "the number of axes"
        )
    dtype, axes = np.dtype(_IDX_TYPES[head[2]]), head[3]
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise ArgumentError(f"read_idx: {where} ends within its sizes")
    shape = struct.unpack(f">{axes}I", sizes)
    size = math.prod(shape) * dtype.itemsize
    declared = f"{where} declares the shape {shape} of {dtype.newbyteorder('=')}, {size} bytes"
    if size > most:
        raise ArgumentError(f"read_idx: {declared}; so many cannot be in a file of its size")
    data = file.read(size + 1)
    if len(data) != size:
        more = "more" if len(data) > size else f"only {len(data)}"
        raise ArgumentError(f"read_idx: {declared}; the file has {more}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


class IDXDataset(ArrayDataset):
    """Images and their labels from two files in the IDX format, such as MNIST's; a row is a pair.

    Args:
        classes: how many there are; then each label must be 0 to classes - 1.

    Shapes: (rows, ...) and (rows,) in the files.

    Dtypes: those of the files; labels become int64.

    Raises:
        ArgumentError: a file is none in the format, there are no rows, or as many labels as images are not there.
        BadRowError: a label is out of range.
        OSError: a file cannot be read.
    """

    @public
    def __init__(self, images: Any, labels: Any, classes: Any = None) -> None:
        inputs, targets = read_idx(images), read_idx(labels)
        if targets.ndim != 1 or len(inputs) != len(targets):
            raise ArgumentError(
                f"IDXDataset: {images} has the shape {inputs.shape} and {labels} {targets.shape}; expected a label for "
                "each image"
            )
        if not len(inputs):
            raise ArgumentError(f"IDXDataset: {images} has no rows")
        targets = targets.astype(np.int64)
        if classes is not None:
            require_labels(targets, int(classes), labels)
        super().__init__((inputs, targets))


def require_labels(labels: np.ndarray[Any, Any], classes: int, where: Any) -> None:
    """See that labels are numbers of classes.

    Args:
        where: the file that they are from.

    Raises:
        BadRowError: one is not; its row is named.
    """
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(bad):
        raise BadRowError(
            f"{where}, row {bad[0]}: the label is {labels[bad[0]]}; expected 0 to {classes - 1}, because there are "
            f"{classes} classes ({len(bad)} such rows)"
        )


class NumPyDataset(ArrayDataset):
    """Arrays from NumPy's files, with rows along the first axis.

    A `.npy` file is mapped: what is not asked for is not read, so it may be larger than memory. Of one file, a row is an
    array; of several, a tuple; of an `.npz` file, a dict by the names in it.

    Raises:
        ArgumentError: it is no such file, it is damaged, or it holds Python objects, which are never loaded.
        ShapeError: the arrays have different numbers of rows.
        OSError: a file cannot be read.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "x.npy"
    ...     np.save(path, np.arange(6.0).reshape(3, 2))
    ...     NumPyDataset(path)[1]
    tensor([2., 3.], dtype=float64)
    """

    @public
    def __init__(self, *paths: Any) -> None:
        if not paths:
            raise ArgumentError("NumPyDataset: no files were given; expected at least one")
        found = [_numpy_file(place(path, "NumPyDataset")) for path in paths]
        super().__init__(found[0] if len(found) == 1 else tuple(found))
        if not len(self):
            raise ArgumentError(f"NumPyDataset: {paths[0]} has no rows")


def _numpy_file(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
            file.seek(0)
            if is_archive:
                archive: Any = np.load(file, allow_pickle=False)
                return {name: archive[name] for name in archive.files}
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ArgumentError(
            f"NumPyDataset: {path} is no file of NumPy's with plain arrays, or damaged: {error}"
        ) from None

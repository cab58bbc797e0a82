"""How a tensor is written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessella import dtypes, notebooks
from tessella.notebooks import Cell
from tessella.tracing.trace import note_text, seen, why_unknown

if TYPE_CHECKING:
    from tessella.tensors.tensor import Tensor

_SHOWN_BY_DEFAULT = (dtypes.float32, dtypes.int64, dtypes.bool_)
_MOST_CELLS = 10  # of a row or a column in a notebook
_EDGE = 3  # so many at each end of an axis that is shown in part
_MOST_SHOWN = 1000  # elements; larger tensors are shown in part, with their shape


def represent(tensor: Tensor) -> str:
    """`tensor([1., 2.])`, with what is not the default: dtype, history; large ones in part.

    Of a tensor that is not known yet, in a traced function, shape and dtype, and how its elements can be seen.
    """
    why = why_unknown(tensor)
    if why:
        return _of_traced(tensor, why)
    prefix = "tensor("
    body = _written(tensor.numpy(), prefix, _MOST_SHOWN)
    notes = []
    if tensor.size > _MOST_SHOWN or (tensor.size == 0 and tensor.shape != (0,)):
        notes.append(f"shape={tensor.shape}")
    if tensor.dtype not in _SHOWN_BY_DEFAULT:
        notes.append(f"dtype={tensor.dtype.name}")
    return prefix + ", ".join([body, *notes, *_history(tensor)]) + ")"


def _written(data: np.ndarray[Any, Any], prefix: str, most: int) -> str:
    """The elements as NumPy writes them; only what is shown is converted."""
    if data.size > most:
        most = 0
        for axis, count in enumerate(data.shape):
            if count > 2 * _EDGE:
                shown = [*range(_EDGE + 1), *range(count - _EDGE, count)]
                data = data[(slice(None),) * axis + (shown,)]
    wide = _readable(data)
    return np.array2string(
        wide, separator=", ", prefix=prefix, precision=4, threshold=most, edgeitems=_EDGE
    )


def _readable(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = dtypes.as_dtype(data.dtype)
    return data if kind.compute is kind else data.astype(kind.compute.numpy)


def _of_traced(tensor: Tensor, why: str) -> str:
    parts = [f"shape={tensor.shape}", f"dtype={tensor.dtype.name}", *_history(tensor), why]
    text = f"tensor({', '.join(parts)})"
    note_text(text)
    return text


def _history(tensor: Tensor) -> list[str]:
    if tensor.is_leaf and tensor.requires_grad:
        return ["requires_grad=True"]
    node = seen(tensor)._node
    return [] if node is None else [f"grad_fn={node.name}"]


# --- in notebooks -------------------------------------------------------------------------------------


def represent_html(tensor: Tensor) -> str:
    """Dtype, shape and history, and the elements as a table; large ones in part."""
    shape = "×".join(map(str, tensor.shape)) or "a single number"
    facts = ", ".join([tensor.dtype.name, shape, *_history(tensor)])
    title = notebooks.head(type(tensor).__name__, facts)
    why = why_unknown(tensor)
    if why:
        return notebooks.piece(title, notebooks.soft(why))
    data = tensor.numpy()
    if data.ndim in (1, 2) and data.size:
        return notebooks.piece(title, _table(np.atleast_2d(data)))
    return notebooks.piece(title, notebooks.code(_written(data, "", _MOST_SHOWN // 4)))


def _table(data: np.ndarray[Any, Any]) -> str:
    rows, columns = (_places(count) for count in data.shape)
    inner = data[np.ix_([r for r in rows if r is not None], [c for c in columns if c is not None])]
    texts = iter(_texts(_readable(inner)))
    return notebooks.table(
        (),
        [
            [Cell("…" if None in (row, column) else next(texts)) for column in columns]
            for row in rows
        ],
    )


def _places(count: int) -> list[int | None]:
    """The first and the last places along an axis; None for those between."""
    if count <= _MOST_CELLS:
        return list(range(count))
    half = _MOST_CELLS // 2
    return [*range(half), None, *range(count - half, count)]


def _texts(data: np.ndarray[Any, Any]) -> list[str]:
    """Elements as `repr` writes them, so that their points stand below each other."""
    text = np.array2string(data.ravel(), separator="\n", precision=4, threshold=data.size + 1)
    return [line.strip(" []") for line in text.split("\n")]

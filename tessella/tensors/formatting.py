"""How a tensor is written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessella import dtypes
from tessella.tensors.tracing import note_text, why_unknown

if TYPE_CHECKING:
    from tessella.tensors.tensor import Tensor

_SHOWN_BY_DEFAULT = (dtypes.float32, dtypes.int64, dtypes.bool_)
_MOST_SHOWN = 1000  # elements; larger tensors are shown in part, with their shape


def represent(tensor: Tensor) -> str:
    """`tensor([1., 2.])`, with what is not the default: dtype, history; large ones in part.

    Of a tensor that is not known yet, in a traced function, shape and dtype, and how its elements can be seen.
    """
    why = why_unknown(tensor)
    if why:
        return _of_traced(tensor, why)
    data = tensor.numpy()
    if dtypes.is_half(tensor.dtype):
        data = data.astype(np.float32)
    prefix = "tensor("
    body = np.array2string(data, separator=", ", prefix=prefix, precision=4, threshold=_MOST_SHOWN)
    notes = []
    if tensor.size > _MOST_SHOWN or (tensor.size == 0 and tensor.shape != (0,)):
        notes.append(f"shape={tensor.shape}")
    if tensor.dtype not in _SHOWN_BY_DEFAULT:
        notes.append(f"dtype={tensor.dtype.name}")
    return prefix + ", ".join([body, *notes, *_history(tensor)]) + ")"


def _of_traced(tensor: Tensor, why: str) -> str:
    parts = [f"shape={tensor.shape}", f"dtype={tensor.dtype.name}", *_history(tensor), why]
    text = f"tensor({', '.join(parts)})"
    note_text(text)
    return text


def _history(tensor: Tensor) -> list[str]:
    if tensor.is_leaf and tensor.requires_grad:
        return ["requires_grad=True"]
    return [] if tensor._node is None else [f"grad_fn={tensor._node.name}"]

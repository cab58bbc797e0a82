"""How a tensor is written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessella import dtypes

if TYPE_CHECKING:
    from tessella.tensors.tensor import Tensor

_SHOWN_BY_DEFAULT = (dtypes.float32, dtypes.int64, dtypes.bool_)
_MOST_SHOWN = 1000  # elements; larger tensors are shown in part, with their shape


def represent(tensor: Tensor) -> str:
    """`tensor([1., 2.])`, with what is not the default: dtype, history; large ones in part."""
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
    if tensor.is_leaf and tensor.requires_grad:
        notes.append("requires_grad=True")
    elif tensor._node is not None:
        notes.append(f"grad_fn={tensor._node.name}")
    return prefix + ", ".join([body, *notes]) + ")"

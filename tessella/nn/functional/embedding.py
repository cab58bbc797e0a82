"""Rows of a table by their numbers."""

from __future__ import annotations

from tessella import dtypes
from tessella.arguments import public
from tessella.errors import DTypeError
from tessella.primitives.indexing import InRange, Limits
from tessella.tensors.creation import arange
from tessella.tensors.indexing import get_item
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor, apply


@public
def one_hot(x: Tensor, num_classes: int) -> Tensor:
    """1 at the class number, 0 elsewhere, as int64.

    Shapes: (...) -> (..., num_classes).

    Raises:
        IndexingError: there is no such class.

    >>> import tessella as ts
    >>> one_hot(ts.asarray([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"one_hot: {x.dtype.name}; class numbers are integers: x.astype(ts.int64)")
    limits = Limits(num_classes, purpose="one_hot")
    classes = apply(InRange(limits), (x,)).astype(dtypes.int64)
    return (reshape(classes, (*x.shape, 1)) == arange(num_classes)).astype(dtypes.int64)


@public
def embedding(x: Tensor, weight: Tensor) -> Tensor:
    """The rows of a table at some places.

    Shapes: (...) and (V, D) -> (..., D).
    Dtypes: integers, and any.

    >>> import tessella as ts
    >>> embedding(ts.asarray([1, 1]), ts.asarray([[0.0, 1.0], [2.0, 3.0]]))
    tensor([[2., 3.],
            [2., 3.]])
    """
    return get_item(weight, x)

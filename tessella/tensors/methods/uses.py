"""Uses that only PyTorch's tensors know, of names that are here, too: the error says what to write."""

from __future__ import annotations

import dis
from types import FrameType
from typing import Any, NoReturn

from tessella.errors import ArgumentTypeError, ShapeError

_UNPACK = dis.opmap["UNPACK_SEQUENCE"]


class Count(int):
    """The number of elements: an integer, which says more than Python's would if it is called."""

    __slots__ = ()

    def __call__(self, axis: Any = None, dim: Any = None) -> NoReturn:
        """PyTorch's `x.size()`.

        Raises:
            ArgumentTypeError: always.
        """
        axis = dim if axis is None else axis
        written, here = ("", "") if axis is None else (repr(axis), f"[{axis!r}]")
        raise ArgumentTypeError(
            f"size: x.size is the number of elements ({int(self)}), no method; PyTorch's "
            f"x.size({written}) is x.shape{here}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, (int(self),))

    def __copy__(self) -> int:
        return int(self)

    def __deepcopy__(self, memo: Any) -> int:
        return int(self)


def check_unpacked(frame: FrameType, shape: tuple[Any, ...]) -> None:
    """Complain if a frame is about to unpack a tensor into another number of names than it has slices.

    Raises:
        ShapeError: it is; two names may be meant for the pair that PyTorch gives.
    """
    code = frame.f_code.co_code
    if frame.f_lasti < 0 or code[frame.f_lasti] != _UNPACK:
        return
    names = code[frame.f_lasti + 1]
    if names != shape[0]:
        pair = (
            "; PyTorch's max(dim), min(dim), median(dim) and sort() give values and places, which are two calls "
            "here: x.max(axis) and x.argmax(axis), x.sort() and x.argsort(); x.topk(k) gives both"
        )
        raise ShapeError(
            f"a tensor of shape {shape} cannot be unpacked into {names} names: its first axis has "
            f"{shape[0]} slices{pair if names == 2 else ''}"
        )

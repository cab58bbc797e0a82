"""Axes exchanged, parts of complex numbers, elements repeated and chosen: properties and methods unlike functions of their names."""

from __future__ import annotations

from typing import Any

from tessella.arguments import public, refuse
from tessella.arguments.kinds import shown
from tessella.errors import AbsentAttributeError, ArgumentTypeError
from tessella.tensors import elementwise
from tessella.tensors.indexing import repeat
from tessella.tensors.linear import matrix_transpose
from tessella.tensors.operands import Operand
from tessella.tensors.tensor import Tensor

_INSTEAD_OF_T = (
    "it has no axes to exchange",
    "a row or a column is x[None, :] or x[:, None], and x @ y needs neither",
    "",
    "use mT for the last two axes, or permute_dims",
)


class AxesAndParts:
    """Views of a tensor that are asked for like facts."""

    __slots__ = ()

    @property
    def T(self: Any) -> Tensor:
        """A matrix with rows and columns exchanged."""
        if self.ndim != 2:
            raise _no_transpose("T", self)
        return self.permute_dims((1, 0))

    @property
    def real(self: Any) -> Tensor:
        """The real part of each element; of numbers that are no complex ones, these."""
        return elementwise.real(self)

    @property
    def imag(self: Any) -> Tensor:
        """The imaginary part of each element.

        Raises:
            DTypeError: the numbers are no complex ones.
        """
        return elementwise.imag(self)

    @property
    def mT(self: Any) -> Tensor:
        """Every matrix (the last two axes) transposed."""
        if self.ndim < 2:
            raise _no_transpose("mT", self)
        return matrix_transpose(self)

    def repeat(self: Any, *repeats: int | Tensor, axis: int | None = None, **others: Any) -> Tensor:
        """Each element (along an axis) several times in a row, as in NumPy and the Array API standard.

        PyTorch's `repeat` puts the whole tensor beside itself, which is `tile` here.
        """
        given = (others.pop("repeats"),) if "repeats" in others and not repeats else repeats
        refuse("repeat", others, "repeats", "axis")
        if len(given) != 1 or isinstance(given[0], (tuple, list)):
            raise ArgumentTypeError(
                f"repeat: {', '.join(map(shown, given)) or 'no numbers'} were given; PyTorch's x.repeat(2, 3) is x.tile(2, 3) here; "
                "x.repeat(2, axis=0) repeats each element, as repeat_interleave does"
            )
        return repeat(self, given[0], axis=axis)


def _no_transpose(name: str, x: Tensor) -> AbsentAttributeError:
    return AbsentAttributeError(f"{name}: {x.ndim} dimensions; {_INSTEAD_OF_T[min(x.ndim, 3)]}")


@public
def where(x: Tensor, condition: Tensor, other: Operand, /) -> Tensor:
    """x where a condition holds, and another tensor or number where not: `ts.where(condition, x, other)`.

    >>> import tessella as ts
    >>> ts.asarray([1.0, 2.0]).where(ts.asarray([True, False]), 0.0)
    tensor([1., 0.])
    """
    return elementwise.where(condition, x, other)

"""What the functions of layers ask of their operands."""

from __future__ import annotations

import math

from tessella.arguments.kinds import shown
from tessella.devices.array import check_shape
from tessella.devices.registry import host
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor


def check_sizes(x: Tensor | None, shape: tuple[int, ...], function: str, name: str) -> None:
    """An operand, if there is one, has a shape: another one would broadcast without a word.

    Raises:
        ShapeError: it has not.

    >>> import tessella as ts
    >>> check_sizes(ts.ones(3), (3,), "linear", "bias")
    """
    if x is not None and x.shape != shape:
        raise ShapeError(f"{function}: {name} has shape {x.shape}; expected {shape}")


def check_floating(
    x: Tensor, function: str, weight: Tensor | None = None, name: str = "input"
) -> None:
    """An operand has fractions, if the weights that it meets have: class numbers or bytes of a picture have none.

    Raises:
        DTypeError: it has not.

    >>> import tessella as ts
    >>> check_floating(ts.ones(3), "linear")
    """
    if x.dtype.is_inexact or not (weight is None or weight.dtype.is_inexact):
        return
    expected = "a floating dtype" if weight is None else f"{weight.dtype.name}, as the weight"
    cure = "float32" if weight is None else weight.dtype.name
    raise DTypeError(
        f"{function}: the {name} is {x.dtype.name}, of shape {x.shape}; expected {expected}: convert it with "
        f"x.astype(ts.{cure})",
        function,
    )


def check_no_options(options: object, function: str) -> None:
    """PyTorch's options of chunks speak of memory alone.

    Raises:
        ArgumentError: there are any.

    >>> check_no_options(None, "linear_cross_entropy")
    """
    if options is not None:
        raise ArgumentError(
            f"{function}: options is {shown(options)}; expected None: leave it out, it speaks of chunks in memory"
        )


def as_vector(x: Tensor) -> Tensor:
    """A single number as a vector, whose axis 0 or -1 it has then, as in PyTorch.

    >>> import tessella as ts
    >>> as_vector(ts.asarray(2.0)).shape
    (1,)
    """
    return x if x.ndim else reshape(x, (1,))


def check_room(shape: tuple[int, ...], function: str) -> None:
    """A result has room in memory, and so have tables of its axes, which NumPy makes.

    Raises:
        OutOfMemoryError: it has not.

    >>> check_room((2, 3), "interpolate")
    """
    sizes = check_shape(shape, function)
    with host().memory_for(8 * math.prod(sizes) + 256 * sum(sizes)):
        pass

"""`tessella explain FILE:FUNCTION`: compile a function of somebody's file and look at it."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessella import dtypes
from tessella.arguments.kinds import counted
from tessella.errors import ArgumentError
from tessella.random.generator import Generator
from tessella.tensors.creation import zeros
from tessella.transforms.jit import Jitted, jit


def load(target: str) -> Jitted[..., Any]:
    """The function that FILE:FUNCTION names, compiled or ready to be.

    Raises:
        ArgumentError: there is no such file or function.
    """
    file, separator, name = target.rpartition(":")
    if not separator or not name.isidentifier():
        raise ArgumentError(f"{target!r} was given; expected FILE:FUNCTION, as in train.py:step")
    if not Path(file).is_file():
        raise ArgumentError(f"there is no file {file!r}")
    found = runpy.run_path(file, run_name="__tessella_explain__").get(name)
    if not callable(found):
        raise ArgumentError(f"{file} has no function {name!r} at its top level")
    return found if isinstance(found, Jitted) else jit(found)


def arguments_for(function: Jitted[..., Any], shapes: Sequence[str]) -> list[Any]:
    """What to call a function with: tensors of some shapes; of none, if its file has called it already.

    Raises:
        ArgumentError: a shape cannot be read, or the function takes another number of arguments.
    """
    given = tensors(shapes)
    if given or not function.specialisations:
        signature = inspect.signature(function.function)
        try:
            signature.bind(*given)
        except TypeError as error:
            raise ArgumentError(
                f"{function.function.__name__} takes {signature}, and {counted(len(given), 'shape')} given ({error}); give "
                "one for each argument, as in --shape 8,128 --shape 128,32"
            ) from None
        if not given:
            function()  # so that there is something to look at
    return given


def tensors(shapes: Sequence[str]) -> list[Any]:
    """Tensors for shapes like `8,128`, `int64:8,128` or `float16:3`: normal numbers, or zeros.

    Raises:
        ArgumentError: a shape cannot be read.
    """
    generator = Generator(0)
    return [_tensor(text, generator) for text in shapes]


def _tensor(text: str, generator: Generator) -> Any:
    kind, separator, sizes = text.rpartition(":")
    known = {dtype.name: dtype for dtype in dtypes.ALL}
    dtype = known.get(kind) if separator else dtypes.float32
    try:
        shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    except ValueError:
        shape = (-1,)
    if dtype is None or any(size < 0 for size in shape):
        raise ArgumentError(
            f"the shape {text!r} cannot be read; expected sizes with commas, as in 8,128, perhaps "
            "with a dtype in front, as in int64:8,128"
        )
    return generator.normal(shape).astype(dtype) if dtype.is_float else zeros(shape, dtype=dtype)

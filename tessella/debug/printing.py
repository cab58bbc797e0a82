"""`debug.print`: values as they are when the program comes by."""

from __future__ import annotations

import builtins
import string
from collections.abc import Callable, Iterator
from typing import Any

from tessella import errors, trees
from tessella.devices.array import from_numpy
from tessella.primitives.effect import Effect
from tessella.tensors.tensor import Tensor, from_array, perform
from tessella.tracing.lines import user_line
from tessella.tracing.trace import holds_noted_text


def print(text: str, /, *values: Any, **named: Any) -> None:
    """Print values each time this line is reached, in compiled functions too.

    `text` is a format string as for `str.format`; values may be trees. In a function under `jit` the
    line is printed at every call of the program, with that call's values, in the order in which the
    function prints. An f-string would need the values while the function is traced: give them
    as arguments instead.

    Raises:
        ArgumentError: the format string and the values do not fit together.
        ArgumentTypeError: the first argument is no format string.
        TracedValueError: it was made from a tensor that is not known yet.

    >>> import tessella as ts
    >>> @ts.jit
    ... def double(x):
    ...     ts.debug.print("x = {}, its sum {total:.1f}", x, total=x.sum())
    ...     return x * 2
    >>> _ = double(ts.asarray([1.0, 2.0]))
    x = tensor([1., 2.]), its sum 3.0
    """
    if not isinstance(text, str):
        raise errors.ArgumentTypeError(
            f"debug.print: the first argument is a {type(text).__name__}; expected a format string, "
            'as in ts.debug.print("x = {}", x)'
        )
    if holds_noted_text(text):
        raise errors.TracedValueError(
            f"{user_line()}: debug.print: the text was made (by an f-string or str()) from a tensor that is not known "
            'yet while its function is traced; give the tensor as an argument: ts.debug.print("x = {}", x)'
        )
    _check(text, values, named)

    def show(tree: Any) -> None:
        positional, keywords = tree
        try:
            line = text.format(*positional, **keywords)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            if isinstance(error, errors.TessellaError) and not isinstance(
                error, errors.UnknownNameError
            ):
                raise
            raise errors.ArgumentError(
                f"debug.print: {text!r} does not fit its values: {error}"
            ) from error
        builtins.print(line)

    with_values(show, (values, named), "debug.print")


def _check(text: str, values: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Complain about a wrong format where it is written, not when a program comes by."""
    try:
        used = set(_fields(text))
    except ValueError as error:
        raise errors.ArgumentError(
            f"debug.print: {text!r} is no format string ({error}); write {{{{ for a brace"
        ) from None
    given = {*range(len(values)), *named}
    for field in used - given:
        raise errors.ArgumentError(
            f"debug.print: {text!r} shows the value {field!r}, which was not given; given were "
            f"{_listed(given)}"
        )
    for name in given - used:
        raise errors.ArgumentError(
            f"debug.print: the value {name!r} was given, but {text!r} does not show it; "
            f"add {{{'' if isinstance(name, int) else name}}} to it"
        )


def _fields(text: str) -> Iterator[int | str]:
    """The positions and names that a format string shows."""
    count = 0
    for _, field, specification, _ in string.Formatter().parse(text):
        if field is None:
            continue
        first = field.split(".")[0].split("[")[0]
        if first == "":
            yield count
            count += 1
        else:
            yield int(first) if first.isdigit() else first
        yield from _fields(specification or "")


def _listed(given: set[Any]) -> str:
    return ", ".join(repr(name) for name in sorted(given, key=str)) or "none"


def with_values(action: Callable[[Any], None], tree: Any, label: str) -> None:
    """Do something with a tree whose tensors are concrete: now, or at every call of a program."""
    leaves, structure = trees.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[i] for i in places]
    others = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]

    def on_arrays(*arrays: Any) -> None:
        now = [from_array(from_numpy(array)) for array in arrays]
        action(trees.with_leaves(structure, others, places, now))

    perform(Effect(on_arrays, label), tensors)

"""`tune`: the products of a function are tried in several ways on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella.devices.registry import current
from tessella.errors import ArgumentTypeError
from tessella.transforms.jit import Jitted, jit


class Tuning:
    """What `tune` found; print it."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found

    def __str__(self) -> str:
        return "\n".join(map(str, self.found)) or "no product that could be cut in another way"

    __repr__ = __str__


def tune(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Tuning:
    """Find out how the products of a function on some arguments are best cut on this machine.

    Without it, blocks follow from the sizes of the caches. What is found is kept on disk beside the
    compiled kernels, for products of about these sizes on this kind of processor; this process and
    later ones use it. Sums may be added in another order than before, so results can differ in their
    last digits from those before; with one tuning they are the same in every run. No tensor is changed.

    Programs of other functions that are compiled already stay as they are. Tune on a quiet machine.

    Args:
        function: one that `jit` made, or could be given to it.

    Raises:
        ArgumentTypeError: it is no function.

    >>> import tessella as ts
    >>> found = ts.tune(lambda x, y: x @ y, ts.ones((40, 50)), ts.ones((50, 60)))
    >>> len(found.found)
    1
    >>> ts.forget_tuning() <= 1
    True
    """
    if not callable(function):
        raise ArgumentTypeError(
            f"tune: {type(function).__name__} was given; expected a function, and its arguments after it"
        )
    jitted: Jitted[..., Any] = function if isinstance(function, Jitted) else jit(function)
    jitted.forget()
    tuner = current().tuner
    tuner.forget_recipes()
    with tuner.watched() as products:
        jitted.graph(*args, **kwargs)
    found = tuner.tune_products(products)
    jitted.forget()
    return Tuning(found)


def forget_tuning() -> int:
    """Remove everything that `tune` has found on this machine; gives how many entries there were.

    >>> import tessella as ts
    >>> ts.forget_tuning() >= 0
    True
    """
    tuner = current().tuner
    count = tuner.forget()
    tuner.forget_recipes()
    return count

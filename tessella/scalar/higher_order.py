"""Functions of functions on lists: map, zip_with, reduce (Module 0)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tessella.scalar import functions


def map(function: Callable[[Any], Any]) -> Callable[[Iterable[Any]], list[Any]]:
    """From a function of numbers to one of lists.

    >>> map(lambda x: 2 * x)([1, 2, 3])
    [2, 4, 6]
    """
    return lambda xs: [function(x) for x in xs]


def zip_with(
    function: Callable[[Any, Any], Any],
) -> Callable[[Iterable[Any], Iterable[Any]], list[Any]]:
    """From a function of two numbers to one of two lists of one length.

    >>> zip_with(lambda x, y: x + y)([1, 2], [3, 4])
    [4, 6]
    """
    return lambda xs, ys: [function(x, y) for x, y in zip(xs, ys, strict=True)]


def reduce(function: Callable[[Any, Any], Any], start: Any) -> Callable[[Iterable[Any]], Any]:
    """From a function of two numbers to one of a list, from a start.

    >>> reduce(lambda x, y: x * y, 1)([2, 3, 4])
    24
    """

    def reduced(xs: Iterable[Any]) -> Any:
        total = start
        for x in xs:
            total = function(total, x)
        return total

    return reduced


def negate_list(xs: Iterable[Any]) -> list[Any]:
    """Minus each element.

    >>> negate_list([1, -2])
    [-1, 2]
    """
    return map(functions.neg)(xs)


def add_lists(xs: Iterable[Any], ys: Iterable[Any]) -> list[Any]:
    """Element by element sums.

    >>> add_lists([1, 2], [3, 4])
    [4, 6]
    """
    return zip_with(functions.add)(xs, ys)


def sum_list(xs: Iterable[Any]) -> Any:
    """The sum of a list; 0 if it is empty.

    >>> sum_list([1, 2, 3])
    6
    """
    return reduce(functions.add, 0)(xs)


def product(xs: Iterable[Any]) -> Any:
    """The product of a list; 1 if it is empty.

    >>> product([2, 3, 4])
    24
    """
    return reduce(functions.mul, 1)(xs)

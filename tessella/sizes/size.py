"""Symbolic sizes: dimensions of tensors that are not known while a function is traced.

A `Size` stands for an integer that differs from call to call: a sum of products of symbols (the named
dimensions of arguments) and of quotients that no rule could divide. Sums, products and exact quotients are
taken without knowing it. A comparison is answered if it holds for every size, and else for the size of the
call at hand: then the `Scope` of the trace writes down a `Guard`, and what was traced serves only calls for
which the guard gives the same answer. Asking for the number itself (`range(n)`, `int(n)`) is such a question.

Shape rules ask all the time whether a size is 0 or 1. While rules are at work (`Scope.least`), and for who asks of
`for_all(size)`, such questions are answered for sizes of 2 and more, without a guard; what was traced is checked again,
node by node, before it serves a smaller size (`transforms/dynamic.py`). All other questions, and those of
`for_this_call(size)`, leave a guard: users' own, above all.
"""

from __future__ import annotations

import functools
import math
import numbers
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella.sizes import polynomials

if TYPE_CHECKING:
    from tessella.sizes.scope import Scope

AT_LEAST = 2  # of a symbol, for questions that are asked for all sizes
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
RELATIONS: dict[str, Callable[[int, int], bool]] = {
    sign: getattr(operator, name) for name, sign in _SIGNS.items()
}


class Size:
    """A size that is not known while a function is traced.

    >>> from tessella.sizes.scope import Scope
    >>> scope = Scope({"batch": 8})
    >>> n = scope.symbol("batch")
    >>> 3 * n + n, (6 * n) // 3, (n + 1) // 2
    (4*batch, 2*batch, (batch + 1)//2)
    >>> n + 1 > n, list(scope.guards)
    (True, [])
    """

    __slots__ = ("least", "scope", "terms")

    def __init__(self, scope: Scope, terms: polynomials.Terms, least: int | None = None) -> None:
        self.scope = scope
        self.terms = terms
        self.least = (
            least  # the sizes that questions about it are answered for; None for those in force
        )

    def at(self, binding: polynomials.Binding) -> int:
        """The number, for sizes of the symbols."""
        return polynomials.evaluate(self.terms, binding)

    @property
    def hint(self) -> int:
        """The number in the call at hand."""
        return polynomials.evaluate(self.terms, self.scope.hints)

    def _made(self, terms: polynomials.Terms) -> Any:
        """A size, or a plain number if nothing symbolic is left."""
        known = polynomials.constant(terms)
        return Size(self.scope, terms) if known is None else known

    # --- arithmetic -------------------------------------------------------------------------------

    def _counted(
        self,
        other: Any,
        combine: Callable[[polynomials.Terms, polynomials.Terms], polynomials.Terms],
        function: Callable[[Any, Any], Any],
        swapped: bool = False,
    ) -> Any:
        """Arithmetic with a whole number by polynomials, with others by a function of numbers."""
        theirs = _terms_of(other)
        if theirs is None:
            return self._as_number(function, other, swapped)
        return self._made(combine(theirs, self.terms) if swapped else combine(self.terms, theirs))

    def __add__(self, other: Any) -> Any:
        return self._counted(other, polynomials.summed, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._counted(other, polynomials.summed, operator.add, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._counted(other, polynomials.less, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._counted(other, polynomials.less, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple, str)):
            return other * operator.index(self)
        return self._counted(other, polynomials.product, operator.mul)

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple, str)):
            return other * operator.index(self)
        return self._counted(other, polynomials.product, operator.mul, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Size):
            other._require_no_zero()
        return self._counted(other, self.scope.quotient, operator.floordiv)

    def __rfloordiv__(self, other: Any) -> Any:
        if _terms_of(other) is not None:
            self._require_no_zero()
        return self._counted(other, self.scope.quotient, operator.floordiv, swapped=True)

    def _require_no_zero(self) -> None:
        if self == 0:
            raise ZeroDivisionError(f"a size is divided by {self}, which is 0 here")

    def __mod__(self, other: Any) -> Any:
        if _terms_of(other) is None:
            return self._as_number(operator.mod, other)
        return self - (self // other) * other

    def __rmod__(self, other: Any) -> Any:
        if isinstance(other, str):
            return NotImplemented
        if _terms_of(other) is None:
            return self._as_number(operator.mod, other, swapped=True)
        return other - (other // self) * self

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any) -> Any:
        if type(other) is int and other >= 0:
            return math.prod([self] * other)
        return self._as_number(operator.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return other ** operator.index(self)

    def __truediv__(self, other: Any) -> Any:
        return self._as_number(operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._as_number(operator.truediv, other, swapped=True)

    def __neg__(self) -> Any:
        return self._made(polynomials.scaled(self.terms, -1))

    def __pos__(self) -> Size:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __trunc__(self) -> Size:
        return self

    def __floor__(self) -> Size:
        return self

    def __ceil__(self) -> Size:
        return self

    def __round__(self, digits: int | None = None) -> Size:
        return self

    def __tessella_operand__(self, like: Any) -> Any:
        """What stands for it beside a tensor: a tensor, read anew for every size."""
        if self.scope.number is None:
            return operator.index(self)
        bind = getattr(self.scope.number(self), "__tessella_operand__")  # noqa: B009
        return bind(like)

    def _as_number(
        self, function: Callable[[Any, Any], Any], other: Any, swapped: bool = False
    ) -> Any:
        """Arithmetic with what is no integer."""
        if isinstance(other, Size):
            other = other.as_number()
        elif not isinstance(other, numbers.Number) and not _is_number_of_a_trace(other):
            return NotImplemented
        mine = self.as_number()
        return function(other, mine) if swapped else function(mine, other)

    def as_number(self) -> Any:
        """The number it is in this call; in a traced function that reads it, what stands for it."""
        return operator.index(self) if self.scope.number is None else self.scope.number(self)

    # --- questions --------------------------------------------------------------------------------

    def _ask(self, relation: str, other: Any) -> Any:
        theirs = _terms_of(int(other) if isinstance(other, float) and other.is_integer() else other)
        if theirs is None:
            if isinstance(other, numbers.Real):
                return RELATIONS[relation](operator.index(self), other)  # type: ignore[arg-type]
            return NotImplemented
        least = getattr(other, "least", None) if self.least is None else self.least
        return self.scope.ask(relation, *polynomials.balanced(self.terms, theirs), least=least)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Size) and other.terms == self.terms:
            return True
        return self._ask("==", other)

    def __ne__(self, other: object) -> Any:
        if isinstance(other, Size) and other.terms == self.terms:
            return False
        return self._ask("!=", other)

    def __lt__(self, other: Any) -> Any:
        return self._ask("<", other)

    def __le__(self, other: Any) -> Any:
        return self._ask("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self._ask(">", other)

    def __ge__(self, other: Any) -> Any:
        return self._ask(">=", other)

    def __hash__(self) -> int:
        return hash(self.terms)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> int:
        """The number itself: what is traced is right for this size only."""
        found = self.hint  # if it is answered at all
        self.scope.ask("==", *polynomials.balanced(self.terms, polynomials.number(found)))
        return found

    __int__ = __index__

    def __float__(self) -> float:
        return float(operator.index(self))

    def __complex__(self) -> complex:
        return complex(operator.index(self))

    def __repr__(self) -> str:
        return polynomials.text_of(self.terms)

    def __format__(self, specification: str) -> str:
        return format(polynomials.text_of(self.terms), specification)


numbers.Integral.register(Size)


def _is_number_of_a_trace(value: Any) -> bool:
    return hasattr(type(value), "look") and hasattr(type(value), "__tessella_operand__")


INTEGERS = (int, np.integer, Size)  # what may stand for a size


def is_symbolic(size: Any) -> bool:
    """Whether a size is not known."""
    return type(size) is Size


def as_integer(value: Any) -> Any:
    """A whole number as Python's integer, or as the size it is."""
    return value if type(value) is Size else int(value)


def deferred(function: Callable[..., int]) -> Callable[..., Any]:
    """A function of whole numbers that waits until sizes among its arguments are known.

    >>> from tessella.sizes.scope import Scope
    >>> double = deferred(lambda size: 2 * size)
    >>> double(4), double(Scope({"n": 3}).symbol("n")).at({"n": 5})
    (8, 10)
    """

    @functools.wraps(function)
    def applied(*arguments: Any) -> Any:
        scope = next((x.scope for x in arguments if type(x) is Size), None)
        if scope is None:
            return function(*arguments)
        terms = tuple(_terms_of(x) or () for x in arguments)
        return Size(scope, (((polynomials.Applied(function, terms),), 1),))

    return applied


def for_all(size: Any) -> Any:
    """A size of which is asked what holds for all sizes, but perhaps for 0 and 1, which are looked at when they come.

    >>> from tessella.sizes.scope import Scope
    >>> scope = Scope({"n": 8})
    >>> n = scope.symbol("n")
    >>> for_all(n) > 1, [str(guard) for guard in scope.guards]
    (True, [])
    >>> for_this_call(n) > 1, [str(guard) for guard in scope.guards]
    (True, ['n > 1'])
    """
    return Size(size.scope, size.terms, AT_LEAST) if type(size) is Size else size


def for_this_call(size: Any) -> Any:
    """A size of which is asked what holds in this call; a guard is left, while rules are at work, too."""
    return Size(size.scope, size.terms, 0) if type(size) is Size else size


def at(value: Any, binding: polynomials.Binding) -> Any:
    """A size, or a tuple in which there may be some, for sizes of the symbols."""
    if type(value) is Size:
        return value.at(binding)
    if type(value) is tuple:
        return tuple([at(item, binding) for item in value])
    return value


def _terms_of(value: Any) -> polynomials.Terms | None:
    if type(value) is int:
        return (((), value),) if value else ()
    if isinstance(value, Size):
        return value.terms
    if isinstance(value, numbers.Integral) and hasattr(value, "__index__"):
        return polynomials.number(operator.index(value))
    return None

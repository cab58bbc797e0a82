"""Scopes: what is asked about the sizes of a trace, and the guards that answers leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from tessella import forking
from tessella.blocks import restoring, undoing
from tessella.errors import ArgumentError, TracedValueError
from tessella.sizes.polynomials import (
    Applied,
    Atom,
    Binding,
    Monomial,
    Quotient,
    Symbol,
    Terms,
    constant,
    evaluate,
    in_order,
    less,
    number,
    serial,
    summed,
    text_of,
    without,
)  # fmt: skip
from tessella.sizes.size import AT_LEAST, RELATIONS, Size

_INFINITE = math.inf
_ZERO_AND_ONE: tuple[Terms, ...] = ((), (((), 1),))
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_ROUNDING = 1e-6


class Guard(NamedTuple):
    """A question about sizes that was answered for the call at hand: what must stay true.

    Args:
        relation: "==", "!=", "<", "<=", ">" or ">=".
        cause: the line that asked, or the pass of the compiler.
    """

    left: Terms
    relation: str
    right: Terms
    cause: str

    def holds(self, binding: Binding) -> bool:
        """Whether it is true for some sizes."""
        try:
            left, right = evaluate(self.left, binding), evaluate(self.right, binding)
        except ArgumentError:  # a division by a size that is 0 now
            return False
        return bool(RELATIONS[self.relation](left, right))

    def __str__(self) -> str:
        return f"{text_of(self.left)} {self.relation} {text_of(self.right)}"


class Scope:
    """The symbols of one trace, the sizes they have in the call at hand, and the guards left so far.

    Args:
        hints: the sizes.
        line: gives the user's line for guards.
        number: makes a number of a size, which takes part in floating-point arithmetic.
    """

    def __init__(
        self,
        hints: Binding,
        line: Callable[[], Any] = lambda: "",
        number: Callable[[Size], Any] | None = None,
    ) -> None:
        self.hints = dict(hints)
        self.guards: dict[Guard, None] = {}
        self.assumptions: dict[Guard, None] = {}  # of the package: where one fails, all is checked
        self.line = line
        self.number = number
        self.stage = ""  # the pass of the compiler that is at work
        self.least = (
            0  # the sizes that questions are answered for: `AT_LEAST` while rules are at work
        )
        self.known: dict[Any, bool] = {}  # what was asked already
        self.is_open = True  # whether the function is still being traced
        self.serial = next(serial)
        self.lock = forking.lock()

    def close(self) -> None:
        """The trace has ended: no question can be answered any more, but those of passes."""
        self.is_open = False
        self.line, self.number = lambda: "", None

    @restoring
    def compiling(self, hints: Binding) -> Generator[dict[Guard, None], None, None]:
        """The package works on the graph of the trace inside the block; gives what it asks.

        Args:
            hints: the sizes that questions are answered for.
        """
        with self.lock:
            before = self.hints, self.guards, self.assumptions, self.known, self.least
            asked: dict[Guard, None] = {}
            with undoing(lambda: self._restore(before)):
                self.hints, self.stage, self.least = dict(hints), "the compiler", AT_LEAST
                self.guards, self.assumptions, self.known = dict(before[1]), {}, {}
                yield asked
                asked |= {guard: None for guard in self.guards if guard not in before[1]}
                asked |= self.assumptions

    def _restore(self, before: Any) -> None:
        self.hints, self.guards, self.assumptions, self.known, self.least = before
        self.stage = ""

    def symbol(self, name: str) -> Size:
        """The size with a name."""
        return Size(self, (((Symbol(name, self.serial),), 1),))

    def ask(self, relation: str, left: Terms, right: Terms, least: int | None = None) -> bool:
        """Answer a comparison, for all sizes if possible, else for the call at hand.

        Args:
            least: the sizes for which it must hold; by default those that are in force.
        """
        if least is None:
            least = self.least
        question = relation, left, right, least
        answer = self.known.get(question)
        if answer is None:
            answer = self.known[question] = self._answer(relation, left, right, least)
        return answer

    def _answer(self, relation: str, left: Terms, right: Terms, least: int) -> bool:
        low, high = self.bounds(less(left, right), least)
        certain = _certain(relation, low, high)
        if certain is not None:
            return certain
        if not self.is_open and not self.stage:
            raise TracedValueError(
                f"the size {text_of(left)} was kept from a traced function that has ended, where it "
                "stood for the sizes of all calls; return it from the function instead"
            )
        answer = RELATIONS[relation](evaluate(left, self.hints), evaluate(right, self.hints))
        true = relation if answer else _OPPOSITE[relation]
        is_assumption = least == AT_LEAST and true == "!=" and right in _ZERO_AND_ONE
        found = self.assumptions if is_assumption else self.guards
        found.setdefault(Guard(left, true, right, self._cause()))
        return bool(answer)

    def _cause(self) -> str:
        return self.stage or str(self.line())

    def bounds(self, terms: Terms, least: int) -> tuple[float, float]:
        """The least and the greatest value of a polynomial, as far as it is known.

        Args:
            least: of every symbol.
        """
        low: float = 0
        high: float = 0
        plain = not any(type(atom) is Quotient for monomial, _ in terms for atom in monomial)
        for monomial, factor in terms if plain else _without_quotients(terms):
            interval = (float(factor), float(factor))
            for atom in monomial:
                interval = _times(interval, self._bounds_of(atom, least))
            low, high = low + interval[0], high + interval[1]
        return -_floor(_ROUNDING - low), _floor(high + _ROUNDING)  # the value is a whole number

    def _bounds_of(self, atom: Atom, least: int) -> tuple[float, float]:
        low, high = float(least), _INFINITE
        if isinstance(atom, _Remainder):
            return 0.0, float(atom.by - 1)
        if isinstance(atom, Applied):
            low = -_INFINITE
        if isinstance(atom, Quotient):
            low, high = self.bounds(atom.of, least)
            by = constant(atom.by)
            if by is None or by < 0:
                positive = low >= 0 and self.bounds(atom.by, least)[0] >= 0
                low, high = (0.0 if positive else -_INFINITE), _INFINITE
            else:
                low, high = _floor(low / by), _floor(high / by)
        for guard in self.guards:  # what was answered before need not be asked again
            bound = constant(guard.right)
            if guard.left == (((atom,), 1),) and bound is not None:
                if guard.relation in (">", ">=", "=="):
                    low = max(low, bound + (guard.relation == ">"))
                if guard.relation in ("<", "<=", "=="):
                    high = min(high, bound - (guard.relation == "<"))
        return low, high

    def quotient(self, of: Terms, by: Terms) -> Terms:
        """of // by: without the part that the divisor divides, which is taken out."""
        if not by:
            raise ZeroDivisionError("a size is divided by zero")
        if not of:
            return ()
        if len(by) == 1:
            divisor, factor = by[0]
            whole: dict[Monomial, int] = {}
            rest: dict[Monomial, int] = {}
            for monomial, own in of:
                left = without(monomial, divisor)
                times, over = divmod(own, factor) if left is not None else (0, own)
                if left is not None:
                    whole[left] = times
                if over:
                    rest[monomial] = over
            remains = in_order(rest)
            is_less = self.bounds(less(by, remains), 0)[0] > 0
            if not remains or (is_less and self.bounds(remains, 0)[0] >= 0):
                return in_order(whole)
            return summed(in_order(whole), ((((Quotient(remains, by)),), 1),))
        if of == by:
            return number(1)
        return ((((Quotient(of, by)),), 1),)


class _Remainder(NamedTuple):
    """What is left over when a polynomial is divided by a number: from 0 to less than that."""

    of: Terms
    by: int


def _without_quotients(terms: Terms) -> Iterator[tuple[tuple[Any, ...], float]]:
    """The terms with a // b as (a - a % b) / b, so that a and what stands beside it may cancel."""
    factors: dict[tuple[Any, ...], Fraction] = {}

    def add(monomial: tuple[Any, ...], factor: Fraction) -> None:
        factors[monomial] = factors.get(monomial, Fraction(0)) + factor

    for monomial, factor in terms:
        quotient = monomial[0] if len(monomial) == 1 else None
        by = constant(quotient.by) if isinstance(quotient, Quotient) else None
        if not isinstance(quotient, Quotient) or not by or by < 0:
            add(monomial, Fraction(factor))
            continue
        for inner, own in _without_quotients(quotient.of):
            add(inner, Fraction(factor) * Fraction(own) / by)
        add((_Remainder(quotient.of, by),), Fraction(-factor, by))
    for monomial, found in factors.items():
        if found:
            yield monomial, float(found)


def _times(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """The interval of products of numbers from two intervals."""
    corners = [x * y if x and y else 0.0 for x in a for y in b]
    return min(corners), max(corners)


def _floor(value: float) -> float:
    return float(math.floor(value)) if math.isfinite(value) else value


def _certain(relation: str, low: float, high: float) -> bool | None:
    """Whether a difference with these bounds compares so to zero, if all of them do or none does."""
    if relation in ("==", "!="):
        equal = True if low == high == 0 else False if low > 0 or high < 0 else None
        return equal if relation == "==" or equal is None else not equal
    if relation in (">", "<="):
        greater = True if low > 0 else False if high <= 0 else None
        return greater if relation == ">" or greater is None else not greater
    at_least = True if low >= 0 else False if high < 0 else None
    return at_least if relation == ">=" or at_least is None else not at_least

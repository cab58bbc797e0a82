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
import itertools
import math
import numbers
import operator
from collections.abc import Callable, Generator, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tessella import forking
from tessella.blocks import restoring
from tessella.errors import ArgumentError, TracedValueError

_INFINITE = math.inf
AT_LEAST = 2  # of a symbol, for questions that are asked for all sizes
_ZERO_AND_ONE: tuple[Terms, ...] = ((), (((), 1),))
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Symbol(NamedTuple):
    """A dimension of arguments, by its name, and the number of its scope: caches outlive traces."""

    name: str
    scope: int


class Quotient(NamedTuple):
    """A quotient, rounded down, that no rule could divide; a remainder is made of it."""

    of: Terms
    by: Terms


class Applied(NamedTuple):
    """What a function of whole numbers gives, once they are known."""

    function: Callable[..., int]
    arguments: tuple[Terms, ...]


Atom: TypeAlias = "Symbol | Quotient | Applied"
Monomial: TypeAlias = "tuple[Atom, ...]"
Terms: TypeAlias = "tuple[tuple[Monomial, int], ...]"  # sorted: equal polynomials are equal tuples
Binding: TypeAlias = "Mapping[str, int]"  # the sizes of a call, by the names of symbols


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
        return bool(_RELATIONS[self.relation](left, right))

    def __str__(self) -> str:
        return f"{text_of(self.left)} {self.relation} {text_of(self.right)}"


_ROUNDING = 1e-6
_serial = itertools.count()
_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    sign: getattr(operator, name) for name, sign in _SIGNS.items()
}


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
        self.serial = next(_serial)
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
            try:
                try:
                    self.hints, self.stage, self.least = dict(hints), "the compiler", AT_LEAST
                    self.guards, self.assumptions, self.known = dict(before[1]), {}, {}
                    yield asked
                    asked |= {guard: None for guard in self.guards if guard not in before[1]}
                    asked |= self.assumptions
                finally:
                    self._restore(before)
            finally:  # again, for a Ctrl-C in the first one
                self._restore(before)

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
        low, high = self.bounds(_sum(left, right, -1), least)
        certain = _certain(relation, low, high)
        if certain is not None:
            return certain
        if not self.is_open and not self.stage:
            raise TracedValueError(
                f"the size {text_of(left)} was kept from a traced function that has ended, where it "
                "stood for the sizes of all calls; return it from the function instead"
            )
        answer = _RELATIONS[relation](evaluate(left, self.hints), evaluate(right, self.hints))
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
            by = _constant(atom.by)
            if by is None or by < 0:
                positive = low >= 0 and self.bounds(atom.by, least)[0] >= 0
                low, high = (0.0 if positive else -_INFINITE), _INFINITE
            else:
                low, high = _floor(low / by), _floor(high / by)
        for guard in self.guards:  # what was answered before need not be asked again
            bound = _constant(guard.right)
            if guard.left == (((atom,), 1),) and bound is not None:
                if guard.relation in (">", ">=", "=="):
                    low = max(low, bound + (guard.relation == ">"))
                if guard.relation in ("<", "<=", "=="):
                    high = min(high, bound - (guard.relation == "<"))
        return low, high


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
        by = _constant(quotient.by) if isinstance(quotient, Quotient) else None
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


class Size:
    """A size that is not known while a function is traced.

    >>> scope = Scope({"batch": 8})
    >>> n = scope.symbol("batch")
    >>> 3 * n + n, (6 * n) // 3, (n + 1) // 2
    (4*batch, 2*batch, (batch + 1)//2)
    >>> n + 1 > n, list(scope.guards)
    (True, [])
    """

    __slots__ = ("least", "scope", "terms")

    def __init__(self, scope: Scope, terms: Terms, least: int | None = None) -> None:
        self.scope = scope
        self.terms = terms
        self.least = (
            least  # the sizes that questions about it are answered for; None for those in force
        )

    def at(self, binding: Binding) -> int:
        """The number, for sizes of the symbols."""
        return evaluate(self.terms, binding)

    @property
    def hint(self) -> int:
        """The number in the call at hand."""
        return evaluate(self.terms, self.scope.hints)

    def _made(self, terms: Terms) -> Any:
        """A size, or a plain number if nothing symbolic is left."""
        constant = _constant(terms)
        return Size(self.scope, terms) if constant is None else constant

    # --- arithmetic -------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_sum(self.terms, theirs))
        return self._as_number(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_sum(theirs, self.terms))
        return self._as_number(operator.add, other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_sum(self.terms, theirs, -1))
        return self._as_number(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_sum(theirs, self.terms, -1))
        return self._as_number(operator.sub, other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple, str)):
            return other * operator.index(self)
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_product(self.terms, theirs))
        return self._as_number(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple, str)):
            return other * operator.index(self)
        theirs = _terms_of(other)
        if theirs is not None:
            return self._made(_product(theirs, self.terms))
        return self._as_number(operator.mul, other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            if isinstance(other, Size) and other == 0:
                raise ZeroDivisionError(f"a size is divided by {other}, which is 0 here")
            return self._made(_quotient(self.scope, self.terms, theirs))
        return self._as_number(operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            if self == 0:
                raise ZeroDivisionError(f"a size is divided by {self}, which is 0 here")
            return self._made(_quotient(self.scope, theirs, self.terms))
        return self._as_number(operator.floordiv, other, swapped=True)

    def __mod__(self, other: Any) -> Any:
        theirs = _terms_of(other)
        if theirs is not None:
            return self - (self // other) * other
        return self._as_number(operator.mod, other)

    def __rmod__(self, other: Any) -> Any:
        if isinstance(other, str):
            return NotImplemented
        theirs = _terms_of(other)
        if theirs is not None:
            return other - (other // self) * self
        return self._as_number(operator.mod, other, swapped=True)

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
        return self._made(_scaled(self.terms, -1))

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
                return _RELATIONS[relation](operator.index(self), other)  # type: ignore[arg-type]
            return NotImplemented
        least = getattr(other, "least", None) if self.least is None else self.least
        return self.scope.ask(relation, *_balanced(self.terms, theirs), least=least)

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
        self.scope.ask("==", *_balanced(self.terms, _number(found)))
        return found

    __int__ = __index__

    def __float__(self) -> float:
        return float(operator.index(self))

    def __complex__(self) -> complex:
        return complex(operator.index(self))

    def __repr__(self) -> str:
        return text_of(self.terms)

    def __format__(self, specification: str) -> str:
        return format(text_of(self.terms), specification)


numbers.Integral.register(Size)


def _is_number_of_a_trace(value: Any) -> bool:
    return hasattr(type(value), "look") and hasattr(type(value), "__tessella_operand__")


INTEGERS = (int, np.integer, Size)  # what may stand for a size


# --- reading sizes ------------------------------------------------------------------------------------


def is_symbolic(size: Any) -> bool:
    """Whether a size is not known."""
    return type(size) is Size


def as_integer(value: Any) -> Any:
    """A whole number as Python's integer, or as the size it is."""
    return value if type(value) is Size else int(value)


def deferred(function: Callable[..., int]) -> Callable[..., Any]:
    """A function of whole numbers that waits until sizes among its arguments are known.

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
        return Size(scope, (((Applied(function, terms),), 1),))

    return applied


def for_all(size: Any) -> Any:
    """A size of which is asked what holds for all sizes, but perhaps for 0 and 1, which are looked at when they come.

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


def at(value: Any, binding: Binding) -> Any:
    """A size, or a tuple in which there may be some, for sizes of the symbols."""
    if type(value) is Size:
        return value.at(binding)
    if type(value) is tuple:
        return tuple([at(item, binding) for item in value])
    return value


def evaluate(terms: Terms, binding: Binding) -> int:
    """The value of a polynomial.

    Raises:
        ArgumentError: it divides by a size that is zero.
    """
    total = 0
    for monomial, factor in terms:
        for atom in monomial:
            if isinstance(atom, Symbol):
                factor *= binding[atom.name]
                continue
            if isinstance(atom, Applied):
                factor *= atom.function(*[evaluate(x, binding) for x in atom.arguments])
                continue
            by = evaluate(atom.by, binding)
            if by == 0:
                raise ArgumentError(
                    f"a size is {text_of(atom.of)} divided by {text_of(atom.by)}, which is 0 here"
                )
            factor *= evaluate(atom.of, binding) // by
        total += factor
    return total


# --- polynomials --------------------------------------------------------------------------------------


def _terms_of(value: Any) -> Terms | None:
    if type(value) is int:
        return (((), value),) if value else ()
    if isinstance(value, Size):
        return value.terms
    if isinstance(value, numbers.Integral) and hasattr(value, "__index__"):
        return _number(operator.index(value))
    return None


def _number(value: int) -> Terms:
    return (((), value),) if value else ()


def _constant(terms: Terms) -> int | None:
    """The number a polynomial is, if it has no symbols."""
    if not terms:
        return 0
    return terms[0][1] if len(terms) == 1 and not terms[0][0] else None


def _sorted(factors: Mapping[Monomial, int]) -> Terms:
    terms = [term for term in factors.items() if term[1]]
    if len(terms) > 1:
        terms.sort(key=_place)
    return tuple(terms)


def _place(term: tuple[Monomial, int]) -> tuple[int, tuple[int, ...]]:
    """Higher degrees first, numbers last."""
    return -len(term[0]), tuple([_number_of(atom) for atom in term[0]])


@functools.lru_cache(maxsize=1 << 16)
def _number_of(atom: Atom) -> int:
    """Atoms are ordered as they came up first."""
    return next(_serial)


@functools.lru_cache(maxsize=1 << 14)
def _sum(a: Terms, b: Terms, sign: int = 1) -> Terms:
    factors = dict(a)
    for monomial, factor in b:
        factors[monomial] = factors.get(monomial, 0) + sign * factor
    return _sorted(factors)


def _scaled(terms: Terms, factor: int) -> Terms:
    return tuple((monomial, factor * own) for monomial, own in terms) if factor else ()


@functools.lru_cache(maxsize=1 << 14)
def _product(a: Terms, b: Terms) -> Terms:
    factors: dict[Monomial, int] = {}
    for first, p in a:
        for second, q in b:
            both = tuple(sorted((*first, *second), key=_number_of))
            factors[both] = factors.get(both, 0) + p * q
    return _sorted(factors)


def _quotient(scope: Scope, of: Terms, by: Terms) -> Terms:
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
            left = _without(monomial, divisor)
            times, over = divmod(own, factor) if left is not None else (0, own)
            if left is not None:
                whole[left] = times
            if over:
                rest[monomial] = over
        remains = _sorted(rest)
        is_less = scope.bounds(_sum(by, remains, -1), 0)[0] > 0
        if not remains or (is_less and scope.bounds(remains, 0)[0] >= 0):
            return _sorted(whole)
        return _sum(_sorted(whole), ((((Quotient(remains, by)),), 1),))
    if of == by:
        return _number(1)
    return ((((Quotient(of, by)),), 1),)


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """A monomial divided by another one, if that is possible."""
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


@functools.lru_cache(maxsize=1 << 14)
def _balanced(left: Terms, right: Terms) -> tuple[Terms, Terms]:
    """Both sides of a comparison, with numbers on the right and symbols with a minus on the other side."""
    difference = _sum(left, right, -1)
    if not any(monomial and factor > 0 for monomial, factor in difference):
        return left, right
    positive = tuple((m, f) for m, f in difference if m and f > 0)
    negative = tuple((m, -f) for m, f in difference if not m or f < 0)
    return positive, _sorted(dict(negative))


def text_of(terms: Terms) -> str:
    """A polynomial as a formula."""
    text = ""
    for monomial, factor in terms:
        alone = len(monomial) == 1 and factor == 1
        names = [_text_of_atom(atom, alone) for atom in monomial]
        if abs(factor) != 1 or not names:
            names.insert(0, str(abs(factor)))
        sign = "-" if factor < 0 else "+"
        text += f" {sign} {'*'.join(names)}" if text else f"{'-' * (factor < 0)}{'*'.join(names)}"
    return text or "0"


def _text_of_atom(atom: Atom, alone: bool) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    if isinstance(atom, Applied):
        return f"{atom.function.__name__}({', '.join(map(text_of, atom.arguments))})"
    text = f"{_bracketed(atom.of)}//{_bracketed(atom.by)}"
    return text if alone else f"({text})"


def _bracketed(terms: Terms) -> str:
    text = text_of(terms)
    return f"({text})" if not text.isalnum() else text

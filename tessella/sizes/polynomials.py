"""Polynomials in symbols, and in quotients that no rule could divide: what a symbolic size is.

They are in a normal form: equal ones are equal tuples.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from tessella.errors import ArgumentError

serial = itertools.count()


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


def number(value: int) -> Terms:
    return (((), value),) if value else ()


def constant(terms: Terms) -> int | None:
    """The number a polynomial is, if it has no symbols."""
    if not terms:
        return 0
    return terms[0][1] if len(terms) == 1 and not terms[0][0] else None


def in_order(factors: Mapping[Monomial, int]) -> Terms:
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
    return next(serial)


@functools.lru_cache(maxsize=1 << 14)
def summed(a: Terms, b: Terms, sign: int = 1) -> Terms:
    factors = dict(a)
    for monomial, factor in b:
        factors[monomial] = factors.get(monomial, 0) + sign * factor
    return in_order(factors)


def less(a: Terms, b: Terms) -> Terms:
    """The difference."""
    return summed(a, b, -1)


def scaled(terms: Terms, factor: int) -> Terms:
    return tuple((monomial, factor * own) for monomial, own in terms) if factor else ()


@functools.lru_cache(maxsize=1 << 14)
def product(a: Terms, b: Terms) -> Terms:
    factors: dict[Monomial, int] = {}
    for first, p in a:
        for second, q in b:
            both = tuple(sorted((*first, *second), key=_number_of))
            factors[both] = factors.get(both, 0) + p * q
    return in_order(factors)


def without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """A monomial divided by another one, if that is possible."""
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


@functools.lru_cache(maxsize=1 << 14)
def balanced(left: Terms, right: Terms) -> tuple[Terms, Terms]:
    """Both sides of a comparison, with numbers on the right and symbols with a minus on the other side."""
    difference = less(left, right)
    if not any(monomial and factor > 0 for monomial, factor in difference):
        return left, right
    positive = tuple((m, f) for m, f in difference if m and f > 0)
    negative = tuple((m, -f) for m, f in difference if not m or f < 0)
    return positive, in_order(dict(negative))


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

"""Index maps: where an element comes from, as a function of the loops around it.

An `Index` is a sum of terms: a number times a loop's position, or times a quotient or remainder that
no rule could take apart. Following a value back through reshapes, slices and transposes composes such
maps, and most of them stay plain sums, which loops walk without dividing.

A movement primitive says once where its elements come from, as an `IndexMap`: views are made from its steps,
kernels read through it, fusion follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tessella.primitives.base import Shape


class Dim(NamedTuple):
    """The position of a loop: its number among the loops of a nest, and how many turns it makes."""

    number: int
    size: int


class Part(NamedTuple):
    """The quotient or the remainder of an index by a number; or ("in") the index itself, of which it is
    known that it is from 0 to the number."""

    kind: str  # "//" or "%"
    of: Index
    divisor: int


Atom: TypeAlias = "Dim | Part"


class Index(NamedTuple):
    """constant + the sum of factor * atom."""

    terms: tuple[tuple[Atom, int], ...]
    constant: int

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value."""
        low = high = self.constant
        for atom, factor in self.terms:
            first, last = _bounds(atom)
            low += factor * (first if factor > 0 else last)
            high += factor * (last if factor > 0 else first)
        return low, high

    def dims(self) -> set[Dim]:
        """The loops it depends on."""
        found: set[Dim] = set()
        for atom, _ in self.terms:
            found |= {atom} if isinstance(atom, Dim) else atom.of.dims()
        return found

    @property
    def is_constant(self) -> bool:
        return not self.terms

    @property
    def is_affine(self) -> bool:
        """Whether it is a plain sum of loops."""
        return all(isinstance(atom, Dim) for atom, _ in self.terms)

    def factor(self, dim: Dim) -> int:
        """How far one turn of a loop moves it, for a plain sum."""
        return dict(self.terms).get(dim, 0)


def _bounds(atom: Atom) -> tuple[int, int]:
    if isinstance(atom, Dim):
        return 0, max(0, atom.size - 1)
    low, high = atom.of.bounds()
    if atom.kind in ("%", "in"):
        return 0, atom.divisor - 1
    return low // atom.divisor, high // atom.divisor


def number(value: int) -> Index:
    return Index((), value)


def loop(dim: Dim) -> Index:
    """The position of a loop; a loop of one turn stands at 0."""
    return Index(((dim, 1),), 0) if dim.size != 1 else number(0)


def add(*indices: Index) -> Index:
    """The sum of indices."""
    factors: dict[Atom, int] = {}
    constant = 0
    for index in indices:
        constant += index.constant
        for atom, factor in index.terms:
            factors[atom] = factors.get(atom, 0) + factor
    _rejoin(factors)
    terms = [(atom, factor) for atom, factor in factors.items() if factor]
    if len(terms) > 1:
        terms.sort(key=_order)
    return Index(tuple(terms), constant)


def _rejoin(factors: dict[Atom, int]) -> None:
    """Put an index together again whose quotient and remainder are both there."""
    rests = [atom for atom in factors if isinstance(atom, Part) and atom.kind == "%"]
    for atom in rests:
        whole = Part("//", atom.of, atom.divisor)
        factor = factors[atom]
        if factor and factors.get(whole) == factor * whole.divisor and not whole.of.constant:
            del factors[atom], factors[whole]
            for inner, times in whole.of.terms:
                factors[inner] = factors.get(inner, 0) + factor * times


def _order(term: tuple[Atom, int]) -> tuple[int, int, str]:
    """Loops first, from the outermost inwards."""
    atom = term[0]
    return (0, atom.number, "") if isinstance(atom, Dim) else (1, atom.divisor, repr(atom))


def scale(index: Index, factor: int) -> Index:
    if factor == 0:
        return number(0)
    return Index(tuple((atom, f * factor) for atom, f in index.terms), index.constant * factor)


def shift(index: Index, offset: int) -> Index:
    return index._replace(constant=index.constant + offset)


def _split(index: Index, divisor: int) -> tuple[Index, Index]:
    """An index as divisor * whole + rest, rest >= 0, with what is surely a multiple in `whole`."""
    whole = tuple((atom, f // divisor) for atom, f in index.terms if f % divisor == 0)
    rest = Index(tuple((a, f) for a, f in index.terms if f % divisor), index.constant % divisor)
    low, _ = rest.bounds()
    borrowed = -(low // divisor) if low < 0 else 0
    rest = shift(rest, borrowed * divisor)
    return Index(whole, index.constant // divisor - borrowed), rest


def quotient(index: Index, divisor: int) -> Index:
    """index // divisor, rounded down.

    >>> i, j = loop(Dim(0, 8)), loop(Dim(1, 4))
    >>> quotient(add(scale(i, 4), j), 4) == i
    True
    """
    if divisor == 1:
        return index
    whole, rest = _split(index, divisor)
    low, high = rest.bounds()
    if low >= 0 and high < divisor:
        return whole
    return add(whole, Index(((Part("//", rest, divisor), 1),), 0))


def remainder(index: Index, divisor: int) -> Index:
    """index mod divisor."""
    if divisor == 1:
        return number(0)
    _, rest = _split(index, divisor)
    low, high = rest.bounds()
    if low >= 0 and high < divisor:
        return rest
    return Index(((Part("%", rest, divisor), 1),), 0)


def within(index: Index, size: int) -> Index:
    """An index that is used only where it is from 0 to size - 1, whatever its bounds say.

    >>> i = loop(Dim(0, 10))
    >>> quotient(within(shift(i, -1), 8), 8) == number(0)
    True
    """
    low, high = index.bounds()
    if low >= 0 and high < size:
        return index
    return Index(((Part("in", index, size), 1),), 0) if size > 1 else number(0)


def plain(index: Index) -> Index:
    """The index without what is known about its parts: what is to be computed.

    >>> i = loop(Dim(0, 10))
    >>> plain(add(scale(within(shift(i, -1), 8), 3), number(5))) == add(scale(i, 3), number(2))
    True
    """
    if index.is_affine:
        return index
    found = []
    for atom, factor in index.terms:
        if isinstance(atom, Dim):
            inner = loop(atom)
        elif atom.kind == "in":
            inner = plain(atom.of)
        else:
            inner = Index(((atom._replace(of=plain(atom.of)), 1),), 0)
        found.append(scale(inner, factor))
    return add(number(index.constant), *found)


def flatten(indices: Sequence[Index], shape: Sequence[int]) -> Index:
    """The position in row-major order of an element with these indices."""
    total = number(0)
    step = 1
    for index, size in zip(reversed(indices), reversed(shape), strict=True):
        total = add(total, scale(index, step))
        step *= size
    return total


def unflatten(position: Index, shape: Sequence[int]) -> list[Index]:
    """The indices of the element at a position in row-major order."""
    indices: list[Index] = []
    for axis in range(len(shape) - 1, 0, -1):
        indices.append(remainder(position, shape[axis]))
        position = quotient(position, shape[axis])
    return [*([position] if shape else []), *reversed(indices)]


# --- what a movement primitive says of itself ---------------------------------------------------------


class Along(NamedTuple):
    """Where along one axis of an operand an element of the result stands.

    That is at (start + the sum of step * index) / divisor, rounded down.

    Args:
        steps: axes of the result, each with what one step along it counts.
        guarded: whether that may lie outside of the operand, or between two of its elements; then the element of
            the result is none of them.
    """

    steps: tuple[tuple[int, int], ...] = ()
    start: int = 0
    divisor: int = 1
    guarded: bool = False

    def undivided(self, where: Sequence[Index]) -> Index:
        """start + the sum of step * index.

        >>> i, j = loop(Dim(0, 8)), loop(Dim(1, 4))
        >>> Along(((1, 2), (0, 3)), 5).undivided([i, j]) == shift(add(scale(i, 3), scale(j, 2)), 5)
        True
        """
        scaled = [
            where[axis] if step == 1 else scale(where[axis], step) for axis, step in self.steps
        ]
        return shift(scaled[0] if len(scaled) == 1 else add(*scaled), self.start)

    def at(self, where: Sequence[Index]) -> Index:
        """Where the element at an index of the result stands."""
        return quotient(self.undivided(where), self.divisor)


class Piece(NamedTuple):
    """The elements of a result that are elements of one operand.

    Args:
        axes: where they stand along each axis; None for the same places in row-major order.
    """

    operand: int
    axes: tuple[Along, ...] | None

    @property
    def is_whole(self) -> bool:
        """Whether all elements of the result are in the operand."""
        return self.axes is None or not any(along.guarded for along in self.axes)

    def source(self, where: Sequence[Index], operand: Shape, result: Shape) -> list[Index]:
        """The index in the operand, of which the shape is given, of the element at an index of the result.

        >>> i, j = loop(Dim(0, 8)), loop(Dim(1, 4))
        >>> Piece(0, None).source([i, j], (16, 2), (8, 4)) == [add(scale(i, 2), quotient(j, 2)), remainder(j, 2)]
        True
        """
        if self.axes is None:
            return unflatten(flatten(where, result), operand)
        return [
            number(0) if n == 1 else along.at(where)
            for n, along in zip(operand, self.axes, strict=True)
        ]


class IndexMap(NamedTuple):
    """Where the elements of a result come from: the first piece that has it, or else `fill`.

    Args:
        in_order: whether the pieces stand one behind the other, so that what lies before one is in an earlier one.
    """

    pieces: tuple[Piece, ...]
    fill: bool | int | float = 0
    in_order: bool = False


def straight(rank: int) -> tuple[Along, ...]:
    """Every element where it stands."""
    return tuple([Along(((axis, 1),)) for axis in range(rank)])


def broadcast(where: Sequence[Index], shape: Shape) -> list[Index]:
    """The index in something of a shape that is broadcast."""
    own = where[len(where) - len(shape) :]
    return [number(0) if n == 1 else index for n, index in zip(shape, own, strict=True)]

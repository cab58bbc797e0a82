"""Index comprehensions: a tensor written element by element.

    ts.table(lambda i, j: ts.sum_over(lambda k: a[i, k] * b[k, j]), shape=(n, m))

The function is called once, with *loops* in place of numbers. Arithmetic on loops makes index maps; a tensor
indexed by such maps is an `Element`, which stands for one number in every turn of its loops, and is a view of the
tensor whose axes are those loops. Arithmetic on elements is arithmetic on these views, axes of one loop brought
together; a sum over a loop of a product is a contraction. So nothing is looped over in Python, and what comes out is
made of ordinary operations: it is differentiated, batched and compiled like everything else.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from tessella import dtypes
from tessella.arguments import public, require_function
from tessella.arguments.kinds import Natural, ShapeLike
from tessella.devices.array import check_shape
from tessella.errors import ArgumentError, ArgumentTypeError, IndexingError, ShapeError
from tessella.primitives.elementwise import cast
from tessella.primitives.movement import Slice, expand, permute, reshape
from tessella.primitives.window import Window
from tessella.tensors import statistical
from tessella.tensors.creation import arange, asarray
from tessella.tensors.einsum import diagonal_named_twice, einsum
from tessella.tensors.indexing import take
from tessella.tensors.operands import common_dtype
from tessella.tensors.tensor import Tensor, apply
from tessella.tracebacks import users_frames
from tessella.tracing.lines import user_line


@users_frames
@public
def table(function: Callable[..., Any], shape: ShapeLike) -> Tensor:
    """The tensor whose element at (i, j, ...) is function(i, j, ...).

    The function is called once, with loops for numbers: they index tensors, count with numbers and each other,
    and can be compared; `ts.where` chooses. A tensor's index may be a sum of loops times integers, or anything
    that holds whole numbers.

    Raises:
        IndexingError: an index can leave its axis.
        ArgumentError: the function takes another number of arguments than the shape has.

    >>> import tessella as ts
    >>> a = ts.asarray([[1.0, 2.0], [3.0, 4.0]])
    >>> ts.table(lambda i, j: ts.sum_over(lambda k: a[i, k] * a[k, j]), shape=(2, 2))
    tensor([[ 7., 10.],
            [15., 22.]])
    >>> ts.table(lambda i, j: ts.where(i == j, 1.0, 0.0) + 10 * i, (2, 3))
    tensor([[ 1.,  0.,  0.],
            [10., 11., 10.]])
    """
    sizes = check_shape(shape, "table")
    names = _names(function, len(sizes), "table")
    loops = [Loop(name, size) for name, size in zip(names, sizes, strict=True)]
    found = _element(function(*[Index(((loop, 1),), 0) for loop in loops]), "table")
    strange = [loop.name for loop in found.loops if loop not in loops]
    if strange:
        raise ArgumentError(
            f"{user_line()}: table: the result still depends on the loop {strange[0]!r} of a sum_over (or its "
            "kin) that is over"
        )
    return expand(found.along(loops), sizes)


@public
def sum_over(function: Callable[[Any], Any], size: Natural | None = None) -> Any:
    """The sum of function(k) over a loop k; in `ts.table`, or by itself.

    Args:
        size: how many turns the loop has; if it is left out, as many as the axis that k alone indexes.

    >>> import tessella as ts
    >>> x = ts.asarray([1.0, 2.0, 3.0])
    >>> ts.sum_over(lambda k: x[k] * k)
    tensor(8.)
    """
    return _reduced("sum", function, size)


@public
def mean_over(function: Callable[[Any], Any], size: Natural | None = None) -> Any:
    """The mean of function(k) over a loop k; see `sum_over`."""
    return _reduced("mean", function, size)


@public
def max_over(function: Callable[[Any], Any], size: Natural | None = None) -> Any:
    """The greatest function(k) over a loop k; see `sum_over`."""
    return _reduced("max", function, size)


@public
def min_over(function: Callable[[Any], Any], size: Natural | None = None) -> Any:
    """The least function(k) over a loop k; see `sum_over`."""
    return _reduced("min", function, size)


@public
def prod_over(function: Callable[[Any], Any], size: Natural | None = None) -> Any:
    """The product of function(k) over a loop k; see `sum_over`."""
    return _reduced("prod", function, size)


def _names(function: Any, count: int, name: str) -> list[str]:
    require_function(function, name)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [f"i{k}" for k in range(count)]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return [f"i{k}" for k in range(count)]
    if len(parameters) != count:
        raise ArgumentError(
            f"{name}: the function takes {len(parameters)} arguments, and {count} loops were asked for; "
            "they must be as many"
        )
    return [p.name for p in parameters]


class _UnknownSize(ArgumentError):
    """A loop was used before anybody knew how many turns it has."""


class Loop:
    """A loop: its name, and how many turns it has (None as long as nobody knows).

    While it is *sought*, all that is wanted is an axis that it indexes by itself, which tells its turns.
    """

    __slots__ = ("name", "size", "sought")

    def __init__(self, name: str, size: int | None) -> None:
        self.name, self.size, self.sought = name, size, False

    def turns(self) -> int:
        if self.size is None and not self.sought:
            raise _UnknownSize(
                f"{user_line()}: how many turns the loop {self.name!r} has is not known: it indexes no axis by "
                "itself; pass size="
            )
        return 1 if self.size is None else self.size


def _operator(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda self, other: self._with(other, function)


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Of what stands on the right."""
    return lambda self, other: self._with(other, function, swapped=True)


def _of_itself(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda self: self.__tessella_lift__(function, (self,))


class _Countable:
    """What counts with numbers and elements, element by element."""

    __array_priority__ = 2000

    @staticmethod
    def __tessella_lift__(function: Callable[..., Tensor], operands: Sequence[Any]) -> Element:
        """An operation on tensors, on elements."""
        elements = [x for x in operands if isinstance(x, _Countable)]
        loops = _union([_element(x, "table").loops for x in elements])
        given = [
            _element(x, "table").along(loops) if isinstance(x, _Countable) else x for x in operands
        ]
        return Element.of(function(*given), loops)

    def _with(self, other: Any, function: Callable[[Any, Any], Any], swapped: bool = False) -> Any:
        if not isinstance(other, (_Countable, Tensor, bool, int, float)):
            return NotImplemented
        if isinstance(other, Tensor) and other.ndim:
            raise ShapeError(
                f"{user_line()}: table: an element meets a tensor of shape {other.shape}; index it, so that it is "
                "a single number too"
            )
        pair = (other, self) if swapped else (self, other)
        return self.__tessella_lift__(function, pair)

    __add__, __radd__ = _operator(operator.add), _swapped(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _swapped(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _swapped(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _swapped(operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _swapped(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _swapped(operator.mod)
    __pow__, __rpow__ = _operator(operator.pow), _swapped(operator.pow)
    __and__ = _operator(operator.and_)
    __or__ = _operator(operator.or_)
    __invert__ = _of_itself(operator.invert)
    __neg__ = _of_itself(operator.neg)
    __abs__ = _of_itself(operator.abs)
    __lt__ = _operator(operator.lt)
    __le__ = _operator(operator.le)
    __gt__ = _operator(operator.gt)
    __ge__ = _operator(operator.ge)
    __eq__ = _operator(operator.eq)
    __ne__ = _operator(operator.ne)
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ArgumentTypeError(
            f"{user_line()}: table: the truth of an element is asked for (by an `if`, `and`, `or` or `not`), which "
            "differs from turn to turn; use ts.where, & and |"
        )

    @staticmethod
    def __tessella_read__(x: Tensor, key: Any) -> Element:
        """x[key], with loops among the key."""
        return _read(x, key if isinstance(key, tuple) else (key,))


class Index(_Countable):
    """A whole number that goes with loops: constant + the sum of factor * loop."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: tuple[tuple[Loop, int], ...], constant: int) -> None:
        self.terms, self.constant = terms, constant

    def __add__(self, other: Any) -> Any:
        if isinstance(other, int) and not isinstance(other, bool):
            return Index(self.terms, self.constant + other)
        if isinstance(other, Index):
            factors: dict[Loop, int] = {}
            for loop, factor in (*self.terms, *other.terms):
                factors[loop] = factors.get(loop, 0) + factor
            terms = tuple((loop, factor) for loop, factor in factors.items() if factor)
            return Index(terms, self.constant + other.constant)
        return super().__add__(other)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other if isinstance(other, (int, Index)) else super().__sub__(other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other if isinstance(other, (int, Index)) else super().__rsub__(other)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and not isinstance(other, bool):
            if other == 0:
                return Index((), 0)
            return Index(tuple((loop, f * other) for loop, f in self.terms), self.constant * other)
        return super().__mul__(other)

    __rmul__ = __mul__

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value."""
        low = high = self.constant
        for loop, factor in self.terms:
            last = factor * (loop.turns() - 1)
            low, high = low + min(0, last), high + max(0, last)
        return low, high

    def element(self) -> Element:
        """The number itself."""
        loops = [loop for loop, _ in self.terms]
        total: Any = asarray(self.constant)
        for place, (loop, factor) in enumerate(self.terms):
            shape = tuple(loop.turns() if k == place else 1 for k in range(len(loops)))
            total = total + (arange(loop.turns()) * factor).reshape(shape)
        return Element.of(expand(total, tuple(loop.turns() for loop in loops)), loops)


class Element(_Countable):
    """One number for every turn of some loops: a product of tensors, whose axes are loops."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[tuple[Tensor, tuple[Loop, ...]]]) -> None:
        self.parts = tuple(parts)

    @staticmethod
    def of(tensor: Tensor, loops: Sequence[Loop]) -> Element:
        return Element([(tensor, tuple(loops))])

    @property
    def loops(self) -> list[Loop]:
        return _union([loops for _, loops in self.parts])

    def along(self, loops: Sequence[Loop]) -> Tensor:
        """The tensor whose axes are these loops, of size 1 where it does not depend on one."""
        total: Any = None
        for tensor, own in self.parts:
            wanted = [loop for loop in loops if loop in own]
            order = tuple(own.index(loop) for loop in wanted)
            x = permute(tensor, order) if order != tuple(range(len(order))) else tensor
            x = reshape(x, tuple(loop.turns() if loop in own else 1 for loop in loops))
            total = x if total is None else total * x
        return total

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Element) and not self._is_bool() and not other._is_bool():
            return Element([*self.parts, *other.parts])
        return super().__mul__(other)

    def _is_bool(self) -> bool:
        return any(x.dtype.is_bool for x, _ in self.parts)

    @property
    def dtype(self) -> Any:
        return dtypes.promote(*[x.dtype for x, _ in self.parts])

    def astype(self, dtype: Any) -> Element:
        """The same number in another dtype."""
        return self.__tessella_lift__(lambda x: x.astype(dtype), (self,))


def _union(groups: Sequence[Sequence[Loop]]) -> list[Loop]:
    return list(dict.fromkeys(loop for group in groups for loop in group))


def _element(value: Any, name: str) -> Element:
    if isinstance(value, Element):
        return value
    if isinstance(value, Index):
        return value.element()
    if isinstance(value, (bool, int, float)):
        return Element.of(asarray(value), ())
    if isinstance(value, Tensor) and value.ndim == 0:
        return Element.of(value, ())
    shown = (
        f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
    )
    raise ArgumentTypeError(
        f"{user_line()}: {name}: the function gave {shown}; expected a single number, such as a[i, j]"
    )


def _reduced(kind: str, function: Callable[[Any], Any], size: int | None) -> Any:
    name = f"{kind}_over"
    (parameter,) = _names(function, 1, name)
    loop = Loop(parameter, size)
    index = Index(((loop, 1),), 0)
    try:
        found = _element(function(index), name)
    except _UnknownSize:
        if loop.size is not None:
            raise
        loop.sought = True
        function(index)
        loop.sought = False
        found = _element(function(index), name)
    turns = loop.turns()
    with_loop = [part for part in found.parts if loop in part[1]]
    without = [part for part in found.parts if loop not in part[1]]
    if kind == "sum" and with_loop:
        parts = [_contracted(with_loop, loop), *without]
    else:
        kept = [other for other in found.loops if other is not loop]
        if with_loop or not turns or not found.dtype.is_float:
            whole = found.along([*kept, loop])
            whole = expand(whole, (*whole.shape[:-1], turns))
            one = getattr(statistical, kind)(whole, axis=-1)
        else:
            one = _repeated(kind, found.along(kept), turns)
        parts = [(one, tuple(kept))]
    result = Element(parts)
    return result if result.loops else result.along([])


def _repeated(kind: str, x: Tensor, turns: int) -> Tensor:
    """What is the same at every turn of a loop, which then takes none."""
    if kind == "prod":  # in float64, which tells odd numbers of turns from even ones
        return (x.astype(dtypes.float64) ** turns).astype(x.dtype)
    return x * turns if kind == "sum" else x


def _contracted(
    parts: Sequence[tuple[Tensor, tuple[Loop, ...]]], loop: Loop
) -> tuple[Tensor, tuple[Loop, ...]]:
    """The sum over a loop of a product of tensors."""
    kept = [other for other in _union([loops for _, loops in parts]) if other is not loop]
    letters = {other: chr(ord("a") + k) for k, other in enumerate([*kept, loop])}
    common = common_dtype("multiply", *[x for x, _ in parts])
    terms = ["".join(letters[other] for other in loops) for _, loops in parts]
    result = "".join(letters[other] for other in kept)
    operands = [cast(x, dtypes.DEFAULT_INT if common.is_bool else common) for x, _ in parts]
    return einsum(f"{','.join(terms)}->{result}", *operands), tuple(kept)


# --- reading ------------------------------------------------------------------------------------------


def _read(x: Tensor, key: tuple[Any, ...]) -> Element:
    """An element of a tensor: a view of it, whose axes are the loops of the key."""
    if len(key) != x.ndim:
        raise IndexingError(
            f"{user_line()}: table: a tensor of shape {x.shape} is given {len(key)} indices; an element needs "
            f"one for each of its {x.ndim} axes"
        )
    for axis, entry in enumerate(key):
        if (
            isinstance(entry, Index)
            and len(entry.terms) == 1
            and entry.terms[0] == (entry.terms[0][0], 1)
        ):
            loop = entry.terms[0][0]
            if loop.size is None and entry.constant == 0:
                loop.size = x.shape[axis]
    if any(_is_sought(entry) for entry in key):
        return Element.of(asarray(1, dtype=x.dtype), ())
    entries = [_checked(entry, x, axis) for axis, entry in enumerate(key)]
    if any(isinstance(entry, Element) for entry in entries) or any(
        isinstance(entry, Index) and len(entry.terms) > 2 for entry in entries
    ):
        return _gathered(x, entries)
    loops: list[Loop] = []
    for entry in reversed(entries):  # the axes that are done with go to the end
        x, own = _taken(x, entry, x.ndim - 1 - len(loops))
        loops = [*own, *loops]
    for loop in _union([loops]):
        while loops.count(loop) > 1:
            x, loops = _joined(x, loops, loop)
    return Element.of(x, loops)


def _is_sought(entry: Any) -> bool:
    """Whether an index goes with a loop whose turns are only sought yet: then any number will do."""
    loops = entry.loops if isinstance(entry, Element) else []
    loops = [loop for loop, _ in entry.terms] if isinstance(entry, Index) else loops
    return any(loop.sought for loop in loops)


def _checked(entry: Any, x: Tensor, axis: int) -> Any:
    """An entry of a key as an index that cannot leave its axis; or an element, that is looked at later."""
    if isinstance(entry, bool) or not isinstance(entry, (int, Index, Element, Tensor)):
        raise ArgumentTypeError(
            f"{user_line()}: table: an index is a {type(entry).__name__}; expected integers, loops and sums of "
            "them, or elements of integers"
        )
    if isinstance(entry, Tensor):
        entry = _element(entry, "table")
    if isinstance(entry, Element):
        if not entry.dtype.is_integer:
            raise IndexingError(
                f"{user_line()}: table: an index is of {entry.dtype.name}; expected integers"
            )
        return entry
    size = x.shape[axis]
    index = (
        Index((), entry % size if -size <= entry < 0 else entry)
        if isinstance(entry, int)
        else entry
    )
    if any(loop.turns() == 0 for loop, _ in index.terms):
        return index
    low, high = index.bounds()
    if low < 0 or high >= size:
        raise IndexingError(
            f"{user_line()}: table: an index of axis {axis} goes from {low} to {high}, and the axis has {size} "
            "places; give the loop another size, or choose with ts.where and an index that stays inside "
            "(ts.clip)"
        )
    return index


def _taken(x: Tensor, index: Index, axis: int) -> tuple[Tensor, list[Loop]]:
    """One axis along an index: dropped, walked by a loop, or by two (a window)."""
    starts, sizes, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    if not index.terms:
        starts[axis], sizes[axis] = index.constant, 1
        one = apply(Slice(tuple(starts), tuple(sizes), tuple(steps)), (x,))
        return reshape(one, (*x.shape[:axis], *x.shape[axis + 1 :])), []
    if len(index.terms) == 1:
        ((loop, factor),) = index.terms
        if factor == 1 and loop.turns() == x.shape[axis]:
            return x, [loop]
        starts[axis] = index.constant if loop.turns() else 0
        sizes[axis], steps[axis] = loop.turns(), factor
        return apply(Slice(tuple(starts), tuple(sizes), tuple(steps)), (x,)), [loop]
    (first, step), (second, gap) = index.terms
    if step < 0 or gap < 0 or 0 in (first.turns(), second.turns()):
        return _by_places(x, index, axis)
    low, high = index.bounds()
    starts[axis], sizes[axis] = low, high - low + 1
    part = apply(Slice(tuple(starts), tuple(sizes), tuple(steps)), (x,))
    rest = [k for k in range(x.ndim) if k != axis]
    last = permute(part, (*rest, axis))
    windows = apply(Window((second.turns(),), (step,), (gap,)), (last,))
    order = (*range(axis), x.ndim - 1, x.ndim, *range(axis, x.ndim - 1))
    return permute(windows, order), [first, second]


def _by_places(x: Tensor, index: Index, axis: int) -> tuple[Tensor, list[Loop]]:
    places = index.element()
    flat = places.along(places.loops)
    found = take(x, flat.reshape((flat.size,)), axis=axis)
    return reshape(found, (*x.shape[:axis], *flat.shape, *x.shape[axis + 1 :])), places.loops


def _joined(x: Tensor, loops: list[Loop], loop: Loop) -> tuple[Tensor, list[Loop]]:
    """Two axes of one loop as one: the diagonal."""
    letters = "".join(chr(ord("a") + k) for k in range(len(loops)))
    first, second = [k for k, other in enumerate(loops) if other is loop][:2]
    names, found = diagonal_named_twice(letters, x, first, second)
    return found, [loops[ord(c) - ord("a")] for c in names]


def _gathered(x: Tensor, entries: Sequence[Any]) -> Element:
    """Elements at places that only the data tell."""
    elements = [_element(entry, "table") for entry in entries]
    loops = _union([e.loops for e in elements])
    shape = tuple(loop.turns() for loop in loops)
    places = tuple(expand(e.along(loops), shape) for e in elements)
    return Element.of(x[places], loops)

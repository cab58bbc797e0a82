"""`einsum`: products, sums and transposes, written as Einstein wrote them.

The order in which operands meet is chosen by `opt_einsum`; each meeting is one contraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.primitives.base import sum_over
from tessella.primitives.contraction import Contraction
from tessella.primitives.elementwise import cast
from tessella.primitives.movement import Slice, permute, reshape
from tessella.tensors.operands import common_dtype
from tessella.tensors.tensor import Tensor, apply

Term = tuple[str, Tensor]  # the label of each axis, and the operand


@public
def einsum(equation: str, *operands: Tensor, optimize: Any = "auto") -> Tensor:
    """The sum over all labels that the result does not have, of the product of the operands.

    Args:
        equation: labels of the axes of each operand, and of the result: `"ij,jk->ik"`. `...` stands for any
            number of axes, which broadcast. Without `->` the result has the labels that occur once, in the
            order of the alphabet.
        optimize: how `opt_einsum` chooses the order: "auto", "optimal", "greedy", ..., or False for left to
            right.

    Shapes: axes with one label are of one size, or of size 1.
    Dtypes: promoted together, and no wider; half precision is accumulated in float32.

    Raises:
        ArgumentError: the equation makes no sense, or is for another number of operands.
        ShapeError: a label stands for two sizes, or an operand has another number of axes.

    Source: Smith & Gray, *opt_einsum* (2018).

    >>> import tessella as ts
    >>> a = ts.asarray([[1.0, 2.0], [3.0, 4.0]])
    >>> ts.einsum("ij,jk->ik", a, a)
    tensor([[ 7., 10.],
            [15., 22.]])
    >>> ts.einsum("ii", a), ts.einsum("...j->...", a)
    (tensor(5.), tensor([3., 7.]))
    """
    labels, result = _parsed(equation, [x.ndim for x in operands])
    common = common_dtype("einsum", *operands)
    terms = [(names, cast(x, common)) for names, x in zip(labels, operands, strict=True)]
    sizes = _sizes(equation, terms)
    terms = [_simple(names, x, sizes) for names, x in terms]
    for label in result:
        if label not in sizes:
            raise ArgumentError(
                f"einsum: {equation!r}: the result has the label {label!r}, and no operand has it"
            )
    for places in _path(terms, result, sizes, optimize):
        chosen = [terms[place] for place in places]
        terms = [term for i, term in enumerate(terms) if i not in places]
        wanted = set(result).union(*[set(names) for names, _ in terms])
        found = chosen[0]
        for number, other in enumerate(chosen[1:], start=2):
            later = set().union(*[set(names) for names, _ in chosen[number:]])
            found = _product(found, other, wanted | later)
        terms.append(_summed(found, wanted))
    (term,) = terms
    names, x = _summed(term, set(result))
    order = tuple(names.index(label) for label in result)
    return permute(x, order) if order != tuple(range(len(order))) else x


def _parsed(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The labels of the operands and of the result; those of `...` are made up."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ArgumentError(
            f"einsum: {equation!r} is for {len(parts)} operands, and {len(ranks)} were given; give them one by one: "
            "ts.einsum(equation, x, y)"
        )
    letters = set(left + right) - {",", "."}
    wrong = sorted(letter for letter in letters if not letter.isalpha())
    if wrong or any("." in part.replace("...", "", 1) for part in [*parts, right]):
        raise ArgumentError(
            f"einsum: {equation!r}: labels are letters, and ... may stand once in each part"
        )
    longest = max(
        (rank - len(part) + 3 for part, rank in zip(parts, ranks, strict=True) if "..." in part),
        default=0,
    )
    free = [chr(code) for code in range(0x3B1, 0x3B1 + 64) if chr(code) not in letters]
    dots = free[:longest]
    found = []
    for part, rank in zip(parts, ranks, strict=True):
        here = rank - len(part) + 3 if "..." in part else 0
        own = part.replace("...", "".join(dots[longest - here :])) if here >= 0 else part
        if len(own.replace("...", "")) != rank or here < 0:
            raise ShapeError(
                f"einsum: {equation!r}: the part {part!r} is for {len(part.replace('...', ''))} axes"
                f"{' or more' if '...' in part else ''}, and its operand has {rank}"
            )
        found.append(own)
    if arrow:
        result = right.replace("...", "".join(dots))
        if len(set(result)) != len(result):
            raise ArgumentError(f"einsum: {equation!r}: the result names an axis twice")
        return found, result
    every = "".join(found)
    once = sorted(c for c in letters if every.count(c) == 1)
    return found, "".join(dots) + "".join(once)


def _sizes(equation: str, terms: Sequence[Term]) -> dict[str, int]:
    """What each label stands for; axes of size 1 broadcast."""
    sizes: dict[str, int] = {}
    for names, x in terms:
        for label, size in zip(names, x.shape, strict=True):
            known = sizes.get(label, 1)
            if 1 not in (known, size) and known != size:
                raise ShapeError(
                    f"einsum: {equation!r}: the label {label!r} stands for {known} and for {size}; they must "
                    "be equal (or 1)"
                )
            sizes[label] = size if known == 1 else known
    return sizes


def _simple(names: str, x: Tensor, sizes: dict[str, int]) -> Term:
    """An operand without axes that are repeated in it, or broadcast."""
    for label in sorted({c for c in names if names.count(c) > 1}):
        first, second = [i for i, c in enumerate(names) if c == label][:2]
        names, x = diagonal_named_twice(names, x, first, second)
        return _simple(names, x, sizes)
    kept = [i for i, label in enumerate(names) if x.shape[i] == sizes[label]]
    if len(kept) == len(names):
        return names, x
    return "".join(names[i] for i in kept), reshape(x, tuple(x.shape[i] for i in kept))


def diagonal_named_twice(names: str, x: Tensor, first: int, second: int) -> Term:
    """Two axes as one, along the elements where their indices are equal."""
    n, m = x.shape[first], x.shape[second]
    rest = [i for i in range(x.ndim) if i not in (first, second)]
    x = permute(x, (*rest, first, second))
    kept = tuple(x.shape[:-2])
    if n != m:  # one of them is 1, and broadcasts
        return "".join(names[i] for i in rest) + names[first], reshape(x, (*kept, max(n, m)))
    flat = reshape(x, (*kept, n * m))
    starts, steps = (0,) * len(rest), (1,) * len(rest)
    diagonal = Slice((*starts, 0), (*kept, n), (*steps, n + 1))(flat)
    return "".join(names[i] for i in rest) + names[first], diagonal


def _summed(term: Term, wanted: set[str]) -> Term:
    """An operand without the axes that nobody wants."""
    names, x = term
    axes = tuple(i for i, label in enumerate(names) if label not in wanted)
    return "".join(c for c in names if c in wanted), cast(sum_over(x, axes), x.dtype)


def _product(a: Term, b: Term, wanted: set[str]) -> Term:
    """Two operands as one."""
    a = _summed(a, wanted | set(b[0]))
    b = _summed(b, wanted | set(a[0]))
    (left, x), (right, y) = a, b
    shared = [c for c in left if c in right]
    batch = [c for c in shared if c in wanted]
    result = [
        *batch, *[c for c in left if c not in shared], *[c for c in right if c not in shared]
    ]  # fmt: skip
    numbers = {label: i for i, label in enumerate(dict.fromkeys(left + right))}
    if x.dtype.is_bool:
        raise ArgumentTypeError("einsum: bool has no sums of products; use astype")
    primitive = Contraction(
        tuple(numbers[c] for c in left),
        tuple(numbers[c] for c in right),
        tuple(numbers[c] for c in result),
    )
    product: Tensor = apply(primitive, (x, y))
    return "".join(result), product


def _path(
    terms: Sequence[Term], result: str, sizes: dict[str, int], optimize: Any
) -> list[tuple[int, ...]]:
    """Which operands meet, one pair after the other."""
    if len(terms) < 3 or optimize is False:
        return [tuple(range(len(terms)))]
    import opt_einsum

    inputs = [frozenset(names) for names, _ in terms]
    kind = "auto" if optimize is True else optimize
    try:
        choose = opt_einsum.paths.get_path_fn(kind) if isinstance(kind, str) else kind
    except KeyError:
        raise ArgumentError(
            f"einsum: optimize is {shown(optimize)}; expected 'auto', 'optimal', 'greedy', ... or False"
        ) from None
    return list(choose(inputs, frozenset(result), sizes, None))

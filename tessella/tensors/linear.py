"""Linear algebra: products are contractions; decompositions are NumPy's."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.errors import ArgumentError, AxisError, ShapeError
from tessella.primitives.base import broadcast_shapes, normalise_axis
from tessella.primitives.contraction import Contraction, matmul_labels, promote_pair
from tessella.primitives.movement import expand
from tessella.tensors.manipulation import permute_dims, reshape
from tessella.tensors.tensor import Tensor, apply


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product; axes before the last two are batches and broadcast.

    Shapes: (..., m, k) @ (..., k, n) -> (..., m, n); a vector is a row on the left, a column on
        the right.
    Dtypes: promoted; half precision is accumulated in float32.

    Raises:
        ShapeError: the inner sizes differ.

    >>> import tessella as ts
    >>> ts.matmul(ts.asarray([[1.0, 2.0]]), ts.asarray([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if x1.ndim == 0 or x2.ndim == 0:
        raise ShapeError(f"matmul: {x1.shape} @ {x2.shape}: a number has no inner axis; use *")
    inner = (x1.shape[-1], x2.shape[-2] if x2.ndim > 1 else x2.shape[0])
    if inner[0] != inner[1]:
        raise ShapeError(
            f"matmul: inner sizes differ: {x1.shape} @ {x2.shape}; the {inner[0]} and the "
            f"{inner[1]} must be equal"
        )
    x1, x2 = promote_pair(x1, x2)
    batches = x1.shape[:-2], x2.shape[:-2]
    if x1.ndim > 2 and x2.ndim == 2:  # one matrix for all: its rows are the batch's
        rows = reshape(x1, (-1, x1.shape[-1])) if x1.size else None
        if rows is not None:
            return reshape(matmul(rows, x2), (*x1.shape[:-1], x2.shape[-1]))
    if batches[0] != batches[1]:
        common = broadcast_shapes(batches, "matmul")
        x1 = expand(x1, (*common, *x1.shape[-2:])) if x1.ndim > 1 else x1
        x2 = expand(x2, (*common, *x2.shape[-2:])) if x2.ndim > 1 else x2
    return apply(matmul_labels(x1.ndim, x2.ndim), (x1, x2))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """Every matrix (the last two axes) transposed."""
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: shape {x.shape} holds no matrix; two axes are needed")
    order = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return permute_dims(x, order)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The dot product along an axis, the others broadcast."""
    x1, x2 = promote_pair(x1, x2)
    return (x1 * x2).sum(axis=axis)


def tensordot(
    x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Tensor:
    """Products summed over axes: the last `axes` of x1 with the first of x2, or named pairs."""
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise AxisError(
                f"tensordot: axes is {axes}, the tensors have {x1.ndim} and {x2.ndim} axes"
            )
        pairs = (tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes)))
    else:
        pairs = (
            tuple(normalise_axis(a, x1.ndim, "tensordot") for a in axes[0]),
            tuple(normalise_axis(a, x2.ndim, "tensordot") for a in axes[1]),
        )
    left = list(range(x1.ndim))
    right = list(range(x1.ndim, x1.ndim + x2.ndim))
    for a, b in zip(*pairs, strict=True):
        right[b] = left[a]
    output = [label for label in left + right if (label in left) != (label in right)]
    x1, x2 = promote_pair(x1, x2)
    return apply(Contraction(tuple(left), tuple(right), tuple(output)), (x1, x2))


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Every product of an element of x1 with one of x2."""
    return tensordot(reshape(x1, (x1.size,)), reshape(x2, (x2.size,)), axes=0)


def einsum(subscripts: str, /, *operands: Tensor) -> Tensor:
    """Products summed over the letters that the result lacks.

    >>> import tessella as ts
    >>> ts.einsum("ij,jk->ik", ts.ones((2, 3)), ts.ones((3, 4))).shape
    (2, 4)
    """
    inputs, output = _subscripts(subscripts, operands)
    terms = list(zip(inputs, operands, strict=True))
    terms = [_diagonal(labels, x) for labels, x in terms]
    while len(terms) > 1:
        (a, x), (b, y) = terms.pop(0), terms.pop(0)
        later = set(output).union(*(labels for labels, _ in terms))
        kept = "".join(dict.fromkeys(letter for letter in a + b if letter in later))
        x, y = promote_pair(x, y)
        label = {letter: i for i, letter in enumerate(dict.fromkeys(a + b))}
        one, two, three = (tuple(label[letter] for letter in word) for word in (a, b, kept))
        terms.insert(0, (kept, apply(Contraction(one, two, three), (x, y))))
    labels, x = terms[0]
    gone = tuple(i for i, letter in enumerate(labels) if letter not in output)
    x = x.sum(axis=gone) if gone else x
    left = [letter for letter in labels if letter in output]
    return permute_dims(x, [left.index(letter) for letter in output])


def _subscripts(text: str, operands: Sequence[Tensor]) -> tuple[list[str], str]:
    left, arrow, output = text.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ArgumentError(
            f"einsum: {text!r} names {len(inputs)} operands, {len(operands)} were given"
        )
    if "." in text:
        inputs, output = _without_dots(inputs, output if arrow else None, operands)
    elif not arrow:
        joined = "".join(inputs)
        output = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    for word, x in zip(inputs, operands, strict=True):
        if len(word) != x.ndim:
            raise ShapeError(f"einsum: {word!r} names {len(word)} axes, the operand has {x.ndim}")
    unknown = set(output) - set("".join(inputs))
    if unknown or len(set(output)) != len(output):
        raise ArgumentError(
            f"einsum: the result {output!r} must name each letter of the inputs once"
        )
    return inputs, output


def _without_dots(
    inputs: list[str], output: str | None, operands: Sequence[Tensor]
) -> tuple[list[str], str]:
    """Name the axes that `...` stands for."""
    used = set("".join(inputs)) | set(output or "")
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in used]
    counts = [
        x.ndim - len(word.replace("...", "")) if "..." in word else 0
        for word, x in zip(inputs, operands, strict=True)
    ]
    most = max(counts)
    names = "".join(reversed(spare[:most]))
    plain = [
        word.replace("...", names[most - count :])
        for word, count in zip(inputs, counts, strict=True)
    ]
    if output is None:
        joined = "".join(word.replace("...", "") for word in inputs)
        output = names + "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    return plain, output.replace("...", names)


def _diagonal(labels: str, x: Tensor) -> tuple[str, Tensor]:
    """A letter that an operand names twice: its diagonal."""
    from tessella.tensors.creation import arange
    from tessella.tensors.indexing import get_item

    for letter in labels:
        while labels.count(letter) > 1:
            a = labels.index(letter)
            b = labels.index(letter, a + 1)
            if x.shape[a] != x.shape[b]:
                raise ShapeError(f"einsum: {letter!r} has the sizes {x.shape[a]} and {x.shape[b]}")
            order = [a, b, *(i for i in range(x.ndim) if i not in (a, b))]
            index = arange(x.shape[a])
            x = get_item(permute_dims(x, order), (index, index))
            labels = letter + "".join(c for i, c in enumerate(labels) if i not in (a, b))
    return labels, x


__all__ = ["einsum", "matmul", "matrix_transpose", "outer", "tensordot", "vecdot"]

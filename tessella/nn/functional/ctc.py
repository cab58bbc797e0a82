"""Connectionist temporal classification: the likelihood of labels whose places in a sequence nobody has written down."""

from __future__ import annotations

import math
from typing import Any

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Reduction, shown
from tessella.dtypes import DType
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.nn.functional.loops import Loop
from tessella.nn.functional.reductions import reduced
from tessella.primitives.indexing import InRange, Lengths, Limits
from tessella.scalar.function import ScalarFunction
from tessella.tensors.creation import arange, full
from tessella.tensors.elementwise import exp, maximum, where, zip_with
from tessella.tensors.indexing import get_item, take_along_axis
from tessella.tensors.manipulation import broadcast_to, concat, expand_dims, reshape, stack
from tessella.tensors.statistical import cumulative_sum, logsumexp, narrowed, widened
from tessella.tensors.tensor import Tensor, apply, is_traced
from tessella.transforms.at_once import at_once
from tessella.transforms.control import scan


def _total(x: float, y: float, z: float) -> tuple[float, float]:
    """The largest of three logarithms (0 for -inf, from which nothing can be taken), and the sum of e^(each - it)."""
    most = max(max(x, y), z)
    most = most if most > -math.inf else 0.0
    return most, math.exp(x - most) + math.exp(y - most) + math.exp(z - most)


def _log_of_sum(x: float, y: float, z: float) -> float:
    """The largest is taken out, so that two exponentials are left; a NaN among the three is in one of the terms."""
    upper, lower = (y if y > x else x), (x if y > x else y)
    most, middle = (z if z > upper else upper), (upper if z > upper else z)
    from_it = most if most > -math.inf else 0.0
    return most + math.log(1.0 + math.exp(lower - from_it) + math.exp(middle - from_it))


def _share(x: float, y: float, z: float) -> float:
    """Of the first one in the sum: 0 if all are -inf."""
    most, total = _total(x, y, z)
    return math.exp(x - most) / (total if total > 0.0 else 1.0)


_any_of_three = zip_with(
    ScalarFunction(
        _log_of_sum, "any_of_three",
        derivatives=(_share, lambda x, y, z: _share(y, x, z), lambda x, y, z: _share(z, x, y)),
    )
)  # fmt: skip


@public
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor,
    blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Minus the logarithm of the probability of labels, summed over all alignments with the input.

    An alignment has one class at each time step; the labels are what is left of it when repeated classes become one
    and blanks are taken out. Labels that have no alignment, because the input is too short, have the loss inf, and
    no gradient.

    Shapes: (T, N, C), (N, S) or all targets one after the other (sum of lengths,), (N,), (N,) -> (N,); or (T, C), (S,),
    () or (1,), () or (1,) -> (). What lies beyond the lengths does not count.

    Args:
        log_probs: logarithms of the probabilities of the classes at each time step, as `log_softmax` gives them.
        blank: the class that stands for no label.
        reduction: 'mean' divides each loss by the number of its labels (at least 1) first.
        zero_infinity: whether losses of inf count as 0.

    Raises:
        ShapeError, DTypeError: of an argument.
        ArgumentError: there is no class `blank`.
        IndexingError: there is no such class, or a length is out of range; in compiled functions too.

    Source: Graves, Fernandez, Gomez & Schmidhuber, *Connectionist temporal classification* (2006).

    >>> import tessella as ts
    >>> even = ts.log(ts.full((2, 2), 0.5))  # two steps, a blank and one label
    >>> ctc_loss(even, ts.asarray([1]), [2], [1]).exp() ** -1
    tensor(0.75)
    """
    if log_probs.ndim not in (2, 3):
        raise ShapeError(
            f"ctc_loss: log_probs has shape {log_probs.shape}; expected (T, N, C) or (T, C)"
        )
    steps, classes = log_probs.shape[0], log_probs.shape[-1]
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank is {shown(blank)}; expected 0 to {classes - 1}")
    is_single = log_probs.ndim == 2
    logs = widened(expand_dims(log_probs, axis=1) if is_single else log_probs)  # (T, N, C)
    count = logs.shape[1]
    inputs = _lengths(input_lengths, count, "input_lengths", steps)
    labels, lengths = _labels(targets, target_lengths, count, classes, is_single)
    loss = _losses(logs, inputs, labels, lengths, blank, zero_infinity)
    if reduction == "mean":
        loss = loss / maximum(lengths, 1).astype(loss.dtype)
    loss = reshape(loss, ()) if is_single else loss
    return narrowed(reduced(loss, reduction), log_probs)


@at_once
def _losses(
    logs: Tensor, inputs: Tensor, labels: Tensor, lengths: Tensor, blank: int, zero_infinity: bool
) -> Tensor:
    """The loss of each example."""
    loss = 0.0 - _likelihood(logs, inputs, labels, lengths, blank)
    return where(loss == math.inf, 0.0, loss) if zero_infinity else loss


def _likelihood(
    logs: Tensor, inputs: Tensor, labels: Tensor, lengths: Tensor, blank: int
) -> Tensor:
    """The logarithm of the probability of the labels of each example, whose states are: a blank, the first label, a
    blank, the second label, ..., a blank.

    Shapes: (T, N, C), (N,), (N, S), (N,) -> (N,).
    """
    count = logs.shape[1]
    blanks = full((count, 1), blank, dtype=labels.dtype)
    pairs = stack([labels, broadcast_to(blanks, labels.shape)], axis=-1)
    states = concat([blanks, reshape(pairs, (count, 2 * labels.shape[1]))], axis=1)  # (N, L)
    number = states.shape[1]
    told = take_along_axis(logs, expand_dims(states, axis=0), axis=2)  # (T, N, L)
    unlike = states[:, 2:] != states[:, : max(number - 2, 0)]  # no blank is needed between the two
    may_skip = concat([full((count, min(2, number)), False), unlike], axis=1)
    last, place = 2 * expand_dims(lengths, axis=1), arange(number)
    is_end = (place == last) | (place == last - 1)
    found: Tensor = _alignments(told, expand_dims(inputs, axis=1), may_skip, is_end)
    return found


def _forward(told: Tensor, inputs: Tensor, may_skip: Tensor, is_end: Tensor) -> Any:
    """The likelihood, by going through the states from the first step to the last, and what the gradient needs.

    Shapes: (T, N, L), (N, 1), (N, L), (N, L) -> (N,).
    Source: Graves et al. (2006), eq. 5 to 8, with logarithms.
    """
    steps, count, number = told.shape
    nothing = _nothing(told, 2)

    def turn(alpha: Tensor, at: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        here, step = at
        before = concat([nothing, alpha], axis=1)
        skipped = where(may_skip, before[:, :number], -math.inf)
        found = _any_of_three(alpha, before[:, 1 : number + 1], skipped) + here
        alpha = where(step < inputs, found, alpha)
        return alpha, alpha

    start = broadcast_to(_at(arange(number) == 0, told.dtype), (count, number))
    alpha, every = scan(turn, start, (told, arange(steps)))
    found = logsumexp(where(is_end, alpha, -math.inf), axis=1)
    return found, (every, found, told, inputs, may_skip, is_end)


def _backward(kept: Any, cotangent: Tensor) -> Any:
    """The gradient by `told`: how likely each state is at each step, by going from the last step to the first.

    Source: Graves et al. (2006), eq. 9 to 14, with logarithms.
    """
    alpha, found, told, inputs, may_skip, is_end = kept
    steps, count, number = told.shape
    nothing = _nothing(told, 2)
    may_be_skipped = concat([may_skip[:, 2:], full((count, min(2, number)), False)], axis=1)
    ends = _at(is_end, told.dtype)

    def turn(later: Tensor, at: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        here, step = at
        after = concat([later, nothing], axis=1)
        skipped = where(may_be_skipped, after[:, 2:], -math.inf)
        beta = _any_of_three(later, after[:, 1 : number + 1], skipped)
        beta = where(step == inputs - 1, ends, beta)
        return beta + here, beta

    _, beta = scan(turn, _nothing(told, number), (told, arange(steps)), reverse=True)
    whole = expand_dims(where(found > -math.inf, found, math.inf), axis=1)
    return expand_dims(cotangent, axis=1) * exp(alpha + beta - whole), None, None, None


_alignments = Loop("ctc_loss", _forward, _backward)


def _nothing(like: Tensor, number: int) -> Tensor:
    return full((like.shape[1], number), -math.inf, dtype=like.dtype)


def _at(chosen: Tensor, dtype: DType) -> Tensor:
    """Logarithms of probabilities: 1 where something is, 0 elsewhere."""
    return where(chosen, 0.0, -math.inf).astype(dtype)


def _labels(
    targets: Tensor, target_lengths: Tensor, count: int, classes: int, is_single: bool
) -> tuple[Tensor, Tensor]:
    """The labels of each example and how many they are: (N, S), with zeros beyond their ends, and (N,)."""
    if not targets.dtype.is_integer:
        raise DTypeError(
            f"ctc_loss: targets are {targets.dtype.name}; class numbers are integers: targets.astype(ts.int64)"
        )
    if is_single and targets.ndim == 1:
        targets = expand_dims(targets, axis=0)
    if targets.ndim == 1:
        lengths = _lengths(target_lengths, count, "target_lengths", targets.size)
        targets = _side_by_side(targets, lengths)
    elif targets.ndim == 2 and targets.shape[0] == count:
        lengths = _lengths(target_lengths, count, "target_lengths", targets.shape[1])
    else:
        raise ShapeError(
            f"ctc_loss: targets have shape {targets.shape}; expected ({count}, S), or one axis with all of them"
        )
    counts = arange(targets.shape[1]) < expand_dims(lengths, axis=1)
    checked = apply(InRange(Limits(classes, purpose="ctc_loss")), (where(counts, targets, 0),))
    return checked.astype(dtypes.int64), lengths


def _side_by_side(targets: Tensor, lengths: Tensor) -> Tensor:
    """Targets that stand one after the other: (sum of lengths,) -> (N, S)."""
    size = targets.size
    every = Lengths(size, size, "ctc_loss: the sum of target_lengths")
    total = apply(InRange(every), (reshape(lengths.sum(), (1,)),))
    if not size:
        return full((lengths.size, 0), 0, dtype=targets.dtype)
    longest = size if is_traced() else int(lengths.max())  # how long they are at most
    starts = cumulative_sum(lengths) - lengths
    places = expand_dims(starts, axis=1) + arange(longest)
    found: Tensor = get_item(targets, where(places < total, places, 0))
    return found


def _lengths(lengths: Tensor, count: int, name: str, most: int) -> Tensor:
    """One for each example, none of them out of range."""
    if not lengths.dtype.is_integer:
        raise DTypeError(f"ctc_loss: {name} are {lengths.dtype.name}; expected integers")
    if lengths.shape != (count,) and not (count == 1 and lengths.shape == ()):
        raise ShapeError(f"ctc_loss: {name} has shape {lengths.shape}; expected ({count},)")
    limits = Lengths(0, most, f"ctc_loss: {name}")
    return apply(InRange(limits), (reshape(lengths, (count,)).astype(dtypes.int64),))

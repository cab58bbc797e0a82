"""Sequences of different lengths as one tensor: padded, or packed without what pads them (`nn.utils.rnn`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.arguments import items_of, public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError, TracedValueError
from tessella.primitives.indexing import InRange, Lengths
from tessella.tensors.creation import arange, asarray, full_like, zeros
from tessella.tensors.elementwise import minimum, where
from tessella.tensors.indexing import take
from tessella.tensors.manipulation import concat, expand_dims, moveaxis, reshape, stack
from tessella.tensors.scattering import index_add
from tessella.tensors.sorting import argsort
from tessella.tensors.statistical import cumulative_sum
from tessella.tensors.tensor import Tensor, apply, is_traced
from tessella.tracing.trace import is_known, suspended


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences of different lengths, the longest first: all their first places, then all second ones, and so on.

    Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take it and give such outputs.

    Args:
        data: the places. Shape (all places, ...).
        batch_sizes: how many sequences have a first place, a second one, ... int64.
        sorted_indices: which sequence of those that were packed is the longest, the next one, ...; None if they were
            in this order.
        unsorted_indices: the way back.

    >>> import tessella as ts
    >>> packed = pack_sequence([ts.asarray([1, 2, 3]), ts.asarray([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    _known: int | None = None  # how many sequences there are; what is traced cannot be read

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:  # fmt: skip
        if unsorted_indices is None and isinstance(sorted_indices, Tensor):
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    @classmethod
    def of(cls, count: int, *fields: Any) -> PackedSequence:
        """So many sequences."""
        found = cls(*fields)
        found._known = count
        return found

    @property
    def number_of_sequences(self) -> int:
        """How many sequences are packed."""
        if self._known is None:
            order = self.sorted_indices
            self._known = int(self.batch_sizes.numpy()[0]) if order is None else order.shape[0]
        return self._known

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with its data on another device or of another dtype."""
        return PackedSequence(self.data.to(*args, **kwargs), *self[1:])


class LatePackedSequence(PackedSequence):
    """What is packed in a traced function by lengths that are not known yet: its places stay padded.

    Recurrent layers and `pad_packed_sequence` take it as any other; how many places there are cannot be said.

    Args:
        padded: (L, N, ...).
        lengths: (N,).
    """

    padded: Tensor
    lengths: Tensor

    @classmethod
    def late(cls, padded: Tensor, lengths: Tensor) -> LatePackedSequence:
        """Sequences of these lengths."""
        made: LatePackedSequence = tuple.__new__(cls, (None, None, None, None))
        made.padded, made.lengths = padded, lengths
        return made

    def __new__(cls, *fields: Any) -> LatePackedSequence:
        """What is put together again is what a traced function returns: it has no fields to be made of."""
        raise _unknown_places()

    def __iter__(self) -> Any:
        raise _unknown_places()

    @property
    def data(self) -> Any:
        """Not known.

        Raises:
            TracedValueError: always.
        """
        raise _unknown_places()

    batch_sizes = data

    @property
    def sorted_indices(self) -> Any:
        """Which sequence is the longest, the next one, ..."""
        return argsort(self.lengths, descending=True)

    @property
    def unsorted_indices(self) -> Any:
        """The way back."""
        return argsort(self.sorted_indices)

    @property
    def number_of_sequences(self) -> int:
        """How many sequences are packed."""
        return self.padded.shape[1]

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with its data on another device or of another dtype."""
        return LatePackedSequence.late(self.padded.to(*args, **kwargs), self.lengths)


def _unknown_places() -> TracedValueError:
    return TracedValueError(
        "PackedSequence: how many places there are depends on lengths that are not known while a function is traced; "
        "go on with, or return, what pad_packed_sequence gives, or pass the lengths as a static argument"
    )


class LatePacking:
    """Sequences in (L, N) places, in the order in which they were given."""

    axes = 3

    def __init__(self, late: LatePackedSequence) -> None:
        self.padded = self.data = late.padded
        self.lengths = late.lengths
        self.is_there = expand_dims(arange(late.padded.shape[0]), axis=-1) < late.lengths

    def packed(self, padded: Tensor) -> PackedSequence:
        """What lies in (L, N, ...), of the same lengths."""
        return LatePackedSequence.late(padded, self.lengths)

    def sorted(self, x: Tensor) -> Tensor:
        """As it is."""
        return x

    unsorted = sorted


def packing_of(packed: PackedSequence, name: str) -> Packing | LatePacking:
    """How packed sequences lie in their places."""
    return LatePacking(packed) if isinstance(packed, LatePackedSequence) else Packing(packed, name)


class Packing:
    """How packed sequences lie in (L, N) places, sorted by their lengths."""

    axes = 2  # of the data and of what recurrent layers read

    def __init__(self, packed: PackedSequence, name: str) -> None:
        sizes = _whole_numbers(packed.batch_sizes, name, "batch_sizes")
        if sizes.ndim != 1 or not sizes.shape[0]:
            raise ShapeError(
                f"{name}: batch_sizes has shape {sizes.shape}; expected (L,), for the longest sequence"
            )
        self.data, self.sizes = packed.data, sizes
        self.order, self.back = packed.sorted_indices, packed.unsorted_indices
        self.count = packed.number_of_sequences
        self.ends = cumulative_sum(sizes)
        self.is_there = arange(self.count) < expand_dims(sizes, axis=-1)  # (L, N)

    @property
    def padded(self) -> Tensor:
        """The data as (L, N, ...); where a sequence has ended, something of another one."""
        rows = expand_dims(self.ends - self.sizes, axis=-1) + arange(self.count)
        rows = minimum(rows, asarray(self.data.shape[0] - 1))
        found = take(self.data, reshape(rows, (-1,)), axis=0)
        return reshape(found, (self.sizes.shape[0], self.count, *self.data.shape[1:]))

    def packed(self, padded: Tensor) -> PackedSequence:
        """What lies in (L, N, ...) packed as the data are."""
        count = self.data.shape[0]
        rows = arange(count)
        ended = index_add(
            zeros(count + 1, dtype=dtypes.int64), 0, self.ends, full_like(self.ends, 1)
        )
        place = cumulative_sum(ended)[:count]
        number = rows - take(self.ends - self.sizes, place, axis=0)
        flat = reshape(padded, (padded.shape[0] * padded.shape[1], *padded.shape[2:]))
        data = take(flat, place * self.count + number, axis=0)
        return PackedSequence.of(self.count, data, self.sizes, self.order, self.back)

    def sorted(self, x: Tensor) -> Tensor:
        """(layers, N, ...) in the order of the lengths."""
        return x if self.order is None else take(x, self.order, axis=1)

    def unsorted(self, x: Tensor) -> Tensor:
        """(layers, N, ...) in the order in which the sequences were given."""
        return x if self.back is None else take(x, self.back, axis=1)


@public
def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another one.

    >>> import tessella as ts
    >>> invert_permutation(ts.asarray([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else argsort(permutation)


@public
def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that lie side by side, padded to one length.

    Shapes: input (L, N, ...), or (N, L, ...) with `batch_first`.

    Args:
        lengths: how long each of the N sequences is. In a traced function they may be a tensor that is not known yet:
            then the places stay padded, which recurrent layers and `pad_packed_sequence` know, and are checked when
            the function runs.
        enforce_sorted: whether the longest must come first, and so on; if not, they are sorted, and what is made
            of them is in their order.

    Raises:
        ArgumentError: the lengths do not fit.

    >>> import tessella as ts
    >>> x = ts.asarray([[1, 2, 0], [3, 4, 5]])
    >>> pack_padded_sequence(x, [2, 3], batch_first=True, enforce_sorted=False).data
    tensor([3, 1, 4, 2, 5])
    """
    name = "pack_padded_sequence"
    if input.ndim < 2:
        raise ShapeError(f"{name}: the input has shape {input.shape}; expected (L, N, ...)")
    if batch_first:
        input = moveaxis(input, 1, 0)
    if isinstance(lengths, Tensor) and is_traced():
        late = _checked_late(lengths, name, input, enforce_sorted)
        if late is not None:
            return LatePackedSequence.late(input, late)
    known = _known_lengths(lengths, name, input.shape[1])
    longest = int(known.max())
    if longest > input.shape[0]:
        raise ArgumentError(
            f"{name}: a length is {longest}; the input of shape {input.shape} has {input.shape[0]} places"
        )
    order = None
    if not enforce_sorted:
        order = np.argsort(-known, kind="stable")
        known, input = known[order], take(input, asarray(order), axis=1)
    elif (known[1:] > known[:-1]).any():
        raise ArgumentError(
            f"{name}: the lengths {known.tolist()} do not go down from the longest; sort the sequences, or "
            "pass enforce_sorted=False"
        )
    is_there = np.arange(longest)[:, None] < known
    flat = reshape(input, (input.shape[0] * input.shape[1], *input.shape[2:]))
    data = take(flat, asarray(np.flatnonzero(is_there)), axis=0)
    with suspended():  # they are known, in a traced function, too
        sizes = asarray(is_there.sum(axis=1).astype(np.int64))
    held = None if order is None else asarray(order)
    return PackedSequence.of(len(known), data, sizes, held)


@public
def pad_packed_sequence(
    sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Packed sequences side by side again, padded to one length; and how long each is.

    Shapes: (L, N, ...), or (N, L, ...) with `batch_first`; lengths (N,).

    Args:
        total_length: the length that they are padded to; that of the longest, if it is not given.

    Raises:
        ArgumentError: `total_length` is less than that.

    >>> import tessella as ts
    >>> packed = pack_sequence([ts.asarray([1.0, 2.0]), ts.asarray([3.0])])
    >>> pad_packed_sequence(packed, batch_first=True)
    (tensor([[1., 2.], [3., 0.]]), tensor([2, 1]))
    """
    packing = packing_of(_packed(sequence, "pad_packed_sequence"), "pad_packed_sequence")
    padded, is_there = packing.padded, packing.is_there
    there = reshape(is_there, (*is_there.shape, *(1,) * (padded.ndim - 2)))
    padded = packing.unsorted(where(there, padded, padded.new_full((), padding_value)))
    lengths = packing.unsorted(expand_dims(is_there.astype(dtypes.int64).sum(axis=0), 0))[0]
    longest = padded.shape[0]
    if isinstance(packing, LatePacking) and total_length is None:
        _check_longest(lengths, longest)
    if total_length is not None:
        if total_length < longest:
            raise ArgumentError(
                f"pad_packed_sequence: total_length is {total_length}; the longest sequence has {longest} places"
            )
        padded = _lengthened(padded, total_length, padding_value)
    return moveaxis(padded, 1, 0) if batch_first else padded, lengths


@public
def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:  # fmt: skip
    """Sequences of different lengths side by side, padded to the longest.

    Shapes: (length, ...) each -> (L, N, ...), or (N, L, ...) with `batch_first`.

    Raises:
        ShapeError: they differ in more than their lengths.

    >>> import tessella as ts
    >>> pad_sequence([ts.asarray([1, 2]), ts.asarray([3])], batch_first=True, padding_value=-1)
    tensor([[ 1,  2], [ 3, -1]])
    """
    several = _several(sequences, "pad_sequence")
    if padding_side not in ("right", "left"):
        raise ArgumentError(
            f"pad_sequence: padding_side is {shown(padding_side)}; expected 'right' or 'left'"
        )
    longest = max(x.shape[0] for x in several)
    left = padding_side == "left"
    padded = [_lengthened(x, longest, padding_value, left) for x in several]
    return stack(padded, axis=0 if batch_first else 1)


@public
def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """The sequences that lie side by side, each as long as it is.

    Shapes: (L, N, ...), or (N, L, ...) with `batch_first` -> (length, ...) each.

    >>> import tessella as ts
    >>> unpad_sequence(ts.asarray([[1, 2], [3, 0]]), [2, 1], batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if padded_sequences.ndim < 2:
        raise ShapeError(
            f"unpad_sequence: the input has shape {padded_sequences.shape}; expected (L, N, ...)"
        )
    if not batch_first:
        padded_sequences = moveaxis(padded_sequences, 1, 0)
    known = _known_lengths(lengths, "unpad_sequence", padded_sequences.shape[0], least=0)
    return [padded_sequences[i, :length] for i, length in enumerate(known.tolist())]


@public
def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of different lengths.

    Shapes: (length, ...) each.

    >>> import tessella as ts
    >>> pack_sequence([ts.asarray([1]), ts.asarray([2, 3])], enforce_sorted=False).data
    tensor([2, 1, 3])
    """
    several = _several(sequences, "pack_sequence")
    lengths = [x.shape[0] for x in several]
    padded = pad_sequence(several)
    return pack_padded_sequence(padded, lengths, enforce_sorted=enforce_sorted)


@public
def unpack_sequence(packed_sequences: Any) -> list[Tensor]:
    """The sequences that were packed.

    >>> import tessella as ts
    >>> unpack_sequence(pack_sequence([ts.asarray([1, 2]), ts.asarray([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    packed = _packed(packed_sequences, "unpack_sequence")
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _checked_late(lengths: Tensor, name: str, input: Tensor, is_sorted: bool) -> Tensor | None:
    """Lengths in a traced function, which are looked at when it runs; None if they are known already."""
    places, count = input.shape[:2]
    _whole_numbers(lengths, name, "lengths")
    if lengths.shape != (count,):
        raise ArgumentError(
            f"{name}: lengths has the shape {lengths.shape}; expected {(count,)}, one for each sequence"
        )
    if is_known(lengths):
        return None
    checked = apply(
        InRange(Lengths(1, places, f"{name}: a length")), (lengths.astype(dtypes.int64),)
    )
    if is_sorted and count > 1:
        told = (
            f"{name}: the lengths do not go down from the longest; what one has more than the next"
        )
        apply(InRange(Lengths(0, places, told)), (checked[:-1] - checked[1:],))
    return checked


def _check_longest(lengths: Tensor, longest: int) -> None:
    """The longest of lengths that are not known is as long as what was packed: elsewhere less would be given back."""
    told = f"pad_packed_sequence: the longest sequence; write total_length={longest} for shorter ones: its length"
    apply(InRange(Lengths(longest, longest, told)), (reshape(lengths.max(), (1,)),))


def _lengthened(x: Tensor, length: int, value: float, left: bool = False) -> Tensor:
    """A sequence with a value at the end, or at the beginning, until it has a length."""
    missing = length - x.shape[0]
    if not missing:
        return x
    padding = x.new_full((missing, *x.shape[1:]), value)
    return concat([padding, x] if left else [x, padding])


def _several(sequences: Any, name: str) -> list[Tensor]:
    """
    Raises:
        ArgumentTypeError: they are no tensors.
        ArgumentError: there are none.
        ShapeError: they have no first axis, or differ in more than that.
    """
    if isinstance(sequences, Tensor):
        sequences = list(sequences) if sequences.ndim else [sequences]
    if not isinstance(sequences, Iterable):
        raise ArgumentTypeError(
            f"{name}: sequences is {shown(sequences)}; expected several tensors"
        )
    several = items_of(name, sequences, "several sequences, for example a list")
    if not several:
        raise ArgumentError(f"{name}: there are no sequences; give at least one")
    for number, x in enumerate(several):
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(f"{name}: sequence {number} is {shown(x)}; expected a tensor")
        if not x.ndim or x.shape[1:] != several[0].shape[1:]:
            raise ShapeError(
                f"{name}: sequence {number} has shape {x.shape}; expected (length, ...) as the first one, which has "
                f"{several[0].shape}"
            )
    return several


def _packed(sequence: Any, name: str) -> PackedSequence:
    if not isinstance(sequence, PackedSequence):
        raise ArgumentTypeError(
            f"{name}: {shown(sequence)} was given; expected a PackedSequence, as pack_padded_sequence gives it"
        )
    return sequence


def _whole_numbers(x: Any, name: str, what: str) -> Tensor:
    if not isinstance(x, Tensor) or not x.dtype.is_integer:
        raise ArgumentTypeError(f"{name}: {what} is {shown(x)}; expected a tensor of integers")
    return x


def _known_lengths(lengths: Any, name: str, count: int, least: int = 1) -> np.ndarray[Any, Any]:
    """Lengths as numbers.

    Raises:
        ArgumentError: they are not as many as the sequences, or one is too small.
    """
    known = (
        _whole_numbers(lengths, name, "lengths").numpy()
        if isinstance(lengths, Tensor)
        else np.asarray(lengths)
    )
    if known.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name}: lengths is {shown(lengths)}; expected integers")
    if known.shape != (count,) or not count:
        raise ArgumentError(
            f"{name}: lengths has the shape {known.shape}; expected {(count,)}, one for each sequence, and at least one"
        )
    if known.min() < least:
        raise ArgumentError(f"{name}: a length is {known.min()}; expected at least {least}")
    return known


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip

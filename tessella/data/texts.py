"""Texts: tokens, vocabularies, and batches of numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tessella.arguments import items_of, public
from tessella.arguments.kinds import Count, Natural, shown
from tessella.data.samplers import row_numbers
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    ShapeError,
    UnknownKeyError,
)

_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def words(text: str) -> list[str]:
    """The words of a text in small letters, and its punctuation marks.

    >>> words("It isn't bad!")
    ['it', "isn't", 'bad', '!']
    """
    return _WORD.findall(_text(text, "words").lower())


def characters(text: str) -> list[str]:
    """The characters of a text.

    >>> characters("abc")
    ['a', 'b', 'c']
    """
    return list(_text(text, "characters"))


class Vocabulary:
    """Tokens and their numbers.

    A vocabulary is a transform: of a batch of texts it makes a list of arrays of numbers.

    Args:
        tokens: in the order of their numbers; none twice.
        tokenise: makes tokens of a text: `characters`, `words`, or a function.
        unknown: which token stands for all that are not there; without one, these are refused.

    Raises:
        ArgumentError: a token comes twice, or `unknown` is none of them.

    >>> vocabulary = Vocabulary.of(["to be or not to be"], words)
    >>> vocabulary.tokens, vocabulary.encode("to be, not").tolist()
    (['<pad>', '<unk>', 'be', 'to', 'not', 'or'], [3, 2, 1, 4])
    """

    @public
    def __init__(
        self, tokens: Sequence[str], tokenise: Any = characters, unknown: str | None = None
    ) -> None:
        self.tokens = list(tokens)
        if not callable(tokenise):
            raise ArgumentTypeError(
                f"Vocabulary: tokenise is {shown(tokenise)}; expected a function of a text"
            )
        self.tokenise: Callable[[str], Iterable[str]] = tokenise
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self.numbers) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ArgumentError(f"Vocabulary: the token {twice!r} comes twice")
        if unknown is not None and unknown not in self.numbers:
            raise ArgumentError(f"Vocabulary: unknown is {unknown!r}, which is none of the tokens")
        self.unknown = unknown

    @classmethod
    @public
    def of(
        cls,
        texts: Iterable[Any],
        tokenise: Any = characters,
        most: Count | None = None,
        least: Natural = 1,
        padding: str | None = "<pad>",
        unknown: str | None = "<unk>",
    ) -> Vocabulary:
        """That of some texts: the most frequent tokens first, those that come as often in the order of the alphabet.

        Args:
            most: how many tokens there are at most, those for padding and for unknown ones among them.
            least: how often a token must come.
            padding: the token number 0, if there is to be one.
        """
        counts = Counter(token for text in texts for token in tokenise(_text(text)))
        special = [token for token in (padding, unknown) if token is not None]
        chosen = sorted(
            (token for token, count in counts.items() if count >= least and token not in special),
            key=lambda token: (-counts[token], token),
        )
        return cls((special + chosen)[:most], tokenise, unknown)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> np.ndarray[Any, Any]:
        """The numbers of a text's tokens, as int64.

        Raises:
            UnknownKeyError: one is not there, and there is no token for unknown ones.
        """
        other = None if self.unknown is None else self.numbers[self.unknown]
        found = [self.numbers.get(token, other) for token in self.tokenise(_text(text))]
        if None in found:
            token = list(self.tokenise(text))[found.index(None)]
            raise UnknownKeyError(
                f"Vocabulary: {token!r} is none of the {len(self)} tokens; give unknown= a token for such ones"
            )
        return np.array(found, np.int64)

    def decode(self, numbers: Any) -> list[str]:
        """The tokens of some numbers."""
        given = row_numbers("decode", numbers, "numbers")
        bad = given[(given < 0) | (given >= len(self))]
        if bad.size:
            raise IndexingError(
                f"decode: {bad[0]} is no token's number; there are 0 to {len(self) - 1}"
            )
        return [self.tokens[number] for number in given.tolist()]

    @public
    def __call__(self, texts: Iterable[Any]) -> list[np.ndarray[Any, Any]]:
        return [self.encode(text) for text in texts]


class PadTruncate:
    """Sequences of numbers as one array: cut off at a length, and filled up to it.

    Args:
        length: of all of them; that of the longest, if not given.
        value: what they are filled up with.
        left: whether they are filled up, and cut off, at the beginning.

    Shapes: (length_i, ...) for each of B becomes (B, length, ...).

    >>> import numpy as np
    >>> PadTruncate(3)([np.array([1, 2, 3, 4]), np.array([5])]).tolist()
    [[1, 2, 3], [5, 0, 0]]
    """

    @public
    def __init__(self, length: Count | None = None, value: float = 0, left: bool = False) -> None:
        self.length, self.value, self.left = length, value, left

    @public
    def __call__(self, sequences: Iterable[Any]) -> np.ndarray[Any, Any]:
        arrays = [
            _sequence(sequence)
            for sequence in items_of("PadTruncate", sequences, "several sequences")
        ]
        if not arrays:
            raise ArgumentError("PadTruncate: there are no sequences")
        parts = {array.shape[1:] for array in arrays if array.size or array.ndim > 1}
        if len(parts) > 1:
            raise ShapeError(
                f"PadTruncate: the sequences consist of parts of shapes {sorted(parts)}"
            )
        length = max(map(len, arrays)) if self.length is None else self.length
        kind = np.result_type(*[array for array in arrays if array.size] or arrays)
        found = np.full((len(arrays), length, *next(iter(parts), ())), self.value, kind)
        for row, array in zip(found, arrays, strict=True):
            count = min(len(array), length)
            if self.left:
                row[length - count :] = array[len(array) - count :]
            else:
                row[:count] = array[:count]
        return found


def _sequence(given: Any) -> np.ndarray[Any, Any]:
    is_list = isinstance(given, (list, tuple)) and all(isinstance(x, (int, float)) for x in given)
    found = np.asarray(given) if is_list or hasattr(given, "__array__") else np.zeros((), object)
    if not found.ndim or found.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            f"PadTruncate: {shown(given)} was given; expected arrays or lists of numbers"
        )
    return found


def _text(text: Any, function: str = "Vocabulary") -> str:
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{function}: {shown(text)} was given; expected a text")
    return text

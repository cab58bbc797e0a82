"""Attention in strips of rows: the matrix of scores is never there as a whole.

A strip is some of the queries, against all keys they may see: its scores, its softmax and its product
with the values are computed and forgotten before the next strip. The gradient computes them again. Keys
that no query of a strip may see (under `causal`) are left out.

Sources: Vaswani et al., *Attention is all you need* (2017), section 3.2.1; Rabe & Staats, *Self-attention
does not need O(n^2) memory* (2021); Dao et al., *FlashAttention* (2022), for the gradient that computes
the scores again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import Composite, NumPyArray, Primitive, Sample, Shape, Spec, size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.elementwise import Elementwise, cast_to, elementwise
from tessella.primitives.generate import Iota
from tessella.primitives.monoid import SUM
from tessella.primitives.movement import Concatenate, Expand, Pad, Reshape, Slice, batch_front
from tessella.primitives.reduce import Reduce
from tessella.primitives.softmax import Softmax
from tessella.scalar.function import ScalarFunction

STRIP_BYTES = 1 << 21  # of scores at one time: they stay in the caches
MOST_STRIPS = 16  # each is some nodes of a program
FEWEST_ROWS = 8

_only_if = Elementwise(ScalarFunction(lambda score, seen: score if seen else -math.inf, "only_if"))
_up_to = Elementwise(
    ScalarFunction(lambda score, row, key: score if row >= key else -math.inf, "up_to")
)


@functools.cache
def _scaled(factor: float) -> Elementwise:
    return Elementwise(ScalarFunction(lambda x: x * factor, "scaled"))


class Strip(NamedTuple):
    """Some rows, and how many keys they may see."""

    first: int
    rows: int
    keys: int


class _Steps:
    """The operations that attention is made of, on whatever `apply` takes."""

    def __init__(self, apply: Any) -> None:
        self.apply = apply

    def product(self, formula: str, x: Any, y: Any, wide: bool = False) -> Any:
        """A product of matrices for each of the axes in front: "le,se->ls" multiplies x by y.T.

        Half precision and float32 are multiplied in half precision; `wide` keeps the sums in float32.
        """
        if x.dtype is not y.dtype:
            kind = x.dtype if x.dtype.is_narrow else y.dtype
            x, y = self.cast(x, kind), self.cast(y, kind)
        lead = tuple(range(len(x.shape) - 2))
        left, right, output = (
            (*lead, *(len(lead) + ord(letter) for letter in part))
            for part in formula.replace("->", ",").split(",")
        )
        wide = wide and x.dtype.is_narrow
        return self.apply(Contraction(left, right, output, wide=wide), (x, y))

    def cast(self, x: Any, dtype: dtypes.DType) -> Any:
        return x if x.dtype is dtype else self.apply(cast_to(dtype), (x,))

    def map(self, name: str, *operands: Any) -> Any:
        return self.apply(elementwise(name), operands)

    def part(self, x: Any, axis: int, first: int, size: int) -> Any:
        """Some of an axis, counted from the back."""
        shape = tuple(x.shape)
        if (first, size) == (0, shape[axis]):
            return x
        starts, sizes = [0] * len(shape), list(shape)
        starts[axis], sizes[axis] = first, size
        return self.apply(Slice(tuple(starts), tuple(sizes), (1,) * len(shape)), (x,))

    def row_sums(self, x: Any) -> Any:
        """The sum of each row, repeated."""
        shape = tuple(x.shape)
        total = self.apply(Reduce(SUM, (len(shape) - 1,)), (x,))
        row = self.apply(Reshape((*shape[:-1], 1)), (total,))
        return self.apply(Expand(shape), (row,))

    def padded(self, x: Any, keys: int) -> Any:
        """Zeros for the keys that a strip did not see."""
        missing = keys - x.shape[-2]
        if not missing:
            return x
        none = (0,) * len(x.shape)
        return self.apply(Pad(none, (*none[:-2], missing, 0), none), (x,))


def _now(primitive: Primitive, operands: Sequence[Any]) -> Any:
    return primitive(*operands)


@dataclass(frozen=True)
class _OfScores(Composite):
    """What the two have in common.

    Args:
        scale: by which scores are multiplied.
        causal: whether a query sees only the keys up to its own place.
    """

    scale: float
    causal: bool = False

    def _check(self, query: Spec, key: Spec, value: Spec, *mask: Spec) -> None:
        lead, rows, keys = tuple(query.shape[:-2]), query.shape[-2], key.shape[-2]
        fits = tuple(key.shape) == (*lead, keys, query.shape[-1])
        if not fits or tuple(value.shape[:-1]) != (*lead, keys):
            raise ShapeError(
                f"attention: query {query.shape}, key {key.shape} and value {value.shape}; expected "
                "(..., L, E), (..., S, E) and (..., S, Ev) with the same axes in front"
            )
        if not query.dtype.is_float or not query.dtype is key.dtype is value.dtype:
            raise DTypeError(
                f"attention: {query.dtype.name}, {key.dtype.name} and {value.dtype.name}; expected one "
                "floating dtype"
            )
        for spec in mask:
            whole = (*lead, rows, keys)
            fits = len(spec.shape) == len(whole) and all(
                n in (1, size) for n, size in zip(spec.shape, whole, strict=True)
            )
            if not fits or not spec.dtype.is_bool:
                raise ShapeError(
                    f"attention: a mask of {spec.dtype.name}{list(spec.shape)}; expected bool, with "
                    f"each size 1 or that of {whole}"
                )

    def strips(self, query: Spec, key: Spec) -> Iterator[Strip]:
        """The rows in strips of about `STRIP_BYTES` of scores."""
        rows, keys = query.shape[-2], key.shape[-2]
        bytes_of_row = size_of(tuple(query.shape[:-2])) * keys * query.dtype.itemsize
        height = max(FEWEST_ROWS, -(-rows // MOST_STRIPS), STRIP_BYTES // max(1, bytes_of_row))
        height = -(-rows // max(1, -(-rows // height)))  # even, so that the last is not a scrap
        for first in range(0, rows, max(1, height)):
            count = min(height, rows - first)
            yield Strip(first, count, min(keys, first + count) if self.causal else keys)

    def _scores(self, of: _Steps, query: Any, key: Any, mask: Sequence[Any], strip: Strip) -> Any:
        """The scores of a strip: (..., rows, keys); those of half precision in float32, as they may be large."""
        q = of.part(query, -2, strip.first, strip.rows)
        k = of.part(key, -2, 0, strip.keys)
        scores = of.apply(_scaled(self.scale), (of.product("le,se->ls", q, k, wide=True),))
        if self.causal:
            places = of.apply(Iota(strip.first + strip.rows, dtypes.int64), (query,))
            rows = of.part(places, -1, strip.first, strip.rows)
            row = of.apply(Reshape((strip.rows, 1)), (rows,))
            column = of.apply(Iota(strip.keys, dtypes.int64), (query,))
            scores = of.apply(_up_to, (scores, row, column))
        for seen in mask:
            if seen.shape[-2] > 1:
                seen = of.part(seen, -2, strip.first, strip.rows)
            if seen.shape[-1] > 1:
                seen = of.part(seen, -1, 0, strip.keys)
            scores = of.apply(_only_if, (scores, seen))
        return scores

    def _weights(self, of: _Steps, query: Any, key: Any, mask: Sequence[Any], strip: Strip) -> Any:
        scores = self._scores(of, query, key, mask, strip)
        return of.apply(Softmax(len(scores.shape) - 1, or_zero=True), (scores,))

    def _whole(self, query: Any, key: Any) -> Strip:
        return Strip(0, query.shape[-2], key.shape[-2])

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """One more axis in front; a mask without one is seen by all."""
        moved = []
        for x, axis in zip(inputs, axes, strict=True):
            if axis is None and x.dtype.is_bool:
                moved.append(Reshape((1, *x.shape))(x))
            else:
                moved.append(batch_front(x, axis, size))
        return self(*moved), 0


@dataclass(frozen=True)
class Attention(_OfScores):
    """softmax(scale Q Kᵀ) V over the last two axes; with a mask, where it says so only.

    A query that sees no key gets zeros.

    Shapes: (..., L, E), (..., S, E), (..., S, Ev) and perhaps a mask (..., L, S), each of its sizes
        perhaps 1 -> (..., L, Ev).
    Dtypes: one floating dtype, the mask bool; the same.
    """

    def result(self, *inputs: Spec) -> Spec:
        self._check(*inputs)
        query, _, value = inputs[:3]
        return Spec((*query.shape[:-1], value.shape[-1]), query.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        weights = _reference_weights(self, *inputs[:2], *inputs[3:])
        with np.errstate(all="ignore"):
            return np.asarray(weights @ inputs[2].astype(np.float64)).astype(inputs[0].dtype)

    def steps(self, apply: Any, operands: Sequence[Any]) -> Any:
        query, key, value, *mask = operands
        of, pieces = _Steps(apply), []
        for strip in self.strips(query, key):
            weights = self._weights(of, query, key, mask, strip)
            pieces.append(of.product("ls,sv->lv", weights, of.part(value, -2, 0, strip.keys)))
        if not pieces:
            return apply(Reshape((*query.shape[:-1], value.shape[-1])), (query,))
        return apply(Concatenate(len(query.shape) - 2), tuple(pieces))

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,) = cotangents
        packed = AttentionGradient(self.scale, self.causal)(ct, *inputs)
        return [*_unpacked(packed, inputs[:3]), *[None] * (len(inputs) - 3)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        query, key, value, *mask = inputs
        if all(t is None for t in tangents[:3]):
            return None
        tangents = _filled(inputs[:3], tangents[:3])
        of = _Steps(_now)
        weights = self._weights(of, query, key, mask, self._whole(query, key))
        moved = _moved_weights(self, weights, query, key, tangents)
        return of.product("ls,sv->lv", moved, value) + of.product("ls,sv->lv", weights, tangents[2])

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(12)
        for lead, rows, keys, causal in (
            ((), 3, 4, False),
            ((2,), 5, 5, True),
            ((2, 2), 4, 3, True),
        ):
            q, k, v = _operands(random, lead, rows, keys)
            yield Sample(cls(0.5, causal), (q, k, v))
        q, k, v = _operands(random, (2, 3), 19, 11)
        mask = random.random((2, 1, 19, 11)) < 0.7
        mask[..., 0] = True
        yield Sample(cls(0.25), (q, k, v, mask))
        yield Sample(cls(0.25), (q, k, v, mask[:1, :, :1]))
        blind = mask.copy()
        blind[:, :, 4] = False  # a query that sees no key
        yield Sample(cls(0.25), (q, k, v, blind))
        yield Sample(cls(1.0), _operands(random, (2,), 0, 3))


@dataclass(frozen=True)
class AttentionGradient(_OfScores):
    """The gradients of `Attention` with respect to query, key and value, one behind the other.

    Shapes: that of the result (..., L, Ev), and those that `Attention` takes -> (..., L E + S E + S Ev).
    """

    def result(self, *inputs: Spec) -> Spec:
        self._check(*inputs[1:])
        lead = tuple(inputs[1].shape[:-2])
        return Spec((*lead, sum(_matrix_size(x) for x in inputs[1:4])), inputs[1].dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        ct, q, k, v = (x.astype(np.float64) for x in inputs[:4])
        weights = _reference_weights(self, *inputs[1:3], *inputs[4:])
        with np.errstate(all="ignore"):
            to_weights = ct @ v.swapaxes(-1, -2)
            total = (weights * to_weights).sum(axis=-1, keepdims=True)
            to_scores = self.scale * weights * (to_weights - total)
            found = [
                to_scores @ k, to_scores.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ ct,
            ]  # fmt: skip
        lead = ct.shape[:-2]
        flat = [x.reshape(*lead, x.shape[-2] * x.shape[-1]) for x in found]
        return np.concatenate(flat, axis=-1).astype(inputs[1].dtype)

    def steps(self, apply: Any, operands: Sequence[Any]) -> Any:
        ct, query, key, value, *mask = operands
        of = _Steps(apply)
        to_queries: list[Any] = []
        to_keys = to_values = None
        for strip in self.strips(query, key):
            weights = self._weights(of, query, key, mask, strip)
            here = of.part(ct, -2, strip.first, strip.rows)
            seen = of.part(key, -2, 0, strip.keys)
            seen_values = of.part(value, -2, 0, strip.keys)
            to_weights = of.product("lv,sv->ls", here, seen_values, wide=True)
            to_scores = self._to_scores(of, weights, to_weights)
            to_queries.append(of.product("ls,se->le", to_scores, seen))
            rows = of.part(query, -2, strip.first, strip.rows)
            keys = key.shape[-2]
            own_keys = of.padded(of.product("ls,le->se", to_scores, rows, wide=True), keys)
            own_values = of.padded(of.product("ls,lv->sv", weights, here, wide=True), keys)
            to_keys = own_keys if to_keys is None else of.map("add", to_keys, own_keys)
            to_values = own_values if to_values is None else of.map("add", to_values, own_values)
        if to_keys is None:  # no queries: nothing depends on the keys
            return apply(_scaled(0.0), (self._packed(of, query, key, value),))
        joined = apply(Concatenate(len(query.shape) - 2), tuple(to_queries))
        return self._packed(of, joined, to_keys, to_values)

    def _to_scores(self, of: _Steps, weights: Any, to_weights: Any) -> Any:
        total = of.row_sums(of.map("multiply", weights, to_weights))
        rest = of.map("subtract", to_weights, total)
        return of.apply(_scaled(self.scale), (of.map("multiply", weights, rest),))

    @staticmethod
    def _packed(of: _Steps, *gradients: Any) -> Any:
        lead, kind = tuple(gradients[0].shape[:-2]), gradients[0].dtype
        flat = [of.apply(Reshape((*lead, _matrix_size(x))), (of.cast(x, kind),)) for x in gradients]
        return of.apply(Concatenate(len(lead)), tuple(flat))

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        """The gradient is a gradient itself, so its derivative is symmetric: pulling back is pushing
        forward along the cotangents."""
        (packed,) = cotangents
        rest = inputs[1:]
        along = tuple(_unpacked(packed, rest[:3]))
        pushed = self.jvp(inputs, (None, *along, *[None] * (len(rest) - 3)))
        to_ct = Attention(self.scale, self.causal).jvp(
            tuple(rest), (*along, *[None] * (len(rest) - 3))
        )
        return [to_ct, *_unpacked(pushed, rest[:3]), *[None] * (len(rest) - 3)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        ct, query, key, value, *mask = inputs
        if all(t is None for t in tangents[:4]):
            return None
        t_ct, *moved = _filled(inputs[:4], tangents[:4])
        t_query, t_key, t_value = moved
        of, scale = _Steps(_now), self.scale
        weights = self._weights(of, query, key, mask, self._whole(query, key))
        t_weights = _moved_weights(self, weights, query, key, moved)
        to_weights = of.product("lv,sv->ls", ct, value)
        t_to_weights = of.product("lv,sv->ls", t_ct, value) + of.product("lv,sv->ls", ct, t_value)
        rest = to_weights - of.row_sums(weights * to_weights)
        t_rest = t_to_weights - of.row_sums(t_weights * to_weights + weights * t_to_weights)
        to_scores, t_to_scores = (
            weights * rest * scale,
            (t_weights * rest + weights * t_rest) * scale,
        )
        return self._packed(
            of,
            of.product("ls,se->le", t_to_scores, key) + of.product("ls,se->le", to_scores, t_key),
            of.product("ls,le->se", t_to_scores, query)
            + of.product("ls,le->se", to_scores, t_query),
            of.product("ls,lv->sv", t_weights, ct) + of.product("ls,lv->sv", weights, t_ct),
        )

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(13)
        for sample in Attention.samples():
            primitive: Any = sample.primitive
            query, _, value = sample.inputs[:3]
            ct = random.standard_normal((*query.shape[:-1], value.shape[-1]))
            yield Sample(cls(primitive.scale, primitive.causal), (ct, *sample.inputs))


def _moved_weights(
    primitive: _OfScores, weights: Any, query: Any, key: Any, tangents: Sequence[Any]
) -> Any:
    """How the weights move when query and key do."""
    of = _Steps(_now)
    t_query, t_key = tangents[:2]
    moved = of.product("le,se->ls", t_query, key) + of.product("le,se->ls", query, t_key)
    moved = moved * primitive.scale
    return weights * (moved - of.row_sums(weights * moved))


def _filled(inputs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents, with zeros where there is none."""
    return [x * 0 if t is None else t for x, t in zip(inputs, tangents, strict=True)]


def _matrix_size(x: Any) -> int:
    return x.shape[-2] * x.shape[-1]


def _unpacked(packed: Any, like: Sequence[Any]) -> list[Any]:
    """The parts of a packed result, in the shapes of query, key and value."""
    of, first, found = _Steps(_now), 0, []
    for x in like:
        size = _matrix_size(x)
        found.append(Reshape(tuple(x.shape))(of.part(packed, -1, first, size)))
        first += size
    return found


def _reference_weights(
    primitive: _OfScores, query: NumPyArray, key: NumPyArray, *mask: NumPyArray
) -> NumPyArray:
    scores = query.astype(np.float64) @ key.astype(np.float64).swapaxes(-1, -2) * primitive.scale
    if primitive.causal:
        rows, keys = scores.shape[-2:]
        scores = np.where(np.arange(rows)[:, None] >= np.arange(keys), scores, -np.inf)
    for seen in mask:
        scores = np.where(seen, scores, -np.inf)
    return Softmax(scores.ndim - 1, or_zero=True).reference(scores)


def _operands(
    random: np.random.Generator, lead: Shape, rows: int, keys: int
) -> tuple[NumPyArray, ...]:
    shapes = (*lead, rows, 4), (*lead, keys, 4), (*lead, keys, 3)
    return tuple(random.standard_normal(shape) for shape in shapes)

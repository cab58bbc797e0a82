"""Attention: each place of a sequence takes a weighted mean of all places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tessella.arguments import public
from tessella.arguments.kinds import Count, Probability
from tessella.dtypes import float32
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.dropout import dropout
from tessella.nn.functional.linear import linear
from tessella.primitives.attention import Attention
from tessella.primitives.base import broadcast_shapes, size_of
from tessella.primitives.contraction import matmul_labels
from tessella.primitives.softmax import Softmax
from tessella.tensors.creation import arange, zeros_like
from tessella.tensors.elementwise import cos, exp, sin, where
from tessella.tensors.manipulation import (
    broadcast_to,
    concat,
    expand_dims,
    permute_dims,
    reshape,
    stack,
)
from tessella.tensors.shapes import chunk
from tessella.tensors.tensor import Tensor, apply

IN_STRIPS_FROM = 1 << 23  # bytes of scores; fewer stay in the cache as they are


@public
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(scale Q Kᵀ + mask) V, for each head.

    `attn_mask` is added, or, if it is bool, says which keys each query sees. `is_causal` lets each
    query see the keys up to its own place; a query that sees no key gets zeros. `scale` is 1 / sqrt(E) unless given. Long sequences are
    computed in strips of queries, and the matrix of scores is never there as a whole (unless the mask
    is one that is added, or there is dropout). With `enable_gqa` (grouped queries) there may be fewer heads, on the
    third axis from the back, of keys and values than of queries; each serves as many queries' heads, side by side.

    Shapes: (..., L, E), (..., S, E) and (..., S, Ev) -> (..., L, Ev); the mask broadcasts to
        (..., L, S).

    Raises:
        ShapeError: queries and keys, or keys and values, do not fit.
        ArgumentError: both a mask and `is_causal` are given.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.2.1; Ainslie et al., *GQA* (2023), section 2.2.

    >>> import tessella as ts
    >>> x = ts.asarray([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.    , 0.    ],
            [0.3302, 0.6698]])
    """
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"scaled_dot_product_attention: query {query.shape} and key {key.shape}; their last "
            "sizes must be equal"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: key {key.shape} and value {value.shape}; the sizes "
            "before their last must be equal"
        )
    if attn_mask is not None and is_causal:
        raise ArgumentError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    if enable_gqa:
        grouped = _grouped(query, key, value, attn_mask)
        found: Tensor = scaled_dot_product_attention(*grouped, dropout_p, is_causal, scale)
        return reshape(found, (*query.shape[:-1], value.shape[-1]))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    if dropout_p == 0.0 and (attn_mask is None or attn_mask.dtype.is_bool):
        lead = broadcast_shapes(
            [x.shape[:-2] for x in (query, key, value, attn_mask) if x is not None],
            "scaled_dot_product_attention",
        )
        scores_bytes = size_of((*lead, query.shape[-2], key.shape[-2])) * query.dtype.itemsize
        if scores_bytes > IN_STRIPS_FROM:
            return _in_strips(lead, query, key, value, attn_mask, is_causal, factor)
    weights = _weights(query, key, attn_mask, is_causal, factor)
    return dropout(weights, dropout_p).astype(value.dtype) @ value


def _weights(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, factor: float
) -> Tensor:
    """softmax(factor Q Kᵀ + mask): how much each query takes of each key, (..., L, S)."""
    scores = _scores(query, key) * factor
    if is_causal:
        rows = reshape(arange(scores.shape[-2]), (-1, 1))
        scores = where(rows >= arange(scores.shape[-1]), scores, -math.inf)
    elif attn_mask is not None and attn_mask.dtype.is_bool:
        scores = where(attn_mask, scores, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights: Tensor = apply(Softmax(scores.ndim - 1, or_zero=True), (scores,))
    return weights


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Queries' heads in groups, one for each head of the keys: (..., heads of keys, heads in a group, L, E).

    Raises:
        ShapeError: the heads cannot be grouped.
    """
    ranks = {query.ndim, key.ndim, value.ndim}
    heads, shared = (x.shape[-3] if min(ranks) >= 3 else 0 for x in (query, key))
    if len(ranks) > 1 or not shared or heads % shared or value.shape[-3] != shared:
        raise ShapeError(
            f"scaled_dot_product_attention: with enable_gqa, query {query.shape}, key {key.shape} and value "
            f"{value.shape}; expected (..., H, L, E), (..., G, S, E) and (..., G, S, Ev), H a multiple of G"
        )
    queries = reshape(query, (*query.shape[:-3], shared, heads // shared, *query.shape[-2:]))
    if mask is not None and mask.ndim >= 3:
        size = mask.shape[-3]
        groups = (1, 1) if size == 1 else (shared, heads // shared)
        mask = reshape(mask, (*mask.shape[:-3], *groups, *mask.shape[-2:]))
    return queries, expand_dims(key, -3), expand_dims(value, -3), mask


@public
def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: Count, num_heads: Count,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
    bias_v: Tensor | None, add_zero_attn: bool, dropout_p: Probability, out_proj_weight: Tensor,
    out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """What `nn.MultiheadAttention` computes, from its parameters; see there.

    Shapes: sequences first, (L, N, E), (S, N, ...) and (S, N, ...), or without N. `bias_k` and `bias_v` (1, 1, E) are one more
        key and value; `add_zero_attn` adds zeros as one more; `static_k` and `static_v` (N * num_heads, S, E / num_heads) take the
        place of the projected keys and values.

    Raises:
        ShapeError: shapes do not fit one another.
        ArgumentError: the heads do not divide `embed_dim_to_check`.
    """
    name = "multi_head_attention_forward"
    _check_heads(name, query, key, value, embed_dim_to_check, num_heads)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected((query, key, value), in_proj_weight, in_proj_bias, separate)
    if query.ndim == 2:
        q, k, v = (expand_dims(x, 1) for x in (q, k, v))
    if bias_k is not None and bias_v is not None:
        k, v = (
            concat([x, broadcast_to(one, (1, *x.shape[1:]))])
            for x, one in ((k, bias_k), (v, bias_v))
        )
    count = q.shape[1]
    q, k, v = (_by_heads(x, num_heads) for x in (q, k, v))
    k = k if static_k is None else reshape(static_k, (count, num_heads, *static_k.shape[1:]))
    v = v if static_v is None else reshape(static_v, (count, num_heads, *static_v.shape[1:]))
    if add_zero_attn:
        k, v = (concat([x, zeros_like(x[:, :, :1])], axis=2) for x in (k, v))
    if is_causal and attn_mask is None and key_padding_mask is not None:
        attn_mask = _causal(q.shape[2], k.shape[2])
    hidden = _hidden(attn_mask, key_padding_mask, (count, num_heads, q.shape[2], k.shape[2]), name)
    seen = None if hidden is None else ~hidden if hidden.dtype.is_bool else hidden
    is_causal = is_causal and seen is None
    p = dropout_p if training else 0.0
    weights = None
    if need_weights:
        weights = dropout(_weights(q, k, seen, is_causal, 1.0 / math.sqrt(q.shape[-1])), p)
        found = weights.astype(v.dtype) @ v
        weights = weights.mean(axis=1) if average_attn_weights else weights
    else:
        found = scaled_dot_product_attention(q, k, v, seen, p, is_causal)
    rows = permute_dims(found, (2, 0, 1, 3))
    rows = reshape(rows, (*rows.shape[:2], num_heads * rows.shape[3]))
    output = linear(rows, out_proj_weight, out_proj_bias)
    if query.ndim == 2:
        return output[:, 0], None if weights is None else weights[0]
    return output, weights


def _check_heads(
    name: str, query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int
) -> None:
    """
    Raises:
        ShapeError: the operands do not fit one another.
        ArgumentError: the heads do not divide `embed_dim`.
    """
    if embed_dim % num_heads:
        raise ArgumentError(
            f"{name}: embed_dim {embed_dim} is no multiple of the {num_heads} heads"
        )
    if query.ndim not in (2, 3) or {query.ndim} != {key.ndim, value.ndim}:
        raise ShapeError(
            f"{name}: query {query.shape}, key {key.shape} and value {value.shape}; expected (L, N, E), "
            "(S, N, ...) and (S, N, ...), or all without N"
        )
    if key.shape[:-1] != value.shape[:-1] or query.shape[1:-1] != key.shape[1:-1]:
        raise ShapeError(
            f"{name}: query {query.shape}, key {key.shape} and value {value.shape}; expected as many keys as values, and "
            "as many examples in all three (with batch_first=True, the first axis of what was given)"
        )
    if query.shape[-1] != embed_dim:
        raise ShapeError(
            f"{name}: query {query.shape}; its last size must be embed_dim, {embed_dim}"
        )


def _projected(
    given: tuple[Tensor, Tensor, Tensor], weight: Tensor | None, bias: Tensor | None,
    separate: tuple[Tensor | None, ...] | None,
) -> Sequence[Tensor]:  # fmt: skip
    """Queries, keys and values, projected; what is the same tensor is read once."""
    query, key, value = given
    biases = [None] * 3 if bias is None else chunk(bias, 3)
    if separate is not None:
        return [linear(x, w, b) for x, w, b in zip(given, separate, biases, strict=True)]  # type: ignore[arg-type]
    assert weight is not None
    if query is key is value:
        return chunk(linear(query, weight, bias), 3, axis=-1)
    size = weight.shape[0] // 3
    first = linear(query, weight[:size], biases[0])
    if key is value:
        rest = None if bias is None else bias[size:]
        return [first, *chunk(linear(key, weight[size:], rest), 2, axis=-1)]
    weights = chunk(weight, 3)
    return [first, linear(key, weights[1], biases[1]), linear(value, weights[2], biases[2])]


def _by_heads(x: Tensor, heads: int) -> Tensor:
    """(L, N, E) as (N, heads, L, E / heads)."""
    return permute_dims(reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), (1, 2, 0, 3))


def _causal(rows: int, keys: int) -> Tensor:
    """Which keys come after each query."""
    return arange(keys) > reshape(arange(rows), (-1, 1))


def _hidden(
    mask: Tensor | None, padding: Tensor | None, shape: tuple[int, int, int, int], name: str
) -> Tensor | None:
    """Two masks as one: bool, where a key is hidden, or numbers that are added to the scores.

    Args:
        shape: (N, heads, L, S); keys that were added behind those of the masks are seen.

    Raises:
        ShapeError: a mask has another shape.
    """
    count, heads, rows, keys = shape
    masks = []
    if mask is not None:
        if mask.ndim not in (2, 3) or mask.shape[:-1] not in ((rows,), (count * heads, rows)):
            raise ShapeError(
                f"{name}: attn_mask {mask.shape}; expected ({rows}, {keys}) or ({count * heads}, {rows}, {keys})"
            )
        masks.append(
            mask if mask.ndim == 2 else reshape(mask, (count, heads, rows, mask.shape[-1]))
        )
    if padding is not None:
        wanted = (count, keys)
        padding = expand_dims(padding, 0) if padding.ndim == 1 else padding
        if padding.ndim != 2 or padding.shape[0] != count:
            raise ShapeError(f"{name}: key_padding_mask {padding.shape}; expected {wanted}")
        masks.append(reshape(padding, (count, 1, 1, padding.shape[-1])))
    masks = [_seeing(x, keys - x.shape[-1], name) for x in masks]
    if all(x.dtype.is_bool for x in masks):
        return None if not masks else masks[0] if len(masks) == 1 else masks[0] | masks[1]
    masks = [where(x, -math.inf, 0.0) if x.dtype.is_bool else x for x in masks]
    return masks[0] if len(masks) == 1 else masks[0] + masks[1]


def _seeing(mask: Tensor, more: int, name: str) -> Tensor:
    """A mask for some keys more, which are seen."""
    if not 0 <= more <= 2:
        raise ShapeError(
            f"{name}: a mask for {mask.shape[-1]} keys, of which there are {mask.shape[-1] + more}"
        )
    return concat([mask, zeros_like(mask[..., :more])], axis=-1) if more else mask


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """Every query times every key; of half precision in float32, as they may be large."""
    if not (query.dtype.is_narrow and query.dtype is key.dtype):
        return query @ key.mT
    lead = broadcast_shapes([query.shape[:-2], key.shape[:-2]], "scaled_dot_product_attention")
    q, k = (broadcast_to(x, (*lead, *x.shape[-2:])) for x in (query, key))
    wide = replace(matmul_labels(q.ndim, k.ndim), wide=True)
    return apply(wide, (q, k.mT))


def _in_strips(
    lead: tuple[int, ...], query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None,
    is_causal: bool, factor: float,
) -> Tensor:  # fmt: skip
    """The same without the whole matrix of scores (`tessella.primitives.attention`)."""
    operands = [broadcast_to(x, (*lead, *x.shape[-2:])) for x in (query, key, value)]
    if mask is not None:
        operands.append(reshape(mask, ((1,) * (len(lead) + 2 - mask.ndim)) + mask.shape))
    return Attention(float(factor), is_causal)(*operands)


@public
def rotary_embedding(
    x: Tensor, positions: Tensor | None = None, base: float = 10000.0, interleaved: bool = False
) -> Tensor:
    """Pairs of features, turned by angles that grow with their place: positions as queries and keys see them.

    (x_i, x_j) -> (x_i cos a - x_j sin a, x_i sin a + x_j cos a), a = position / base^(2i / E); j is i + E/2, or, where pairs lie side
    by side (`interleaved`), i + 1. The product of a query and a key so turned depends on the distance of their positions alone.

    Args:
        positions: of the places, (L,) or with axes in front; 0, 1, ... unless given.

    Shapes: (..., L, E), E even; the same.

    Raises:
        ShapeError: E is odd.

    Source: Su et al., *RoFormer* (2021), equation 34.

    >>> import tessella as ts
    >>> rotary_embedding(ts.asarray([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.    , 0.    ],
            [0.5403, 0.8415]])
    """
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(f"rotary_embedding: shape {x.shape}; expected (..., L, E) with an even E")
    angles = _angles(arange(x.shape[-2]) if positions is None else positions, x.shape[-1], base)
    cosines, sines = cos(angles).astype(x.dtype), sin(angles).astype(x.dtype)
    half = x.shape[-1] // 2
    first, second = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = [first * cosines - second * sines, first * sines + second * cosines]
    return reshape(stack(turned, axis=-1), x.shape) if interleaved else concat(turned, axis=-1)


@public
def sinusoidal_embedding(positions: Tensor, embedding_dim: Count, base: float = 10000.0) -> Tensor:
    """Sines and cosines of positions, of wavelengths from 2 pi to 2 pi base; added to the embeddings of a sequence.

    PE(p, 2i) = sin(p / base^(2i / E)), PE(p, 2i + 1) = cos(p / base^(2i / E))

    Shapes: (...,) -> (..., embedding_dim).

    Raises:
        ArgumentError: embedding_dim is odd.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.5.

    >>> import tessella as ts
    >>> sinusoidal_embedding(ts.arange(2), 2)
    tensor([[0.    , 1.    ],
            [0.8415, 0.5403]])
    """
    if embedding_dim % 2:
        raise ArgumentError(
            f"sinusoidal_embedding: embedding_dim is {embedding_dim}; expected an even number"
        )
    angles = _angles(positions, embedding_dim, base)
    return reshape(stack([sin(angles), cos(angles)], axis=-1), (*positions.shape, embedding_dim))


def _angles(positions: Tensor, size: int, base: float) -> Tensor:
    """position / base^(2i / size), for each i below size / 2."""
    rates = exp(arange(0, size, 2).astype(float32) * (-math.log(base) / size))
    return expand_dims(positions, -1).astype(float32) * rates

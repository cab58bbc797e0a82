"""Attention: each place of a sequence takes a weighted mean of all places."""

from __future__ import annotations

import math
from dataclasses import replace

from tessella.arguments import public
from tessella.dtypes import is_half
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.dropout import dropout
from tessella.primitives.attention import Attention
from tessella.primitives.base import broadcast_shapes, size_of
from tessella.primitives.contraction import matmul_labels
from tessella.primitives.softmax import Softmax
from tessella.tensors.creation import arange
from tessella.tensors.elementwise import where
from tessella.tensors.manipulation import broadcast_to, reshape
from tessella.tensors.tensor import Tensor, apply

IN_STRIPS_FROM = 1 << 23  # bytes of scores; fewer stay in the cache as they are


@public
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(scale Q Kᵀ + mask) V, for each head.

    `attn_mask` is added, or, if it is bool, says which keys each query sees. `is_causal` lets each
    query see the keys up to its own place; a query that sees no key gets zeros. `scale` is 1 / sqrt(E) unless given. Long sequences are
    computed in strips of queries, and the matrix of scores is never there as a whole (unless the mask
    is one that is added, or there is dropout).

    Shapes: (..., L, E), (..., S, E) and (..., S, Ev) -> (..., L, Ev); the mask broadcasts to
        (..., L, S).

    Raises:
        ShapeError: queries and keys, or keys and values, do not fit.
        ArgumentError: both a mask and `is_causal` are given.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.2.1.

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
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    if dropout_p == 0.0 and (attn_mask is None or attn_mask.dtype.is_bool):
        lead = broadcast_shapes(
            [x.shape[:-2] for x in (query, key, value, attn_mask) if x is not None],
            "scaled_dot_product_attention",
        )
        scores_bytes = size_of((*lead, query.shape[-2], key.shape[-2])) * query.dtype.itemsize
        if scores_bytes > IN_STRIPS_FROM:
            return _in_strips(lead, query, key, value, attn_mask, is_causal, factor)
    scores = _scores(query, key) * factor  # (..., L, S)
    if is_causal:
        rows = reshape(arange(scores.shape[-2]), (-1, 1))
        scores = where(rows >= arange(scores.shape[-1]), scores, -math.inf)
    elif attn_mask is not None and attn_mask.dtype.is_bool:
        scores = where(attn_mask, scores, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights: Tensor = apply(Softmax(scores.ndim - 1, or_zero=True), (scores,))
    return dropout(weights, dropout_p).astype(value.dtype) @ value


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """Every query times every key; of half precision in float32, as they may be large."""
    if not (is_half(query.dtype) and query.dtype is key.dtype):
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

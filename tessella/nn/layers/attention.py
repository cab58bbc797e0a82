"""Attention with several heads, and the transformer's blocks that are made of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, NotNegative, Probability
from tessella.devices.registry import host
from tessella.errors import ArgumentError
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.containers import ModuleList
from tessella.nn.layers.dropout import Dropout
from tessella.nn.layers.linear import Linear
from tessella.nn.layers.normalisation import LayerNorm
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty, full
from tessella.tensors.matrices import triu
from tessella.tensors.tensor import Tensor

_OBJECTS = 1 << 15  # bytes of the objects of Python that a block is


class MultiheadAttention(Module):
    """Attention by several heads side by side: concat(head_1, ..., head_H) W_o + b_o, with

    head_h = softmax(Q_h K_hᵀ / sqrt(E / H) + mask) V_h, and Q, K, V the projected queries, keys and values.

    Args:
        kdim, vdim: the sizes of keys and values, if they are not `embed_dim`: then each projection has a weight of its own.
        add_bias_kv: one more key and value, which are learned.
        add_zero_attn: one more key and value, which are zeros.
        batch_first: whether (N, L, E) is given and returned, not (L, N, E).

    Parameters: `in_proj_weight` (3E, E), Xavier uniform (or `q_proj_weight`, `k_proj_weight`, `v_proj_weight`); `in_proj_bias` (3E,),
    zero; `out_proj`, a linear layer whose bias begins at zero; `bias_k`, `bias_v` (1, 1, E), Xavier normal.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.2.2.

    >>> import tessella as ts
    >>> output, weights = MultiheadAttention(8, 2)(*[ts.ones((5, 3, 8))] * 3)
    >>> output.shape, weights.shape
    ((5, 3, 8), (3, 5, 5))
    """

    @public
    def __init__(
        self, embed_dim: Count, num_heads: Count, dropout: Probability = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: Count | None = None,
        vdim: Count | None = None, batch_first: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: embed_dim is {embed_dim}, and num_heads {num_heads}; expected a multiple of it"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self._make_projections(bias)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(
                name, Parameter(empty((1, 1, embed_dim))) if add_bias_kv else None
            )
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias)
        self._reset()

    def _make_projections(self, bias: bool) -> None:
        size = self.embed_dim
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        apart = (self.kdim, self.vdim) != (size, size)
        for name, columns in zip(names, (size, self.kdim, self.vdim), strict=True):
            self.register_parameter(name, Parameter(empty((size, columns))) if apart else None)
        whole = None if apart else Parameter(empty((3 * size, size)))
        self.register_parameter("in_proj_weight", whole)
        self.register_parameter("in_proj_bias", Parameter(empty(3 * size)) if bias else None)

    def _reset(self) -> None:
        for name, parameter in self.named_parameters():
            if "proj_weight" in name:
                init.xavier_uniform_(parameter)
            elif name in ("bias_k", "bias_v"):
                init.xavier_normal_(parameter)
            elif "bias" in name:
                init.zeros_(parameter)

    @public
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None,
        average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """The result, and how much each query took of each key (None unless `need_weights`).

        Masks say which keys are hidden, where they are True, or are added to the scores; a query that sees no key takes nothing.

        Args:
            key_padding_mask: (N, S).
            attn_mask: (L, S), or (N * num_heads, L, S).
            average_attn_weights: the weights as the mean over the heads, (N, L, S), or of each, (N, num_heads, L, S).
            is_causal: each query sees the keys up to its own place, where no `attn_mask` says so.
        """
        turned = self.batch_first and query.ndim == 3
        if turned:
            query, key, value = _turned(query, key, value)
        output, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask,
            need_weights, attn_mask, self.in_proj_weight is None, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )  # fmt: skip
        return (output.swapaxes(0, 1) if turned else output), weights

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


def _turned(*given: Tensor) -> list[Tensor]:
    """Sequences first; what is one tensor stays one."""
    made: dict[int, Tensor] = {}
    return [made.setdefault(id(x), x.swapaxes(0, 1)) for x in given]


class _Block(Module):
    """What the layers of encoder and decoder have in common: attention, a network of two linear layers, and around each a
    residual connection, with the norm before it (`norm_first`) or after it."""

    @public
    def __init__(
        self, d_model: Count, nhead: Count, dim_feedforward: Count = 2048,
        dropout: Probability = 0.1, activation: Any = F.relu,
        layer_norm_eps: NotNegative = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        attention: dict[str, Any] = {"dropout": dropout, "bias": bias, "batch_first": batch_first}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if self.looks_at_memory:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias)
        count = 3 if self.looks_at_memory else 2
        self.norm_first = norm_first
        for number in range(1, count + 1):
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias))
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation, type(self).__name__)

    looks_at_memory = False

    def _around(self, number: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x + part(x), normalised."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


def _activation(given: Any, name: str) -> Callable[[Tensor], Tensor]:
    known = {"relu": F.relu, "gelu": F.gelu}
    found: Any = known.get(given) if isinstance(given, str) else given
    if not callable(found):
        raise ArgumentError(
            f"{name}: activation is {given!r}; expected 'relu', 'gelu', or a function"
        )
    return found


class TransformerEncoderLayer(_Block):
    """Attention of a sequence to itself, then two linear layers, each with a residual connection and a norm.

    x = norm1(x + dropout(attention(x)));  x = norm2(x + dropout(W_2 activation(W_1 x + b_1) + b_2))

    With `norm_first`: x = x + dropout(attention(norm1(x))), and so on.

    Shapes: (S, N, d_model), with `batch_first` (N, S, d_model), or (S, d_model); the same.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.1; Xiong et al., *On layer normalization in the
    transformer architecture* (2020), for `norm_first`.
    """

    @public
    def forward(
        self, src: Tensor, src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None, is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def attention(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )[0]

        return self._around(2, self._around(1, src, attention), self._feed_forward)


class TransformerDecoderLayer(_Block):
    """Attention of a sequence to itself, then to the encoder's result (`memory`), then two linear layers.

    Shapes: (T, N, d_model) and (S, N, d_model) -> (T, N, d_model); with `batch_first` N comes first.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.1.
    """

    looks_at_memory = True

    @public
    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def to_itself(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal
            )[0]

        def to_memory(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask,
                is_causal=memory_is_causal,
            )[0]  # fmt: skip

        x = self._around(2, self._around(1, tgt, to_itself), to_memory)
        return self._around(3, x, self._feed_forward)


class TransformerEncoder(Module):
    """Some copies of an encoder layer, one after the other, and perhaps a norm.

    `enable_nested_tensor` and `mask_check` of PyTorch's only speak of speed.
    """

    @public
    def __init__(
        self, encoder_layer: Module, num_layers: Count, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    @public
    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Some copies of a decoder layer, one after the other, and perhaps a norm."""

    @public
    def __init__(
        self, decoder_layer: Module, num_layers: Count, norm: Module | None = None
    ) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    @public
    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                bool(tgt_is_causal), memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


def _copies(layer: Module, count: int) -> ModuleList:
    size = sum(x.size * x.dtype.itemsize for x in layer.parameters())
    host().require_available(count * (size + _OBJECTS))  # before the first is made
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class Transformer(Module):
    """An encoder, and a decoder that looks at its result.

    Shapes: (S, N, d_model) and (T, N, d_model) -> (T, N, d_model); with `batch_first` N comes first.
    Initialisation: all matrices Xavier uniform.

    Source: Vaswani et al., *Attention is all you need* (2017).

    >>> import tessella as ts
    >>> model = Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> model(ts.ones((5, 3, 8)), ts.ones((4, 3, 8))).shape
    (4, 3, 8)
    """

    @public
    def __init__(
        self, d_model: Count = 512, nhead: Count = 8, num_encoder_layers: Count = 6,
        num_decoder_layers: Count = 6, dim_feedforward: Count = 2048, dropout: Probability = 0.1,
        activation: Any = F.relu, custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: NotNegative = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias,
        )  # fmt: skip

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*options), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*options), num_decoder_layers, norm()
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @public
    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            tgt_is_causal, memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int) -> Tensor:
        """What is added to scores so that each place sees those up to its own: -inf above the diagonal.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        return triu(full((sz, sz), float("-inf")), k=1)


class RotaryEmbedding(Module):
    """Queries or keys, turned by angles that grow with their place (`F.rotary_embedding`); no parameters.

    Source: Su et al., *RoFormer* (2021).

    >>> import tessella as ts
    >>> RotaryEmbedding()(ts.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    @public
    def __init__(self, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        self.base, self.interleaved = base, interleaved

    @public
    def forward(self, input: Tensor, positions: Tensor | None = None) -> Tensor:
        return F.rotary_embedding(input, positions, self.base, self.interleaved)

    def extra_repr(self) -> str:
        return f"base={self.base}, interleaved={self.interleaved}"


class SinusoidalEmbedding(Module):
    """Positions as sines and cosines (`F.sinusoidal_embedding`); no parameters.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.5.

    >>> import tessella as ts
    >>> SinusoidalEmbedding(8)(ts.arange(5)).shape
    (5, 8)
    """

    @public
    def __init__(self, embedding_dim: Count, base: float = 10000.0) -> None:
        super().__init__()
        self.embedding_dim, self.base = embedding_dim, base

    @public
    def forward(self, positions: Tensor) -> Tensor:
        return F.sinusoidal_embedding(positions, self.embedding_dim, self.base)

    def extra_repr(self) -> str:
        return f"{self.embedding_dim}, base={self.base}"

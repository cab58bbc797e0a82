"""Attention and the transformer's blocks."""

import numpy as np

from .case import Case, case, normal, whole

PADDING = np.arange(5) >= np.array([[5], [3], [4]])
CAUSAL = np.triu(np.ones((4, 4), bool), 1)
ADDED = np.where(CAUSAL, -np.inf, 0.25 * normal(4, 4, seed=7)).astype(np.float32)


def given(*shapes):
    return tuple(normal(*shape, seed=seed) for seed, shape in enumerate(shapes))


def heads(inputs, call=None, tolerance=1e-5, **options):
    return Case(
        "MultiheadAttention",
        inputs,
        {"embed_dim": 6, "num_heads": 2, **options},
        call or {},
        None,
        tolerance,
    )


def block(name, inputs, call=None, **options):
    options = {"d_model": 6, "nhead": 2, "dim_feedforward": 7, "dropout": 0.0, **options}
    return Case(name, inputs, options, call or {}, None, 2e-5)


CROSS = given((4, 3, 6), (5, 3, 6), (5, 3, 6))
CASES = [
    heads(CROSS),
    heads(CROSS, bias=False, batch_first=False),
    heads(given((3, 4, 6), (3, 5, 6), (3, 5, 6)), batch_first=True),
    heads(given((4, 6), (5, 6), (5, 6))),
    heads(given((4, 6), (5, 6), (5, 6)), {"key_padding_mask": PADDING[1], "average_attn_weights": False}),
    heads(given((4, 3, 6), (5, 3, 4), (5, 3, 8)), kdim=4, vdim=8),
    heads(CROSS, {"need_weights": False, "key_padding_mask": PADDING}),
    heads(CROSS, {"key_padding_mask": PADDING, "average_attn_weights": False}, add_bias_kv=True, add_zero_attn=True),
    heads(CROSS, {"key_padding_mask": np.where(PADDING, -1.5, 0.0).astype(np.float32)}),
    heads(given(*[(4, 3, 6)] * 3), {"attn_mask": CAUSAL, "is_causal": True}, num_heads=3),
    heads(given(*[(4, 3, 6)] * 3), {"attn_mask": ADDED, "need_weights": False}),
    heads(given(*[(4, 3, 6)] * 3), {"attn_mask": normal(6, 4, 4), "key_padding_mask": PADDING[:, :4]}, add_zero_attn=True),
    heads(given((0, 3, 6), (5, 3, 6), (5, 3, 6))),
    heads(given((1, 1, 6), (1, 1, 6), (1, 1, 6)), num_heads=6),
    block("TransformerEncoderLayer", given((4, 3, 6))),
    block("TransformerEncoderLayer", given((3, 4, 6)), {"src_key_padding_mask": PADDING[:, :4]}, batch_first=True, norm_first=True, activation="gelu"),
    block("TransformerEncoderLayer", given((4, 3, 6)), {"src_mask": CAUSAL, "is_causal": True}, bias=False, layer_norm_eps=1e-3),
    block("TransformerDecoderLayer", given((4, 3, 6), (5, 3, 6))),
    block("TransformerDecoderLayer", given((3, 4, 6), (3, 5, 6)), {"tgt_mask": CAUSAL, "memory_key_padding_mask": PADDING}, batch_first=True, norm_first=True),
    block("Transformer", given((5, 3, 6), (4, 3, 6)), {"tgt_mask": CAUSAL, "src_key_padding_mask": PADDING, "memory_key_padding_mask": PADDING}, num_encoder_layers=2, num_decoder_layers=1),
    case("scaled_dot_product_attention", *given((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 2)), scale=0.3),
    case("scaled_dot_product_attention", *given((4, 6), (4, 6), (4, 6)), is_causal=True),
    case("scaled_dot_product_attention", *given((2, 6, 4, 3), (2, 2, 5, 3), (2, 2, 5, 3)), enable_gqa=True),
    case("scaled_dot_product_attention", *given((2, 6, 4, 3), (2, 2, 5, 3), (2, 2, 5, 3)), normal(6, 4, 5), enable_gqa=True),
    case("scaled_dot_product_attention", *given((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 2)), whole(2, 4, 5).astype(bool) | (np.arange(5) == 0)),
]  # fmt: skip

"""Tables of rows."""

import numpy as np

from .case import Case, case, normal, whole

PLACES = np.array([1, 2, 2, 0, 4, 2, 1])
STARTS = np.array([0, 2, 2, 5])


def table(name, inputs, call=None, **options):
    return Case(name, inputs, {"num_embeddings": 5, "embedding_dim": 3, **options}, call or {})


def bag(call, **options):
    return table("EmbeddingBag", (PLACES,), {"offsets": STARTS, **call}, **options)


CASES = [
    table("Embedding", (whole(5, 2, 4),)),
    table("Embedding", (whole(5, 2, 4),), padding_idx=1),
    table("Embedding", (whole(5, 2, 4),), padding_idx=-1, scale_grad_by_freq=True),
    table("Embedding", (whole(5, 2, 4),), max_norm=1.0),
    table("Embedding", (whole(5, 3),), max_norm=1.5, norm_type=1.0),
    table("Embedding", (np.zeros((0, 2), int),)),
    case("embedding", np.array(3), normal(5, 2)),
    case("embedding", PLACES, normal(5, 2), padding_idx=2, scale_grad_by_freq=True),
    *[bag({}, mode=mode) for mode in ("sum", "mean", "max")],
    *[bag({}, mode=mode, padding_idx=2) for mode in ("sum", "mean", "max")],
    bag({"per_sample_weights": normal(7)}, mode="sum"),
    bag({"offsets": np.array([0, 2, 2, 5, 7])}, include_last_offset=True, mode="max"),
    bag({"offsets": np.array([0, 0, 7])}, max_norm=1.0),
    *[table("EmbeddingBag", (whole(5, 3, 4),), mode=mode, padding_idx=1) for mode in ("sum", "mean", "max")],
]  # fmt: skip

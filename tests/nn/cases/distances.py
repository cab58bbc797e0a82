"""Distances, similarities, and what is linear in two inputs."""

import math

import numpy as np

from .case import case, normal

X, Y = normal(5, 4), normal(5, 4, seed=3)
ZERO = np.where(np.arange(5)[:, None] == 2, np.float32(0), X)
CASES = [
    case("cosine_similarity", X, Y), case("CosineSimilarity", normal(2, 3, 4), normal(2, 3, 1, seed=3), dim=2, eps=0.05),
    case("cosine_similarity", normal(1, 1), normal(1, 1, seed=3), dim=0), case("cosine_similarity", normal(0, 4), normal(0, 4)),
    case("cosine_similarity", normal(3, 5, 2), normal(5, 2, seed=3), dim=-2), case("cosine_similarity", X[0], Y[0], dim=0),
    case("pairwise_distance", X, Y), case("PairwiseDistance", X, Y, p=1.0, eps=0.1, keepdim=True),
    case("PairwiseDistance", X, Y, p=math.inf), case("pairwise_distance", X, Y, p=3.0), case("pairwise_distance", X, Y[:1], p=0.5),
    case("pairwise_distance", normal(4), normal(4, seed=3)), case("PairwiseDistance", normal(0, 4), normal(0, 4)),
    case("pdist", X), case("pdist", X, p=1.0), case("pdist", X, p=3.0), case("pdist", X, p=math.inf), case("pdist", normal(7, 1), p=0.0),
    case("pdist", np.ones((3, 2), np.float32)), case("pdist", X, p=0.5),
    case("normalize", X), case("normalize", ZERO, p=1.0, dim=-1), case("normalize", X, p=3.0, dim=0), case("normalize", X / 10, eps=1.0),
    case("normalize", normal(2, 3, 4), dim=(0, 2)), case("normalize", X, p=math.inf), case("normalize", normal(0, 4)),
    case("bilinear", normal(5, 3), normal(5, 2, seed=3), normal(4, 3, 2, seed=4), normal(4, seed=5)),
    case("bilinear", normal(2, 5, 3), normal(2, 5, 2, seed=3), normal(1, 3, 2, seed=4)),
    case("Bilinear", normal(5, 3), normal(5, 2, seed=3), in1_features=3, in2_features=2, out_features=4),
    case("Bilinear", normal(3), normal(1, seed=3), in1_features=3, in2_features=1, out_features=1, bias=False),
    case("Bilinear", normal(0, 3), normal(0, 2), in1_features=3, in2_features=2, out_features=2),
    case("Unflatten", normal(2, 6, 3), dim=1, unflattened_size=(2, 3)), case("Unflatten", normal(2, 6), dim=-1, unflattened_size=(3, -1)),
]  # fmt: skip

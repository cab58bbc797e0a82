"""Optimisers, under PyTorch's names."""

from tessella.optim.adam import Adam, AdamW
from tessella.optim.optimiser import Optimizer
from tessella.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]

"""Transformations of functions: `jit`."""

from tessella.transforms.jit import Jitted, jit
from tessella.transforms.tuning import forget_tuning, tune

__all__ = ["Jitted", "forget_tuning", "jit", "tune"]

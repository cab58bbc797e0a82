"""Transformations of functions: `jit`."""

from tessella.transforms.jit import Jitted, jit

__all__ = ["Jitted", "jit"]

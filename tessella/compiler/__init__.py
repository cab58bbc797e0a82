"""How primitives run: by reference, or eagerly through compiled kernels."""

from tessella.compiler.eager import backend, current_backend, run

__all__ = ["backend", "current_backend", "run"]

"""Tensors and the functions on them: the Array API and what training needs."""

from tessella.tensors.methods import binding as _binding  # noqa: F401  # tensors get their methods

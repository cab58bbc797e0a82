"""Tensors and the functions on them: the Array API and what training needs."""

"""Sizes that are not known while a function is traced: polynomials, sizes made of them, and what is asked about them."""

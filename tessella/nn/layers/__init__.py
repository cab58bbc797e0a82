"""Layers with parameters and state, by family, under PyTorch's names; `nn/functional/` has their functions."""

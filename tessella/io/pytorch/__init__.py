"""PyTorch's files, read and written without PyTorch; nothing in them is executed."""

from tessella.io.pytorch.reading import is_pytorch, load_pytorch
from tessella.io.pytorch.writing import save_pytorch

__all__ = ["is_pytorch", "load_pytorch", "save_pytorch"]

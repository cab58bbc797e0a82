"""GGUF files, in which language models come with few bits a weight."""

from tessella.io.gguf.reading import GGUF, is_gguf, load_gguf

__all__ = ["GGUF", "is_gguf", "load_gguf"]

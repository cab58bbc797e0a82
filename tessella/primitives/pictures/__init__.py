"""Graphs as pictures: SVG with a layout of our own, DOT, and Mermaid."""

from tessella.primitives.pictures.drawn import DrawnGraph, drawn
from tessella.primitives.pictures.svg import to_svg
from tessella.primitives.pictures.text import to_dot, to_mermaid

__all__ = ["DrawnGraph", "drawn", "to_dot", "to_mermaid", "to_svg"]

"""Graphs that people hold: they can be read, and drawn."""

from __future__ import annotations

from tessella.primitives.graph import Graph
from tessella.primitives.pictures.svg import to_svg
from tessella.primitives.pictures.text import to_dot, to_mermaid


class DrawnGraph(Graph):
    """A graph with its pictures.

    >>> from tessella import jit, ones
    >>> graph = jit(lambda x: x + 1).graph(ones(3))
    >>> graph
    <graph of 1 input, 1 operation, 1 result; print it to read it>
    >>> graph.to_mermaid()[:12]
    'flowchart TD'
    """

    def to_svg(self) -> str:
        """A picture: boxes coloured by family, from top to bottom, with sizes and user lines."""
        return to_svg(self)

    def to_dot(self) -> str:
        """The graph in Graphviz' language."""
        return to_dot(self)

    def to_mermaid(self) -> str:
        """The graph in Mermaid's language."""
        return to_mermaid(self)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        """For notebooks: the picture, in a frame that scrolls."""
        return f'<div style="overflow:auto;max-height:80vh">{self.to_svg()}</div>'


def drawn(graph: Graph) -> DrawnGraph:
    """The same graph, with pictures."""
    return DrawnGraph(graph.inputs, graph.nodes, graph.outputs, graph.constants)

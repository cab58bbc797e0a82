"""What a network is made of: its layers in the order in which they are called, with shapes, parameters, work and memory."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from tessella import autodiff
from tessella.dtypes import DType
from tessella.primitives.base import Composite, Spec
from tessella.primitives.contraction import Contraction
from tessella.primitives.control.base import Control
from tessella.primitives.control.scan_loop import ScanLoop
from tessella.primitives.graph import GraphNode, add_node
from tessella.tensors.tensor import Tensor
from tessella.transforms import trees
from tessella.transforms.recording import InnerTrace, record

_mode = autodiff.mode


class Zeros:
    """A tensor of which only shape and dtype are known."""

    def __init__(self, shape: tuple[int, ...], dtype: DType) -> None:
        self.shape, self.dtype = shape, dtype


class LayerSummary(NamedTuple):
    """One call of a layer.

    Args:
        name: of the layer in the network, dotted; "" for the network itself.
        kind: its class.
        inputs, outputs: shapes.
        parameters: numbers in its parameters and those of the layers below; 0 where they have been counted before.
        flops: additions and multiplications of products and convolutions, two for each multiply-add.
        nbytes: of the outputs.
    """

    name: str
    kind: str
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    parameters: int
    flops: int
    nbytes: int

    @property
    def depth(self) -> int:
        return self.name.count(".") + 1 if self.name else 0


class NetworkSummary(NamedTuple):
    """The layers of a network in the order of their calls, the network itself first; printed, a table.

    Args:
        buffers: bytes of what is no parameter.
        activations: bytes of the outputs of the layers without layers below, of which training keeps most.
    """

    layers: tuple[LayerSummary, ...]
    trainable: int
    frozen: int
    nbytes: int
    buffers: int
    activations: int

    @property
    def flops(self) -> int:
        """Of one call of the network."""
        return self.layers[0].flops

    def __str__(self) -> str:
        return "\n".join([*_lines(list(self._rows())), "", *self._totals()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        totals = "<br>".join(map(html.escape, self._totals()))
        return f"<table><tr>{cells}</tr>{body}</table><p>{totals}</p>"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        yield "layer", "input", "output", "parameters", "FLOPs", "output memory"
        for layer in self.layers:
            called = f"{layer.name.rpartition('.')[2]}: {layer.kind}" if layer.name else layer.kind
            yield (
                "  " * layer.depth + called, _shapes(layer.inputs), _shapes(layer.outputs),
                f"{layer.parameters:,}", _scaled(layer.flops, 1000, ("", "k", "M", "G", "T", "P")),
                _memory(layer.nbytes),
            )  # fmt: skip

    def _totals(self) -> list[str]:
        work = _scaled(self.flops, 1000, ("", "k", "M", "G", "T", "P"))
        return [
            f"parameters: {self.trainable + self.frozen:,}, of which {self.trainable:,} are trained ({_memory(self.nbytes)})"
            + (f"; buffers: {_memory(self.buffers)}" if self.buffers else ""),
            f"FLOPs of a call: {work}; outputs of the layers: {_memory(self.activations)}",
        ]


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """A table: the first three columns to the left, numbers to the right, a rule below the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    made = [
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [made[0], "-" * len(made[0]), *made[1:]]


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "()" for shape in shapes)


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if value < step:
            return f"{value:.3g} {unit}".rstrip() if unit else f"{value:.0f}"
        value /= step
    return f"{value:.3g} {units[-1]}"


def _memory(nbytes: int) -> str:
    return (
        _scaled(nbytes, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))
        if nbytes >= 1024
        else f"{nbytes} B"
    )


def summarised(module: Any, inputs: Sequence[Any]) -> NetworkSummary:
    """Call a module in evaluation mode, in a trace that computes nothing, and note what its layers do.

    Args:
        inputs: what it is called with; shapes and dtypes stand for tensors.
    """
    leaves, structure = trees.flatten(tuple(inputs))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, (Tensor, Zeros))]
    notes = _Notes(module)

    def called(*given: Any) -> Any:
        arguments = trees.with_leaves(structure, leaves, places, given)
        with notes.taken():
            return module(*arguments)

    specs = [Spec(leaves[place].shape, leaves[place].dtype) for place in places]
    modes = [(below, below.training) for below in module.modules()]
    try:
        module.eval()
        with autodiff.no_grad():
            record(InnerTrace("summary", inlines=True), called, specs)
    finally:
        for below, training in modes:
            below.training = training
    return notes.summary()


class _Notes:
    """What is noted while a module is called."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.names = {id(below): name for name, below in module.named_modules()}
        self.begun: list[tuple[int, int]] = []  # rows, and nodes that were there
        self.rows: list[Any] = []
        self.counted: set[int] = set()  # parameters

    def taken(self) -> ExitStack:
        """In the block, calls of the modules are noted."""
        stack = ExitStack()
        for below in self.module.modules():
            for handle in (
                below.register_forward_pre_hook(self.enter, prepend=True),
                below.register_forward_hook(self.leave),
            ):
                stack.callback(handle.remove)
        return stack

    def enter(self, module: Any, inputs: Any) -> None:
        fresh = [p for p in module.parameters() if id(p) not in self.counted]
        self.begun.append((len(self.rows), len(_mode.trace.nodes)))
        self.rows.append((module, _of_tensors(inputs), sum(p.size for p in fresh)))
        if not list(module.children()):
            self.counted |= {id(p) for p in fresh}

    def leave(self, module: Any, inputs: Any, result: Any) -> None:
        row, before = self.begun.pop()
        _, given, parameters = self.rows[row]
        nodes = _mode.trace.nodes[before:]
        found = _tensors(result)
        self.rows[row] = module, LayerSummary(
            self.names[id(module)], type(module).__name__, given, _of_tensors(result), parameters,
            sum(flops_of(node) for node in nodes), sum(x.size * x.dtype.itemsize for x in found),
        )  # fmt: skip
        self.counted |= {id(p) for p in module.parameters()}

    def summary(self) -> NetworkSummary:
        parameters = list(self.module.parameters())
        trained = sum(p.size for p in parameters if p.requires_grad)
        return NetworkSummary(
            tuple([layer for _, layer in self.rows]), trained, sum(p.size for p in parameters) - trained,
            sum(p.size * p.dtype.itemsize for p in parameters),
            sum(x.size * x.dtype.itemsize for x in self.module.buffers()),
            sum(layer.nbytes for module, layer in self.rows if not list(module.children())),
        )  # fmt: skip


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in trees.flatten(tree)[0] if isinstance(leaf, Tensor)]


def _of_tensors(tree: Any) -> tuple[tuple[int, ...], ...]:
    return tuple([tuple(x.shape) for x in _tensors(tree)])


def flops_of(node: GraphNode) -> int:
    """Additions and multiplications of the products in a node; those of a loop as often as it turns, if that is known, and of
    branches the most expensive one's."""
    primitive, inputs = node.primitive, node.inputs
    if isinstance(primitive, Contraction):
        return 2 * primitive.multiply_adds(*inputs)  # type: ignore[arg-type]
    if isinstance(primitive, Composite):
        steps: list[GraphNode] = []
        primitive.steps(lambda inner, operands: add_node(steps, inner, operands), inputs)
        return sum(map(flops_of, steps))
    if isinstance(primitive, Control):
        inside = [sum(map(flops_of, graph.nodes)) for graph in primitive.graphs.values()]
        turns = primitive.length if isinstance(primitive, ScanLoop) else 1
        return turns * max(inside, default=0)
    return 0

"""The works of inference in ONNX Runtime: graphs written by hand, in the operators it fuses itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
OPERATORS = 20  # the version of the operator set: the first with Gelu
THREADS = 2


def floats(*shape: int) -> Any:
    return random.standard_normal(shape).astype(np.float32)


class Graph:
    """A graph while it is written: nodes, weights and inputs."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.inputs: list[Any] = []

    def input(self, array: Any) -> str:
        name = f"input{len(self.inputs)}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        return name

    def weight(self, array: Any) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def linear(self, x: str, inside: int, outside: int) -> str:
        product = self("MatMul", x, self.weight(floats(inside, outside) / np.float32(inside**0.5)))
        return self("Add", product, self.weight(np.zeros(outside, np.float32)))

    def norm(self, x: str, width: int) -> str:
        ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
        return self("LayerNormalization", x, self.weight(ones), self.weight(zeros), axis=-1)

    def step(self, result: str, data: list[Any]) -> Any:
        """A function of the data that runs the graph."""
        output = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "work", self.inputs, [output], self.weights)
        version = helper.make_opsetid("", OPERATORS)
        model = helper.make_model(graph, opset_imports=[version], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [value.name for value in self.inputs]
        return lambda *data: session.run(None, dict(zip(names, data, strict=True))), data


def softmax() -> Any:
    graph, data = Graph(), [floats(4096, 1024)]
    return graph.step(graph("Softmax", graph.input(data[0]), axis=-1), data)


def gelu_layer_norm() -> Any:
    graph, data = Graph(), [floats(4096, 1024)]
    return graph.step(graph("Gelu", graph.norm(graph.input(data[0]), 1024)), data)


def chain() -> Any:
    graph, data = Graph(), [floats(4096, 1024)]
    x = graph.input(data[0])
    one, two, three = (graph.weight(np.float32(n)) for n in (1, 2, 3))
    sigmoid = graph("Sigmoid", graph("Add", graph("Mul", x, two), one))
    product = graph("Mul", sigmoid, graph("Tanh", x))
    return graph.step(graph("Sub", product, graph("Min", graph("Exp", x), three)), data)


def product(size: int) -> Any:
    graph, data = Graph(), [floats(size, size), floats(size, size)]
    return graph.step(graph("MatMul", *map(graph.input, data)), data)


def matrix_vector() -> Any:
    graph, data = Graph(), [floats(1, 4096)]
    return graph.step(graph.linear(graph.input(data[0]), 4096, 4096), data)


def convolution() -> Any:
    graph, data = Graph(), [floats(8, 64, 56, 56)]
    weights = graph.weight(floats(64, 64, 3, 3) / 24), graph.weight(np.zeros(64, np.float32))
    made = graph("Conv", graph.input(data[0]), *weights, pads=[1, 1, 1, 1])
    return graph.step(graph("Relu", made), data)


def _attention(graph: Graph, h: str, heads: int, length: int, width: int) -> str:
    shape = graph.weight(np.array([1, length, 3, heads, width // heads]))
    parts = graph("Reshape", graph.linear(h, width, 3 * width), shape)
    q, k, v = (
        graph("Transpose", graph("Gather", parts, graph.weight(np.int64(n)), axis=2), perm=order)
        for n, order in enumerate(([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    )
    scale = graph.weight(np.float32((width // heads) ** -0.5))
    weights = graph("Softmax", graph("Mul", graph("MatMul", q, k), scale), axis=-1)
    seen = graph("Transpose", graph("MatMul", weights, v), perm=[0, 2, 1, 3])
    return graph("Reshape", seen, graph.weight(np.array([1, length, width])))


def bert(length: int = 128, width: int = 768, heads: int = 12, layers: int = 12) -> Any:
    graph, data = Graph(), [random.integers(0, 30522, (1, length))]
    tokens = graph("Gather", graph.weight(floats(30522, width)), graph.input(data[0]))
    h = graph.norm(graph("Add", tokens, graph.weight(floats(length, width))), width)
    for _ in range(layers):
        seen = graph.linear(_attention(graph, h, heads, length, width), width, width)
        h = graph.norm(graph("Add", h, seen), width)
        inside = graph("Gelu", graph.linear(h, width, 4 * width))
        h = graph.norm(graph("Add", h, graph.linear(inside, 4 * width, width)), width)
    return graph.step(h, data)

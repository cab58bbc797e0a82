"""Whole works, compiled: Tessella eager and compiled, PyTorch eager and compiled, JAX, and where they
apply NumPy and ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from report import Table
from timer import compare, readable

WORKS = {
    # name: (what it is, how it is asked for, what must be reached)
    "split": ("MLP 2-100-100-1, batch 10, train", (), "≤ 1/10 PyTorch, ≤ 1/6 JAX"),
    "mlp": ("MLP 784-512-512-10, batch 128, train", (), "≤ 1/1.4 best"),
    "cnn": ("CNN 28×28, batch 64, Adam, train", (), "≤ 1/1.3 best"),
    "softmax": ("softmax 4096×1024", (), "≤ 1.0 × best"),
    "gelu_layer_norm": ("GELU(LayerNorm) 4096×1024", (), "≤ 1/1.5 best"),
    "chain": ("elementwise chain 4096×1024", (), "≤ 1/1.3 best"),
    "convolution": ("conv 64→64 3×3, 56×56, batch 8, ReLU", (), "≤ 1.0 × best"),
    "matrix_vector": ("linear 4096→4096, batch 1", (), ""),
    "product 256": ("matmul 256³", (256,), ""),
    "product 512": ("matmul 512³", (512,), "≤ 1/1.15 best"),
    "product 1024": ("matmul 1024³", (1024,), "≤ 1/1.15 best"),
    "product 2048": ("matmul 2048³", (2048,), "≤ 1/1.15 best"),
    "product_bfloat16 256": ("matmul 256³ in bfloat16", (256,), ""),
    "product_bfloat16 512": ("matmul 512³ in bfloat16", (512,), ""),
    "product_bfloat16 1024": ("matmul 1024³ in bfloat16", (1024,), ""),
    "product_bfloat16 2048": ("matmul 2048³ in bfloat16", (2048,), ""),
    "attention": ("causal attention, 12 heads of 64, T 2048, with gradients", (), ""),
    "embedding": ("embedding 10000×256 and its gradient, 8192 tokens", (), ""),
    "lstm": ("LSTM language model 256, T 64, batch 32, Adam, train", (), ""),
    "bert": ("BERT-base, batch 1, 128 tokens", (), "≤ 1/1.15 best"),
    "gpt": ("GPT 6×384, T 128, batch 8, AdamW, train", (), "≤ 1/1.3 best"),
    "resnet": ("ResNet-18 32×32, batch 64, train", (), ""),
}


OWN = ["Tessella", "eager"]
PEERS = ["PyTorch", "torch.compile", "JAX", "NumPy", "ONNX Runtime"]
SLOW = (
    "product_bfloat16 1024",
    "product_bfloat16 2048",
)  # seconds a call in PyTorch without AVX-512


def compiled(names: list[str] | None = None) -> Table:
    """The same work in every framework, in turns."""
    columns = ["work", *OWN, *PEERS, "limits of the machine", "ratio to the best", "must reach"]
    table = Table("compiled", columns)
    for name in names or WORKS:
        title, arguments, target = WORKS[name]
        function = name.split()[0]
        own = contenders(function, arguments, compiles=name not in SLOW)
        limit = limits_of(*own.pop("limits"))
        found = compare(own, rounds=_rounds(name))
        table.add(title, found, target, [n for n in found if n in PEERS], note=limit)
        print("   ", {n: readable(m.median) for n, m in found.items()}, limit)
    return table


def _rounds(name: str) -> int:
    if name in SLOW:
        return 2
    return 5 if name in ("gpt", "bert", "resnet") else 9


def limits_of(jitted: Any, data: Any) -> str:
    """What the machine needs at least: for the multiply-adds, and to move inputs and results once."""
    explained = jitted.explain(*data)
    program = explained.program
    values = [*program.graph.inputs, *program.graph.outputs]
    nbytes = sum(math.prod(value.shape) * value.dtype.itemsize for value in values)
    arithmetic = sum(row.arithmetic for row in explained.rows)
    return f"FMA {readable(arithmetic)}, memory {readable(nbytes / explained.program.device.limits.bytes_per_second())}"


def contenders(name: str, arguments: tuple[int, ...], compiles: bool = True) -> dict[str, Any]:
    """The work as functions of no arguments; each waits until its result is there.

    Under "limits" the compiled function and its data.
    """
    import torch
    from works import own, pytorch, with_jax, with_numpy, with_onnxruntime

    import tessella as ts

    found: dict[str, Any] = {}
    step, data = getattr(own, name)(*arguments)
    jitted = ts.jit(step)
    found["limits"] = jitted, data
    found["Tessella"] = lambda: jitted(*data)
    eager_step, eager_data = getattr(own, name)(*arguments)
    found["eager"] = lambda: eager_step(*eager_data)
    torch_step, torch_data = getattr(pytorch, name)(*arguments)
    found["PyTorch"] = lambda: torch_step(*torch_data)
    if compiles:
        other_step, other_data = getattr(pytorch, name)(*arguments)
        faster = torch.compile(other_step)
        found["torch.compile"] = lambda: faster(*other_data)
    if hasattr(with_jax, name):
        jax_step, jax_data = getattr(with_jax, name)(*arguments)
        found["JAX"] = lambda: jax_step(*jax_data).block_until_ready()
    for label, works in (("NumPy", with_numpy), ("ONNX Runtime", with_onnxruntime)):
        if hasattr(works, name):
            found[label] = _called(*getattr(works, name)(*arguments))
    return found


def _called(step: Callable[..., Any], data: Any) -> Callable[[], Any]:
    return lambda: step(*data)

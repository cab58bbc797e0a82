"""The works in JAX: pure functions of trees of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

random = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return jnp.asarray(random.standard_normal(shape).astype(np.float32))


def classes(count: int, *shape: int) -> Any:
    return jnp.asarray(random.integers(0, count, shape).astype(np.int32))


def trained(parameters: Any, loss: Callable[..., Any], update: Any, data: Any) -> Any:
    """A step that keeps its parameters and the optimiser's state between calls."""
    start, move = update

    def step(state: Any, *data: Any) -> Any:
        parameters, memory = state
        value, gradients = jax.value_and_grad(loss)(parameters, *data)
        return move(parameters, gradients, memory), value

    compiled = jax.jit(step, donate_argnums=0)
    held = [(parameters, start(parameters))]

    def run(*data: Any) -> Any:
        held[0], value = compiled(held[0], *data)
        return value

    return run, data


def sgd(rate: float, momentum: float = 0.0) -> Any:
    def move(p: Any, g: Any, v: Any) -> Any:
        if momentum:
            v = jax.tree.map(lambda v, g: momentum * v + g, v, g)
            g = v
        return jax.tree.map(lambda p, g: p - rate * g, p, g), v

    return lambda p: jax.tree.map(jnp.zeros_like, p) if momentum else None, move


def adam(rate: float = 1e-3, decay: float = 0.0) -> Any:
    def move(p: Any, g: Any, state: Any) -> Any:
        m, v, t = state
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9**t, 1 - 0.999**t
        p = jax.tree.map(
            lambda p, m, v: p * (1 - rate * decay) - rate * (m / a) / (jnp.sqrt(v / b) + 1e-8),
            p, m, v,
        )  # fmt: skip
        return p, (m, v, t)

    return lambda p: (
        jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.zeros(())
    ), move  # fmt: skip


def linear(inside: int, outside: int) -> Any:
    return {"w": floats(inside, outside) / np.sqrt(inside), "b": jnp.zeros(outside)}


def dense(p: Any, x: Any) -> Any:
    return x @ p["w"] + p["b"]


def cross_entropy(logits: Any, labels: Any) -> Any:
    logs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(logs, labels[..., None], -1).mean()


def split() -> Any:
    p = [linear(2, 100), linear(100, 100), linear(100, 1)]

    def loss(p: Any, x: Any, y: Any) -> Any:
        z = dense(p[2], jax.nn.relu(dense(p[1], jax.nn.relu(dense(p[0], x)))))
        return (jnp.logaddexp(z, 0) - z * y).mean()

    labels = jnp.asarray((random.random((10, 1)) > 0.5).astype(np.float32))
    return trained(p, loss, sgd(0.05), [floats(10, 2), labels])


def mlp() -> Any:
    p = [linear(784, 512), linear(512, 512), linear(512, 10)]

    def loss(p: Any, x: Any, y: Any) -> Any:
        return cross_entropy(dense(p[2], jax.nn.relu(dense(p[1], jax.nn.relu(dense(p[0], x))))), y)

    return trained(p, loss, sgd(0.1), [floats(128, 784), classes(10, 128)])


def conv(x: Any, w: Any, stride: int = 1, padding: str = "SAME") -> Any:
    return jax.lax.conv_general_dilated(x, w, (stride, stride), padding)


def cnn() -> Any:
    p = {
        "c1": floats(32, 1, 3, 3) / 3, "b1": jnp.zeros(32), "c2": floats(64, 32, 3, 3) / 17,
        "b2": jnp.zeros(64), "l1": linear(9216, 128), "l2": linear(128, 10),
    }  # fmt: skip

    def loss(p: Any, x: Any, y: Any) -> Any:
        x = jax.nn.relu(conv(x, p["c1"], 1, "VALID") + p["b1"][:, None, None])
        x = jax.nn.relu(conv(x, p["c2"], 1, "VALID") + p["b2"][:, None, None])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return cross_entropy(dense(p["l2"], jax.nn.relu(dense(p["l1"], x.reshape(len(x), -1)))), y)

    return trained(p, loss, adam(), [floats(64, 1, 28, 28), classes(10, 64)])


def norm(p: Any, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    centred = x - mean
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]


def attend(p: Any, x: Any, heads: int, causal: bool) -> Any:
    batch, length, width = x.shape
    parts = dense(p["qkv"], x).reshape(batch, length, 3, heads, width // heads)
    seen = jax.nn.dot_product_attention(
        parts[:, :, 0], parts[:, :, 1], parts[:, :, 2], is_causal=causal
    )
    return dense(p["out"], seen.reshape(batch, length, width))


def block(width: int) -> Any:
    ones = lambda: {"w": jnp.ones(width), "b": jnp.zeros(width)}  # noqa: E731
    return {
        "n1": ones(), "n2": ones(), "qkv": linear(width, 3 * width), "out": linear(width, width),
        "up": linear(width, 4 * width), "down": linear(4 * width, width),
    }  # fmt: skip


def feed_forward(p: Any, x: Any) -> Any:
    return dense(p["down"], jax.nn.gelu(dense(p["up"], x), approximate=False))


def gpt(layers: int = 6, batch: int = 8) -> Any:
    p = {
        "tokens": floats(65, 384), "places": floats(128, 384),
        "blocks": [block(384) for _ in range(layers)],
        "norm": {"w": jnp.ones(384), "b": jnp.zeros(384)}, "out": linear(384, 65),
    }  # fmt: skip

    def loss(p: Any, x: Any, y: Any) -> Any:
        h = p["tokens"][x] + p["places"]
        for b in p["blocks"]:
            h = h + attend(b, norm(b["n1"], h), 6, True)
            h = h + feed_forward(b, norm(b["n2"], h))
        return cross_entropy(dense(p["out"], norm(p["norm"], h)), y)

    return trained(p, loss, adam(3e-4, 0.01), [classes(65, batch, 128), classes(65, batch, 128)])


def inference(function: Callable[..., Any], parameters: Any, data: Any) -> Any:
    compiled = jax.jit(function)
    return (lambda *data: compiled(parameters, *data)), data


def bert() -> Any:
    p = {
        "tokens": floats(30522, 768), "places": floats(512, 768),
        "norm": {"w": jnp.ones(768), "b": jnp.zeros(768)},
        "blocks": [block(768) for _ in range(12)],
    }  # fmt: skip

    def forward(p: Any, x: Any) -> Any:
        h = norm(p["norm"], p["tokens"][x] + p["places"][: x.shape[1]])
        for b in p["blocks"]:
            h = norm(b["n1"], h + attend(b, h, 12, False))
            h = norm(b["n2"], h + feed_forward(b, h))
        return h

    return inference(forward, p, [classes(30522, 1, 128)])


def softmax() -> Any:
    return inference(lambda p, x: jax.nn.softmax(x), None, [floats(4096, 1024)])


def gelu_layer_norm() -> Any:
    p = {"w": jnp.ones(1024), "b": jnp.zeros(1024)}
    return inference(
        lambda p, x: jax.nn.gelu(norm(p, x), approximate=False), p, [floats(4096, 1024)]
    )


def chain() -> Any:
    def function(p: Any, x: Any) -> Any:
        return jax.nn.sigmoid(2.0 * x + 1.0) * jnp.tanh(x) - jnp.minimum(jnp.exp(x), 3.0)

    return inference(function, None, [floats(4096, 1024)])


def convolution() -> Any:
    p = floats(64, 64, 3, 3) / 24, jnp.zeros((64, 1, 1))
    return inference(lambda p, x: jax.nn.relu(conv(x, p[0]) + p[1]), p, [floats(8, 64, 56, 56)])


def product_bfloat16(size: int) -> Any:
    data = [floats(size, size).astype(jnp.bfloat16) for _ in range(2)]
    return inference(lambda p, x, y: x @ y, None, data)


def product(size: int) -> Any:
    return inference(lambda p, x, y: x @ y, None, [floats(size, size), floats(size, size)])


def matrix_vector() -> Any:
    return inference(dense, linear(4096, 4096), [floats(1, 4096)])


def embedding() -> Any:
    return trained(
        floats(10000, 256), lambda p, x: (p[x] ** 2).mean(), sgd(0.1), [classes(10000, 64, 128)]
    )


def lstm() -> Any:
    p = {
        "tokens": floats(65, 128), "input": linear(128, 1024), "state": linear(256, 1024),
        "out": linear(256, 65),
    }  # fmt: skip

    def loss(p: Any, x: Any, y: Any) -> Any:
        def cell(state: Any, inputs: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(inputs + dense(p["state"], h), 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((32, 256)), jnp.zeros((32, 256))
        _, outputs = jax.lax.scan(cell, start, dense(p["input"], p["tokens"][x]))
        return cross_entropy(dense(p["out"], outputs), y)

    return trained(p, loss, adam(), [classes(65, 64, 32), classes(65, 64, 32)])


def attention() -> Any:
    def step(p: Any, q: Any, k: Any, v: Any, ct: Any) -> Any:
        def attended(q: Any, k: Any, v: Any) -> Any:  # (B, T, heads, E)
            return jax.nn.dot_product_attention(q, k, v, is_causal=True)

        gradients = jax.vjp(attended, q, k, v)[1](ct)
        return jnp.concatenate(gradients)

    return inference(step, None, [floats(1, 2048, 12, 64) for _ in range(4)])

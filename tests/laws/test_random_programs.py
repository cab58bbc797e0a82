"""Random programs: the same numbers on the reference, eagerly on the CPU, and compiled."""

import os
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tessella as ts
from tessella.primitives.movement import Pad
from tessella.primitives.window import Window
from tessella.tensors.tensor import apply

os.environ["TESSELLA_VERIFY"] = "1"

UNARY = [ts.exp, ts.tanh, ts.sigmoid, ts.abs, ts.sin, lambda x: x * 0.5 - 1.0, lambda x: -x,
         lambda x: ts.sqrt(ts.abs(x) + 0.1), ts.relu, lambda x: x * x]  # fmt: skip
# all are continuous: where two numbers are equal but for rounding, a jump would be anybody's
BINARY = [ts.add, ts.subtract, ts.multiply, ts.maximum, ts.minimum,
          lambda x, y: ts.where(x > y, x * 2.0 - y, x), lambda x, y: x / (ts.abs(y) + 1.0)]  # fmt: skip
REDUCTIONS = [ts.sum, ts.mean, ts.max, ts.min]
SIZES = (0, 1, 2, 3, 5, 8, 17, 33)


def program(seed):
    """A function of two tensors, drawn by a seed; it always does the same."""

    def run(x, y):
        choose = random.Random(seed)
        values = [x, y]
        for _ in range(choose.randint(1, 14)):
            value = _step(choose, values)
            if value.size <= 5000 and value.ndim <= 4:
                values.append(value)
        total = sum((v.sum() for v in values[2:]), ts.sum(x) * 0.0)
        return values[-1], total

    return run


def with_gradients(run):
    """A program of two tensors with its backward pass: value, total, and the gradients of both."""

    def forward_and_backward(x, y):
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        value, total = run(x, y)
        total.backward()
        return value.detach(), total.detach(), x.grad, y.grad

    return forward_and_backward


def _step(choose, values):
    x = choose.choice(values)
    kind = choose.choice(
        ["unary", "unary", "binary", "binary", "reduce", "move", "move", "product", "softmax"]
    )
    if kind == "unary":
        return choose.choice(UNARY)(x)
    if kind == "binary":
        partners = [v for v in values if _broadcasts(x.shape, v.shape)]
        return choose.choice(BINARY)(x, choose.choice(partners))
    if kind == "reduce" and x.ndim and x.size:
        axes = tuple(sorted(choose.sample(range(x.ndim), choose.randint(1, x.ndim))))
        return choose.choice(REDUCTIONS)(x, axis=axes, keepdims=choose.random() < 0.5)
    if kind == "softmax" and x.ndim and x.size:
        axis = choose.randrange(x.ndim)
        e = ts.exp(x - ts.max(x, axis=axis, keepdims=True))
        return e / ts.sum(e, axis=axis, keepdims=True)
    if kind == "product" and x.ndim >= 2:
        return ts.tanh(x @ x.mT)
    return _moved(choose, x)


def _broadcasts(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def _moved(choose, x):
    kind = choose.choice(
        ["permute", "flat", "slice", "flip", "pad", "expand", "concat", "window", "update"]
    )
    if kind == "permute":
        return ts.permute_dims(x, tuple(choose.sample(range(x.ndim), x.ndim)))
    if kind == "slice" and x.ndim and x.size:
        axis = choose.randrange(x.ndim)
        start = choose.randrange(x.shape[axis])
        key = [slice(None)] * x.ndim
        key[axis] = slice(start, None, choose.choice([1, 1, 2]))
        return x[tuple(key)]
    if kind == "flip" and x.ndim:
        return ts.flip(x, axis=choose.randrange(x.ndim))
    if kind == "pad" and x.ndim:
        low, high, gaps = ([choose.randint(0, 2) for _ in x.shape] for _ in range(3))
        return apply(Pad(tuple(low), tuple(high), tuple(gaps), 0.5), (x,))
    if kind == "expand":
        return ts.broadcast_to(x, (choose.randint(1, 3), *x.shape))
    if kind == "concat" and x.ndim:
        return ts.concat([x, x * 2.0, x], axis=choose.randrange(x.ndim))
    if kind == "window" and x.ndim and x.shape[-1] >= 3:
        return apply(Window((2,), (choose.randint(1, 2),), (1,)), (x,))
    if kind == "update" and x.ndim and x.size:
        changed = x.copy()
        changed[choose.randrange(x.shape[0])] = 0.25
        return changed
    return ts.reshape(x, (-1,)) if x.size else x


@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(SIZES), min_size=0, max_size=3),
    st.sampled_from(["float32", "float64"]),
)
def test_the_same_everywhere(seed, shape, dtype):
    data = np.random.default_rng(seed)
    kind = getattr(ts, dtype)
    x = ts.asarray(data.uniform(-1, 1, tuple(shape)).astype(dtype))
    y = ts.asarray(data.uniform(-1, 1, tuple(shape[-1:])).astype(dtype))
    forward_and_backward = with_gradients(program(seed))
    with ts.backend("reference"):
        expected = forward_and_backward(x, y)
    eager = forward_and_backward(x, y)
    compiled = ts.jit(forward_and_backward)(x, y)
    tolerance = 2e-3 if kind is ts.float32 else 1e-9
    names = ("value", "total", "x.grad", "y.grad")
    for name, wanted, one, other in zip(names, expected, eager, compiled, strict=True):
        if wanted is None:
            assert one is None and other is None
            continue
        scale = max(1.0, float(np.abs(wanted.numpy()).max(initial=0.0)))
        for how, found in (("eager", one), ("compiled", other)):
            np.testing.assert_allclose(
                found.numpy(), wanted.numpy(), rtol=tolerance, atol=tolerance * scale,
                err_msg=f"{name}, {how}", equal_nan=True,
            )  # fmt: skip

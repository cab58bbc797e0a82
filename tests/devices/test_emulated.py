"""The emulated device computes what the host does, where operands are; and nobody else sees its memory."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import run
from tessella.devices.array import from_numpy, to_numpy
from tessella.devices.registry import host
from tessella.errors import IndexingError
from tessella.nn import functional as F
from tests.primitives.test_samples import SAMPLES

EMULATED = ts.device("emulated")  # the thread stays on the host: results are to follow operands


def there(x):
    return ts.asarray(x).to_device(EMULATED)


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_primitive(sample):
    arrays = [np.asarray(x) for x in sample.inputs]
    found = run(sample.primitive, [from_numpy(x, device=EMULATED) for x in arrays])
    assert found.device is (EMULATED if arrays else host())
    expected = to_numpy(run(sample.primitive, [from_numpy(x) for x in arrays]))
    np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize("sample", [p for p in SAMPLES if p.values[0].inputs][::3])
def test_primitives_compiled(sample):
    given = [np.asarray(x) for x in sample.inputs]
    compiled = ts.jit(lambda *xs: sample.primitive(*xs))
    found, expected = (
        compiled(*[ts.asarray(x, device=d) for x in given]) for d in (EMULATED, "cpu")
    )
    assert found.device is EMULATED
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_what_is_made_beside_tensors_is_where_they_are():
    x, i = there(floats(4, 5)), there(np.arange(4) % 5)
    made = (
        x + 1, 2.5 - x, x * np.float32(3), x + np.ones(5, np.float32), x[1:, ::2], x[i % 4], x[0, 1], x == 3,
        ts.where(x > 0, x, 0.0), ts.zeros_like(x), ts.full_like(x, 3), x.new_zeros(3), x.new_tensor([1, 2]),
        ts.rand_like(x), x.sum(), x.mean(0), x.var(), x.argmax(1), ts.softmax(x, axis=-1), ts.sort(x), x.median(),
        ts.unique_values(i), ts.take(x, i, axis=1), F.cross_entropy(x, i), F.dropout(x, 0.5), F.one_hot(i, 5), ts.sign(x),
        ts.clip(x, 0.0, 1.0), ts.tril(x), ts.cumulative_sum(x, axis=0), ts.quantile(x, 0.3), ts.histc(x, bins=3),
        ts.stack([x, x]), ts.einsum("ij,kj->ik", x, x), ts.norm(x), ts.bincount(i), x.to(ts.float64),
        ts.asarray(x), ts.asarray(x, copy=True), x.clone(), ts.nonzero(x)[0], x.T,
    )  # fmt: skip
    assert {str(one.device) for one in made} == {"emulated"}
    assert ts.ones(2).device is host()


def test_in_place_and_indices():
    x, y = there(floats(4, 5)), floats(4, 5)
    x += 1
    x[1:3, ::2] = 7.0
    x[0] = ts.zeros(5, device=EMULATED)
    y += 1
    y[1:3, ::2] = 7.0
    y[0] = 0
    np.testing.assert_array_equal(x.numpy(), y)
    with pytest.raises(IndexingError, match="index 9"):
        x[there(np.array([0, 9]))]
    gather = ts.jit(lambda x, i: x[i] * 2)
    np.testing.assert_array_equal(gather(x, there(np.array([2, 1]))).numpy(), y[[2, 1]] * 2)
    with pytest.raises(IndexingError, match="index 9"):
        gather(x, there(np.array([0, 9])))


def test_control_flow_and_its_gradients():
    def loop(x):
        total, each = ts.scan(lambda c, row: (c * 0.5 + row.sin(), c), ts.zeros_like(x[0]), x)
        grown = ts.while_loop(lambda v: v.max() < 9, lambda v: v * 2 + 1, total)
        doubled = ts.cond(x.sum() > 0, lambda x: x * 2, lambda x: -x, x)
        added = ts.fori_loop(0, 3, lambda i, v: v + total * i, total)
        chosen = ts.switch(2, [lambda v: v, lambda v: v + 1, lambda v: v * 3], total)
        return doubled.sum() + (each * total).sum() + added.sum() + chosen.sum(), grown

    for function in (loop, ts.jit(loop)):
        found, expected = (
            [ts.grad(function, has_aux=True)(ts.asarray(floats(3, 4), device=d))[0], *function(ts.asarray(floats(3, 4), device=d))]
            for d in (EMULATED, "cpu")
        )  # fmt: skip
        for one, other in zip(found, expected, strict=True):
            assert one.device is EMULATED
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_transformations():
    x = floats(3, 4)

    def loss(row):
        return (row.tanh() * ts.arange(4.0, device=row.device)).sum()

    for d in (EMULATED, host()):
        given = ts.asarray(x, device=d)
        per_row = ts.vmap(ts.grad(loss))(given)
        value, slope = ts.jvp(loss, (given[0],), (given[1],))
        hessian = ts.hessian(loss)(given[0])
        again = ts.checkpoint(lambda v: (v.exp() + 1).log())(given)
        assert {str(t.device) for t in (per_row, value, slope, hessian, again)} == {d.name}
    np.testing.assert_allclose(per_row.numpy()[0], ts.grad(loss)(given[0]).numpy(), rtol=1e-6)


LAYERS = {
    "linear": (lambda: ts.nn.Linear(6, 3), (4, 6)),
    "conv": (lambda: ts.nn.Conv2d(2, 3, 3, padding=1), (2, 2, 6, 5)),
    "pool": (lambda: ts.nn.Sequential(ts.nn.MaxPool2d(2), ts.nn.AvgPool2d(2)), (1, 2, 8, 8)),
    "norms": (lambda: ts.nn.Sequential(ts.nn.BatchNorm1d(6), ts.nn.LayerNorm(6)), (4, 6)),
    "lstm": (lambda: ts.nn.LSTM(6, 3), (5, 2, 6)),
    "activations": (lambda: ts.nn.Sequential(ts.nn.GELU(), ts.nn.Softmax(dim=-1), ts.nn.Dropout(0.3)), (4, 6)),
    "embedding": (lambda: ts.nn.Embedding(7, 6), (4, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, shape = LAYERS[name]
    results = []
    for d in (EMULATED, host()):
        ts.manual_seed(0)
        layer, x = make().to(d), ts.asarray(floats(*shape), device=d).requires_grad_()
        ts.manual_seed(1)  # for what is dropped
        out = layer(x.argmax(1)) if name == "embedding" else layer(x)
        out = out[0] if isinstance(out, tuple) else out
        attended = (
            F.scaled_dot_product_attention(out, out, out, is_causal=True) if out.ndim > 2 else out
        )
        (attended * out).sum().backward()
        leaves = [p for p in (x, *layer.parameters()) if p.grad is not None]
        results.append([attended, *[p.grad for p in leaves]])
        assert {str(t.device) for t in results[-1]} == {d.name}
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_training(kind):
    """With chance, a schedule of the rate, state that goes to a checkpoint, eagerly and compiled."""
    losses, pictures = {}, floats(8, 1, 8, 8)
    for d in (EMULATED, host()):
        ts.manual_seed(0)
        model = ts.nn.Sequential(
            ts.nn.Conv2d(1, 4, 3), ts.nn.ReLU(), ts.nn.Flatten(), ts.nn.Dropout(0.2), ts.nn.Linear(144, 3)
        ).to(d)  # fmt: skip
        ts.manual_seed(1)
        optimiser = getattr(ts.optim, kind)(model.parameters(), lr=0.01)

        def step(x, y, model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        compiled = ts.jit(step)
        x, y = ts.asarray(pictures, device=d), ts.asarray(np.arange(8) % 3, device=d)
        found = losses[d.name] = [step(x, y).item()]
        for turn in range(4):
            optimiser.param_groups[0]["lr"] = 0.01 / (turn + 1)
            found.append(compiled(x, y).item())
        optimiser.load_state_dict(optimiser.state_dict())
        model.load_state_dict(model.state_dict())
        found.append(compiled(x, y).item())
        assert {str(p.device) for p in model.parameters()} == {d.name}
    assert losses["emulated"] == losses["cpu"]
    assert found[-1] < found[0]


def test_numbers_and_captured_tensors_of_compiled_functions():
    x = there(floats(3))
    scaled = ts.jit(lambda by: x * by + by)
    for by in (1.5, 2.5):
        np.testing.assert_allclose(scaled(by).numpy(), x.numpy() * by + by, rtol=1e-6)
    sizes = ts.jit(lambda x: x * (x.shape[0] / 2.0) + ts.zeros_like(x))
    for n in (2, 3, 4, 5):
        np.testing.assert_allclose(sizes(there(np.ones(n, np.float32))).numpy(), n / 2)
    with_numpy = ts.jit(lambda x, a: x + a)
    np.testing.assert_array_equal(
        with_numpy(x, np.ones((2, 3), np.float32)[:, ::-1]).numpy()[1], x.numpy() + 1
    )


def test_explanations_time_it():
    explained = ts.jit(lambda x: F.relu(x @ x + x) @ x[::-1]).explain(there(floats(40, 40)))
    assert len(explained.rows) > 1
    assert explained.seconds > 0


# --- nobody sees its memory ---------------------------------------------------------------------------

PROGRAM = """
import ctypes, tessella as ts
from tessella.targets.emulated import memory
x, y = (ts.ones(4, device="emulated") for _ in range(2))
first, second = x._value.address, y._value.address
{line}
print("still here")
"""


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("assert x.tolist() == [1, 1, 1, 1]", False),
        ("ctypes.c_float.from_address(first).value", True),
        ("ctypes.c_float.from_address(first).value = 2.0", True),
        ("with memory.opened([first]): assert ctypes.c_float.from_address(first).value == 1.0", False),
        ("with memory.opened([first]): ctypes.c_float.from_address(second).value", True),
        ("ts.device('cpu').read(first, ts.float32)", True),
    ],
)  # fmt: skip
def test_who_reads_past_the_contract_faults(line, faults):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(line=line)], capture_output=True, text=True, check=False
    )  # fmt: skip
    if faults:
        assert done.returncode == -signal.SIGSEGV, done.stderr
    else:
        assert done.stdout == "still here\n", done.stderr


def test_memory_goes_back():
    from tessella.targets.emulated import memory

    before = memory.kept()
    x = ts.zeros(100_000, device=EMULATED)
    assert memory.kept() >= before + x.nbytes
    del x
    assert memory.kept() == before

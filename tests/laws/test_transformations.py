"""Laws of the transformations, over random programs and over every primitive."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella.primitives import ALL
from tests.laws.test_random_programs import program

SIZES = (1, 2, 3, 5)
SHAPES = st.lists(st.sampled_from(SIZES), min_size=1, max_size=2)


def inputs_of(seed, shape, *, batch=()):
    data = np.random.default_rng(seed)
    x = data.uniform(-1, 1, (*batch, *shape))
    y = data.uniform(-1, 1, (*batch, *shape[-1:]))
    return ts.asarray(x), ts.asarray(y)


def close(got, expected, tolerance=1e-8):
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)


# --- random programs ----------------------------------------------------------------------------------


@given(st.integers(0, 2**32), SHAPES, st.sampled_from([(0, 0), (0, None), (None, 0), (1, 0)]))
def test_vmap_is_a_loop(seed, shape, axes):
    run, size = program(seed), 3
    x, y = inputs_of(seed, shape, batch=(size,))
    rows = [(x[i], y[i]) for i in range(size)]
    given_x = x if axes[0] == 0 else ts.moveaxis(x, 0, 1) if axes[0] == 1 else rows[0][0]
    given_y = y if axes[1] == 0 else rows[0][1]
    value, total = ts.vmap(run, in_axes=axes)(given_x, given_y)
    for i in range(size):
        one = run(rows[0 if axes[0] is None else i][0], rows[0 if axes[1] is None else i][1])
        close(value[i], one[0])
        close(total[i], one[1])


@given(st.integers(0, 2**32), SHAPES)
def test_forward_and_reverse_mode_agree(seed, shape):
    run = program(seed)
    x, y = inputs_of(seed, shape)
    u, v = inputs_of(seed + 1, shape)
    _, along = ts.jvp(run, (x, y), (u, v))
    value, pullback = ts.vjp(run, x, y)
    random = np.random.default_rng(seed)
    cts = tuple(ts.asarray(random.standard_normal(part.shape)) for part in value)
    pulled = pullback(cts)
    left = sum(float((ct * t).sum()) for ct, t in zip(cts, along, strict=True))
    right = float((pulled[0] * u).sum()) + float((pulled[1] * v).sum())
    assert left == pytest.approx(right, rel=1e-7, abs=1e-7)


@given(st.integers(0, 2**32), SHAPES)
def test_second_derivatives_are_symmetric(seed, shape):
    run = program(seed)
    x, y = inputs_of(seed, shape)

    def total(x):
        return run(x, y)[1]

    u, v = inputs_of(seed + 1, shape)[0], inputs_of(seed + 2, shape)[0]
    one = float((ts.hvp(total, (x,), (u,)) * v).sum())
    other = float((ts.hvp(total, (x,), (v,)) * u).sum())
    assert one == pytest.approx(other, rel=1e-6, abs=1e-6)
    # the same by reverse mode over forward mode
    reversed_ = ts.grad(lambda x: ts.jvp(total, (x,), (u,))[1])(x)
    close(reversed_, ts.hvp(total, (x,), (u,)), 1e-6)


def derivative(f):
    """The tangent along x itself."""
    return lambda x, y: ts.jvp(lambda x: f(x, y), (x,), (x,))[1]


TRANSFORMATIONS = {
    "identity": lambda f: f,
    "grad": ts.grad,
    "jvp": derivative,
    "checkpoint": ts.checkpoint,
    "vmap": lambda f: lambda x, y: ts.vmap(f, in_axes=(0, None))(ts.stack([x, x * 0.5]), y).sum(),
}


@given(
    st.integers(0, 2**32), SHAPES, st.sampled_from(sorted(TRANSFORMATIONS)),
    st.sampled_from(sorted(TRANSFORMATIONS)),
)  # fmt: skip
def test_jit_goes_with_every_pair(seed, shape, first, second):
    run = program(seed)
    x, y = inputs_of(seed, shape)

    def total(x, y):
        return run(x, y)[1]

    inner = TRANSFORMATIONS[first]
    outer = TRANSFORMATIONS[second]

    def number(f):
        return lambda x, y: f(x, y).sum()

    plain = outer(number(inner(total)))(x, y)
    close(ts.jit(outer(number(inner(total))))(x, y), plain, 1e-7)
    close(outer(ts.jit(number(inner(total))))(x, y), plain, 1e-7)
    close(outer(number(inner(ts.jit(total))))(x, y), plain, 1e-7)


@given(st.integers(0, 2**32), SHAPES)
def test_checkpoint_changes_no_bit(seed, shape):
    run = program(seed)
    x, y = inputs_of(seed, shape)
    expected = ts.value_and_grad(lambda x, y: run(x, y)[1], (0, 1))(x, y)
    got = ts.value_and_grad(ts.checkpoint(lambda x, y: run(x, y)[1]), (0, 1))(x, y)
    compiled = ts.jit(ts.value_and_grad(ts.checkpoint(lambda x, y: run(x, y)[1]), (0, 1)))(x, y)
    reference = ts.jit(ts.value_and_grad(lambda x, y: run(x, y)[1], (0, 1)))(x, y)
    for (a, (b, c)), (d, (e, f)) in ((expected, got), (reference, compiled)):
        for left, right in ((a, d), (b, e), (c, f)):
            np.testing.assert_array_equal(left.numpy(), right.numpy())


# --- every primitive ----------------------------------------------------------------------------------

SAMPLES = [
    pytest.param(sample, id=f"{kind.__name__}-{number}")
    for kind in ALL
    for number, sample in enumerate(kind.samples())
    if sample.inputs
]
SMOOTH = [p for p in SAMPLES if p.values[0].differentiable]


def tensors(sample):
    arrays = [np.asarray(x) for x in sample.inputs]
    return [ts.asarray(x.astype(np.float64) if x.dtype.kind == "f" else x) for x in arrays]


@pytest.mark.parametrize("sample", SAMPLES)
def test_vmap_of_a_primitive(sample):
    inputs = tensors(sample)
    batch = [ts.stack([x, ts.flip(x) if x.dtype.is_float else x]) for x in inputs]
    expected = [sample.primitive(*[x[i] for x in batch]) for i in range(2)]
    for f in (ts.vmap(sample.primitive), ts.jit(ts.vmap(sample.primitive))):
        got = f(*batch)
        for i in range(2):
            close(got[i].astype(ts.float64), expected[i].astype(ts.float64))


@pytest.mark.parametrize("sample", SMOOTH)
def test_per_example_gradients_of_a_primitive(sample):
    inputs = tensors(sample)
    places = tuple(i for i, x in enumerate(inputs) if x.dtype.is_float)
    random = np.random.default_rng(3)
    weight = ts.asarray(random.standard_normal(sample.primitive(*inputs).shape))

    def loss(*values):
        y = sample.primitive(*values)
        return (y * y * weight).sum()

    batch = [ts.stack([x, ts.flip(x) if x.dtype.is_float else x]) for x in inputs]
    each = [ts.grad(loss, places)(*[x[i] for x in batch]) for i in range(2)]
    together = ts.vmap(ts.grad(loss, places))(*batch)
    compiled = ts.jit(ts.vmap(ts.grad(loss, places)))(*batch)
    for i, k in itertools.product(range(2), range(len(places))):
        close(together[k][i], each[i][k])
        close(compiled[k][i], each[i][k])


@pytest.mark.parametrize("sample", SMOOTH)
def test_modes_agree_on_a_primitive(sample):
    inputs = tensors(sample)
    places = [i for i, x in enumerate(inputs) if x.dtype.is_float]
    random = np.random.default_rng(4)
    directions = [ts.asarray(random.standard_normal(inputs[i].shape)) for i in places]

    def of(*floats):
        given = list(inputs)
        for place, x in zip(places, floats, strict=True):
            given[place] = x
        return sample.primitive(*given)

    floats = [inputs[i] for i in places]
    value, along = ts.jvp(of, floats, directions)
    ct = ts.asarray(random.standard_normal(value.shape))
    _, pullback = ts.vjp(of, *floats)
    right = sum(float((g * d).sum()) for g, d in zip(pullback(ct), directions, strict=True))
    assert float((ct * along).sum()) == pytest.approx(right, rel=1e-8, abs=1e-8)

    # forward over reverse is reverse over forward
    def number(*floats):
        y = of(*floats)
        return (y * y * ct).sum()

    numbers = tuple(range(len(floats)))
    one = ts.hvp(number, floats, directions)
    other = ts.grad(lambda *f: ts.jvp(number, f, directions)[1], numbers)(*floats)
    for a, b in zip(one if isinstance(one, tuple) else (one,), other, strict=True):
        close(a, b)


# --- control flow ---------------------------------------------------------------------------------------


def body_of(seed):
    """A body of a loop from a random program: the carry keeps its shape."""
    run = program(seed)

    def body(carry, x):
        value, total = run(carry, x)
        after = ts.tanh(carry * 0.5 + ts.tanh(total) * 0.1) + x * 0.01
        return after, (ts.tanh(value).sum(), total)

    return body


def unrolled(body, carry, xs):
    found = []
    for i in range(xs.shape[0]):
        carry, y = body(carry, xs[i])
        found.append(y)
    return carry, tuple(ts.stack(list(part)) for part in zip(*found, strict=True))


def number(result):
    carry, (a, b) = result
    return carry.sum() + (a * 0.3).sum() + ts.tanh(b).sum()


@given(st.integers(0, 2**32), SHAPES, st.integers(1, 4))
def test_a_scan_is_a_loop(seed, shape, count):
    body = body_of(seed)
    carry, _ = inputs_of(seed, shape)
    xs = inputs_of(seed + 1, shape, batch=(count,))[1]
    loop = lambda c, x: number(ts.scan(body, c, x))  # noqa: E731
    plain = lambda c, x: number(unrolled(body, c, x))  # noqa: E731
    close(loop(carry, xs), plain(carry, xs))
    close(ts.jit(loop)(carry, xs), plain(carry, xs), 1e-7)
    expected = ts.grad(plain, (0, 1))(carry, xs)
    for found in (ts.grad(loop, (0, 1))(carry, xs), ts.jit(ts.grad(loop, (0, 1)))(carry, xs)):
        for a, b in zip(found, expected, strict=True):
            close(a, b, 1e-7)
    _, along = ts.jit(lambda c, x: ts.jvp(loop, (c, x), (c, x)))(carry, xs)
    inner = sum(float((g * x).sum()) for g, x in zip(expected, (carry, xs), strict=True))
    assert along.item() == pytest.approx(inner, rel=1e-6, abs=1e-6)
    batch = ts.stack([carry, carry * 0.5])
    for f in (ts.vmap(ts.grad(loop), (0, None)), ts.jit(ts.vmap(ts.grad(loop), (0, None)))):
        got = f(batch, xs)
        close(got[0], expected[0], 1e-7)
        close(got[1], ts.grad(plain)(carry * 0.5, xs), 1e-7)


@settings(max_examples=12)  # each compiles eight programs
@given(st.integers(0, 2**32), SHAPES)
def test_a_condition_is_an_if(seed, shape):
    first, second = program(seed), program(seed + 7)
    x, y = inputs_of(seed, shape)

    def f(x, y):
        return ts.cond(x.sum() > 0, lambda a: first(a, y)[1], lambda a: second(a, y)[1], x)

    def plain(x, y):
        return (first if float(x.sum()) > 0 else second)(x, y)[1]

    batch = ts.stack([x, -x, x * 0.3])
    slopes = ts.vmap(ts.grad(f), (0, None))(batch, y)
    compiled = ts.jit(ts.vmap(ts.grad(f), (0, None)))(batch, y)
    for i in range(3):
        close(f(batch[i], y), plain(batch[i], y))
        close(ts.jit(f)(batch[i], y), plain(batch[i], y), 1e-7)
        expected = ts.grad(plain)(batch[i], y)
        close(slopes[i], expected, 1e-7)
        close(compiled[i], expected, 1e-7)


@given(st.integers(0, 2**32), SHAPES)
def test_a_while_loop_under_vmap(seed, shape):
    run = program(seed)
    x, y = inputs_of(seed, shape)

    def steps(limit, x):
        def turn(state):
            i, c = state
            return i + 1, ts.tanh(c * 0.9 + ts.tanh(run(c, y)[1]) * 0.1)

        return ts.while_loop(lambda state: state[0] < limit, turn, (ts.asarray(0), x))[1]

    def plain(limit, x):
        for _ in range(limit):
            x = ts.tanh(x * 0.9 + ts.tanh(run(x, y)[1]) * 0.1)
        return x

    limits = ts.asarray([2, 0, 3])
    for f in (ts.vmap(steps, (0, None)), ts.jit(ts.vmap(steps, (0, None)))):
        got = f(limits, x)
        for i, limit in enumerate((2, 0, 3)):
            close(got[i], plain(limit, x), 1e-7)
    _, along = ts.jvp(ts.vmap(lambda n, c: steps(n, c), (0, None)), (limits, x), (None, x))
    for i, limit in enumerate((2, 0, 3)):
        close(along[i], ts.jvp(lambda c, n=limit: plain(n, c), (x,), (x,))[1], 1e-6)

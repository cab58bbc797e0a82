"""What is gathered and scattered where axes of the array go along with axes of the indices: element by element."""

import numpy as np
import pytest

import tessella as ts
from tessella.primitives.indexing import Gather, Scatter
from tessella.tensors.tensor import apply

SHAPE = (2, 3, 4, 3)
# axes of x for which there are indices | pairs: an axis of x, and one of the indices | shapes of the indices
CASES = [
    ((1,), ((0, 0),), [(2, 5)]),
    ((0,), ((1, 0),), [(3, 2)]),
    ((3,), ((1, 1), (0, 0)), [(2, 3, 2)]),
    ((0,), ((3, 0), (1, 2)), [(3, 2, 3)]),
    ((2,), ((0, 1),), [(3, 1)]),  # the axis of the indices may be 1
    ((2, 0), ((3, 1),), [(2, 3), (1, 3)]),
    ((0, 2), ((1, 2),), [(2, 1, 3), (2, 2, 1)]),
    ((1,), ((0, 0), (2, 1), (3, 2)), [(2, 4, 3)]),
]


def numbers(case):
    axes, _, shapes = case
    random = np.random.default_rng(0)
    indices = [
        random.integers(-SHAPE[axis], SHAPE[axis], shape)
        for axis, shape in zip(axes, shapes, strict=True)
    ]
    return random.standard_normal(SHAPE).astype(np.float32), indices


def places(case, indices):
    """Where each place of the indices reads, as what x is indexed with."""
    axes, along, _ = case
    common = list(np.broadcast_shapes(*(index.shape for index in indices)))
    for axis, place in along:
        common[place] = SHAPE[axis]
    whole = [np.broadcast_to(index, common) for index in indices]
    for here in np.ndindex(*common):
        where = [slice(None)] * len(SHAPE)
        for axis, index in zip(axes, whole, strict=True):
            where[axis] = index[here]
        for axis, place in along:
            where[axis] = here[place]
        yield here, tuple(where)


def gathered(case, x, indices):
    found = {here: x[where] for here, where in places(case, indices)}
    common = np.array(list(found)).max(0) + 1
    return np.stack(list(found.values())).reshape(*common, *next(iter(found.values())).shape)


def scattered(case, x, updates, indices):
    result = x.copy()
    for here, where in places(case, indices):
        result[where] += updates[here]
    return result


@pytest.mark.parametrize("case", CASES)
def test_along_axes_it_is_what_loops_give(case):
    axes, along, _ = case
    x, indices = numbers(case)
    expected = gathered(case, x, indices)
    updates = np.cos(np.arange(expected.size, dtype=np.float32)).reshape(expected.shape)
    gather, add = Gather(axes, along), Scatter(axes, "add", along)
    own, given, new = ts.asarray(x), [ts.asarray(index) for index in indices], ts.asarray(updates)
    np.testing.assert_array_equal(apply(gather, (own, *given)), expected)
    np.testing.assert_array_equal(gather.reference(x, *indices), expected)
    total = scattered(case, x, updates, indices)
    for found in (apply(add, (own, new, *given)), add.reference(x, updates, *indices)):
        np.testing.assert_allclose(found, total, rtol=1e-5, atol=1e-6)
    views = ts.moveaxis(ts.asarray(np.moveaxis(x, 0, 3)), 3, 0)  # whose strides are others
    np.testing.assert_array_equal(apply(gather, (views, *given)), expected)
    np.testing.assert_allclose(apply(add, (views, new, *given)), total, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_batches_along_axes(case):
    axes, along, _ = case
    x, indices = numbers(case)
    gather = Gather(axes, along)
    own, given = ts.asarray(x), [ts.asarray(index) for index in indices]
    weights = np.sin(np.arange(gathered(case, x, indices).size, dtype=np.float32))

    def loss(x, *indices):
        found = apply(gather, (x, *indices))
        return (found * ts.asarray(weights.reshape(found.shape))).sum()

    shaped = weights.reshape(gathered(case, x, indices).shape)
    slope = scattered(case, np.zeros_like(x), shaped, indices)
    np.testing.assert_allclose(ts.grad(loss)(own, *given), slope, rtol=1e-5, atol=1e-6)
    turned = [np.stack([index, -1 - index]) for index in indices]
    both = ts.vmap(lambda *indices: apply(gather, (own, *indices)))(*map(ts.asarray, turned))
    for number in range(2):
        expected = gathered(case, x, [index[number] for index in turned])
        np.testing.assert_array_equal(both[number], expected)
    several = ts.vmap(ts.grad(loss), in_axes=(-1, *[None] * len(given)))(
        ts.stack([own, own * 2.0], axis=-1), *given
    )
    np.testing.assert_allclose(several, np.stack([slope, slope]), rtol=1e-5, atol=1e-6)

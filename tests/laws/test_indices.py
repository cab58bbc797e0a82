"""Indices that may be out of range: compiled as eagerly, the same elements or the same error, wherever they are used."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tessella as ts
from tessella import errors
from tessella.nn import functional as F

SIZE, COLUMNS = 4, 3
KINDS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _assigned(x, i):
    copy = x * 1.0
    copy[i] = 9.0
    return copy


def _along(x, i):
    return ts.take_along_axis(x, ts.reshape(i, (-1, 1)), axis=0)


# uses of a table (SIZE, COLUMNS) and indices (2,) into it
USES = {
    "getitem": lambda x, i: x[i],
    "of columns": lambda x, i: ts.permute_dims(x, (1, 0))[:, i],
    "with another": lambda x, i: x[i, ts.asarray([0, 2])],
    "one": lambda x, i: x[i[1]],
    "take": lambda x, i: ts.take(x, i, axis=0),
    "along": _along,
    "embedding": lambda x, i: F.embedding(i, x),
    "assigned": _assigned,
    "one_hot": lambda x, i: F.one_hot(i, SIZE) * x[0, 0],
    "cross_entropy": lambda x, i: F.cross_entropy(x.T[:2], i),
    "ignored": lambda x, i: F.cross_entropy(x.T[:2], i, ignore_index=-1),
    "smoothed": lambda x, i: F.cross_entropy(x.T[:2], i, ignore_index=2, label_smoothing=0.1),
    "nll_loss": lambda x, i: F.nll_loss(x.T[:2], i, weight=x[:, 0], reduction="sum"),
    "two of them": lambda x, i: (x[i + 1].sum(), F.one_hot(i, SIZE)),
    "for nothing": lambda x, i: (x[i], x.sum())[1],
}  # fmt: skip


def _in_while(use, x, i, turns):
    n, total = ts.while_loop(
        lambda c: c[0] < turns, lambda c: (c[0] + 1, c[1] + _number(use(x, i))), (ts.asarray(0), ts.asarray(0.0))
    )  # fmt: skip
    return n, total


def _number(tree):
    if isinstance(tree, tuple):
        return sum((_number(part) for part in tree), ts.asarray(0.0))
    return ts.sum(tree.astype(ts.float32))


# where they are used: functions of the table, the indices and something else that changes
PLACES = {
    "plainly": lambda use, x, i, z: use(x, i),
    "as one of a batch": lambda use, x, i, z: ts.vmap(lambda j: use(x, j))(ts.stack([i * 0, i])),
    "as one of a batch of tables": lambda use, x, i, z: ts.vmap(use)(ts.stack([x, x * 2.0]), ts.stack([i, i * 0])),
    "under grad": lambda use, x, i, z: ts.grad(lambda x: _number(use(x, i)))(x),
    "in a branch": lambda use, x, i, z: ts.cond(z.sum() > 1.0, lambda: _number(use(x, i)), lambda: z.sum()),
    "in the other branch": lambda use, x, i, z: ts.cond(z.sum() < 1.0, lambda: _number(use(x, i)), lambda: z.sum()),
    "in a scan": lambda use, x, i, z: ts.scan(lambda c, j: (c + _number(use(x, j)), c), ts.asarray(0.0), ts.stack([i * 0, i])),
    "in a scan that captures": lambda use, x, i, z: ts.scan(lambda c, _: (c + _number(use(x, i)), c), ts.asarray(0.0), length=3),
    "in a loop": lambda use, x, i, z: ts.fori_loop(0, 2, lambda n, c: c + _number(use(x, i + (n * 0).astype(i.dtype))), ts.asarray(0.0)),
    "in a loop without turns": lambda use, x, i, z: _in_while(use, x, i, 0),
    "in a loop of some turns": lambda use, x, i, z: _in_while(use, x, i, 2),
    "checkpointed": lambda use, x, i, z: ts.checkpoint(lambda x: _number(use(x, i)))(x),
}  # fmt: skip
CAPTURED = {
    "nothing": lambda f, x, i, z: ts.jit(f)(x, i, z),
    "the indices": lambda f, x, i, z: ts.jit(lambda x, z: f(x, i, z))(x, z),
    "the table": lambda f, x, i, z: ts.jit(lambda i, z: f(x, i, z))(i, z),
    "both": lambda f, x, i, z: ts.jit(lambda z: f(x, i, z))(z),
    "nothing, any size": lambda f, x, i, z: ts.jit(lambda z, x, i: f(x, i, z), dynamic={"z": {0: "n"}})(z, x, i),
}  # fmt: skip


def _outcome(run):
    """The numbers that a call gives, or the class and the text of its error."""
    try:
        found = run()
    except errors.IndexingError as error:
        return type(error), re.sub(r"^\S+:\d+ in \S+( \(backward\))?: ", "", str(error))
    leaves = found if isinstance(found, tuple) else (found,)
    return [np.asarray(leaf.numpy(), np.float64) for leaf in leaves]


def agree(use, place, captured, index, kind):
    """Compare a use of indices compiled and eager."""
    limits = np.iinfo(kind)
    index = [min(max(number, limits.min), limits.max) for number in index]
    x = ts.asarray(np.arange(12, dtype=np.float32).reshape(SIZE, COLUMNS) / 7)
    i, z = ts.asarray(np.array(index, kind)), ts.ones(3)

    def function(x, i, z):
        return PLACES[place](USES[use], x, i, z)

    eager = _outcome(lambda: function(x, i, z))
    compiled = _outcome(lambda: CAPTURED[captured](function, x, i, z))
    if isinstance(eager, tuple) or isinstance(compiled, tuple):
        assert eager == compiled
        return
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@given(
    st.sampled_from(sorted(USES)), st.sampled_from(sorted(PLACES)), st.sampled_from(sorted(CAPTURED)),
    st.sampled_from([(0, 3), (1, -1), (2, -4), (0, 4), (-5, 1), (2, 10**9), (-(10**9), 0), (0, 2**64 - 1), (2**63, 1), (255, 0)]),
    st.sampled_from(KINDS),
)  # fmt: skip
@example("getitem", "plainly", "both", (0, 10**9), "int64")
@example("getitem", "in a loop without turns", "both", (0, 10**9), "int64")
@example("getitem", "in the other branch", "both", (0, 10**9), "int64")
@example("for nothing", "plainly", "nothing", (0, 10**9), "int64")
@example("cross_entropy", "under grad", "nothing", (0, -1), "int64")
@example("cross_entropy", "under grad", "the indices", (0, 156), "uint8")
@example("ignored", "plainly", "nothing", (0, -1), "int32")
@example("getitem", "plainly", "nothing", (0, 2**64 - 1), "uint64")
@example("two of them", "plainly", "nothing", (4, 3), "int64")
def test_compiled_as_eager(use, place, captured, index, kind):
    agree(use, place, captured, index, kind)


@pytest.mark.parametrize("use", sorted(USES))
def test_what_is_computed_once_is_checked_before(use):
    agree(use, "plainly", "both", (0, 10**9), "int64")


def test_indices_in_borrowed_memory_are_checked_at_every_call():
    data = np.array([0, 1])
    i, table = ts.asarray(data, copy=False), ts.arange(4.0)
    f = ts.jit(lambda x: table[i] + x[i])
    f(table)
    data[1] = 10**9
    with pytest.raises(errors.IndexingError):
        f(table)


def test_a_step_that_failed_is_prepared_anew():
    table, i = ts.ones((4, 3)), ts.asarray([0, 4])
    f = ts.jit(lambda z: table[i] + z)
    for _ in range(2):
        with pytest.raises(
            errors.IndexingError, match="index 4 is out of range for axis 0 of size 4"
        ):
            f(ts.ones(3))
    i.assign(ts.asarray([0, 3]))
    assert f(ts.ones(3)).tolist() == [[2.0] * 3] * 2


def test_explain_reads_nothing_out_of_range():
    f = ts.jit(lambda x, i: x[ts.argsort(i + 1)][(i + 1) * 2 - 3].sum())
    text = str(f.explain(ts.ones((4, 3)), ts.asarray([0, 1, 2, 0])))
    assert "gather" in text


@pytest.mark.parametrize(
    ("number", "kind"),
    [(-5, "int8"), (1, "uint8"), (255, "uint8"), (2**32, "int64"), (-(2**63), "int64"), (2**64 - 1, "uint64"), (2**31, "uint32")],
)  # fmt: skip
def test_the_number_of_a_branch_is_clamped_in_its_own_dtype(number, kind):
    i, x = ts.asarray(np.array(number, kind)), ts.asarray(2.0)

    def function(i, x):
        return ts.switch(i, [lambda x: x, lambda x: x * x, lambda x: x * x * x], x)

    assert ts.jit(function)(i, x).item() == function(i, x).item() == (2.0, 4.0, 8.0)[min(max(number, 0), 2)]  # fmt: skip

"""What is written over in part is copied first, but where nobody needs the original."""

import pytest

import tessella as ts
from tessella.compiler.steps import Step
from tessella.errors import IndexingError


def copies(program):
    """How many arrays are copied as a whole."""
    steps = [step for step in program.steps if isinstance(step, Step)]
    return sum(step.call.duplicates for step in steps)


def test_a_chain_of_writes_copies_once(programs):
    """And a caller's array is never written."""

    @ts.jit
    def write(v, i):
        v = ts.dynamic_update_slice(v, ts.ones(2), (i,))
        v = ts.dynamic_update_slice(v, ts.zeros(1), (i + 1,))
        return ts.dynamic_update_slice(v, ts.full(1, 3.0), (i + 2,))

    v = ts.full(6, 9.0)
    assert write(v, ts.asarray(1)).tolist() == [9, 1, 0, 3, 9, 9]
    assert v.tolist() == [9.0] * 6
    assert [copies(program) for program in programs] == [1]


def test_what_is_still_needed_is_copied():
    @ts.jit
    def write(v, i):
        a = v * 2
        b = ts.dynamic_update_slice(a, ts.ones(2), (i,))
        return a, b, ts.dynamic_update_slice(b, b[:2] + 1, (i + 1,)), b.sum()

    a, b, c, total = write(ts.arange(5.0), ts.asarray(1))
    assert a.tolist() == [0, 2, 4, 6, 8]
    assert b.tolist() == [0, 1, 1, 6, 8]
    assert c.tolist() == [0, 1, 1, 2, 8]
    assert total.item() == 16


def test_a_state_is_written_where_it_lies():
    state = ts.zeros(8)

    @ts.jit
    def step(i):
        state[i : i + 2] = state[i : i + 2] + i.astype(ts.float32)

    for i in range(1, 5):
        step(ts.asarray(i))
    kept = state.detach()  # another holder: from now on the old one must stay
    step(ts.asarray(5))
    assert kept.tolist() == [0, 1, 3, 5, 7, 4, 0, 0]
    assert state.tolist() == [0, 1, 3, 5, 7, 9, 5, 0]
    with pytest.raises(IndexingError, match="has 1 elements"):
        step(ts.asarray(7))
    assert state.tolist() == [0, 1, 3, 5, 7, 9, 5, 0]

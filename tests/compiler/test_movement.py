"""A movement primitive is one class: what it says in its index map is all that is asked of it."""

from dataclasses import dataclass

import numpy as np
import pytest

import tessella as ts
from tessella.errors import MissingRuleError
from tessella.primitives.base import Spec
from tessella.primitives.index import Along, IndexMap, Piece, straight
from tessella.primitives.movement import Movement, Rearrangement

x = ts.asarray(np.arange(30, dtype=np.float32).reshape(5, 6))


@dataclass(frozen=True)
class Diagonal(Rearrangement):
    """The elements (i, i) of the last two axes."""

    def result(self, *inputs):
        return Spec((*inputs[0].shape[:-2], min(inputs[0].shape[-2:])), inputs[0].dtype)

    def reference(self, *inputs):
        return np.diagonal(inputs[0], axis1=-2, axis2=-1)

    def along(self, shape, result):
        last = len(shape) - 2
        return (*straight(last), Along(((last, 1),)), Along(((last, 1),)))


@dataclass(frozen=True)
class EveryBackwards(Rearrangement):
    """Every k-th element of the last axis, from its end."""

    k: int

    def result(self, *inputs):
        return Spec((*inputs[0].shape[:-1], -(-inputs[0].shape[-1] // self.k)), inputs[0].dtype)

    def reference(self, *inputs):
        return inputs[0][..., :: -self.k]

    def along(self, shape, result):
        last = len(shape) - 1
        return (*straight(last), Along(((last, -self.k),), shape[-1] - 1))


@dataclass(frozen=True)
class Repeat(Rearrangement):
    """Each element of the first axis several times: no strides tell that."""

    times: int

    def result(self, *inputs):
        return Spec((inputs[0].shape[0] * self.times, *inputs[0].shape[1:]), inputs[0].dtype)

    def reference(self, *inputs):
        return np.repeat(inputs[0], self.times, axis=0)

    def along(self, shape, result):
        return (Along(((0, 1),), divisor=self.times), *straight(len(shape))[1:])


@dataclass(frozen=True)
class Roll(Movement):
    """The first axis turned round: two pieces of one operand, and nothing besides."""

    by: int

    def result(self, *inputs):
        return Spec(inputs[0].shape, inputs[0].dtype)

    def reference(self, *inputs):
        return np.roll(inputs[0], self.by, axis=0)

    def index_map(self, shapes, result):
        rest = straight(len(result))[1:]
        later = Along(((0, 1),), -self.by, guarded=True)
        first = Along(((0, 1),), shapes[0][0] - self.by)
        return IndexMap((Piece(0, (later, *rest)), Piece(0, (first, *rest))))


KINDS = [Diagonal(), EveryBackwards(2), EveryBackwards(7), Repeat(3), Roll(2)]


@pytest.mark.parametrize("primitive", KINDS, ids=repr)
def test_eager_mode_and_programs_read_where_it_says(primitive):
    expected = primitive.reference(x.numpy())
    with ts.backend("reference"):
        np.testing.assert_array_equal(primitive(x).numpy(), expected)
    np.testing.assert_array_equal(primitive(x).numpy(), expected)
    np.testing.assert_array_equal(ts.jit(primitive)(x).numpy(), expected)
    fused = ts.jit(lambda x: primitive(x + 1.0) * 2.0)
    np.testing.assert_array_equal(fused(x).numpy(), (expected + 1.0) * 2.0)
    assert fused.source("loops").count("kernel ") == 1  # read where it stands, not moved before


@pytest.mark.parametrize("primitive", KINDS[:3], ids=repr)
def test_strides_are_enough_for_a_view(primitive):
    found = primitive(x)
    assert found._value.buffer is x._value.buffer
    steps = primitive.reference(x.numpy()).strides
    assert found._value.layout.strides == tuple(step // 4 for step in steps)
    transposed = primitive(ts.permute_dims(x, (1, 0)))
    assert transposed._value.buffer is x._value.buffer
    np.testing.assert_array_equal(transposed.numpy(), primitive.reference(x.numpy().T))


def test_what_no_strides_tell_is_copied():
    for primitive in (Repeat(3), Roll(2)):
        assert primitive(x)._value.buffer is not x._value.buffer
        assert primitive(x).shape == primitive.reference(x.numpy()).shape
    assert Repeat(2)(ts.ones((0, 3))).shape == (0, 3)


def test_it_is_explained_and_drawn():
    compiled = ts.jit(lambda x: (Diagonal()(x), Roll(2)(x) @ ts.ones((6, 2))))
    shown = str(compiled.explain(x))
    assert "views, which may cost nothing: 1 (Diagonal)" in shown
    picture = compiled.graph(x).to_mermaid()
    assert '["Diagonal<br/>float32[5]' in picture
    assert '["Roll<br/>float32[5,6]' in picture
    assert ":::movement" in picture


def test_movement_without_a_map_says_what_is_missing():
    class Nowhere(Movement):
        def result(self, *inputs):
            return inputs[0]

    with pytest.raises(
        MissingRuleError, match=r"no rule `index_map`; add the method Nowhere.index_map"
    ):
        Nowhere()(x)

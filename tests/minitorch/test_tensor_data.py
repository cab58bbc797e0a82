"""Storage, shape and strides: indices and broadcasting, compared with NumPy; how numbers are shown."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessella.errors import DeviceError, ShapeError
from tessella.minitorch import (
    MAX_DIMS,
    IndexingError,
    TensorData,
    broadcast_index,
    index_to_position,
    shape_broadcast,
    strides_from_shape,
    to_index,
)

sizes = st.integers(1, 4)
shapes = st.lists(sizes, max_size=4).map(tuple)
pairs_of_shapes = st.tuples(
    *[st.lists(st.sampled_from([1, 1, 2, 3]), max_size=3).map(tuple)] * 2
)  # fmt: skip


def counted(shape):
    """The numbers 0, 1, ... as TensorData, and as an array of NumPy."""
    array = np.arange(float(np.prod(shape, dtype=int)))
    return TensorData(array.copy(), shape), array.reshape(shape)


# --- indices -------------------------------------------------------------------------------------


@given(shapes)
def test_layout(shape):
    data, array = counted(shape)
    assert (data.shape, data.size, data.dims) == (array.shape, array.size, array.ndim)
    assert data.strides == strides_from_shape(shape)
    assert list(data._shape) == list(shape)
    assert list(data._strides) == [step // 8 for step in array.strides]
    assert data.is_contiguous()


@given(shapes)
def test_every_index(shape):
    data, array = counted(shape)
    assert list(data.indices()) == list(np.ndindex(*shape))
    for index in data.indices():
        assert data.get(index) == array[index] == data.index(index)


@given(shapes)
def test_places_and_indices(shape):
    for place in range(int(np.prod(shape, dtype=int))):
        index = [0] * len(shape)
        to_index(place, shape, index)
        assert tuple(index) == np.unravel_index(place, shape)
        assert index_to_position(index, strides_from_shape(shape)) == place


def test_an_index_may_be_written_to_a_longer_array():
    index = np.full(MAX_DIMS, -1, dtype=np.int32)
    to_index(5, np.array([2, 3], dtype=np.int32), index)
    assert list(index[:3]) == [1, 2, -1]


@given(shapes, st.randoms())
def test_permute(shape, chance):
    data, array = counted(shape)
    order = chance.sample(range(len(shape)), len(shape))
    found, expected = data.permute(*order), array.transpose(order)
    assert found.shape == expected.shape
    assert np.shares_memory(found._storage, data._storage)
    assert [found.get(index) for index in found.indices()] == list(expected.reshape(-1))


def test_what_is_permuted_is_not_contiguous():
    data, _ = counted((2, 3))
    assert data.permute(0, 1).is_contiguous()
    assert not data.permute(1, 0).is_contiguous()
    assert data.permute(1, 0).permute(1, 0).is_contiguous()


def test_writing_is_seen_by_all_who_share_the_storage():
    storage = np.zeros(6)
    data = TensorData(storage, (2, 3))
    turned = data.permute(1, 0)
    turned.set((2, 1), 7.0)
    assert data.get((1, 2)) == storage[5] == 7.0
    storage[0] = 3.0
    assert data.get((0, 0)) == turned.get((0, 0)) == 3.0


def test_an_index_may_be_one_number():
    data = TensorData([4.0, 5.0], (2,))
    data.set(0, 9.0)
    assert (data.get(0), data.get(np.int64(1)), data.index(1)) == (9.0, 5.0, 1)


def test_the_parts():
    data = TensorData([1, 2, 3, 4], (2, 2), (1, 2))
    storage, shape, strides = data.tuple()
    assert storage is data._storage
    assert storage.dtype == np.float64
    assert (list(shape), list(strides)) == ([2, 2], [1, 2])
    assert data.get((0, 1)) == 3.0


def test_samples_reach_every_element():
    random.seed(0)
    data, _ = counted((2, 3))
    assert {data.sample() for _ in range(200)} == set(data.indices())


# --- broadcasting --------------------------------------------------------------------------------


@given(pairs_of_shapes)
def test_shapes_together(shapes):
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(IndexingError, match="do not broadcast: axis"):
            shape_broadcast(*shapes)
    else:
        assert shape_broadcast(*shapes) == TensorData.shape_broadcast(*shapes) == expected


@given(shapes, st.lists(sizes, max_size=2), st.randoms())
def test_the_index_of_what_is_broadcast(big, more, chance):
    shape = tuple(chance.choice([1, n]) for n in big)
    big = (*more, *big)
    _, array = counted(shape)
    for index in np.ndindex(*big):
        found = [-1] * len(shape)
        broadcast_index(index, big, shape, found)
        assert array[tuple(found)] == np.broadcast_to(array, big)[index]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ((2, 0), r"index \(2, 0\) is out of range: axis 0 of shape \(2, 3\) takes 0 to 1$"),
        ((0, 3), r"index \(0, 3\) is out of range: axis 1 of shape \(2, 3\) takes 0 to 2$"),
        ((0, -1), r"takes 0 to 2; negative indices are not taken"),
        ((0,), r"index \(0,\) has 1 dimensions, the tensor 2: \(2, 3\)"),
        ((0, 0, 0), r"index \(0, 0, 0\) has 3 dimensions, the tensor 2"),
        (0, r"index \(0,\) has 1 dimensions"),
    ],
)
def test_wrong_indices(index, message):
    data, _ = counted((2, 3))
    for attempt in (data.index, data.get, lambda i: data.set(i, 1.0)):
        with pytest.raises(IndexingError, match=message):
            attempt(index)
    assert issubclass(IndexingError, IndexError)


def test_wrong_layouts():
    with pytest.raises(ShapeError, match=r"2 numbers for shape \(3,\), which has 3 elements"):
        TensorData([1, 2], (3,))
    with pytest.raises(IndexingError, match=r"strides \(1, 1\) and shape \(2,\) must be equally"):
        TensorData([1, 2], (2,), (1, 1))
    data, _ = counted((2, 3))
    for order in ((0,), (0, 0), (1, 2), (0, -1)):
        with pytest.raises(IndexingError, match="must name each of the axes 0 to 1 once"):
            data.permute(*order)


def test_wrong_broadcasting_names_the_axis():
    message = r"\(2, 3\) and \(5, 1\) do not broadcast: axis -2 has the sizes 2 and 5; they must be"
    with pytest.raises(IndexingError, match=message):
        shape_broadcast((2, 3), (5, 1))


def test_there_is_no_gpu():
    with pytest.raises(DeviceError, match="to_cuda_: Tessella has no GPU backend yet"):
        TensorData([1.0], (1,)).to_cuda_()


# --- how numbers are shown -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "shape", "text"),
    [
        ([1.5], (), "1.50 "),
        ([1.5], (1,), "\n[1.50]"),
        ([], (0,), ""),
        ([1, -2.345, 1e3], (3,), "\n[1.00 -2.35 1000.00]"),
        ([1, 2, 3, 4], (2, 2), "\n[\n\t[1.00 2.00]\n\t[3.00 4.00]]"),
        ([1, 2], (2, 1, 1), "\n[\n\t[\n\t\t[1.00]]\n\t[\n\t\t[2.00]]]"),
    ],
)
def test_to_string_is_minitorchs_text(numbers, shape, text):
    assert TensorData(numbers, shape).to_string() == text


def test_what_is_permuted_is_shown_so():
    turned = TensorData([1, 2, 3, 4], (2, 2)).permute(1, 0)
    assert turned.to_string() == "\n[\n\t[1.00 3.00]\n\t[2.00 4.00]]"

"""Memory that is shared with other libraries: what may be written, and what needs a copy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tessella as ts
from tessella import errors

KINDS = ["int8", "int64", "float32", "float64", "complex64", "bool"]


def is_writable(tensor):
    return np.from_dlpack(tensor).flags.writeable


def exported_without_a_version(tensor):
    """As a consumer of the time before DLPack 1.0 takes it."""

    class Old:
        def __dlpack__(self, **_):
            return tensor.__dlpack__()

        def __dlpack_device__(self):
            return tensor.__dlpack_device__()

    return np.from_dlpack(Old())


# --- DLPack -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x[1:], lambda x: x[::-1].reshape((3, 1)).T, lambda x: x.detach()]
)  # fmt: skip
def test_constants_of_a_program_are_read_only_in_every_view(view):
    f = ts.jit(lambda x: (ts.asarray([0.0, 1.0, 2.0]), x + 1.0))
    constant, computed = f(ts.ones(3))
    assert not is_writable(view(constant))
    assert is_writable(computed)
    held = exported_without_a_version(view(constant))  # it cannot be told, and has a copy
    assert held.tolist() == view(constant).tolist()
    assert not np.shares_memory(held, view(constant).numpy())
    assert f(ts.ones(3))[0].tolist() == [0.0, 1.0, 2.0]


def test_memory_that_came_read_only_goes_so():
    data = np.arange(12.0).reshape(3, 4)
    data.flags.writeable = False
    shared = ts.asarray(data, copy=False)
    for tensor in (shared, shared.T, shared[1], ts.from_dlpack(data), ts.from_dlpack(shared)):
        assert not is_writable(tensor)
        with pytest.raises(ValueError, match="read-only"):
            np.from_dlpack(tensor)[0] = 1
    with pytest.raises(BufferError, match=r"from version 1\.0 on only"):
        shared.__dlpack__(copy=False)
    assert is_writable(ts.asarray(data))
    assert is_writable(shared + 0.0)
    assert np.from_dlpack(shared, copy=True).flags.writeable


def test_what_is_stored_once_and_shown_often_is_read_only():
    row = ts.asarray([1.0, 2.0])
    assert not is_writable(ts.broadcast_to(row, (3, 2)))
    assert is_writable(row)
    assert is_writable(ts.broadcast_to(row, (1, 2)))


def test_what_belongs_to_the_tensor_alone_can_be_written():
    x = ts.zeros(3)
    np.from_dlpack(x)[1] = 5.0
    assert x.tolist() == [0.0, 5.0, 0.0]
    held = exported_without_a_version(x)
    np.from_dlpack(x)[2] = 6.0
    assert held.tolist() == x.tolist() == [0.0, 5.0, 6.0]


def test_numbers_that_are_made_once_are_not_written():
    """Whatever gives one of them back."""
    found = ts.broadcast_to(ts.asarray(2.0), (1,)) * 1.0
    assert is_writable(found)
    from tessella.tensors.operands import scalar_beside

    assert not is_writable(scalar_beside(2.5, found._value.layout))


@pytest.mark.peers
def test_pytorch_and_constants():
    import torch

    constant = ts.jit(lambda: ts.asarray([1.0, 2.0]))()
    assert torch.from_dlpack(constant).tolist() == [1.0, 2.0]
    taken = torch.from_dlpack(ts.zeros(2))
    taken[0] = 3.0
    assert taken.tolist() == [3.0, 0.0]


# --- without a copy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([1.0, 2.0], "a list has no memory"),
        ((1, 2), "a tuple has no memory"),
        (1.5, "a float has no memory"),
        (True, "a bool has no memory"),
        (np.float32(2), "a number has no memory"),
        (np.arange(4).astype(">i4"), "another order"),
        (np.arange(12, dtype="i1")[1:9].view("i8"), "not aligned"),
        (np.zeros(3, [("a", "i2"), ("b", "i4"), ("c", "i2")])["c"][:0], None),
        (np.zeros((3, 3), "i2").reshape(-1)[:8].view("i4"), None),
    ],
    ids=lambda x: "",
)
def test_what_cannot_be_shared_is_refused(given, text):
    if text is None:
        assert ts.asarray(given, copy=False).tolist() == given.tolist()
        return
    with pytest.raises(errors.ArgumentError, match=f"asarray: .*{text}.*copy=False was given"):
        ts.asarray(given, copy=False)
    np.testing.assert_array_equal(ts.asarray(given).numpy(), given)


def test_strides_between_elements_are_refused():
    packed = np.zeros(4, np.dtype([("a", "f4"), ("b", "i2")], align=False))["a"]
    packed.flags.writeable = True
    with pytest.raises(errors.ArgumentError, match="copy=False was given"):
        ts.asarray(packed, copy=False)


@pytest.mark.parametrize("given", [np.ones(2), ts.ones(2), ts.ones(2).numpy()], ids=lambda x: "")
def test_another_dtype_needs_a_copy(given):
    with pytest.raises(errors.ArgumentError, match=r"asarray: float\d\d to int8, and copy=False"):
        ts.asarray(given, dtype=ts.int8, copy=False)
    assert ts.asarray(given, dtype=ts.int8).dtype is ts.int8


def test_objects_that_give_arrays():
    class Gives:
        def __init__(self, data):
            self.data = data

        def __array__(self, dtype=None, copy=None):
            if self.data is None and copy is False:
                raise ValueError("there is nothing to share")
            return np.ones(2) if self.data is None else self.data

    data = np.zeros(2)
    shared = ts.asarray(Gives(data), copy=False)
    data[0] = 7.0
    assert shared.tolist() == [7.0, 0.0]
    with pytest.raises(errors.ArgumentError, match="Gives: there is nothing to share"):
        ts.asarray(Gives(None), copy=False)
    assert ts.asarray(Gives(None)).tolist() == [1.0, 1.0]


def test_a_tensor_is_given_back():
    x = ts.ones(2)
    assert ts.asarray(x, copy=False) is x
    assert ts.asarray(x) is x
    assert ts.asarray(x, copy=True) is not x


def test_a_number_of_a_traced_function_is_refused_as_without_a_trace():
    def f(number):
        return ts.asarray(number, copy=False)

    for function in (f, ts.jit(f)):
        with pytest.raises(errors.ArgumentError, match="copy=False was given"):
            function(2.0)


@given(st.sampled_from(KINDS), st.data())
def test_shared_is_shared_or_refused(kind, data):
    """Of any slice of any array: what is written to the array is seen, or an error says why not."""
    rows, columns = (data.draw(st.integers(0, 4)) for _ in range(2))
    whole = np.zeros((rows, 5, columns), kind)
    steps = st.sampled_from([-2, -1, 1, 2])
    part = whole[:: data.draw(steps), data.draw(st.integers(0, 2)) :: data.draw(steps)]
    part = part.transpose(data.draw(st.permutations(range(3))))
    shift = data.draw(st.integers(0, 3))
    if shift:  # elements where the processor would not have them
        raw = np.zeros(part.nbytes + 8, np.uint8)[shift : shift + part.nbytes]
        part = raw.view(kind).reshape(part.shape)
    try:
        shared = ts.asarray(part, copy=False)
    except errors.ArgumentError:
        assert not part.flags.aligned
    else:
        part[...] = 1
        np.testing.assert_array_equal(shared.numpy(), part)
    np.testing.assert_array_equal(ts.asarray(part).numpy(), part)


def test_reshaping_without_a_copy():
    x = ts.asarray(np.arange(6).reshape(2, 3))
    assert ts.reshape(x, (3, 2), copy=False).tolist() == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(
        errors.ArgumentError, match=r"reshape: \(3, 2\) with strides \(1, 3\) to \(6,\)"
    ):
        ts.reshape(x.T, (6,), copy=False)
    assert ts.reshape(x.T, (6,)).tolist() == [0, 3, 1, 4, 2, 5]

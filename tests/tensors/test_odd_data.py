"""What becomes a tensor: lists that hold tensors, memory of others, objects that are not what they say."""

import array
import collections
import datetime
import math
from unittest import mock

import numpy as np
import pytest

import tessella as ts
from tessella import errors

V = ts.asarray([1.0, 2.0, 3.0])


# --- lists that hold tensors -----------------------------------------------------------------------------


def test_gradients_pass_through_lists():
    def twice(x):
        return ts.sum(ts.asarray([x, x]) * ts.asarray([x[0], 2.0, [x, x][1][1]]))

    x = ts.asarray([1.0, 2.0, 3.0]).requires_grad_()
    ts.asarray([x[1], 2.0, 5]).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
    stacked = ts.grad(lambda x: ts.sum(ts.stack([x, x]) * ts.stack([x[0], ts.asarray(2.0), x[1]])))
    assert ts.grad(twice)(V).tolist() == stacked(V).tolist()
    assert ts.grad(lambda x: ts.add(x, [x[0], x[0], 1.0]).sum())(V).tolist() == [3.0, 1.0, 1.0]
    assert ts.jvp(lambda x: ts.exp([x, x]), (V,), (V,))[1].shape == (2, 3)


@pytest.mark.parametrize(
    "made",
    [
        lambda x: ts.asarray([x, x]),
        lambda x: ts.exp([[x], [x * 2]]),
        lambda x: ts.asarray([x[0], 1, x[1]]),
        lambda x: ts.asarray(([x[0], 0.5], (x[1], 2))),
        lambda x: ts.concat([[x], [x]]),
        lambda x: ts.tensor([x, x]),
        lambda x: ts.asarray([x, np.ones(3)]),
        lambda x: ts.asarray([x, [0.1, 0.2, 0.3]], dtype=ts.float64),
        lambda x: ts.asarray([x[0], 2.5], dtype=ts.int32),
    ],
)
def test_lists_are_the_same_in_transformed_functions(made):
    plain = made(V)
    for found in (ts.jit(made)(V), made(ts.asarray(V).requires_grad_())):
        assert found.dtype is plain.dtype
        assert found.tolist() == plain.tolist()
    batch = ts.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert ts.vmap(made)(batch).tolist() == [made(x).tolist() for x in batch]


def test_lists_of_numbers_of_a_traced_function():
    pair = ts.jit(lambda a, b: ts.asarray([a, [1.0, b][1], 3]))
    for a, b in ((1.0, 2.0), (3.0, 4.0), (5.0, 0.1)):
        assert pair(a, b).tolist() == ts.asarray([a, b, 3]).tolist()
    assert len(pair.traces) == 1
    sizes = ts.jit(lambda x: ts.asarray([x.shape[0], 7]), dynamic=True)
    assert [sizes(ts.ones(n)).tolist() for n in (3, 4, 5)] == [[3, 7], [4, 7], [5, 7]]
    numbers = ts.jit(lambda: ts.asarray([np.float64(0.1), np.float64(0.2)]))
    assert numbers().tolist() == [0.1, 0.2]


def test_lists_of_arrays_are_read_at_every_call():
    one, other = np.ones(2), ts.asarray([2.0, 2.0])
    both = ts.jit(lambda: ts.asarray([one, other]))
    assert both().tolist() == [[1.0, 1.0], [2.0, 2.0]]
    one[:] = 5
    other.add_(1)
    assert both().tolist() == [[5.0, 5.0], [3.0, 3.0]]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([V, [1.0, 2.0]], "beside each other are the shapes (3,), (2,)"),
        ([V, "a"], "'a' cannot become a tensor"),
    ],
)
def test_lists_of_tensors_that_do_not_fit(data, text):
    for made in (lambda: ts.asarray([ts.asarray(data[0]).requires_grad_(), data[1]]),
                 lambda: ts.jit(lambda: ts.asarray(data))()):  # fmt: skip
        with pytest.raises(ts.TessellaError) as caught:
            made()
        assert text in str(caught.value)


def test_a_list_of_tensors_that_holds_itself():
    data = [ts.asarray([1.0]).requires_grad_()]
    data.append(data)
    for dtype in (None, ts.float64):
        with pytest.raises(errors.ArgumentError, match="nested more than 64 deep"):
            ts.asarray(data, dtype=dtype)


# --- numbers ---------------------------------------------------------------------------------------------


def test_whole_numbers_stay_exact():
    assert ts.asarray([1, 2**63]).dtype is ts.uint64
    assert ts.asarray([[1], [2**64 - 1]]).tolist() == [[1], [2**64 - 1]]
    assert ts.asarray([1.5, 2**63]).dtype is ts.float32
    assert ts.asarray([-1, 2**63], dtype=ts.float64).tolist() == [-1.0, 2.0**63]


def test_numbers_are_cut_off_where_integers_are_assigned():
    x = ts.asarray([1, 2, 3], dtype=ts.uint8)
    x[0], x[1:] = 2.9, [7.5, 255]
    assert x.tolist() == [2, 7, 255]


def test_a_tensor_of_one_number_fills():
    for made in (ts.full, ts.jit(ts.full, static_argnums=0)):
        assert made((2,), V[1]).tolist() == [2.0, 2.0]
        assert made((1,), V[1], dtype=ts.int32).dtype is ts.int32
    assert ts.grad(lambda x: ts.full((3,), x).sum())(V[0]).item() == 3.0


def test_a_tensor_as_a_number():
    assert (int(ts.asarray(2.9)), float(ts.asarray(True)), complex(ts.asarray(1j))) == (2, 1.0, 1j)
    assert (f"{ts.asarray(3):d}", f"{ts.asarray(1.5):.2f}") == ("3", "1.50")


# --- objects that are not what they say ------------------------------------------------------------------


class Pretending:
    """An object that has every attribute that it is asked for."""

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self


class Gives:
    def __init__(self, found):
        self.found = found

    def __array__(self, dtype=None, copy=None):
        return self.found


class Asks:
    def __array__(self, dtype):
        return np.ones(2)


class Exports:
    def __init__(self, capsule, device=(1, 0)):
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


MASKED = np.ma.masked_array([1.0, 2.0], [True, False])

WRONG = [
    (lambda: ts.exp(MASKED), errors.ArgumentError, "1 of the array's 2 elements are masked, and tensors have no masks"),
    (lambda: V[:2] + MASKED, errors.ArgumentError, "are masked"),
    (lambda: ts.exp([MASKED, MASKED]), errors.ArgumentError, "are masked"),
    (lambda: ts.jit(lambda x: x + 1)(MASKED), errors.ArgumentError, "are masked"),
    (lambda: ts.asarray([-1, 2**63]), errors.ArgumentError, "both below 0 and beyond int64"),
    (lambda: ts.asarray(2**64), errors.ArgumentTypeError, "18446744073709551616 has more than 64 bits"),
    (lambda: ts.asarray([[1, None]]), errors.ArgumentTypeError, "None in a list cannot become a tensor"),
    (lambda: ts.asarray([1j], dtype=ts.float32), errors.DTypeError, "complex numbers were given for float32"),
    (lambda: ts.ones(2).copy_([1j, 1j]), errors.DTypeError, "complex numbers were given for float32, which"),
    (lambda: ts.exp(Gives(3)), errors.ArgumentTypeError, "__array__ of an object of class Gives gives 3"),
    (lambda: ts.exp(Asks()), errors.ArgumentTypeError, "__array__ of an object of class Asks cannot be called as it is"),
    (lambda: ts.exp(Exports(3)), errors.ArgumentTypeError, "from_dlpack: an object of class Exports cannot be shared"),
    (lambda: ts.exp(Exports(datetime.datetime_CAPI)), errors.ArgumentTypeError, "expected one of DLPack's"),
    (lambda: ts.exp(Exports(3, None)), errors.ArgumentTypeError, "cannot be shared"),
    (lambda: ts.exp(Exports(3, (2, 0))), errors.DeviceError, "on another device"),
    (lambda: ts.exp(Pretending()), errors.ArgumentTypeError, "an object of class Pretending"),
    (lambda: ts.exp(mock.call), errors.TessellaError, "exp: x"),
    (lambda: ts.sum(V, axis=Pretending()), errors.AxisError, "axis is an object of class Pretending"),
    (lambda: ts.sum(V, axis=np.True_), errors.AxisError, "axis is True of NumPy's bool"),
    (lambda: ts.zeros(V), errors.ShapeError, "shape is a Tensor of shape (3,) and dtype float32"),
    (lambda: ts.jit(lambda n: ts.sum(V, axis=n))(1.0), errors.AxisError, "axis is 1.0"),
    (lambda: int(ts.asarray(math.nan)), errors.ArgumentError, "int: the tensor holds nan"),
    (lambda: int(ts.asarray(math.inf)), errors.ArgumentError, "int: the tensor holds inf"),
    (lambda: float(ts.asarray(1j)), errors.DTypeError, "float: the tensor is complex64; take its real part"),
    (lambda: f"{ts.asarray(1.5):d}", errors.ArgumentError, "format: 'd' does not fit a number of float32"),
    (lambda: V.T, errors.AbsentAttributeError, "T: 1 dimensions; a row or a column is"),
    (lambda: V.mT, errors.AbsentAttributeError, "mT: 1 dimensions; a row or a column is"),
    (lambda: V.__array_namespace__(api_version="1999"), errors.ArgumentError, "api_version is '1999'; expected one of"),
    (lambda: V.__dlpack__(max_version="a"), errors.ArgumentTypeError, "max_version is 'a'"),
    (lambda: V.to(ts.int32, ts.int64), errors.ArgumentTypeError, "to: a dtype was given twice"),
    (lambda: V.to("cpu", device="cpu"), errors.ArgumentTypeError, "to: a device was given twice"),
    (lambda: V.to(foo=1), errors.ArgumentTypeError, "to: no argument `foo`"),
    (lambda: ts.ones(2).fill_(V), errors.ArgumentTypeError, "fill_: value has shape (3,)"),
    (lambda: ts.ones(2).fill_(), errors.ArgumentTypeError, "fill_: `value` was not given"),
    (lambda: ts.asarray(), errors.ArgumentTypeError, "asarray: `obj` was not given"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_said(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert isinstance(caught.value, ts.TessellaError)


def test_an_array_of_which_nothing_is_masked():
    assert ts.exp(np.ma.masked_array([0.0], [False])).tolist() == [1.0]


def test_operators_give_way_to_whatever_pretends():
    for other in (Pretending(), mock.call):
        with pytest.raises(TypeError, match="unsupported operand"):
            V + other


def test_all_that_a_tensor_lists_can_be_asked_for():
    assert [name for name in dir(V) if not hasattr(V, name)] == ["T", "mT"]
    assert mock.create_autospec(V).sum is not None


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda b: array.array("B", b)])
def test_memory_among_the_arguments_is_looked_at(kind):
    data = kind(bytearray(b"ab"))
    counted = ts.jit(lambda x: ts.asarray(list(x)))
    assert counted(data).tolist() == [97, 98]
    data[0] = 100
    assert counted(data).tolist() == [100, 98]
    assert ts.jit(lambda x: ts.asarray(list(x)))(collections.deque([1])).tolist() == [1]


@pytest.mark.peers
def test_tensors_of_pytorch_in_compiled_functions():
    import torch

    for kind in (torch.float32, torch.bfloat16):
        theirs = torch.ones(2, dtype=kind)
        one = ts.jit(lambda x: ts.add(x, 1))
        around = ts.jit(lambda theirs=theirs: ts.add([theirs, theirs], 1))
        assert one(theirs).tolist() == around()[0].tolist() == [2.0, 2.0]
        theirs.fill_(4)
        assert one(theirs).tolist() == around()[0].tolist() == [5.0, 5.0]
    with pytest.raises(errors.ArgumentTypeError, match="cannot be shared"):
        ts.exp(torch.ones(2, device="meta"))

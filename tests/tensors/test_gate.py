"""Any argument gets an answer: what can become a tensor does, and all else is said to be wrong by its name."""

import contextlib
import copy
import inspect
import math
import pickle
import typing

import numpy as np
import pytest

import tessella as ts
from tessella import arguments, errors, nn
from tessella.nn import functional as F

X = ts.asarray([[1.0, 2.0], [3.0, 4.0]])
ARRAY = X.numpy()


# --- conversion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (X, ts.float32), (ARRAY, ts.float32), (ARRAY.tolist(), ts.float32), (tuple(ARRAY.tolist()), ts.float32),
        (np.float64(2.0), ts.float64), (np.int8(2), ts.int8), (2.0, ts.float32), (2, ts.int64), (True, ts.bool),
        ([[1, 2]], ts.int64), ([X[0], X[1]], ts.float32), (np.arange(3), ts.int64),
    ],
)  # fmt: skip
def test_what_asarray_takes_without_a_guess_is_converted(value, dtype):
    for function in (
        ts.positive,
        ts.flip,
        lambda x: ts.where(True, x, x),
        lambda x: ts.broadcast_arrays(x)[0],
    ):
        found = function(value)
        assert type(found) is ts.Tensor
        assert found.dtype is dtype
        assert found.tolist() == function(ts.asarray(value)).tolist()


def test_numbers_alone_and_beside_numbers():
    assert ts.add(1, 2).tolist() == 3
    assert ts.pow(2, 0.5).tolist() == pytest.approx(2**0.5)
    assert ts.maximum(ARRAY, 2.5).tolist() == [[2.5, 2.5], [3.0, 4.0]]
    assert ts.clip(5, 0, 3).tolist() == 3
    assert ts.subtract(5.0, X).tolist() == [[4.0, 3.0], [2.0, 1.0]]


def test_fractions_in_lists_take_the_dtype_beside_them():
    wide = ts.asarray([0.1, 0.2], dtype=ts.float64)
    for found in (
        ts.add(wide, [0.1, 0.2]),
        ts.add([0.1, 0.2], wide),
        ts.add(wide.numpy(), [0.1, 0.2]),
    ):
        assert found.dtype is ts.float64
        assert found.tolist() == [0.2, 0.4]
    assert ts.add(np.asarray([0.1]), 0.1).tolist() == [0.2]
    assert ts.add(wide.astype(ts.float16), [1.0, 1.0]).dtype is ts.float16
    assert ts.add(ts.asarray([1]), [0.5]).dtype is ts.float32
    assert F.mse_loss(wide, [0.1, 0.2]).item() == 0.0


def test_what_is_infinite_in_a_dtype_is_so_without_a_warning():
    assert ts.exp([1e308]).tolist() == [math.inf]
    assert ts.isclose(X, X, rtol=1e308).tolist() == [[True, True], [True, True]]
    assert ts.atanh([1 + 0j]).tolist()[0].real == math.inf
    assert ts.copysign(ts.ones(1, dtype=ts.bfloat16), 10**30).tolist() == [1.0]


def test_repeating_whole_tensors():
    for times in (2, (2,), (0, 2), (2, 1, 3), (np.int64(2), 1), [1, 1]):
        np.testing.assert_array_equal(ts.tile(X, times).numpy(), np.tile(ARRAY, times))
    assert ts.tile(1.0, 100_000).shape == (100_000,)
    assert ts.pad(3.0, []).item() == 3.0


def test_layers_take_arrays():
    image = np.ones((2, 3, 8, 8), np.float32)
    layers = [
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.GELU(),
        nn.Linear(8, 3),
    ]
    for layer in layers:
        found = layer.eval()(image)
        assert type(found) is ts.Tensor
        assert found.tolist() == layer(ts.asarray(image)).tolist()
    assert nn.Embedding(5, 3)([1, 2]).shape == (2, 3)
    assert (
        nn.CrossEntropyLoss()(ARRAY, [0, 1]).tolist()
        == F.cross_entropy(X, ts.asarray([0, 1])).tolist()
    )


def test_arrays_in_a_compiled_function_are_read_at_every_call():
    array = np.ones(2, np.float32)
    doubled = ts.jit(lambda: ts.add(array, array))
    assert doubled().tolist() == [2.0, 2.0]
    array[:] = 3
    assert doubled().tolist() == [6.0, 6.0]


def test_numbers_and_sizes_of_compiled_functions_pass():
    assert ts.jit(lambda x, low: ts.clip(x, low, 3.0))(X, 2.0).tolist() == [[2.0, 2.0], [3.0, 3.0]]
    assert ts.jit(lambda rate: ts.exp(rate))(0.0).tolist() == 1.0
    assert ts.jit(lambda x, axis: ts.sum(x, axis=axis))(X, 1).tolist() == [3.0, 7.0]
    grown = ts.jit(lambda x: ts.reshape(x, (x.shape[0] * 2, 1)), dynamic={"x": {0: "n"}})
    assert grown(X).shape == (4, 1)
    assert grown(ts.ones((5, 2))).shape == (10, 1)


# --- what cannot serve -----------------------------------------------------------------------------------

HUGE = 10**400


def _deep():
    found = [1.0]
    for _ in range(2000):
        found = [found]
    return found


WRONG = [
    (lambda: ts.exp(None), errors.ArgumentTypeError, "exp: x is None; expected a Tensor, or what ts.asarray takes"),
    (lambda: ts.exp("1"), errors.ArgumentTypeError, "exp: x is '1'"),
    (lambda: ts.exp(b"1"), errors.ArgumentTypeError, "exp: x is b'1'"),
    (lambda: ts.exp({1.0}), errors.ArgumentTypeError, "exp: x is {1.0}"),
    (lambda: ts.exp({}), errors.ArgumentTypeError, "exp: x is {}"),
    (lambda: ts.exp(object()), errors.ArgumentTypeError, "exp: x is an object of class object"),
    (lambda: ts.exp(ts.Tensor), errors.ArgumentTypeError, "exp: x is the class Tensor"),
    (lambda: ts.exp([1, None]), errors.ArgumentTypeError, "exp: x: asarray:"),
    (lambda: ts.exp([[1], [2, 3]]), errors.ArgumentError, "exp: x: asarray: the nested lists are not a box"),
    (lambda: ts.exp([HUGE]), errors.ArgumentTypeError, "exp: x: asarray:"),
    (lambda: ts.pow(X, None), errors.ArgumentTypeError, "pow: x2 is None"),
    (lambda: ts.pow(None, X), errors.ArgumentTypeError, "pow: x1 is None"),
    (lambda: ts.add("a", X), errors.ArgumentTypeError, "add: x1 is 'a'"),
    (lambda: ts.equal(X, "a"), errors.ArgumentTypeError, "equal: x2 is 'a'"),
    (lambda: ts.sum(X, axis=""), errors.AxisError, "sum: axis is ''; expected the number of an axis, or several"),
    (lambda: ts.sum(X, axis={0}), errors.AxisError, "sum: axis is {0}"),
    (lambda: ts.sum(X, axis=True), errors.AxisError, "sum: axis is True"),
    (lambda: ts.sum(X, axis=HUGE), errors.AxisError, "axis is an integer of 1329 bits, which has more than 64 bits"),
    (lambda: ts.sum(X, axis=(HUGE,)), errors.AxisError, "an integer of 1329 bits"),
    (lambda: ts.argmax(X, axis=(0, 1)), errors.AxisError, "argmax: axis is (0, 1); expected the number of an axis"),
    (lambda: ts.sum(X, dtype=True), errors.DTypeError, "sum: dtype is True; expected a dtype"),
    (lambda: ts.sum(X, keepdims="no"), errors.ArgumentTypeError, "sum: keepdims is 'no'; expected True or False"),
    (lambda: ts.sum(X, keepdims=None), errors.ArgumentTypeError, "sum: keepdims is None"),
    (lambda: ts.zeros(b"x"), errors.ShapeError, "zeros: shape is b'x'; expected a whole number or several"),
    (lambda: ts.zeros({1, 2}), errors.ShapeError, "zeros: shape is {1, 2}"),
    (lambda: ts.zeros({1: 2}), errors.ShapeError, "zeros: shape is {1: 2}"),
    (lambda: ts.zeros(None), errors.ShapeError, "zeros: shape is None"),
    (lambda: ts.reshape(X, "4"), errors.ShapeError, "reshape: shape is '4'"),
    (lambda: ts.reshape(X, (2.0, 2)), errors.ShapeError, "sizes must be"),
    (lambda: ts.eye(float("nan")), errors.ArgumentTypeError, "eye: n_rows is nan; expected a whole number"),
    (lambda: ts.diff(X, n=2.0), errors.ArgumentTypeError, "diff: n is 2.0; expected a whole number"),
    (lambda: ts.isclose(X, X, rtol="a"), errors.ArgumentTypeError, "isclose: rtol is 'a'; expected a number"),
    (lambda: ts.isclose(X, X, rtol=HUGE), errors.ArgumentTypeError, "isclose: rtol is an integer of 1329 bits"),
    (lambda: F.mse_loss(X, X, "max"), errors.ArgumentError, "reduction is 'max'; expected 'mean' or 'sum' or 'none'"),
    (lambda: F.mse_loss(X, X, 3), errors.ArgumentError, "mse_loss: reduction is 3"),
    (lambda: F.gelu(X, "exact"), errors.ArgumentError, "gelu: approximate is 'exact'; expected 'none' or 'tanh'"),
    (lambda: ts.concat("ab"), errors.ArgumentTypeError, "concat: arrays is 'ab'; expected several tensors"),
    (lambda: ts.concat(3), errors.ArgumentTypeError, "concat: arrays is 3"),
    (lambda: ts.map(3), errors.ArgumentTypeError, "map: function is 3; expected a function"),
    (lambda: ts.zeros(2, device=3), errors.DeviceError, "zeros: device is 3; expected 'cpu'"),
    (lambda: ts.sum(), errors.ArgumentTypeError, "sum: `x` was not given; expected a Tensor"),
    (lambda: ts.add(X), errors.ArgumentTypeError, "add: `x2` was not given"),
    (lambda: ts.add(X, X, X), errors.ArgumentTypeError, "add: 3 arguments were given by place; expected at most 2"),
    (lambda: ts.sum(X, 0, True, None), errors.ArgumentTypeError, "sum: 4 arguments were given by place"),
    (lambda: ts.sum(X, axs=1), errors.ArgumentTypeError, "sum: no argument `axs`; did you mean `axis`?"),
    (lambda: ts.sum(X, zzz=1), errors.ArgumentTypeError, "no argument `zzz`; it takes `x`, `axis`, `keepdims`, `dtype`"),
    (lambda: ts.sum(X, axis=0, dim=1), errors.ArgumentTypeError, "`axis` was given twice, as `axis` and as `dim`"),
    (lambda: ts.exp(X, x=X), errors.ArgumentTypeError, "exp: `x` was given twice"),
    (lambda: ts.where(X > 0, X, x2=X, other=X), errors.ArgumentTypeError, "`x2` was given twice"),
    (lambda: ts.exp(_deep()), errors.ArgumentError, "lists are nested more than 64 deep"),
    (lambda: X + HUGE, errors.ArgumentError, "the number is an integer of 1329 bits, which does not fit in float32"),
    (lambda: ts.from_dlpack(np.array(["a"])), errors.ArgumentTypeError, "from_dlpack: an array of shape (1,) and dtype <U1 cannot"),
    (lambda: ts.from_dlpack(ts.Tensor), errors.ArgumentTypeError, "from_dlpack: the class Tensor has no __dlpack__"),
    (lambda: ts.nonzero(1.0), errors.ShapeError, "nonzero: shape () has no axes"),
    (lambda: ts.take_along_axis(X, [0]), errors.ShapeError, "take_along_axis: shape (2, 2), and indices of shape (1,)"),
    (lambda: ts.searchsorted(X[0], X[0], sorter=[0, 5]), errors.IndexingError, "sorter holds other places than 0 to 1"),
    (lambda: ts.searchsorted(X[0], X[0], sorter=[0.0, 1.0]), errors.ArgumentError, "sorter is float32 of shape (2,)"),
    (lambda: ts.tensordot(X, X, axes=(0,)), errors.AxisError, "tensordot: axes is (0,); expected two lists of axes"),
    (lambda: ts.tensordot(X, X, axes=((0, 1), (0,))), errors.AxisError, "expected as many of x1 as of x2"),
    (lambda: ts.tensordot(X, X, axes=((0, 0), (0, 1))), errors.AxisError, "each once"),
    (lambda: ts.where(X > 0, 1j, ts.ones(3)), errors.ShapeError, "where:"),
    (lambda: ts.split(X, [None]), errors.ShapeError, "split: shape (None,) holds None"),
    (lambda: ts.sliding_window(X, [[1]]), errors.ArgumentError, "sliding_window: a size is [1]; expected a whole"),
    (lambda: ts.sliding_window(X, (2,), (1, 1)), errors.ShapeError, "expected one of each for each of the last axes"),
    (lambda: ts.finfo({}), errors.DTypeError, "dtype: dict is not a data type"),
    (lambda: ts.finfo(None), errors.DTypeError, "dtype: NoneType is not a data type"),
    (lambda: F.linear(X, 2.0), errors.ShapeError, "linear: the weight has shape (); expected (out, in)"),
    (lambda: F.linear(X, X, [[1.0, 2.0]]), errors.ShapeError, "linear: bias has shape (1, 2); expected (2,)"),
    (lambda: F.layer_norm(X, 2, weight=[1.0]), errors.ShapeError, "layer_norm: weight has shape (1,); expected (2,)"),
    (lambda: F.batch_norm(X, None, None, bias=[1.0]), errors.ShapeError, "batch_norm: bias has shape (1,); expected (2,)"),
    (lambda: F.cross_entropy(1.0, 0), errors.ShapeError, "cross_entropy: the input has shape ()"),
    (lambda: F.nll_loss(X, [0, 1], weight=[1.0]), errors.ShapeError, "nll_loss: weight has shape (1,); expected (2,)"),
    (lambda: ts.map(lambda x: x + 1)("a"), errors.ArgumentTypeError, "operands is 'a'; expected a Tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_said(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert isinstance(caught.value, ts.TessellaError)


def test_no_function_gives_notimplemented():
    binary = [n for n in ts.__all__ if _parameters(getattr(ts, n)) == ["x1", "x2"]]
    assert len(binary) >= 30
    for name in binary:
        for pair in ((X, object()), (object(), X), (X, None), (None, None)):
            with pytest.raises(ts.TessellaError):
                getattr(ts, name)(*pair)


def test_operators_leave_others_their_turn():
    class Other:
        def __rpow__(self, other):
            return "theirs"

        __radd__ = __rpow__

    assert X ** Other() == "theirs"
    assert X + Other() == "theirs"


# --- names -----------------------------------------------------------------------------------------------


def test_other_spellings():
    assert ts.sum(X, dim=1, keepdim=True).tolist() == [[3.0], [7.0]]
    assert (
        ts.sum(input=X, axis=0).tolist()
        == ts.sum(x=X, axis=0).tolist()
        == ts.sum(a=X, axis=0).tolist()
    )
    assert (
        ts.add(input=X, other=1.0).tolist() == ts.add(x1=X, x2=1.0).tolist() == (X + 1.0).tolist()
    )
    assert (
        F.softmax(X, axis=0).tolist()
        == F.softmax(X, dim=0).tolist()
        == F.softmax(input=X, dim=0).tolist()
    )
    assert ts.std(X, ddof=1).item() == ts.std(X, correction=1.0).item()
    assert ts.flatten(X[None], start_dim=1).shape == (1, 4)
    assert ts.concat(tensors=[X, X], dim=1).shape == (2, 4)


def test_axes_by_place():
    assert ts.sum(X, 1).tolist() == [3.0, 7.0]
    assert ts.concat([X, X], 1).shape == (2, 4)
    assert ts.vecdot(X, X, 0).tolist() == ts.vecdot(X, X, axis=0).tolist() == [10.0, 20.0]
    assert ts.aminmax(X, 0)[0].tolist() == [1.0, 2.0]
    assert ts.eye(2, 2, 1).tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert ts.tril(X, -1).tolist() == [[0.0, 0.0], [3.0, 0.0]]
    with pytest.raises(errors.ArgumentTypeError, match="3 arguments were given by place"):
        ts.diff(X, 1, 0)  # where PyTorch and NumPy have n


def test_a_cure_for_a_keyword_is_told():
    with pytest.raises(
        errors.ArgumentTypeError, match="std: no argument `unbiased`: write correction=1"
    ):
        ts.std(X, unbiased=True)
    assert ts.sum(X, out=None).item() == 10.0  # asks for nothing


# --- every public function -------------------------------------------------------------------------------

NOT_GATED = {
    "__array_namespace_info__": "takes nothing",
    "backend": "a context manager of the compiler",
    "can_cast": "of dtypes",
    "gradients": "takes trees of tensors that must have a history",
    "register_tree": "of classes",
    "tree_flatten": "of trees", "tree_leaves": "of trees", "tree_map": "of trees", "tree_unflatten": "of trees",
}  # fmt: skip
TRANSFORMATIONS = (
    "tessella.transforms",
    "tessella.autodiff",
    "tessella.tensors.comprehensions",
    "tessella.profiling",
)


def _parameters(function):
    if not callable(function) or inspect.isclass(function):
        return []
    return list(inspect.signature(function).parameters)


def _functions():
    for home in (ts, F):
        for name in home.__all__:
            found = getattr(home, name)
            if inspect.isfunction(found) and not found.__module__.startswith(TRANSFORMATIONS):
                yield name, found


def test_every_public_function_goes_through_the_gate():
    gated = {name for name, function in _functions() if arguments.gate_of(function) is not None}
    assert len(gated) >= 170
    assert {name for name, _ in _functions()} - gated == set(NOT_GATED)


def test_functions_stay_what_they_are():
    for name, function in _functions():
        assert (
            function.__name__ == name or getattr(ts, function.__name__) is function or name == "zip"
        )
        assert function.__doc__
        signature = inspect.signature(function)
        assert "missing" not in str(signature)
        found = pickle.loads(pickle.dumps(function))
        assert found is function is copy.deepcopy(function)


def test_the_types_of_functions_can_be_read():
    for name, function in _functions():
        assert "return" in typing.get_type_hints(function), name
    assert typing.get_type_hints(ts.sum)["axis"] == int | tuple[int, ...] | None


def test_every_function_refuses_every_wrong_first_argument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a text is a path, for `save`
    for name, function in _functions():
        if name in NOT_GATED or not _parameters(function):
            continue
        for value in (object(), "text", b"x", {1: 2}, lambda: 0, ts.Tensor, float("nan")):
            arguments_ = [value] * sum(
                p.default is p.empty for p in inspect.signature(function).parameters.values()
            )
            with contextlib.suppress(ts.TessellaError, FileNotFoundError):
                function(*arguments_)


# --- methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: X.to(ts.float64, copy=3), "to: copy is 3; expected True or False"),
        (lambda: X.contiguous(memory_format=3), "contiguous: no argument `memory_format`: leave it out"),
        (lambda: X.clone(memory_format=3), "clone: no argument `memory_format`"),
        (lambda: X.clone().normal_(generator=None), "normal_: no argument `generator`"),
        (lambda: X.clone().zero_(3), "zero_: 1 argument was given by place; expected at most 0"),
        (lambda: X.clone().fill_(), "fill_: `value` was not given$"),
        (lambda: X.sum().backward(None, None, False, [X]), "backward: 4 arguments were given by place; expected at most 3"),
        (lambda: X.sum().backward(inputs=[X]), "backward: no argument `inputs`"),
        (lambda: X.new_ones(2, names=3), "new_ones: no argument `names`"),
        (lambda: ts.manual_seed(), "manual_seed: `seed` was not given$"),
        (lambda: ts.asarray(), "asarray: `obj` was not given$"),
        (lambda: ts.cat(X, X), r"cat: axis is a Tensor of .*; give the tensors in a list: ts.cat\(\[x, y\]\)"),
        (lambda: ts.stack(X, X), r"give the tensors in a list: ts.stack\(\[x, y\]\)"),
        (lambda: ts.vstack(X, X), r"give the tensors in a list: ts.vstack\(\[x, y\]\)"),
        (lambda: ts.randint(5, (2,)), r"PyTorch's randint\(high, size\) is ts.randint\(0, high, shape\)"),
        (lambda: ts.randint(high=5, size=(2,)), "randint: `low` was not given; write 0 for PyTorch's"),
        (lambda: ts.randint(ts.random.key(0), (2,), 0, 10), r"is ts.random.choice\(key, high - low, shape\) \+ low"),
        (lambda: F.one_hot(ts.zeros(0, dtype=ts.int64)), r"num_classes is -1, the input has shape \(0,\); expected a number"),
        (lambda: ts.randn(2, size=(2, 3)), "randn: `shape` was given twice, as `shape` and as `size`"),
        (lambda: ts.einsum("ij,jk->ik", [X, X]), r"give them one by one: ts.einsum\(equation, x, y\)"),
        (lambda: X[0].T, r"T: 1 dimensions; a row or a column is x\[None, :\] or x\[:, None\]"),
        (lambda: X[None].T, "T: 3 dimensions; use mT for the last two axes, or permute_dims"),
        (lambda: (X > 0) and X, r"use any\(\) or all\(\), and for each element &, \| and ~ in place of `and`, `or`"),
        (lambda: X.item(), r"item: the tensor has 4 elements \(shape \(2, 2\)\)"),
        (lambda: X.item(4), "index 4 is out of range for axis 0 of size 4"),
    ],
)  # fmt: skip
def test_methods_and_what_is_left_out_are_told(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()


def test_sizes_by_name_where_they_may_be_given_one_by_one():
    assert ts.randn(size=(2, 3)).shape == ts.rand(shape=(2, 3)).shape == (2, 3)
    assert ts.rand(size=4).shape == (4,)
    assert X.new_zeros(size=(2, 1), device="cpu", requires_grad=True).requires_grad
    assert X.new_full((2,), ts.asarray(3), dtype=ts.int8).tolist() == [3, 3]


def test_numbers_at_places_and_python_s_functions_of_numbers():
    assert (X.item(1), X.item(-1), X.item(1, 0)) == (2.0, 4.0, 3.0)
    assert round(ts.asarray([0.5, 1.5, 2.567])).tolist() == [0.0, 2.0, 3.0]
    assert round(ts.asarray(2.567), 2).item() == pytest.approx(2.57)
    whole, rest = divmod(ts.asarray([7, -7]), 2)
    assert (whole.tolist(), rest.tolist()) == ([3, -4], [1, 1])
    assert [x.item() for x in divmod(7, ts.asarray(4))] == [1, 3]
    with pytest.raises(TypeError):
        divmod(X, "a")


def test_what_is_shown_of_generators_rules_hooks_and_dtypes():
    generator = ts.random.Generator(3)
    generator.normal((2,))
    assert repr(generator) == "<generator of random numbers: seed 3, draws so far 2>"

    @ts.custom_vjp
    def double(x):
        return x * 2

    assert repr(double) == "<custom_vjp of double, without a rule yet>"
    double.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    assert repr(double) == "<custom_vjp of double>"
    assert repr(ts.custom_jvp(lambda x: x)).startswith("<custom_jvp of <lambda>, without")
    hook = nn.Linear(1, 1).register_forward_hook(print)
    assert "registered" in repr(hook)
    hook.remove()
    assert "removed" in repr(hook)
    assert (ts.float32.is_floating_point, ts.int8.is_signed, ts.uint8.is_signed) == (
        True,
        True,
        False,
    )

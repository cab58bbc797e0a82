"""Every mistake gets a clear message of the right class."""

from decimal import Decimal

import numpy as np
import pytest

import tessella as ts
from tessella import errors, minitorch, nn, optim
from tessella.nn import functional as F

X = ts.ones((3, 4))
CASES = [
    (lambda: X @ ts.ones((5, 6)), errors.ShapeError, "inner sizes differ: (3, 4) @ (5, 6); the 4 and the 5"),
    (lambda: X + ts.ones((3, 5)), errors.ShapeError, "do not broadcast"),
    (lambda: nn.LSTM(0, 3), errors.ArgumentError, "input_size is 0; expected a whole number of at least 1"),
    (lambda: nn.LSTM(3, 5)(X), errors.ShapeError, "expected (L, N, 3) or (L, 3)"),
    (lambda: nn.LSTM(4, 5)(X[:, None], (X, X)), errors.ShapeError, "the state h has shape (3, 4); expected (1, 1, 5)"),
    (lambda: F.scaled_dot_product_attention(X, X[:, :2], X), errors.ShapeError, "their last sizes must be equal"),
    (lambda: F.scaled_dot_product_attention(X, X, X[:2]), errors.ShapeError, "the sizes before their last"),
    (lambda: F.scaled_dot_product_attention(X, X, X, X, is_causal=True), errors.ArgumentError, "not both"),
    (lambda: F.softmax(X.astype(ts.int64)), errors.DTypeError, "takes floating numbers, not int64"),
    (lambda: setattr(ts.ones(2), "grad", 3), errors.ArgumentTypeError, "expected a Tensor or None"),
    (lambda: setattr(ts.ones(2), "grad", ts.ones(3)), errors.GradientError, "they must be equal"),
    (lambda: X.reshape(5, 5), errors.ShapeError, "has 12 elements"),
    (lambda: ts.arange(2**64 - 1, step=5e-324), errors.ArgumentError, "are more numbers than can be counted"),
    (lambda: minitorch.central_difference(abs, 1.0, epsilon=-0.0), errors.ArgumentError, "epsilon is -0.0; expected a small"),
    (lambda: minitorch.central_difference(abs, 1.0, epsilon=-(10**400)), errors.ArgumentError, "expected a small number"),
    (lambda: minitorch.TensorData([1.0, 2.0], (2,)).set(np.array(3.0), 1.0), errors.ArgumentTypeError, "expected whole numbers"),
    (lambda: X.roll([[1, 2], [3, 4]], (0, 1)), errors.ArgumentTypeError, "roll: shift is [[1, 2], [3, 4]]; expected a whole"),
    (lambda: minitorch.TensorData(2, (2**40,)), errors.ShapeError, "1 numbers for shape (1099511627776,), which has"),
    (lambda: minitorch.TensorData([1], (1,), (2**40,)), IndexError, "expected numbers of 32 bits"),
    (lambda: ts.autodiff.topological_order(1), errors.ArgumentTypeError, "roots is 1; expected a list of nodes"),
    (lambda: X.astype(ts.float32, copy=3), errors.ArgumentTypeError, "astype: copy is 3; expected True or False"),
    (lambda: ts.vjp(ts.exp, X)[1](X, keepdim=1), errors.ArgumentTypeError, "vjp: the pullback: no argument `keepdim`"),
    (lambda: X.reshape(-1, -1), errors.ShapeError, "several -1"),
    (lambda: X.sum(axis=2), errors.AxisError, "axis 2 is out of range"),
    (lambda: X.sum(axis=(0, 0)), errors.AxisError, "name one axis twice"),
    (lambda: X[5], errors.IndexingError, "index 5 is out of range for axis 0 of size 3"),
    (lambda: X[0, 0, 0], errors.IndexingError, "too many indices: 3"),
    (lambda: X[1.5], errors.ArgumentTypeError, "an index must be an integer"),
    (lambda: X[ts.asarray([0, 7])], errors.IndexingError, "index 7 is out of range"),
    (lambda: X[ts.asarray([0.5])], errors.DTypeError, "integers or bool, not float32"),
    (lambda: X[ts.asarray([True, False])], errors.IndexingError, "a bool index has shape (2,)"),
    (lambda: F.batch_norm(ts.ones(3), None, None), errors.ShapeError, "shape (3,); expected (N, C) or (N, C, ...)"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), errors.ArgumentError, "beta is -1.0; expected at least 0"),
    (lambda: ts.pad(ts.ones(2, dtype=ts.uint8), [(1, 1)], 300), errors.ArgumentError, "300 does not fit in uint8"),
    (lambda: ts.pad(ts.ones(2, dtype=ts.int8), [(1, 1)], 0.5), errors.ArgumentError, "value is 0.5; expected a whole"),
    (lambda: ts.randint(0, 300, (2,), ts.uint8), errors.ArgumentError, "0 to 299 were asked for, and uint8 holds 0 to"),
    (lambda: ts.randint(0, 2.5, (2,)), errors.ArgumentError, "2.5 was given; expected whole numbers"),
    (lambda: ts.randint(3, 3, (2,)), errors.ArgumentError, "there is no number from 3 to below 3"),
    (lambda: ts.sum("12"), errors.ArgumentTypeError, "sum: x is '12'; expected a Tensor, or what ts.asarray takes"),
    (lambda: ts.matmul(X, None), errors.ArgumentTypeError, "matmul: x2 is None; expected a Tensor"),
    (lambda: ts.where({1}, X, X), errors.ArgumentTypeError, "where: condition is {1}; expected a Tensor"),
    (lambda: ts.where(X > 0, X, "1"), errors.ArgumentTypeError, "where: x2 is '1'; expected a Tensor"),
    (lambda: ts.pow(X, None), errors.ArgumentTypeError, "pow: x2 is None; expected a Tensor"),
    (lambda: ts.concat([X, "1"]), errors.ArgumentTypeError, "concat: number 1 is '1'; expected a Tensor"),
    (lambda: ts.full((2,), 300, dtype=ts.uint8), errors.ArgumentError, "300 does not fit in uint8 (0 to 255)"),
    (lambda: ts.full((2,), np.nan, dtype=ts.int8), errors.ArgumentError, "nan does not fit in int8"),
    (lambda: ts.full_like(ts.ones(2, dtype=ts.int8), -129), errors.ArgumentError, "-129 does not fit in int8"),
    (lambda: ts.jit(lambda: ts.full((2,), 300, dtype=ts.uint8))(), errors.ArgumentError, "300 does not fit in uint8"),
    (lambda: ts.asarray([1.0, np.inf], dtype=ts.int64), errors.ArgumentError, "to inf do not fit in int64"),
    (lambda: ts.asarray([np.nan], dtype=ts.uint8), errors.ArgumentError, "do not fit in uint8"),
    (lambda: ts.zeros(-1), errors.ShapeError, "must not be negative"),
    (lambda: ts.zeros((2, 2.5)), errors.ShapeError, "sizes must be integers"),
    (lambda: ts.zeros(2, dtype="float31"), errors.DTypeError, "is not a data type"),
    (lambda: ts.zeros(2, device="cuda:7"), errors.DeviceError, "no device 'cuda:7'"),
    (lambda: ts.zeros((1 << 40, 1 << 20)), errors.OutOfMemoryError, "4096.0 PiB of memory were asked for"),
    (lambda: ts.zeros((1 << 46,)), errors.OutOfMemoryError, "are available"),
    (lambda: ts.asarray("text"), errors.ArgumentTypeError, "numbers were expected"),
    (lambda: ts.asarray([[1, 2], [3]]), errors.ArgumentError, "not a box"),
    (lambda: ts.asarray([1], dtype=ts.uint64) + ts.asarray([1]), errors.DTypeError, "cannot mix int64 and uint64"),
    (lambda: ts.asarray([1], dtype=ts.int8) + 300, errors.ArgumentError, "300 does not fit in int8"),
    (lambda: ts.asarray([1.0]) & 1, errors.DTypeError, "takes integers or bool"),
    (lambda: ts.max(ts.zeros((0, 3)), axis=0), errors.ShapeError, "max of nothing"),
    (lambda: ts.concat([]), errors.ArgumentError, "no tensors were given"),
    (lambda: ts.stack([X, ts.ones(2)]), errors.ShapeError, "shapes differ"),
    (lambda: X.item(), errors.ArgumentError, "exactly one can become a Python number"),
    (lambda: bool(X), errors.ArgumentError, "use any() or all()"),
    (lambda: X.backward(), errors.GradientError, "has no history"),
    (lambda: ts.ones(3).requires_grad_().exp().backward(), errors.GradientError, "reduce it first"),
    (lambda: ts.asarray([1, 2]).requires_grad_(), errors.GradientError, "only floating point"),
    (lambda: ts.mean(ts.asarray([1, 2])), errors.DTypeError, "convert first"),
    (lambda: F.conv2d(ts.ones((1, 3, 5, 5)), ts.ones((2, 4, 3, 3))), errors.ShapeError, "has 3 channels, the weight expects 4"),
    (lambda: F.conv2d(ts.ones((1, 1, 2, 2)), ts.ones((1, 1, 3, 3))), errors.ShapeError, "larger than the padded input"),
    (lambda: F.cross_entropy(ts.ones((2, 3)), ts.asarray([0, 3])), errors.IndexingError, "class 3 is out of range for 3 classes"),
    (lambda: F.dropout(X, 1.5), errors.ArgumentError, "expected a probability"),
    (lambda: nn.Linear(3, 0), errors.ArgumentError, "at least 1"),
    (lambda: nn.Linear(3, 2)(X), errors.ShapeError, "expected (..., 3), as the weight is (2, 3)"),
    (lambda: optim.SGD([], lr=0.1), errors.ArgumentError, "no parameters"),
    (lambda: optim.Adam([nn.Parameter(X)], lr=-1), errors.ArgumentError, "Adam: lr is -1; expected a finite number"),
    (lambda: ts.backend("tpu").__enter__(), errors.DeviceError, "no backend 'tpu'"),
    (lambda: ts.manual_seed("x"), errors.ArgumentError, "expected an integer"),
    (lambda: ts.einsum("ij,jk", X), errors.ArgumentError, "is for 2 operands"),
    (lambda: ts.arange(float("nan")), errors.ArgumentError, "expected finite numbers"),
    (lambda: ts.eye(-1), errors.ShapeError, "eye: shape (-1, -1)"),
    (lambda: ts.roll(X, (1, 2), axis=0), errors.ArgumentError, "2 shifts for 1 axes"),
    (lambda: ts.repeat(X, -1), errors.ArgumentError, "repeats -1; expected whole numbers"),
    (lambda: ts.repeat(X, ts.asarray([1, 2]), axis=0), errors.ShapeError, "2 repeats for axis 0 of size 3"),
    (lambda: ts.tile(X, (-1,)), errors.ArgumentError, "tile: a repetition is -1"),
    (lambda: ts.tensordot(X, X, axes=3), errors.AxisError, "axes is 3, the tensors have 2 and 2"),
    (lambda: X.sum(axis=1.5), errors.AxisError, "axis is 1.5; expected the number of an axis, or several"),
    (lambda: ts.top_k(X, 9), errors.ArgumentError, "k is 9; expected 0 to 4"),
    (lambda: ts.searchsorted(X, X), errors.ShapeError, "expected a vector"),
    (lambda: ts.clip(X, "a"), errors.ArgumentTypeError, "clip: min is 'a'; expected a Tensor"),
    (lambda: ts.asarray([300], dtype=ts.uint8), errors.ArgumentError, "from 300 to 300 do not fit in uint8"),
    (lambda: ts.reduce(lambda a: a, 0.0), errors.ArgumentTypeError, "expected a function of two"),
    (lambda: F.max_pool2d(ts.ones((1, 1, 4, 4)), 0), errors.ArgumentError, "must be at least 1"),
    (lambda: F.one_hot(ts.asarray([3]), 2), errors.IndexingError, "one_hot: class 3 is out of range for 2 classes"),
    (lambda: optim.SGD([nn.Parameter(X)], lr="a"), errors.ArgumentTypeError, "SGD: lr is 'a'; expected a finite number of at least 0"),
    (lambda: X.register_hook(3), errors.ArgumentTypeError, "register_hook: hook is 3; expected a function"),
    (lambda: X << 1, errors.DTypeError, "left_shift: takes integers"),
    (lambda: ts.diff(X, n=-1), errors.ArgumentError, "n is -1"),
    (lambda: ts.iinfo(ts.float32), errors.DTypeError, "use finfo"),
    (lambda: ts.isdtype(ts.int8, "whole"), errors.ArgumentError, "'whole'; expected a dtype or one of"),
    (lambda: ts.Tensor([1]), errors.ArgumentTypeError, "use ts.asarray"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), CASES, ids=[c[2] for c in CASES])
def test_message(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert isinstance(caught.value, ts.TessellaError)


def test_state_dict_names_what_does_not_fit():
    model = nn.Linear(3, 2)
    before = model.weight.tolist()
    with pytest.raises(errors.StateDictError) as caught:
        model.load_state_dict({"weight": ts.ones((2, 4)), "extra": ts.ones(1)})
    text = str(caught.value)
    assert "missing: bias" in text
    assert "unexpected: extra" in text
    assert "the checkpoint has (2, 4), the module (2, 3)" in text
    assert model.weight.tolist() == before


def test_history_is_gone_after_backward():
    x = ts.ones(2).requires_grad_()
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.numpy() == pytest.approx(2 * np.e)
    with pytest.raises(errors.GradientError, match="retain_graph=True"):
        y.backward()


def test_leaf_in_place():
    x = ts.ones(2).requires_grad_()
    with pytest.raises(errors.GradientError, match="cannot be changed in place"):
        x += 1
    with ts.no_grad():
        x += 1
    assert x.tolist() == [2.0, 2.0]
    assert x.requires_grad


def test_nan_and_infinity_pass_through():
    x = ts.asarray([np.nan, np.inf, -np.inf, -0.0])
    assert np.isnan(ts.max(x).item())
    assert ts.exp(x).tolist()[1:] == [np.inf, 0.0, 1.0]
    assert np.isnan(F.softmax(x).numpy()).all()


def test_empty_and_zero_dimensional():
    empty = ts.zeros((0, 3))
    assert empty.sum().item() == 0.0
    assert (empty @ ts.ones((3, 2))).shape == (0, 2)
    assert (ts.ones((2, 0)) @ ts.ones((0, 3))).tolist() == [[0.0] * 3] * 2
    assert ts.asarray(3.0).reshape(1, 1).sum().item() == 3.0
    assert np.isnan(ts.mean(ts.zeros(0)).item())


class Odd:
    def __len__(self):
        return -1

    def __getitem__(self, index):
        return index


PARAMETER = nn.Parameter(ts.ones((2, 3)))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: nn.Linear("3", 2), errors.ArgumentTypeError, "Linear: in_features is '3'; expected a whole number of at least 0"),
        (lambda: nn.Linear(3, 0), errors.ArgumentError, "Linear: out_features is 0; expected a whole number of at least 1"),
        (lambda: nn.Linear(3), errors.ArgumentTypeError, "Linear: `out_features` was not given"),
        (lambda: nn.Linear(3, 2, biass=True), errors.ArgumentTypeError, "did you mean `bias`?"),
        (lambda: nn.Conv2d(2, 4, 3, groups=0), errors.ArgumentError, "Conv2d: groups is 0"),
        (lambda: nn.Conv1d(2, 4, 1e308), errors.ArgumentTypeError, "Conv1d: kernel_size is 1e+308"),
        (lambda: nn.Conv2d(2, 4, 3, stride=0), errors.ArgumentError, "Conv2d: stride is 0; expected whole numbers of at least 1"),
        (lambda: nn.MSELoss("mode"), errors.ArgumentError, "MSELoss: reduction is 'mode'; expected 'mean' or 'sum' or 'none'"),
        (lambda: nn.Dropout(float("nan")), errors.ArgumentError, "Dropout: p is nan; expected a probability"),
        (lambda: nn.ReLU()(), errors.ArgumentTypeError, "ReLU: forward takes (input: 'Tensor')"),
        (lambda: nn.Module()(X), errors.MissingRuleError, "Module has no forward"),
        (lambda: nn.ReLU().apply("text"), errors.ArgumentTypeError, "apply: function is 'text'; expected a function"),
        (lambda: nn.ReLU().register_parameter("p", "text"), errors.ArgumentTypeError, "register_parameter: parameter is 'text'"),
        (lambda: nn.ReLU().load_state_dict({1: X}), errors.StateDictError, "unexpected: 1"),
        (lambda: nn.ModuleList([])[3], errors.IndexingError, "ModuleList: index 3 for 0 modules"),
        (lambda: nn.init.ones_([1.0]), errors.ArgumentTypeError, "ones_: tensor is [1.0]; expected a Tensor, which is filled in place"),
        (lambda: optim.SGD([PARAMETER], dampening="abc"), errors.ArgumentTypeError, "SGD: dampening is 'abc'; expected a number"),
        (lambda: optim.SGD([{"params": [PARAMETER], "lr": "abc"}]), errors.ArgumentTypeError, "SGD: lr is 'abc'"),
        (lambda: optim.SGD([{"params": 3}]), errors.ArgumentTypeError, "a group has 3 as 'params'"),
        (lambda: optim.Adam([PARAMETER], betas=(0.9,)), errors.ArgumentError, "Adam: betas is (0.9,); expected two numbers"),
        (lambda: optim.Adam([PARAMETER], lr=float("nan")), errors.ArgumentError, "Adam: lr is nan; expected a finite number"),
        (lambda: ts.randint(float("nan"), 5, (2,)), errors.ArgumentError, "integers: nan was given; expected whole numbers"),
        (lambda: ts.random.poisson(None, float("inf")), errors.ArgumentError, "poisson: rate holds inf"),
        (lambda: ts.random.normal(None, "abc"), errors.ShapeError, "normal: shape is 'abc'"),
        (lambda: ts.while_loop(lambda x: "text", lambda x: x, X), errors.ArgumentTypeError, "the condition gave a str"),
        (lambda: ts.switch(0, 3, X), errors.ArgumentTypeError, "branches is 3; expected a list of functions"),
        (lambda: ts.hvp(lambda x: x.sum(), 3.0, 3.0), errors.ArgumentTypeError, "hvp: primals is 3.0"),
        (lambda: ts.scalar.widen(3), errors.ArgumentTypeError, "widen: a int was given; expected an expression"),
        (lambda: ts.can_cast("", ts.float32), errors.DTypeError, "'' is not a data type"),
        (lambda: ts.zeros(Odd()), errors.TessellaError, "zeros"),
        (lambda: ts.gcd(ts.asarray([1, 2]), ts.asarray([1, 2, 3])), errors.ShapeError, "gcd"),
        (lambda: X.type_as("text"), errors.ArgumentTypeError, "type_as: 'text' was given; expected a Tensor"),
        (lambda: X[10**5000], errors.IndexingError, "an integer of 16610 bits"),
        (lambda: ts.triu_indices(7, 2**64 - 1), errors.TessellaError, "triu_indices"),
        (lambda: ts.norm(X, np.zeros((0, 2))), errors.ArgumentError, "norm: p is an array of shape"),
        (lambda: ts.broadcast_to(1.0, (2**31, 2**31)), errors.OutOfMemoryError, "than any machine can address"),
        (lambda: ts.zeros((0, 2**40, 2**40)), errors.OutOfMemoryError, "than any machine can address"),
        (lambda: X.tensor_split(2**63), errors.OutOfMemoryError, "of memory were asked for"),
        (lambda: ts.unflatten(X, -1, (None,)), errors.ShapeError, "unflatten: None is among the sizes"),
        (lambda: X.requires_grad_(np.ones(2)), errors.ArgumentTypeError, "requires_grad_: requires_grad is a"),
        (lambda: minitorch.tensor([1.0], requires_grad=np.ones(2)), errors.ArgumentTypeError, "tensor: requires_grad is"),
        (lambda: minitorch.Module().train([]), errors.ArgumentTypeError, "train: mode is []; expected True or False"),
        (lambda: setattr(nn.Linear(2, 2), "training", 2), errors.ArgumentTypeError, "training: mode is 2; expected"),
        (lambda: ts.full(2, 1 + 2j, dtype=ts.float32), errors.ArgumentError, "the number (1+2j) is complex"),
        (lambda: X.new_full(2, 1 + 2j), errors.ArgumentError, "is complex, and does not fit in float32"),
        (lambda: nn.ModuleList().extend(np.array(3.0)), errors.ArgumentTypeError, "expected several modules"),
        (lambda: X.reshape(6, order=np.ones(2)), errors.ArgumentError, "reshape: order is an array of shape (2,)"),
        (lambda: X.reshape(2, None), errors.ShapeError, "reshape: None is among the sizes"),
        (lambda: X.repeat(3, 10**5000), errors.ArgumentTypeError, "repeat: 3, an integer of 16610 bits were given"),
        (lambda: ts.grad(lambda x: x)(10**5000), errors.GradientError, "an integer of 16610 bits"),
        (lambda: ts.ones(3).cumsum_(0, axis=0), errors.ArgumentTypeError, "cumsum_: "),
        (lambda: ts.scalar.Scalar(1.0, 3), errors.ArgumentTypeError, "requires_grad is a int; expected True or False"),
        (lambda: minitorch.central_difference(abs, Decimal(1)), errors.ArgumentTypeError, "expected a number that takes"),
        (lambda: minitorch.central_difference(abs, 10**5000), errors.ArgumentError, "larger than any float"),
        (lambda: minitorch.conv1d(X, X, input=X), errors.ArgumentTypeError, "multiple values"),
        (lambda: ts.jit(ts.sin).explain(X, html="a\0"), errors.ArgumentTypeError, "explain: the path is"),
    ],
)  # fmt: skip
def test_whatever_is_given_is_answered_in_our_words(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, "no checkpoint of an optimiser"),
        ({"state": {}, "param_groups": [3]}, "no checkpoint of an optimiser"),
        ({"state": {9: {}}, "param_groups": [{"params": [0]}]}, "the state of parameter 9, of parameters 0 to 0"),
        ({"state": {0: 3}, "param_groups": [{"params": [0]}]}, "the state of a parameter is 3"),
        (
            {"state": {0: {"step": 1.0, "exp_avg": np.ones(7)}}, "param_groups": [{"params": [0]}]},
            "exp_avg is (7,) in the checkpoint; expected a tensor of shape (2, 3)",
        ),
        ({"state": {0: {"exp_avg": np.ones((2, 3))}}, "param_groups": [{"params": [0]}]}, "step is missing"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_an_optimiser_changes_nothing(state, text):
    optimiser = optim.Adam([PARAMETER], lr=0.5)
    with pytest.raises(errors.StateDictError) as caught:
        optimiser.load_state_dict(state)
    assert text in str(caught.value)
    assert optimiser.param_groups[0]["lr"] == 0.5
    assert not optimiser.state

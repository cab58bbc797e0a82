"""What the paddings say of what does not fit."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X = ts.ones((2, 3, 4))


@pytest.mark.parametrize(
    ("pad", "options", "said"),
    [
        ((1,), {}, r"pad: pad is \(1,\); expected \(before, after\) for the last axis.*at most 6"),
        ((1,) * 8, {}, "at most 6"),
        ((4, 0), {"mode": "reflect"}, r"pad: mode 'reflect' with \(4, 0\) around axis 2 of shape \(2, 3, 4\); expected widths of at most 3"),
        ((0, 5), {"mode": "circular"}, "expected widths of at most 4"),
        ((-2, -3), {}, r"pad: widths \(-2, -3\) take more than axis 2 of shape \(2, 3, 4\) has"),
        ((1, 1), {"mode": "reflect", "value": 2.0}, "pad: value=2.0 with mode 'reflect'"),
        ((1, 1), {"mode": "mirror"}, "mode is 'mirror'; expected 'constant' or 'reflect'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(pad, options, said):
    with pytest.raises(errors.TessellaError, match=said):
        F.pad(X, pad, **options)


def test_nothing_cannot_be_repeated():
    with pytest.raises(errors.ShapeError, match="expected at least one element"):
        F.pad(ts.ones((2, 0)), (1, 0), mode="replicate")


def test_a_layer_names_its_widths():
    with pytest.raises(
        errors.ArgumentError,
        match=r"ReflectionPad2d: padding is \(1, 2\); expected one whole number or 4",
    ):
        nn.ReflectionPad2d((1, 2))  # fmt: skip
    assert repr(nn.ConstantPad1d(2, 1.5)) == "ConstantPad1d(padding=(2, 2), value=1.5)"


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_paddings_are_mapped_and_differentiated_twice(mode):
    square = lambda x: (F.pad(x, (2, 1), mode=mode) ** 2).sum()  # noqa: E731
    x = ts.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    mapped = ts.vmap(lambda row: F.pad(row, (2, 1), mode=mode))(x)
    assert mapped.tolist() == F.pad(x, (2, 1), mode=mode).tolist()
    counts = F.pad(ts.arange(3), (2, 1), mode=mode)
    times = [(counts == i).sum().item() - (3 if mode == "constant" and i == 0 else 0) for i in range(3)]  # fmt: skip
    second = ts.grad(lambda v: ts.grad(square)(v).sum())(x[0])
    assert second.tolist() == [2.0 * n for n in times]

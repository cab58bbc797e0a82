"""What a tensor says of itself where its elements are not known yet."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn

x = ts.asarray([1.0, 2.0, 3.0])
UNKNOWN = "not known yet while its function is traced; ts.debug.print shows it at every call"


def told(shape, dtype="float32", history=""):
    return f"tensor(shape={shape}, dtype={dtype}, {history}{UNKNOWN})"


WAYS = {
    "repr": repr,
    "str": str,
    "f-string": lambda x: f"{x}",
    "f-string of repr": lambda x: f"{x!r}",
    "percent": lambda x: "%s" % x,  # noqa: UP031 - it is tested, too
    "format": lambda x: "{}".format(x),  # noqa: UP032
    "in a list": lambda x: str([x])[1:-1],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (ts.jit, told((3,))),
        (lambda f: ts.jit(lambda x: ts.vmap(f)(ts.stack([x, x]))), told((3,))),
        (lambda f: lambda x: ts.vmap(f)(ts.stack([x, x])), told((3,))),
        (lambda f: ts.jit(ts.grad(f)), told((3,), history="grad_fn=variable, ")),
        (lambda f: lambda x: ts.jvp(f, (x,), (x,)), told((3,))),
        (lambda f: ts.jit(lambda x: ts.scan(lambda c, y: (c, f(y)), x, ts.stack([x, x]))), told((3,))),
        (lambda f: ts.jit(lambda x: ts.cond(x.sum() > 0, f, f, x)), told((3,))),
        (lambda f: ts.make_graph(f), told((3,))),
        (lambda f: ts.grad(f), "tensor([1., 2., 3.], grad_fn=variable)"),  # they are known here
    ],
)  # fmt: skip
def test_a_traced_tensor_is_written(way, transform, expected, capsys):
    def function(x):
        print(WAYS[way](x))
        return (x * x).sum()

    transform(function)(x)
    lines = capsys.readouterr().out.splitlines()
    assert set(lines) == {expected}


def test_print_comes_while_the_function_is_traced(capsys):
    compiled = ts.jit(lambda x: print(x) or x * 2)
    compiled(x)
    compiled(x)
    assert capsys.readouterr().out == told((3,)) + "\n"


def test_dtypes_and_symbolic_sizes(capsys):
    @ts.jit
    def function(x):
        print(x.astype(ts.int16))
        return x

    for size in (2, 3, 4):
        function(ts.ones((size, 2)))
    assert capsys.readouterr().out.splitlines()[-1] == told("(n, 2)", "int16")


def test_a_format_asks_for_elements():
    with pytest.raises(
        errors.TracedValueError, match=r"asked for \(by .* a format .*ts.debug.print\("
    ):
        ts.jit(lambda x: print(f"{x.sum():.3f}"))(x)


def test_a_format_is_for_one_number():
    assert f"{x.sum():.3f} {ts.asarray([[7]])[0, 0]:>4d}" == "6.000    7"
    with pytest.raises(
        errors.ArgumentTypeError, match=r"format: '.3f' is for one number, .* \(3,\)"
    ):
        f"{x:.3f}"
    with pytest.raises(errors.TracedValueError, match=r"ts\.debug\.print"):
        ts.jit(lambda x: print(f"{x:.3f}"))(x)


def test_tensors_from_outside_that_the_function_reads(capsys):
    layer = nn.Linear(3, 2)

    @ts.jit
    def function(x):
        y = layer(x)
        print(repr(layer.weight))
        return y

    function(x)
    expected = "Parameter containing:\n" + told((2, 3), history="requires_grad=True, ")
    assert capsys.readouterr().out.strip() == expected
    assert "tensor([[" in repr(layer.weight)


def test_a_tensor_that_was_kept():
    kept = []
    ts.make_graph(lambda x: kept.append(x) or x)(x)
    expected = "kept from a traced function that has ended; return it from the function instead"
    assert repr(kept[0]) == f"tensor(shape=(3,), dtype=float32, {expected})"
    assert expected in kept[0]._repr_html_()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: f"x = {x}",
        lambda x: {"x": [x, str(x)]},
        lambda x, log=[]: log.append(f"{x}"),
        lambda x: ts.vmap(lambda y: str(y))(ts.stack([x, x])),
    ],
)
def test_its_text_is_no_result(function):
    """It would be the same at every call, whatever the tensor is."""
    with pytest.raises(errors.SideEffectError, match="the text of a tensor that is not known yet"):
        ts.jit(function)(x)


def test_texts_that_are_known_are_results():
    outside = ts.asarray([5.0])
    assert ts.jit(lambda x: (x, f"{x.shape} {outside}"))(x)[1] == "(3,) tensor([5.])"


# --- in notebooks -------------------------------------------------------------------------------------


def test_a_table_of_elements():
    text = ts.asarray([[1.5, -2.0], [3.0, 4.0]])._repr_html_()
    assert 'Tensor <span class="soft">float32, 2×2</span>' in text
    rows = ["<tr><td>1.5</td><td>-2.</td></tr>", "<tr><td>3.</td><td>4.</td></tr>"]
    assert "".join(rows) in text.replace("<td>3. </td>", "<td>3.</td>")


def test_large_ones_are_shown_in_part():
    text = ts.arange(100 * 200).reshape((100, 200))._repr_html_()
    assert text.count("<tr>") == 11
    assert text.count("<td>") == 121
    for corner in (0, 199, 19800, 19999):
        assert f"<td>{corner}</td>" in text
    assert len(text) < 6000


@pytest.mark.parametrize(
    "tensor",
    [
        ts.asarray(3.5), ts.zeros((0, 3)), ts.zeros(0), ts.ones((2, 3, 4)), ts.ones(3).astype(ts.bfloat16),
        ts.asarray([True, False]), ts.asarray(np.array([1 + 2j])), ts.asarray([float("nan"), float("inf"), 1e-30]),
    ],
    ids=repr,
)  # fmt: skip
def test_every_kind_has_its_piece(tensor):
    text = tensor._repr_html_()
    assert tensor.dtype.name in text
    assert text.startswith('<div class="tessella">')


def test_a_traced_one(capsys):
    ts.jit(lambda x: print(x._repr_html_()) or x)(x)
    assert UNKNOWN in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [ts.float16, ts.bfloat16])
def test_only_what_is_shown_is_converted(dtype):
    many = ts.broadcast_to(ts.ones((), dtype=dtype), (1 << 40,))
    assert (
        repr(many)
        == f"tensor([1., 1., 1., ..., 1., 1., 1.], shape=({1 << 40},), dtype={dtype.name})"
    )


@pytest.mark.parametrize("shape", [(30, 100), (7, 200), (6, 200), (2, 3, 300), (2,) * 11, (1001,)])
def test_what_is_shown_in_part_is_written_as_numpy_does(shape):
    data = np.arange(np.prod(shape)).reshape(shape)
    body = np.array2string(data, separator=", ", prefix="tensor(", threshold=1000)
    assert repr(ts.asarray(data)) == f"tensor({body}, shape={shape})"

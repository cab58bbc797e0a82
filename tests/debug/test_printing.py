"""`debug.print`: at every call, with that call's values, in the order of the function."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.compiler import pipeline, simplify
from tessella.primitives.base import Spec
from tessella.primitives.effect import Effect


@pytest.fixture(params=["compiled", "eager", "TESSELLA_JIT=0"])
def jit(request, monkeypatch):
    """`jit`, or something that lets the function run as it is: all must print the same."""
    if request.param == "TESSELLA_JIT=0":
        monkeypatch.setenv("TESSELLA_JIT", "0")
    return (lambda function: function) if request.param == "eager" else ts.jit


def test_every_call_prints_its_own_values(jit, capsys):
    @jit
    def f(x):
        ts.debug.print("x = {}, sum = {total:.2f}", x, total=x.sum())
        return x * 2

    for number in (1.0, 2.0):
        f(ts.full((2,), number))
    assert capsys.readouterr().out == (
        "x = tensor([1., 1.]), sum = 2.00\nx = tensor([2., 2.]), sum = 4.00\n"
    )


def test_order_is_that_of_the_function(jit, capsys):
    @jit
    def f(x):
        y = x @ x
        ts.debug.print("product {}", y.sum())
        ts.debug.print("a plain line")
        ts.debug.print("before {}", x.sum())
        z = ts.exp(x).sum()
        ts.debug.print("exponentials {:.3f}", z)
        ts.debug.print("product {}", y.sum())
        return z

    f(ts.ones((2, 2)))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "product tensor(8.)", "a plain line", "before tensor(4.)", "exponentials 10.873",
        "product tensor(8.)",
    ]  # fmt: skip


def test_nothing_else_is_needed_and_nothing_is_done_twice(jit, capsys):
    """Equal prints are no common subexpression, and results of nothing are no dead code."""

    @jit
    def f(x):
        unused = x * 3 + 1
        for _ in range(3):
            ts.debug.print("{}", unused.max())

    f(ts.ones(4))
    assert capsys.readouterr().out == "tensor(4.)\n" * 3


def test_trees_and_values_that_are_no_tensors(jit, capsys):
    @jit
    def f(batch):
        ts.debug.print("{batch} {}", [1, "two"], batch=batch)

    f({"x": ts.ones(1), "y": (ts.zeros(()), None)})
    shown = "{'x': tensor([1.]), 'y': (tensor(0.), None)} [1, 'two']\n"
    assert capsys.readouterr().out == shown


def test_in_nested_functions_and_the_backward_pass(jit, capsys):
    inner = jit(lambda x: (ts.debug.print("inner {}", x.sum()), x * 3.0)[1])

    @jit
    def f(x):
        x = x.detach().requires_grad_()
        y = inner(x)
        y.register_hook(lambda gradient: ts.debug.print("gradient {}", gradient))
        (y * y).sum().backward()
        ts.debug.print("done {}", x.grad)

    f(ts.asarray([1.0, 2.0]))
    assert capsys.readouterr().out == (
        "inner tensor(3.)\ngradient tensor([ 6., 12.])\ndone tensor([18., 36.])\n"
    )


def test_a_hook_prints_when_gradients_go_through_from_outside(capsys):
    @ts.jit
    def f(x):
        y = x * 2.0
        y.register_hook(lambda gradient: ts.debug.print("gradient {}", gradient))
        return (y * y).sum()

    x = ts.ones(2).requires_grad_()
    for _ in range(2):
        f(x).backward()
    assert capsys.readouterr().out == "gradient tensor([4., 4.])\n" * 2


def test_values_before_and_after_an_assignment_in_place(jit, capsys):
    weight = ts.ones(2)

    @jit
    def f():
        ts.debug.print("before {}", weight)
        weight.assign(weight * 2.0)
        ts.debug.print("after {}", weight)

    for _ in range(3):
        f()
    numbers = [1, 2, 2, 4, 4, 8]
    words = ["before", "after"] * 3
    expected = [f"{w} tensor([{n}., {n}.])" for w, n in zip(words, numbers, strict=True)]
    assert capsys.readouterr().out.splitlines() == expected


def test_a_training_step_is_the_same_with_and_without(capsys):
    losses = []
    for shown in (False, True):
        ts.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        optimiser = optim.Adam(model.parameters(), lr=0.01)

        @ts.jit
        def step(x, model=model, optimiser=optimiser, shown=shown):
            optimiser.zero_grad()
            hidden = model[1](model[0](x))
            if shown:
                ts.debug.print("{}", hidden.mean())
            loss = (model[2](hidden) ** 2).mean()
            loss.backward()
            optimiser.step()
            return loss

        x = ts.ones((3, 4))
        losses.append([step(x).item() for _ in range(4)])
    assert losses[0] == losses[1]
    assert capsys.readouterr().out.count("tensor(") == 4


def test_the_values_may_be_kept():
    """What an effect is given is not written over by the rest of the program."""
    seen = []
    effect = Effect(lambda x: seen.append(x), "keep")

    @ts.jit
    def f(x):
        for _ in range(3):
            x = x + 1.0
            x = ts.argsort(x).astype(ts.float32)
            effect(x)
        return x

    f(ts.asarray([3.0, 1.0, 2.0]))
    expected = [[1, 2, 0], [2, 0, 1], [1, 2, 0]]
    np.testing.assert_array_equal(np.array(seen), expected)


def test_the_rules_of_an_effect():
    seen = []
    effect = Effect(lambda *rows: seen.append([row.tolist() for row in rows]), "keep")
    x, y = ts.asarray([[1.0, 2.0], [3.0, 4.0]]), ts.asarray([9.0])
    assert effect.batch((x, y), (1, None), 2) == ((), ())
    assert seen == [[[1.0, 3.0], [9.0]], [[2.0, 4.0], [9.0]]]
    assert effect.vjp((), (x, y), ()) == [None, None]
    assert effect.jvp((x, y), (x, None)) == ()
    assert len(seen) == 3
    assert effect.result(Spec((2,), ts.float32)) == ()


def test_passes_leave_effects_where_they_are():
    f = ts.jit(lambda x: (ts.debug.print("1 {}", x), ts.debug.print("2 {}", x + 1.0), x * 2)[2])
    f(ts.ones(3))
    (found,) = next(iter(f.specialisations.values()))
    traced = found.program.traced
    for step in (
        simplify.remove_dead_code,
        simplify.share_common_subexpressions,
        pipeline.optimise,
    ):
        effects = [node for node in step(traced).nodes if node.primitive.has_effect]
        assert [len(node.outputs) for node in effects] == [0, 0]
        assert [node.primitive for node in effects] == [
            node.primitive for node in traced.nodes if node.primitive.has_effect
        ]
    assert "\n  debug.print(argument)\n" in f.source()


@pytest.mark.parametrize(
    ("arguments", "named", "error", "message"),
    [
        ((ts.ones(2),), {}, errors.ArgumentTypeError, "Tensor; expected a format string"),
        (("{} {}", 1), {}, errors.ArgumentError, r"value 1, which was not given; given were 0"),
        (("{a}",), {}, errors.ArgumentError, "value 'a', which was not given; given were none"),
        (("loss", 1), {}, errors.ArgumentError, r"value 0 was given, .* add {} to it"),
        (("loss",), {"a": 1}, errors.ArgumentError, r"value 'a' was given, .* add {a} to it"),
        (("{", 1), {}, errors.ArgumentError, "is no format string"),
    ],
)
def test_wrong_formats_are_refused_where_they_are_written(arguments, named, error, message):
    with pytest.raises(error, match=message):
        ts.debug.print(*arguments, **named)


@pytest.mark.parametrize("run", [lambda f: f, ts.jit])
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "{:d}",
            errors.ArgumentError,
            r"format: .d. does not fit a number of float32: Unknown format code .d.",
        ),
        ("{.weight}", errors.ArgumentError, "does not fit its values: .* no attribute .weight."),
        ("{0[1][2]}", errors.IndexingError, "ind(ex|ices)"),
    ],
)
def test_formats_that_do_not_fit_their_values(run, text, error, message):
    with pytest.raises(error, match=message):
        run(lambda x: ts.debug.print(text, x))(ts.asarray(1.5))


def test_an_f_string_is_told_the_line():
    f = ts.jit(lambda x: ts.debug.print(f"{x}"))
    with pytest.raises(
        errors.TracedValueError,
        match=r"test_printing.py:\d+ in <lambda>: debug.print: .* give the tensor as",
    ):
        f(ts.ones(2))


def test_an_exception_in_an_effect_leaves_the_program_usable():
    trouble = [False]
    weight = ts.ones(2)

    def complain(x):
        if trouble[0]:
            raise RuntimeError("stop")

    effect = Effect(complain, "complain")

    @ts.jit
    def f(x):
        weight.assign(weight + x)
        effect(weight)
        weight.assign(weight * 2.0)
        return weight.sum()

    x = ts.ones(2)
    assert [f(x).item() for _ in range(2)] == [8.0, 20.0]
    trouble[0] = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="stop"):
            f(x)
        assert weight.tolist() == [10.0, 10.0]  # as if it had not been called
    trouble[0] = False
    assert f(x).item() == 44.0

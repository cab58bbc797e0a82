"""`debug.check_nan`: the first operation that made a NaN or an infinity, eagerly and compiled."""

import re

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F


@pytest.fixture(params=["eager", "compiled"])
def jit(request):
    return (lambda function: function) if request.param == "eager" else ts.jit


def line_of(function, part):
    """The line of a function's source that contains a part."""
    import inspect

    lines, first = inspect.getsourcelines(getattr(function, "function", function))
    return next(first + i for i, line in enumerate(lines) if part in line)


def found_by(function, *arguments):
    with pytest.raises(errors.NotFiniteError) as caught, ts.debug.check_nan():
        function(*arguments)
    return str(caught.value)


def test_the_first_operation_with_its_line_and_shapes(jit):
    @jit
    def f(x):
        y = x - 1.0
        z = ts.log(y)
        return (ts.exp(z) * z).sum()

    message = found_by(f, ts.asarray([[3.0, 0.5], [1.5, 2.0]]))
    assert message.startswith(f"{__file__}:{line_of(f, 'ts.log')} in f: log made a NaN: ")
    assert "log(float32[2,2]) -> float32[2,2], the first at (0, 1)" in message
    assert "input 0: float32[2,2] from -0.5 to 2.0; there it is -0.5" in message
    assert "ts.clip" in message


def test_infinities_and_how_many(jit):
    message = found_by(jit(lambda x: 1.0 / x), ts.asarray([0.0, 1.0, 0.0]))
    assert ": divide made 2 infinities: divide(float32[], float32[3])" in message
    message = found_by(jit(lambda x: x / x * (1.0 / x)), ts.asarray([0.0, 1.0]))
    assert ": divide made a NaN: " in message


def test_scalars_and_broadcast_operands(jit):
    message = found_by(jit(lambda x, y: x / y), ts.ones((2, 3)), ts.asarray([[1.0], [0.0]]))
    assert "the first at (1, 0)" in message
    assert "input 1: float32[2,1] from 0.0 to 1.0; there it is 0.0" in message
    assert "the first at its only element" in found_by(jit(ts.log), ts.asarray(-1.0))


def test_products_and_reductions(jit):
    large = ts.full((2, 2), 3e38)
    assert "made 4 infinities" in found_by(jit(lambda x: x @ x), large)
    assert "sum made an infinity" in found_by(jit(lambda x: x.sum()), large)
    assert "cast_float16 made" in found_by(jit(lambda x: x.astype(ts.float16)), large)


def test_backward_operations_name_the_forward_line(jit):
    @jit
    def loss(x):
        y = x * 0.0
        z = ts.sqrt(y)
        return z.sum()

    def step(x):
        loss(x).backward()

    message = found_by(step, ts.ones(3).requires_grad_())
    assert f"{__file__}:{line_of(loss, 'ts.sqrt')} in loss (backward): sqrt" in message
    assert "made 3 infinities" in message or "made 3 NaN" in message


def test_a_whole_training_step_changes_nothing_if_it_is_stopped():
    model = nn.Linear(3, 3)
    optimiser = optim.Adam(model.parameters(), lr=0.1)

    @ts.jit
    def step(x):
        optimiser.zero_grad()
        loss = ts.log(model(x)).sum()
        loss.backward()
        optimiser.step()
        return loss

    model.weight.assign(ts.ones((3, 3)))
    model.bias.assign(ts.ones(3))
    with ts.debug.check_nan():
        for _ in range(3):
            step(ts.ones((2, 3)))
        before = [p.numpy().copy() for p in model.parameters()]
        with pytest.raises(errors.NotFiniteError, match=r"in step: log made"):
            step(ts.full((2, 3), -1.0))
    for parameter, kept in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.numpy(), kept)
    step(ts.ones((2, 3)))
    assert len(step.traces) == 1


def test_what_is_infinite_on_purpose_is_let_through(jit):
    def f(x):
        masked = ts.where(x > 0, x, -ts.inf)
        pooled = F.max_pool2d(ts.reshape(x, (1, 1, 2, 2)), 2, padding=1)
        return F.softmax(masked, -1).sum() + pooled.sum()

    with ts.debug.check_nan():
        jit(f)(ts.asarray([1.0, -1.0, 2.0, -3.0]))


def test_bad_inputs_are_no_fault_of_an_operation(jit):
    with ts.debug.check_nan():
        found = jit(lambda x: ts.exp(x) * 2 + 1)(ts.asarray([ts.nan, ts.inf, 1.0]))
    assert np.isnan(found.numpy()[0])


def test_an_infinity_that_becomes_a_nan_is_found(jit):
    assert "subtract made a NaN" in found_by(jit(lambda x: x - x), ts.asarray([ts.inf, 1.0]))


def test_only_nan(jit):
    with ts.debug.check_nan(infinities=False):
        jit(lambda x: 1.0 / x)(ts.zeros(2))
        with pytest.raises(errors.NotFiniteError, match="made 2 NaN"):
            jit(lambda x: ts.sqrt(x))(ts.full((2,), -1.0))


def test_as_a_decorator_and_in_other_backends():
    @ts.debug.check_nan()
    def f(x):
        return ts.log(x)

    for backend in ("cpu", "reference"):
        with ts.backend(backend), pytest.raises(errors.NotFiniteError, match="log made a NaN"):
            f(ts.asarray(-1.0))
    assert np.isnan(ts.log(ts.asarray(-1.0)).item())  # nobody looks on any more


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(jit, dtype):
    x = ts.asarray([-1.0, 1.0]).astype(dtype)
    message = found_by(jit(ts.sqrt), x)
    assert f"sqrt({dtype}[2]) -> {dtype}[2], the first at (0,)" in message
    assert "from -1.0 to 1.0; there it is -1" in message


def test_integers_empty_tensors_and_views(jit):
    def f(x, i):
        return (x[:0] * 2.0).sum(), i * 3 // 2, x.T.reshape(-1)

    with ts.debug.check_nan():
        jit(f)(ts.ones((2, 3)), ts.arange(4))


def test_compiled_and_eager_values_are_the_same():
    def f(x):
        y = F.layer_norm(ts.exp(x) @ x.T, 8)
        return ts.sort(y, axis=0), y.sum()

    x = ts.randn(8, 8)
    expected = ts.jit(f)(x)
    with ts.debug.check_nan():
        found = ts.jit(f)(x)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_prints_are_done_once(capsys):
    f = ts.jit(lambda x: (ts.debug.print("{}", x.sum()), x + 1.0)[1])
    with ts.debug.check_nan():
        f(ts.ones(2))
    assert capsys.readouterr().out == "tensor(2.)\n"


def test_a_program_that_makes_what_its_operations_do_not(monkeypatch):
    """If fused kernels differ from the operations one by one, that is said, and not hidden."""
    from tessella.compiler.program import Program

    f = ts.jit(lambda x: ts.exp(x) + 1.0)
    f(ts.ones(3))
    run = Program._run_timed

    def broken(self, segment):
        run(self, segment)
        self.view(self.results[0])[1] = np.nan

    monkeypatch.setattr(Program, "_run_timed", broken)
    message = found_by(f, ts.ones(3))
    assert re.match(r"<lambda>: output 0 of the compiled program, float32\[3\], has a NaN", message)


def test_operations_inside_of_fused_nodes_are_found_too():
    f = ts.jit(lambda x: ts.exp(ts.log(x) * 2.0))
    f(ts.ones(3))
    (found,) = next(iter(f.specialisations.values()))
    found.program.traced = found.program.graph
    assert ": log made a NaN" in found_by(f, ts.asarray([1.0, -1.0, 2.0]))


def test_several_threads_and_only_one_that_checks():
    import threading

    f = ts.jit(ts.log)
    results = []
    with ts.debug.check_nan():
        thread = threading.Thread(target=lambda: results.append(f(ts.full((2,), -1.0))))
        thread.start()
        thread.join()
    assert np.isnan(results[0].numpy()).all()

"""What each transformation gives, and what it says about bad input; the laws are in tests/laws."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

x = ts.asarray([1.0, 2.0, 3.0])
rows = ts.asarray(np.arange(12.0, dtype=np.float32).reshape(3, 4))


def close(a, b, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(a.numpy()), np.asarray(b), rtol=tolerance, atol=tolerance)


# --- grad ---------------------------------------------------------------------------------------------


def test_grad_of_trees_keywords_and_aux():
    def f(a, b, *, scale):
        return (a["x"] * b[0] * scale).sum() + b[1] ** 2, {"seen": a["x"]}

    a, b = {"x": x}, (x * 2.0, 3.0)
    (value, aux), (by_a, by_b) = ts.value_and_grad(f, (0, 1), has_aux=True)(
        a, b, scale=ts.asarray(0.5)
    )
    close(value, 14 + 9)
    close(by_a["x"], x.numpy())
    close(by_b[0], x.numpy() / 2)
    close(by_b[1], 6.0)
    assert aux["seen"].tolist() == x.tolist()
    by_scale, _ = ts.grad(f, argnums=(), argnames="scale", has_aux=True)(
        a, b, scale=ts.asarray(0.5)
    )
    close(by_scale[0] if isinstance(by_scale, tuple) else by_scale, 28.0)


def test_grad_of_a_module():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    model[0].bias.requires_grad_(False)

    def loss(model, x):
        return (model(x) ** 2).mean()

    found = ts.grad(loss)(model, rows)
    loss(model, rows).backward()
    assert set(found) == {"0.weight", "2.weight", "2.bias"}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            close(found[name], parameter.grad.numpy())
            assert parameter.is_leaf
    compiled = ts.jit(ts.grad(loss))(model, rows)
    for name, gradient in found.items():
        close(compiled[name], gradient.numpy())


def test_a_module_is_as_it_was_after_an_error():
    model = nn.Linear(2, 1)
    before = model.weight._node

    def fails(model):
        raise KeyError("no")

    with pytest.raises(KeyError):
        ts.grad(fails)(model)
    assert model.weight._node is before
    assert ts.autodiff.is_enabled()


def test_results_have_no_history_unless_somebody_may_ask():
    f = lambda x: (x**3).sum()  # noqa: E731
    assert not ts.grad(f)(x).requires_grad
    assert not ts.grad(lambda x: ts.grad(f)(x).sum())(x).requires_grad
    leaf = x.copy().requires_grad_()
    penalty = (ts.grad(f)(leaf) ** 2).sum()
    penalty.backward()
    close(leaf.grad, 36 * x.numpy() ** 3, 1e-5)
    with ts.no_grad():
        assert not ts.grad(f)(leaf).requires_grad


def test_an_argument_does_not_get_gradients_by_way_of_another():
    def outer(a):
        b = a * 2.0
        return ts.grad(lambda a, b: (a * b).sum())(a, b).sum()  # by a alone: b

    close(ts.grad(outer)(x), [2.0, 2.0, 2.0])


def test_vjp_many_times():
    value, pullback = ts.vjp(lambda a, n: (a * a, n), x, 3)
    for scale in (1.0, 2.0):
        by_a, by_n = pullback((ts.ones(3) * scale, None))
        close(by_a, 2 * x.numpy() * scale)
        assert by_n is None
    close(value[0], x.numpy() ** 2)
    # linear in what is pulled back, and differentiable by it
    close(ts.grad(lambda ct: pullback((ct, None))[0].sum())(x), 2 * x.numpy())


def test_linearize():
    value, along = ts.linearize(lambda a: ts.sin(a) * a, x)
    for direction in (x, ts.ones(3)):
        expected = ts.jvp(lambda a: ts.sin(a) * a, (x,), (direction,))
        close(value, expected[0].numpy())
        close(along(direction), expected[1].numpy())


def test_jacobians_of_trees():
    def f(a, b):
        return {"p": a.sum() * b, "q": a * 2.0}

    forward = ts.jacfwd(f, (0, 1))(x, ts.asarray([4.0, 5.0]))
    reverse = ts.jacrev(f, (0, 1))(x, ts.asarray([4.0, 5.0]))
    for found in (forward, reverse):
        assert found["p"][0].shape == (2, 3)
        close(found["p"][0], [[4, 4, 4], [5, 5, 5]])
        close(found["p"][1], 6 * np.eye(2))
        close(found["q"][0], 2 * np.eye(3))
        close(found["q"][1], np.zeros((3, 2)))
    jacobian, aux = ts.jacrev(lambda a: (a * a, a.sum()), has_aux=True)(x)
    close(jacobian, np.diag(2 * x.numpy()))
    close(aux, 6.0)


# --- vmap ---------------------------------------------------------------------------------------------


def test_axes():
    f = lambda a, b: a * 2.0 + b  # noqa: E731
    close(ts.vmap(f, in_axes=(1, None), out_axes=1)(rows, 1.0), rows.numpy() * 2 + 1)
    close(
        ts.vmap(f, in_axes=(-1, 0))(rows, ts.arange(4).astype(ts.float32)),
        (rows.numpy() * 2 + np.arange(4)).T,
    )
    tree = {"a": rows, "b": [rows[:, 0], 5]}
    got = ts.vmap(
        lambda t: t["a"].sum() * t["b"][1] + t["b"][0], in_axes=({"a": 0, "b": [0, None]},)
    )(tree)
    close(got, rows.numpy().sum(1) * 5 + rows.numpy()[:, 0])
    same, each = ts.vmap(lambda a: (ts.asarray(7.0), a), out_axes=(None, 0))(x)
    assert (same.item(), each.tolist()) == (7.0, x.tolist())
    assert ts.vmap(lambda: ts.ones(2), axis_size=3)().shape == (3, 2)
    assert ts.vmap(lambda a: 1.5)(x).tolist() == [1.5, 1.5, 1.5]
    outer = ts.vmap(ts.vmap(lambda a, b: a * b, in_axes=(None, 0)), in_axes=(0, None))(x, x)
    close(outer, np.outer(x.numpy(), x.numpy()))
    assert ts.vmap(lambda a: a * 2.0)(rows[:0]).shape == (0, 4)


def test_modules_and_methods():
    model = nn.Linear(4, 2)
    expected = model(rows).numpy()
    close(ts.vmap(model)(rows), expected)
    close(ts.vmap(model.forward)(rows), expected)
    close(ts.jit(ts.vmap(model))(rows), expected)


def test_per_example_gradients_of_a_network():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )
    images = ts.asarray(np.random.default_rng(0).standard_normal((6, 1, 8, 8)).astype(np.float32))
    labels = ts.asarray([0, 1, 2, 3, 4, 0])

    def loss(model, image, label):
        return F.cross_entropy(model(image.reshape((1, 1, 8, 8))), label.reshape((1,)))

    each = ts.vmap(ts.grad(loss), in_axes=(None, 0, 0))
    for found in (each(model, images, labels), ts.jit(each)(model, images, labels)):
        for i in range(6):
            alone = ts.grad(loss)(model, images[i], labels[i])
            for name, gradient in alone.items():
                close(found[name][i], gradient.numpy(), 1e-5)


def test_batch_statistics_are_refused():
    model = nn.BatchNorm2d(2)
    with pytest.raises(errors.SideEffectError, match="given other data"):
        ts.vmap(lambda x: model(x.reshape((1, 2, 3, 3))))(ts.ones((4, 2, 3, 3)))


def test_complex_numbers():
    z = ts.asarray(np.arange(6).reshape(3, 2) * (1 + 2j))
    f = lambda a: ts.real(a) * 2.0 + ts.imag(ts.conj(a))  # noqa: E731
    close(ts.vmap(f)(z), z.numpy().real * 2 - z.numpy().imag)
    chosen = ts.vmap(lambda a: ts.where(ts.real(a[0]) == 0, a, z[2]))(z)
    np.testing.assert_allclose(chosen.numpy(), [z.numpy()[0], z.numpy()[2], z.numpy()[2]])


def test_collectives():
    close(ts.vmap(lambda a: a / ts.psum(a, "i"), axis_name="i")(x), x.numpy() / 6)
    close(ts.vmap(lambda a: ts.pmax(a, "i") - ts.pmin(a, "i"), axis_name="i")(x), [2, 2, 2])
    close(ts.vmap(lambda a: ts.all_gather(a, "i") * ts.axis_index("i"), axis_name="i")(x),
          np.outer(np.arange(3), x.numpy()))  # fmt: skip
    norm = lambda a: ts.vmap(lambda r: (r - ts.pmean(r, "i")) ** 2, axis_name="i")(a).sum()  # noqa: E731
    close(ts.grad(norm)(x), 2 * (x.numpy() - 2))
    inside = ts.vmap(ts.grad(lambda a: ts.psum(a * a, "i")), axis_name="i")(x)
    close(inside, 2 * x.numpy() * 3)  # every example's sum depends on each
    nested = ts.vmap(
        ts.vmap(lambda a: ts.psum(a, "outer") + ts.psum(a, "inner"), axis_name="inner"),
        axis_name="outer",
    )
    close(nested(rows), rows.numpy().sum(0) + rows.numpy().sum(1, keepdims=True))
    close(ts.jit(nested)(rows), rows.numpy().sum(0) + rows.numpy().sum(1, keepdims=True))


def test_randomness():
    ts.random.manual_seed(1)
    different = ts.vmap(lambda a: ts.random.rand(5))(x).numpy()
    assert len(np.unique(different)) == 15
    same = ts.vmap(lambda a: ts.random.rand(5), randomness="same")(x).numpy()
    assert len(np.unique(same)) == 5
    draw = ts.jit(ts.vmap(lambda a: ts.random.randn(5)))
    first, second = draw(x).numpy(), draw(x).numpy()
    assert len(np.unique(np.concatenate([first, second]))) == 30
    ts.random.manual_seed(1)
    np.testing.assert_array_equal(ts.vmap(lambda a: ts.random.rand(5))(x).numpy(), different)
    mask = ts.vmap(ts.grad(lambda a: F.dropout(a.reshape((1,)) * ts.ones(64), 0.5).sum()))(
        x
    ).numpy()
    assert len(np.unique(mask)) > 1


def test_data_from_outside_can_be_looked_at():
    threshold = ts.asarray(2.0)
    f = lambda a: a * 2.0 if float(threshold) > 1.0 else a  # noqa: E731
    close(ts.vmap(f)(x), x.numpy() * 2)
    compiled = ts.jit(ts.vmap(f))
    close(compiled(x), x.numpy() * 2)
    threshold.assign(ts.asarray(0.5))
    close(compiled(x), x.numpy())
    assert "looked at, has other data" in compiled.traces[-1]
    with pytest.raises(errors.TracedValueError):
        ts.jit(lambda t: ts.vmap(lambda a: a * float(t))(x))(threshold)


# --- rules of one's own -------------------------------------------------------------------------------


def test_custom_vjp_with_static_arguments_and_everything_around():
    @ts.custom_vjp
    def plain(a):
        return a

    def scaled(n, a):
        return a * n

    scaled = ts.custom_vjp(scaled, nondiff_argnums=(0,))
    scaled.defvjp(lambda n, a: (a * n, a), lambda n, a, ct: (ct * n * 100.0,))
    close(ts.grad(lambda a: scaled(3, a).sum())(x), [300.0] * 3)
    close(ts.vmap(ts.grad(lambda a: scaled(3, a)))(x), [300.0] * 3)
    close(ts.jit(ts.grad(lambda a: ts.vmap(lambda b: scaled(3, b))(a).sum()))(x), [300.0] * 3)
    with pytest.raises(errors.GradientError, match="has no rule yet"):
        plain(x)
    with pytest.raises(errors.GradientError, match="reverse mode only"):
        ts.jvp(lambda a: scaled(3, a), (x,), (x,))
    scaled.defvjp(lambda n, a: (a * n, a), lambda n, a, ct: (ct, ct))
    with pytest.raises(errors.GradientError, match="returned 2 gradients; expected a tuple of 1"):
        ts.grad(lambda a: scaled(3, a).sum())(x)
    scaled.defvjp(lambda n, a: (a * n, a), lambda n, a, ct: (ct.sum(),))
    with pytest.raises(errors.GradientError, match="an argument of shape"):
        ts.grad(lambda a: scaled(3, a).sum())(x)


def test_custom_vjp_of_a_tree():
    @ts.custom_vjp
    def dot(p):
        return (p["a"] * p["b"]).sum()

    dot.defvjp(lambda p: (dot(p), p), lambda p, ct: ({"a": p["b"] * ct, "b": None},))
    found = ts.grad(dot)({"a": x, "b": x * 2.0})
    close(found["a"], 2 * x.numpy())
    close(found["b"], np.zeros(3))


def test_custom_jvp_in_every_mode():
    @ts.custom_jvp
    def cube(a):
        return a**3

    cube.defjvp(lambda primals, tangents: (cube(*primals), tangents[0] * primals[0] * 10.0))
    close(ts.grad(lambda a: cube(a).sum())(x), 10 * x.numpy())
    close(ts.jvp(cube, (x,), (x,))[1], 10 * x.numpy() ** 2)
    close(ts.vmap(ts.grad(cube))(x), 10 * x.numpy())
    close(ts.vmap(ts.grad(ts.grad(cube)))(x), [10.0] * 3)
    close(ts.jit(ts.jacfwd(cube))(x), np.diag(10 * x.numpy()))


def test_stop_gradient_in_every_mode():
    f = lambda a: (a * ts.stop_gradient(a)).sum()  # noqa: E731
    close(ts.grad(f)(x), x.numpy())
    close(ts.jvp(f, (x,), (ts.ones(3),))[1], 6.0)
    close(ts.vmap(ts.grad(lambda a: a * a.detach()))(x), x.numpy())
    close(ts.grad(lambda a: ts.vmap(lambda b: b * b.detach())(a).sum())(x), x.numpy())

    def half(a):
        with ts.no_grad():
            kept = a * a
        return (a * kept).sum()

    close(ts.grad(lambda a: ts.vmap(half)(a.reshape((3, 1))).sum())(x), x.numpy() ** 2)


# --- checkpoint ---------------------------------------------------------------------------------------


def test_checkpoint_takes_memory_away():
    blocks = [nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64)) for _ in range(6)]
    parameters = [p for b in blocks for p in b.parameters()]
    data = ts.random.randn(128, 64)

    def arena(wrap):
        def step(x):
            for block in blocks:
                x = x + wrap(block)(x)
            return ts.gradients([(x * x).mean()], parameters)

        compiled = ts.jit(step)
        found = compiled(data)
        (program,) = [s[0].program for s in compiled.specialisations.values()]
        return program.arena_plan.nbytes, found

    plain, expected = arena(lambda f: f)
    less, found = arena(ts.checkpoint)
    assert less < 0.6 * plain
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_checkpoint_draws_the_same_numbers_again():
    f = ts.checkpoint(lambda a: (F.dropout(a, 0.5) * a).sum())
    big = ts.ones(1000)
    value, gradient = ts.value_and_grad(f)(big)
    assert gradient.sum().item() == pytest.approx(2 * value.item())
    value, gradient = ts.jit(ts.value_and_grad(f))(big)
    assert gradient.sum().item() == pytest.approx(2 * value.item())


def test_checkpoint_of_a_module_by_backward():
    model = nn.Linear(4, 2)
    ts.checkpoint(model)(rows).sum().backward()
    checked = model.weight.grad.numpy().copy()
    model.weight.grad = None
    model(rows).sum().backward()
    np.testing.assert_array_equal(model.weight.grad.numpy(), checked)


# --- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: ts.grad(lambda a: a)(x), errors.GradientError, r"test_transformations.py.*has shape \(3,\)"),
        (lambda: ts.grad(lambda a: 3.0)(x), errors.GradientError, "returned a float"),
        (lambda: ts.grad(lambda a: (a.sum(), a))(x), errors.GradientError, "has_aux=True"),
        (lambda: ts.grad(lambda a: a.sum(), has_aux=True)(x), errors.ArgumentTypeError, "a pair"),
        (lambda: ts.grad(lambda a: a.sum())(ts.arange(3)), errors.GradientError, "holds int64"),
        (lambda: ts.grad(lambda a: a.sum())("x"), errors.GradientError, "holds a str"),
        (lambda: ts.grad(lambda a: a.sum(), 2)(x), errors.ArgumentError, "names argument 2.*1 positional argument"),
        (lambda: ts.grad(lambda a: a.sum(), argnames="b")(x), errors.ArgumentError, "names 'b'"),
        (lambda: ts.grad(3), errors.ArgumentTypeError, "grad: function is 3; expected a function"),
        (lambda: ts.vjp(lambda a: (a, a), x)[1](x), errors.ArgumentError, "another structure"),
        (lambda: ts.vjp(lambda a: a, x)[1](x[:2]), errors.ShapeError, r"shape \(2,\) was given"),
        (lambda: ts.jvp(lambda a: a, x, x), errors.ArgumentTypeError, "primals is a Tensor"),
        (lambda: ts.jvp(lambda a: a, (x,), (x[:2],)), errors.ShapeError, "they must be equal"),
        (lambda: ts.jvp(lambda a: a, (ts.arange(3),), (ts.arange(3),)), errors.GradientError, "is int64"),
        (lambda: ts.jvp(lambda a: a, (x,), (x, x)), errors.ArgumentError, "another structure"),
        (lambda: ts.jacrev(lambda a: a > 0)(x), errors.GradientError, "bool"),
        (lambda: ts.vmap(lambda a, b: a)(x, ts.ones(2)), errors.ShapeError, "leaf 0 has 3 along axis 0.*leaf 1 has 2"),
        (lambda: ts.vmap(lambda a: a, in_axes=2)(x), errors.AxisError, "asks for axis 2"),
        (lambda: ts.vmap(lambda a: a)(3), errors.ArgumentTypeError, "int, which has no axis 0"),
        (lambda: ts.vmap(lambda a: a, in_axes=None)(x), errors.ArgumentError, "pass axis_size"),
        (lambda: ts.vmap(lambda a: a, in_axes=(0, 0))(x), errors.ArgumentError, "in_axes has 2 entries"),
        (lambda: ts.vmap(lambda a: a, in_axes=({"a": 0},))(x), errors.ArgumentError, "does not fit"),
        (lambda: ts.vmap(lambda a: a, in_axes="0")(x), errors.ArgumentTypeError, "expected integers and None"),
        (lambda: ts.vmap(lambda a: a, out_axes=3)(x), errors.AxisError, "axis 3 of a result of 1"),
        (lambda: ts.vmap(lambda a: a, out_axes=None)(x), errors.ArgumentError, "differs from example to example"),
        (lambda: ts.vmap(lambda a: a if a > 1 else -a)(x), errors.TracedValueError, "test_transformations.py"),
        (lambda: ts.vmap(lambda a: ts.psum(a, "i"))(x), errors.ArgumentError, "no axis 'i' here; name one"),
        (lambda: ts.vmap(lambda a: ts.psum(a, "i"), axis_name="j")(x), errors.ArgumentError, "around are 'j'"),
        (lambda: ts.vmap(lambda a: ts.random.rand(), randomness="error")(x), errors.ArgumentError, "are drawn"),
        (lambda: ts.vmap(lambda a: a, randomness="no")(x), errors.ArgumentError, "expected 'different' or 'same' or 'error'"),
        (lambda: ts.checkpoint(None), errors.ArgumentTypeError, "checkpoint: function is None"),
        (lambda: ts.make_graph(1), errors.ArgumentTypeError, "function is 1; expected a function"),
    ],
)  # fmt: skip
def test_messages(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_side_effects_are_refused_by_name():
    outside = ts.zeros(3)
    leaf = x.copy().requires_grad_()

    def adds(a):
        outside.assign(outside + a)
        return a

    def walks(a):
        (leaf * a).sum().backward()
        return a

    with pytest.raises(errors.SideEffectError, match=r"vmap.*given other data"):
        ts.vmap(adds)(x)
    assert outside.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(errors.SideEffectError, match=r"use ts\.grad, which returns gradients"):
        ts.vmap(walks)(x)
    assert leaf.grad is None


def test_a_tensor_that_leaks_says_so():
    kept = []
    ts.vmap(lambda a: kept.append(a * 2.0) or a)(x)
    with pytest.raises(errors.TracedValueError, match="kept from a traced function that has ended"):
        kept[0].item()
    with pytest.raises(errors.TracedValueError):
        kept[0] + 1.0


def test_an_index_that_is_traced():
    places = ts.asarray([0, 3, 1])
    expected = [rows.numpy()[i, p] for i, p in enumerate([0, 3, 1])]
    read = lambda row, i: row[i]  # noqa: E731
    close(ts.vmap(read)(rows, places), expected)
    close(ts.jit(read)(rows, ts.asarray(-1)), rows.numpy()[-1])
    close(ts.jit(lambda m, i: m[1:, i])(rows, ts.asarray(2)), rows.numpy()[1:, 2])
    slope = ts.vmap(ts.grad(read))(rows, places)
    close(slope, np.eye(4)[[0, 3, 1]])

    def cleared(row, i):
        row = row.copy()
        row[i] = 0.0
        return row

    found = ts.vmap(cleared)(rows, places).numpy()
    assert [found[k, p] for k, p in enumerate([0, 3, 1])] == [0.0, 0.0, 0.0]
    assert (found != 0).sum() == 12 - 3 - (rows.numpy() == 0).sum() + (rows.numpy()[0, 0] == 0)
    with pytest.raises(errors.IndexingError, match="9"):
        ts.jit(read)(rows, ts.asarray(9))


def test_ensembles():
    models = [nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)) for _ in range(5)]
    parameters, buffers = nn.stack_module_state(models)
    assert buffers == {}
    call = lambda p, a: nn.functional_call(models[0], p, a)  # noqa: E731
    expected = np.stack([model(rows).numpy() for model in models])
    close(ts.vmap(call, in_axes=(0, None))(parameters, rows), expected)
    close(ts.jit(ts.vmap(call, in_axes=(0, None)))(parameters, rows), expected)
    slopes = ts.vmap(ts.grad(lambda p, a: (call(p, a) ** 2).sum()), in_axes=(0, None))(
        parameters, rows
    )
    for i, model in enumerate(models):
        alone = ts.grad(lambda m: (m(rows) ** 2).sum())(model)
        for name, gradient in alone.items():
            close(slopes[name][i], gradient.numpy(), 1e-5)
    close(models[0](rows), expected[0])  # its own parameters are as they were


def test_a_module_whose_parameters_have_an_axis_of_examples():
    model = nn.Linear(4, 2)
    many = nn.Linear(4, 2)
    many.weight._value = ts.stack([model.weight.detach(), model.weight.detach() * 2.0])._value
    many.bias._value = ts.zeros((2, 2))._value
    got = ts.vmap(lambda m, a: m(a), in_axes=(0, None))(many, rows)
    plain = rows.numpy() @ model.weight.numpy().T
    close(got, np.stack([plain, 2 * plain]), 1e-5)
    assert many.weight.shape == (2, 2, 4)
    slope = ts.grad(lambda m: ts.vmap(lambda m, a: m(a), in_axes=(0, None))(m, rows).sum())(many)
    assert slope["weight"].shape == (2, 2, 4)


def test_functional_call_changes_given_buffers_and_checks_names():
    norm = nn.BatchNorm1d(4)
    state = {"running_mean": ts.ones(4), "running_var": ts.ones(4)}
    nn.functional_call(norm, state, rows)
    assert not np.allclose(state["running_mean"].numpy(), 1.0)
    close(norm.running_mean, np.zeros(4))
    linear = nn.Linear(4, 2)
    for call, kind, text in (
        (lambda: nn.functional_call(linear, {"w": x}, rows), errors.ArgumentError, "it has no w; its names are bias"),
        (lambda: nn.functional_call(linear, {"bias": x}, rows), errors.ShapeError, r"the module's has \(2,\)"),
        (lambda: nn.functional_call(linear, {"bias": 3}, rows), errors.ArgumentTypeError, "bias is a int"),
        (lambda: nn.functional_call(linear, {}, rows, strict=True), errors.ArgumentError, "bias, weight is missing"),
        (lambda: nn.stack_module_state([]), errors.ArgumentError, "no modules"),
        (lambda: nn.stack_module_state([linear, nn.ReLU()]), errors.ArgumentError, "of one kind"),
    ):  # fmt: skip
        with pytest.raises(kind, match=text):
            call()

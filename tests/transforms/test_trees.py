"""Trees through every transformation: dataclasses, dicts in their order, arrays that are nobody else's."""

import collections
import dataclasses
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import errors

A = ts.asarray


@dataclasses.dataclass
class State:
    x: object
    k: object = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    weight: object
    bias: object = None
    activation: str = dataclasses.field(default="tanh", metadata={"static": True})

    def __call__(self, x):
        y = x @ self.weight
        return getattr(ts, self.activation)(y if self.bias is None else y + self.bias)


@dataclasses.dataclass
class Model:
    layers: list
    scale: object = 1.0

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


def model(seed=0, n=3):
    data = np.random.default_rng(seed)
    weights = [A(data.standard_normal((n, n)).astype(np.float32)) for _ in range(2)]
    return Model([Layer(weights[0], ts.ones(n)), Layer(weights[1], None, "sin")], A(0.5))


def same(got, expected, tolerance=1e-5):
    assert ts.tree_flatten(got)[1] == ts.tree_flatten(expected)[1]
    for a, b in zip(ts.tree_leaves(got), ts.tree_leaves(expected), strict=True):
        assert type(a) is type(b)
        if isinstance(a, ts.Tensor):
            assert a.dtype is b.dtype
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)
        else:
            assert a == b


# --- dataclasses --------------------------------------------------------------------------------------


def test_a_dataclass_is_an_argument_like_its_fields():
    f = ts.jit(lambda s: s.x * s.k)
    state = State(ts.ones(2))
    assert f(state).tolist() == [2.0, 2.0]
    state.x, state.k = ts.asarray([1.0, 3.0]), 5.0
    assert f(state).tolist() == [5.0, 15.0]
    for number in range(10):
        assert f(State(ts.ones(2) * number, float(number))).tolist() == [number**2] * 2
    assert len(f.traces) == 1


def test_a_dataclass_is_a_result_like_its_fields():
    found = ts.jit(lambda s: State(s.x + 1.0, s))(State(ts.ones(2), 3.0))
    assert type(found) is State
    assert found.x.tolist() == [2.0, 2.0]
    assert found.k.x.tolist() == [1.0, 1.0]
    assert found.k.k == 3.0


@dataclasses.dataclass(frozen=True)
class Compiled:
    weight: object

    @ts.jit
    def __call__(self, x):
        return x @ self.weight


def test_compiled_methods_of_dataclasses():
    m, x = Compiled(ts.eye(2)), ts.asarray([1.0, 2.0])
    assert m(x).tolist() == [1.0, 2.0]
    assert Compiled(ts.eye(2) * 3)(x).tolist() == [3.0, 6.0]
    assert ts.tree_leaves(m)[0] is m.weight
    assert len(ts.tree_leaves(m)) == 1  # what is compiled for it is no part of it
    assert ts.grad(lambda m: m(x).sum())(m).weight.tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert ts.vmap(m)(ts.stack([x, x])).tolist() == [[1.0, 2.0]] * 2


def test_other_static_fields_are_another_program():
    f = ts.jit(lambda layer, x: layer(x))
    weight, x = ts.ones((2, 2)), A([0.1, 0.2])
    for name in ("tanh", "sin", "tanh", "exp"):
        layer = Layer(weight, ts.zeros(2), name)
        same(f(layer, x), layer(x))
    assert len(f.traces) == 3


def test_gradients_are_dataclasses():
    m, x = model(), A([0.1, -0.2, 0.3])

    def loss(m, x):
        return (m(x) ** 2).sum()

    value, gradient = ts.value_and_grad(loss)(m, x)
    assert type(gradient) is Model
    assert gradient.layers[1].bias is None
    assert gradient.layers[0].activation == "tanh"
    step = 1e-3 * ts.ones(3)
    moved = dataclasses.replace(
        m, layers=[Layer(m.layers[0].weight, m.layers[0].bias + step), m.layers[1]]
    )
    slope = float((gradient.layers[0].bias * step).sum())
    assert float(loss(moved, x) - value) == pytest.approx(slope, rel=0.02)
    same(ts.jit(ts.value_and_grad(loss))(m, x), (value, gradient))
    same(ts.grad(ts.jit(loss))(m, x), gradient)
    same(ts.grad(ts.checkpoint(loss))(m, x), gradient)
    updated = ts.tree_map(lambda p, g: p - 0.1 * g, m, gradient)
    assert float(loss(updated, x)) < float(value)


def test_vjp_and_jvp_of_dataclasses():
    def f(s):
        return State(s.x * s.k, ts.sin(s.x).sum())

    s = State(A([1.0, 2.0]), A(3.0))
    value, pullback = ts.vjp(f, s)
    same(value, f(s))
    (ct,) = pullback(State(A([1.0, 0.0]), A(2.0)))
    expected = np.array([3.0, 0.0]) + 2 * np.cos([1.0, 2.0])
    np.testing.assert_allclose(ct.x.numpy(), expected, rtol=1e-6)
    assert float(ct.k) == 1.0
    out, along = ts.jvp(f, (s,), (State(A([1.0, 0.0]), None),))
    same(out, value)
    assert along.x.tolist() == [3.0, 0.0]
    _, linear = ts.linearize(f, s)
    same(linear(State(A([1.0, 0.0]), A(0.0))), along)
    jacobian = ts.jacrev(f)(s)
    assert type(jacobian) is State
    assert type(jacobian.x) is State
    assert jacobian.x.x.tolist() == [[3.0, 0.0], [0.0, 3.0]]
    same(ts.jacfwd(f)(s), jacobian)


def test_vmap_of_dataclasses():
    m = ts.tree_map(lambda *parts: ts.stack(parts), model(0), model(1))
    xs = A(np.arange(6.0, dtype=np.float32).reshape(2, 3) / 5)
    rows = ts.stack([model(i)(xs[i]) for i in range(2)])
    same(ts.vmap(lambda m, x: m(x))(m, xs), rows)
    scale = State(A([1.0, 2.0]), A(3.0))
    got = ts.vmap(
        lambda s: State(s.x * s.k, s.k), in_axes=(State(0, None),), out_axes=State(0, None)
    )(scale)
    same(got, State(A([3.0, 6.0]), A(3.0)))
    got = ts.vmap(lambda s: s, in_axes=({"b": 0, "a": None},))({"a": A(1.0), "b": A([1.0, 2.0])})
    same(got, {"a": A([1.0, 1.0]), "b": A([1.0, 2.0])})
    with pytest.raises(errors.ArgumentError, match=r"in_axes is \(State\(x=0, k=\(1,\)\),\)"):
        ts.vmap(lambda s: s.x, in_axes=(State(0, (1,)),))(scale)


def run_loops(start, xs):
    def body(s, x):
        return State(s.x + x.x * s.k, s.k * x.k), {"b": s.k, "a": s}

    carry, ys = ts.scan(body, start, xs)
    carry = ts.fori_loop(0, 3, lambda i, s: State(s.x + i, s.k * 0.5), carry)
    carry = ts.while_loop(lambda s: s.k < 10, lambda s: dataclasses.replace(s, k=s.k + 1.0), carry)
    chosen = ts.cond(
        carry.k > 0, lambda s: State(s.x, {"k": s.k}), lambda s: State(s.x * 2, {"k": s.k}), carry
    )
    return carry, ys, chosen


def test_loops_carry_dataclasses():
    start, xs = State(A(1.0), A(0.5)), State(A([1.0, 2.0]), A([3.0, 4.0]))
    expected = run_loops(start, xs)
    assert type(expected[0]) is State
    assert list(expected[1]) == ["b", "a"]
    same(ts.jit(run_loops)(start, xs), expected)
    both = ts.vmap(run_loops, in_axes=(0, None))(State(A([1.0, 2.0]), A([0.5, 0.1])), xs)
    same(ts.tree_map(lambda leaf: leaf[0], both), expected)

    def loss(start, loops=run_loops):
        return ts.scan(lambda s, x: (State(s.x * x.x, s.k), None), start, xs)[0].x

    assert float(ts.grad(loss)(start).x) == 2.0
    assert float(ts.jit(ts.grad(loss))(start).x) == 2.0


def test_custom_rules_of_dataclasses():
    @ts.custom_vjp
    def scaled(s):
        return State(s.x * s.k, s.k)

    scaled.defvjp(lambda s: (scaled(s), s), lambda s, ct: (State(ct.x * 100.0, ct.k),))

    @ts.custom_jvp
    def doubled(s):
        return State(s.x * 2.0, s.k)

    doubled.defjvp(lambda primals, t: (doubled(*primals), State(t[0].x * 100.0, t[0].k)))
    s = State(A([1.0, 2.0]), A(3.0))
    for f in (scaled, doubled):

        def loss(s, f=f):
            out = f(s)
            return out.x.sum() + out.k

        expected = State(A([100.0, 100.0]), A(1.0))
        same(ts.grad(loss)(s), expected)
        same(ts.jit(ts.grad(loss))(s), expected)
        rows = ts.vmap(ts.grad(loss))(ts.tree_map(lambda x: ts.stack([x, x]), s))
        same(ts.tree_map(lambda x: x[1], rows), expected)


def test_what_is_no_number_must_be_static_for_gradients_and_loops():
    with pytest.raises(errors.GradientError, match=r'field\(metadata=\{"static": True\}\)'):
        ts.grad(lambda s: s.x.sum())(State(ts.ones(2), "text"))
    with pytest.raises(
        errors.ArgumentTypeError, match=r"start holds a str \('text', leaf 1\).*static field"
    ):
        ts.scan(lambda s, x: (s, x), State(ts.ones(2), "text"), ts.ones(2))


# --- dicts --------------------------------------------------------------------------------------------

b_first = {"b": A([0.0, 1.0]), "a": A([2.0, 3.0])}
a_first = {"a": A([2.0, 3.0]), "b": A([0.0, 1.0])}
KINDS = {
    "dict": dict,
    "ordered": collections.OrderedDict,
    "default": lambda d: collections.defaultdict(list, d),
    "nested": lambda d: {"z": dict(d), **d},
    "state": lambda d: {"s": State(dict(d), [d]), "t": tuple(d.values())},
}


def in_order(tree):
    return ts.concat([x * (i + 1) for i, x in enumerate(ts.tree_leaves(tree))])


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_function_sees_a_dict_as_it_is_given(kind):
    make = KINDS[kind]
    for first, second in ((b_first, a_first), (a_first, b_first)):
        f = ts.jit(lambda tree: (in_order(tree), tree))
        for given in (first, second, first):
            number, back = f(make(given))
            same(number, in_order(make(given)))
            same(back, make(given))
            assert repr(back) == repr(make(given))  # with the keys in their order
        assert len(f.traces) == 2


def test_keyword_arguments_are_seen_in_their_order():
    @ts.jit
    def named(**parts):
        return in_order(parts), parts

    @ts.jit
    def fixed(a, b):
        return in_order([a, b])

    for given in (b_first, a_first):
        same(named(**given), (in_order(given), given))
        assert list(named(**given)[1]) == list(given)
        same(fixed(**given), in_order(a_first))
    assert len(named.traces) == 2
    assert len(fixed.traces) == 1  # nobody sees the order


def test_results_have_the_keys_in_the_functions_order():
    def f(x):
        return {"z": x, "a": {"y": x + 1, "b": x + 2}}

    for run in (f, ts.jit(f), ts.vmap(f), ts.checkpoint(f)):
        found = run(ts.ones(2))
        assert list(found) == ["z", "a"]
        assert list(found["a"]) == ["y", "b"]
    gradient = ts.grad(lambda d: (d["a"] * d["b"]).sum())(b_first)
    assert list(gradient) == ["b", "a"]
    same(gradient, {"b": b_first["a"], "a": b_first["b"]})
    assert list(ts.jit(ts.grad(lambda d: (d["a"] * d["b"]).sum()))(a_first)) == ["a", "b"]


def test_trees_alike_may_have_their_keys_in_another_order():
    x = A([1.0, 2.0])

    def turned(d):
        return {"a": d["a"] + d["b"], "b": d["b"] * 2}

    def loops(d):
        carry = ts.fori_loop(0, 2, lambda i, d: turned(d), d)
        carry, _ = ts.scan(lambda d, y: (turned(d), y), carry, x)
        carry = ts.while_loop(lambda d: d["a"].sum() < 100, turned, carry)
        return ts.cond(carry["a"].sum() > 0, turned, lambda d: d, carry)

    expected = loops(b_first)
    assert list(expected) == ["a", "b"]
    got = ts.jit(loops)(b_first)
    assert float(got["a"].sum()) == float(expected["a"].sum())
    assert float(got["b"].sum()) == float(expected["b"].sum())

    _, pullback = ts.vjp(lambda d: {"u": d["a"] * 2, "v": d["b"] * 3}, b_first)
    (ct,) = pullback({"v": x, "u": x * 10})
    same(ct, {"b": x * 3, "a": x * 20})
    _, along = ts.jvp(lambda d: d["a"] * d["b"], (b_first,), ({"a": x, "b": None},))
    same(along, b_first["b"] * x)
    pairs = {"b": A([1.0, 2.0, 3.0]), "a": A([1.0, 1.0, 1.0])}
    found = ts.associative_scan(lambda p, q: {"a": p["a"] + q["a"], "b": p["b"] * q["b"]}, pairs)
    same(found, {"b": A([1.0, 2.0, 6.0]), "a": A([1.0, 2.0, 3.0])})


def test_rules_may_give_keys_in_another_order():
    @ts.custom_vjp
    def f(x):
        return {"b": x * 2, "a": x * 3}

    f.defvjp(
        lambda x: ({"a": x * 3, "b": x * 2}, None), lambda _, ct: (ct["a"] * 1000 + ct["b"] * 10,)
    )

    @ts.custom_jvp
    def g(x):
        return {"b": x * 2, "a": x * 3}

    g.defjvp(lambda p, t: ({"a": p[0] * 3, "b": p[0] * 2}, {"a": t[0] * 1000, "b": t[0] * 10}))
    for rule in (f, g):

        def loss(x, rule=rule):
            out = rule(x)
            return out["a"] * 3 + out["b"]

        for run in (
            ts.grad(loss),
            ts.jit(ts.grad(loss)),
            ts.grad(ts.jit(loss)),
            ts.grad(ts.checkpoint(loss)),
        ):
            assert float(run(A(1.0))) == 3010.0
        assert ts.vmap(ts.grad(loss))(ts.ones(2)).tolist() == [3010.0] * 2
        assert ts.grad(lambda x: ts.vmap(loss)(x).sum())(ts.ones(2)).tolist() == [3010.0] * 2
    assert float(ts.jvp(loss, (A(1.0),), (A(1.0),))[1]) == 3010.0


MISFITS = {
    "scan": (lambda: ts.scan(lambda c, x: (c["a"], x), b_first, ts.ones(2)), r"scan: the body gives \*"),
    "places": (
        lambda: ts.scan(lambda c, x: (c + 1, {"a": x} if float(c) else [x]), A(0.0), ts.ones(2)),
        r"gives \{'a': \*\} at one place and \[\*\] at another",
    ),
    "vjp": (
        lambda: ts.vjp(lambda x: {"a": x}, A(1.0))[1]({"b": A(1.0)}),
        r"the gradient \{'b': \*\} has another structure than the value \{'a': \*\}",
    ),
    "jvp": (
        lambda: ts.jvp(lambda s: s.x, (State(A(1.0)),), (A(1.0),)),
        r"the tangents \(\*\,\) have another structure than the primals \(.*State\[x, k\]",
    ),
    "associative_scan": (
        lambda: ts.associative_scan(lambda a, b: a["a"], {"a": ts.ones(3)}),
        r"gives \* where the sequences are \{'a': \*\}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_structures_that_do_not_fit(name):
    run, text = MISFITS[name]
    with pytest.raises(errors.ArgumentError, match=text):
        run()


def test_rules_whose_structure_does_not_fit():
    f = ts.custom_vjp(lambda x: {"a": x})
    f.defvjp(lambda x: ([x], None), lambda _, ct: (ct,))
    with pytest.raises(
        errors.GradientError, match=r"what the forward rule gives has the structure \[\*\]"
    ):
        ts.vmap(ts.grad(lambda x: f(x)["a"]))(ts.ones(2))


# --- arrays of others ---------------------------------------------------------------------------------

ARRAYS = {
    "cond": lambda a: ts.cond(True, lambda x: x, lambda x: x, a),
    "cond of a tensor": lambda a: ts.cond(A(True), lambda x: x, lambda x: x, a),
    "cond, from outside": lambda a: ts.cond(A(True), lambda: a, lambda: a),
    "switch": lambda a: ts.switch(0, [lambda x: x, lambda x: x], a),
    "switch of a tensor": lambda a: ts.switch(A(0), [lambda x: x, lambda x: x], a),
    "while_loop": lambda a: ts.while_loop(lambda x: False, lambda x: x, a),
    "fori_loop": lambda a: ts.fori_loop(0, 0, lambda i, x: x, a),
    "fori_loop, from outside": lambda a: ts.fori_loop(0, 1, lambda i, x: a, a),
    "scan": lambda a: ts.scan(lambda c, x: (c, x), a, None, length=0)[0],
    "scan, stacked": lambda a: ts.scan(lambda c, x: (c, a), A(0.0), ts.ones(1))[1][0],
    "associative_scan": lambda a: ts.associative_scan(ts.add, a[:1].repeat(2))[:1] * ts.ones(2),
    "checkpoint": lambda a: ts.checkpoint(lambda x: x)(a),
    "checkpoint, from outside": lambda a: ts.checkpoint(lambda x: {"a": a})(A(1.0))["a"],
    "stop_gradient": lambda a: ts.stop_gradient({"a": a})["a"],
    "vmap": lambda a: ts.vmap(lambda x: x)(a),
    "vmap, shared": lambda a: ts.vmap(lambda x, y: y, (0, None), None)(ts.ones(2), a),
    "vmap, from outside": lambda a: ts.vmap(lambda x: a)(ts.ones(1))[0],
    "vjp": lambda a: ts.vjp(lambda x: x, a)[0],
    "vjp, from outside": lambda a: ts.vjp(lambda x: (x, a), A(1.0))[0][1],
    "vjp, beside": lambda a: ts.vjp(lambda x: (x, a), A(1.0), has_aux=True)[2],
    "grad, beside": lambda a: ts.grad(lambda x: (x, a), has_aux=True)(A(1.0))[1],
    "value_and_grad, beside": lambda a: ts.value_and_grad(lambda x: (x, a), has_aux=True)(A(1.0))[0][1],
    "jvp": lambda a: ts.jvp(lambda x: (x, a), (A(1.0),), (A(1.0),))[0][1],
    "linearize": lambda a: ts.linearize(lambda x: (x, a), A(1.0))[0][1],
    "custom_vjp": lambda a: rule(ts.custom_vjp(lambda x: x))(a),
    "custom_vjp, from outside": lambda a: rule(ts.custom_vjp(lambda x: a))(A(1.0)),
    "ravel_tree": lambda a: ts.ravel_tree(a)[0],
    "unravel": lambda a: ts.ravel_tree(a)[1](a),
}  # fmt: skip


def rule(function):
    function.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    return function


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ARRAYS)
def test_results_are_tensors_of_their_own(name, recorded):
    array = np.asarray([3.0, 4.0], np.float32)
    with ts.enable_grad() if recorded else ts.no_grad():
        found = ARRAYS[name](array)
        inside = ts.vmap(lambda x: (x, ARRAYS[name](array)))(ts.ones(2))[1]
    assert type(found) is ts.Tensor
    before = found.tolist()
    array[:] = 99.0
    assert found.tolist() == before
    assert 99.0 not in np.asarray(inside)


def test_numbers_are_tensors_where_tensors_choose():
    """Beside a condition that is a tensor, eagerly as in a traced function."""

    def f(flag, x):
        chosen = ts.cond(flag, lambda n: n + 1, lambda n: n, 2)
        return x * chosen, ts.cond(flag, lambda n: 1.5, lambda n: 2.5, None), chosen

    for flag in (True, False):
        expected = f(A(flag), ts.ones(2, dtype=ts.int8))
        same(ts.jit(f)(A(flag), ts.ones(2, dtype=ts.int8)), expected)
    assert ts.cond(True, lambda n: n + 1, lambda n: n, 2) == 3


def test_what_is_no_number_may_be_an_operand():
    def f(flag, x, names):
        return ts.cond(
            flag, lambda x, names: getattr(ts, names[0])(x), lambda x, names: x, x, names
        )

    for flag in (True, False):
        same(ts.jit(f)(A(flag), A(0.5), ["sin"]), f(A(flag), A(0.5), ["sin"]))


def test_a_number_keeps_the_dtype_of_what_is_carried_only_if_it_fits():
    def f(x):
        return ts.fori_loop(0, 2, lambda i, c: 2.5, x)

    for run in (f, ts.jit(f)):
        assert run(ts.asarray(1.0, dtype=ts.float16)).dtype is ts.float16
        with pytest.raises(
            errors.ShapeError, match=r"the body gives float32 \(\) where start has int64"
        ):
            run(A(1))


def test_a_parameter_that_is_missing_has_no_gradient():
    tree = {"w": A([1.0, 2.0]), "b": None}
    same(ts.grad(lambda t: (t["w"] ** 2).sum())(tree), {"w": A([2.0, 4.0]), "b": None})
    assert ts.vmap(lambda t: t["w"])(tree).tolist() == [1.0, 2.0]


def test_breakpoints_and_prints_see_dataclasses(capsys):
    @ts.jit
    def f(s):
        ts.debug.print("{}", State(s.x, "k"))
        return s.x

    f(State(A(1.5)))
    assert "State(x=tensor(1.5), k='k')" in capsys.readouterr().out


def test_sizes_that_differ_are_found_in_dataclasses():
    f = ts.jit(lambda s: s.x.sum() * s.k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(2, 12):
            assert float(f(State(ts.ones(n), 2.0))) == 2 * n
    assert len(f.traces) == 3

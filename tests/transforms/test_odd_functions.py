"""Transformations of odd functions: of another number of arguments, with odd results, that rebind what they are given."""

import copy

import numpy as np
import pytest

import tessella as ts
from tessella import errors

V = ts.asarray([1.0, 2.0, 3.0])
YES = ts.asarray(True)


def with_rule(forward, backward):
    doubled = ts.custom_vjp(lambda x: x * 2)
    doubled.defvjp(forward, backward)
    return lambda: ts.grad(lambda x: doubled(x).sum())(V)


def kept(x):
    return x * 2, x


WRONG = [
    (lambda: ts.cond(), errors.ArgumentTypeError, "cond: `condition` was not given"),
    (lambda: ts.cond(True, ts.sin), errors.ArgumentTypeError, "cond: `when_false` was not given; expected a function"),
    (lambda: ts.cond(True, ts.sin, 3, V), errors.ArgumentTypeError, "cond: when_false is 3; expected a function"),
    (lambda: ts.cond("a", ts.sin, ts.cos, V), errors.ArgumentTypeError, "cond: condition is 'a'; expected True or False"),
    (lambda: ts.cond(None, ts.sin, ts.cos, V), errors.ArgumentTypeError, "cond: condition is None"),
    (lambda: ts.cond(True, lambda: 1, ts.cos, V), errors.ArgumentTypeError, "cond: the true branch is called with"),
    (lambda: ts.cond(~YES, ts.sin, lambda x, y: x, V), errors.ArgumentTypeError, "the false branch is called with"),
    (lambda: ts.jit(lambda p: ts.cond(p, lambda: V, ts.cos, V))(YES), errors.ArgumentTypeError, "the true branch is called"),
    (lambda: ts.switch(0), errors.ArgumentTypeError, "switch: `branches` was not given"),
    (lambda: ts.switch(0, 3), errors.ArgumentTypeError, "switch: branches is 3; expected a list of functions"),
    (lambda: ts.switch(0, [ts.sin, 3], V), errors.ArgumentTypeError, "switch: branch 1: int was given; expected a function"),
    (lambda: ts.switch(True, [ts.sin, ts.cos], V), errors.ArgumentError, "switch: index is True; expected a whole number"),
    (lambda: ts.switch(1, [ts.sin, lambda: 1], V), errors.ArgumentTypeError, "switch: branch 1 is called with"),
    (lambda: ts.vjp(), errors.ArgumentTypeError, "vjp: `function` was not given"),
    (lambda: ts.vjp(3, V), errors.ArgumentTypeError, "vjp: function is 3; expected a function"),
    (lambda: ts.vjp(ts.sin, V, foo=3), errors.ArgumentTypeError, "vjp: no argument `foo`"),
    (lambda: ts.vjp(kept, V, has_aux="a"), errors.ArgumentTypeError, "vjp: has_aux is 'a'; expected True or False"),
    (lambda: ts.vjp(ts.sin, V)[1](), errors.ArgumentTypeError, "vjp: 0 arguments were given to the pullback; expected one"),
    (lambda: ts.vjp(ts.sin, V)[1](V, V), errors.ArgumentTypeError, "2 arguments were given to the pullback"),
    (lambda: ts.vjp(ts.sin, V)[1]("a"), errors.ArgumentTypeError, "vjp: the gradient is 'a'; expected a Tensor"),
    (lambda: ts.jvp(ts.sin), errors.ArgumentTypeError, "jvp: `primals` was not given"),
    (lambda: ts.jvp(ts.sin, (V,), ("a",)), errors.ArgumentTypeError, "jvp: leaf 0 of the tangents is 'a'; expected a Tensor"),
    (lambda: ts.linearize(), errors.ArgumentTypeError, "linearize: `function` was not given"),
    (lambda: ts.linearize(ts.sin, V)[1]("a"), errors.ArgumentTypeError, "linearize: leaf 0 of the tangents is 'a'"),
    (lambda: ts.scan(kept), errors.ArgumentTypeError, "scan: `start` was not given"),
    (lambda: ts.scan(lambda c: c, 0.0, V), errors.ArgumentTypeError, "scan: the body is called as body(carry, x); "),
    (lambda: ts.jit(lambda v: ts.scan(lambda c: c, 0.0, v))(V), errors.ArgumentTypeError, "scan: the body is called as body(carry, x); "),
    (lambda: ts.fori_loop(0, 3, lambda i, c: c), errors.ArgumentTypeError, "fori_loop: `start` was not given"),
    (lambda: ts.fori_loop(0, 3, lambda c: c, V), errors.ArgumentTypeError, "fori_loop: the body is called as body(i, carry); "),
    (lambda: ts.fori_loop(0, YES + 2, lambda c: c, V), errors.ArgumentTypeError, "fori_loop: the body is called as body(i, carry); "),
    (lambda: ts.fori_loop(True, 3, lambda i, c: c, V), errors.ArgumentError, "lower is True; expected a whole number"),
    (lambda: ts.while_loop(lambda: True, ts.sin, V), errors.ArgumentTypeError, "while_loop: the condition is called as condition(carry); "),
    (lambda: ts.while_loop(lambda c: c < 3, lambda: 1, 0), errors.ArgumentTypeError, "while_loop: the body is called as body(carry); "),
    (with_rule(lambda: 1, lambda r, g: (g,)), errors.ArgumentTypeError, "the forward rule of <lambda> is called with"),
    (with_rule(kept, lambda g: (g,)), errors.ArgumentTypeError, "the backward rule of <lambda> is called with"),
    (with_rule(kept, lambda r, g: ("a",)), errors.ArgumentTypeError, "the gradient that the backward rule of <lambda> gives is 'a'"),
    (with_rule(kept, lambda r, g: (1.0,)), errors.GradientError, "a gradient of shape () for an argument of shape (3,)"),
    (with_rule(kept, lambda r, g: (g > 0,)), errors.GradientError, "a gradient of bool for an argument of float32"),
    (lambda: ts.grad(ts.sum, argnums=(0, 0))(V), errors.ArgumentError, "argnums is (0, 0), which names argument 0 twice"),
    (lambda: ts.grad(ts.sum, argnums=(0, -1))(V), errors.ArgumentError, "which names argument 0 twice; name each once"),
    (lambda: ts.jacrev(ts.sin, argnums=[0, 0])(V), errors.ArgumentError, "jacrev: argnums is [0, 0], which names"),
    (lambda: ts.jacfwd(ts.sin, argnums=[0, 0])(V), errors.ArgumentError, "jacfwd: argnums is [0, 0], which names"),
    (lambda: ts.jit(ts.sin, static_argnums=3), errors.ArgumentError, "static_argnums is (3,), but the function has 1 parameters by"),
    (lambda: ts.jit(lambda x, *, n: x, static_argnums=1), errors.ArgumentError, "1 parameters by place: x"),
    (lambda: ts.jit(lambda x, n: x, static_argnames="m"), errors.ArgumentError, "static_argnames names 'm', but the function"),
    (lambda: ts.jacfwd(lambda x: "a")(V), errors.GradientError, "jacfwd: the function returned what has no derivatives, str"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_said(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert isinstance(caught.value, ts.TessellaError)


def test_a_type_error_inside_of_a_users_function_stays_what_it_is():
    for call in (
        lambda f: ts.cond(True, f, f, V),
        lambda f: ts.switch(0, [f], V),
        lambda f: ts.fori_loop(0, 2, lambda i, c: f(c), V),
        lambda f: ts.while_loop(lambda c: True, f, V),
        lambda f: ts.scan(lambda c, x: f(c), V, V),
        with_inner_rule,
    ):
        with pytest.raises(TypeError) as caught:
            call(lambda x: len(5))
        assert type(caught.value) is TypeError


def with_inner_rule(f):
    return with_rule(kept, lambda r, g: (f(g),))()


def test_spellings_of_others():
    assert ts.cond(pred=True, true_fn=lambda: V, false_fn=lambda: -V) is not None
    assert ts.cond(YES, lambda x: x + 1, lambda x: x, V).tolist() == [2.0, 3.0, 4.0]


def test_gradients_of_rules_take_the_dtype_of_the_arguments():
    for backward in (lambda r, g: (g.astype(ts.float64),), lambda r, g: (np.ones(3),)):
        found = with_rule(kept, backward)()
        assert found.dtype is ts.float32
        assert found.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "function",
    [
        lambda a, v: ts.scan(lambda c, x: (c.add_(x), c), a, v),
        lambda a, v: ts.scan(lambda c, x: (c.add_(x), {"y": [c]}), a, v, reverse=True),
        lambda a, v: ts.fori_loop(0, 3, lambda i, c: c.add_(1), a),
        lambda a, v: ts.while_loop(lambda c: c < 3, lambda c: c.add_(1), a),
        lambda a, v: ts.cond(v[0] > 0, lambda c: c.add_(1), lambda c: c, a),
        lambda a, v: ts.cond(True, lambda c: c.add_(1), lambda c: c, a),
        lambda a, v: ts.switch(1, [lambda c: c, lambda c: c.mul_(3)], a),
        lambda a, v: ts.switch(ts.asarray(1), [lambda c: c, lambda c: c.mul_(3)], a),
    ],
)
def test_bodies_that_rebind_what_they_are_given_do_so_alone(function):
    for call in (function, ts.jit(function)):
        start = ts.asarray(1.0)
        found = call(start, V)
        assert start.item() == 1.0
        expected = ts.tree_map(lambda x: x.tolist(), ts.jit(function)(ts.asarray(1.0), V))
        assert ts.tree_map(lambda x: x.tolist(), found) == expected


def test_what_a_scan_gives_is_that_of_its_place():
    total = ts.asarray(0.0)
    found = ts.scan(lambda c, x: (c, total.add_(x)), 0.0, V)[1]
    assert found.tolist() == [1.0, 3.0, 6.0]


def test_gradients_pass_through_bodies_that_rebind():
    def last(x):
        return ts.scan(lambda c, y: (c.mul_(y), None), x, V)[0]

    assert (
        ts.grad(last)(ts.asarray(1.0)).item()
        == ts.grad(ts.jit(last))(ts.asarray(1.0)).item()
        == 6.0
    )


def test_what_is_declared_static_may_come_by_any_parameter():
    for function, given in (
        (lambda *x: x[1], (V, 2)),
        (lambda x, n: n, (V, 2)),
        (lambda x, n=2: n, (V,)),
    ):
        assert ts.jit(function, static_argnums=(1,))(*given) == 2
    assert ts.jit(lambda x, **more: more["n"], static_argnames="n")(V, n=2) == 2


def test_a_traced_number_is_copied_as_numbers_are():
    more = ts.jit(lambda a: copy.deepcopy({"a": [a]})["a"][0] + copy.copy(a))
    assert (more(2.0), more(3.0)) == (4.0, 6.0)

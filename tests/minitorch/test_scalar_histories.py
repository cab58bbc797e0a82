"""Histories of scalars: leaves, constants and results, the chain rule, and very long ones."""

import pytest

from tessella.errors import GradientError
from tessella.minitorch import Scalar, ScalarFunction, ScalarHistory, operators, scalar_functions
from tessella.minitorch.autodiff import Context

LONG = 20_000


def test_leaves_constants_and_results():
    leaf, constant = Scalar(2.0), Scalar(3.0, back=None)
    result = leaf * constant
    assert [s.is_leaf() for s in (leaf, constant, result)] == [True, False, False]
    assert [s.is_constant() for s in (leaf, constant, result)] == [False, True, False]
    assert leaf.history.last_fn is None
    assert result.history.last_fn is scalar_functions.Mul
    assert isinstance(result.history.ctx, Context)
    assert [id(parent) for parent in result.parents] == [id(leaf), id(constant)]
    assert [id(scalar) for scalar in result.history.inputs] == [id(leaf), id(constant)]
    assert list(leaf.parents) == list(constant.parents) == []


def test_a_history_built_by_hand():
    class Weighted(ScalarFunction):
        @staticmethod
        def forward(ctx, x, y):
            raise AssertionError("the chain rule needs no forward pass")

        @staticmethod
        def backward(ctx, d_output):
            (weight,) = ctx.saved_values
            return d_output * weight, -d_output

    ctx = Context()
    ctx.save_for_backward(5.0)
    x, y = Scalar(1.0), Scalar(2.0)
    made = Scalar(0.0, ScalarHistory(Weighted, ctx, [x, y]))
    assert [(v.unique_id, d) for v, d in made.chain_rule(2.0)] == [
        (x.unique_id, 10.0),
        (y.unique_id, -2.0),
    ]
    made.backward(3.0)
    assert (x.derivative, y.derivative, made.derivative) == (15.0, -3.0, None)


def test_the_chain_rule_leaves_constants_out():
    x, constant = Scalar(4.0), Scalar(3.0, back=None)
    assert [(v is x, d) for v, d in (x * constant).chain_rule(2.0)] == [(True, 6.0)]


def test_the_chain_rule_needs_a_function():
    for scalar in (Scalar(1.0), Scalar(1.0, back=None)):
        with pytest.raises(GradientError, match="the Scalar was not computed from others"):
            scalar.chain_rule(1.0)


def test_only_leaves_keep_derivatives():
    x, constant = Scalar(2.0), Scalar(5.0, back=None)
    hidden = x * constant
    (hidden + 1.0).backward()
    assert (x.derivative, constant.derivative, hidden.derivative) == (5.0, None, None)
    with pytest.raises(GradientError, match="only leaves keep derivatives"):
        hidden.accumulate_derivative(1.0)
    x.accumulate_derivative(2.0)
    assert x.derivative == 7.0


def test_requires_grad_makes_constants_and_leaves():
    x = Scalar(2.0)
    x.requires_grad_(False)
    assert x.is_constant()
    y = x * 3.0
    y.requires_grad_(True)
    assert y.is_leaf()


def test_a_long_chain():
    x = y = Scalar(1.0)
    for _ in range(LONG):
        y = y + 0.001 * x
    y.backward()
    assert x.derivative == pytest.approx(1 + 0.001 * LONG)
    assert y.data == pytest.approx(1 + 0.001 * LONG)
    del y  # must not overflow the stack, either


def test_a_long_sum_of_many_leaves():
    leaves = [Scalar(float(i)) for i in range(LONG)]
    operators.sum(leaves).backward(0.5)
    assert {leaf.derivative for leaf in leaves} == {0.5}

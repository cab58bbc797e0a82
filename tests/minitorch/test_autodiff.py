"""The chain rule on any class that follows the `Variable` protocol, and what a context keeps."""

import itertools

import pytest

from tessella.minitorch import Context, Scalar, backpropagate, topological_sort

numbers = itertools.count(10**9)


class Knot:
    """A variable made for these tests: edges to its parents, each with a slope."""

    def __init__(self, *edges, constant=False):
        self.unique_id = next(numbers)
        self.edges = edges
        self.constant = constant
        self.derivative = None
        self.received = []

    def accumulate_derivative(self, x):
        self.derivative = x if self.derivative is None else self.derivative + x

    def is_leaf(self):
        return not self.edges and not self.constant

    def is_constant(self):
        return self.constant

    @property
    def parents(self):
        return [parent for parent, _ in self.edges]

    def chain_rule(self, d_output):
        self.received.append(d_output)
        return [(parent, d_output * slope) for parent, slope in self.edges]


def diamond():
    """x feeds left and right, and these feed the top."""
    x = Knot()
    left, right = Knot((x, 2.0)), Knot((x, 3.0))
    return x, left, right, Knot((left, 5.0), (right, 7.0))


def is_ordered(order):
    places = {v.unique_id: place for place, v in enumerate(order)}
    return all(
        places[v.unique_id] < places[parent.unique_id]
        for v in order
        for parent in v.parents
        if not parent.is_constant()
    )


def test_each_variable_comes_before_what_it_was_computed_from():
    x, left, right, top = diamond()
    order = list(topological_sort(top))
    assert order[0] is top
    assert order[-1] is x
    assert {id(v) for v in order} == {id(v) for v in (x, left, right, top)}
    assert is_ordered(order)


def test_a_shortcut_waits_for_the_long_way():
    x = Knot()
    middle = Knot((x, 1.0))
    longer = Knot((middle, 1.0))
    top = Knot((middle, 1.0), (x, 1.0), (longer, 1.0))
    order = topological_sort(top)
    assert [v.unique_id for v in order] == [v.unique_id for v in (top, longer, middle, x)]


def test_constants_are_not_in_the_order():
    x, constant = Knot(), Knot(constant=True)
    top = Knot((constant, 1.0), (x, 1.0))
    assert [v is x or v is top for v in topological_sort(top)] == [True, True]
    assert list(topological_sort(constant)) == []


def test_derivatives_are_summed_before_they_go_on():
    x, left, right, top = diamond()
    root = Knot((top, 1.0), (left, 10.0))
    backpropagate(root, 1.0)
    assert x.derivative == (5.0 + 10.0) * 2.0 + 7.0 * 3.0
    assert [v.received for v in (root, top, left, right)] == [[1.0], [1.0], [15.0], [7.0]]


def test_only_leaves_that_are_not_constant_accumulate():
    x, constant = Knot(), Knot(constant=True)
    hidden = Knot((x, 4.0), (constant, 9.0))
    backpropagate(Knot((hidden, 2.0)), 1.0)
    assert (x.derivative, hidden.derivative, constant.derivative) == (8.0, None, None)
    backpropagate(constant, 1.0)
    assert constant.derivative is None


def test_a_parent_used_twice_gets_the_sum():
    x = Knot()
    backpropagate(Knot((x, 2.0), (x, 3.0)), 10.0)
    assert x.derivative == 50.0


def test_passes_accumulate():
    x, _, _, top = diamond()
    backpropagate(top, 1.0)
    backpropagate(top, 2.0)
    assert x.derivative == 3 * 31.0


def test_a_leaf_gets_the_derivative_itself():
    x = Knot()
    backpropagate(x, 3.0)
    assert x.derivative == 3.0


def test_derivatives_may_be_any_values_that_add():
    class Vector(tuple):
        def __add__(self, other):
            return Vector(a + b for a, b in zip(self, other, strict=True))

        def __mul__(self, factor):
            return Vector(a * factor for a in self)

    x, _, _, top = diamond()
    backpropagate(top, Vector((1.0, -2.0)))
    assert x.derivative == (31.0, -62.0)


def test_long_histories():
    x = top = Knot()
    for _ in range(20_000):
        top = Knot((top, 1.0))
    backpropagate(top, 4.0)
    assert x.derivative == 4.0
    assert len(list(topological_sort(top))) == 20_001


def test_scalars_and_their_order():
    x, y = Scalar(2.0), Scalar(3.0)
    product = x * y
    total = product + x.exp()
    order = topological_sort(total)
    assert len(order) == 5  # x, y, the product, the exponential and the sum
    assert order[0] is total
    assert is_ordered(order)
    assert all(v is not total.history.ctx for v in order)


# --- what a context keeps ------------------------------------------------------------------------


def test_a_context_keeps_values():
    context = Context()
    assert context.saved_values == context.saved_tensors == ()
    context.save_for_backward(1.0, "two")
    assert context.saved_values == context.saved_tensors == (1.0, "two")
    context.save_for_backward(3.0)
    assert context.saved_values == (3.0,)


@pytest.mark.parametrize("no_grad", [False, True])
def test_a_context_without_gradients_keeps_nothing(no_grad):
    context = Context(no_grad=no_grad)
    context.save_for_backward(1.0)
    assert context.no_grad is no_grad
    assert context.saved_values == (() if no_grad else (1.0,))

"""The chain rule on nodes that are no tensors: gradients need only `+`."""

from tessella.autodiff import Leaf, Node, backward, gradients


def graph():
    """a -> pair (two outputs) -> last = 2 x first + 3 x second + 5 x a."""
    got = []
    a = Leaf(got.append)
    pair = Node("pair", ((a, 0),), lambda ct: (ct[0] + 10.0 * ct[1] if ct[0] else 10.0 * ct[1],))
    inputs = ((pair, 1), (pair, 0), (pair, 1), (a, 0), None)
    last = Node("last", inputs, lambda ct: tuple(k * ct[0] for k in (3.0, 2.0, 4.0, 5.0, 0.0)))
    return a, pair, last, got


def test_gradients_of_several_outputs_are_added_up_whatever_their_order():
    _, _, last, got = graph()
    backward([((last, 0), 1.0)])
    assert got == [2.0 + 10.0 * (3.0 + 4.0) + 5.0]


def test_a_first_output_without_gradient_is_none():
    seen = []
    end = Node("end", (), lambda ct: seen.append(list(ct)) or ())
    top = Node("top", ((end, 2), (end, 1)), lambda ct: (ct[0], 2.0))
    backward([((top, 0), 1.0)])
    assert seen == [[None, 2.0, 1.0]]


def test_gradients_stop_at_an_end_and_go_through_other_targets():
    a, pair, last, got = graph()
    beside = Node("beside", (), lambda ct: seen.append(ct) or ())
    seen = []
    last.parents = (*last.parents[:-1], (beside, 0))
    found = gradients([((last, 0), 1.0)], [(pair, 1), (a, 0), (pair, 0), (pair, 2), (beside, 1)])
    assert found == [7.0, 77.0, 2.0, None, None]
    assert got == []  # the leaf keeps what it has
    assert seen == [[0.0]]


def test_nothing_is_pulled_where_no_target_is_reached():
    a, _, last, _ = graph()
    seen = []
    beside = Node("beside", (), lambda ct: seen.append(ct) or ())
    last.parents = (*last.parents[:-1], (beside, 0))
    assert gradients([((last, 0), 1.0)], [(a, 0)]) == [77.0]
    assert seen == []


def test_hooks_change_what_is_pulled_and_what_is_found():
    a, pair, last, _ = graph()
    pair.add_hook(1, lambda ct: -ct)
    pair.add_hook(3, lambda ct: 1 / 0)  # an output that nothing arrives at
    assert gradients([((last, 0), 1.0)], [(pair, 1), (a, 0)]) == [-7.0, 2.0 - 70.0 + 5.0]

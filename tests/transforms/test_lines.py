"""User lines: every node names the line it comes from, in the backward pass that of the forward."""

import os

import tessella as ts


def lines(function, *arguments):
    """The lines of a traced graph: primitive, line within the function, whether it is backward."""
    compiled = ts.jit(function)
    compiled(*arguments)
    (found,) = next(iter(compiled.specialisations.values()))
    first = function.__code__.co_firstlineno
    return [
        (node.primitive.name, node.where.line - first, node.where.backward)
        for node in found.program.traced.nodes
        if node.where is not None
    ]


def test_nodes_of_the_backward_pass_belong_to_forward_lines():
    def f(x):
        x = x.detach().requires_grad_()
        y = ts.exp(x)
        z = ts.sin(y)
        (z * z).sum().backward()
        return x.grad

    found = lines(f, ts.ones(3))
    backward = {(name, line) for name, line, is_backward in found if is_backward}
    assert ("exp_partial_0", 2) in backward
    assert ("sin_partial_0", 3) in backward
    assert not any(line == 0 for _, line, _ in found)
    assert [(name, line) for name, line, is_backward in found if not is_backward][:3] == [
        ("exp", 2), ("sin", 3), ("multiply", 4),
    ]  # fmt: skip
    # the gradients of z that two operands give are added: that belongs to the line of z
    assert ("add", 3, True) in found


def test_second_derivatives_belong_to_the_forward_line_too():
    def f(x):
        x = x.detach().requires_grad_()
        y = ts.exp(ts.sin(x)).sum()
        (slope,) = ts.gradients([y], [x], create_graph=True)
        (curve,) = ts.gradients([slope.sum()], [x])
        return curve

    found = [entry for entry in lines(f, ts.ones(3)) if "partial" in entry[0]]
    assert {line for _, line, _ in found} == {2}


def test_gradients_from_outside():
    @ts.jit
    def f(x):
        return ts.log(ts.exp(x)).sum()

    f(ts.ones(3).requires_grad_()).backward()
    (found,) = next(iter(f.specialisations.values()))
    wheres = [node.where for node in found.backward.nodes if "partial" in node.primitive.name]
    assert wheres
    assert all(where.backward and where.function == "f" for where in wheres)
    assert os.path.basename(wheres[0].file) == "test_lines.py"
    assert str(wheres[0]).endswith("in f (backward)")


def test_eager_nodes_keep_nothing_for_it():
    x = ts.ones(3).requires_grad_()
    assert type(ts.exp(x)._node).__slots__ == ("outputs", "primitive", "saved")


def test_a_hook_has_its_own_line():
    def f(x):
        x = x.detach().requires_grad_()
        y = x * 2.0
        y.register_hook(lambda gradient: gradient * 10.0)
        y.sum().backward()
        return x.grad

    found = lines(f, ts.ones(3))
    assert ("multiply", 3, False) in found

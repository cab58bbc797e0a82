"""What inputs of graphs are called that the function read around itself."""

import types

import pytest

import tessella as ts
from tessella import nn, optim

x = ts.ones((5, 4))
table = ts.ones(2)


def network():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


LAYERS = ["0.weight", "0.bias", "2.weight", "2.bias"]


def hints(graph):
    return [value.hint for value in graph.inputs]


def compiled_hints(function, *arguments):
    function = ts.jit(function)
    function(*arguments)
    return hints(function.graph())


def test_parameters_have_their_names_in_the_tree():
    net = network()
    assert compiled_hints(lambda x: net(x), x) == ["argument", *LAYERS]


def test_pictures_and_text_show_them():
    net = network()
    graph = ts.jit(lambda x: net(x)).graph(x)
    for text in (str(graph), graph.to_svg(), graph.to_dot(), graph.to_mermaid()):
        for name in LAYERS:
            assert name in text
        assert "captured" not in text


def test_of_several_modules_it_is_told_which():
    first, box = nn.Linear(4, 4), types.SimpleNamespace(second=nn.Linear(4, 4))
    expected = ["argument", "first.weight", "first.bias", "box.second.weight", "box.second.bias"]
    assert compiled_hints(lambda x: box.second(first(x)), x) == expected


def test_the_method_of_a_module_itself():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = nn.Linear(4, 2), nn.Parameter(ts.ones(2))

        @ts.jit
        def forward(self, x):
            return self.layer(x) * self.scale

    net = Net()
    net(x)
    assert hints(net.forward.graph()) == ["argument", "layer.weight", "layer.bias", "scale"]


def test_variables_and_items():
    weight, settings = ts.ones(2), {"bias": ts.ones(2)}
    found = compiled_hints(lambda y: y * weight + settings["bias"] + table, ts.ones(2))
    assert found == ["argument", "weight", "settings['bias']", "table"]


def test_a_whole_training_step():
    net = nn.Linear(4, 2)
    optimiser = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    @ts.jit
    def step(x):
        loss = net(x).sum()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)
        return loss

    for _ in range(3):
        step(x)
    found = hints(step.graph())
    state = next(iter(optimiser.state[net.weight]))
    for name in ("weight", "bias", "weight.grad", f"weight.{state}", f"bias.{state}"):
        assert name in found


def test_symbolic_sizes_keep_them():
    net = network()
    function = ts.jit(lambda x: net(x), dynamic=True)
    function(x)
    assert set(LAYERS) <= set(hints(function.graph()))


@pytest.mark.parametrize("transform", [lambda f: f, ts.vmap, lambda f: ts.vmap(ts.vmap(f))])
def test_recorded_graphs(transform):
    net, weight = network(), ts.ones(2)
    xs = ts.ones((1, 1, 5, 4))
    found = hints(ts.make_graph(transform(lambda x: net(x) * weight))(xs))
    assert set(found[1:]) == {*LAYERS, "weight"}
    assert set(hints(ts.make_graph(transform(net))(xs))[1:]) == set(LAYERS)

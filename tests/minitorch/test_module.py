"""Modules and parameters: the tree, its names, its modes, and the boxes."""

import pytest

from tessella import minitorch
from tessella.minitorch import Module, Parameter, Scalar


class Leaf(Module):
    def __init__(self, value):
        super().__init__()
        self.weight = Parameter(value)
        self.size = 3  # neither a parameter nor a module

    def forward(self, x, factor=1.0):
        return self.weight.value * x * factor


class Tree(Module):
    def __init__(self):
        super().__init__()
        self.left = Leaf(2.0)
        self.bias = Parameter(10.0)
        self.right = Leaf(3.0)
        self.right.inner = Leaf(4.0)

    def forward(self, x):
        return self.left(x) + self.right(x, factor=2.0) + self.bias.value


def test_parameters_have_dotted_names():
    found = Tree().named_parameters()
    assert isinstance(found, list)
    assert {name: parameter.value for name, parameter in found} == {
        "bias": 10.0, "left.weight": 2.0, "right.weight": 3.0, "right.inner.weight": 4.0,
    }  # fmt: skip


def test_parameters_come_in_the_order_of_their_names():
    tree = Tree()
    found = tree.parameters()
    assert isinstance(found, list)
    pairs = tree.named_parameters()
    assert all(p is q for p, (_, q) in zip(found, pairs, strict=True))
    assert all(isinstance(p, Parameter) for p in found)


def test_a_shared_parameter_comes_once():
    tree = Tree()
    tree.right.weight = tree.left.weight
    assert [p.value for p in tree.parameters()] == [10.0, 2.0, 4.0]


def test_modules_are_the_children_alone():
    tree = Tree()
    assert tree.modules() == [tree.left, tree.right]
    assert tree.right.modules() == [tree.right.inner]
    assert tree.left.modules() == []


def test_the_tables_hold_what_was_assigned():
    tree = Tree()
    assert list(tree._modules) == ["left", "right"]
    assert tree._modules["left"] is tree.left
    assert list(tree._parameters) == ["bias"]
    assert tree._parameters["bias"] is tree.bias
    assert "size" not in {**tree.left._parameters, **tree.left._modules}


def test_a_parameter_that_is_replaced():
    tree = Tree()
    tree.bias = Parameter(20.0)
    assert tree.bias.value == tree._parameters["bias"].value == 20.0
    assert len(tree.parameters()) == 4


def test_add_parameter():
    module = Module()
    made = module.add_parameter("scale", 5.0)
    assert isinstance(made, Parameter)
    assert (made.value, made.name) == (5.0, "scale")
    assert module.scale is made is module._parameters["scale"]
    assert module.named_parameters() == [("scale", made)]


def test_modes_reach_all_modules():
    tree = Tree()
    everyone = [tree, tree.left, tree.right, tree.right.inner]
    assert all(module.training for module in everyone)
    tree.eval()
    assert not any(module.training for module in everyone)
    tree.right.train()
    assert [module.training for module in everyone] == [False, False, True, True]


def test_a_call_is_forward():
    assert Tree()(1.0) == 2.0 + 2 * 3.0 + 10.0
    assert Leaf(2.0)(3.0, factor=0.5) == 3.0


def test_a_module_shows_its_tree():
    assert repr(Leaf(1.0)) == "Leaf()"
    assert repr(Tree()).splitlines() == [
        "Tree(",
        "  (left): Leaf()",
        "  (right): Leaf(",
        "    (inner): Leaf()",
        "  )",
        ")",
    ]


def test_errors():
    with pytest.raises(AttributeError, match="Leaf has no attribute 'wieght'"):
        Leaf(1.0).wieght
    with pytest.raises(NotImplementedError, match=r"Module has no forward; define forward\(self"):
        Module()(1.0)


def test_a_parameter_is_a_box():
    parameter = Parameter(1.5, name="w")
    assert (parameter.value, parameter.name) == (1.5, "w")
    assert str(parameter) == repr(parameter) == "1.5"
    parameter.update(2.5)
    assert parameter.value == 2.5
    assert Parameter("anything").name is None


@pytest.mark.parametrize(
    "make", [lambda: Scalar(1.0, back=None), lambda: minitorch.tensor([1.0, 2.0])]
)
def test_what_a_parameter_holds_keeps_derivatives(make):
    value = make()
    assert value.is_constant()
    parameter = Parameter(value, name="weight")
    assert value.is_leaf()
    assert value.name == "weight"
    computed = parameter.value * 2.0
    parameter.update(computed)
    assert parameter.value is computed
    assert computed.is_leaf()
    assert computed.name == "weight"


def test_a_parameter_without_a_name_leaves_that_of_its_value():
    named, plain = Scalar(1.0, name="mine"), Scalar(1.0)
    assert Parameter(named).value.name == "mine"
    assert Parameter(plain).value.name == str(plain.unique_id)

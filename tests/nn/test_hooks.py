"""What is called when a module is called, when gradients come back through it, and around checkpoints."""

import copy
from functools import partial

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import hooks


def double(nn):
    class Double(nn.Module):
        def forward(self, x, scale=2.0):
            return x * scale

    return Double()


def forward_hooks(nn, x):
    """What hooks of every kind see and change, in order."""
    seen, module = [], double(nn)
    module.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    module.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True)
    module.register_forward_pre_hook(
        lambda m, args, options: (args, {"scale": options["scale"] * 10}), with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, y: seen.append(y.tolist()))
    module.register_forward_hook(lambda m, args, y: y + 1)
    module.register_forward_hook(
        lambda m, args, options, y: seen.append(options["scale"]), with_kwargs=True, prepend=True
    )
    handle = module.register_forward_hook(lambda m, args, y: seen.append("never"))
    handle.remove()
    return module(x, scale=3.0).tolist(), seen


@pytest.mark.peers
def test_forward_hooks():
    torch = pytest.importorskip("torch")
    assert forward_hooks(nn, ts.ones(2)) == forward_hooks(torch.nn, torch.ones(2))


def failing(nn, x):
    seen = []

    class Fails(nn.Module):
        def forward(self, x):
            raise KeyError("no")

    module = Fails()
    module.register_forward_hook(lambda m, args, y: seen.append("plain"))
    module.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    with pytest.raises(KeyError):
        module(x)
    return seen


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_hooks_that_are_always_called():
    torch = pytest.importorskip("torch")
    assert failing(nn, ts.ones(1)) == failing(torch.nn, torch.ones(1)) == [None]


def backward_hooks(nn, x):
    """Gradients as backward hooks see and change them."""

    class Pair(nn.Module):
        def forward(self, x, index, y):
            return x * y, x + y

    seen, module = [], Pair()
    shown = lambda grads: [None if g is None else g.tolist() for g in grads]  # noqa: E731
    module.register_full_backward_pre_hook(lambda m, got: seen.append(("pre", shown(got))))
    module.register_full_backward_pre_hook(lambda m, got: tuple(g * 2 for g in got))
    module.register_full_backward_hook(
        lambda m, given, got: seen.append((shown(given), shown(got)))
    )
    module.register_full_backward_hook(lambda m, given, got: (given[0] * 10, None, given[2]))
    y = x.detach() + 1
    y.requires_grad_()
    a, b = module(x, 3, y)
    (a.sum() + (b * 3).sum()).backward()
    return seen, x.grad.tolist(), y.grad.tolist()


@pytest.mark.peers
def test_backward_hooks():
    torch = pytest.importorskip("torch")
    own = backward_hooks(nn, ts.ones(2).requires_grad_())
    assert own == backward_hooks(torch.nn, torch.ones(2).requires_grad_())


def of_parameters_alone(nn, x):
    seen, module = [], nn.Linear(2, 1)
    module.register_full_backward_hook(lambda m, given, got: seen.append((given, got[0].tolist())))
    module(x).sum().backward()
    return seen


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_backward_hooks_where_the_input_has_no_gradient():
    torch = pytest.importorskip("torch")
    assert of_parameters_alone(nn, ts.ones((1, 2))) == of_parameters_alone(
        torch.nn, torch.ones(1, 2)
    )


def test_backward_hooks_in_transformed_functions():
    layer = double(nn)
    seen = []
    layer.register_full_backward_hook(lambda m, given, got: (seen.append(1), (given[0] * 10,))[1])
    loss = lambda x: layer(x).sum()  # noqa: E731
    x = ts.ones(3)
    for f in (ts.grad(loss), ts.jit(ts.grad(loss)), ts.vmap(ts.grad(loss)), ts.grad(lambda x: ts.vmap(layer)(x).sum())):  # fmt: skip
        np.testing.assert_array_equal(f(x).numpy(), [20, 20, 20])
    assert len(seen) >= 4
    compiled = ts.jit(lambda x: ts.grad(loss)(x))
    compiled(x)
    layer.register_full_backward_pre_hook(lambda m, got: (got[0] * 2,))
    np.testing.assert_array_equal(compiled(x).numpy(), [40, 40, 40])  # it is traced anew


def test_hooks_go_with_a_copy():
    module = double(nn)
    module.register_forward_hook(lambda m, args, y: y + 1)
    assert copy.deepcopy(module)(ts.ones(1)).item() == 3.0


def around_checkpoints(nn, zeros):
    """Hooks of `state_dict` and `load_state_dict`: what they see, and what becomes of it."""
    seen = []
    net = nn.Sequential(nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 1)))
    note = lambda kind, m, *rest: seen.append((kind, type(m).__name__, *rest))  # noqa: E731
    for module in (net, net[1]):
        module.register_state_dict_pre_hook(partial(note, "pre"))

        def after(m, state, prefix, metadata):
            seen.append(("post", prefix, list(state)))
            state[prefix + "note"] = zeros(1)

        module.register_state_dict_post_hook(after)

        def renamed(m, state, prefix, metadata, strict, missing, unexpected, messages):
            seen.append(("load", prefix, strict))
            state.pop(prefix + "note", None)
            for key in [key for key in state if key.startswith("old.")]:
                state[key.removeprefix("old.")] = state.pop(key)

        module.register_load_state_dict_pre_hook(renamed)
        module.register_load_state_dict_post_hook(
            lambda m, keys: (seen.append(("loaded", list(keys.missing_keys))), keys.missing_keys.clear())[0]
        )  # fmt: skip
    state = net.state_dict()
    names = list(state)
    state = {"old." + key if key.startswith("0.") else key: value for key, value in state.items()}
    del state["1.0.bias"]
    result = net.load_state_dict(state)
    return names, seen[:8], tuple(map(list, result))


@pytest.mark.peers
def test_hooks_around_checkpoints():
    torch = pytest.importorskip("torch")
    own, peer = around_checkpoints(nn, ts.zeros), around_checkpoints(torch.nn, torch.zeros)
    assert own == peer


def test_a_checkpoint_that_hooks_do_not_save_is_taken_back():
    net = nn.Linear(2, 1)
    net.register_load_state_dict_post_hook(lambda m, keys: None)
    before = net.weight.detach().numpy().copy()
    with pytest.raises(errors.StateDictError, match="missing: bias"):
        net.load_state_dict({"weight": ts.zeros((1, 2))})
    np.testing.assert_array_equal(net.weight.detach().numpy(), before)


@pytest.mark.parametrize(
    ("register", "told"),
    [
        ("register_full_backward_hook", r"called as hook\(module, grad_input, grad_output\)"),
        ("register_full_backward_pre_hook", r"called as hook\(module, grad_output\)"),
    ],
)
def test_hooks_of_other_arguments(register, told):
    layer = double(nn)
    getattr(layer, register)(lambda: None)
    with pytest.raises(errors.ArgumentTypeError, match=told):
        layer(ts.ones(1).requires_grad_()).sum().backward()


# --- hooks of every module --------------------------------------------------------------------------------


def test_hooks_of_every_module_come_first():
    heard = []
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    network[1].register_forward_hook(lambda *_: heard.append("own"))
    named = lambda module: type(module).__name__  # noqa: E731
    handles = [
        hooks.register_module_forward_pre_hook(lambda module, _: heard.append(f"to {named(module)}")),
        hooks.register_module_forward_hook(lambda module, *_: heard.append(f"from {named(module)}")),
        hooks.register_module_full_backward_pre_hook(lambda module, *_: heard.append(f"back to {named(module)}")),
        hooks.register_module_full_backward_hook(lambda module, *_: heard.append(f"back from {named(module)}")),
    ]  # fmt: skip
    try:
        network(ts.ones((1, 2)).requires_grad_()).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    assert heard == [
        "to Sequential", "to Linear", "from Linear", "to ReLU", "from ReLU", "own", "from Sequential",
        "back to Sequential", "back to ReLU", "back from ReLU", "back to Linear", "back from Linear", "back from Sequential",
    ]  # fmt: skip
    heard.clear()
    network(ts.ones((1, 2)))
    assert heard == ["own"]


def test_compiled_functions_see_hooks_of_every_module_come_and_go():
    network = ts.jit(nn.Sequential(nn.ReLU()))
    x = ts.ones(2)
    assert network(x).tolist() == [1.0, 1.0]
    handle = hooks.register_module_forward_hook(lambda module, inputs, output: output * 2.0)
    try:
        assert network(x).tolist() == [4.0, 4.0]
    finally:
        handle.remove()
    assert network(x).tolist() == [1.0, 1.0]

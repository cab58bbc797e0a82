"""Modules and optimisers that are put together or asked in odd ways."""

import copy
import functools
import pickle

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim

X = ts.asarray([[1.0, 2.0], [3.0, 4.0]])


class Unprepared(nn.Module):
    def __init__(self):
        self.rate = 3


class Broken(nn.Module):
    @property
    def scale(self):
        return self.factor

    @functools.cached_property
    def once(self):
        return 7


def leaf():
    return ts.asarray([1.0, 2.0]).requires_grad_()


def in_itself():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].up = module


def stepped(change):
    parameter = leaf()
    optimiser = optim.SGD([parameter], lr=0.1, momentum=0.5)
    parameter.grad = ts.ones(2)
    change(optimiser.param_groups[0])
    optimiser.step()
    return parameter


def hooked(register, hook):
    module = nn.Linear(2, 2)
    getattr(module, register)(hook)
    return module(X)


def pulled(hook):
    x = leaf()
    x.register_hook(hook)
    x.sum().backward()


def loading(**state):
    return lambda: nn.Linear(2, 2).load_state_dict({"weight": X, "bias": X[0]} | state)


WRONG = [
    (lambda: nn.Linear(2, 2).wieght, errors.UnknownNameError, "Linear has no attribute 'wieght'; did you mean `weight`?"),
    (lambda: delattr(nn.Linear(2, 2), "foo"), errors.UnknownNameError, "Linear has no attribute 'foo'"),
    (lambda: Broken().scale, errors.UnknownNameError, "Broken has no attribute 'factor'"),
    (lambda: repr(Unprepared()), errors.UnknownNameError, "Unprepared has no _modules yet; call super().__init__() first"),
    (lambda: Unprepared().state_dict(), errors.UnknownNameError, "call super().__init__() first in its __init__"),
    (in_itself, errors.ArgumentError, "'up' would be a part of Linear that holds this Linear itself, and modules are a tree"),
    (lambda: (m := nn.Linear(2, 2)).add_module("a", m), errors.ArgumentError, "add_module: 'a' would be a part of Linear"),
    (loading(weight="a"), errors.StateDictError, "weight: asarray: 'a' cannot become a tensor"),
    (loading(weight=np.ones((2, 2), complex)), errors.StateDictError, "weight: cast_float32: takes real numbers"),
    (lambda: nn.Conv2d(3, 4, 3, padding="foo"), errors.ArgumentError, "Conv2d: padding 'foo'; expected numbers, 'same' or"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), errors.ArgumentError, "Conv2d: padding 'same' needs stride 1"),
    (lambda: optim.SGD([leaf()] * 2, 0.1), errors.ArgumentError, "params: a parameter is there twice"),
    (lambda: optim.SGD({leaf()}, 0.1), errors.ArgumentTypeError, "params: a set was given, whose order"),
    (lambda: optim.SGD([{"params": {leaf()}}], 0.1), errors.ArgumentTypeError, "params: a set was given"),
    (lambda: optim.SGD([leaf()]).zerograd, errors.UnknownNameError, "SGD has no attribute 'zerograd'; did you mean `zero_grad`?"),
    (lambda: hooked("register_forward_hook", lambda x: x), errors.ArgumentTypeError, "the hook is called as hook(module, inputs, output); "),
    (lambda: hooked("register_forward_pre_hook", lambda x: x), errors.ArgumentTypeError, "the hook is called as hook(module, inputs); "),
    (lambda: nn.Linear(2, 2).apply(lambda: 3), errors.ArgumentTypeError, "apply: the function is called as function(module); "),
    (lambda: pulled(lambda: 3), errors.ArgumentTypeError, "register_hook: the hook is called as hook(gradient); "),
    (lambda: stepped(lambda group: group.update(lr="a")), errors.ArgumentTypeError, "lr is 'a' among the options; expected a number"),
    (lambda: stepped(lambda group: group.update(lr=True)), errors.ArgumentTypeError, "lr is True among the options"),
    (lambda: stepped(lambda group: group.pop("lr")), errors.ArgumentError, "lr is not among the options any more"),
    (lambda: stepped(lambda group: group.pop("momentum")), errors.ArgumentError, "momentum is not among the options any more"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_said(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    assert text in str(caught.value)
    assert isinstance(caught.value, ts.TessellaError)


def test_what_does_not_fit_changes_nothing():
    module = nn.Linear(2, 2)
    before = module.weight.tolist()
    with pytest.raises(errors.StateDictError):
        module.load_state_dict({"weight": X, "bias": "text"})
    assert module.weight.tolist() == before


def test_what_leads_back_may_be_in_a_tuple():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].up = (module,)
    module[0].twice = nn.ReLU()
    assert list(module.state_dict()) == ["0.weight", "0.bias"]
    assert module(X).shape == (2, 2)


def test_names_that_may_not_be_there():
    optimiser = optim.SGD([leaf()], lr=0.1)
    for thing in (nn.Linear(2, 2), optimiser, Unprepared()):
        assert not hasattr(thing, "foo")
        assert getattr(thing, "foo", 3) == 3
        assert len(dir(thing)) > 10
        for again in (copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert type(again) is type(thing)
    assert Broken().once == 7


def test_rates_may_be_tensors_and_numbers_of_numpy():
    for rate in (0.5, np.float64(0.5), ts.asarray(0.5), 1):
        assert stepped(lambda group, rate=rate: group.update(lr=rate)).tolist() == [
            1.0 - float(rate),
            2.0 - float(rate),
        ]

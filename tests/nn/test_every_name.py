"""Every public class and function of PyTorch's for networks is here, or says what to write instead."""

import importlib
import inspect

import pytest

import tessella as ts
from tessella.errors import UnknownNameError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

NAMESPACES = {
    "torch.nn": "nn", "torch.nn.functional": "nn.functional", "torch.nn.init": "nn.init", "torch.nn.utils": "nn.utils",
    "torch.nn.utils.rnn": "nn.utils.rnn", "torch.nn.utils.parametrize": "nn.utils.parametrize",
    "torch.nn.utils.parametrizations": "nn.utils.parametrizations", "torch.optim": "optim",
    "torch.optim.lr_scheduler": "optim.lr_scheduler", "torch.optim.swa_utils": "optim.swa_utils",
}  # fmt: skip
INTERNAL = {"PackedSequence_", "bind"}  # what PyTorch's modules have for themselves


def public_names(module):
    """Classes and functions that a module has itself, or takes from below `torch.nn` and `torch.optim`."""
    for name in dir(module):
        member = getattr(module, name)
        home = getattr(member, "__module__", "") or ""
        made = inspect.isclass(member) or inspect.isroutine(member)
        if name in INTERNAL or (name == "Optimizer" and module is not torch.optim):
            continue
        if (
            made
            and not name.startswith("_")
            and home.startswith(("torch.nn", "torch.optim", "torch._C._nn"))
        ):
            yield name


def found(path):
    member = ts
    for name in path.split("."):
        member = getattr(member, name)
    return member


@pytest.mark.parametrize("theirs", NAMESPACES)
def test_names_are_here_or_say_what_to_write(theirs):
    own, bare, late = found(NAMESPACES[theirs]), [], set()
    for name in public_names(importlib.import_module(theirs)):
        try:
            getattr(own, name)
        except UnknownNameError as error:
            if "not here yet" in str(error):
                late.add(name)
            elif f"PyTorch's `{name}`" not in str(error):
                bare.append(name)
        except AttributeError:
            late.add(name)
    assert not bare
    assert not late

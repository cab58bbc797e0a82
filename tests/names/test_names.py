"""Names that are not here: what is said about them, and what does not pay for it."""

import copy
import importlib
import pickle
import re

import pytest

import tessella as ts
from tessella import errors, minitorch
from tessella.names import foreign_names, keyword_cure
from tessella.names.table import ROWS

X = ts.ones((2, 3))
MODEL = ts.nn.Sequential(ts.nn.Linear(3, 2))
WHERE = {
    "ts": ts, "Tensor": X, "nn": ts.nn, "F": ts.nn.functional, "optim": ts.optim, "random": ts.random,
    "init": ts.nn.init, "utils": ts.nn.utils, "io": ts.io, "data": ts.data, "train": ts.train, "debug": ts.debug, "scalar": ts.scalar, "minitorch": minitorch,
    "Module": MODEL, "Optimizer": ts.optim.SGD(MODEL.parameters(), lr=0.1),
}  # fmt: skip
FOREIGN = list(foreign_names())
CURES = sorted({row.split("|", 3)[3].strip() for row in ROWS.strip().splitlines() if row})


def ask(namespace, name):
    return getattr(WHERE[namespace], name)


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda row: f"{row.namespace}.{row.name}")
def test_foreign_names_say_what_they_are_here(foreign):
    with pytest.raises(errors.UnknownNameError) as caught:
        ask(foreign.namespace, foreign.name)
    text = str(caught.value)
    assert f"'s `{foreign.name}` is " in text
    assert isinstance(caught.value, AttributeError)


@pytest.mark.parametrize(
    ("namespace", "name", "text"),
    [
        ("ts", "prelu", "there is `ts.nn.functional.prelu`"),
        ("ts", "exp_", "there is `x.exp_`"),
        ("ts", "group_norm", "there is `ts.nn.functional.group_norm`"),
        ("Tensor", "isposinf", "PyTorch's `isposinf` is `x == ts.inf`"),
        ("F", "cat", "there is `ts.cat`"),
    ],
)
def test_what_is_somewhere_else_is_said_to_be_there(namespace, name, text):
    with pytest.raises(errors.UnknownNameError) as caught:
        ask(namespace, name)
    assert text in str(caught.value)


WRITTEN = re.compile(r"\bts\.([A-Za-z_][\w.]*)")


@pytest.mark.parametrize("here", CURES)
def test_what_is_to_be_written_is_there(here):
    for path in WRITTEN.findall(here):
        found = ts
        for part in path.rstrip(".").split("."):
            found = getattr(found, part)


METHOD = re.compile(r"\b(x|model|module|optimiser)\.([A-Za-z_]+)")
OWNERS = {"x": "Tensor", "model": "Module", "module": "Module", "optimiser": "Optimizer"}


@pytest.mark.parametrize("here", [here for here in CURES if METHOD.search(here)])
def test_methods_that_are_to_be_written_are_there(here):
    for owner, name in METHOD.findall(here):
        assert name == "name" or hasattr(WHERE[OWNERS[owner]], name)


@pytest.mark.parametrize(
    ("namespace", "name", "said"),
    [
        ("ts", "vmapp", "module 'tessella' has no attribute 'vmapp'; did you mean `vmap` or `map`?"),
        ("ts", "concatt", "did you mean `concat`"),
        ("Tensor", "unsqeeze", "'Tensor' object has no attribute 'unsqeeze'; did you mean `unsqueeze`"),
        ("nn", "Lineer", "module 'tessella.nn' has no attribute 'Lineer'; did you mean `Linear`?"),
        ("F", "sofmax", "did you mean `softmax`"),
        ("optim", "AdanW", "did you mean `AdamW`"),
        ("random", "nromal", "did you mean `normal`"),
        ("ts", "compile", "PyTorch's `compile` is `ts.jit` here"),
        ("random", "PRNGKey", "JAX's `PRNGKey` is `ts.random.key(seed)` here"),
        ("init", "xavier_unifrom_", "did you mean `xavier_uniform_`"),
        ("io", "save_fil", "module 'tessella.io' has no attribute 'save_fil'; did you mean `save_file`?"),
        ("scalar", "derivativ", "module 'tessella.scalar' has no attribute 'derivativ'; did you mean `derivative`?"),
        ("minitorch", "TensorBackand", "did you mean `TensorBackend`"),
        ("debug", "chek_nan", "did you mean `check_nan`?"),
        ("ts", "cros_entropy", "did you mean `ts.nn.functional.cross_entropy`?"),
        ("Module", "named_bufers", "Sequential has no attribute 'named_bufers'; did you mean `named_buffers`"),
        ("Module", "cuda", "PyTorch's `cuda` is not here: there is no GPU yet"),
        ("Optimizer", "stepp", "SGD has no attribute 'stepp'; did you mean `step`?"),
        ("Optimizer", "lr", "its groups have it: optimiser.param_groups[0]['lr']"),
        ("Optimizer", "register_step_post_hook", "PyTorch's `register_step_post_hook` is not here; call"),
        ("ts", "svdvals", "PyTorch's `svdvals` is not here yet; NumPy takes tensors"),
        ("ts", "sparse_coo_tensor", "PyTorch's `sparse_coo_tensor` is not here: tensors are dense"),
        ("ts", "dot_general_p", "JAX's `dot_general_p` is a primitive of JAX's own"),
        ("ts", "StaticModule", "PyTorch has `torch.StaticModule`; Tessella has no counterpart yet"),
        ("F", "hard_tanh", "JAX's `hard_tanh` is `hardtanh` here"),
        ("ts", "left_shift", "NumPy's `left_shift` is `ts.bitwise_left_shift` here"),
        ("ts", "math", "`math` is a module of Python's own; write `import math`"),
        ("F", "Optional", "`Optional` is Python's own; write `from typing import Optional`"),
    ],
)  # fmt: skip
def test_near_names_are_told(namespace, name, said):
    with pytest.raises(errors.UnknownNameError) as caught:
        ask(namespace, name)
    assert said in str(caught.value)


def test_a_kind_of_names_holds_only_what_the_library_has():
    with pytest.raises(AttributeError) as caught:
        ts.sparse_qqqqqqqq
    assert str(caught.value) == "module 'tessella' has no attribute 'sparse_qqqqqqqq'"


def test_modules_tell_the_names_of_their_own_parts():
    class Block(ts.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = ts.nn.Linear(2, 2)
            self.register_buffer("angles", ts.zeros(2))
            self.width = 3

    block = Block()
    for asked, meant in (("atention", "attention"), ("angels", "angles"), ("widht", "width")):
        with pytest.raises(errors.UnknownNameError, match=f"did you mean `{meant}`"):
            getattr(block, asked)
    with pytest.raises(
        errors.UnknownNameError, match="Linear has no attribute 'wieght'; did you mean `weight`"
    ):
        block.attention.wieght
    copied = pickle.loads(pickle.dumps(MODEL))
    assert repr(copied) == repr(copy.deepcopy(MODEL)) == repr(MODEL)


def test_a_name_that_is_like_nothing():
    with pytest.raises(AttributeError) as caught:
        ts.qqqqqq
    assert str(caught.value) == "module 'tessella' has no attribute 'qqqqqq'"


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_those_who_only_ask_are_answered(where):
    assert not hasattr(where, "vmapp")
    assert getattr(where, "vmapp", 3) == 3
    assert not hasattr(where, "__vmapp__")


def test_nothing_is_worked_out_for_those_who_only_ask(monkeypatch):
    def explain(*_):
        raise AssertionError

    monkeypatch.setattr("tessella.names.explain", explain)
    for where in WHERE.values():
        assert not hasattr(where, "vmapp")


def test_the_error_can_be_pickled_and_is_read_later():
    with pytest.raises(errors.UnknownNameError) as caught:
        ts.vmapp
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_python_s_own_protocols_still_find_nothing():
    assert copy.copy(X).tolist() == copy.deepcopy(X).tolist() == X.tolist()
    assert pickle.loads(pickle.dumps(X)).tolist() == X.tolist()
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute '__fspath__'"):
        X.__fspath__


def test_dir_lists_every_public_name_also_those_that_come_late():
    listed = dir(ts)
    assert set(ts.__all__) <= set(listed)
    assert {"nn", "optim", "vmap", "cat", "scan", "float32", "long"} <= set(listed)
    for name in ts.__all__:
        assert getattr(ts, name) is not None or name == "newaxis"


def test_functions_that_come_late_are_where_the_table_says():
    for name in ("cat", "gather", "quantile", "mm", "lerp", "multinomial", "logspace"):
        found = getattr(ts, name)
        assert getattr(importlib.import_module(found.__module__), name) is found


@pytest.mark.parametrize("name", [n for n in dir(ts.Tensor) if not n.startswith("_")])
def test_every_method_is_found_and_says_what_it_does(name):
    found = getattr(ts.Tensor, name)
    assert found.__doc__


ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "bitwise_not": "bitwise_invert", "conjugate": "conj",
    "cumprod": "cumulative_prod", "cumsum": "cumulative_sum", "divide": "div", "eq": "equal", "fix": "trunc",
    "ge": "greater_equal", "ger": "outer", "gt": "greater", "le": "less_equal", "lt": "less", "movedim": "moveaxis",
    "mul": "multiply", "ndimension": "dim", "ne": "not_equal", "neg": "negative", "nelement": "numel",
    "repeat_interleave": "repeat", "reshape": "reshaped", "reshape_as": "view_as", "sub": "subtract",
    "swapdims": "swapaxes", "true_divide": "divide", "vdot": "vecdot",
}  # fmt: skip


def test_every_method_is_the_function_of_its_name():
    methods = [name for name in dir(ts.Tensor) if not name.startswith("_")]
    found = {name: getattr(getattr(ts.Tensor, name), "__name__", name) for name in methods}
    assert {name: function for name, function in found.items() if name != function} == ALIASES


def test_cures_for_keywords():
    assert keyword_cure("std", "unbiased").startswith("write correction=1")
    assert keyword_cure("add", "alpha") == "write x + alpha * y"
    assert keyword_cure("add", "nonsense") is None
    with pytest.raises(errors.ArgumentTypeError, match="add: no argument `alpha`: write x"):
        ts.add(X, X, alpha=2)

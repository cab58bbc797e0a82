"""Names that are not here: what is said about them, and what does not pay for it."""

import copy
import importlib
import pickle
import re

import pytest

import tessella as ts
from tessella import errors
from tessella.names import foreign_names, keyword_cure

WHERE = {
    "ts": ts, "Tensor": ts.Tensor, "nn": ts.nn, "F": ts.nn.functional, "optim": ts.optim,
    "random": ts.random,
}  # fmt: skip
FOREIGN = list(foreign_names())
X = ts.ones((2, 3))


def ask(namespace, name):
    return getattr(X if namespace == "Tensor" else WHERE[namespace], name)


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
        ("ts", "group_norm", "PyTorch's `group_norm` is not here yet"),
        ("Tensor", "isposinf", "PyTorch's `isposinf` is `x == ts.inf`"),
        ("F", "cat", "there is `ts.cat`"),
    ],
)
def test_what_is_somewhere_else_is_said_to_be_there(namespace, name, text):
    with pytest.raises(errors.UnknownNameError) as caught:
        ask(namespace, name)
    assert text in str(caught.value)


WRITTEN = re.compile(r"\bts\.([A-Za-z_][\w.]*)")


@pytest.mark.parametrize("here", sorted({row.here for row in FOREIGN}))
def test_what_is_to_be_written_is_there(here):
    for path in WRITTEN.findall(here):
        found = ts
        for part in path.rstrip(".").split("."):
            found = getattr(found, part)


METHOD = re.compile(r"\bx\.([A-Za-z_]+)")


@pytest.mark.parametrize("here", sorted({row.here for row in FOREIGN if METHOD.search(row.here)}))
def test_methods_that_are_to_be_written_are_there(here):
    for name in METHOD.findall(here):
        assert hasattr(ts.Tensor, name)


@pytest.mark.parametrize(
    ("namespace", "name", "said"),
    [
        ("ts", "vmapp", "module 'tessella' has no attribute 'vmapp'; did you mean `vmap` or `map`?"),
        ("ts", "concatt", "did you mean `concat`"),
        ("Tensor", "unsqeeze", "'Tensor' object has no attribute 'unsqeeze'; did you mean `unsqueeze`"),
        ("nn", "Lineer", "module 'tessella.nn' has no attribute 'Lineer'; did you mean `Linear`?"),
        ("F", "sofmax", "did you mean `softmax`"),
        ("optim", "Adma", "did you mean `Adam`"),
        ("random", "nromal", "did you mean `normal`"),
        ("ts", "compile", "PyTorch's `compile` is `ts.jit` here"),
        ("random", "PRNGKey", "JAX's `PRNGKey` is `ts.random.key(seed)` here"),
    ],
)  # fmt: skip
def test_near_names_are_told(namespace, name, said):
    with pytest.raises(errors.UnknownNameError) as caught:
        ask(namespace, name)
    assert said in str(caught.value)


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
    assert not hasattr(X, "vmapp")
    assert not hasattr(ts, "vmapp")


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


def test_cures_for_keywords():
    assert keyword_cure("std", "unbiased").startswith("write correction=1")
    assert keyword_cure("add", "alpha") == "write x + alpha * y"
    assert keyword_cure("add", "nonsense") is None
    with pytest.raises(errors.ArgumentTypeError, match="add: no argument `alpha`: write x"):
        ts.add(X, X, alpha=2)

"""What a file keeps to itself is read in no other one."""

import ast

import pytest

from tests import privacy
from tests.privacy import OFFENCES, readings
from tests.strata import PACKAGE, ROOT


@pytest.fixture(scope="module")
def found():
    return privacy.all_readings(ROOT / PACKAGE)


@pytest.fixture(scope="module")
def allowed():
    return privacy.listed(OFFENCES.read_text(encoding="utf-8"))


def test_no_private_name_of_one_file_is_used_in_another(found, allowed):
    new = [reading for reading in found if (reading.file, reading.name) not in allowed]
    assert not new, "\n".join(map(str, new))


def test_the_list_has_no_offence_that_is_gone_and_is_written_as_it_would_be_again(found, allowed):
    now = frozenset((reading.file, reading.name) for reading in found)
    assert OFFENCES.read_text(encoding="utf-8") == privacy.written(allowed & now), (
        f"shorten {OFFENCES.name}: `python -m tests.privacy --shorten`"
    )


# --- the law itself -----------------------------------------------------------------------------------------


def names(text, file="nn/some.py"):
    return [reading.name for reading in readings(file, ast.parse(text))]


@pytest.mark.parametrize(
    "text",
    [
        "from tessella.nn.module import _name",
        "from .module import _name",
        "from tessella.nn import module\nmodule._name",
        "from tessella.nn import module\n_name = module._name",
        "from tessella import nn\nnn.module._name()",
        "import tessella.nn\ntessella.nn._name",
        "def f(x): return x._name",
        "def f(x): x._name = 1",
        "def f(x): del x.y[0]._name",
        "def f(x): return getattr(x, '_name', None)",
        "def f(x): setattr(x, '_name', 1)",
        "class A:\n    def f(self, x): return x._name + self._name",
        "class A:\n    def f(self, x): return self.x._name",
    ],
)
def test_what_another_file_keeps_to_itself_is_found(text):
    assert names(text) == ["_name"]


@pytest.mark.parametrize(
    "text",
    [
        "_name = 1\ndef f(x): return x._name",
        "class A:\n    def __init__(self): self._name = 1\ndef f(a): return a._name",
        "class A:\n    __slots__ = ('_name',)\ndef f(a): a._name = 1",
        "class A:\n    _name: int\ndef f(a): return getattr(a, '_name')",
        "class A:\n    def _name(self): ...\ndef f(a): return a._name()",
        "class A(B):\n    def f(self): return self._name + super()._name + type(self)._name",
        "import sys\nsys._name",
        "from ctypes import lib\nlib.of()._name",
        "def f(x): return x.__name__, x.name_, x._replace(y=1)",
        "from tessella.nn import module as _module",
    ],
)
def test_what_is_the_files_own_or_a_bases_or_pythons_is_none(text):
    assert names(text) == []


@pytest.mark.parametrize(
    ("file", "shared"),
    [("tensors/some.py", True), ("transforms/some.py", True), ("tracing/trace.py", True),
     ("nn/some.py", False), ("random/distributions.py", False), ("compiler/some.py", False)],
)  # fmt: skip
def test_the_slots_of_the_handle_are_shared_by_the_strata_that_work_on_them(file, shared):
    assert names("def f(x): return x._value", file) == ([] if shared else ["_value"])
    assert names("def f(x): return x._other", file) == ["_other"]


def test_the_cure_is_told():
    (reading,) = readings("nn/some.py", ast.parse("\ndef f(x): return x._name"))
    assert str(reading) == (
        "tessella/nn/some.py:2 uses '_name', which another file keeps to itself; make its name public there, give it "
        "a method there that does what is needed, or move this code to that file"
    )

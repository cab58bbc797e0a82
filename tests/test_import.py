"""What `import tessella` brings, and what comes later."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tessella as ts
from tessella import later


def modules_after(code):
    command = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_compiler_is_not_among_it():
    found = modules_after("import tessella")
    late = (
        "tessella.compiler.lowering",
        "tessella.compiler.pipeline",
        "tessella.nn",
        "llvmlite",
        "optree",
    )
    assert [name for name in found if name.startswith(late)] == []


def test_networks_and_optimisers_come_when_they_are_asked_for():
    found = modules_after(
        "import tessella as ts\nts.optim.SGD(ts.nn.Linear(2, 3).parameters(), lr=1)"
    )
    assert {"tessella.nn", "tessella.optim"} <= set(found)
    with pytest.raises(AttributeError, match="module 'tessella' has no attribute 'nothing'"):
        ts.nothing


def test_a_first_product_does_not_wait_for_rooms_of_numpy_that_are_slow_to_import():
    found = modules_after(
        "import tessella as ts\n"
        "ts.ones((40, 50)) @ ts.ones((50, 60))\n"
        "ts.jit(lambda x: (x @ x).sum())(ts.ones((40, 40)))"
    )
    assert [name for name in found if name in ("numpy.ma", "numpy.random", "numpy.testing")] == []


def test_nothing_comes_before_it_is_asked_for():
    found = modules_after("import tessella as ts\ndir(ts)")
    assert [name for name in found if name.startswith(("numpy", "tessella.tensors"))] == []
    assert "tessella.tensors.tensor" in modules_after("import tessella as ts\nts.Tensor")


def test_every_public_name_is_there_and_is_that_of_its_stub():
    places = later.homes(Path(ts.__file__).with_suffix(".pyi"))
    assert set(ts.__all__) <= {*places, "__version__", "e", "inf", "nan", "newaxis", "pi"}
    for name, (module, own) in places.items():
        found = getattr(ts, name)
        assert name in dir(ts)
        if module != "tessella" and not inspect.ismodule(found):
            assert found is getattr(importlib.import_module(module), own)
    assert ts.float is ts.float32
    assert ts.bool is ts.dtypes.bool_


def test_all_names_at_once_leave_those_of_pythons_numbers():
    names = {}
    exec("from tessella import *", names)
    assert names["add"] is ts.add
    assert not {"int", "float", "nn"} & {*names}


def test_methods_that_draw_numbers_need_no_import():
    found = modules_after("import tessella as ts\nts.zeros(3).uniform_(), ts.zeros(3).normal_()")
    assert "tessella.random.generator" in found
    assert "tessella.random.generator" not in modules_after("import tessella as ts\nts.zeros(3)")


def test_compiled_functions_explain_themselves_and_are_told_of_without_an_import(monkeypatch):
    call = "import tessella as ts\nf = ts.jit(lambda x: x * 2)\nf(ts.ones(2))\n"
    assert "tessella.debug.explain" in modules_after(f"{call}str(f.explain())")
    monkeypatch.setenv("TESSELLA_DEBUG", "1")
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert "trace 1, because it is the first call: 1 native call" in done.stderr

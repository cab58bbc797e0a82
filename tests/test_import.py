"""What `import tessella` brings, and what comes later."""

import subprocess
import sys

import pytest

import tessella as ts


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

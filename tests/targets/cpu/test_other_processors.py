"""Kernels for other processors than this one: run where this one can execute them, else compiled."""

import itertools
import os
import subprocess
import sys
import textwrap

import pytest

from tessella.errors import ConfigurationError
from tessella.targets.cpu import engine, processors
from tessella.targets.cpu.processors import LEVELS, NATIVE, Processor

HERE = processors.executable_levels()
WIDTHS = {"x86-64-v3": 32, "x86-64-v4": 64, "x86-64-v4+bf16": 64}
SIGNS = {"x86_64": "xmm", "aarch64": "fmla"}  # what is in the text of products in single precision


def run(code, level):
    """What a process prints that compiles for a level."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "TESSELLA_CPU": level},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


# --- which one it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_the_variable_chooses(level, short, monkeypatch):
    name = level.removeprefix("x86-64-") if short else level
    monkeypatch.setenv("TESSELLA_CPU", name)
    assert processors.target.__wrapped__() == LEVELS[level]


def test_without_it_code_is_for_this_machine(monkeypatch):
    monkeypatch.delenv("TESSELLA_CPU", raising=False)
    assert processors.target.__wrapped__() == processors.host()
    monkeypatch.setenv("TESSELLA_CPU", NATIVE)
    assert processors.target.__wrapped__() == processors.host()


@pytest.mark.parametrize("wrong", ["", "v5", "x86-64-v", "avx2", "V3"])
def test_other_values_are_errors(wrong, monkeypatch):
    monkeypatch.setenv("TESSELLA_CPU", wrong)
    with pytest.raises(ConfigurationError) as caught:
        processors.target.__wrapped__()
    assert str(caught.value) == (
        f"TESSELLA_CPU is {wrong!r}; expected one of x86-64, x86-64-v2, x86-64-v3, x86-64-v4, x86-64-v4+bf16, "
        "aarch64, native ('x86-64-' may be left out); leave the variable out to compile for the processor of this "
        "machine"
    )


def test_levels_contain_each_other():
    names = [name for name in LEVELS if LEVELS[name].architecture == "x86_64"]
    for lower, higher in itertools.pairwise(names):
        assert LEVELS[higher].has(*LEVELS[lower].extensions())
        assert LEVELS[lower].lacks(*LEVELS[higher].extensions())


def test_machine_code_is_kept_under_the_processor(monkeypatch):
    keys = set()
    for level in [*LEVELS.values(), Processor("x86_64", "x86-64-v4", "+sse2")]:
        monkeypatch.setattr(processors, "target", lambda level=level: level)
        keys.add(engine.fingerprint.__wrapped__())
    assert len(keys) == len(LEVELS) + 1


# --- what cannot be executed -------------------------------------------------------------------------


def test_what_cannot_be_executed_is_refused(monkeypatch):
    haswell = Processor("x86_64", "haswell", LEVELS["x86-64-v3"].features + ",-avx512f")
    monkeypatch.setattr(processors, "host", lambda: haswell)
    monkeypatch.setattr(processors, "target", lambda: LEVELS["x86-64-v4+bf16"])
    monkeypatch.setenv("TESSELLA_CPU", "v4+bf16")
    processors.is_executable.cache_clear()
    try:
        with pytest.raises(ConfigurationError) as caught:
            processors.require_executable()
        assert engine.callable_at(0, None) is not None  # and not called
        with pytest.raises(ConfigurationError):
            engine.callable_at(0, None)(1, 2)
    finally:
        processors.is_executable.cache_clear()
    assert str(caught.value) == (
        "TESSELLA_CPU is 'v4+bf16', and this processor cannot execute such code: it has no avx512f, avx512bw, "
        "avx512cd, avx512dq, avx512vl, avx512bf16. It can be compiled and read (`source('asm')`); to run it, set "
        "TESSELLA_CPU to one of x86-64, x86-64-v2, x86-64-v3, native, or leave it out"
    )


COMPILED = """
    import tessella as ts
    from tessella.targets.cpu import engine, threads
    from tessella.errors import ConfigurationError
    from tessella.nn import functional as F

    x, images, kernels = ts.ones((64, 64)), ts.ones((2, 3, 9, 9)), ts.ones((16, 3, 3, 3))
    doubled = ts.jit(lambda x: x * 2)
    print(ts.jit(lambda x: ts.exp(x @ x).sum(axis=1)).source("asm", x))
    for function, arguments in (
        (lambda x: F.softmax(x, -1) + ts.argmax(x, axis=1, keepdims=True), (x,)),
        (lambda x: ts.erf(x.astype(ts.float64)), (x,)),
        (lambda x: x.astype(ts.float16) * 2, (x,)),
        (lambda x: x.astype(ts.bfloat16) @ x.astype(ts.bfloat16), (x,)),
        (lambda x: x[ts.asarray([3, 1])] << 2, (ts.ones((4, 4), dtype=ts.int64),)),
        (F.conv2d, (images, kernels)),
    ):
        assert ts.jit(function).source("asm", *arguments)
    print(engine.assembly(threads.module().llvm_ir()))
    for run in (lambda: doubled(x), lambda: x + x, lambda: ts.ones(1_000_000).sum(), lambda: ts.jit(F.relu).explain(x)):
        try:
            run()
        except ConfigurationError as error:
            print("refused:", error)
"""


@pytest.mark.parametrize("level", sorted(set(LEVELS) - set(HERE)))
def test_kernels_for_other_machines_are_compiled(level):
    """What the kernels and the fork-join become; that they run is for a machine of that kind."""
    text = run(COMPILED, level)
    assert SIGNS[LEVELS[level].architecture] in text
    assert "syscall" in text  # of the fork-join
    assert text.count("refused: TESSELLA_CPU is") == 4


# --- what can be executed ----------------------------------------------------------------------------

CHECKS = """
    import numpy as np
    import tessella as ts
    from tessella.targets.cpu import machine
    from tessella.nn import functional as F

    random = np.random.default_rng(0)
    x = random.standard_normal((70, 90)).astype(np.float32)
    y = random.standard_normal((90, 50)).astype(np.float32)
    a, b = ts.asarray(x), ts.asarray(y)
    assert machine.vector_bytes() == WIDTH
    np.testing.assert_allclose((a @ b).numpy(), x @ y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose((a.T @ a).numpy(), x.T @ x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ts.exp(a).numpy(), np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(ts.sin(a * 100).numpy(), np.sin(x * np.float32(100)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ts.erf(a.astype(ts.float64)).numpy(), [[__import__("math").erf(v) for v in row] for row in x.astype(float)], rtol=1e-14)
    np.testing.assert_allclose(a.sum(axis=0).numpy(), x.sum(axis=0), rtol=1e-4, atol=1e-5)
    assert ts.argmax(a).item() == x.argmax()
    np.testing.assert_array_equal((a.T + 0).numpy(), x.T)
    images = random.integers(-3, 4, (2, 3, 9, 9)).astype(np.float32)
    kernels = random.integers(-3, 4, (16, 3, 3, 3)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    np.testing.assert_array_equal(
        F.conv2d(ts.asarray(images), ts.asarray(kernels)).numpy(), np.einsum("nchwij,ocij->nohw", windows, kernels)
    )
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = ts.asarray(halves).astype(ts.float32)
    np.testing.assert_array_equal(wide.numpy(), halves.astype(np.float32))
    many = random.integers(0, 1 << 32, 200_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ts.asarray(many).astype(ts.float16).numpy(), many.astype(np.float16))
        doubles = many.astype(np.float64) + 1e-9
        np.testing.assert_array_equal(ts.asarray(doubles).astype(ts.float16).numpy(), doubles.astype(np.float16))
    print("as NumPy")
"""


@pytest.mark.parametrize("level", HERE)
def test_kernels_give_what_numpy_gives(level):
    code = CHECKS.replace("WIDTH", str(WIDTHS.get(level, 16)))
    assert run(code, level) == "as NumPy"

"""Kernels for processors with narrower vectors: run where this one can pretend, else compiled."""

import platform
import subprocess
import sys
import textwrap

import pytest

PROCESSORS = {
    "AVX2": ("haswell", "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+popcnt"),
    "SSE2, without half precision": ("x86-64", "+sse,+sse2"),
}  # fmt: skip

CHECKS = """
    import numpy as np
    from tessella.backends.cpu import machine
    machine.host = lambda: ({name!r}, {features!r})
    import tessella as ts
    from tessella.nn import functional as F

    random = np.random.default_rng(0)
    x = random.standard_normal((70, 90)).astype(np.float32)
    y = random.standard_normal((90, 50)).astype(np.float32)
    a, b = ts.asarray(x), ts.asarray(y)
    assert machine.vector_bytes() == {width}
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


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are x86-64 processors")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_narrower_vectors(processor):
    name, features = PROCESSORS[processor]
    width = 32 if processor == "AVX2" else 16
    code = textwrap.dedent(CHECKS).format(name=name, features=features, width=width)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.stdout.strip() == "as NumPy", result.stderr


def test_arm_64_accepts_the_kernels():
    """What a few kernels and the fork-join become; that they run is for a machine of that kind."""
    code = """
        from tessella.backends.cpu import engine, machine, threads
        machine.host = lambda: ("neoverse-n1", "+neon")
        threads.platform.machine = lambda: "aarch64"
        llvm = engine._llvm()
        import llvmlite.binding as binding
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        target = binding.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(
            cpu="neoverse-n1", features="+neon", opt=2, reloc="pic"
        )
        engine._target_machine = lambda: target
        seen = []

        def compile(module):
            seen.append(engine.assembly(module.llvm_ir()))
            raise LookupError

        engine.compile = compile
        import tessella as ts
        x = ts.asarray([[1.0, 2.0]] * 64)
        works = [
            lambda: x + x, lambda: ts.exp(x), lambda: x.sum(axis=1), lambda: ts.asarray([1.5], dtype=ts.float16) * 2,
            lambda: ts.ones((64, 64)) @ ts.ones((64, 64)), threads._natives,
        ]
        for work in works:
            try:
                work()
            except LookupError:
                pass
        assert len(seen) == len(works), len(seen)
        assert any("fmla" in text for text in seen)
        assert "syscall" in seen[-1]
        assert "ldaddal" in seen[-1]  # an atomic counter
        print("accepted")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.stdout.strip() == "accepted", result.stderr

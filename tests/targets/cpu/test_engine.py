"""Machine code is made side by side, and is the same as one after the other."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tessella as ts
from tessella import dtypes
from tessella.loops.llvm import to_llvm
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.scalar.mathematics.hyperbolic import tanh
from tessella.targets.cpu import engine

i, n = index_variable("i"), index_variable("n")
X, Y = Pointer("x", dtypes.float32), Pointer("y", dtypes.float32, written=True)


def text(number):
    """LLVM IR of a kernel that no other number gives."""
    value = tanh(load(X, i) * float(number)) + 1
    body = Loop(i, n, (Store(Y, i, value),), parallel=True, lanes=16)
    return to_llvm(Kernel(f"kernel_{number}", (X, Y), (n,), (body,)))


def machine_code(llvm_ir):
    with engine._tools() as tools:
        return engine._emit(engine._optimise(llvm_ir, tools), tools)


def test_code_made_in_several_threads_is_the_code_made_in_one():
    texts = [text(number) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(machine_code, texts * 3))
    alone = [machine_code(t) for t in texts]
    assert together == alone * 3


def compile_all(modules):
    with engine.SideBySide() as work:
        for module in modules:
            work.begin(module)
        work.finish()


def test_two_threads_are_in_llvm_at_the_same_time(monkeypatch):
    run_passes, emit = engine._side_by_side()
    meeting = threading.Barrier(2, timeout=60)

    def both(*arguments):
        meeting.wait()  # with a lock around it the other one would never come
        return emit(*arguments)

    monkeypatch.setattr(engine, "_side_by_side", lambda: (run_passes, both))
    modules = [
        engine.LLVMModule(text(100 + number), (f"kernel_{100 + number}",)) for number in (0, 1)
    ]
    monkeypatch.setattr(engine.cache, "load", lambda key: None)
    monkeypatch.setattr(engine.machine, "usable_processors", lambda: 2)
    compile_all(modules)
    assert all(engine.compile(m)[m.symbols[0]] for m in modules)


def test_no_signal_finds_the_main_thread_in_llvm():
    """llvmlite takes its lock in Python code: a Ctrl-C behind it would leave it taken for ever."""
    from llvmlite.binding import ffi

    seen, nothing = set(), lambda: None
    note = lambda: seen.add(threading.current_thread() is threading.main_thread())  # noqa: E731
    ffi.register_lock_callback(note, nothing)
    try:
        compile_all([engine.LLVMModule(text(200 + k), (f"kernel_{200 + k}",)) for k in range(3)])
        assert engine.compile(engine.LLVMModule(text(210), ("kernel_210",)))["kernel_210"]
        assert "kernel_210" in engine.assembly(engine.optimised(text(210)))
    finally:
        ffi.unregister_lock_callback(note, nothing)
    assert seen == {False}


def test_what_llvm_does_not_understand_is_an_error_in_a_thread_too():
    bad = [engine.LLVMModule(f"define void @f{k}( nonsense", (f"f{k}",)) for k in (0, 1)]
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        compile_all(bad)
    assert float(ts.jit(lambda x: ts.sum(x * 3.0 + 0.25))(ts.ones(4))) == 13.0

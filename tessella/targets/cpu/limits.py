"""What the machine can do at most: multiply-adds of its processors, and its memory."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import numpy as np

from tessella.devices.device import Limits
from tessella.dtypes import DType, float32
from tessella.loops.llvm_types import register_type
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.targets.cpu import engine, machine, threads

CHAINS = 12  # independent multiply-adds: more than their latency needs
ROUNDS, MOST_ROUNDS = 5, 20
_ATTEMPTS = 3  # to measure something again
_EXACT = 1.05  # times that differ by less are equal
_COPIED = 1 << 26  # bytes: more than the caches hold


def multiply_adds(steps: int, dtype: DType = float32) -> tuple[Callable[[int], None], float]:
    """A function that does some items of multiply-adds and nothing else, on all threads, and the
    operations of one item.

    Args:
        steps: turns of one item.
        dtype: float32 or float64.
    """
    lanes = machine.vector_bytes() // dtype.itemsize
    text = _multiply_adds(register_type(dtype), f"v{lanes}f{dtype.bits}", lanes, steps)
    address = engine.compile(engine.LLVMModule(text, ("peak",)))["peak"]
    target = np.zeros(lanes, dtype.numpy)
    args = np.array([target.ctypes.data], np.int64).tobytes()

    def run(items: int) -> None:
        threads.parallel(address, args, items, 1)
        assert target[0] != 0

    return run, 2.0 * CHAINS * lanes * steps


class Rate:
    """What the machine does in a second at most: measured once, and again when something was faster than that.

    Whoever else uses the machine makes a measurement too low; nothing makes one too high.
    """

    def __init__(self, measure: Callable[[], float]) -> None:
        self._measure = measure
        self._known = 0.0

    def __call__(self) -> float:
        if not self._known:
            self._known = self._measure()
        return self._known

    def doubt(self, seen: float) -> None:
        """Measure again, a few times at most, if something was seen that is faster than what is known."""
        for _ in range(_ATTEMPTS):
            if seen <= _EXACT * self():
                return
            self._known = max(self._known, self._measure())


class CpuLimits(Limits):
    """What this machine's processors and memory can do."""

    @property
    def name(self) -> str:
        return machine.processor_name()

    @property
    def threads(self) -> int:
        return threads.count()

    @property
    def vector_bytes(self) -> int:
        return machine.vector_bytes()

    def cache_bytes(self, level: int, default: int) -> int:
        return machine.cache_bytes(level, default)

    def multiply_adds_per_second(self, dtype: DType) -> float:
        return _peak(dtype)()

    def bytes_per_second(self) -> float:
        return _copies()

    def doubt(self, operations: float, dtype: DType, nbytes: float) -> None:
        _peak(dtype).doubt(operations)
        _copies.doubt(nbytes)


LIMITS = CpuLimits()


@functools.cache
def _peak(dtype: DType) -> Rate:
    return Rate(lambda: _measured_multiply_adds(dtype))


def _measured_multiply_adds(dtype: DType) -> float:
    run, operations = multiply_adds(1 << 16, dtype)
    items = 16 * threads.count()
    return items * operations / _best(lambda: run(items))


def _measured_bytes() -> float:
    from tessella.loops.llvm import to_llvm  # whoever asks for the caches alone needs no writer

    source, target = np.ones(_COPIED // 4, np.float32), np.ones(_COPIED // 4, np.float32)
    text = to_llvm(_copy_kernel(), machine.function_attributes())
    address = engine.compile(engine.LLVMModule(text, ("copy",)))["copy"]
    args = np.array([source.ctypes.data, target.ctypes.data], np.int64).tobytes()
    items = _COPIED // 4
    return 2 * _COPIED / _best(lambda: threads.parallel(address, args, items, items // 32))


_copies = Rate(_measured_bytes)


def _copy_kernel() -> Kernel:
    source, target = Pointer("source", float32), Pointer("target", float32, written=True)
    i = index_variable("i")
    lanes = machine.vector_bytes() // 4
    body = Loop(i, None, (Store(target, i, load(source, i)),), parallel=True, lanes=lanes)
    return Kernel("copy", (source, target), (), (body,))


def _best(function: Callable[[], object]) -> float:
    """The shortest time: of more rounds, if the two shortest show that the machine is disturbed."""
    times: list[float] = []
    while len(times) < ROUNDS or (len(times) < MOST_ROUNDS and _differ(times)):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _differ(times: list[float]) -> bool:
    first, second = sorted(times)[:2]
    return second > _EXACT * first


def _multiply_adds(scalar: str, suffix: str, lanes: int, turns: int) -> str:
    """LLVM IR: chains of multiply-adds in registers, for each item of begin to end."""
    vector, fma = f"<{lanes} x {scalar}>", f"@llvm.fma.{suffix}"
    phis = "\n".join(
        f"  %c{i} = phi {vector} [ zeroinitializer, %item ], [ %n{i}, %loop ]"
        for i in range(CHAINS)
    )
    steps = "\n".join(
        f"  %n{i} = call {vector} {fma}({vector} %c{i}, {vector} splat ({scalar} 0x3FEFFFFFE0000000), "
        f"{vector} splat ({scalar} 1.0))"
        for i in range(CHAINS)
    )
    sums = "\n".join(
        f"  %s{i} = fadd {vector} %{'n0' if i == 1 else f's{i - 1}'}, %n{i}"
        for i in range(1, CHAINS)
    )
    return f"""
declare {vector} {fma}({vector}, {vector}, {vector})
define void @peak(ptr %args, i64 %begin, i64 %end) nounwind {machine.function_attributes()} {{
entry:
  %out = load ptr, ptr %args
  br label %item
item:
  %it = phi i64 [ %begin, %entry ], [ %it.next, %done ]
  br label %loop
loop:
  %k = phi i64 [ 0, %item ], [ %k.next, %loop ]
{phis}
{steps}
  %k.next = add i64 %k, 1
  %more = icmp slt i64 %k.next, {turns}
  br i1 %more, label %loop, label %done
done:
{sums}
  store {vector} %s{CHAINS - 1}, ptr %out, align 4
  %it.next = add i64 %it, 1
  %again = icmp slt i64 %it.next, %end
  br i1 %again, label %item, label %leave
leave:
  ret void
}}
"""

"""The CPU as a device: what the contract asks for, and who does it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tessella.devices.buffer import Buffer
from tessella.devices.device import Compilation, Growth, Limits, MemoryStatistics, Tuner
from tessella.devices.host import Host, Taken, Watch
from tessella.devices.words import Word
from tessella.dtypes import DType
from tessella.primitives.base import Primitive, Spec
from tessella.primitives.contraction import Contraction
from tessella.targets.cpu import buffers, engine, kernels, limits, machine, threads, watch
from tessella.targets.cpu.lowering import contraction, winograd


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
        return limits.multiply_adds_per_second(dtype)

    def bytes_per_second(self) -> float:
        return limits.bytes_per_second()

    def doubt(self, operations: float, dtype: DType, nbytes: float) -> None:
        limits.doubt_multiply_adds(operations, dtype)
        limits.doubt_bytes(nbytes)


class Cpu(Host):
    """The processors that Python runs on."""

    name = "cpu"
    limits = CpuLimits()
    lowerings: Mapping[type[Primitive], Callable[..., Any]] = {Contraction: contraction.lower}

    # --- memory ---------------------------------------------------------------------------------

    def allocator(self, nbytes: int) -> Callable[[], Buffer]:
        return buffers.allocator(nbytes)

    def require_available(self, nbytes: Any) -> None:
        buffers.require_available(nbytes)

    def memory_for(self, nbytes: Any) -> AbstractContextManager[None]:
        return buffers.memory_for(nbytes)

    def wrap(self, owner: Any, address: int, nbytes: int) -> Buffer:
        return buffers.wrap(owner, address, nbytes)

    def statistics(self) -> MemoryStatistics:
        return buffers.statistics()

    def release_cached(self) -> None:
        buffers.release_cached()

    def copy_in(self, target: int, source: np.ndarray[Any, Any]) -> None:
        ctypes.memmove(target, source.ctypes.data, source.nbytes)

    def copy_out(self, target: np.ndarray[Any, Any], source: int) -> None:
        ctypes.memmove(target.ctypes.data, source, target.nbytes)

    def copy_within(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    # --- kernels --------------------------------------------------------------------------------

    def compilation(self) -> Compilation:
        return kernels.Compilation()

    def address_of(self, kernel: Any) -> int:
        return kernels.address_of(kernel)

    def source(self, kernel: Any, kind: str) -> str:
        return kernels.source(kernel, kind)

    def launcher(self, address: int, places: int, numbers: bytes, total: int, chunk: int) -> Any:
        pack = struct.Struct(f"<{places}q").pack
        if chunk == 0:
            native = engine.function(address)

            def direct(*addresses: int) -> None:
                native(pack(*addresses) + numbers, 0, total)

            return direct
        parallel = threads.parallel

        def shared(*addresses: int) -> None:
            parallel(address, pack(*addresses) + numbers, total, chunk)

        return shared

    def load(self) -> None:
        engine.load()

    # --- programs -------------------------------------------------------------------------------

    def run_program(self, head: int, alone: bool = False) -> int:
        return threads.run_program(head, alone)

    def run_timed(self, head: int, times: int) -> int:
        return threads.run_timed(head, times)

    def run_loop(self, table: Any, alone: bool = False) -> int:
        return threads.run_loop(table, alone)

    def quick_runner(self) -> Callable[[int], int]:
        runner: Callable[[int], int] = threads.quick_runner()
        return runner

    def signals(self) -> int:
        return threads.python_functions()

    # --- what it does in its own way ------------------------------------------------------------

    def growth(self, primitive: Contraction, x: Spec, y: Spec) -> Growth | None:
        return winograd.growth(primitive, x, y)

    @property
    def tuner(self) -> Tuner:
        from tessella.targets.cpu import tuning  # few need it

        return tuning.TUNER

    # --- what Python's own processor does for it ------------------------------------------------

    def watch(self, words: Sequence[Word]) -> Watch:
        return watch.Watch(words)

    def taken(self, objects: Sequence[int], kind: type, other: type) -> Taken:
        return watch.Taken(objects, kind, other)

    def set_threads(self, number: int) -> None:
        threads.set_count(number)

    def prepare_timing(self) -> None:
        threads.timed_loop()


DEVICE = Cpu()

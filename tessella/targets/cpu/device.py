"""The CPU as a device: what the contract asks for, and who does it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella.devices.device import Growth, Limits, Tuner
from tessella.devices.host import Host
from tessella.targets.cpu import buffers, calls, engine, kernels, threads
from tessella.targets.cpu import watch as watching

if TYPE_CHECKING:
    from tessella.primitives.base import Primitive, Spec
    from tessella.primitives.contraction import Contraction


class Cpu(Host):
    """The processors that Python runs on."""

    name = "cpu"

    # --- memory ---------------------------------------------------------------------------------

    # functions as they are, without another call around them: small operations ask for memory
    allocate = staticmethod(buffers.allocate)
    allocator = staticmethod(buffers.allocator)
    require_available = staticmethod(buffers.require_available)
    memory_for = staticmethod(buffers.memory_for)
    wrap = staticmethod(buffers.wrap)
    statistics = staticmethod(buffers.statistics)
    release_cached = staticmethod(buffers.release_cached)

    def copy_in(self, target: int, source: np.ndarray[Any, Any]) -> None:
        ctypes.memmove(target, source.ctypes.data, source.nbytes)

    def copy_out(self, target: np.ndarray[Any, Any], source: int) -> None:
        ctypes.memmove(target.ctypes.data, source, target.nbytes)

    def copy_within(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    # --- kernels --------------------------------------------------------------------------------

    compilation = kernels.Compilation
    address_of = staticmethod(kernels.address_of)
    source = staticmethod(kernels.source)
    load = staticmethod(engine.load)

    def launcher(self, address: int, places: int, numbers: bytes, total: int, chunk: int) -> Any:
        if chunk == 0:
            return calls.kernel(address, places, numbers, total)
        pack = struct.Struct(f"<{places}q").pack
        parallel = threads.parallel

        def shared(*addresses: int) -> None:
            parallel(address, pack(*addresses) + numbers, total, chunk)

        return shared

    # --- programs -------------------------------------------------------------------------------

    run_program = staticmethod(threads.run_program)
    run_timed = staticmethod(threads.run_timed)
    run_loop = staticmethod(threads.run_loop)
    quick_runner = staticmethod(threads.quick_runner)
    signals = staticmethod(threads.python_functions)

    # --- what it does in its own way: loaded when it is asked for, as arrays are made before anything is compiled

    @property
    def limits(self) -> Limits:
        from tessella.targets.cpu.limits import LIMITS

        return LIMITS

    @property
    def lowerings(self) -> Mapping[type[Primitive], Callable[..., Any]]:
        from tessella.targets.cpu.lowering.contraction import LOWERINGS

        return LOWERINGS

    def growth(self, primitive: Contraction, x: Spec, y: Spec) -> Growth | None:
        from tessella.targets.cpu.lowering import winograd

        return winograd.growth(primitive, x, y)

    @property
    def tuner(self) -> Tuner:
        from tessella.targets.cpu import tuning

        return tuning.TUNER

    # --- what Python's own processor does for it ------------------------------------------------

    watch = watching.Watch
    taken = watching.Taken
    set_threads = staticmethod(threads.set_count)
    prepare_timing = staticmethod(threads.timed_loop)


DEVICE = Cpu()

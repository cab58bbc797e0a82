"""The emulated device: the kernels of the host, in memory that is closed to everybody else.

It keeps the contract of devices honest: whatever reads or writes memory of a device past the contract faults here.
Each kernel, and each step of a program, may touch its own operands and nothing more.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.devices.buffer import Buffer
from tessella.devices.device import Device
from tessella.devices.registry import host
from tessella.devices.table import BEFORE, DONE, HEAD, LOOP_STOPPED, STEP_BYTES, head_of
from tessella.targets.emulated import memory
from tessella.uninterrupted import uninterrupted

_host = host()


class Emulated(Device):
    """The host's processors, with memory of its own."""

    name = "emulated"

    # --- memory ---------------------------------------------------------------------------------

    require_available = staticmethod(_host.require_available)

    def allocator(self, nbytes: int) -> Callable[[], Buffer]:
        return functools.partial(memory.allocate, nbytes)

    def copy_in(self, target: int, source: np.ndarray[Any, Any]) -> None:
        with memory.opened([target]):
            _host.copy_in(target, source)

    def copy_out(self, target: np.ndarray[Any, Any], source: int) -> None:
        with memory.opened([source]):
            _host.copy_out(target, source)

    def copy_within(self, target: int, source: int, nbytes: int) -> None:
        with memory.opened([target, source]):
            _host.copy_within(target, source, nbytes)

    # --- kernels: the host's --------------------------------------------------------------------

    compilation = staticmethod(_host.compilation)
    address_of = staticmethod(_host.address_of)
    source = staticmethod(_host.source)
    load = staticmethod(_host.load)
    limits = property(lambda self: _host.limits)
    lowerings = property(lambda self: _host.lowerings)
    growth = staticmethod(_host.growth)

    def launcher(self, address: int, places: int, numbers: bytes, total: int, chunk: int) -> Any:
        native = _host.launcher(address, places, numbers, total, chunk)

        def launch(*addresses: int) -> None:
            with memory.opened(addresses):
                native(*addresses)

        return launch

    # --- programs: step by step -----------------------------------------------------------------

    @uninterrupted  # what is half written over is lost
    def run_program(self, head: int, alone: bool = False) -> int:
        return self._walk(head, lambda step: None)

    def run_timed(self, head: int, times: int) -> int:
        def note(step: int) -> None:
            ends[2 * step], ends[2 * step + 1] = divmod(time.perf_counter_ns(), 1_000_000_000)

        ends = _words(times, 2 * (_words(head, HEAD)[1] + 1))
        note(0)
        return self._walk(head, lambda step: note(step + 1))

    def run_loop(self, table: Any, alone: bool = False) -> int:
        body, turns, moves, first, condition, _, flag = table[:LOOP_STOPPED]
        for _ in range(turns):
            if condition:
                table[LOOP_STOPPED] = -self.run_program(condition)
                if table[LOOP_STOPPED] or not self.read(flag, dtypes.bool_):
                    return 1
            table[LOOP_STOPPED] = self.run_program(body)
            if table[LOOP_STOPPED]:
                return 1
            for slot, step in _words(first, 2 * moves).reshape(-1, 2).tolist():
                _words(slot, 1)[0] += step
        return 0

    def _walk(self, head: int, did: Callable[[int], None]) -> int:
        """The steps of a program one after the other; the patches come first."""
        words = _words(head, HEAD)
        steps, count, patches, patch_count, slots = words[:5].tolist()
        for place, slot, offset in _words(patches, 3 * patch_count).reshape(-1, 3).tolist():
            _words(place, 1)[0] = _words(slots, slot + 1)[slot] + offset
        for step in range(count):
            if self._stops(steps + STEP_BYTES * step):
                return step + 1
            did(step)
        words[DONE] = 1
        return 0

    def _stops(self, row: int) -> bool:
        """Make one step, with nothing open but its operands; whether it stops the program."""
        kernel, arguments = _words(row, 2).tolist()
        if not kernel:
            return bool(self.read(_words(arguments, 1)[0].item(), dtypes.int64))
        alone = head_of(row, 1, 0, 0, 0, 0)
        with memory.opened(_operands(arguments)):
            _host.run_program(ctypes.addressof(alone))
        return False


def _operands(arguments: int) -> list[int]:
    """The addresses among some arguments, and those of their epilogue."""
    count, epilogue = _words(arguments - 8 * BEFORE, BEFORE).tolist()
    found: list[int] = _words(arguments, count).tolist()
    return found + (_operands(epilogue) if epilogue else [])


def _words(address: int, count: int) -> np.ndarray[Any, Any]:
    """Words of a table, which is in the host's memory."""
    return np.ctypeslib.as_array((ctypes.c_int64 * count).from_address(address))


DEVICE = Emulated()

"""The tables from which a device runs a program (`tessella.devices.table`).

The arguments of all calls stand one after the other, as they are passed. What changes from call to call, the
addresses of inputs and results, is written there by *patches* from the table of *slots*.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any

from tessella.compiler import memory
from tessella.compiler.machine_code import numbers_of
from tessella.compiler.steps import (
    ARENA,
    CONSTANT,
    INPUT,
    KEPT,
    RESULT_BUFFER,
    Buffer,
    Check,
    HostStep,
    Step,
)
from tessella.devices.array import Array
from tessella.devices.device import Device
from tessella.devices.table import STEP_BYTES, head_of


class Addresses:
    """The memory of a program, and where each buffer is.

    Args:
        inputs: how many slots stand before those of the results.
        arena: gives the memory of intermediate values.
    """

    def __init__(
        self,
        buffers: Sequence[Buffer],
        steps: Sequence[Step | HostStep | Check],
        inputs: int,
        constants: Sequence[Array],
        device: Device,
        arena: Callable[[int], Any],
    ) -> None:
        self.buffers, self.inputs, self.constants = buffers, inputs, constants
        self.kept_plan = memory.plan(buffers, steps, KEPT, share=False)
        self.kept = device.allocate(self.kept_plan.nbytes)
        self.arena_plan = memory.plan(buffers, steps, ARENA)
        self.arena = arena(self.arena_plan.nbytes)

    def of(self, buffer: int, offset: int) -> tuple[int | None, int]:
        """The slot of a buffer and the offset in it; or None and an address."""
        found = self.buffers[buffer]
        if found.kind == INPUT:
            return found.number, offset
        if found.kind == RESULT_BUFFER:
            return self.inputs + found.number, offset
        if found.kind == CONSTANT:
            return None, self.constants[found.number].address + offset
        if found.kind == KEPT:
            return None, self.kept.address + self.kept_plan.offsets[buffer] + offset
        return None, self.arena.address + self.arena_plan.offsets[buffer] + offset


class Tables:
    """The arguments of all steps, the slots, and where these go.

    Args:
        slots: how many there are.
        prepared: how many steps at the front are run only when a fixed input has changed.
    """

    def __init__(
        self,
        steps: Sequence[Step | HostStep | Check],
        addresses: Addresses,
        slots: int,
        prepared: int,
        device: Device,
    ) -> None:
        self.device = device
        self.native_steps = [step for step in steps if not isinstance(step, HostStep)]
        self.slots = (ctypes.c_int64 * max(1, slots))()
        self._write_arguments(addresses)
        self._write_steps()
        self.segments, self.preparation = self._segments(steps, prepared)

    def _write_arguments(self, addresses: Addresses) -> None:
        words: list[int] = []
        patches: list[tuple[int, int, int]] = []

        def add(places: Sequence[tuple[int, int]], numbers: bytes) -> int:
            start = len(words)
            for buffer, offset in places:
                slot, address = addresses.of(buffer, offset)
                if slot is not None:
                    patches.append((len(words), slot, address))
                words.append(0 if slot is not None else address)
            words.extend(struct.unpack(f"<{len(numbers) // 8}q", numbers))
            return start

        self.starts: list[int] = []  # of the arguments of each step
        epilogues: list[tuple[Step, int]] = []
        for step in self.native_steps:
            if isinstance(step, Check):
                self.starts.append(add((step.place,), b""))
                continue
            self.starts.append(add(step.places, numbers_of(step.call, self.device)))
            if step.epilogue is not None:
                epilogues.append((step, add(step.epilogue_places, step.epilogue.numbers)))
        self.arguments = (ctypes.c_int64 * max(1, len(words)))(*words)
        self.base = ctypes.addressof(self.arguments)
        self.patch_count = len(patches)
        flat = [word for at, slot, offset in patches for word in (self.base + 8 * at, slot, offset)]
        self.patches = (ctypes.c_int64 * max(1, len(flat)))(*flat)
        for step, start in epilogues:
            self._set_epilogue(step, start)

    def _set_epilogue(self, step: Step, start: int) -> None:
        """Write the last words of a product's arguments: kernel, arguments, and how many they are."""
        assert step.epilogue is not None
        words = len(step.epilogue_places) + len(step.epilogue.numbers) // 8
        found = self.device.address_of(step.epilogue.kernel), self.base + 8 * start, words
        for slot, word in enumerate(found, start=start - 3):
            self.arguments[slot] = word

    def _write_steps(self) -> None:
        rows: list[int] = []
        self.alone = True  # whether every call runs on the calling thread
        for step, start in zip(self.native_steps, self.starts, strict=True):
            if isinstance(step, Step):
                call = step.call
                self.alone &= call.chunk == 0
                rows += [
                    self.device.address_of(call.kernel),
                    self.base + 8 * start,
                    call.total,
                    call.chunk,
                ]
            else:
                rows += [0, self.base + 8 * start, 0, 0]
        self.steps = (ctypes.c_int64 * max(1, len(rows)))(*rows)

    def _segments(
        self, steps: Sequence[Step | HostStep | Check], prepared: int
    ) -> tuple[list[Any], Any]:
        """Native stretches and what the host does between them; apart, the stretch that is prepared.

        A native stretch is the head of a table, its address, and the number of its first step.
        """
        segments: list[Any] = []
        begin = number = prepared
        base = ctypes.addressof(self.steps)

        def native(first: int, count: int) -> None:
            if count:
                head = head_of(
                    base + STEP_BYTES * first, count, ctypes.addressof(self.patches),
                    self.patch_count, ctypes.addressof(self.slots), self.device.signals(),
                )  # fmt: skip
                segments.append((head, ctypes.addressof(head), first))

        native(0, prepared)
        preparation = segments.pop() if segments else None
        for step in steps[prepared:]:
            if isinstance(step, HostStep):
                native(begin, number - begin)
                segments.append(step)
                begin = number
            else:
                number += 1
        native(begin, number - begin)
        return segments, preparation

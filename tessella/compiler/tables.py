"""The tables from which a device runs a program (`tessella.devices.table`).

The arguments of all calls stand one after the other, as they are passed. What changes from call to call, the
addresses of inputs and results, is written there by *patches* from the table of *slots*.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tessella.compiler import memory
from tessella.compiler.machine_code import numbers_of
from tessella.compiler.steps import (
    ARENA,
    CONSTANT,
    INPUT,
    KEPT,
    RESULT_BUFFER,
    Check,
    HostStep,
    ProgramBuffer,
    Step,
)
from tessella.devices.array import Array
from tessella.devices.device import Device
from tessella.devices.host import Host
from tessella.devices.table import BEFORE, DONE, STEP_BYTES, head_of, words_of

if TYPE_CHECKING:
    from tessella.compiler.lowering.epilogue import Epilogue


class Addresses:
    """The memory of a program, and where each buffer is.

    Args:
        inputs: how many slots stand before those of the results.
        arena: gives the memory of intermediate values.
    """

    def __init__(
        self,
        buffers: Sequence[ProgramBuffer],
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


class Stretch(NamedTuple):
    """Native calls without the host between them.

    Args:
        head: what the device is given; `address` is where it is.
        first: the number of its first step among the native ones.
    """

    head: Any
    address: int
    first: int


class Tables(NamedTuple):
    """What a device runs a program from.

    Args:
        arguments, steps, patches: words that the stretches point at.
        segments: the stretches, and what the host does between them.
        preparation: the stretch that is run only when a fixed input has changed.
        alone: whether every call runs on the calling thread.
        alone_at: where the head is, if the program is one such stretch of the host: `runner` runs it while it keeps the
            interpreter lock.
    """

    arguments: Any
    steps: Any
    patches: Any
    patch_count: int
    segments: list[Stretch | HostStep]
    preparation: Stretch | None
    alone: bool
    alone_at: int | None
    runner: Callable[[int], int] | None

    def is_done(self) -> bool:
        """Whether the last call came to its last step, if that is a native one."""
        last = self.segments[-1] if self.segments else None
        return isinstance(last, Stretch) and bool(last.head[DONE])

    def starts(self) -> None:
        """A call begins: it is not done."""
        last = self.segments[-1] if self.segments else None
        if isinstance(last, Stretch):
            last.head[DONE] = 0


def tables_of(
    steps: Sequence[Step | HostStep | Check],
    addresses: Addresses,
    slots: Any,
    prepared: int,
    device: Device,
) -> Tables:
    """The tables of a program whose kernels have addresses.

    Args:
        slots: the words where the addresses of inputs and results will be.
        prepared: how many steps at the front are run only when a fixed input has changed.
    """
    native = [step for step in steps if not isinstance(step, HostStep)]
    arguments, starts, patches = _arguments(native, addresses, device)
    base = ctypes.addressof(arguments)
    rows = words_of(
        [
            w
            for step, at in zip(native, starts, strict=True)
            for w in _row(step, base + 8 * at, device)
        ]
    )
    flat = words_of(
        [word for at, slot, offset in patches for word in (base + 8 * at, slot, offset)]
    )

    def stretch(first: int, count: int) -> list[Stretch]:
        if not count:
            return []
        head = head_of(
            ctypes.addressof(rows) + STEP_BYTES * first, count, ctypes.addressof(flat), len(patches),
            ctypes.addressof(slots), device.signals(),
        )  # fmt: skip
        return [Stretch(head, ctypes.addressof(head), first)]

    preparation = next(iter(stretch(0, prepared)), None)
    segments: list[Stretch | HostStep] = []
    begin = number = prepared
    for step in steps[prepared:]:
        if isinstance(step, HostStep):
            segments += [*stretch(begin, number - begin), step]
            begin = number
        else:
            number += 1
    segments += stretch(begin, number - begin)
    alone = all(step.call.chunk == 0 for step in native if isinstance(step, Step))
    alone_at = runner = None
    if (
        alone
        and len(segments) == 1
        and isinstance(segments[0], Stretch)
        and isinstance(device, Host)
    ):
        alone_at, runner = segments[0].address, device.quick_runner()
    return Tables(
        arguments, rows, flat, len(patches), segments, preparation, alone, alone_at, runner
    )


def _row(step: Step | Check, arguments: int, device: Device) -> tuple[int, int, int, int]:
    """A step as the device takes it."""
    if isinstance(step, Check):
        return 0, arguments, 0, 0
    call = step.call
    return device.address_of(call.kernel), arguments, call.total, call.chunk


def _arguments(
    steps: Sequence[Step | Check], addresses: Addresses, device: Device
) -> tuple[Any, list[int], list[tuple[int, int, int]]]:
    """The words of all calls, where those of each step begin, and which words are patched from which slots."""
    words: list[int] = []
    patches: list[tuple[int, int, int]] = []

    def add(places: Sequence[tuple[int, int]], numbers: bytes) -> int:
        words.extend((len(places), 0))
        start = len(words)
        for buffer, offset in places:
            slot, address = addresses.of(buffer, offset)
            if slot is not None:
                patches.append((len(words), slot, address))
            words.append(0 if slot is not None else address)
        words.extend(struct.unpack(f"<{len(numbers) // 8}q", numbers))
        return start

    starts: list[int] = []
    epilogues: list[tuple[Epilogue, int, int, int]] = []
    for step in steps:
        if isinstance(step, Check):
            starts.append(add((step.place,), b""))
            continue
        starts.append(add(step.places, numbers_of(step.call, device)))
        if step.epilogue is not None:
            own = add(step.epilogue_places, step.epilogue.numbers)
            epilogues.append((step.epilogue, starts[-1], own, len(words) - own))
    found = words_of(words)
    base = ctypes.addressof(found)
    for epilogue, start, own, count in epilogues:
        found[start - 1] = base + 8 * own
        end = own - BEFORE  # the last words of a product's arguments
        found[end - 3 : end] = device.address_of(epilogue.kernel), base + 8 * own, count
    return found, starts, patches

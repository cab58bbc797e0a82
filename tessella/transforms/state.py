"""What a program keeps between its calls: the tensors it reads from its surroundings and writes to.

A tensor that the program rebinds is written in place, into the memory it has, as long as nobody else
holds that memory (`tessella.transforms.places`). Then the next call takes no allocation and no look at
any tensor: the program is *settled*. If somebody does hold it, the tensor gets fresh memory, and the
other one keeps what it saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tessella.backends.array import Array, Layout
from tessella.backends.cpu.buffers import allocate
from tessella.backends.cpu.watch import Watch
from tessella.compiler.program import Program
from tessella.compiler.steps import RESULT_BUFFER, Check, HostStep
from tessella.tensors.tensor import Tensor
from tessella.transforms.places import Place, is_watchable, may_write_over


class State:
    """The surroundings of one program.

    Args:
        first: the number of the first input that comes from the surroundings.
        reads: what these inputs are.
        layouts: the layouts the program was made for; None for a gradient that was not there.
        fixed: the reads from which the program computes something only once.
        writes: what the program rebinds, and the numbers of the outputs that it becomes.
        dropped: tensors whose gradients it takes away.
    """

    def __init__(
        self,
        program: Program,
        first: int,
        reads: Sequence[Place],
        layouts: Sequence[Layout | None],
        fixed: Sequence[Place],
        writes: Sequence[tuple[Place, int]],
        dropped: Sequence[Tensor],
    ) -> None:
        self.program, self.first = program, first
        self.reads, self.layouts = list(reads), list(layouts)
        self.writes, self.dropped = list(writes), list(dropped)
        self.slots = self._slots_of_their_own([number for _, number in self.writes])
        written = {place for place, _ in self.writes}
        self.fixed = {*fixed} if program.preparation is not None else set()
        self.places = [(p, p in written) for p in dict.fromkeys([*self.reads, *written])]
        # a gradient that was not there when the program was made must not be there again
        vanishes = any(x is None and p in written for p, x in zip(reads, layouts, strict=True))
        # what may raise an exception (a debugger is left, an index is out of range) once something has
        # been written: then no tensor is to have changed, so everything goes to fresh memory
        allowed = may_write_over() or not self.writes
        self.writes_in_place = allowed and not self._may_stop_half_way()
        self.can_settle = None not in self.slots and not vanishes and self.writes_in_place
        self.valid = [False]  # whether all places are as they were left; they take it back
        self.watch: Watch | None = None
        self._sort_outputs({number for _, number in self.writes})

    def _slots_of_their_own(self, outputs: Sequence[int]) -> list[int | None]:
        """The result slot of each output; None if it has none, or shares it with another."""
        found: list[int | None] = []
        for number in outputs:
            location = self.program.results[number]
            buffer = self.program.buffers[location.buffer]
            own = buffer.kind == RESULT_BUFFER and location.offset == 0
            found.append(buffer.number if own else None)
        times = Counter(found)
        return [slot if times[slot] == 1 else None for slot in found]

    def _may_stop_half_way(self) -> bool:
        """Whether the program can raise an exception after it has written into a tensor's memory."""
        program, written = self.program, False
        kept = {program.result_buffers[slot] for slot in self.slots if slot is not None}
        for step in program.steps[program.prepared :]:
            native = isinstance(step, HostStep) and step.runner and not step.runner.may_stop
            if written and isinstance(step, (Check, HostStep)) and not native:
                return True
            written |= not kept.isdisjoint(step.writes)
        return False

    def _sort_outputs(self, kept: set[int]) -> None:
        """Which results take fresh memory at every call, and which outputs are shown in them."""
        program = self.program
        mine = {*self.slots}
        free = [slot for slot in range(len(program.result_buffers)) if slot not in mine]
        first = len(program.layouts)
        self.free = [
            (first + slot, program.buffers[program.result_buffers[slot]].nbytes) for slot in free
        ]
        self.shown: list[tuple[int, int, int, Layout]] = []  # output, its memory, offset, layout
        self.others: list[int] = []  # outputs that are inputs, constants or kept memory
        for number, location in enumerate(program.results):
            buffer = program.buffers[location.buffer]
            if number in kept:
                continue
            if buffer.kind == RESULT_BUFFER and buffer.number in free:
                self.shown.append(
                    (number, free.index(buffer.number), location.offset, location.layout)
                )
            else:
                self.others.append(number)

    def is_settled(self) -> bool:
        """Whether all memory is where the last call left it, and nobody else holds what is written."""
        if not self.valid[0] or self.program.user is not self:
            return False
        if self.watch is not None:
            return self.watch.holds()
        return all(place.is_as_it_was(written) for place, written in self.places)

    def run(
        self, arguments: Sequence[Array], numbers: Sequence[Array], settled: bool
    ) -> Sequence[Any]:
        """Run the program; gives its outputs, and lets the surroundings hold theirs."""
        program = self.program
        if not settled:
            return self._settle(arguments, numbers)
        slots = program._slots
        for number, array in enumerate(arguments):
            slots[number] = array.address
        if numbers:
            for number, array in enumerate(numbers, start=len(program.layouts) - len(numbers)):
                slots[number] = array.address
        blocks = []
        for slot, nbytes in self.free:
            block = allocate(nbytes)
            slots[slot] = block.address
            blocks.append(block)
        program.execute()
        for tensor in self.dropped:
            tensor._grad = None
        outputs: list[Any] = [None] * len(program.results)
        for number, at, offset, layout in self.shown:
            outputs[number] = Array(blocks[at], blocks[at].address + offset, layout)
        if self.others:
            self._show_others(outputs, arguments, numbers)
        return outputs

    def _show_others(
        self, outputs: list[Any], arguments: Sequence[Array], numbers: Sequence[Array]
    ) -> None:
        inputs = [*arguments, *self._inner(), *numbers]
        fresh: list[Any] = [None] * len(self.program.result_buffers)
        for (place, _), slot in zip(self.writes, self.slots, strict=True):
            if slot is not None:
                fresh[slot] = place.array.buffer
        for number in self.others:
            outputs[number] = self.program.output(number, inputs, fresh)

    def _inner(self) -> list[Any]:
        """The inputs from the surroundings."""
        return [array for array in (place.now() for place in self.reads) if array is not None]

    def _settle(self, arguments: Sequence[Array], numbers: Sequence[Array]) -> Sequence[Any]:
        """Look at every tensor, give memory to what needs it, run, and remember where all is."""
        program = self.program
        targets = [self._target(i) for i in range(len(self.writes))]
        for place, _ in self.writes:
            place.written()
        inputs = [*arguments, *self._inner(), *numbers]
        program.set_inputs(inputs)
        fresh = program.fresh_results(
            {
                slot: array.buffer
                for slot, array in zip(self.slots, targets, strict=True)
                if array is not None
            }
        )
        program.prepare()
        program.execute()
        outputs: list[Any] = [
            program.output(number, inputs, fresh) for number in range(len(program.results))
        ]
        for (place, number), target in zip(self.writes, targets, strict=True):
            place.put(target or outputs[number])
            outputs[number] = None
        for tensor in self.dropped:
            tensor._grad = None
        self._remember()
        return outputs

    def _target(self, number: int) -> Array | None:
        """Where an output goes: the memory that its tensor has, or None."""
        place, output = self.writes[number]
        if self.slots[number] is None or not self.writes_in_place:
            return None
        return place.own(self.program.results[output].layout)

    def _remember(self) -> None:
        """Write down what the next call may rely on."""
        self.valid[0] = False
        for place, _ in self.places:
            place.remember()
        as_before = all(
            place.array is None if layout is None else getattr(place.array, "layout", 0) is layout
            for place, layout in zip(self.reads, self.layouts, strict=True)
        )
        concrete = all(
            place.array is None or type(place.array) is Array for place, _ in self.places
        )
        if not (self.can_settle and as_before and concrete):
            return
        for place, written in self.places:
            place.rely(self.valid, written, place in self.fixed)
        if is_watchable():
            self.watch = Watch([word for p, written in self.places for word in p.words(written)])
        self._point_at_places()
        self.program.user = self
        self.valid[0] = True

    def _point_at_places(self) -> None:
        """Let slots point at what the tensors hold now, inputs and results alike."""
        slots, first = self.program._slots, len(self.program.layouts)
        inner = [place.array for place in self.reads if place.array is not None]
        for number, array in enumerate(inner, start=self.first):
            slots[number] = array.address
        for (place, _), slot in zip(self.writes, self.slots, strict=True):
            assert slot is not None
            slots[first + slot] = place.array.address

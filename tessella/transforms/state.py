"""What a program keeps between its calls: the tensors it reads from its surroundings and writes to.

A tensor that the program rebinds is written in place, into the memory it has, as long as nobody else
holds that memory (`tessella.transforms.places`). Then the next call takes no allocation and no look at
any tensor: the program is *settled*. If somebody does hold it, the tensor gets fresh memory, and the
other one keeps what it saw. While the program runs, other threads wait where they ask for the memory of what
it rebinds (`tessella.devices.writing`).
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from tessella import forking
from tessella.compiler.observe import settings
from tessella.compiler.program import Program
from tessella.compiler.steps import RESULT_BUFFER, Check, HostStep
from tessella.compiler.tables import Stretch
from tessella.devices.array import Array, Layout
from tessella.devices.host import Watch
from tessella.devices.registry import host
from tessella.devices.table import MAY_STOP
from tessella.devices.words import CHANGED, is_set
from tessella.devices.writing import Writing, Written, stored_address
from tessella.errors import SideEffectError
from tessella.tensors.tensor import Tensor
from tessella.transforms.places import Place, is_watchable, may_write_over

_SMALL = 4096  # bytes of a result that may share a block with others
_APART = 64  # bytes, as far as blocks are aligned


class State:
    """The surroundings of one program.

    Args:
        first: the number of the first input that comes from the surroundings.
        reads: what these inputs are.
        layouts: the layouts the program was made for; None for a gradient that was not there.
        fixed: the reads from which the program computes something only once.
        writes: what the program rebinds, and the numbers of the outputs that it becomes.
        dropped: tensors whose gradients it takes away.
        hidden: the outputs that only the gradient needs: small ones share a block of memory.
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
        hidden: frozenset[int] = frozenset(),
    ) -> None:
        self.program, self.first = program, first
        self.reads, self.layouts = list(reads), list(layouts)
        self.writes, self.dropped = list(writes), list(dropped)
        self.slots = self._slots_of_their_own([number for _, number in self.writes])
        written = {place for place, _ in self.writes}
        self.fixed = {*fixed} if program.tables.preparation is not None else set()
        self.places = [(p, p in written) for p in dict.fromkeys([*self.reads, *written])]
        # a gradient that was not there when the program was made must not be there again
        vanishes = any(x is None and p in written for p, x in zip(reads, layouts, strict=True))
        # what may raise an exception (a debugger is left, an index is out of range) once something has
        # been written: then no tensor is to have changed, so everything goes to fresh memory
        allowed = may_write_over() or not self.writes
        self.writes_in_place = allowed and not self._may_stop_half_way()
        self.can_settle = None not in self.slots and not vanishes and self.writes_in_place
        # whether all places are as they were left; they take it back
        self.valid = (ctypes.c_int64 * 1)(0)
        self.watch: Watch | None = None
        self.watch_of_holder: Watch | None = None  # the same, for who holds the arrays
        self.writing: Writing | None = None
        self.written: frozenset[int] = frozenset()  # ids of arrays
        if self.writes_in_place:
            self._let_signals_end_it_only_before_it_writes()
        free, first = self._free_slots(), len(program.layouts)
        self.free = [
            (first + slot, program.buffers[program.result_buffers[slot]].nbytes) for slot in free
        ]
        kept = {number for _, number in self.writes}
        outputs = [number for number in range(len(program.results)) if number not in kept]
        self.shown = list(self._shown(free, outputs))
        self._share(hidden)
        shown = {number for number, *_ in self.shown}
        # outputs that are inputs, constants or kept memory
        self.others = [number for number in outputs if number not in shown]

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
        """Whether the program can raise an exception after it has written into a tensor's memory.

        Whatever the host does can be ended by a signal, and so can loops, which may take for ever.
        """
        program, written = self.program, False
        for step in program.steps[program.prepared :]:
            writes = not self._kept_buffers().isdisjoint(step.writes)
            if written and isinstance(step, (Check, HostStep)):
                return True
            if writes and isinstance(step, HostStep):
                return True
            written |= writes
        return False

    def _kept_buffers(self) -> set[int]:
        """The buffers of results that tensors around the program come to hold."""
        return {self.program.result_buffers[slot] for slot in self.slots if slot is not None}

    def _let_signals_end_it_only_before_it_writes(self) -> None:
        """Tensors are to be as they were, or all of them new: so the first one that is written is the last."""
        program, kept = self.program, self._kept_buffers()
        last = program.tables.segments[-1] if program.tables.segments else None
        if not isinstance(last, Stretch):
            return
        head, _, first = last
        for number, step in enumerate(program.native_steps[first:]):
            if not kept.isdisjoint(step.writes):
                head[MAY_STOP] = number
                return

    def _free_slots(self) -> list[int]:
        """The results that take fresh memory at every call."""
        mine = {*self.slots}
        return [slot for slot in range(len(self.program.result_buffers)) if slot not in mine]

    def _shown(
        self, free: list[int], outputs: Iterable[int]
    ) -> Iterator[tuple[int, int, int, Layout]]:
        """Of some outputs those that lie in fresh memory: which one, in which, how far in, and with which layout."""
        for number in outputs:
            location = self.program.results[number]
            buffer = self.program.buffers[location.buffer]
            if buffer.kind == RESULT_BUFFER and buffer.number in free:
                yield number, free.index(buffer.number), location.offset, location.layout

    def _share(self, hidden: frozenset[int]) -> None:
        """Let small results that only the gradient needs lie in one block: to allocate each takes as long as to compute it.

        Nobody else sees them, so they go together.
        """
        of_others = {at for number, at, *_ in self.shown if number not in hidden}
        together = [
            at
            for at, (_, nbytes) in enumerate(self.free)
            if at not in of_others and nbytes <= _SMALL
        ]
        self.room, places = 0, dict[int, int]()
        for at in together if len(together) > 1 else ():
            places[at] = self.room
            self.room += -(-self.free[at][1] // _APART) * _APART
        self.placed = [(self.free[at][0], offset) for at, offset in places.items()]
        alone = [at for at in range(len(self.free)) if at not in places]
        self.shown = [
            (number, -1, places[at] + offset, layout) if at in places
            else (number, alone.index(at), offset, layout)
            for number, at, offset, layout in self.shown
        ]  # fmt: skip
        self.free = [self.free[at] for at in alone]

    def is_settled(self) -> bool:
        """Whether all memory is where the last call left it, and nobody else holds what is written."""
        if not self.valid[0] or self.program.user is not self:
            return False
        if self.watch is not None:
            return bool(self.watch.holds())
        return all(place.is_as_it_was(written) for place, written in self.places)

    def run(
        self, arguments: Sequence[Array], numbers: Sequence[Array], settled: bool
    ) -> Sequence[Any]:
        """Run the program; gives its outputs, and lets the surroundings hold theirs."""
        program = self.program
        if not settled:
            return self._settle(arguments, numbers)
        slots = program.slot_words
        for number, array in enumerate(arguments):
            slots[number] = array.address
        if numbers:
            for number, array in enumerate(numbers, start=len(program.layouts) - len(numbers)):
                slots[number] = array.address
        blocks, allocate = [], program.device.allocate
        for slot, nbytes in self.free:
            block = allocate(nbytes)
            slots[slot] = block.address
            blocks.append(block)
        if self.room:  # the last block
            block = allocate(self.room)
            base = block.address
            for slot, offset in self.placed:
                slots[slot] = base + offset
            blocks.append(block)
        quick = (
            program.tables.alone_at is not None
            and not settings.observers
            and self.watch is not None
        )
        if not (self._execute_quickly() if quick else self._execute_taken()):
            return self._settle(arguments, numbers)  # another thread was faster
        outputs: list[Any] = [None] * len(program.results)
        for number, at, offset, layout in self.shown:
            outputs[number] = Array(blocks[at], blocks[at].address + offset, layout)
        if self.others:
            self._show_others(outputs, arguments, numbers)
        return outputs

    def _execute_quickly(self) -> bool:
        """Look once more and run, in one call that keeps the interpreter lock; whether all was as it was."""
        program = self.program
        address = program.tables.alone_at
        assert self.watch is not None
        assert address is not None
        try:
            stopped = self.watch.run(address)
            if stopped == CHANGED:
                return False
            if stopped:
                program.complain(program.native_steps[program.prepared + stopped - 1])
            self._drop_gradients()
        except BaseException:
            if program.tables.is_done():  # a signal came behind the last step
                self._drop_gradients()
            raise
        return True

    def _execute_taken(self) -> bool:
        """Take what is written, if all is as it was, and run while other threads go on; whether it was."""
        program, writing = self.program, self.writing or Writing()
        program.tables.starts()
        with forking.writing.section():
            try:
                try:
                    if not self._takes(writing):
                        return False
                    program.execute()
                    self._drop_gradients()
                except BaseException:
                    if program.tables.is_done():
                        self._drop_gradients()
                    raise
                finally:
                    writing.end()
            finally:  # again, for a Ctrl-C in the first one
                writing.end()
        return True

    def _takes(self, writing: Writing) -> bool:
        if self.watch_of_holder is not None:
            arrays = [place.array for place, _ in self.places if place.array is not None]
            return writing.begin(arrays, self.written, self.watch_of_holder)
        written = [place.array for place, is_written in self.places if is_written]
        if not writing.take(written):
            return False
        return bool(self.valid[0]) and all(
            place.is_as_it_was(written, held_by_program=1) for place, written in self.places
        )

    def _drop_gradients(self) -> None:
        for tensor in self.dropped:
            tensor._grad = None

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
        """Take every tensor, give memory to what needs it, run, and remember where all is."""
        self.valid[0] = False
        self.program.tables.starts()
        with forking.writing.section():
            writing = Writing()
            try:
                try:
                    outputs = self._run_taken(writing, arguments, numbers)
                finally:
                    writing.end()
            finally:  # again, for a Ctrl-C in the first one
                writing.end()
        self._remember()
        return outputs

    def _run_taken(
        self, writing: Writing, arguments: Sequence[Array], numbers: Sequence[Array]
    ) -> Sequence[Any]:
        program = self.program
        read = self._take(writing, arguments)
        targets = [self._target(i) for i in range(len(self.writes))]
        for place, _ in self.writes:
            place.written()
        inner = [x or now for x, now in zip_longest(read, self._inner())]
        self._check_layouts(inner)
        inputs = [*arguments, *inner, *numbers]
        program.set_inputs(inputs, stored_address)
        given = zip(self.slots, targets, strict=True)
        fresh = program.fresh_results({slot: x.buffer for slot, x in given if x is not None})
        is_done = False
        try:
            program.prepare()
            program.execute()
            is_done = True
            return self._publish(inputs, fresh, targets)
        except BaseException:
            if (
                is_done or program.tables.is_done()
            ):  # a signal came behind the last step: nothing is left half done
                self._publish(inputs, fresh, targets)
            raise

    def _take(self, writing: Writing, arguments: Sequence[Array]) -> list[Any]:
        """Take what the program writes, of the same moment as what it reads; gives the arrays that are only read.

        What is read is waited for, and held: from then on it stays as it is.
        """
        while True:
            inner, held = self._inner(), [place.candidate() for place, _ in self.writes]
            written = [array for array in held if isinstance(array, Array)]
            for array in (*arguments, *inner, *written):
                array.address  # noqa: B018  # waits
            if writing.take(written):
                now, held_now = self._inner(), [place.candidate() for place, _ in self.writes]
                if [*map(id, (*inner, *held))] == [*map(id, (*now, *held_now))]:
                    return [None if id(array) in writing.ids else array for array in inner]
                writing.end()

    def _check_layouts(self, inner: Sequence[Any]) -> None:
        expected = [layout for layout in self.layouts if layout is not None]
        if [getattr(array, "layout", None) for array in inner] != expected:
            raise SideEffectError(
                f"{self.program.name}: another thread gave a captured tensor another shape or dtype, or a "
                "gradient, while the function was being called; let only one thread do that, and call it again"
            )

    def _publish(
        self, inputs: Sequence[Any], fresh: Sequence[Any], targets: Sequence[Array | None]
    ) -> Sequence[Any]:
        """Let the surroundings hold the outputs that are theirs, and give the others; may be done twice."""
        program = self.program
        outputs: list[Any] = [
            program.output(number, inputs, fresh) for number in range(len(program.results))
        ]
        for (place, number), target in zip(self.writes, targets, strict=True):
            place.put(target or outputs[number])
            outputs[number] = None
        self._drop_gradients()
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
        if not self.can_settle:
            return
        self.valid[0] = True  # first: whoever changes a place from here on takes it back
        for place, written in self.places:
            place.rely(self.valid, written, place in self.fixed)
        as_before = all(
            place.array is None if layout is None else getattr(place.array, "layout", 0) is layout
            for place, layout in zip(self.reads, self.layouts, strict=True)
        )
        concrete = all(
            place.array is None or isinstance(place.array, Array) for place, _ in self.places
        )
        if not (as_before and concrete):
            self.valid[0] = False
            return
        self.program.user = self
        self._point_at_places()
        if is_watchable():
            self._watch_places()

    def _watch_places(self) -> None:
        """Write down what must be as it is when the program begins."""
        flag, places = is_set(self.valid), self.places
        words = [word for p, written in places for word in p.words(written)]
        self.watch = host().watch([flag, *words])
        if self.program.tables.alone_at is not None:
            return
        words = [word for p, written in places for word in p.words(written, held_by_program=1)]
        self.watch_of_holder = host().watch([flag, *words])
        self.written = frozenset([id(p.array) for p, written in places if written])
        self.writing = Writing(host().taken([*self.written], Array, Written))

    def _point_at_places(self) -> None:
        """Let slots point at what the tensors hold now, inputs and results alike."""
        slots, first = self.program.slot_words, len(self.program.layouts)
        inner = [place.array for place in self.reads if place.array is not None]
        for number, array in enumerate(inner, start=self.first):
            slots[number] = array.address
        for (place, _), slot in zip(self.writes, self.slots, strict=True):
            assert slot is not None
            slots[first + slot] = place.array.address

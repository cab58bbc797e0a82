"""What a program keeps between its calls: the tensors it reads from its surroundings and writes to.

A tensor that the program rebinds is written in place, into the memory it has, as long as nobody else
holds that memory: then calling the program again takes no allocation and no look at any tensor. Whether
somebody does is a matter of counting references: a second tensor on the same array, a view, or a NumPy
array made from it each hold one more. If so, the tensor gets fresh memory and the other one keeps
what it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

from tessella.backends.array import Array
from tessella.backends.cpu.buffers import allocate
from tessella.compiler.program import Program
from tessella.tensors.tensor import Tensor, _make


class State:
    """The surroundings of one program.

    Args:
        first: the number of the program's first captured input.
        captured: the tensors it reads, in the order of the inputs.
        gradients: tensors whose gradients it reads; they follow.
        rebound: tensors it gives other data, and the numbers of the outputs that these are.
        new_gradients: tensors whose `grad` it sets, and the outputs, or None.
    """

    def __init__(
        self,
        program: Program,
        first: int,
        captured: Sequence[Tensor],
        gradients: Sequence[Tensor],
        rebound: Sequence[tuple[Tensor, int]],
        new_gradients: Sequence[tuple[Tensor, int | None]],
    ) -> None:
        self.program, self.first = program, first
        self.captured, self.gradients = list(captured), list(gradients)
        self.rebound = list(rebound)
        self.set_gradients = [(t, number) for t, number in new_gradients if number is not None]
        self.dropped_gradients = [t for t, number in new_gradients if number is None]
        self.slots = {number: self._slot(number) for _, number in self.rebound}
        self.gradient_slots = [self._slot(number) for _, number in self.set_gradients]
        kept = {*self.slots.values(), *self.gradient_slots}
        self.free_slots = [
            (slot, program.buffers[buffer].nbytes)
            for slot, buffer in enumerate(program.result_buffers)
            if slot not in kept
        ]
        # an effect may raise an exception (a debugger is left): then no tensor is to have changed
        self.writes_in_place = not any(n.primitive.has_effect for n in program.graph.nodes)
        self._forget()

    def _forget(self) -> None:
        self.known: list[Any] = []  # the arrays that the captured tensors held last
        self.known_gradients: list[Any] = []
        self.inner_inputs: list[Any] = []
        self.fresh: list[Any] = []  # the buffer of each result slot; None: a new one for every call
        self.held: list[Any] = []  # what must be held by nobody else, and how often we hold it
        self.expected: list[int] = []

    def _slot(self, output: int) -> int | None:
        """The result slot of an output of the program, if it has one of its own."""
        location = self.program.results[output]
        buffer = self.program.buffers[location.buffer]
        return buffer.number if buffer.kind == "result" and location.offset == 0 else None

    def is_unchanged(self) -> bool:
        """Whether every captured tensor holds what the last call left in it."""
        return bool(self.known) and [t._value for t in self.captured] == self.known

    def run(self, arguments: Sequence[Array], numbers: Sequence[Array]) -> list[Array]:
        """Run the program; gives its outputs, and lets the surroundings hold theirs."""
        program = self.program
        with program.lock:
            if not self._is_settled():
                return self._settle(arguments, numbers)
            slots = program._slots
            for number, array in enumerate(arguments):
                slots[number] = array.address
            last = len(program.layouts) - len(numbers)
            for number, array in enumerate(numbers, start=last):
                slots[number] = array.address
            fresh = self.fresh
            first = len(program.layouts)
            for slot, nbytes in self.free_slots:
                made = allocate(nbytes)
                slots[first + slot] = made.address
                fresh[slot] = made
            inputs = [*arguments, *self.inner_inputs, *numbers]
            program.execute()
            outputs: list[Any] = [None] * len(program.results)
            for number in self.shown:
                outputs[number] = program.output(number, inputs, fresh)
            return outputs

    def _is_settled(self) -> bool:
        """Whether all memory is where the last call left it, and nobody else holds what is written."""
        if not self.known or self.gradients or self.dropped_gradients:
            return False
        if [t._value for t in self.captured] != self.known:
            return False
        if [t._grad for t, _ in self.set_gradients] != self.known_gradients:
            return False
        return list(map(getrefcount, self.held)) == self.expected

    def _settle(self, arguments: Sequence[Array], numbers: Sequence[Array]) -> list[Array]:
        """Look at every tensor, give memory to what needs it, run, and remember where all is."""
        program = self.program
        self._forget()
        inner = [t._value for t in self.captured]
        inner += [t._grad._value for t in self.gradients if t._grad is not None]
        inputs = [*arguments, *inner, *numbers]
        for number, array in enumerate(inputs):
            program._slots[number] = array.address
        del inner
        fresh: list[Any] = [None] * len(program.result_buffers)
        for tensor, number in self.rebound:
            slot = self.slots[number]
            value = tensor._value
            mine = type(value) is Array and value.layout is program.results[number].layout
            # this function holds the array twice (here and in `inputs`), the tensor once
            if (
                slot is not None
                and mine
                and self.writes_in_place
                and getrefcount(value) == 4
                and getrefcount(value.buffer) == 2
            ):
                fresh[slot] = value.buffer
            del value
        for slot, buffer in enumerate(program.result_buffers):
            if fresh[slot] is None:
                fresh[slot] = allocate(program.buffers[buffer].nbytes)
            program._slots[len(program.layouts) + slot] = fresh[slot].address
        program.prepare()
        program.execute()
        outputs = [program.output(number, inputs, fresh) for number in range(len(program.results))]
        for tensor, number in self.rebound:
            tensor._value = outputs[number]
        for tensor in self.dropped_gradients:
            tensor._grad = None
        for tensor, number in self.set_gradients:
            tensor._grad = _make(outputs[number], None, 0)
        kept = {number for _, number in self.rebound} | {n for _, n in self.set_gradients}
        self.shown = set(range(len(outputs))) - kept
        shown = [array if number in self.shown else None for number, array in enumerate(outputs)]
        del outputs, inputs, fresh
        self._remember()
        return shown  # type: ignore[return-value]

    def _remember(self) -> None:
        """Write down what the next call may rely on."""
        if not self.writes_in_place:
            return
        slots = [*self.slots.values(), *self.gradient_slots]
        distinct = [slot for slot in slots if slot is not None]
        if len(distinct) != len(slots) or len(set(distinct)) != len(distinct):
            return
        self.fresh = [None] * len(self.program.result_buffers)
        self.inner_inputs = [t._value for t in self.captured]
        self.known_gradients = [t._grad for t, _ in self.set_gradients]
        written = [tensor._value for tensor, _ in self.rebound]
        written += [g._value for g in self.known_gradients]
        array: Array | None
        for slot, array in zip(distinct, written, strict=True):
            self.fresh[slot] = array.buffer
        self.known = self.inner_inputs
        # arrays, their buffers, and the tensors that are gradients
        self.held = [*written, *[array.buffer for array in written], *self.known_gradients]
        first = len(self.program.layouts)
        for slot, array in zip(distinct, written, strict=True):
            self.program._slots[first + slot] = array.address
        for number, array in enumerate(self.inner_inputs, start=self.first):
            self.program._slots[number] = array.address
        array = None  # only what stays is to be counted
        del written
        self.expected = list(map(getrefcount, self.held))

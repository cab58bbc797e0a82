"""What recurrent layers compute: cells, and their recurrences along a sequence.

A recurrence is one loop that keeps what its gates were given. Its gradient is one loop from the last place to the
first, which gives the gradients of what went into the gates; those of the weights are products over all places
after it. Both loops are compiled, without a trace around, too: there once for all sizes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tessella.arguments.precision import by_table
from tessella.nn.functional.activations import relu, sigmoid, tanh
from tessella.nn.functional.linear import linear
from tessella.nn.functional.loops import Loop
from tessella.tensors.elementwise import where
from tessella.tensors.linear import matmul
from tessella.tensors.manipulation import expand_dims, reshape
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once
from tessella.transforms.control import scan
from tessella.transforms.reverse_mode import vjp

Tensors = tuple[Tensor, ...]


class Cell(NamedTuple):
    """One step of a recurrent network, behind its products.

    Args:
        gates: how many times as large as a state what goes into the gates is.
        after: the states after a step, from what goes into the gates and the states before it. What goes into the gates is
            a tuple: the sum of the products with the input and with the state or, unless they are only `summed`, both.
    """

    name: str
    gates: int
    states: int
    after: Callable[[Tensors, Tensors], Tensors]
    summed: bool = True

    def inputs(self, of_input: Tensor, of_state: Tensor) -> Tensors:
        """What goes into the gates."""
        return (of_input + of_state,) if self.summed else (of_input, of_state)


class Weights(NamedTuple):
    """What the state is multiplied by, and what makes it smaller, if it does."""

    of_state: Tensor  # (gates · H, R)
    bias: Tensor | None  # (gates · H,)
    projection: Tensor | None  # (R, H)


def _parts(x: Tensor, count: int) -> list[Tensor]:
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]


def _plain(activation: Callable[[Tensor], Tensor], gates: Tensors, states: Tensors) -> Tensors:
    return (activation(gates[0]),)


def _lstm(gates: Tensors, states: Tensors) -> Tensors:
    i, f, g, o = _parts(gates[0], 4)
    c = sigmoid(f) * states[1] + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def _gru(gates: Tensors, states: Tensors) -> Tensors:
    (r, z, n), (r_of_state, z_of_state, n_of_state) = (_parts(x, 3) for x in gates)
    z = sigmoid(z + z_of_state)
    n = tanh(n + sigmoid(r + r_of_state) * n_of_state)
    return ((1 - z) * n + z * states[0],)


CELLS = {
    cell.name: cell
    for cell in (
        Cell("RNN_TANH", 1, 1, functools.partial(_plain, tanh)),
        Cell("RNN_RELU", 1, 1, functools.partial(_plain, relu)),
        Cell("LSTM", 4, 2, _lstm),
        Cell("GRU", 3, 1, _gru, summed=False),
    )
}


class Parameters(NamedTuple):
    """Those of a layer in one direction, or of a cell."""

    of_input: Tensor  # (gates · H, I)
    of_state: Tensor  # (gates · H, R)
    bias_of_input: Tensor | None
    bias_of_state: Tensor | None
    projection: Tensor | None = None  # (R, H)

    def products(self, cell: Cell, x: Tensor) -> tuple[Tensor, Weights]:
        """Those with the input, and what states are multiplied by; where all is summed up, so are the biases."""
        bias, of_state = self.bias_of_input, self.bias_of_state
        if bias is not None and of_state is not None and cell.summed:
            bias, of_state = bias + of_state, None
        return linear(x, self.of_input, bias), Weights(self.of_state, of_state, self.projection)


_PARAMETERS = len(Parameters._fields)


@at_once
def of_cell(mode: str, x: Tensor, *tensors: Any) -> Tensors:
    """The states of a cell after one step.

    Args:
        tensors: the parameters, then the states.

    Shapes: x (..., I), states (..., R) and (..., H) -> like the states.
    """
    cell, parameters = CELLS[mode], Parameters(*tensors[:_PARAMETERS])
    of_input, weights = parameters.products(cell, x)
    return step(cell, of_input, tensors[_PARAMETERS:], weights)


@at_once
def of_layer(
    mode: str, reverse: bool, x: Tensor, is_there: Tensor | None, *tensors: Any
) -> tuple[Tensor, Tensors]:
    """The outputs of a layer in one direction, and its last states; the products with the input are one for all places.

    Args:
        tensors: the parameters, then the states at the beginning.

    Shapes: x (L, N, I), states (N, R) and (N, H), is_there (L, N) -> (L, N, R), and states.
    """
    cell, parameters = CELLS[mode], Parameters(*tensors[:_PARAMETERS])
    of_inputs, weights = parameters.products(cell, x)
    return recurrence(cell, of_inputs, tensors[_PARAMETERS:], weights, reverse, is_there)


@by_table
def step(cell: Cell, of_input: Tensor, states: Tensors, weights: Weights) -> Tensors:
    """The states after one step.

    Shapes: of_input (..., gates · H), states (..., R) and (..., H) -> likewise.
    """
    return _stepped(cell, of_input, states, weights)[0]


def _stepped(
    cell: Cell, of_input: Tensor, states: Tensors, weights: Weights
) -> tuple[Tensors, Tensors, Tensor]:
    """The states after one step, what went into the gates, and the output before it was made smaller."""
    gates = cell.inputs(of_input, linear(states[0], weights.of_state, weights.bias))
    output, *others = cell.after(gates, states)
    if weights.projection is None:
        return (output, *others), gates, output
    return (linear(output, weights.projection), *others), gates, output


@by_table
def recurrence(
    cell: Cell, of_inputs: Tensor, states: Tensors, weights: Weights, reverse: bool = False,
    is_there: Tensor | None = None,
) -> tuple[Tensor, Tensors]:  # fmt: skip
    """A cell at every place of a sequence: its outputs, and the last states.

    Args:
        of_inputs: the products of the inputs, for all places.
        reverse: from the last place to the first.
        is_there: whether a sequence has this place; where it has not, its states stay as they are.

    Shapes: of_inputs (L, N, gates · H), states (N, R) and (N, H), is_there (L, N) -> (L, N, R), and states.
    """
    found: tuple[Tensor, Tensors] = _loop(cell, reverse)(of_inputs, states, weights, is_there)
    return found


@functools.cache
def _loop(cell: Cell, reverse: bool) -> Loop:
    ways = (functools.partial(way, cell, reverse) for way in (_forward, _backward))
    return Loop("recurrence", *ways)


def _forward(
    cell: Cell, reverse: bool, of_inputs: Tensor, states: Tensors, weights: Weights, is_there: Tensor | None
) -> Any:  # fmt: skip
    """The outputs and last states, and what the gradient needs."""

    def turn(before: Tensors, place: Any) -> Any:
        of_input, there = place
        after, gates, output = _stepped(cell, of_input, before, weights)
        if there is not None:
            there = expand_dims(there, axis=-1)
            after = tuple(where(there, y, x) for x, y in zip(before, after, strict=True))
        return after, (after[0], before, gates, None if weights.projection is None else output)

    last, (outputs, *kept) = scan(turn, states, (of_inputs, is_there), reverse=reverse)
    return (outputs, last), (*kept, weights, is_there)


def _backward(cell: Cell, reverse: bool, kept: Any, cotangents: Any) -> Any:
    """The gradients of the arguments of `recurrence`, from those of what it gives."""
    before, gates, output, weights, is_there = kept

    def turn(after: Sequence[Tensor], place: Any) -> Any:
        given, before, gates, there = place
        whole = (after[0] + given, *after[1:])
        if there is not None:
            there = expand_dims(there, axis=-1)
            past, whole = (
                tuple(where(there, x, y) for x, y in zip(a, b, strict=True))
                for a, b in ((_zeros(whole), whole), (whole, _zeros(whole)))
            )
        output, *others = whole
        if weights.projection is not None:
            output = matmul(output, weights.projection)
        _, pullback = vjp(cell.after, gates, before)
        of_gates, (state, *rest) = pullback((output, *others))
        found = (state + matmul(of_gates[-1], weights.of_state), *rest)
        if there is not None:
            found = tuple(x + y for x, y in zip(found, past, strict=True))
        return found, (of_gates, None if weights.projection is None else whole[0])

    given, last = cotangents
    first, (of_gates, of_output) = scan(
        turn, tuple(last), (given, before, gates, is_there), reverse=not reverse
    )
    return (
        of_gates[0],
        first,
        _of_weights(weights, of_gates[-1], before[0], of_output, output),
        None,
    )


def _of_weights(
    weights: Weights, of_gates: Tensor, before: Tensor, of_output: Tensor | None, output: Tensor | None
) -> Weights:  # fmt: skip
    """Their gradients, as products over all places."""
    bias = None if weights.bias is None else of_gates.sum(axis=(0, 1))
    projection = None if of_output is None or output is None else _product(of_output, output)
    return Weights(_product(of_gates, before), bias, projection)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """(L, N, a) and (L, N, b) -> (a, b)."""
    x, y = (reshape(z, (z.shape[0] * z.shape[1], z.shape[2])) for z in (x, y))
    return matmul(x.mT, y)


def _zeros(xs: Sequence[Tensor]) -> Tensors:
    return tuple(x.new_zeros(x.shape) for x in xs)

"""Recurrent layers: a state goes along a sequence."""

from __future__ import annotations

import math
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, Probability, shown
from tessella.devices.registry import host
from tessella.errors import ArgumentTypeError, ShapeError
from tessella.nn import functional as F
from tessella.nn.init import uniform_
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.elementwise import sigmoid, tanh
from tessella.tensors.manipulation import concat, expand_dims, stack
from tessella.tensors.tensor import Tensor

States = tuple[Tensor, Tensor]
_OBJECTS = 4096  # bytes of the objects of Python that a layer is
_REVERSE = "_reverse"  # ends the names of what goes from the last place to the first


class LSTM(Module):
    """Long short-term memory: a state that gates protect, and an output at every place.

    i, f, g, o = W_ih x + b_ih + W_hh h + b_hh, in four parts
    c = sigmoid(f) c + sigmoid(i) tanh(g);  h = sigmoid(o) tanh(c)

    Shapes: input (L, N, I), or (N, L, I) with `batch_first`, or (L, I); states (layers · directions, N,
        H), or without N. Gives the outputs (..., directions · H) and the pair of last states.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the states do not fit.

    Source: Hochreiter & Schmidhuber, *Long short-term memory* (1997); Gers, Schmidhuber & Cummins,
        *Learning to forget* (2000).

    >>> import tessella as ts
    >>> layer = LSTM(3, 5)
    >>> outputs, (h, c) = layer(ts.ones((7, 2, 3)))
    >>> outputs.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, num_layers: Count = 1, bias: bool = True,
        batch_first: bool = False, dropout: Probability = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        directions = self._directions()
        reach = 1.0 / math.sqrt(hidden_size)
        of_a_layer = 16 * hidden_size * (1 + len(directions)) * hidden_size + _OBJECTS
        host().require_available(
            num_layers * len(directions) * of_a_layer
        )  # before the first is made
        for layer in range(num_layers):
            inside = input_size if layer == 0 else hidden_size * len(directions)
            for suffix in directions:
                shapes = {
                    "weight_ih": (4 * hidden_size, inside),
                    "weight_hh": (4 * hidden_size, hidden_size),
                }
                if bias:
                    shapes |= {"bias_ih": (4 * hidden_size,), "bias_hh": (4 * hidden_size,)}  # type: ignore[dict-item]
                for name, shape in shapes.items():
                    parameter = Parameter(empty(shape))
                    uniform_(parameter, -reach, reach)
                    self.register_parameter(f"{name}_l{layer}{suffix}", parameter)

    def _directions(self) -> tuple[str, ...]:
        return ("", _REVERSE) if self.bidirectional else ("",)

    @public
    def forward(self, x: Tensor, states: Any = None) -> tuple[Tensor, States]:
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"LSTM: shape {x.shape}; expected (L, N, {self.input_size}) or (L, {self.input_size})"
            )
        states = self._pair_of(states)
        single = x.ndim == 2
        if single:
            x = expand_dims(x, axis=1)
            states = None if states is None else tuple(expand_dims(s, axis=1) for s in states)
        elif self.batch_first:
            x = x.permute_dims((1, 0, 2))
        h, c = self._states(x, states)
        last: list[States] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._directions():
                number = len(last)
                y, state = self._pass(
                    x, h[number], c[number], f"_l{layer}{suffix}", suffix == _REVERSE
                )
                outputs.append(y)
                last.append(state)
            x = outputs[0] if len(outputs) == 1 else concat(outputs, axis=-1)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        h, c = stack([h for h, _ in last]), stack([c for _, c in last])
        if single:
            return x[:, 0], (h[:, 0], c[:, 0])
        return x.permute_dims((1, 0, 2)) if self.batch_first else x, (h, c)

    def _pair_of(self, states: Any) -> States | None:
        """The states at the beginning, if they are given."""
        if states is None:
            return None
        good = isinstance(states, (tuple, list)) and len(states) == 2
        if not good or not all(isinstance(state, Tensor) for state in states):
            raise ArgumentTypeError(
                f"LSTM: states is {shown(states)}; expected a pair of tensors (h, c), or None"
            )
        return states[0], states[1]

    def _states(self, x: Tensor, states: States | None) -> States:
        shape = (self.num_layers * len(self._directions()), x.shape[1], self.hidden_size)
        if states is None:
            return x.new_zeros(shape), x.new_zeros(shape)
        for name, state in zip("hc", states, strict=True):
            if state.shape != shape:
                raise ShapeError(
                    f"LSTM: the state {name} has shape {state.shape}; expected {shape}"
                )
        return states

    def _pass(
        self, x: Tensor, h: Tensor, c: Tensor, name: str, backwards: bool
    ) -> tuple[Tensor, States]:
        """One layer in one direction; the products with the input are one for all places."""
        bias_ih = getattr(self, f"bias_ih{name}") if self.bias else None
        bias_hh = getattr(self, f"bias_hh{name}") if self.bias else None
        inputs = F.linear(x, getattr(self, f"weight_ih{name}"), bias_ih)  # (L, N, 4H)
        weight = getattr(self, f"weight_hh{name}")
        places = range(x.shape[0])
        outputs: list[Tensor] = []
        for place in reversed(places) if backwards else places:
            gates = inputs[place] + F.linear(h, weight, bias_hh)
            n = self.hidden_size
            i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            h = sigmoid(o) * tanh(c)
            outputs.append(h)
        if backwards:
            outputs.reverse()
        return (stack(outputs) if outputs else inputs[..., : self.hidden_size]), (h, c)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bias={self.bias}, "
            f"batch_first={self.batch_first}, dropout={self.dropout}, bidirectional={self.bidirectional}"
        )

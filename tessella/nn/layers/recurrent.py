"""Recurrent layers: a state goes along a sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural, Probability, shown
from tessella.devices.registry import host
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.nn import functional as F
from tessella.nn.functional.recurrent import CELLS, Parameters, Tensors, of_cell, of_layer
from tessella.nn.init import uniform_
from tessella.nn.module import Module, Parameter
from tessella.nn.packing import PackedSequence, Packing
from tessella.tensors.creation import empty
from tessella.tensors.manipulation import concat, expand_dims, stack
from tessella.tensors.tensor import Tensor

States = tuple[Tensor, Tensor]
_OBJECTS = 4096  # bytes of the objects of Python that a layer is
_REVERSE = "_reverse"  # ends the names of what goes from the last place to the first
_NONLINEARITIES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}


class RNNBase(Module):
    """What recurrent layers have in common; `RNN`, `LSTM` and `GRU` say which cell it is.

    Args:
        mode: the cell: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
        num_layers: how many there are, each of which is given the outputs of the one before.
        bias: whether there are biases.
        batch_first: whether input and outputs are (N, L, ...) and not (L, N, ...).
        dropout: what share of the outputs of each layer but the last is dropped in training.
        bidirectional: whether there is a second recurrence in each layer, from the last place to the first.
        proj_size: the size of the outputs, if they are made smaller (`LSTM` alone).
    """

    @public
    def __init__(
        self, mode: str, input_size: Count, hidden_size: Count, num_layers: Count = 1, bias: bool = True,
        batch_first: bool = False, dropout: Probability = 0.0, bidirectional: bool = False, proj_size: Natural = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        _require_cell(type(self).__name__, mode)
        if proj_size and (mode != "LSTM" or proj_size >= hidden_size):
            expected = (
                f"a number below hidden_size, which is {hidden_size}"
                if mode == "LSTM"
                else "0: LSTM alone has it"
            )
            raise ArgumentError(
                f"{type(self).__name__}: proj_size is {proj_size}; expected {expected}"
            )
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.proj_size = dropout, bidirectional, proj_size
        gates, output = CELLS[mode].gates * hidden_size, proj_size or hidden_size
        width = output * (2 if bidirectional else 1)
        host().require_available(  # before the first is made
            num_layers * (width // output) * (4 * gates * (width + output) + _OBJECTS)
        )
        for layer in range(num_layers):
            inside = width if layer else input_size
            shapes = {"weight_ih": (gates, inside), "weight_hh": (gates, output)}
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}  # type: ignore[dict-item]
            shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
            for suffix in self._directions():
                for name, shape in shapes.items():
                    self.register_parameter(f"{name}_l{layer}{suffix}", Parameter(empty(shape)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, evenly between -1 / sqrt(H) and 1 / sqrt(H)."""
        _reset(self, self.hidden_size)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names()]

    def flatten_parameters(self) -> None:
        """Nothing: compiled loops pack the weights as they need them."""

    def _names(self) -> Iterator[list[str]]:
        for layer in range(self.num_layers):
            for suffix in self._directions():
                end = f"_l{layer}{suffix}"
                kinds = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias
                kinds += ["weight_hr"] * bool(self.proj_size)
                yield [kind + end for kind in kinds]

    def _directions(self) -> tuple[str, ...]:
        return ("", _REVERSE) if self.bidirectional else ("",)

    def forward(self, input: Any, hx: Any = None) -> Any:
        name = type(self).__name__
        states = self._given_states(hx)
        if isinstance(input, PackedSequence):
            packing = Packing(input, name)
            self._require_input(
                input.data, 2, f"packed data of shape (all places, {self.input_size})"
            )
            if states is not None:
                states = tuple(packing.sorted(x) for x in states)
            outputs, last = self._layers(packing.padded, states, packing.is_there)
            return packing.packed(outputs), self._shown(tuple(packing.unsorted(x) for x in last))
        size = self.input_size
        expected = f"({'N, L' if self.batch_first else 'L, N'}, {size}) or (L, {size})"
        self._require_input(input, 3, expected)
        single = input.ndim == 2
        if single:
            input = expand_dims(input, axis=1)
            self._require_shapes(states, ())
            states = None if states is None else tuple(expand_dims(s, axis=1) for s in states)
        elif self.batch_first:
            input = input.permute_dims((1, 0, 2))
        outputs, last = self._layers(input, states)
        if single:
            return outputs[:, 0], self._shown(tuple(x[:, 0] for x in last))
        outputs = outputs.permute_dims((1, 0, 2)) if self.batch_first else outputs
        return outputs, self._shown(last)

    def _require_input(self, input: Any, most: int, expected: str) -> None:
        """
        Raises:
            ArgumentTypeError: it is no tensor.
            ShapeError: it does not fit.
        """
        name = type(self).__name__
        if not isinstance(input, Tensor):
            raise ArgumentTypeError(
                f"{name}: input is {shown(input)}; expected a tensor or a PackedSequence"
            )
        if input.ndim not in (2, most) or input.shape[-1] != self.input_size:
            raise ShapeError(f"{name}: shape {input.shape}; expected {expected}")

    def _given_states(self, hx: Any) -> Tensors | None:
        """The states at the beginning, if they are given."""
        if hx is None:
            return None
        several = CELLS[self.mode].states > 1
        states = tuple(hx) if several and isinstance(hx, (tuple, list)) else (hx,)
        if len(states) != CELLS[self.mode].states or not all(isinstance(x, Tensor) for x in states):
            expected = "a pair of tensors (h, c)" if several else "a tensor"
            raise ArgumentTypeError(
                f"{type(self).__name__}: states is {shown(hx)}; expected {expected}, or None"
            )
        return states

    def _shown(self, states: Tensors) -> Any:
        return states if len(states) > 1 else states[0]

    def _shapes(self, batch: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The shapes of the states of all layers and directions."""
        count = self.num_layers * len(self._directions())
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        return [(count, *batch, size) for size in sizes[: CELLS[self.mode].states]]

    def _require_shapes(self, states: Tensors | None, batch: tuple[Any, ...]) -> None:
        for name, state, shape in zip("hc", states or (), self._shapes(batch), strict=False):
            if state.shape != shape:
                raise ShapeError(
                    f"{type(self).__name__}: the state {name} has shape {state.shape}; expected {shape}"
                )

    def _layers(
        self, x: Tensor, states: Tensors | None, is_there: Tensor | None = None
    ) -> tuple[Tensor, Tensors]:
        """All layers on (L, N, I): outputs, and the last states."""
        batch = (x.shape[1],)
        self._require_shapes(states, batch)
        if states is None:
            states = tuple(x.new_zeros(shape) for shape in self._shapes(batch))
        last: list[Tensors] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._directions():
                start = tuple(state[len(last)] for state in states)
                y, after = self._pass(x, start, f"_l{layer}{suffix}", is_there)
                outputs.append(y)
                last.append(after)
            x = outputs[0] if len(outputs) == 1 else concat(outputs, axis=-1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(stack(several) for several in zip(*last, strict=True))

    def _pass(
        self, x: Tensor, states: Tensors, end: str, is_there: Tensor | None
    ) -> tuple[Tensor, Tensors]:
        """One layer in one direction."""
        given = _parameters(self, end, bool(self.proj_size))
        found: tuple[Tensor, Tensors] = of_layer(
            self.mode, end.endswith(_REVERSE), x, is_there, *given, *states
        )
        return found

    def extra_repr(self) -> str:
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False,
        }  # fmt: skip
        told = [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *told])


class RNN(RNNBase):
    """Elman's network: an output at every place, which is the state.

    h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it

    Shapes: input (L, N, I), or (N, L, I) with `batch_first`, or (L, I); the state (layers · directions, N, H), or without
        N. Gives the outputs (..., directions · H) and the last states. The input may be a `PackedSequence`, and then
        so are the outputs.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the states do not fit.

    Source: Elman, *Finding structure in time* (1990).

    >>> import tessella as ts
    >>> outputs, h = RNN(3, 5, nonlinearity="relu")(ts.ones((7, 2, 3)))
    >>> outputs.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, num_layers: Count = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh", bias: bool = True, batch_first: bool = False,
        dropout: Probability = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            _mode_of("RNN", nonlinearity), input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    @public
    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Tensor]:
        found: tuple[Any, Tensor] = super().forward(input, hx)
        return found


class LSTM(RNNBase):
    """Long short-term memory: a state that gates protect, and an output at every place.

    i, f, g, o = W_ih x + b_ih + W_hh h + b_hh, in four parts
    c = sigmoid(f) c + sigmoid(i) tanh(g);  h = sigmoid(o) tanh(c), or W_hr of it

    Shapes: input (L, N, I), or (N, L, I) with `batch_first`, or (L, I); states (layers · directions, N, H), or without N;
        with `proj_size` h has that size. Gives the outputs (..., directions · H) and the pair of last states. The
        input may be a `PackedSequence`, and then so are the outputs.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the states do not fit.

    Source: Hochreiter & Schmidhuber, *Long short-term memory* (1997); Gers, Schmidhuber & Cummins,
        *Learning to forget* (2000); Sak, Senior & Beaufays, *Long short-term memory recurrent neural network
        architectures* (2014), for the projection.

    >>> import tessella as ts
    >>> layer = LSTM(3, 5)
    >>> outputs, (h, c) = layer(ts.ones((7, 2, 3)))
    >>> outputs.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, num_layers: Count = 1, bias: bool = True,
        batch_first: bool = False, dropout: Probability = 0.0, bidirectional: bool = False, proj_size: Natural = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size,
        )  # fmt: skip

    @public
    def forward(self, input: Any, hx: Any = None) -> tuple[Any, States]:
        found: tuple[Any, States] = super().forward(input, hx)
        return found


class GRU(RNNBase):
    """Gated recurrent unit: a state that is partly kept.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), in two parts
    n = tanh(W_in x + b_in + r (W_hn h + b_hn));  h = (1 - z) n + z h

    Shapes: input (L, N, I), or (N, L, I) with `batch_first`, or (L, I); the state (layers · directions, N, H), or without
        N. Gives the outputs (..., directions · H) and the last states. The input may be a `PackedSequence`, and then
        so are the outputs.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the states do not fit.

    Source: Cho et al., *Learning phrase representations using RNN encoder–decoder* (2014); r is taken behind the
        product, as in PyTorch.

    >>> import tessella as ts
    >>> outputs, h = GRU(3, 5, bidirectional=True)(ts.ones((7, 2, 3)))
    >>> outputs.shape, h.shape
    ((7, 2, 10), (2, 2, 5))
    """

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, num_layers: Count = 1, bias: bool = True,
        batch_first: bool = False, dropout: Probability = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )

    @public
    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Tensor]:
        found: tuple[Any, Tensor] = super().forward(input, hx)
        return found


class RNNCellBase(Module):
    """What single steps have in common; `RNNCell`, `LSTMCell` and `GRUCell` say which it is."""

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, bias: bool, num_chunks: Count
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((gates, input_size)))
        self.weight_hh = Parameter(empty((gates, hidden_size)))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(gates)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, evenly between -1 / sqrt(H) and 1 / sqrt(H)."""
        _reset(self, self.hidden_size)

    def _step(self, mode: str, input: Tensor, states: Tensors | None) -> Tensors:
        name = type(self).__name__
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            size = self.input_size
            raise ShapeError(f"{name}: shape {input.shape}; expected (N, {size}) or ({size},)")
        shape = (*input.shape[:-1], self.hidden_size)
        if states is None:
            states = (input.new_zeros(shape),) * CELLS[mode].states
        for letter, state in zip("hc", states, strict=False):
            if state.shape != shape:
                raise ShapeError(
                    f"{name}: the state {letter} has shape {state.shape}; expected {shape}"
                )
        after: Tensors = of_cell(mode, input, *_parameters(self), *states)
        return after

    def extra_repr(self) -> str:
        told = f"{self.input_size}, {self.hidden_size}"
        return told if self.bias else f"{told}, bias=False"


class RNNCell(RNNCellBase):
    """One step of `RNN`.

    Shapes: input (N, I) or (I,), the state (N, H) or (H,) -> the state after it.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the state does not fit.

    >>> import tessella as ts
    >>> RNNCell(3, 5)(ts.ones((2, 3))).shape
    (2, 5)
    """

    @public
    def __init__(
        self, input_size: Count, hidden_size: Count, bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:  # fmt: skip
        mode = _mode_of("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, CELLS[mode].gates)
        self.nonlinearity = nonlinearity

    @public
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        mode = _NONLINEARITIES[self.nonlinearity]
        return self._step(mode, input, None if hx is None else (hx,))[0]

    def extra_repr(self) -> str:
        told = super().extra_repr()
        return told if self.nonlinearity == "tanh" else f"{told}, nonlinearity={self.nonlinearity}"


class LSTMCell(RNNCellBase):
    """One step of `LSTM`.

    Shapes: input (N, I) or (I,), the states (N, H) or (H,) -> the pair of states after it.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or a state does not fit.

    >>> import tessella as ts
    >>> h, c = LSTMCell(3, 5)(ts.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    @public
    def __init__(self, input_size: Count, hidden_size: Count, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias, CELLS["LSTM"].gates)

    @public
    def forward(self, input: Tensor, hx: Any = None) -> States:
        if hx is not None:
            good = isinstance(hx, (tuple, list)) and len(hx) == 2
            if not good or not all(isinstance(state, Tensor) for state in hx):
                raise ArgumentTypeError(
                    f"LSTMCell: states is {shown(hx)}; expected a pair of tensors (h, c), or None"
                )
            hx = (hx[0], hx[1])
        h, c = self._step("LSTM", input, hx)
        return h, c


class GRUCell(RNNCellBase):
    """One step of `GRU`.

    Shapes: input (N, I) or (I,), the state (N, H) or (H,) -> the state after it.
    Initialisation: uniform between -1 / sqrt(H) and 1 / sqrt(H).

    Raises:
        ShapeError: the input or the state does not fit.

    >>> import tessella as ts
    >>> GRUCell(3, 5)(ts.ones((2, 3))).shape
    (2, 5)
    """

    @public
    def __init__(self, input_size: Count, hidden_size: Count, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias, CELLS["GRU"].gates)

    @public
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else (hx,))[0]


def _require_cell(name: str, mode: Any) -> None:
    if mode not in CELLS:
        raise ArgumentError(
            f"{name}: mode is {shown(mode)}; expected one of {', '.join(map(repr, CELLS))}"
        )


def _mode_of(name: str, nonlinearity: str) -> str:
    if nonlinearity not in _NONLINEARITIES:
        raise ArgumentError(
            f"{name}: nonlinearity is {shown(nonlinearity)}; expected 'tanh' or 'relu'"
        )
    return _NONLINEARITIES[nonlinearity]


def _reset(module: Module, hidden_size: int) -> None:
    reach = 1.0 / math.sqrt(hidden_size)
    for parameter in module.parameters():
        uniform_(parameter, -reach, reach)


def _parameters(module: Any, end: str = "", is_projected: bool = False) -> Parameters:
    """Those whose names have an ending."""

    def named(name: str) -> Any:
        return getattr(module, f"{name}{end}")

    of_input, of_state = (named("bias_ih"), named("bias_hh")) if module.bias else (None, None)
    projection = named("weight_hr") if is_projected else None
    return Parameters(named("weight_ih"), named("weight_hh"), of_input, of_state, projection)

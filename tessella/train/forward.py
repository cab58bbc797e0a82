"""How a batch becomes a loss: what is called, with what, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tensors.tensor import Tensor
from tessella.trees import tree_leaves


class Forward(NamedTuple):
    """What a forward pass gives.

    Args:
        loss: one number.
        outputs: of the model, if they are known.
        targets: what they should have been, likewise.
    """

    loss: Any
    outputs: Any = None
    targets: Any = None


Pass = Callable[..., Forward]


def forward_of(loss: Any, forward: Any) -> Pass:
    """The forward pass of a model and a batch, `forward(model, *batch)`, from what the user says of it.

    Args:
        loss: a function of outputs and targets; None if the model, or `forward`, gives the loss itself.
        forward: a function of the model and the batch; None for the model itself.

    Raises:
        ArgumentError: both are given.
    """
    if loss is not None and forward is not None:
        raise ArgumentError(
            "fit: loss was given, and forward, too; forward(model, *batch) gives the loss itself: leave loss out"
        )
    if loss is not None:
        return lambda model, *batch, **named: _compared(loss, model, batch, named)
    apply = forward or (lambda model, *batch, **named: model(*batch, **named))
    return lambda model, *batch, **named: _read(apply(model, *batch, **named), batch, named)


def _compared(loss: Any, model: Any, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Forward:
    """The last of a batch is what the outputs of the others are compared with."""
    if named or len(batch) < 2:
        given = f"a mapping of {', '.join(named)}" if named else "one value, and not a tuple"
        raise ArgumentTypeError(
            f"fit: a batch is {given}; with loss= it has to be (inputs, targets); say what to do with it by "
            "forward=lambda model, ...: the loss"
        )
    *inputs, targets = batch
    outputs = model(*inputs)
    return Forward(_number(loss(outputs, targets), "loss"), outputs, targets)


def _read(result: Any, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Forward:
    """What a function gave: a loss, or a loss and outputs, or targets, too."""
    parts = result if isinstance(result, tuple) else (result,)
    if not 1 <= len(parts) <= 3:
        raise ArgumentTypeError(
            f"fit: forward gave a tuple of {len(parts)}; expected the loss, (loss, outputs) or (loss, outputs, targets)"
        )
    outputs, targets = (*parts[1:], None, None)[:2]
    if len(parts) == 2 and len(batch) > 1 and not named:
        targets = batch[-1]
    return Forward(_number(parts[0], "forward"), outputs, targets)


def _number(loss: Any, what: str) -> Tensor:
    if not isinstance(loss, Tensor) or loss.size != 1:
        given = f"a tensor of shape {loss.shape}" if isinstance(loss, Tensor) else shown(loss)
        raise ArgumentTypeError(
            f"fit: {what} gave {given}; expected a tensor of one number, for example the mean over the batch"
        )
    return loss if loss.ndim == 0 else loss.reshape(())


def result_of_step(result: Any) -> Forward:
    """What a step of the user's own gave: a loss, or a loss and outputs, or targets, too."""
    return _read(result, (), {})


def spread(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A batch as arguments: a tuple or a list by place, a mapping by name, anything else alone."""
    if isinstance(batch, (tuple, list)):
        return tuple(batch), {}
    if isinstance(batch, Mapping):
        return (), dict(batch)
    return (batch,), {}


def count_of(batch: Any) -> int:
    """How many examples a batch has: the first size of its first array; 1 if it has none.

    >>> import numpy as np
    >>> count_of((np.zeros((32, 784)), np.zeros(32)))
    32
    """
    return next(_sizes(batch), 1)


def _sizes(batch: Any) -> Iterator[int]:
    for leaf in batch if isinstance(batch, (tuple, list)) else tree_leaves(batch):
        shape = getattr(leaf, "shape", None)
        if shape is None and isinstance(leaf, (tuple, list, Mapping)):
            yield from _sizes(tree_leaves(leaf))
        elif shape:
            yield int(shape[0])

"""The compiled step: forward, loss, backward, accumulation, clipping, optimiser and averages as one program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tessella import autodiff
from tessella.errors import ArgumentError
from tessella.nn.module import Module
from tessella.nn.utils import clip_grads_with_norm_
from tessella.optim import LBFGS
from tessella.optim.grad_scaler import GradScaler, step_unless
from tessella.optim.optimiser import Optimizer
from tessella.optim.swa_utils import AveragedModel
from tessella.tensors.autocast import autocast
from tessella.tensors.creation import zeros
from tessella.tensors.elementwise import isfinite, logical_not
from tessella.tensors.manipulation import stack
from tessella.tensors.tensor import Tensor
from tessella.train.forward import Pass, result_of_step, spread
from tessella.train.recorded import Recorded
from tessella.transforms.jit import Jitted, jit
from tessella.trees import tree_map


class Outcome(NamedTuple):
    """What a step gives.

    Args:
        losses: of each of its batches.
        results: outputs and targets of each, if they are wanted.
        norm: of all gradients as one vector, before they were clipped; None if the step does not say it.
        norms: of the gradient of each parameter, in one tensor.
    """

    losses: Sequence[Tensor]
    results: Sequence[tuple[Any, Any]] = ()
    norm: Tensor | None = None
    norms: Tensor | None = None


class Step(Protocol):
    """What does a step."""

    def __call__(self, batches: Sequence[Any]) -> Outcome: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class UsersStep:
    """A step that the user wrote: it gets each batch, and does all there is to do."""

    def __init__(self, step: Callable[..., Any], keeps_results: bool) -> None:
        self.keeps_results = keeps_results
        self._step = Recorded(step) if isinstance(step, Jitted) else step

    def __call__(self, batches: Sequence[Any]) -> Outcome:
        """Take a step."""
        losses, results = [], []
        for batch in batches:
            args, named = spread(batch)
            found = result_of_step(self._step(*args, **named))
            losses.append(found.loss)
            if self.keeps_results:
                results.append((found.outputs, found.targets))
        return Outcome(losses, results)

    def state_dict(self) -> dict[str, Any]:
        """What its programs are made for."""
        return self._step.state_dict() if isinstance(self._step, Recorded) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the same programs as another process."""
        if isinstance(self._step, Recorded):
            self._step.load_state_dict(state)


class CompiledStep:
    """A step of the optimiser, from one batch or, accumulated, from several.

    A step whose loss or gradients are not finite leaves everything as it was; who reads the loss and the norms sees it.

    Args:
        forward: gives the loss.
        clip_norm: what the norm of all gradients is limited to.
        precision: what `autocast` casts to.
        keeps_results: return outputs and targets, too.
    """

    def __init__(
        self, model: Module, forward: Pass, optimizer: Optimizer, *, clip_norm: float | None,
        precision: Any, scaler: GradScaler | None, average: AveragedModel | None, keeps_results: bool,
    ) -> None:  # fmt: skip
        if isinstance(optimizer, LBFGS):
            raise ArgumentError(
                "fit: LBFGS looks at losses, and cannot be compiled; write the step: "
                "step=lambda *batch: optimiser.step(ts.jit(closure))"
            )
        self.model, self.forward, self.optimizer = model, forward, optimizer
        self.clip_norm, self.precision = clip_norm, precision
        self.scaler, self.average, self.keeps_results = scaler, average, keeps_results
        self._programs: dict[tuple[bool, bool], Recorded] = {}

    def __call__(self, batches: Sequence[Any]) -> Outcome:
        """Take a step."""
        losses, results, norms = [], [], (None, None)
        share = (1.0 / len(batches),) if len(batches) > 1 else ()
        for number, batch in enumerate(batches):
            args, named = spread(batch)
            program = self._program(number == 0, number == len(batches) - 1)
            loss, result, norms = program(*share, *args, **named)
            losses.append(loss)
            if self.keeps_results:
                results.append(result)
        return Outcome(losses, results, *norms)

    def _program(self, is_first: bool, is_last: bool) -> Recorded:
        """What is done with a batch; of several, gradients begin with the first, and the optimiser moves after the last."""
        found = self._programs.get((is_first, is_last))
        if found is None:
            body = self._whole if is_first and is_last else self._part(is_first, is_last)
            found = self._programs[is_first, is_last] = Recorded(jit(body))
        return found

    def look_again(self, batches: Sequence[Any]) -> None:
        """Forward and backward of a step once more, uncompiled, for somebody who looks on; nothing is moved."""
        self.optimizer.zero_grad()
        for batch in batches:
            args, named = spread(batch)
            self._differentiate(None, args, named)
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """What its programs are made for."""
        programs = [[*key, program.state_dict()] for key, program in self._programs.items()]
        return {"programs": programs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the same programs as another process."""
        for is_first, is_last, own in state["programs"]:
            self._program(is_first, is_last).load_state_dict(own)

    def _whole(self, *batch: Any, **named: Any) -> Any:
        self.optimizer.zero_grad()
        loss, result = self._differentiate(None, batch, named)
        return loss, result, self._move(loss)

    def _part(self, is_first: bool, is_last: bool) -> Callable[..., Any]:
        def part(share: float, *batch: Any, **named: Any) -> Any:
            if is_first:
                self.optimizer.zero_grad()
            loss, result = self._differentiate(share, batch, named)
            return loss, result, self._move(loss) if is_last else (None, None)

        return part

    def _differentiate(self, share: Any, batch: Any, named: Any) -> tuple[Tensor, Any]:
        """Forward and backward."""
        with autocast(self.precision) if self.precision is not None else contextlib.nullcontext():
            found = self.forward(self.model, *batch, **named)
        loss = found.loss if share is None else found.loss * share
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        result = (found.outputs, found.targets) if self.keeps_results else ()
        return found.loss.detach(), tree_map(_detached, result)

    def _move(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Clip, and let the optimiser, the scaler and the averages do their part."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm, norms = _norms(parameters_of(self.optimizer))
        if self.clip_norm is not None:
            clip_grads_with_norm_(parameters_of(self.optimizer), self.clip_norm, norm)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            step_unless(logical_not(isfinite(loss) & isfinite(norm)), self.optimizer)
        if self.average is not None:
            self.average.update_parameters(self.model)
        return norm, norms


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All that an optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _norms(parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The norm of all gradients, and that of each; 0 where there is none."""
    with autodiff.no_grad():
        norms = stack([_norm(parameter.grad) for parameter in parameters])
        return (norms * norms).sum().sqrt(), norms


def _norm(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        return zeros(())
    wide = gradient.detach().astype(gradient.dtype.compute)
    return (wide * wide).sum().sqrt()

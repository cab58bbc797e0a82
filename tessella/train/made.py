"""What `fit` makes of short answers: an average of a number, a scaler of a precision."""

from __future__ import annotations

from typing import Any

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.optim.grad_scaler import GradScaler
from tessella.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tessella.train.steps import parameters_of


def average_of(ema: Any, model: Any) -> AveragedModel | None:
    """The averaged model: of a decay, or as it was given.

    Raises:
        ArgumentTypeError: neither.
    """
    if ema is None or isinstance(ema, AveragedModel):
        return ema
    if not isinstance(ema, float):
        raise ArgumentTypeError(
            f"ema: {shown(ema)} was given; expected a decay, for example 0.999, or a ts.optim.swa_utils.AveragedModel"
        )
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema))


def scaler_of(scaler: Any, precision: Any) -> GradScaler | None:
    """The scaler: as it was given, or one for float16, which needs one."""
    if scaler is None and precision is not None and dtypes.as_dtype(precision) is dtypes.float16:
        return GradScaler()
    return scaler if scaler is not None and scaler.is_enabled() else None


def names_of(model: Any, optimizer: Any) -> list[str]:
    """The names of all that an optimiser moves."""
    if optimizer is None:
        return []
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names.get(id(p), f"parameter {i}") for i, p in enumerate(parameters_of(optimizer))]

"""What is made of short answers: an average of a number, a scaler of a precision."""

from __future__ import annotations

from typing import Any

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.optim.grad_scaler import GradScaler
from tessella.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


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
    """The scaler: as it was given, or one for float16, which needs one.

    Raises:
        ArgumentTypeError: something else.
    """
    if scaler is None:
        is_half = precision is not None and dtypes.as_dtype(precision) is dtypes.float16
        return GradScaler() if is_half else None
    if not isinstance(scaler, GradScaler):
        raise ArgumentTypeError(f"scaler: {shown(scaler)} was given; expected a ts.GradScaler")
    return scaler if scaler.is_enabled() else None

"""`GradScaler`: losses are scaled, so that gradients in float16 neither vanish nor overflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tessella import autodiff, dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Count, Device, shown
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError, StateDictError
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import AtLeastOne
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import isfinite, logical_not, logical_or, operation, where
from tessella.tensors.surroundings import guarded
from tessella.tensors.tensor import Tensor, at_the_beginning, is_traced
from tessella.tracing.trace import suspended

_unscale = operation("unscale", lambda gradient, scale: gradient / scale)
_OPTIONS = ("growth_factor", "backoff_factor", "growth_interval")


class GradScaler:
    """Scales losses, and the gradients back; a step whose gradients overflow is left out, and the scale made smaller.

    Small gradients are zero in float16. Those of a loss that is `scale` times as large are not; they are divided by
    the scale, in float32, before the optimiser sees them. If one of them is infinite or NaN, nothing is moved. A
    compiled step does the same without looking at any number: it is traced once.

    Args:
        device: of the scale; None for that of the losses. (It stands first in PyTorch.)
        init_scale: the first scale.
        growth_factor: what the scale is multiplied by when so many steps in a row, `growth_interval`, were done.
        backoff_factor: what it is multiplied by when a step was left out.
        enabled: False for a scaler that does nothing, which bfloat16 asks for.

    Source: Micikevicius et al., *Mixed precision training* (2018), section 3.2.

    >>> import tessella as ts
    >>> weight = ts.nn.Parameter(ts.ones((2, 1)))
    >>> optimiser, scaler = ts.optim.SGD([weight], lr=0.5), ts.GradScaler(init_scale=1024.0)
    >>> with ts.autocast(ts.float16):
    ...     loss = (ts.ones((1, 2)) @ weight).sum()
    >>> scaler.scale(loss).backward()
    >>> scaler.step(optimiser)
    >>> scaler.update()
    >>> weight.detach().flatten(), scaler.get_scale()
    (tensor([0.5, 0.5]), 1024.0)
    """

    @public
    def __init__(
        self, device: Device = None, init_scale: float = 2.0**16, growth_factor: AtLeastOne = 2.0,
        backoff_factor: float = 0.5, growth_interval: Count = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        if not 0.0 < init_scale < float("inf"):
            raise ArgumentError(
                f"GradScaler: init_scale is {init_scale}; expected a positive number"
            )
        if not 0.0 < backoff_factor < 1.0:
            raise ArgumentError(
                f"GradScaler: backoff_factor is {backoff_factor}; expected a number between 0 and 1"
            )
        self._enabled, self._device = enabled, device
        self._options: dict[str, Any] = {
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": growth_interval,
        }
        self._scale = asarray(init_scale, dtype=dtypes.float32, device=device)
        self._steps = asarray(
            0, dtype=dtypes.int32, device=device
        )  # in a row, since the last change
        # Whether gradients of an optimiser overflowed, and the optimisers that have done their step.
        self._found: dict[Optimizer, Tensor] = {}
        self._stepped: set[Optimizer] = set()

    # --- what a step does ---------------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """A loss times the scale, in float32; of a list or a tuple, each.

        Raises:
            ArgumentTypeError: neither.
        """
        if not self.is_enabled():
            return outputs
        if isinstance(outputs, Tensor):
            self._go_to(outputs)
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(output) for output in outputs])
        raise ArgumentTypeError(
            f"scale: {shown(outputs)} was given; expected a tensor, or several in a list or a tuple"
        )

    def _go_to(self, outputs: Tensor) -> None:
        """Keep the scale where the losses are, unless its device was said."""
        if self._device is None and self._scale.device is not outputs.device:
            with suspended():
                self._scale = self._scale.to_device(outputs.device)
                self._steps = self._steps.to_device(outputs.device)

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimiser by the scale now, to clip them for example; else `step` does it.

        Raises:
            GradientError: they have been divided since the last `update`, or are float16 themselves; no parameter has one.
        """
        _require_optimizer("unscale_", optimizer)
        if not self.is_enabled():
            return
        if optimizer in self._found:
            raise GradientError(
                "unscale_: the gradients of this optimiser have been divided by the scale already; call update() "
                "once after each step"
            )
        finite = None
        with autodiff.no_grad():
            for parameter in _with_gradients(optimizer):
                if parameter.dtype is dtypes.float16:
                    raise GradientError(
                        f"unscale_: a parameter of shape {parameter.shape} is float16, and so is its gradient, which "
                        "has lost what scaling is to save; keep parameters in float32: model.float()"
                    )
                found = isfinite(parameter.grad).all()
                finite = found if finite is None else finite & found
                parameter.grad = _unscale(parameter.grad, self._scale).astype(parameter.dtype)
        if finite is None:
            raise GradientError(
                "unscale_: no parameter of the optimiser has a gradient; call backward() first"
            )
        self._found[optimizer] = logical_not(finite)

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Let an optimiser do its step, if all of its gradients are finite.

        Raises:
            GradientError: it has done one since the last `update`, or as `unscale_`.
            ArgumentError: a closure, whose gradients would have to be scaled.
        """
        _require_optimizer("step", optimizer)
        if not self.is_enabled():
            return optimizer.step(*args, **kwargs)
        if args or kwargs:
            raise ArgumentError(
                "step: a closure cannot be scaled; call optimizer.step(closure) itself, without a scaler"
            )
        if optimizer in self._stepped:
            raise GradientError(
                "step: this optimiser has done its step; call update() after each one"
            )
        if optimizer not in self._found:
            self.unscale_(optimizer)
        self._stepped.add(optimizer)
        overflow = self._found[optimizer]
        if is_traced():
            step_unless(overflow, optimizer)
        elif not bool(overflow):
            optimizer.step()
        return None

    def update(self, new_scale: Any = None) -> None:
        """Make the scale smaller if a step was left out, larger after many that were not; call it once after each step.

        Args:
            new_scale: the scale from now on, a number or a tensor.

        Raises:
            GradientError: no step has been done.
        """
        if not self.is_enabled():
            return
        if new_scale is not None:
            self._scale.assign(asarray(new_scale, dtype=dtypes.float32, device=self._scale.device))
        elif not self._found:
            raise GradientError(
                "update: no gradients have been looked at; call step(optimizer) first"
            )
        else:
            self._adapt()
        self._found.clear()
        self._stepped.clear()

    def _adapt(self) -> None:
        several = [overflow.to_device(self._scale.device) for overflow in self._found.values()]
        overflow = several[0]
        for other in several[1:]:
            overflow = logical_or(overflow, other)
        growth, backoff, interval = (guarded(self._options, x, self._options[x]) for x in _OPTIONS)
        scale, steps = self._scale.detach(), where(overflow, 0, self._steps + 1)
        is_due = steps >= interval
        larger = scale * growth
        grown = where(is_due & isfinite(larger), larger, scale)
        self._scale.assign(where(overflow, scale * backoff, grown))
        self._steps.assign(where(is_due, 0, steps).astype(dtypes.int32))

    # --- what it knows ------------------------------------------------------------------------------

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        enabled: bool = guarded(vars(self), "_enabled", self._enabled)
        return enabled

    def get_scale(self) -> float:
        """The scale as a number; 1 if it does nothing."""
        return float(self._scale) if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale grows by."""
        return float(self._options["growth_factor"])

    @public
    def set_growth_factor(self, new_factor: AtLeastOne) -> None:
        """Let the scale grow by another factor."""
        self._options["growth_factor"] = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by when a step is left out."""
        return float(self._options["backoff_factor"])

    @public
    def set_backoff_factor(self, new_factor: float) -> None:
        """Let it be multiplied by another one."""
        self._options["backoff_factor"] = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps in a row the scale grows."""
        return int(self._options["growth_interval"])

    @public
    def set_growth_interval(self, new_interval: Count) -> None:
        """Let it grow after another number of steps."""
        self._options["growth_interval"] = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and the options under PyTorch's names; empty if it does nothing."""
        if not self._enabled:
            return {}
        steps = int(self._steps)
        return {"scale": self.get_scale(), **self._options, "_growth_tracker": steps}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint, PyTorch's too.

        Raises:
            StateDictError: something is missing; it is that of a scaler that did nothing.
        """
        if not self._enabled:
            return
        missing = [x for x in ("scale", *_OPTIONS, "_growth_tracker") if x not in state_dict]
        if missing:
            raise StateDictError(
                f"load_state_dict: {', '.join(missing)} missing; expected what state_dict() of an enabled GradScaler gives"
            )
        self._options.update({name: state_dict[name] for name in _OPTIONS})
        self._scale.assign(asarray(float(state_dict["scale"]), dtype=dtypes.float32))
        self._steps.assign(asarray(int(state_dict["_growth_tracker"]), dtype=dtypes.int32))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return (
            f"GradScaler(scale={self.get_scale():g}, {options})"
            if self._enabled
            else "GradScaler(enabled=False)"
        )


def _require_optimizer(name: str, optimizer: Any) -> None:
    """
    Raises:
        ArgumentTypeError: it is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(
            f"{name}: optimizer is {shown(optimizer)}; expected an optimiser, for example ts.optim.SGD(...)"
        )


def _with_gradients(optimizer: Optimizer) -> Iterable[Any]:
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    return (p for p in parameters if p.grad is not None)


def _kept(optimizer: Optimizer) -> dict[tuple[int, Any], tuple[dict[Any, Any], Any]]:
    """Where the tensors stand that a step may write: in tables of state, by name; parameters in a table each."""
    tables = [{"": parameter} for parameter in _with_gradients(optimizer)]
    found = {(id(table[""]), ""): (table, "") for table in tables}
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                found[id(parameter), name] = state, name
    return found


def step_unless(overflow: Tensor, optimizer: Optimizer) -> None:
    """A step of which nothing remains if gradients overflowed, without looking at whether they did.

    Raises:
        GradientError: it keeps something that it made inside the traced function, so that there is nothing before it.
    """
    before = {place: table[name].detach() for place, (table, name) in _kept(optimizer).items()}
    optimizer.step()
    with autodiff.no_grad():
        for place, (table, name) in _kept(optimizer).items():
            now = table[name]
            old = before.get(place)
            old = at_the_beginning(now) if old is None else old  # it was made in this step
            if old is None:
                raise GradientError(
                    f"step: {type(optimizer).__name__} makes its state {name!r} inside a compiled function; make it with "
                    "ts.optim.rules.fresh_state, or do one step before"
                )
            now.assign(where(overflow, old, now.detach()))

"""L-BFGS: steps along the curvature that the last gradients tell, with a line search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Count, Kind, Natural, NotNegative, register_kind, shown
from tessella.errors import ArgumentError, ArgumentTypeError, SideEffectError
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import is_number, keep
from tessella.tensors.creation import asarray, zeros_like
from tessella.tensors.manipulation import concat
from tessella.tensors.tensor import Tensor, is_traced
from tessella.tracing.changes import WatchedDict

_LEAST_CURVATURE = 1e-10  # below which a step tells nothing of the curvature
_ARMIJO, _WOLFE = 1e-4, 0.9  # how much the loss must fall, and how much of the slope may be left

LineSearch: TypeAlias = Literal["strong_wolfe"]
register_kind(
    "LineSearch",
    Kind("'strong_wolfe'", "False", lambda x: x if x == "strong_wolfe" else UNFIT, ArgumentError),
)  # fmt: skip


class _Point(NamedTuple):
    """A place on the line that is searched.

    Args:
        at: how far along the direction.
        loss: there.
        gradient: there, of all parameters as one vector.
        slope: of the loss along the direction.
    """

    at: float
    loss: float
    gradient: Tensor
    slope: float


def _cubic_minimum(a: _Point, b: _Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes is least, between two bounds.

    Source: Nocedal & Wright, *Numerical optimization* (2006), equation 3.59.
    """
    a, b = (a, b) if a.at <= b.at else (b, a)
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.at - b.at)
    square = first * first - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    root = square**0.5
    rest = b.slope - a.slope + 2 * root
    if rest == 0:
        return (least + most) / 2
    found = b.at - (b.at - a.at) * ((b.slope + root - first) / rest)
    return float(min(max(found, least), most))


class _Line:
    """A search along a direction for a point of the strong Wolfe conditions.

    Source: Nocedal & Wright, *Numerical optimization* (2006), algorithms 3.5 and 3.6.
    """

    def __init__(self, evaluate: Callable[[float], _Point], start: _Point, most_calls: int) -> None:
        self.evaluate, self.start, self.most_calls = evaluate, start, most_calls
        self.rounds = self.calls = 0

    def look(self, at: float) -> _Point:
        self.calls += 1
        return self.evaluate(at)

    def falls(self, point: _Point) -> bool:
        """Whether the loss has fallen enough for how far it is."""
        return point.loss <= self.start.loss + _ARMIJO * point.at * self.start.slope

    def is_flat(self, point: _Point) -> bool:
        """Whether little of the slope is left."""
        return abs(point.slope) <= -_WOLFE * self.start.slope

    def search(self, at: float, tolerance: float, longest: float) -> _Point:
        """The best point that was found.

        Args:
            at: what is tried first.
            tolerance: of a change of the parameters that is of no interest.
            longest: the largest number of the direction.
        """
        low, high = self._bracket(at)
        if high is None:
            return low
        return self._zoom(low, high, tolerance / longest if longest else 0.0)

    def _bracket(self, at: float) -> tuple[_Point, _Point | None]:
        """Two points between which there is one; or one alone, if it is one already."""
        before, point = self.start, self.look(at)
        while self.rounds < self.most_calls:
            rises = self.rounds > 1 and point.loss >= before.loss
            if not self.falls(point) or rises:
                return _ordered(before, point)
            if self.is_flat(point):
                return point, None
            if point.slope >= 0:
                return _ordered(before, point)
            least, most = point.at + 0.01 * (point.at - before.at), point.at * 10
            before, point = point, self.look(_cubic_minimum(before, point, least, most))
            self.rounds += 1
        return _ordered(self.start, point)

    def _zoom(self, low: _Point, high: _Point, least: float) -> _Point:
        """Make the bracket small, until its lower point is one, or nothing is to be gained."""
        stuck = False
        while self.rounds < self.most_calls and abs(high.at - low.at) >= least:
            at, stuck = _inside(low, high, stuck)
            point = self.look(at)
            self.rounds += 1
            if not self.falls(point) or point.loss >= low.loss:
                low, high = _ordered(low, point)
                continue
            if self.is_flat(point):
                return point
            if point.slope * (high.at - low.at) >= 0:
                high = low
            low = point
        return low


def _ordered(a: _Point, b: _Point) -> tuple[_Point, _Point]:
    return (a, b) if a.loss <= b.loss else (b, a)


def _inside(low: _Point, high: _Point, stuck: bool) -> tuple[float, bool]:
    """Where to look next, and whether that was too near an end of the bracket to gain much."""
    least, most = sorted((low.at, high.at))
    at, margin = _cubic_minimum(low, high, least, most), 0.1 * (most - least)
    if min(most - at, at - least) >= margin:
        return at, False
    if not stuck and least < at < most:
        return at, True
    return (most - margin if abs(at - most) < abs(at - least) else least + margin), False


class LBFGS(Optimizer):
    """Quasi-Newton steps: the inverse of the curvature is told by the last gradients and steps.

    For the last s = step and y = change of the gradient, with r = 1 / (y . s):
    q = -g; from the newest back: a_i = r_i s_i . q, q = q - a_i y_i
    d = q (y . s) / (y . y); from the oldest on: d = d + s_i (a_i - r_i y_i . d)
    p = p + t d, with t = lr, or as the line search finds it

    A step calls its closure many times and looks at the losses; so the step itself cannot be compiled, but what it
    calls can: `optimiser.step(ts.jit(closure))`.

    Args:
        params: parameters; there can be only one group.
        max_iter: the most directions of one step.
        max_eval: the most calls of the closure in one step; 5/4 of `max_iter` if None.
        tolerance_grad: a step ends when no number of the gradient is larger.
        tolerance_change: or when loss or parameters change by less.
        history_size: how many of the last steps are kept.
        line_search_fn: "strong_wolfe", or None for steps of length lr.

    Raises:
        ArgumentError: several groups, or a step without a closure.
        SideEffectError: a step in a traced function.

    Source: Nocedal & Wright, *Numerical optimization* (2006), algorithms 7.4, 3.5 and 3.6.

    >>> import tessella as ts
    >>> p = ts.nn.Parameter(ts.asarray([-1.0, 2.0]))
    >>> optimiser = ts.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimiser.zero_grad()
    ...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimiser.step(closure)
    >>> ts.round(p.detach(), decimals=2)
    tensor([1., 1.])
    """

    @public
    def __init__(
        self, params: Iterable[Any], lr: NotNegative = 1, max_iter: Natural = 20,
        max_eval: Natural | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: Count = 100,
        line_search_fn: LineSearch | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip

    @public
    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Take the one group of parameters that there is."""
        if self.param_groups:
            raise ArgumentError(
                "LBFGS: a second group of parameters; expected one, as all parameters move together: make one "
                "optimiser for each"
            )
        super().add_param_group(group)

    @public
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all parameters, by several directions; gives the loss that there was before.

        Args:
            closure: forgets the gradients, computes the loss, goes backward, and gives the loss.
        """
        if is_traced():
            raise SideEffectError(
                "LBFGS: a step looks at the losses, which a compiled function cannot; compile the closure instead: "
                "optimiser.step(ts.jit(closure))"
            )
        if closure is None:
            raise ArgumentError("LBFGS: step needs a closure, which it calls several times")
        with autodiff.no_grad():
            return _Step(self, closure).run()

    def __tessella_members__(self) -> list[str]:
        """What a traced closure reads of it: the parameters, not what its steps remember."""
        return ["param_groups"]

    def __tessella_containers__(self) -> list[tuple[str, Any]]:
        return [found for found in super().__tessella_containers__() if found[0] != "state"]

    def _remembered(self, parameter: Tensor, state: Any) -> dict[str, Any]:
        """Numbers stay numbers, vectors become ours; those of all parameters are kept with the first."""
        if not isinstance(state, Mapping):
            return super()._remembered(parameter, state)
        return WatchedDict({name: _as_ours(value, parameter) for name, value in state.items()})


def _as_ours(value: Any, parameter: Tensor) -> Any:
    if isinstance(value, (list, tuple)):
        return [_as_ours(item, parameter) for item in value]
    if not hasattr(value, "shape"):
        return value
    value = value.detach() if hasattr(value, "detach") else value
    found = asarray(value, copy=True).to_device(parameter.device)
    return found if found.ndim else found.item()


def _number_of(loss: Any) -> float:
    """A loss as a number.

    Raises:
        ArgumentTypeError: it is none.
    """
    if is_number(loss) or (isinstance(loss, Tensor) and loss.size == 1):
        return float(loss)
    raise ArgumentTypeError(
        f"LBFGS: the closure gave {shown(loss)}; expected the loss, as a tensor of one number"
    )


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return concat([tensor.reshape(-1) for tensor in tensors])


def _largest(x: Tensor) -> float:
    return abs(x).max().item() if x.size else 0.0


def _product(x: Tensor, y: Tensor) -> float:
    return (x * y).sum().item()


class _Step:
    """One step: what it goes through, and what it remembers."""

    def __init__(self, optimiser: LBFGS, closure: Callable[[], Any]) -> None:
        self.closure = closure
        self.options = optimiser.param_groups[0]
        self.parameters: list[Tensor] = self.options["params"]
        first = self.parameters[0]
        if first not in optimiser.state:
            optimiser.state[first] = WatchedDict({"func_evals": 0, "n_iter": 0})
        self.state = optimiser.state[first]
        self.calls = 0

    def evaluate(self) -> tuple[Any, float, Tensor]:
        """The loss, as it was given and as a number, and its gradient as one vector."""
        with autodiff.enable_grad():
            given = self.closure()
        self.calls += 1
        self.state["func_evals"] += 1
        gradients = (zeros_like(p) if p.grad is None else p.grad.detach() for p in self.parameters)
        return given, _number_of(given), _flat(gradients)

    def run(self) -> Any:
        given, loss, gradient = self.evaluate()
        if _largest(gradient) <= self.options["tolerance_grad"]:
            return given
        for iteration in range(1, self.options["max_iter"] + 1):
            is_last = iteration == self.options["max_iter"]
            before, direction = loss, self._direction(gradient)
            self._remember(direction, gradient, loss)
            slope = _product(gradient, direction)
            if slope > -self.options["tolerance_change"]:
                break
            start = _Point(0.0, loss, gradient, slope)
            found = self._move(start, direction, is_last)
            loss, gradient = found.loss, found.gradient
            self.state["t"] = found.at
            if is_last or self._is_over(found, direction, before):
                break
        return given

    def _is_over(self, found: _Point, direction: Tensor, before: float) -> bool:
        least = self.options["tolerance_change"]
        return (
            self.calls >= self.options["max_eval"]
            or _largest(found.gradient) <= self.options["tolerance_grad"]
            or _largest(direction * found.at) <= least
            or abs(found.loss - before) < least
        )

    def _remember(self, direction: Tensor, gradient: Tensor, loss: float) -> None:
        rate = self.options["lr"]
        if self.state["n_iter"] == 1:  # nothing is known of the curvature yet
            rate = min(1.0, 1.0 / abs(gradient).sum().item()) * rate
        self.state.update(d=direction, t=float(rate), prev_flat_grad=gradient, prev_loss=loss)

    def _direction(self, gradient: Tensor) -> Tensor:
        """Minus the gradient times the inverse of the curvature, as far as it is known."""
        state = self.state
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        self._learn(gradient - state["prev_flat_grad"], state["d"] * state["t"])
        kept = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        found, shares = -gradient, [0.0] * len(kept)
        for i, (change, step, inverse) in reversed(list(enumerate(kept))):
            shares[i] = _product(step, found) * inverse
            found = found - change * shares[i]
        found = found * state["H_diag"]
        for share, (change, step, inverse) in zip(shares, kept, strict=True):
            found = found + step * (share - _product(change, found) * inverse)
        state["al"] = [*shares, *[None] * (self.options["history_size"] - len(shares))]
        return found

    def _learn(self, change: Tensor, step: Tensor) -> None:
        """Keep how the gradient changed with the last step, if that tells a curvature."""
        curvature = _product(change, step)
        if curvature <= _LEAST_CURVATURE:
            return
        state = self.state
        names = ("old_dirs", change), ("old_stps", step), ("ro", 1.0 / curvature)
        for name, value in names:
            state[name] = [*state[name], value][-self.options["history_size"] :]
        state["H_diag"] = curvature / _product(change, change)

    def _move(self, start: _Point, direction: Tensor, is_last: bool) -> _Point:
        at = self.state["t"]
        places = [parameter.detach().copy() for parameter in self.parameters]

        def go(at: float) -> None:
            self._go(places, direction, at)

        def look(at: float) -> _Point:
            go(at)
            _, loss, gradient = self.evaluate()
            return _Point(at, loss, gradient, _product(gradient, direction))

        if self.options["line_search_fn"] is None:
            if not is_last:
                return look(at)
            go(at)  # what is there is of no use to this step
            return start._replace(at=at)
        line = _Line(look, start, self.options["max_eval"] - self.calls)
        found = line.search(at, self.options["tolerance_change"], _largest(direction))
        go(found.at)
        return found

    def _go(self, places: list[Tensor], direction: Tensor, at: float) -> None:
        """Put all parameters where they are so far along the direction."""
        offset = 0
        for parameter, place in zip(self.parameters, places, strict=True):
            part = direction[offset : offset + parameter.size].reshape(parameter.shape)
            keep(parameter, place + part * at)
            offset += parameter.size

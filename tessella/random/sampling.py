"""Random numbers of the default generator: of a shape, beside a tensor, or by a tensor's weights."""

from __future__ import annotations

from typing import Any

from tessella import dtypes
from tessella.arguments import public, refuse
from tessella.arguments.kinds import Device, DTypeLike, Natural, ShapeLike, shown
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tessella.random.generator import default
from tessella.tensors.creation import tracked
from tessella.tensors.elementwise import log, where
from tessella.tensors.manipulation import expand_dims
from tessella.tensors.methods.in_place import stand_for
from tessella.tensors.statistics import topk
from tessella.tensors.tensor import Tensor
from tessella.tracing.trace import is_known


@public
def manual_seed(seed: Any) -> None:
    """Start the default generator again from a seed, so that what follows can be repeated."""
    default.seed(seed)


@public
def rand(
    *shape: Any, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Numbers spread evenly over [0, 1)."""
    return tracked(default.uniform(_shape(shape), dtype=dtype), requires_grad)


@public
def randn(
    *shape: Any, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Normally distributed numbers."""
    return tracked(default.normal(_shape(shape), dtype=dtype), requires_grad)


@public
def randint(
    low: Any, high: Any, shape: ShapeLike, dtype: DTypeLike = None, *, device: Device = None
) -> Tensor:
    """Whole numbers from low to high - 1."""
    return default.integers(low, high, shape, dtype)


@public
def randperm(n: Natural, *, device: Device = None) -> Tensor:
    """0 to n - 1 in random order."""
    return default.permutation(n)


def _shape(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


@public
def rand_like(
    x: Tensor, /, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Numbers spread evenly over [0, 1), of x's shape and dtype."""
    return tracked(default.uniform(x.shape, dtype=dtype or x.dtype), requires_grad)


@public
def randn_like(
    x: Tensor, /, *, dtype: DTypeLike = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """Normally distributed numbers, of x's shape and dtype.

    >>> import tessella as ts
    >>> randn_like(ts.zeros((2, 3))).shape
    (2, 3)
    """
    return tracked(default.normal(x.shape, dtype=dtype or x.dtype), requires_grad)


@public
def randint_like(
    x: Tensor, /, low: int, high: int | None = None, *, dtype: DTypeLike = None,
    device: Device = None,
) -> Tensor:  # fmt: skip
    """Whole numbers from low to high - 1 (from 0 to low - 1, if only one number is given), of x's shape and dtype."""
    least, most = (0, low) if high is None else (low, high)
    kind = dtype or x.dtype
    drawn = default.integers(least, most, x.shape)
    return drawn.astype(kind)


@public
def multinomial(x: Tensor, num_samples: int, /, replacement: bool = False) -> Tensor:
    """Places of a vector, or of each row of a matrix, drawn with its elements as weights.

    Without replacement the places are different ones, by the order of weight and chance.

    Shapes: (n,) or (rows, n); (num_samples,) or (rows, num_samples).

    Raises:
        ArgumentError: weights are negative or not finite, or fewer are above 0 than are to be drawn.

    Source: Efraimidis & Spirakis, *Weighted random sampling* (2006); in the form of Gumbel's maxima.

    >>> import tessella as ts
    >>> multinomial(ts.asarray([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    _check_weights(x, num_samples, replacement)
    weights = log(x.detach().astype(dtypes.float64))
    if replacement:
        noise = _gumbel((*x.shape[:-1], num_samples, x.shape[-1]))
        return (expand_dims(weights, -2) + noise).argmax(axis=-1)
    return topk(weights + _gumbel(x.shape), num_samples).indices


def _gumbel(shape: tuple[int, ...]) -> Tensor:
    chance = default.uniform(shape, dtype=dtypes.float64)
    chance = where(chance > 0.0, chance, 2.0**-54)
    return -log(-log(chance))


def _check_weights(x: Tensor, count: int, replacement: bool) -> None:
    if x.ndim not in (1, 2) or not x.shape[-1]:
        raise ShapeError(f"multinomial: shape {x.shape}; expected a vector or rows of weights")
    if not x.dtype.is_float:
        raise DTypeError(
            f"multinomial: {x.dtype.name} weights; convert first: x.astype(ts.float32)"
        )
    if count < 1 or (not replacement and count > x.shape[-1]):
        raise ArgumentError(
            f"multinomial: {count} draws from {x.shape[-1]} places; expected at least 1, and no more than "
            "there are, or replacement=True"
        )
    if is_known(x):
        _check_known_weights(x, count, replacement)


def _check_known_weights(x: Tensor, count: int, replacement: bool) -> None:
    if not bool((x >= 0).all() & (x < float("inf")).all()):
        raise ArgumentError("multinomial: weights must be finite numbers of at least 0")
    needed = 1 if replacement else count
    found = int((x > 0).sum(axis=-1).min())
    if found < needed:
        raise ArgumentError(
            f"multinomial: {found} weights are above 0; expected at least {needed} in every row"
        )


# --- in place ---------------------------------------------------------------------------------------


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, **others: Any) -> Tensor:
    """Let this tensor stand for numbers spread evenly over [low, high), by the default generator."""
    refuse("uniform_", others, "low", "high")
    _require_numbers("uniform_", low=low, high=high)
    drawn = default.uniform(x.shape, low, high, dtype=x.dtype)
    return stand_for(x, drawn, "uniform_")


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, **others: Any) -> Tensor:
    """Let this tensor stand for normally distributed numbers, by the default generator."""
    refuse("normal_", others, "mean", "std")
    _require_numbers("normal_", mean=mean, std=std)
    return stand_for(x, default.normal(x.shape, mean, std, dtype=x.dtype), "normal_")


def _require_numbers(name: str, **numbers: Any) -> None:
    for argument, value in numbers.items():
        known = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not known and not hasattr(type(value), "__tessella_operand__"):  # or traced
            raise ArgumentTypeError(f"{name}: {argument} is {shown(value)}; expected a number")

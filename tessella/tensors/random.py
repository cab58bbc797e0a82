"""Random numbers from a seed and a counter: the same on every machine.

There are two ways to them: a `Generator`, which counts its draws (`tessella.tensors.generator`; the default one is
behind `rand`, `randn`, ...), and explicit keys (`tessella.tensors.distributions`), for which nothing counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any
from typing import NoReturn as _NoReturn

from tessella.arguments import public
from tessella.arguments.kinds import (
    Device,
    DTypeLike,
    Natural,
    ShapeLike,
)
from tessella.names import missing as _missing
from tessella.tensors.creation import tracked
from tessella.tensors.distributions import (
    bernoulli,
    beta,
    bits,
    categorical,
    cauchy,
    choice,
    dirichlet,
    exponential,
    fold_in,
    gamma,
    gumbel,
    key,
    laplace,
    logistic,
    normal,
    permutation,
    poisson,
    split,
    truncated_normal,
    uniform,
)
from tessella.tensors.generator import Generator
from tessella.tensors.generator import default as default
from tessella.tensors.tensor import Tensor


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


if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("random", name)


__all__ = [
    "Generator", "bernoulli", "beta", "bits", "categorical", "cauchy", "choice", "dirichlet", "exponential",
    "fold_in", "gamma", "gumbel", "key", "laplace", "logistic", "manual_seed", "normal", "permutation",
    "poisson", "rand", "randint", "randn", "randperm", "split", "truncated_normal", "uniform",
]  # fmt: skip

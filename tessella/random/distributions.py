"""Random numbers from explicit keys: the same key gives the same numbers, everywhere.

A key is two uint32 words. What is drawn depends on the key and on nothing else, so whoever wants other numbers
takes another key: `split` makes several of one, `fold_in` one of a key and a number. With None in place of a key
the next one of the default generator is taken (`tessella.random.generator`).

Parameters for which there is no distribution (negative ones, NaN, infinities) raise an `ArgumentError`: eagerly at once, in a
compiled function at every call that brings such a one (`tessella.primitives.effect.Require`). Loops of rejection end all
the same, whatever comes first.

Source: Salmon, Moraes, Dror & Shaw, *Parallel random numbers: as easy as 1, 2, 3* (2011); Claessen & Pałka,
*Splittable pseudorandom number generators using cryptographic hashing* (2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, ShapeLike, shown
from tessella.devices.array import check_count, check_shape
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.primitives.base import Shape, broadcast_shapes, normalise_axes
from tessella.primitives.effect import Require
from tessella.primitives.movement import move_axis
from tessella.primitives.random import RandomBits, fold_key, split_key, threefry
from tessella.random.draws import between, digits_of, drawn_in, floating, whole_numbers
from tessella.random.generator import default
from tessella.tensors import elementwise as maths
from tessella.tensors.creation import arange, asarray, full
from tessella.tensors.indexing import take
from tessella.tensors.manipulation import broadcast_to
from tessella.tensors.sorting import argsort
from tessella.tensors.statistical import argmax
from tessella.tensors.tensor import Tensor, apply, is_traced, perform

Key = Tensor | None


@public
def key(seed: Any) -> Tensor:
    """The key of a seed: two uint32 words.

    >>> import tessella as ts
    >>> ts.random.key(7).dtype, ts.random.key(7).shape
    (tessella.uint32, (2,))
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise ArgumentError(f"key: {shown(seed)} was given; expected an integer")
    number = int(seed) & (2**64 - 1)
    words = [np.array(number >> shift & 0xFFFFFFFF, np.uint32) for shift in (0, 32)]
    zero = np.zeros((), np.uint32)
    with np.errstate(over="ignore"):
        return asarray(np.array(threefry((words[0], words[1]), (zero, zero)), np.uint32))


@public
def split(key: Key, count: int = 2) -> Tensor:
    """Several keys from one; the old one should not be used any more.

    Shapes: (2,) -> (count, 2).

    >>> import tessella as ts
    >>> first, second = ts.random.split(ts.random.key(0))
    >>> bool((first == second).all())
    False
    """
    count = check_count(count, "split", "count")
    return split_key(_checked(key, "split"), count)


@public
def fold_in(key: Key, number: Any) -> Tensor:
    """The key that a key and a whole number make, for example the number of a step."""
    if not isinstance(number, (int, np.integer, Tensor)) or isinstance(number, bool):
        raise ArgumentError(f"fold_in: the number is {shown(number)}; expected a whole number")
    folded = number if isinstance(number, Tensor) else asarray(int(number) & 0xFFFFFFFF)
    if not folded.dtype.is_integer:
        raise DTypeError(f"fold_in: the number is {folded.dtype.name}; expected an integer")
    return fold_key(_checked(key, "fold_in"), folded.astype(dtypes.uint32))


@public
def bits(key: Key, shape: ShapeLike = (), dtype: DTypeLike = dtypes.uint32) -> Tensor:
    """Random bits, as uint32 or uint64."""
    kind = as_dtype(dtype)
    sizes = check_shape(shape, "bits")
    chosen = _checked(key, "bits")
    if kind is dtypes.uint32:
        return _words(chosen, sizes)
    if kind is dtypes.uint64:
        high, low = (_words(k, sizes).astype(dtypes.uint64) for k in _several(chosen, 2))
        return (high << 32) | low
    raise DTypeError(f"bits: dtype is {kind.name}; expected uint32 or uint64")


@public
def uniform(
    key: Key, shape: ShapeLike = (), dtype: DTypeLike = None, minval: float | Tensor = 0.0,
    maxval: float | Tensor = 1.0,
) -> Tensor:  # fmt: skip
    """Numbers spread evenly over [minval, maxval).

    >>> import tessella as ts
    >>> x = ts.random.uniform(ts.random.key(0), (1000,))
    >>> 0.45 < float(x.mean()) < 0.55
    True
    """
    kind = floating(dtype)
    for name, bound in (("minval", minval), ("maxval", maxval)):
        _require(bound, bound, "uniform", name, "finite numbers")
    unit = _unit(_checked(key, "uniform"), check_shape(shape, "uniform"), kind)
    return between(unit, minval, maxval, kind)


@public
def normal(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """Normally distributed numbers, of mean 0 and variance 1.

    Source: Box & Muller, *A note on the generation of random normal deviates* (1958).
    """
    kind = floating(dtype)
    wide = kind.compute
    sizes = check_shape(shape, "normal")
    first, second = _several(_checked(key, "normal"), 2)
    radius = ((1.0 - _unit(first, sizes, wide)).log() * -2.0).sqrt()
    return (radius * maths.cos(_unit(second, sizes, wide) * (2.0 * math.pi))).astype(kind)


@public
def truncated_normal(
    key: Key, lower: float | Tensor = -2.0, upper: float | Tensor = 2.0,
    shape: ShapeLike | None = None, dtype: DTypeLike = None,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers, of those between two bounds; by the inverse of their distribution.

    Shapes: that of the bounds together, unless one is given.

    Raises:
        ArgumentError: a bound is NaN, or the lower one above the upper one.
    """
    kind = floating(dtype)
    wide = kind.compute
    low, high = _parameter(lower, wide), _parameter(upper, wide)
    sizes = _shape(shape, "truncated_normal", low, high)
    _require(None, high - low, "truncated_normal", "upper - lower", "0 or more", 0.0, math.inf)
    root = math.sqrt(0.5)
    a, b = maths.erf(low * root), maths.erf(high * root)
    unit = _unit(_checked(key, "truncated_normal"), sizes, wide)
    found = erfinv(a + (b - a) * unit) / root
    return maths.clip(found, low, high).astype(kind)


@public
def exponential(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """Waiting times of mean 1: the density is e^-x."""
    kind = floating(dtype)
    unit = _unit(_checked(key, "exponential"), check_shape(shape, "exponential"), kind.compute)
    return (-maths.log1p(-unit)).astype(kind)


@public
def laplace(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """The density is e^-|x| / 2."""

    def inverse(unit: Tensor) -> Tensor:
        centred = unit * 2.0 - 1.0
        return -maths.sign(centred) * maths.log1p(-maths.abs(centred))

    return _by_inverse("laplace", inverse, key, shape, dtype)


@public
def logistic(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """The distribution function is the sigmoid."""
    return _by_inverse("logistic", lambda u: u.log() - maths.log1p(-u), key, shape, dtype)


@public
def cauchy(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """The density is 1 / (pi (1 + x^2))."""
    return _by_inverse("cauchy", lambda u: maths.tan((u - 0.5) * math.pi), key, shape, dtype)


@public
def gumbel(key: Key, shape: ShapeLike = (), dtype: DTypeLike = None) -> Tensor:
    """The distribution function is e^-e^-x: that of the greatest of many."""
    return _by_inverse("gumbel", lambda u: -(-u.log()).log(), key, shape, dtype)


def _by_inverse(
    name: str, inverse: Callable[[Tensor], Tensor], key: Key, shape: Any, dtype: Any
) -> Tensor:
    """Numbers by the inverse of their distribution function, on numbers spread evenly over (0, 1)."""
    kind = floating(dtype)
    unit = _open_unit(_checked(key, name), check_shape(shape, name), kind.compute)
    return inverse(unit).astype(kind)


@public
def bernoulli(key: Key, p: float | Tensor = 0.5, shape: ShapeLike | None = None) -> Tensor:
    """True with a probability, for each element.

    Raises:
        ArgumentError: a probability is not between 0 and 1.
    """
    probability = _parameter(p, dtypes.DEFAULT_FLOAT)
    _require(p, probability, "bernoulli", "p", "probabilities from 0 to 1", 0.0, 1.0)
    sizes = _shape(shape, "bernoulli", probability)
    return _unit(_checked(key, "bernoulli"), sizes, dtypes.float32) < probability


@public
def categorical(key: Key, logits: Tensor, axis: int = -1, shape: ShapeLike | None = None) -> Tensor:
    """Indices along an axis, each with a probability in proportion to e^logit.

    Shapes: that of the logits without the axis; a longer one, if it is given, draws several times.

    Source: Gumbel, *Statistical theory of extreme values* (1954): the greatest of logits with Gumbel noise.
    """
    table = _parameter(logits, dtypes.DEFAULT_FLOAT)
    if table.ndim == 0:
        raise ShapeError("categorical: the logits have shape (); they need an axis of categories")
    (place,) = normalise_axes(axis, table.ndim, "categorical")
    kept = table.shape[:place] + table.shape[place + 1 :]
    sizes = kept if shape is None else check_shape(shape, "categorical")
    if sizes[len(sizes) - len(kept) :] != kept:
        raise ShapeError(
            f"categorical: shape {sizes} does not end with {kept}, the logits' shape without axis {axis}"
        )
    last: Tensor = move_axis(table, place, table.ndim - 1)
    noise = gumbel(_checked(key, "categorical"), (*sizes, last.shape[-1]), dtype=table.dtype)
    return argmax(last + noise, axis=-1)


@public
def randint(
    key: Key, shape: ShapeLike = (), minval: Any = 0, maxval: Any = 2, dtype: DTypeLike = None
) -> Tensor:
    """Whole numbers from minval to maxval - 1, spread evenly; up to all that the dtype has.

    Raises:
        ArgumentError: there is no number in the range, or the dtype does not hold all of them.

    >>> import tessella as ts
    >>> x = randint(ts.random.key(0), (1000,), 0, 2**64, ts.uint64)
    >>> bool((x > 2**63).any()), bool((x < 2**63).any())
    (True, True)
    """
    chosen = _checked(key, "randint")
    sizes = check_shape(shape, "randint")
    number = 0

    def draw() -> Tensor:
        nonlocal number
        number += 1
        own = chosen if number == 1 else fold_key(chosen, asarray(number, dtype=dtypes.uint32))
        return bits(own, sizes, dtypes.uint64)

    return whole_numbers(draw, minval, maxval, dtype, "randint")


@public
def permutation(key: Key, x: Any, axis: int = 0) -> Tensor:
    """A tensor's places along an axis in random order; or, for a number n, 0 to n - 1."""
    single = not isinstance(x, Tensor)
    if single:
        count = check_count(x, "permutation", "x")
    else:
        (axis,) = normalise_axes(axis, x.ndim, "permutation")
        count = x.shape[axis]
    order = argsort(_unit(_checked(key, "permutation"), (count,), dtypes.float64))
    return take(arange(count), order, axis=0) if single else take(x, order, axis=axis)


@public
def choice(
    key: Key, x: Any, shape: ShapeLike = (), replace: bool = True, p: Tensor | None = None
) -> Tensor:
    """Elements of a tensor along its first axis (or of 0 to n - 1), with or without putting them back.

    Args:
        p: their probabilities, or what is in proportion to them; all alike if left out.

    Raises:
        ArgumentError: a probability is negative, NaN or infinite, or all are 0.
    """
    table = x if isinstance(x, Tensor) else arange(check_count(x, "choice", "x"))
    if table.ndim == 0:
        raise ShapeError("choice: x has shape (); it needs an axis along which to choose")
    count, sizes = table.shape[0], check_shape(shape, "choice")
    wanted = math.prod(sizes)
    if not replace and wanted > count:
        raise ArgumentError(
            f"choice: {wanted} elements are wanted without putting back, and there are {count}"
        )
    chosen = _checked(key, "choice")
    if p is not None:
        weights = _parameter(p, dtypes.DEFAULT_FLOAT)
        _require(p, weights, "choice", "p", "finite numbers of at least 0", 0.0)
        _require(None, weights.sum(), "choice", "the sum of p", "a number above 0", 0.0, above=True)
    if replace and p is None:
        places = randint(chosen, (wanted,), 0, count)
    elif replace:
        places = categorical(chosen, weights.log(), shape=(wanted,))
    else:  # the first of an order by weight and chance
        noise = gumbel(chosen, (count,), dtype=dtypes.float64)
        if p is not None:
            noise = noise + _parameter(p, dtypes.float64).log()
        places = argsort(-noise)[:wanted]
    return take(table, places, axis=0).reshape((*sizes, *table.shape[1:]))


@public
def gamma(
    key: Key, a: float | Tensor, shape: ShapeLike | None = None, dtype: DTypeLike = None
) -> Tensor:
    """The density is x^(a-1) e^-x / Gamma(a); for a = 0 all is 0.

    Raises:
        ArgumentError: a parameter is negative, NaN or infinite.

    Source: Marsaglia & Tsang, *A simple method for generating gamma variables* (2000).
    """
    kind = floating(dtype)
    parameter = _parameter(a, kind.compute)
    _require(a, parameter, "gamma", "a", "finite numbers of at least 0", 0.0)
    sizes = _shape(shape, "gamma", parameter)
    value, shrunk = _gamma(_checked(key, "gamma"), parameter, sizes)
    return (value * shrunk.exp()).astype(kind)


def _gamma(key: Tensor, parameter: Tensor, sizes: Shape) -> tuple[Tensor, Tensor]:
    """Gamma variables as a number each and the logarithm of what makes it smaller: a variable may be less than any
    float is."""
    from tessella.transforms.custom import stop_gradient

    wide = parameter.dtype
    first, second = _several(key, 2)
    alpha = _ending(broadcast_to(stop_gradient(parameter), sizes))
    small = alpha < 1.0  # then a + 1 is drawn, and made smaller
    d = maths.where(small, alpha + 1.0, alpha) - 1.0 / 3.0
    c = 1.0 / (d * 9.0).sqrt()

    def turn(state: Any) -> Any:
        number, accepted, value = state
        for_normal, for_test = _several(fold_key(first, number), 2)
        x = normal(for_normal, sizes, wide)
        v = (1.0 + c * x) ** 3
        u = 1.0 - _unit(for_test, sizes, wide)
        safe = maths.maximum(v, 1e-30)
        good = (v > 0.0) & (u.log() < 0.5 * x * x + d * (1.0 - v + safe.log()))
        return number + 1, accepted | good, maths.where(accepted, value, d * safe)

    value = _until_all_accepted(turn, sizes, wide)
    logarithm = _open_unit(second, sizes, wide).log() / maths.where(small, alpha, alpha * 0.0 + 1.0)
    return value, maths.where(small, logarithm, logarithm * 0.0)


def _log_gamma(key: Tensor, parameter: Tensor, sizes: Shape) -> Tensor:
    value, shrunk = _gamma(key, parameter, sizes)
    return value.log() + shrunk


@public
def beta(
    key: Key, a: float | Tensor, b: float | Tensor, shape: ShapeLike | None = None,
    dtype: DTypeLike = None,
) -> Tensor:  # fmt: skip
    """The density is in proportion to x^(a-1) (1-x)^(b-1) on [0, 1].

    Raises:
        ArgumentError: a parameter is not above 0, NaN or infinite.
    """
    kind = floating(dtype)
    wide = kind.compute
    first, second = _parameter(a, wide), _parameter(b, wide)
    for name, given, parameter in (("a", a, first), ("b", b, second)):
        _require(given, parameter, "beta", name, "finite numbers above 0", 0.0, above=True)
    sizes = _shape(shape, "beta", first, second)
    one, other = _several(_checked(key, "beta"), 2)
    odds = _log_gamma(one, first, sizes) - _log_gamma(other, second, sizes)
    return maths.sigmoid(odds).astype(kind)


@public
def dirichlet(
    key: Key, alpha: Tensor, shape: ShapeLike | None = None, dtype: DTypeLike = None
) -> Tensor:
    """Probabilities along the last axis: gamma variables divided by their sum.

    Raises:
        ArgumentError: a parameter is not above 0, NaN or infinite.
    """
    kind = floating(dtype)
    parameter = _parameter(alpha, kind.compute)
    if parameter.ndim == 0:
        raise ShapeError("dirichlet: alpha has shape (); it needs an axis of categories")
    _require(alpha, parameter, "dirichlet", "alpha", "finite numbers above 0", 0.0, above=True)
    sizes = (
        parameter.shape
        if shape is None
        else (*check_shape(shape, "dirichlet"), parameter.shape[-1])
    )
    x = _log_gamma(_checked(key, "dirichlet"), parameter, sizes)
    shares = (x - x.max(axis=-1, keepdims=True)).exp()
    return (shares / shares.sum(axis=-1, keepdims=True)).astype(kind)


@public
def poisson(
    key: Key, rate: float | Tensor, shape: ShapeLike | None = None, dtype: DTypeLike = None
) -> Tensor:
    """How often something happens in a time in which it does so `rate` times on average.

    Raises:
        ArgumentError: a rate is negative, NaN, infinite, or so large that the dtype could not hold what is drawn.

    Source: Knuth, *The art of computer programming*, volume 2, 3.4.1 F(3), for rates to 10; above,
        Hörmann, *The transformed rejection method for generating Poisson random variables* (1993), PTRS.
    """
    from tessella.transforms.control import while_loop

    kind = as_dtype(dtype or dtypes.DEFAULT_INT)
    mean = _parameter(rate, dtypes.float64)
    most = _largest_rate(kind)
    if most <= 0.0:
        raise ArgumentError(
            f"poisson: dtype is {kind.name}, which holds numbers to {kind.high}, and those drawn may be larger whatever "
            "the rate is; draw in ts.int32, and convert"
        )
    _require(rate, mean, "poisson", "rate", f"numbers from 0 to {most:.4g}", 0.0, most)
    sizes = _shape(shape, "poisson", mean)
    lam = _ending(broadcast_to(mean, sizes))
    chosen = _several(_checked(key, "poisson"), 2)
    few = maths.minimum(lam, 10.0)

    def one_more(state: Any) -> Any:
        number, count, product = state
        product = product * (1.0 - _unit(fold_key(chosen[0], number), sizes, dtypes.float64))
        return number + 1, count + (product > (-few).exp()).astype(dtypes.float64), product

    zeros = full(sizes, 0.0, dtype=dtypes.float64)
    start = (asarray(0, dtype=dtypes.uint32), zeros, zeros + 1.0)
    _, small, _ = while_loop(lambda s: (s[2] > (-few).exp()).any(), one_more, start)
    return maths.where(lam <= 10.0, small, _many(chosen[1], maths.maximum(lam, 10.0))).astype(kind)


def _largest_rate(kind: DType) -> float:
    """Ten standard deviations away from what a dtype holds."""
    largest = float(kind.high) if kind.is_integer else 2.0**62
    return largest - 10.0 * math.sqrt(largest)


def _many(key: Tensor, lam: Tensor) -> Tensor:
    """Poisson variables for rates from 10 on, by rejection."""
    sizes, root = lam.shape, lam.sqrt()
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2.0)

    def turn(state: Any) -> Any:
        number, accepted, value = state
        first, second = _several(fold_key(key, number), 2)
        u = _unit(first, sizes, dtypes.float64) - 0.5
        v = 1.0 - _unit(second, sizes, dtypes.float64)
        us = maths.maximum(0.5 - maths.abs(u), 1e-300)
        k = maths.floor((2.0 * a / us + b) * u + lam + 0.43)
        quick = (us >= 0.07) & (v <= limit)
        possible = (k >= 0.0) & ~((us < 0.013) & (v > us))
        safe = maths.maximum(k, 0.0)
        left = v.log() + inverse.log() - (a / (us * us) + b).log()
        right = _log_poisson(safe, lam)
        good = quick | (possible & (left <= right))
        return number + 1, accepted | good, maths.where(accepted, value, safe)

    return _until_all_accepted(turn, sizes, dtypes.float64)


def _until_all_accepted(turn: Callable[[Any], Any], sizes: Shape, dtype: DType) -> Tensor:
    """Rejection: turn((number, accepted, value)) gives what the next turn starts with."""
    from tessella.transforms.control import while_loop

    accepted, values = full(sizes, False, dtype=dtypes.bool_), full(sizes, 0.0, dtype=dtype)
    start = (asarray(0, dtype=dtypes.uint32), accepted, values)
    return while_loop(lambda state: ~state[1].all(), turn, start)[2]


def _log_poisson(k: Tensor, lam: Tensor) -> Tensor:
    """The logarithm of the probability of k. For large rates its terms would take each other's digits away, and
    Stirling's series is exact."""
    exact = -lam + k * lam.log() - maths.lgamma(k + 1.0)
    x, n = (k - lam) / lam, maths.maximum(k, 1.0)
    series = (
        -lam * ((1.0 + x) * maths.log1p(x) - x) - 0.5 * (2.0 * math.pi * n).log() - 1.0 / (12.0 * n)
    )
    return maths.where(lam < 1e4, exact, series)


# --- parts --------------------------------------------------------------------------------------------


def erfinv(y: Tensor) -> Tensor:
    """The inverse of the error function.

    Source: Giles, *Approximating the erfinv function* (2010), and two steps of Newton's method in float64.
    """
    w = -((1.0 - y) * (1.0 + y)).log()
    near, far = w - 2.5, maths.maximum(w, 5.0).sqrt() - 3.0
    inner = _polynomial(
        near, 2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
    )  # fmt: skip
    outer = _polynomial(
        far, -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
    )  # fmt: skip
    x = maths.where(w < 5.0, inner, outer) * y
    for _ in range(2 if y.dtype is dtypes.float64 else 0):
        x = x - (maths.erf(x) - y) * (math.sqrt(math.pi) / 2.0) * (x * x).exp()
    return maths.where(maths.abs(y) >= 1.0, maths.sign(y) * math.inf, x)


def _polynomial(x: Tensor, *coefficients: float) -> Tensor:
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _checked(key: Key, name: str) -> Tensor:
    """A key, or the next one of the default generator."""
    if key is None:
        return default.key()
    if not isinstance(key, Tensor) or key.shape != (2,) or key.dtype is not dtypes.uint32:
        shown = f"{key.dtype.name} {key.shape}" if isinstance(key, Tensor) else type(key).__name__
        raise ArgumentError(
            f"{name}: the key is {shown}; expected uint32 (2,), as ts.random.key(seed) gives it, or None. "
            "For many keys use ts.vmap"
        )
    return key


def _several(key: Tensor, count: int) -> list[Tensor]:
    keys = split_key(key, count)
    return [keys[i] for i in range(count)]


def _words(key: Tensor, shape: Shape) -> Tensor:
    return apply(RandomBits(shape), (key,))


def _unit(key: Tensor, shape: Shape, dtype: DType) -> Tensor:
    """Numbers in [0, 1): multiples of 2^-53, 2^-24, or of half precision's own step, 2^-11 or 2^-8."""
    if dtype is dtypes.float64:
        return (bits(key, shape, dtypes.uint64) >> 11).astype(dtypes.float64) * 2.0**-53
    digits = digits_of(dtype)
    return (_words(key, shape) >> (32 - digits)).astype(drawn_in(dtype)) * 2.0**-digits


def _open_unit(key: Tensor, shape: Shape, dtype: DType) -> Tensor:
    """Numbers in (0, 1): odd multiples of half a step, so that both ends are as far away."""
    if dtype is dtypes.float64:
        return ((bits(key, shape, dtypes.uint64) >> 12).astype(dtypes.float64) + 0.5) * 2.0**-52
    return ((_words(key, shape) >> 9).astype(dtypes.float32) + 0.5).astype(dtype) * 2.0**-23


def _parameter(value: Any, dtype: DType) -> Tensor:
    if isinstance(value, (bool, int, float)):
        return asarray(value, dtype=dtype)  # not rounded to the default float on the way
    tensor = value if isinstance(value, Tensor) else asarray(value)
    return tensor if tensor.dtype is dtype else tensor.astype(dtype)


_FINITE = float(np.finfo(np.float64).max)


def _require(
    given: Any, value: Any, function: str, argument: str, expected: str,
    least: float = -_FINITE, most: float = _FINITE, above: bool = False,
) -> None:  # fmt: skip
    """Complain about parameters for which there is no distribution: now, or at every call of a program.

    Args:
        given: what the user gave; a number is looked at while a function is being traced.
        value: that as a tensor.
    """
    rule = Require(function, argument, expected, least, most, above)
    if isinstance(given, (int, float, np.ndarray, np.generic)):
        rule.reference(np.asarray(given))
    elif isinstance(value, Tensor):
        if is_traced():
            perform(rule, [value])
        else:
            rule.reference(value.detach().numpy())


def _ending(parameter: Tensor) -> Tensor:
    """Parameters for which rejection comes to an end, whatever is done before `Require` has its turn."""
    if not is_traced():
        return parameter
    good = (parameter >= 0.0) & (parameter < math.inf)
    return maths.where(good, parameter, asarray(1.0, dtype=parameter.dtype))


def _shape(shape: Any, name: str, *parameters: Tensor) -> Shape:
    """The shape that is given, or that of the parameters together, which must fit in it."""
    own = broadcast_shapes([x.shape for x in parameters], name)
    if shape is None:
        return own
    sizes = check_shape(shape, name)
    if broadcast_shapes([own, sizes], name) != sizes:
        raise ShapeError(f"{name}: the parameters have shape {own}, which does not fit in {sizes}")
    return sizes

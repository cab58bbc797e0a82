"""Elementwise operations: one scalar function, applied to every element.

Operands are broadcast and promoted together. Everything else follows from the scalar function: its
derivative gives `vjp` and `jvp`, its expression gives the kernel.
"""

from __future__ import annotations

import operator as python_operators
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments.callers import called_function
from tessella.errors import DTypeError, StorageDTypeError
from tessella.primitives.base import (
    TOLD,
    NumPyArray,
    Primitive,
    Sample,
    Shape,
    Spec,
    broadcast_shapes,
)
from tessella.primitives.host import NumPyCall
from tessella.primitives.movement import batch_above, expand, sum_to
from tessella.scalar import operators
from tessella.scalar.expression import OPERATORS, Operator, evaluate
from tessella.scalar.function import ScalarFunction, cast_function, scalar_function
from tessella.scalar.precision import widen
from tessella.scalar.trace_calls import known

# NumPy orders complex numbers by their real parts; here they have no order, as in the Array API
_NEEDS_ORDER = frozenset(
    [np.less, np.less_equal, np.greater, np.greater_equal, np.maximum, np.minimum]
    + [python_operators.lt, python_operators.le, python_operators.gt, python_operators.ge]
)


@dataclass(frozen=True, eq=False)
class Elementwise(Primitive):
    """function(x, y, ...) for every element of the operands, broadcast together.

    Shapes: any that broadcast; the result has the broadcast shape.
    Dtypes: real; the result's is that of the scalar expression.
    """

    family = "map"
    computes = False  # or so its operators say, each of its own operands

    shared = True

    function: ScalarFunction = field(metadata={TOLD: True})

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is Elementwise and other.function is self.function)

    def __hash__(self) -> int:
        return id(self.function) >> 4

    @property
    def name(self) -> str:
        return self.function.name

    def result(self, *inputs: Spec) -> Spec:
        shape = broadcast_shapes([spec.shape for spec in inputs], self.name)
        kinds = tuple(spec.dtype for spec in inputs)
        if any(kind.is_complex for kind in kinds):
            return Spec(shape, self._complex_result(kinds))
        try:
            return Spec(shape, self.function.result_dtype(kinds))
        except StorageDTypeError as error:
            raise error.told_of(called_function(self.name)) from None
        except DTypeError as error:
            raise error.told_of(self.name) from None

    def _complex_result(self, kinds: tuple[dtypes.DType, ...]) -> dtypes.DType:
        """Complex numbers are computed by NumPy, so NumPy says what comes out."""
        ones = [np.ones((), kind.numpy) for kind in kinds]
        return dtypes.as_dtype(np.asarray(self._complex(*ones)).dtype)

    def _complex(self, *inputs: NumPyArray) -> NumPyArray:
        found = _on_complex(self.function.function)
        if found is None:
            raise DTypeError(f"{self.name}: takes real numbers; complex ones were given", self.name)
        try:
            with np.errstate(all="ignore"):
                return np.asarray(found(*inputs))
        except TypeError as error:
            raise DTypeError(str(error)).told_of(self.name) from None

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        kinds = tuple(dtypes.as_dtype(x.dtype) for x in inputs)
        with np.errstate(all="ignore"):
            if any(kind.is_complex for kind in kinds):
                return self._complex(*inputs)
        expression = widen(self.function.expression(kinds))
        variables = self.function.variables(kinds)
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        value = evaluate(expression, dict(zip(variables, inputs, strict=True)))
        return np.broadcast_to(value, shape).astype(expression.dtype.numpy)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        return self.vjp_of((True,) * len(inputs), cotangents, inputs, outputs)

    def vjp_of(
        self, wanted: tuple[bool, ...], cotangents: Any, inputs: Any, outputs: Any
    ) -> list[Any]:
        kinds = tuple([x.dtype for x in inputs])
        return [
            self._pull(i, cotangents[0], inputs, kinds) if want and x.dtype.is_inexact else None
            for i, (want, x) in enumerate(zip(wanted, inputs, strict=True))
        ]

    def _pull(self, index: int, ct: Any, inputs: tuple[Any, ...], kinds: Any) -> Any:
        slope = self.function.constant_derivative(index, kinds)
        if slope == 0:
            return None
        if slope == 1:
            pulled = ct
        elif slope is not None:
            pulled = -ct if slope == -1 else ct * slope
        else:
            pulled = self._partial(index)(ct, *inputs)
        return reduce_to(pulled, inputs[index].shape, kinds[index].gradient)

    def _partial(self, index: int) -> Elementwise:
        """(cotangent, *operands) to the gradient of an operand; made once."""
        known = self.function.partial_primitives
        found: Elementwise | None = known.get(index)
        if found is None:
            found = known[index] = Elementwise(self.function.partial(index))
        return found

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        spec = self.result(*inputs)
        total = None
        for index, tangent in enumerate(tangents):
            if tangent is None:
                continue
            part = self._push(index, tangent, inputs)
            if part is not None:
                total = part if total is None else total + part
        if total is None:
            return None
        if tuple(total.shape) != spec.shape:  # the other operands are larger
            total = expand(total, spec.shape)
        return cast(total, spec.dtype.gradient)

    def _push(self, index: int, tangent: Any, inputs: tuple[Any, ...]) -> Any:
        """What a tangent of one operand adds to that of the result."""
        slope = self.function.constant_derivative(index, tuple(x.dtype for x in inputs))
        if slope is None:
            return self._partial(index)(tangent, *inputs)
        if slope == 0:
            return None
        return tangent if slope == 1 else -tangent if slope == -1 else tangent * slope

    def batch(
        self, inputs: tuple[Any, ...], axes: tuple[int | None, ...], size: int
    ) -> tuple[Any, Any]:
        """Bring the batch axes to the front, above the broadcast shape."""
        return self(*batch_above(inputs, axes)), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(0)
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
            primitive = elementwise(name)
            x = random.uniform(0.5, 2.0, (3, 1, 4))
            y = random.uniform(2.1, 3.0, (5, 1))
            yield Sample(primitive, (x, y))
            yield Sample(primitive, (x.astype(np.float32), y.astype(np.float32)))
        for name in ("negative", "absolute", "sqrt", "square", "reciprocal"):
            yield Sample(elementwise(name), (random.uniform(0.5, 2.0, (2, 3)),))
        integers = random.integers(1, 9, (4, 3))
        for name in ("add", "remainder", "floor_divide", "bitwise_and", "left_shift"):
            yield Sample(elementwise(name), (integers, integers[:1] % 3), differentiable=False)
        yield Sample(elementwise("select"), (random.random((3, 4)) > 0.5, x[0], np.zeros(4) + 2))


def _select(condition: Any, x: Any, y: Any) -> Any:
    return operators.select(condition, x, y)


def _on_complex(function: Any) -> Callable[..., Any] | None:
    """What computes a function for complex numbers, None if they have no such function.

    That is NumPy for our operators, which have its names, and Python's own for those of its `operator`. A function
    of the user's is followed on real numbers only.
    """
    if function is _select:
        return np.where
    if function is abs:
        return np.absolute
    if not isinstance(function, types.FunctionType | Operator):
        function = known(function)
    if isinstance(function, Operator):
        function = getattr(np, function.name, None)
    is_known = isinstance(function, np.ufunc | types.BuiltinFunctionType)
    return function if is_known and function not in _NEEDS_ORDER else None


_primitives: dict[str, Elementwise] = {}


def elementwise(name: str) -> Elementwise:
    """The elementwise primitive of a scalar operator, by its name."""
    found = _primitives.get(name)
    if found is None:
        function: Callable[..., Any] = _select if name == "select" else OPERATORS[name]
        if name == "select":
            _select.makes_expression = True  # type: ignore[attr-defined]
            _select.__name__ = "select"
        found = _primitives[name] = Elementwise(scalar_function(function))
    return found


def cast_to(dtype: dtypes.DType) -> Primitive:
    """The conversion to a dtype; NumPy does it for complex ones."""
    if not dtype.is_complex:
        return Elementwise(cast_function(dtype))
    return NumPyCall("array", dtype, (("dtype", dtype.numpy),))


def cast(x: Any, dtype: dtypes.DType) -> Any:
    """x as another dtype (x itself if it has it)."""
    return x if x.dtype is dtype else cast_to(dtype)(x)


def reduce_to(x: Any, shape: Shape, dtype: dtypes.DType) -> Any:
    """Sum over the axes along which an operand was broadcast; the adjoint of broadcasting."""
    if x.shape is shape:  # the common case: shapes of layouts are shared
        return x if x.dtype is dtype else cast(x, dtype)
    return cast(sum_to(x, shape), dtype)


def chosen(mask: Any, x: Any) -> Any:
    """x where a mask says so, else 0, even for NaN."""
    return elementwise("select")(mask, x, x.__tessella_zero__())

"""What a primitive is: one array operation, with all its rules in one class."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tessella.arguments.callers import called_function
from tessella.arguments.kinds import shown
from tessella.dtypes import DType, nothing_is_computed
from tessella.errors import AxisError, MissingRuleError, ShapeError
from tessella.sizes.size import Size

Shape = tuple[int, ...]
_OURS = f"{__package__}."
NumPyArray = np.ndarray[Any, Any]


class Spec(NamedTuple):
    """The shape and dtype of an array; anything with these two attributes can stand for one."""

    shape: Shape
    dtype: DType


class Sample(NamedTuple):
    """One case for the generated tests: a primitive, and arrays to apply it to."""

    primitive: Primitive
    inputs: tuple[NumPyArray, ...]
    differentiable: bool = True


TOLD = "told"  # in the metadata of fields that graphs need not show: a name or a result tells them


class PrimitiveClass(type):
    """Makes primitives. Those of classes that are `shared` are made once for the same plain integers.

    A primitive knows how it runs, so eager operations need not look for it among equal ones. What is not
    plain is left alone: sizes that are not known yet ask when they are compared, 0.0 and -0.0 are equal.
    """

    def __call__(cls, *parameters: Any, **named: Any) -> Any:
        if named or not cls.shared:  # type: ignore[attr-defined]
            return super().__call__(*parameters, **named)
        for parameter in parameters:
            if type(parameter) is tuple:
                for part in parameter:
                    if type(part) is not int:
                        return super().__call__(*parameters)
            elif isinstance(parameter, _UNLIKE):
                return super().__call__(*parameters)
        return _made_once(cls, parameters)


_UNLIKE = (float, complex, Size, tuple, list)  # what may be equal and yet not the same


@functools.lru_cache(maxsize=4096)
def _made_once(kind: type, parameters: tuple[Any, ...]) -> Any:
    return type.__call__(kind, *parameters)


class Primitive(metaclass=PrimitiveClass):
    """One array operation. Subclasses are frozen dataclasses: their fields are its parameters.

    A subclass gives `result` and `reference`, and the rules it can: `vjp` (reverse mode), `jvp`
    (forward mode), `batch` (one more axis), `samples` (cases for tests). Rules use operators,
    methods and primitives only, never a class of tensors, so that they can be recorded and
    differentiated themselves.
    """

    multiple_results: ClassVar[bool] = False
    has_effect: ClassVar[bool] = False  # whether it is done for its own sake, not for its results
    shared: ClassVar[bool] = (
        False  # whether equal ones are one object, if their parameters are plain
    )
    computes: ClassVar[bool] = (
        True  # with its operands; what only moves or hands them on takes storage dtypes too
    )
    transparent: ClassVar[bool] = False  # whether kernels read through it, at no cost
    axis_names: frozenset[str] = frozenset()  # over which collectives go that are in it
    family: ClassVar[str] = "other"  # as pictures tell it: `pictures/picture.py`
    plans: ClassVar[Mapping[Any, Any]] = MappingProxyType({})  # how it runs: `compiler/eager.py`

    def __call__(self, *inputs: Any) -> Any:
        """Apply to tensors (or whatever stands for them): run now, or be recorded."""
        return inputs[0].__tessella_apply__(self, inputs)

    @property
    def name(self) -> str:
        return type(self).__name__

    def result(self, *inputs: Spec) -> Any:
        """Shape and dtype of the result (or a tuple of them), from those of the inputs.

        Raises:
            ShapeError, AxisError, DTypeError: the inputs do not fit.
        """
        raise self._missing("result")

    def reference(self, *inputs: NumPyArray) -> Any:
        """The meaning, in NumPy: the oracle of every test."""
        raise self._missing("reference")

    def vjp(
        self, cotangents: tuple[Any, ...], inputs: tuple[Any, ...], outputs: tuple[Any, ...]
    ) -> Sequence[Any]:
        """For each input the gradient, given those of the outputs; None where there is none."""
        raise self._missing("vjp")

    def vjp_of(
        self,
        wanted: tuple[bool, ...],
        cotangents: tuple[Any, ...],
        inputs: tuple[Any, ...],
        outputs: tuple[Any, ...],
    ) -> Sequence[Any]:
        """`vjp`, where only the gradients of some inputs matter; the others may be anything.

        Worth a rule of its own where each gradient is as much work as the primitive.
        """
        return self.vjp(cotangents, inputs, outputs)

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The tangent of the result (or a tuple), given those of the inputs (None for zero)."""
        raise self._missing("jvp")

    def batch(
        self, inputs: tuple[Any, ...], axes: tuple[int | None, ...], size: int
    ) -> tuple[Any, Any]:
        """Apply to a batch: `axes` says where each input has its batch axis, or None.

        Gives the result (or a tuple) and where its batch axis is.
        """
        raise self._missing("batch")

    def batch_over(
        self,
        inputs: tuple[Any, ...],
        axes: tuple[int | None, ...],
        size: int,
        axis_name: str | None,
    ) -> tuple[Any, Any]:
        """`batch`, where collectives over the axis of a name go over this one."""
        return self.batch(inputs, axes, size)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        """Cases from which tests are generated."""
        return ()

    def _missing(self, rule: str) -> MissingRuleError:
        module = type(self).__module__.replace(".", "/") + ".py"
        return MissingRuleError(
            f"{self.name} has no rule `{rule}`; add the method {self.name}.{rule} in {module}"
        )


def result_of(primitive: Primitive, *inputs: Spec) -> Any:
    """`Primitive.result`, of operands that it may compute with.

    Raises:
        DTypeError: one of them is of a storage dtype.
    """
    if primitive.computes:
        for x in inputs:
            if x.dtype.is_storage:
                raise nothing_is_computed(x.dtype).told_of(called_function(primitive.name))
    return primitive.result(*inputs)


class WithoutSlope:
    """What primitives of integers and bits have in place of derivatives: no gradient goes through them."""

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Sequence[Any]:
        return [None] * len(inputs)

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        return None


class Composite(Primitive):
    """A primitive that is computed by others, and has rules of its own where they are better.

    `steps` is given a function that applies a primitive to operands: eager mode runs it, the compiler
    writes it down. Where they become one kernel, that is what eager mode runs, too.
    """

    fuses: ClassVar[bool] = False  # whether the steps mostly become one kernel

    def steps(self, apply: Any, operands: Sequence[Any]) -> Any:
        """The result, made of other primitives."""
        raise self._missing("steps")


def normalise_axis(axis: int, rank: int, name: str) -> int:
    """An axis counted from the front.

    Raises:
        AxisError: the array has no such axis.

    >>> normalise_axis(-1, 3, "sum")
    2
    """
    if type(axis) is int and 0 <= axis < rank:  # as they mostly come
        return axis
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise AxisError(f"{name}: axis {shown(axis)} is not an integer")
    if not -rank <= axis < rank:
        allowed = f"from {-rank} to {rank - 1}" if rank else "none: it has no axes"
        raise AxisError(
            f"{name}: axis {shown(axis)} is out of range for an array of {rank} dimensions (allowed: "
            f"{allowed})"
        )
    return int(axis) % rank


def normalise_axes(axes: int | Sequence[int] | None, rank: int, name: str) -> tuple[int, ...]:
    """Axes counted from the front, in order; None stands for all of them.

    Raises:
        AxisError: an axis does not exist, or is named twice.

    >>> normalise_axes((-1, 0), 3, "sum"), normalise_axes(None, 2, "sum")
    ((0, 2), (0, 1))
    """
    if type(axes) is int and 0 <= axes < rank:  # as they mostly come
        return (axes,)
    if axes is None:
        return tuple(range(rank))
    if isinstance(axes, (int, np.integer)):
        return (normalise_axis(axes, rank, name),)
    if not isinstance(axes, Iterable):
        raise AxisError(f"{name}: axis {shown(axes)} is neither an integer nor several")
    found = sorted(normalise_axis(axis, rank, name) for axis in axes)
    if len(set(found)) != len(found):
        raise AxisError(f"{name}: axes {tuple(axes)} name one axis twice")
    return tuple(found)


def broadcast_shapes(shapes: Sequence[Shape], name: str) -> Shape:
    """The shape that arrays of these shapes have together, by NumPy's rules.

    Raises:
        ShapeError: two sizes differ and neither is 1.

    >>> broadcast_shapes([(3, 1), (4,)], "add")
    (3, 4)
    """
    first = shapes[0]
    for shape in shapes:
        if not same_shape(shape, first):
            break
    else:
        return first
    rank = max(len(shape) for shape in shapes)
    result = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, start=rank - len(shape)):
            if size == 1 or size == result[axis]:
                continue
            if result[axis] != 1:
                raise ShapeError(
                    f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast: axis "
                    f"{axis - rank} has the sizes {result[axis]} and {size}; they must be equal, "
                    "or one of them 1"
                )
            result[axis] = size
    return tuple(result)


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes are equal; sizes are only compared if there are as many of them."""
    return len(a) == len(b) and a == b


def size_of(shape: Shape) -> int:
    """The number of elements of an array of this shape."""
    total = 1
    for extent in shape:
        total *= extent
    return total


def is_array_operation(primitive: Primitive) -> bool:
    """Whether the rules of a primitive are ours and run no code of users, as those of loops and branches may."""
    kind, users = type(primitive), getattr(primitive, "gradient", None)
    return kind.__module__.startswith(_OURS) and not hasattr(kind, "evaluate") and users is None


def sum_over(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum over some axes (x itself if there are none).

    It is asked of x: broadcasting and sums are each other's gradients, and neither file imports the other.
    """
    return x.__tessella_sum__(axes) if axes else x

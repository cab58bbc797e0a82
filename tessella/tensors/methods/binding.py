"""All methods of a tensor, and their binding to the class: they need it, so they stand above it."""

from __future__ import annotations

from tessella.tensors.gradients import Gradients
from tessella.tensors.methods.axes import AxesAndParts
from tessella.tensors.methods.conversions import Conversions, Copies, Facts
from tessella.tensors.methods.functions import (
    ElementwiseMethods,
    MatrixMethods,
    PlaceMethods,
    ReductionMethods,
    ShapeMethods,
)
from tessella.tensors.methods.in_place import InPlace
from tessella.tensors.methods.leaving import Leaving
from tessella.tensors.methods.made_alike import MadeAlike
from tessella.tensors.methods.method import bind
from tessella.tensors.methods.operators import Operators
from tessella.tensors.methods.rebinding import Rebinding
from tessella.tensors.tensor import Tensor


class Methods(
    Operators, Gradients, Leaving, Rebinding, InPlace, ElementwiseMethods, ReductionMethods, ShapeMethods,
    PlaceMethods, MatrixMethods, AxesAndParts, Copies, Conversions, Facts, MadeAlike,
):  # fmt: skip
    """What types say that a tensor has, besides its data and its place on the tape."""

    __slots__ = ()


bind(Tensor, *Methods.__bases__)

"""All methods of a tensor, and their binding to the class: they need it, so they stand above it."""

from __future__ import annotations

from tessella.tensors.gradients import Gradients
from tessella.tensors.methods import functions
from tessella.tensors.methods.axes import AxesAndParts
from tessella.tensors.methods.conversions import Conversions, Copies, Facts
from tessella.tensors.methods.in_place import InPlace
from tessella.tensors.methods.leaving import Leaving
from tessella.tensors.methods.made_alike import MadeAlike
from tessella.tensors.methods.method import bind
from tessella.tensors.methods.operators import Operators
from tessella.tensors.methods.rebinding import Rebinding
from tessella.tensors.tensor import Tensor


class Methods(
    Operators, Gradients, Leaving, Rebinding, InPlace, AxesAndParts, Copies, Conversions, Facts, MadeAlike,
    functions.ElementwiseMethods, functions.ReductionMethods, functions.ShapeMethods, functions.PlaceMethods,
    functions.MatrixMethods,
):  # fmt: skip
    """What types say that a tensor has, besides its data and its place on the tape."""

    __slots__ = ()


bind(Tensor, *Methods.__bases__)

"""Primitives: the array operations the system knows, one file per family."""

from tessella.primitives.attention import Attention, AttentionGradient
from tessella.primitives.barrier import Barrier
from tessella.primitives.base import Primitive, Sample, Spec
from tessella.primitives.collective import Collective, Operation
from tessella.primitives.contraction import Contraction, Geometry
from tessella.primitives.dropout import Dropout
from tessella.primitives.dynamic_slice import DynamicSlice, DynamicUpdateSlice
from tessella.primitives.elementwise import Elementwise, elementwise
from tessella.primitives.function_reduce import FunctionReduce
from tessella.primitives.generate import Iota
from tessella.primitives.host import ArgSort, Host, NumPyCall
from tessella.primitives.indexing import Gather, InRange, Scatter
from tessella.primitives.monoid import Monoid
from tessella.primitives.movement import (
    Concatenate,
    Expand,
    Pad,
    Permute,
    Reshape,
    Slice,
    UpdateSlice,
)
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.primitives.scan import (
    CumulativeMaximum,
    CumulativeMinimum,
    CumulativeProduct,
    CumulativeSum,
)
from tessella.primitives.softmax import LogSoftmax, LogSoftmaxGradient, Softmax, SoftmaxGradient
from tessella.primitives.window import Fold, Window

ALL = tuple(
    kind
    for kind in [*vars().values()]
    if isinstance(kind, type)
    and issubclass(kind, Primitive)
    and kind.reference is not Primitive.reference
)

__all__ = [
    "ALL",
    "ArgSort",
    "Attention",
    "AttentionGradient",
    "Barrier",
    "Collective",
    "Concatenate",
    "Contraction",
    "CumulativeMaximum",
    "CumulativeMinimum",
    "CumulativeProduct",
    "CumulativeSum",
    "Dropout",
    "DynamicSlice",
    "DynamicUpdateSlice",
    "Elementwise",
    "Expand",
    "Fold",
    "FunctionReduce",
    "Gather",
    "Geometry",
    "Host",
    "InRange",
    "Iota",
    "LogSoftmax",
    "LogSoftmaxGradient",
    "Monoid",
    "NumPyCall",
    "Operation",
    "Pad",
    "Permute",
    "Primitive",
    "RandomBits",
    "Reduce",
    "Reshape",
    "Sample",
    "Scatter",
    "Slice",
    "Softmax",
    "SoftmaxGradient",
    "Spec",
    "UpdateSlice",
    "Window",
    "elementwise",
]

"""Primitives: the array operations the system knows, one file per family."""

from tessella.primitives.attention import Attention as Attention
from tessella.primitives.attention import AttentionGradient as AttentionGradient
from tessella.primitives.barrier import Barrier as Barrier
from tessella.primitives.base import Primitive as Primitive
from tessella.primitives.base import Sample as Sample
from tessella.primitives.base import Spec as Spec
from tessella.primitives.collective import Collective as Collective
from tessella.primitives.collective import Operation as Operation
from tessella.primitives.contraction import Contraction as Contraction
from tessella.primitives.contraction import Geometry as Geometry
from tessella.primitives.dropout import Dropout as Dropout
from tessella.primitives.dynamic_slice import DynamicSlice as DynamicSlice
from tessella.primitives.dynamic_slice import DynamicUpdateSlice as DynamicUpdateSlice
from tessella.primitives.elementwise import Elementwise as Elementwise
from tessella.primitives.elementwise import elementwise as elementwise
from tessella.primitives.function_reduce import FunctionReduce as FunctionReduce
from tessella.primitives.generate import Iota as Iota
from tessella.primitives.host import ArgSort as ArgSort
from tessella.primitives.host import Host as Host
from tessella.primitives.host import NumPyCall as NumPyCall
from tessella.primitives.indexing import Gather as Gather
from tessella.primitives.indexing import InRange as InRange
from tessella.primitives.indexing import Scatter as Scatter
from tessella.primitives.monoid import Monoid as Monoid
from tessella.primitives.movement import Concatenate as Concatenate
from tessella.primitives.movement import Expand as Expand
from tessella.primitives.movement import Pad as Pad
from tessella.primitives.movement import Permute as Permute
from tessella.primitives.movement import Reshape as Reshape
from tessella.primitives.movement import Slice as Slice
from tessella.primitives.movement import UpdateSlice as UpdateSlice
from tessella.primitives.random import RandomBits as RandomBits
from tessella.primitives.reduce import Reduce as Reduce
from tessella.primitives.scan import CumulativeMaximum as CumulativeMaximum
from tessella.primitives.scan import CumulativeMinimum as CumulativeMinimum
from tessella.primitives.scan import CumulativeProduct as CumulativeProduct
from tessella.primitives.scan import CumulativeSum as CumulativeSum
from tessella.primitives.softmax import LogSoftmax as LogSoftmax
from tessella.primitives.softmax import LogSoftmaxGradient as LogSoftmaxGradient
from tessella.primitives.softmax import Softmax as Softmax
from tessella.primitives.softmax import SoftmaxGradient as SoftmaxGradient
from tessella.primitives.window import Fold as Fold
from tessella.primitives.window import Window as Window

ALL = tuple(
    kind
    for kind in [*vars().values()]
    if isinstance(kind, type)
    and issubclass(kind, Primitive)
    and kind.reference is not Primitive.reference
)

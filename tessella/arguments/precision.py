"""In which precision functions compute inside `ts.autocast`: one table, and what the gate does by it.

Inside such a block a function of the table is called with operands of its row's precision, and with the block
switched off, so that what it is made of computes as it was written. All other functions take operands as they
are. Only floating operands are touched, and float64 stays float64.

Source: the lists of PyTorch for accelerators (`ATen/autocast_mode.h`), which serve every device here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tessella.arguments.kinds import scope
from tessella.blocks import Block, Setting
from tessella.dtypes import DType

Function = TypeVar("Function", bound=Callable[..., Any])

LOWER, FLOAT32, WIDEST, AS_GIVEN = "lower", "float32", "widest", "as given"

# What gains by half precision and sums in float32; what needs the range or the digits of float32; what takes
# operands of several dtypes at once and computes in the widest of them; and what computes in float32 inside and
# gives its result in the dtype of its first operand.
TABLE: Mapping[str, str] = {
    LOWER: """
        matmul mm mv bmm addmm addmv addr baddbmm einsum vecdot linear
        conv1d conv2d conv3d convolution
        conv_transpose1d conv_transpose2d conv_transpose3d transposed_convolution
        scaled_dot_product_attention prelu recurrence step
    """,
    FLOAT32: """
        acos asin cosh erfinv exp expm1 log log10 log2 log1p pow power reciprocal rsqrt sinh softplus tan
        cumulative_prod cumulative_sum prod sum logsumexp log_softmax softmax softmin
        cdist dist norm pairwise_distance pdist cosine_similarity
        group_norm layer_norm rms_norm local_response_norm interpolate
        binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy ctc_loss
        gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss linear_cross_entropy margin_ranking_loss
        mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss poisson_nll_loss
        smooth_l1_loss soft_margin_loss triplet_margin_loss
    """,
    WIDEST: """
        add subtract multiply divide addcdiv addcmul atan2 where concat stack
        bilinear cross dot vdot inner outer tensordot grid_sample scatter_add
    """,
    AS_GIVEN: "batch_norm instance_norm",
}  # fmt: skip
_ROWS = {name: row for row, names in TABLE.items() for name in names.split()}
_ROOMS = ("tessella.tensors.", "tessella.nn.functional.")


class Casting(NamedTuple):
    """What is in force inside a block.

    Args:
        dtype: of the operands of functions that compute in lower precision.
        casts: of parameters, kept for as long as the block is entered; None if they are to be made anew.
        cast: gives arguments in the precision of a row of the table.
    """

    dtype: DType
    casts: dict[int, Any] | None
    cast: Callable[[Sequence[Any], str, Casting], list[Any]]


casting: Setting[Casting | None] = Setting("casting", None)
as_written = casting.block(None)  # inside it nothing is cast


class AutocastBlock(Block):
    """A `with` block, or a decorator, inside which functions compute in the precision of their row."""

    __slots__ = ("cast", "dtype", "keeps")

    def __init__(self, dtype: DType | None, keeps: bool, cast: Callable[..., Any]) -> None:
        self.setting, self.dtype, self.keeps, self.cast = casting, dtype, keeps, cast
        scope["casts"] = True  # from now on gates and compiled functions ask what is in force

    @property
    def value(self) -> Casting | None:
        """What is in force inside: for each time that it is entered one of its own."""
        if self.dtype is None:
            return None
        return Casting(self.dtype, {} if self.keeps else None, self.cast)

    def __repr__(self) -> str:
        return f"autocast({'enabled=False' if self.dtype is None else self.dtype})"


def lower_dtype() -> DType | None:
    """The dtype of lower precision in this thread, or task; None outside every block."""
    now = casting.get() if scope["casts"] else None
    return None if now is None else now.dtype


def row_of(function: Callable[..., Any]) -> str | None:
    """The row of the table that a function of tensors stands in; None if in none."""
    is_ours = function.__module__.startswith(_ROOMS) and function.__qualname__ == function.__name__
    return _ROWS.get(function.__name__) if is_ours else None


def by_table(function: Function) -> Function:
    """A function that looks at what is in force; itself, if it stands in no row."""
    row = row_of(function)
    if row is None:
        return function

    @functools.wraps(function)
    def cast(*placed: Any, **named: Any) -> Any:
        now = casting.get()
        if now is None:
            return function(*placed, **named)
        values = now.cast([*placed, *named.values()], row, now)
        others = dict(zip(named, values[len(placed) :], strict=True))
        with as_written:
            return function(*values[: len(placed)], **others)

    return cast  # type: ignore[return-value]

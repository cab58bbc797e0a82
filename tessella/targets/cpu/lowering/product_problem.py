"""What is known of a product when it is cut into blocks, and what is free to be chosen then."""

from __future__ import annotations

from typing import NamedTuple

from tessella.dtypes import DType

SERIAL_BELOW = 1 << 19  # multiply-adds that one thread does sooner than two


class Problem(NamedTuple):
    """What is known of a product when it is cut.

    Args:
        dtype: what is multiplied and added.
        pairs: whether panels hold pairs of bfloat16; `depth` counts them.
        left_stays, right_stays: whether the operand can be read where it stands.
        left_straight: whether its steps of k lie side by side.
        left_fixed, right_fixed: whether it stays the same from call to call, and is packed only once.
        right_windows: whether most of its panels lie side by side, at each step somewhere else.
    """

    dtype: DType
    pairs: bool
    batches: int
    rows: int
    columns: int
    depth: int
    left_stays: bool
    left_straight: bool
    right_stays: bool
    left_fixed: bool
    right_fixed: bool
    right_windows: bool = False

    @property
    def work(self) -> int:
        """Multiply-adds."""
        return self.batches * self.rows * self.columns * self.depth

    @property
    def shared(self) -> bool:
        """Whether threads share the work."""
        return self.work >= SERIAL_BELOW


class Choice(NamedTuple):
    """What is free to be chosen when a product is cut; `ts.tune` tries several.

    Args:
        left_in_place: whether the left operand is read where it stands.
        right: when the right operand is packed, as in `Blocking`.
        most_block: of k, at most.
        row_panels, column_panels: of one item, at most.
    """

    left_in_place: bool
    right: str
    most_block: int
    row_panels: int
    column_panels: int

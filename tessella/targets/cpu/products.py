"""The loops around the micro-kernel: blocks of a result, tile by tile.

An item of work is a block of the result: some panels of rows by some panels of columns, for one
batch. It goes over k in blocks, so that a panel of each operand stays in the innermost cache:

    for each block of k:
        for each panel of columns:                  (packed before, or now, or read where it stands)
            for each panel of rows:
                multiply the two panels and add to the tile of the result

and in the end an epilogue may go over the item's block of the result, while that is in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping

from tessella.loops.llvm_types import register_type
from tessella.targets.cpu.by_hand import spelled_out, words
from tessella.targets.cpu.tiles import Tile, micro_kernel

# When the right operand is packed; of windows, only the panels that do not lie side by side, on the way.
AHEAD, ON_THE_WAY, WINDOWS = "ahead", "on the way", "windows"

AHEAD_STEPS = 8  # of k: so far ahead the micro-kernel fetches the right operand

# The arguments of the native function, 8 bytes each; pointers first. Places, steps and offsets count
# elements. What a product does not need is 0.
POINTERS = (
    "left", "right", "result", "batch_offsets", "row_offsets", "column_offsets", "column_flags",
    "left_batches", "left_places", "pack", "pack_batches", "pack_steps", "pack_places", "pack_extra",
    "packed_steps",
)  # fmt: skip
NUMBERS = (
    "rows", "columns", "depth", "block", "row_panels", "column_panels", "rows_per_item",
    "columns_per_item", "row_items", "column_items", "left_batch", "left_step", "right_batch",
    "right_step", "right_ahead", "per_panel", "extra_per_panel", "extra_per_step", "accumulate", "column_base",
)  # fmt: skip
# The last words: a kernel that goes over each block of the result while it is in the cache, its
# arguments (pointers and sizes), and how many words these are. Before each call the batch, the
# block's first column and the column after its last are put behind them; its rows are the range of
# the call.
EPILOGUE = ("epilogue", "epilogue_args", "epilogue_words")
ARGUMENTS = POINTERS + NUMBERS + EPILOGUE
PACK_WORD = ARGUMENTS.index("pack") - 3  # among the words behind the first three pointers
MOST_EPILOGUE_ARGUMENTS = 120


def arguments(values: Mapping[str, int]) -> list[int]:
    """The words behind the first three pointers, in order."""
    unknown = set(values) - set(ARGUMENTS[3:])
    assert not unknown, unknown
    return [values.get(name, 0) for name in ARGUMENTS[3:]]


def product_ir(tile: Tile, packed: str, attributes: str) -> str:
    """LLVM IR of `product`.

    Args:
        packed: when the right operand is packed: `AHEAD`, or `ON_THE_WAY` by the native function
            `pack` (see `tessella.targets.cpu.packing`), panel by panel, just before it is used. In the
            second case whole panels whose columns lie side by side are read where they stand if
            `right_step`, from one k to the next, is not 0. `WINDOWS` reads such panels by their table
            of steps, and packs only the others.
    """
    kind = register_type(tile.dtype)
    left, right = _LEFT[tile.in_place], _RIGHT[packed]
    parts = {
        "kind": kind,
        "attributes": attributes,
        "tile_rows": tile.rows,
        "tile_columns": tile.columns,
        "ahead": AHEAD_STEPS,
        "packed_ahead": AHEAD_STEPS * tile.columns,
        "steps_of_k": 2 if tile.pairs else 1,
        "frame": MOST_EPILOGUE_ARGUMENTS + 8,
        "arguments": words(ARGUMENTS, len(POINTERS)),
        "hows": "\n".join(
            f"  %how.{i} = getelementptr i64, ptr %how, i64 {i}" for i in range(1, 11)
        ),
    }
    for name in ("batch", "block", "panel"):
        parts[f"left_{name}"] = left[name].format(**parts)
    for name in ("entry", "batch", "block", "panel"):
        parts[f"right_{name}"] = right[name].format(**parts)
    parts["right_steps"] = "ptr %b.steps" if packed == WINDOWS else "i64 %b.step, i64 %b.ahead"
    micro = micro_kernel(tile, attributes, packed == WINDOWS)
    return spelled_out(micro + _PRODUCT.format(**parts))


# How the left operand is found: packed by batch, block of k and panel; or by its places.
_LEFT = {
    False: {
        "batch": """  %la.offset = mul i64 %batch, %left_batch
  %la = getelementptr {kind}, ptr %left, i64 %la.offset""",
        "block": """  %lb.a = mul i64 %k0, %row_panels
  %lb.b = mul i64 %lb.a, {tile_rows}
  %lblock = getelementptr {kind}, ptr %la, i64 %lb.b
  %lpanel = mul i64 %count, {tile_rows}""",
        "panel": """  %pa.offset = mul i64 %rp, %lpanel
  %pa = getelementptr {kind}, ptr %lblock, i64 %pa.offset
  %places.row = getelementptr i64, ptr %left_places, i64 0""",
    },
    True: {
        "batch": """  %la.offset = word %batch of %left_batches as i64
  %la = getelementptr {kind}, ptr %left, i64 %la.offset""",
        "block": """  %lb.offset = mul i64 %k0, %left_step
  %lblock = getelementptr {kind}, ptr %la, i64 %lb.offset""",
        "panel": """  %pa = getelementptr {kind}, ptr %lblock, i64 0
  %places.row = getelementptr i64, ptr %left_places, i64 %row""",
    },
}


def _panel(stays: str, steps: str) -> str:
    """A panel of the right operand, read where it stands or packed now.

    Args:
        stays: LLVM IR of `%stays`, which of the two.
        steps: LLVM IR of how the panel goes along k, for either.
    """
    return f"""  %places.offset = mul i64 %cp, %per_panel
  %places.here = getelementptr i64, ptr %pack_places, i64 %places.offset
  %extra.p = mul i64 %cp, %extra_per_panel
  %extra.offset = add i64 %extra.p, %extra.k
  %extra.here = getelementptr i64, ptr %pack_extra, i64 %extra.offset
{stays}
  br i1 %stays, label %panel.stays, label %panel.packs
panel.stays:
  %stays.offset = load i64, ptr %places.here
  %stays.here = getelementptr {{kind}}, ptr %rblock, i64 %stays.offset
  br label %panel.ready
panel.packs:
  store ptr %places.here, ptr %how.4
  store ptr %extra.here, ptr %how.5
  call void %pack(ptr %how, i64 0, i64 1)
  br label %panel.ready
panel.ready:
  %pb = phi ptr [ %stays.here, %panel.stays ], [ %packed, %panel.packs ]
{steps}"""


# How a panel of the right operand is found. `how` holds the arguments of the packing function.
_RIGHT = {
    AHEAD: {
        "entry": "",
        "batch": """  %ra.offset = mul i64 %batch, %right_batch
  %ra = getelementptr {kind}, ptr %right, i64 %ra.offset""",
        "block": """  %rb.a = mul i64 %k0, %column_panels
  %rb.b = mul i64 %rb.a, {tile_columns}
  %rblock = getelementptr {kind}, ptr %ra, i64 %rb.b
  %rpanel = mul i64 %count, {tile_columns}""",
        "panel": """  %pb.offset = mul i64 %cp, %rpanel
  %pb = getelementptr {kind}, ptr %rblock, i64 %pb.offset
  %b.step = add i64 0, {tile_columns}
  %b.ahead = mul i64 %b.step, {ahead}""",
    },
    ON_THE_WAY: {
        "entry": """  %deepest = icmp slt i64 %depth, %block
  %room = select i1 %deepest, i64 %depth, i64 %block
  %packed.size = mul i64 %room, {tile_columns}
  %packed = alloca {kind}, i64 %packed.size, align 64
  %how = alloca [11 x i64], align 8
{hows}
  store ptr %right, ptr %how
  store ptr %packed, ptr %how.1
  store i64 1, ptr %how.6
  store i64 1, ptr %how.7
  store i64 %block, ptr %how.8
  store i64 0, ptr %how.10
  %may.stay = icmp ne i64 %right_step, 0""",
        "batch": """  %pack.batch = getelementptr i64, ptr %pack_batches, i64 %batch
  store ptr %pack.batch, ptr %how.2
  %ra.offset = load i64, ptr %pack.batch
  %ra = getelementptr {kind}, ptr %right, i64 %ra.offset""",
        "block": """  %steps.index = mul i64 %k0, {steps_of_k}
  %steps.here = getelementptr i64, ptr %pack_steps, i64 %steps.index
  store ptr %steps.here, ptr %how.3
  store i64 %count, ptr %how.9
  %extra.k = mul i64 %k0, %extra_per_step
  %rb.offset = mul i64 %k0, %right_step
  %rblock = getelementptr {kind}, ptr %ra, i64 %rb.offset""",
        "panel": _panel(
            """  %whole = icmp sge i64 %columns.here, {tile_columns}
  %stays = and i1 %may.stay, %whole""",
            """  %b.step = phi i64 [ %right_step, %panel.stays ], [ {tile_columns}, %panel.packs ]
  %b.ahead = phi i64 [ %right_ahead, %panel.stays ], [ {packed_ahead}, %panel.packs ]""",
        ),
    },
}

_RIGHT[WINDOWS] = {
    **_RIGHT[ON_THE_WAY],
    "panel": _panel(
        """  %run.end = load i64, ptr %extra.here
  %stays = icmp sge i64 %run.end, {tile_columns}""",
        "  %b.steps = phi ptr [ %steps.here, %panel.stays ], [ %packed_steps, %panel.packs ]",
    ),
}

_PRODUCT = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @product(ptr noalias %args, i64 %begin, i64 %end) nounwind {attributes} {{
entry:
{arguments}
  %frame = alloca [{frame} x i64], align 8
  %accumulates = icmp ne i64 %accumulate, 0
  %items = mul i64 %row_items, %column_items
{right_entry}
  br label %item
item:
  %it = phi i64 [ %begin, %entry ], [ %it.next, %item.next ]
  %it.ok = icmp slt i64 %it, %end
  br i1 %it.ok, label %item.begin, label %leave
item.begin:
  %batch = udiv i64 %it, %items
  %rest = urem i64 %it, %items
  %row.item = udiv i64 %rest, %column_items
  %column.item = urem i64 %rest, %column_items
  %rp.first = mul i64 %row.item, %rows_per_item
  %rp.past = add i64 %rp.first, %rows_per_item
  %rp.over = icmp sgt i64 %rp.past, %row_panels
  %rp.end = select i1 %rp.over, i64 %row_panels, i64 %rp.past
  %cp.first = mul i64 %column.item, %columns_per_item
  %cp.past = add i64 %cp.first, %columns_per_item
  %cp.over = icmp sgt i64 %cp.past, %column_panels
  %cp.end = select i1 %cp.over, i64 %column_panels, i64 %cp.past
  %bo = word %batch of %batch_offsets as i64
  %c = getelementptr {kind}, ptr %result, i64 %bo
{left_batch}
{right_batch}
  br label %block.head
block.head:
  %k0 = phi i64 [ 0, %item.begin ], [ %k0.next, %block.end ]
  %k0.ok = icmp slt i64 %k0, %depth
  br i1 %k0.ok, label %block.begin, label %item.end
block.begin:
  %left.over = sub i64 %depth, %k0
  %short = icmp slt i64 %left.over, %block
  %count = select i1 %short, i64 %left.over, i64 %block
  %notfirst = icmp ne i64 %k0, 0
  %add = or i1 %notfirst, %accumulates
{left_block}
{right_block}
  br label %cp.head
cp.head:
  %cp = phi i64 [ %cp.first, %block.begin ], [ %cp.next, %cp.done ]
  %cp.ok = icmp slt i64 %cp, %cp.end
  br i1 %cp.ok, label %cp.begin, label %block.end
cp.begin:
  %column = mul i64 %cp, {tile_columns}
  %columns.here = sub i64 %columns, %column
  %columns.many = icmp sgt i64 %columns.here, {tile_columns}
  %columns.count = select i1 %columns.many, i64 {tile_columns}, i64 %columns.here
  %coffsets = getelementptr i64, ptr %column_offsets, i64 %column
  %flag = word %cp of %column_flags as i64
  %flagged = icmp ne i64 %flag, 0
{right_panel}
  br label %rp.enter
rp.enter:
  br label %rp.head
rp.head:
  %rp = phi i64 [ %rp.first, %rp.enter ], [ %rp.next, %rp.begin ]
  %rp.ok = icmp slt i64 %rp, %rp.end
  br i1 %rp.ok, label %rp.begin, label %cp.done
rp.begin:
  %row = mul i64 %rp, {tile_rows}
  %rows.here = sub i64 %rows, %row
  %rows.many = icmp sge i64 %rows.here, {tile_rows}
  %rows.count = select i1 %rows.many, i64 {tile_rows}, i64 %rows.here
  %roffsets = getelementptr i64, ptr %row_offsets, i64 %row
{left_panel}
  call void @micro(ptr %pa, ptr %places.row, i64 %left_step, ptr %pb, {right_steps}, i64 %count, ptr %c, ptr %roffsets, ptr %coffsets, i64 %rows.count, i64 %columns.count, i1 %flagged, i1 %add)
  %rp.next = add nsw i64 %rp, 1
  br label %rp.head
cp.done:
  %cp.next = add nsw i64 %cp, 1
  br label %cp.head
block.end:
  %k0.next = add nsw i64 %k0, %block
  br label %block.head
item.end:
  %epilogue.some = icmp ne i64 %epilogue, 0
  br i1 %epilogue.some, label %epilogue.call, label %item.next
epilogue.call:
  %row.from = mul i64 %rp.first, {tile_rows}
  %row.past = mul i64 %rp.end, {tile_rows}
  %row.over = icmp sgt i64 %row.past, %rows
  %row.to = select i1 %row.over, i64 %rows, i64 %row.past
  %column.from = mul i64 %cp.first, {tile_columns}
  %column.past = mul i64 %cp.end, {tile_columns}
  %column.over = icmp sgt i64 %column.past, %columns
  %column.to = select i1 %column.over, i64 %columns, i64 %column.past
  %epilogue.kernel = inttoptr i64 %epilogue to ptr
  %epilogue.source = inttoptr i64 %epilogue_args to ptr
  %epilogue.bytes = mul i64 %epilogue_words, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %frame, ptr %epilogue.source, i64 %epilogue.bytes, i1 false)
  %frame.batch = getelementptr i64, ptr %frame, i64 %epilogue_words
  store i64 %batch, ptr %frame.batch
  %frame.from = getelementptr i64, ptr %frame.batch, i64 1
  %block.from = add i64 %column.from, %column_base
  store i64 %block.from, ptr %frame.from
  %frame.to = getelementptr i64, ptr %frame.batch, i64 2
  %block.to = add i64 %column.to, %column_base
  store i64 %block.to, ptr %frame.to
  call void %epilogue.kernel(ptr %frame, i64 %row.from, i64 %row.to)
  br label %item.next
item.next:
  %it.next = add nsw i64 %it, 1
  br label %item
leave:
  ret void
}}
"""

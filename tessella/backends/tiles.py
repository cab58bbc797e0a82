"""The register-tiled micro-kernel: how a product runs at the speed of the multipliers.

Both operands are packed into panels first (`tessella.backends.packing`). A panel of the left one holds `rows` rows, a panel of
the right one `columns` columns; both go along the summed axis k, so that the micro-kernel reads
memory straight on:

        left panel            right panel                the tile of the result
        (rows tall)           (columns wide)             stays in registers
        k = 0  1  2           k = 0  b b b b ... b
          a  a  a                 1  b b b b ... b       c c c c ... c
          a  a  a        x        2  b b b b ... b   ->  c c c c ... c
          a  a  a                                        c c c c ... c

For each k, a row of the right panel (two vectors) is multiplied by each of the left panel's numbers
and added to the tile: `rows` x 2 fused multiply-adds for `rows` + 2 loads. With 14 x 2 vectors the
tile takes 28 of the 32 registers, and the additions are far enough apart to hide their latency.

Sources: Goto & van de Geijn, *Anatomy of high-performance matrix multiplication* (2008); Van Zee &
van de Geijn, *BLIS* (2015).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessella.backends.cpu import machine
from tessella.backends.llvm import register_type
from tessella.dtypes import DType


@dataclass(frozen=True)
class Tile:
    """The shape of the micro-kernel's tile, for one dtype on one machine."""

    dtype: DType
    rows: int
    lanes: int  # of one vector; the tile is two vectors wide

    @property
    def columns(self) -> int:
        return 2 * self.lanes


def tile_for(dtype: DType, rows: int) -> Tile:
    """The tile for a product of so many rows: it fills the registers, and wastes few rows.

    A product whose rows are no multiple of the tile's computes some that nobody asked for. With 32
    registers a tile may be from 6 to 14 rows tall, and the one that costs least is taken; the cost
    of a tile is its rows, and about one row more for its loads.
    """
    width = machine.vector_bytes()
    tallest = 14 if width == 64 else 6  # 32 registers with AVX-512, else 16
    shortest = min(tallest, 6)
    if rows <= tallest:
        return Tile(dtype, max(rows, 4), width // dtype.itemsize)
    best = min(range(tallest, shortest - 1, -1), key=lambda tall: -(-rows // tall) * (tall + 1))
    return Tile(dtype, best, width // dtype.itemsize)


# --- the product: LLVM IR -----------------------------------------------------------------------------

# Arguments of the native functions, 8 bytes each.
ARGUMENTS = (
    "left", "right", "result", "batch_offsets", "row_offsets", "column_offsets", "column_flags",
    "rows", "columns", "depth", "block", "row_panels", "column_panels", "rows_per_item",
    "columns_per_item", "row_items", "column_items", "left_batch", "right_batch", "accumulate",
    "column_base", "epilogue", "epilogue_args", "epilogue_words",
)  # fmt: skip


PACKING_ARGUMENTS = (
    "left", "right", "result", "batch_offsets", "row_offsets", "column_offsets", "column_flags",
    "pack", "pack_batches", "pack_steps", "pack_places", "pack_extra", "rows", "columns", "depth",
    "row_panels", "column_panels", "columns_per_item", "column_items", "left_batch", "per_panel",
    "extra_per_panel", "extra_per_step", "epilogue", "epilogue_args", "epilogue_words",
)  # fmt: skip

# The last words of both: a kernel that goes over each block of the result while it is in the cache,
# its arguments (pointers and sizes), and how many words these are. Before each call the batch, the
# block's first column and the column after its last are put behind them; its rows are the range of
# the call.
EPILOGUE_WORDS = 3
MOST_EPILOGUE_ARGUMENTS = 120


def product_ir(tile: Tile, attributes: str) -> str:
    """LLVM IR of `product`: both operands are packed; an item is a block of the result."""
    return _micro_kernel(tile, attributes) + _PRODUCT.format(
        kind=register_type(tile.dtype),
        arguments=_arguments(ARGUMENTS, pointers=7),
        rows=_ROWS.format(kind=register_type(tile.dtype), tile_rows=tile.rows),
        tile_rows=tile.rows,
        tile_columns=tile.columns,
        attributes=attributes,
        epilogue=_EPILOGUE,
        frame=MOST_EPILOGUE_ARGUMENTS + 8,
    )


def packing_product_ir(tile: Tile, block: int, attributes: str) -> str:
    """LLVM IR of `product`: the left operand is packed, the right one is packed on the way.

    For few rows: a block of all of them stays in the cache, and each panel of the right operand is
    packed (by the native function `pack`, see `tessella.backends.packing`) just before it is used,
    and stays in the innermost caches.
    """
    return _micro_kernel(tile, attributes) + _PACKING_PRODUCT.format(
        kind=register_type(tile.dtype),
        arguments=_arguments(PACKING_ARGUMENTS, pointers=12),
        rows=_ROWS.format(kind=register_type(tile.dtype), tile_rows=tile.rows),
        tile_rows=tile.rows,
        tile_columns=tile.columns,
        block=block,
        attributes=attributes,
        epilogue=_EPILOGUE,
        frame=MOST_EPILOGUE_ARGUMENTS + 8,
    )


def _arguments(names: tuple[str, ...], pointers: int) -> str:
    return "\n".join(
        f"  %{name}.place = getelementptr i64, ptr %args, i64 {slot}\n"
        f"  %{name} = load {'ptr' if slot < pointers else 'i64'}, ptr %{name}.place"
        for slot, name in enumerate(names)
    )


def _micro_kernel(tile: Tile, attributes: str) -> str:
    """One tile: the loop over k, then the tile goes to the result."""
    vector, scalar = register_type(tile.dtype, tile.lanes), register_type(tile.dtype)
    suffix = f"v{tile.lanes}f{tile.dtype.bits}"
    cells = [(i, j) for i in range(tile.rows) for j in range(2)]
    lines = [
        f"declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})",
        "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
        f"declare {vector} @llvm.masked.load.{suffix}.p0(ptr, i32, <{tile.lanes} x i1>, {vector})",
        f"declare void @llvm.masked.store.{suffix}.p0({vector}, ptr, i32, <{tile.lanes} x i1>)",
        f"define internal void @micro(ptr noalias %a, ptr noalias %b, i64 %depth, ptr noalias %c, "
        f"ptr noalias %row_offsets, ptr noalias %column_offsets, i64 %rows, i64 %columns, "
        f"i1 %straight, i1 %add) noinline nounwind {attributes} {{",
        "entry:",
        f"  %spare = alloca [{tile.rows * tile.columns} x {scalar}], align 64",
        "  br label %loop",
        "loop:",
        "  %k = phi i64 [ 0, %entry ], [ %k.next, %loop ]",
        "  %pa = phi ptr [ %a, %entry ], [ %pa.next, %loop ]",
        "  %pb = phi ptr [ %b, %entry ], [ %pb.next, %loop ]",
    ]
    for i, j in cells:
        lines.append(
            f"  %c{i}.{j} = phi {vector} [ zeroinitializer, %entry ], [ %n{i}.{j}, %loop ]"
        )
    for j in range(2):
        lines += [
            f"  %bp{j} = getelementptr {scalar}, ptr %pb, i64 {j * tile.lanes}",
            f"  %b{j} = load {vector}, ptr %bp{j}, align {tile.dtype.itemsize}",
        ]
    lines += [
        f"  %ahead = getelementptr {scalar}, ptr %pb, i64 {8 * tile.columns}",
        "  call void @llvm.prefetch.p0(ptr %ahead, i32 0, i32 3, i32 1)",
    ]
    for i in range(tile.rows):
        lines += [
            f"  %ap{i} = getelementptr {scalar}, ptr %pa, i64 {i}",
            f"  %as{i} = load {scalar}, ptr %ap{i}",
            f"  %ai{i} = insertelement {vector} poison, {scalar} %as{i}, i64 0",
            f"  %a{i} = shufflevector {vector} %ai{i}, {vector} poison, "
            f"<{tile.lanes} x i32> zeroinitializer",
        ]
        for j in range(2):
            lines.append(
                f"  %n{i}.{j} = call {vector} @llvm.fma.{suffix}({vector} %a{i}, {vector} %b{j}, "
                f"{vector} %c{i}.{j})"
            )
    lines += [
        "  %k.next = add nsw i64 %k, 1",
        f"  %pa.next = getelementptr {scalar}, ptr %pa, i64 {tile.rows}",
        f"  %pb.next = getelementptr {scalar}, ptr %pb, i64 {tile.columns}",
        "  %more = icmp slt i64 %k.next, %depth",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  %col0 = load i64, ptr %column_offsets",
        f"  %cc = getelementptr {scalar}, ptr %c, i64 %col0",
        "  br i1 %straight, label %direct, label %edge",
        "direct:",
        f"  %full = icmp eq i64 %columns, {tile.columns}",
        "  br i1 %full, label %direct.full, label %direct.part",
        "direct.full:",
        "  br i1 %add, label %direct.add, label %direct.set",
    ]
    lines += _direct(tile, vector, scalar, "add")
    lines += _direct(tile, vector, scalar, "set")
    lines += _direct(tile, vector, scalar, "part")
    return "\n".join(lines + _edge(tile, vector, scalar)) + "\n}\n"


def _direct(tile: Tile, vector: str, scalar: str, name: str) -> list[str]:
    """Rows that lie straight on in the result take whole vectors.

    `add` adds to what is there, `set` does not; `part` does either for the first `columns` columns.
    """
    lines = [f"direct.{name}:", *(_masks(tile) if name == "part" else ())]
    for i in range(tile.rows):
        if i:
            lines += [
                f"  %{name}m{i} = icmp sgt i64 %rows, {i}",
                f"  br i1 %{name}m{i}, label %{name}.row{i}, label %leave",
                f"{name}.row{i}:",
            ]
        lines += [
            f"  %{name}r{i} = getelementptr i64, ptr %row_offsets, i64 {i}",
            f"  %{name}o{i} = load i64, ptr %{name}r{i}",
            f"  %{name}q{i} = getelementptr {scalar}, ptr %cc, i64 %{name}o{i}",
        ]
        for j in range(2):
            lines += _vector_to_result(tile, vector, scalar, name, (i, j))
    return [*lines, "  br label %leave"]


def _masks(tile: Tile) -> list[str]:
    """Which lanes have a column, and which of them are added to."""
    bits, count = f"<{tile.lanes} x i1>", f"<{tile.lanes} x i64>"
    lines = [
        f"  %count.one = insertelement {count} poison, i64 %columns, i64 0",
        f"  %count.all = shufflevector {count} %count.one, {count} poison, "
        f"<{tile.lanes} x i32> zeroinitializer",
    ]
    for j in range(2):
        lanes = ", ".join(f"i64 {j * tile.lanes + lane}" for lane in range(tile.lanes))
        lines += [
            f"  %mask{j} = icmp slt {count} <{lanes}>, %count.all",
            f"  %old.mask{j} = select i1 %add, {bits} %mask{j}, {bits} zeroinitializer",
        ]
    return lines


def _vector_to_result(
    tile: Tile, vector: str, scalar: str, name: str, cell: tuple[int, int]
) -> list[str]:
    i, j = cell
    place, old, total, value = (f"%{name}{part}{i}.{j}" for part in ("p", "old", "sum", "v"))
    align, bits = tile.dtype.itemsize, f"<{tile.lanes} x i1>"
    suffix = f"v{tile.lanes}f{tile.dtype.bits}.p0"
    lines = [f"  {place} = getelementptr {scalar}, ptr %{name}q{i}, i64 {j * tile.lanes}"]
    if name == "set":
        return [*lines, f"  store {vector} %n{i}.{j}, ptr {place}, align {align}"]
    if name == "add":
        return [
            *lines,
            f"  {old} = load {vector}, ptr {place}, align {align}",
            f"  {total} = fadd {vector} {old}, %n{i}.{j}",
            f"  store {vector} {total}, ptr {place}, align {align}",
        ]
    return [
        *lines,
        f"  {old} = call {vector} @llvm.masked.load.{suffix}(ptr {place}, i32 {align}, "
        f"{bits} %old.mask{j}, {vector} zeroinitializer)",
        f"  {total} = fadd {vector} {old}, %n{i}.{j}",
        f"  {value} = select i1 %add, {vector} {total}, {vector} %n{i}.{j}",
        f"  call void @llvm.masked.store.{suffix}({vector} {value}, ptr {place}, i32 {align}, "
        f"{bits} %mask{j})",
    ]


def _edge(tile: Tile, vector: str, scalar: str) -> list[str]:
    """Where columns are scattered, the tile goes through memory, element by element."""
    lines = ["edge:"]
    for i in range(tile.rows):
        for j in range(2):
            lines += [
                f"  %sp{i}.{j} = getelementptr {scalar}, ptr %spare, i64 "
                f"{i * tile.columns + j * tile.lanes}",
                f"  store {vector} %n{i}.{j}, ptr %sp{i}.{j}, align {tile.dtype.itemsize}",
            ]
    return (
        lines
        + f"""  br label %row
row:
  %i = phi i64 [ 0, %edge ], [ %i.next, %row.end ]
  %i.ok = icmp slt i64 %i, %rows
  br i1 %i.ok, label %row.begin, label %leave
row.begin:
  %ro.place = getelementptr i64, ptr %row_offsets, i64 %i
  %ro = load i64, ptr %ro.place
  %crow = getelementptr {scalar}, ptr %c, i64 %ro
  %srow.index = mul i64 %i, {tile.columns}
  %srow = getelementptr {scalar}, ptr %spare, i64 %srow.index
  br label %column
column:
  %j = phi i64 [ 0, %row.begin ], [ %j.next, %column.store ]
  %j.ok = icmp slt i64 %j, %columns
  br i1 %j.ok, label %column.begin, label %row.end
column.begin:
  %co.place = getelementptr i64, ptr %column_offsets, i64 %j
  %co = load i64, ptr %co.place
  %target = getelementptr {scalar}, ptr %crow, i64 %co
  %value.place = getelementptr {scalar}, ptr %srow, i64 %j
  %value = load {scalar}, ptr %value.place
  br i1 %add, label %column.add, label %column.store
column.add:
  %before = load {scalar}, ptr %target
  %added = fadd {scalar} %before, %value
  br label %column.store
column.store:
  %final = phi {scalar} [ %value, %column.begin ], [ %added, %column.add ]
  store {scalar} %final, ptr %target
  %j.next = add nsw i64 %j, 1
  br label %column
row.end:
  %i.next = add nsw i64 %i, 1
  br label %row
leave:
  ret void""".split("\n")
    )


# The tiles of one panel of the right operand, one below the other.
_ROWS = """rp.head:
  %rp = phi i64 [ %rp.first, %cp.begin ], [ %rp.next, %rp.begin ]
  %rp.ok = icmp slt i64 %rp, %rp.end
  br i1 %rp.ok, label %rp.begin, label %cp.end.block
rp.begin:
  %pa.offset = mul i64 %rp, %lpanel
  %pa = getelementptr {kind}, ptr %lblock, i64 %pa.offset
  %row = mul i64 %rp, {tile_rows}
  %rows.here = sub i64 %rows, %row
  %rows.many = icmp sge i64 %rows.here, {tile_rows}
  %rows.count = select i1 %rows.many, i64 {tile_rows}, i64 %rows.here
  %roffsets = getelementptr i64, ptr %row_offsets, i64 %row
  call void @micro(ptr %pa, ptr %pb, i64 %count, ptr %c, ptr %roffsets, ptr %coffsets, i64 %rows.count, i64 %columns.count, i1 %flagged, i1 %add)
  %rp.next = add nsw i64 %rp, 1
  br label %rp.head"""

_EPILOGUE = """  %epilogue.some = icmp ne i64 %epilogue, 0
  br i1 %epilogue.some, label %epilogue.call, label %item.next
epilogue.call:
  %epilogue.kernel = inttoptr i64 %epilogue to ptr
  %epilogue.source = inttoptr i64 %epilogue_args to ptr
  %epilogue.bytes = mul i64 %epilogue_words, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %frame, ptr %epilogue.source, i64 %epilogue.bytes, i1 false)
  %frame.batch = getelementptr i64, ptr %frame, i64 %epilogue_words
  store i64 %batch, ptr %frame.batch
  %frame.from = getelementptr i64, ptr %frame.batch, i64 1
  %block.from = add i64 %column.from, %column.base
  store i64 %block.from, ptr %frame.from
  %frame.to = getelementptr i64, ptr %frame.batch, i64 2
  %block.to = add i64 %column.to, %column.base
  store i64 %block.to, ptr %frame.to
  call void %epilogue.kernel(ptr %frame, i64 %row.from, i64 %row.to)
  br label %item.next
item.next:"""

_PRODUCT = """
define void @product(ptr noalias %args, i64 %begin, i64 %end) nounwind {attributes} {{
entry:
{arguments}
  %frame = alloca [{frame} x i64], align 8
  %accumulates = icmp ne i64 %accumulate, 0
  %items = mul i64 %row_items, %column_items
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
  %bo.place = getelementptr i64, ptr %batch_offsets, i64 %batch
  %bo = load i64, ptr %bo.place
  %c = getelementptr {kind}, ptr %result, i64 %bo
  %la.offset = mul i64 %batch, %left_batch
  %la = getelementptr {kind}, ptr %left, i64 %la.offset
  %ra.offset = mul i64 %batch, %right_batch
  %ra = getelementptr {kind}, ptr %right, i64 %ra.offset
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
  %lb.a = mul i64 %k0, %row_panels
  %lb.b = mul i64 %lb.a, {tile_rows}
  %lblock = getelementptr {kind}, ptr %la, i64 %lb.b
  %rb.a = mul i64 %k0, %column_panels
  %rb.b = mul i64 %rb.a, {tile_columns}
  %rblock = getelementptr {kind}, ptr %ra, i64 %rb.b
  %lpanel = mul i64 %count, {tile_rows}
  %rpanel = mul i64 %count, {tile_columns}
  br label %cp.head
cp.head:
  %cp = phi i64 [ %cp.first, %block.begin ], [ %cp.next, %cp.end.block ]
  %cp.ok = icmp slt i64 %cp, %cp.end
  br i1 %cp.ok, label %cp.begin, label %block.end
cp.begin:
  %pb.offset = mul i64 %cp, %rpanel
  %pb = getelementptr {kind}, ptr %rblock, i64 %pb.offset
  %column = mul i64 %cp, {tile_columns}
  %columns.here = sub i64 %columns, %column
  %columns.many = icmp sgt i64 %columns.here, {tile_columns}
  %columns.count = select i1 %columns.many, i64 {tile_columns}, i64 %columns.here
  %coffsets = getelementptr i64, ptr %column_offsets, i64 %column
  %flag.place = getelementptr i64, ptr %column_flags, i64 %cp
  %flag = load i64, ptr %flag.place
  %flagged = icmp ne i64 %flag, 0
  br label %rp.head
{rows}
cp.end.block:
  %cp.next = add nsw i64 %cp, 1
  br label %cp.head
block.end:
  %k0.next = add nsw i64 %k0, %block
  br label %block.head
item.end:
  %row.from = mul i64 %rp.first, {tile_rows}
  %row.past = mul i64 %rp.end, {tile_rows}
  %row.over = icmp sgt i64 %row.past, %rows
  %row.to = select i1 %row.over, i64 %rows, i64 %row.past
  %column.base = add i64 0, %column_base
  %column.from = mul i64 %cp.first, {tile_columns}
  %column.past = mul i64 %cp.end, {tile_columns}
  %column.over = icmp sgt i64 %column.past, %columns
  %column.to = select i1 %column.over, i64 %columns, i64 %column.past
{epilogue}
  %it.next = add nsw i64 %it, 1
  br label %item
leave:
  ret void
}}
"""

_PACKING_PRODUCT = """
define void @product(ptr noalias %args, i64 %begin, i64 %end) nounwind {attributes} {{
entry:
{arguments}
  %frame = alloca [{frame} x i64], align 8
  %pb = alloca [{block} x [{tile_columns} x {kind}]], align 64
  %how = alloca [11 x i64], align 8
  %how.0 = getelementptr i64, ptr %how, i64 0
  store ptr %right, ptr %how.0
  %how.1 = getelementptr i64, ptr %how, i64 1
  store ptr %pb, ptr %how.1
  %how.2 = getelementptr i64, ptr %how, i64 2
  %how.3 = getelementptr i64, ptr %how, i64 3
  %how.4 = getelementptr i64, ptr %how, i64 4
  %how.5 = getelementptr i64, ptr %how, i64 5
  %how.6 = getelementptr i64, ptr %how, i64 6
  store i64 1, ptr %how.6
  %how.7 = getelementptr i64, ptr %how, i64 7
  store i64 1, ptr %how.7
  %how.8 = getelementptr i64, ptr %how, i64 8
  store i64 {block}, ptr %how.8
  %how.9 = getelementptr i64, ptr %how, i64 9
  %how.10 = getelementptr i64, ptr %how, i64 10
  store i64 0, ptr %how.10
  br label %item
item:
  %it = phi i64 [ %begin, %entry ], [ %it.next, %item.next ]
  %it.ok = icmp slt i64 %it, %end
  br i1 %it.ok, label %item.begin, label %leave
item.begin:
  %batch = udiv i64 %it, %column_items
  %column.item = urem i64 %it, %column_items
  %cp.first = mul i64 %column.item, %columns_per_item
  %cp.past = add i64 %cp.first, %columns_per_item
  %cp.over = icmp sgt i64 %cp.past, %column_panels
  %cp.end = select i1 %cp.over, i64 %column_panels, i64 %cp.past
  %bo.place = getelementptr i64, ptr %batch_offsets, i64 %batch
  %bo = load i64, ptr %bo.place
  %c = getelementptr {kind}, ptr %result, i64 %bo
  %la.offset = mul i64 %batch, %left_batch
  %la = getelementptr {kind}, ptr %left, i64 %la.offset
  %pack.batch = getelementptr i64, ptr %pack_batches, i64 %batch
  store ptr %pack.batch, ptr %how.2
  br label %block.head
block.head:
  %k0 = phi i64 [ 0, %item.begin ], [ %k0.next, %block.end ]
  %k0.ok = icmp slt i64 %k0, %depth
  br i1 %k0.ok, label %block.begin, label %item.end
block.begin:
  %left.over = sub i64 %depth, %k0
  %short = icmp slt i64 %left.over, {block}
  %count = select i1 %short, i64 %left.over, i64 {block}
  %add = icmp ne i64 %k0, 0
  %lb.a = mul i64 %k0, %row_panels
  %lb.b = mul i64 %lb.a, {tile_rows}
  %lblock = getelementptr {kind}, ptr %la, i64 %lb.b
  %lpanel = mul i64 %count, {tile_rows}
  %steps.here = getelementptr i64, ptr %pack_steps, i64 %k0
  store ptr %steps.here, ptr %how.3
  store i64 %count, ptr %how.9
  %extra.k = mul i64 %k0, %extra_per_step
  %rp.first = add i64 0, 0
  %rp.end = add i64 0, %row_panels
  br label %cp.head
cp.head:
  %cp = phi i64 [ %cp.first, %block.begin ], [ %cp.next, %cp.end.block ]
  %cp.ok = icmp slt i64 %cp, %cp.end
  br i1 %cp.ok, label %cp.begin, label %block.end
cp.begin:
  %places.offset = mul i64 %cp, %per_panel
  %places.here = getelementptr i64, ptr %pack_places, i64 %places.offset
  store ptr %places.here, ptr %how.4
  %extra.p = mul i64 %cp, %extra_per_panel
  %extra.offset = add i64 %extra.p, %extra.k
  %extra.here = getelementptr i64, ptr %pack_extra, i64 %extra.offset
  store ptr %extra.here, ptr %how.5
  call void %pack(ptr %how, i64 0, i64 1)
  %column = mul i64 %cp, {tile_columns}
  %columns.here = sub i64 %columns, %column
  %columns.many = icmp sgt i64 %columns.here, {tile_columns}
  %columns.count = select i1 %columns.many, i64 {tile_columns}, i64 %columns.here
  %coffsets = getelementptr i64, ptr %column_offsets, i64 %column
  %flag.place = getelementptr i64, ptr %column_flags, i64 %cp
  %flag = load i64, ptr %flag.place
  %flagged = icmp ne i64 %flag, 0
  br label %rp.head
{rows}
cp.end.block:
  %cp.next = add nsw i64 %cp, 1
  br label %cp.head
block.end:
  %k0.next = add nsw i64 %k0, {block}
  br label %block.head
item.end:
  %row.from = add i64 0, 0
  %row.to = add i64 0, %rows
  %column.base = add i64 0, 0
  %column.from = mul i64 %cp.first, {tile_columns}
  %column.past = mul i64 %cp.end, {tile_columns}
  %column.over = icmp sgt i64 %column.past, %columns
  %column.to = select i1 %column.over, i64 %columns, i64 %column.past
{epilogue}
  %it.next = add nsw i64 %it, 1
  br label %item
leave:
  ret void
}}
"""

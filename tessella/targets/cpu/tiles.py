"""The register-tiled micro-kernel: how a product runs at the speed of the multipliers.

It multiplies a panel of the left operand, `rows` rows tall, with a panel of the right one, `columns`
columns wide. Both go along the summed axis k, so that memory is read straight on:

        left panel            right panel                the tile of the result
        (rows tall)           (columns wide)             stays in registers
        k = 0  1  2           k = 0  b b b b ... b
          a  a  a                 1  b b b b ... b       c c c c ... c
          a  a  a        x        2  b b b b ... b   ->  c c c c ... c
          a  a  a                                        c c c c ... c

For each k, a row of the right panel (two vectors) is multiplied by each of the left panel's numbers
and added to the tile: `rows` x 2 fused multiply-adds for `rows` + 2 loads. With 14 x 2 vectors the
tile takes 28 of the 32 registers, with 6 x 2 it takes 12 of 16, and the additions are far enough
apart to hide their latency.

Panels are packed first (`tessella.targets.cpu.packing`), or read where they stand: a row of the right
panel only has to lie side by side, and the left one is read number by number anyway. The loops around
the tiles are in `tessella.targets.cpu.products`.

Sources: Goto & van de Geijn, *Anatomy of high-performance matrix multiplication* (2008); Van Zee &
van de Geijn, *BLIS* (2015).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessella.dtypes import DType, bfloat16
from tessella.loops.llvm_types import register_type
from tessella.targets.cpu import machine

TALLEST = {64: 14, 32: 6, 16: 6}  # rows by the bytes of a vector: there are 32, 16 or 16 registers
SHORTEST = 4  # fewer additions at a time do not hide their latency
TALLEST_IN_PLACE = 8  # each row takes an address, and there are 16 registers for addresses


@dataclass(frozen=True)
class Tile:
    """The shape of the micro-kernel's tile, for one dtype on one machine.

    Args:
        dtype: what is multiplied and added.
        rows: its height.
        lanes: of one vector; the tile is two vectors wide.
        in_place: whether the left operand is read where it stands.
        pairs: whether an element of a panel is a pair of bfloat16, two steps of k.
    """

    dtype: DType
    rows: int
    lanes: int
    in_place: bool = False
    pairs: bool = False

    @property
    def columns(self) -> int:
        return 2 * self.lanes


def tile_for(dtype: DType, rows: int, in_place: bool = False, pairs: bool = False) -> Tile:
    """The tile for a product of so many rows: it fills the registers, and wastes few rows.

    A product whose rows are no multiple of the tile's computes some that nobody asked for. A tile may
    be from 4 to 14 rows tall (to 6 with 16 registers), and the one that costs least is taken; the
    cost of a tile is its rows, and about one row more for its loads.
    """
    width = machine.vector_bytes()
    tallest = min(TALLEST[width], TALLEST_IN_PLACE) if in_place else TALLEST[width]
    if rows <= tallest:
        height = max(rows, 1 if in_place else SHORTEST)
    else:
        heights = range(tallest, SHORTEST - 1, -1)
        height = min(heights, key=lambda tall: -(-rows // tall) * (tall + 1))
    return Tile(dtype, height, width // dtype.itemsize, in_place, pairs)


def micro_kernel(tile: Tile, attributes: str, windows: bool = False) -> str:
    """LLVM IR of `micro`, to be spelled out: the loop over k, then the tile goes to the result.

    Args:
        windows: whether a table says where the right operand's steps of k are, in place of equal steps.
    """
    return _MicroKernel(tile, windows).text(attributes)


class _MicroKernel:
    """Writes the micro-kernel of a tile."""

    def __init__(self, tile: Tile, windows: bool) -> None:
        self.tile, self.windows = tile, windows
        self.scalar = register_type(tile.dtype)
        self.vector = register_type(tile.dtype, tile.lanes)
        self.align = tile.dtype.itemsize
        self.suffix = f"v{tile.lanes}f{tile.dtype.bits}"
        self.bits = f"<{tile.lanes} x i1>"

    def text(self, attributes: str) -> str:
        return "\n".join(
            [
                *self._declarations(),
                "define internal void @micro(ptr noalias %a, ptr noalias %places, i64 %a.step, "
                f"ptr noalias %b, {self._steps()}, i64 %depth, ptr noalias %c, ptr noalias %row_offsets, "
                "ptr noalias %column_offsets, i64 %rows, i64 %columns, i1 %straight, i1 %add) "
                f"noinline nounwind {attributes} {{",
                "entry:",
                f"  %spare = alloca [{self.tile.rows * self.tile.columns} x {self.scalar}], align 64",
                *self._fetch_result(),
                *self._row_addresses(),
                *self._loop(),
                *self._store(),
                "}\n",
            ]
        )

    def _declarations(self) -> list[str]:
        v, s, t = self.vector, self.suffix, self.tile
        lines = [
            f"declare {v} @llvm.fma.{s}({v}, {v}, {v})",
            "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
            f"declare {v} @llvm.masked.load.{s}.p0(ptr, i32, {self.bits}, {v})",
            f"declare void @llvm.masked.store.{s}.p0({v}, ptr, i32, {self.bits})",
        ]
        if t.pairs:
            lines.append(_pairs(t))
        return lines

    def _fetch_result(self) -> list[str]:
        """Let the tile of the result come while the loop runs; it is not used before the end."""
        lines = [
            "  %first.column = load i64, ptr %column_offsets",
            f"  %first = getelementptr {self.scalar}, ptr %c, i64 %first.column",
        ]
        for i in range(self.tile.rows):
            lines += [
                f"  %fetch.row{i} = word {i} of %row_offsets as i64",
                f"  %fetch{i} = getelementptr {self.scalar}, ptr %first, i64 %fetch.row{i}",
                f"  call void @llvm.prefetch.p0(ptr %fetch{i}, i32 0, i32 3, i32 1)",
            ]
        return lines

    # --- the loop over k --------------------------------------------------------------------------

    def _row_addresses(self) -> list[str]:
        """Where each row of the left operand stands, if it is not packed."""
        if not self.tile.in_place:
            return []
        return [
            line
            for i in range(self.tile.rows)
            for line in (
                f"  %place{i} = word {i} of %places as i64",
                f"  %row{i} = getelementptr {self.scalar}, ptr %a, i64 %place{i}",
            )
        ]

    def _steps(self) -> str:
        """The parameters that say how the right operand goes along k."""
        return "ptr noalias %b.steps" if self.windows else "i64 %b.step, i64 %b.ahead"

    def _loop(self) -> list[str]:
        tile, vector = self.tile, self.vector
        lines = [
            "  br label %loop",
            "loop:",
            "  %k = phi i64 [ 0, %entry ], [ %k.next, %loop ]",
            "  %at = phi i64 [ 0, %entry ], [ %at.next, %loop ]",
        ]
        if not self.windows:
            lines.append("  %pb = phi ptr [ %b, %entry ], [ %pb.next, %loop ]")
        for i, j in self._cells():
            lines.append(
                f"  %c{i}.{j} = phi {vector} [ zeroinitializer, %entry ], [ %n{i}.{j}, %loop ]"
            )
        if self.windows:
            lines += [
                "  %step = word %k of %b.steps as i64",
                f"  %pb = getelementptr {self.scalar}, ptr %b, i64 %step",
            ]
        for j in range(2):
            lines += [
                f"  %bp{j} = getelementptr {self.scalar}, ptr %pb, i64 {j * tile.lanes}",
                f"  %b{j} = load {vector}, ptr %bp{j}, align {self.align}",
            ]
        if not self.windows:
            lines += [
                f"  %ahead = getelementptr {self.scalar}, ptr %pb, i64 %b.ahead",
                "  call void @llvm.prefetch.p0(ptr %ahead, i32 0, i32 3, i32 1)",
            ]
        for i in range(tile.rows):
            lines += self._left_number(i)
            lines += [self._multiply_add(i, j) for j in range(2)]
        if not self.windows:
            lines.append(f"  %pb.next = getelementptr {self.scalar}, ptr %pb, i64 %b.step")
        return [
            *lines,
            "  %k.next = add nsw i64 %k, 1",
            f"  %at.next = add nsw i64 %at, {'%a.step' if tile.in_place else tile.rows}",
            "  %more = icmp slt i64 %k.next, %depth",
            "  br i1 %more, label %loop, label %done",
        ]

    def _cells(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(self.tile.rows) for j in range(2)]

    def _left_number(self, i: int) -> list[str]:
        """The left operand's number for a row, in all lanes."""
        if self.tile.in_place:
            place = f"  %ap{i} = getelementptr {self.scalar}, ptr %row{i}, i64 %at"
        else:
            place = (
                f"  %ar{i} = getelementptr {self.scalar}, ptr %a, i64 %at\n"
                f"  %ap{i} = getelementptr {self.scalar}, ptr %ar{i}, i64 {i}"
            )
        return [
            place,
            f"  %as{i} = load {self.scalar}, ptr %ap{i}",
            f"  %ai{i} = insertelement {self.vector} poison, {self.scalar} %as{i}, i64 0",
            f"  %a{i} = shufflevector {self.vector} %ai{i}, {self.vector} poison, "
            f"<{self.tile.lanes} x i32> zeroinitializer",
        ]

    def _multiply_add(self, i: int, j: int) -> str:
        v = self.vector
        if self.tile.pairs:
            return f"  %n{i}.{j} = call {v} @dot_pairs({v} %a{i}, {v} %b{j}, {v} %c{i}.{j})"
        return (
            f"  %n{i}.{j} = call {v} @llvm.fma.{self.suffix}({v} %a{i}, {v} %b{j}, {v} %c{i}.{j})"
        )

    # --- the tile goes to the result --------------------------------------------------------------

    def _store(self) -> list[str]:
        return [
            "done:",
            "  %col0 = load i64, ptr %column_offsets",
            f"  %cc = getelementptr {self.scalar}, ptr %c, i64 %col0",
            "  br i1 %straight, label %direct, label %edge",
            "direct:",
            f"  %full = icmp eq i64 %columns, {self.tile.columns}",
            "  br i1 %full, label %direct.full, label %direct.part",
            "direct.full:",
            "  br i1 %add, label %direct.add, label %direct.set",
            *self._direct("add"),
            *self._direct("set"),
            *self._direct("part"),
            *self._edge(),
        ]

    def _direct(self, name: str) -> list[str]:
        """Rows that lie straight on in the result take whole vectors.

        `add` adds to what is there, `set` does not; `part` does either for the first `columns` columns.
        """
        lines = [f"direct.{name}:", *(self._masks() if name == "part" else ())]
        for i in range(self.tile.rows):
            if i:
                lines += [
                    f"  %{name}m{i} = icmp sgt i64 %rows, {i}",
                    f"  br i1 %{name}m{i}, label %{name}.row{i}, label %leave",
                    f"{name}.row{i}:",
                ]
            lines += [
                f"  %{name}o{i} = word {i} of %row_offsets as i64",
                f"  %{name}q{i} = getelementptr {self.scalar}, ptr %cc, i64 %{name}o{i}",
            ]
            for j in range(2):
                lines += self._vector_to_result(name, i, j)
        return [*lines, "  br label %leave"]

    def _masks(self) -> list[str]:
        """Which lanes have a column, and which of them are added to."""
        count = f"<{self.tile.lanes} x i64>"
        lines = [
            f"  %count.one = insertelement {count} poison, i64 %columns, i64 0",
            f"  %count.all = shufflevector {count} %count.one, {count} poison, "
            f"<{self.tile.lanes} x i32> zeroinitializer",
        ]
        for j in range(2):
            lanes = ", ".join(f"i64 {j * self.tile.lanes + n}" for n in range(self.tile.lanes))
            lines += [
                f"  %mask{j} = icmp slt {count} <{lanes}>, %count.all",
                f"  %old.mask{j} = select i1 %add, {self.bits} %mask{j}, {self.bits} zeroinitializer",
            ]
        return lines

    def _vector_to_result(self, name: str, i: int, j: int) -> list[str]:
        vector, align = self.vector, self.align
        place, old, total, value = (f"%{name}{part}{i}.{j}" for part in ("p", "old", "sum", "v"))
        lines = [
            f"  {place} = getelementptr {self.scalar}, ptr %{name}q{i}, i64 {j * self.tile.lanes}"
        ]
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
            f"  {old} = call {vector} @llvm.masked.load.{self.suffix}.p0(ptr {place}, i32 {align}, "
            f"{self.bits} %old.mask{j}, {vector} zeroinitializer)",
            f"  {total} = fadd {vector} {old}, %n{i}.{j}",
            f"  {value} = select i1 %add, {vector} {total}, {vector} %n{i}.{j}",
            f"  call void @llvm.masked.store.{self.suffix}.p0({vector} {value}, ptr {place}, "
            f"i32 {align}, {self.bits} %mask{j})",
        ]

    def _edge(self) -> list[str]:
        """Where columns are scattered, the tile goes through memory, element by element."""
        lines = ["edge:"]
        for i, j in self._cells():
            at = i * self.tile.columns + j * self.tile.lanes
            lines += [
                f"  %sp{i}.{j} = getelementptr {self.scalar}, ptr %spare, i64 {at}",
                f"  store {self.vector} %n{i}.{j}, ptr %sp{i}.{j}, align {self.align}",
            ]
        return [*lines, _SCATTER.format(scalar=self.scalar, columns=self.tile.columns)]


# The first `rows` rows and `columns` columns of the tile, each to its offset in the result.
_SCATTER = """  br label %row
row:
  %i = phi i64 [ 0, %edge ], [ %i.next, %row.end ]
  %i.ok = icmp slt i64 %i, %rows
  br i1 %i.ok, label %row.begin, label %leave
row.begin:
  %ro = word %i of %row_offsets as i64
  %crow = getelementptr {scalar}, ptr %c, i64 %ro
  %srow.index = mul i64 %i, {columns}
  %srow = getelementptr {scalar}, ptr %spare, i64 %srow.index
  br label %column
column:
  %j = phi i64 [ 0, %row.begin ], [ %j.next, %column.store ]
  %j.ok = icmp slt i64 %j, %columns
  br i1 %j.ok, label %column.begin, label %row.end
column.begin:
  %co = word %j of %column_offsets as i64
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
  ret void"""


def _pairs(tile: Tile) -> str:
    """LLVM IR of `dot_pairs`: c + a0 b0 + a1 b1 for each pair of bfloat16."""
    form = _INSTRUCTION if machine.multiplies_pairs(bfloat16) and tile.lanes == 16 else _WIDENED
    return form.format(n=tile.lanes, m=2 * tile.lanes)


_INSTRUCTION = """
declare <{n} x float> @llvm.x86.avx512bf16.dpbf16ps.512(<{n} x float>, <{m} x bfloat>, <{m} x bfloat>)
define internal <{n} x float> @dot_pairs(<{n} x float> %a, <{n} x float> %b, <{n} x float> %c) alwaysinline {{
  %x = bitcast <{n} x float> %a to <{m} x bfloat>
  %y = bitcast <{n} x float> %b to <{m} x bfloat>
  %r = call <{n} x float> @llvm.x86.avx512bf16.dpbf16ps.512(<{n} x float> %c, <{m} x bfloat> %x, <{m} x bfloat> %y)
  ret <{n} x float> %r
}}"""

# The same without the instruction: what a bfloat16 is, is the upper half of a float32.
_WIDENED = """
define internal <{n} x float> @dot_pairs(<{n} x float> %a, <{n} x float> %b, <{n} x float> %c) alwaysinline {{
  %x = bitcast <{n} x float> %a to <{n} x i32>
  %y = bitcast <{n} x float> %b to <{n} x i32>
  %x0.bits = shl <{n} x i32> %x, splat (i32 16)
  %y0.bits = shl <{n} x i32> %y, splat (i32 16)
  %x1.bits = and <{n} x i32> %x, splat (i32 -65536)
  %y1.bits = and <{n} x i32> %y, splat (i32 -65536)
  %x0 = bitcast <{n} x i32> %x0.bits to <{n} x float>
  %y0 = bitcast <{n} x i32> %y0.bits to <{n} x float>
  %x1 = bitcast <{n} x i32> %x1.bits to <{n} x float>
  %y1 = bitcast <{n} x i32> %y1.bits to <{n} x float>
  %odd = call <{n} x float> @llvm.fma.v{n}f32(<{n} x float> %x1, <{n} x float> %y1, <{n} x float> %c)
  %r = call <{n} x float> @llvm.fma.v{n}f32(<{n} x float> %x0, <{n} x float> %y0, <{n} x float> %odd)
  ret <{n} x float> %r
}}"""

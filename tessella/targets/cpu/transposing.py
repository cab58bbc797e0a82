"""Packing by transposition: rows that lie along k become panels that lie across it.

Vectors are loaded along k, a part of 16 bytes from each row, and parts of several rows side by side in
one register. Interleaving such registers within their parts, twice for float32, transposes them:

    row 0:  a0 a1 a2 a3          k = 0:  a0 b0 c0 d0
    row 1:  b0 b1 b2 b3    ->    k = 1:  a1 b1 c1 d1
    row 2:  c0 c1 c2 c3          k = 2:  a2 b2 c2 d2
    row 3:  d0 d1 d2 d3          k = 3:  a3 b3 c3 d3

Nothing crosses the parts of a register, which would take several times as long.
"""

from __future__ import annotations

from tessella.loops import half_precision
from tessella.loops.llvm_types import is_bits, register_type
from tessella.targets.cpu.by_hand import spelled_out, words
from tessella.targets.cpu.packing import MISSING, POINTERS, SIZES, Elements

PART = 16  # bytes within which registers are interleaved cheaply
PARTS_OF_SQUARE = 2  # a square is so many parts long


def square(elements: Elements) -> int:
    """The steps of k that one square holds."""
    return PARTS_OF_SQUARE * PART // elements.target.itemsize * (2 if elements.pairs else 1)


def transposing_ir(elements: Elements, width: int, lanes: int, attributes: str) -> str:
    """LLVM IR of `pack`, for panels of a width and vectors of so many elements."""
    return _Transposing(elements, width, lanes).text(attributes)


class _Transposing:
    """Writes the packing of one kind of elements."""

    def __init__(self, elements: Elements, width: int, lanes: int) -> None:
        self.elements, self.width, self.lanes = elements, width, lanes
        self.source = register_type(elements.source)
        self.kind = register_type(elements.target)
        self.part = PART // elements.target.itemsize
        self.widens = elements.source is not elements.target and not elements.pairs
        self.loaded = self.source if self.widens else self.kind  # the element of a vector in memory

    def text(self, attributes: str) -> str:
        helpers = ""
        if half_precision.is_needed_for(self.elements.source) and self.widens:
            helpers = "\n".join(half_precision.DECLARATIONS) + half_precision.DEFINITIONS
        text = _TRANSPOSING.format(
            source=self.source, kind=self.kind, width=self.width, square=PARTS_OF_SQUARE * self.part,
            steps=2 if self.elements.pairs else 1, missing=MISSING, attributes=attributes,
            arguments=words(POINTERS + SIZES, len(POINTERS)),
            rows="\n".join(
                f"  %place.{i} = word {i} of %places.here as i64\n"
                f"  %row.{i} = getelementptr {self.source}, ptr %source.here, i64 %place.{i}"
                for i in range(self.width)
            ),
            squares="\n".join(self._squares()),
            singles="\n".join(line for i in range(self.width) for line in self._single(i)),
        )  # fmt: skip
        return helpers + spelled_out(text)

    # --- squares ----------------------------------------------------------------------------------

    def _squares(self) -> list[str]:
        lines = []
        for part in range(PARTS_OF_SQUARE):
            for first in range(0, self.width, self.lanes):
                rows = range(first, min(first + self.lanes, self.width))
                lines += self._square(rows, part)
        return lines

    def _square(self, rows: range, part: int) -> list[str]:
        """Load a part along k of each row, transpose, and store a row of the panel for each k."""
        tag = f"{rows.start}.{part}"
        values, lines = [], []
        for i in range(self.part):
            parts = []
            for row in range(rows.start + i, rows.start + self.lanes, self.part):
                parts.append(f"%v{row}.{part}" if row in rows else "poison")
                if row in rows:
                    lines += self._load(row, part)
            value, more = self._joined(f"{tag}.{i}", parts)
            values.append(value)
            lines += more
        vector, half = f"<{self.lanes} x {self.kind}>", self.part // 2
        for stage in range(self.part.bit_length() - 1):
            following = []
            for i in range(half):
                for side in range(2):
                    name = f"%t{tag}.{stage}.{2 * i + side}"
                    lines.append(
                        f"  {name} = shufflevector {vector} {values[i]}, {vector} "
                        f"{values[i + half]}, <{self.lanes} x i32> <{self._interleaved(side)}>"
                    )
                    following.append(name)
            values = following
        for j, value in enumerate(values):
            lines += self._keep(value, rows, part * self.part + j)
        return lines

    def _load(self, row: int, part: int) -> list[str]:
        name, steps = f"{row}.{part}", part * self.part * (2 if self.elements.pairs else 1)
        align = self.elements.source.itemsize
        return [
            f"  %from{name}.k = getelementptr {self.source}, ptr %row.{row}, i64 %step",
            f"  %from{name} = getelementptr {self.source}, ptr %from{name}.k, i64 {steps}",
            f"  %v{name} = load <{self.part} x {self.loaded}>, ptr %from{name}, align {align}",
        ]

    def _joined(self, tag: str, parts: list[str]) -> tuple[str, list[str]]:
        """Parts of several rows side by side in one register; then widened."""
        lines, length = [], self.part
        while len(parts) > 1:
            following = []
            for i in range(0, len(parts), 2):
                name = f"%j{tag}.{length}.{i // 2}"
                kind = f"<{length} x {self.loaded}>"
                order = ", ".join(f"i32 {n}" for n in range(2 * length))
                lines.append(
                    f"  {name} = shufflevector {kind} {parts[i]}, {kind} {parts[i + 1]}, "
                    f"<{2 * length} x i32> <{order}>"
                )
                following.append(name)
            parts, length = following, 2 * length
        if not self.widens:
            return parts[0], lines
        return f"%w{tag}", lines + self._widen(parts[0], f"%w{tag}", self.lanes)

    def _widen(self, value: str, name: str, lanes: int) -> list[str]:
        def of(kind: str) -> str:
            return kind if lanes == 1 else f"<{lanes} x {kind}>"

        if not is_bits(self.elements.source):
            return [f"  {name} = fpext {of(self.loaded)} {value} to {of(self.kind)}"]
        sixteen = "16" if lanes == 1 else "splat (i32 16)"
        return [
            f"  {name}.z = zext {of('i16')} {value} to {of('i32')}",
            f"  {name}.s = shl {of('i32')} {name}.z, {sixteen}",
            f"  {name} = bitcast {of('i32')} {name}.s to {of(self.kind)}",
        ]

    def _interleaved(self, side: int) -> str:
        """The order that interleaves the lower (0) or upper (1) halves of each part."""
        half, order = self.part // 2, []
        for first in range(0, self.lanes, self.part):
            for n in range(first + side * half, first + (side + 1) * half):
                order += [n, self.lanes + n]
        return ", ".join(f"i32 {n}" for n in order)

    def _keep(self, value: str, rows: range, k: int) -> list[str]:
        name, count = f"{rows.start}.{k}", len(rows)
        align, keep = self.elements.target.itemsize, ", ".join(f"i32 {n}" for n in range(count))
        vector = f"<{self.lanes} x {self.kind}>"
        return [
            f"  %part{name} = shufflevector {vector} {value}, {vector} poison, <{count} x i32> <{keep}>",
            f"  %to{name} = getelementptr {self.kind}, ptr %target.k, i64 {k * self.width + rows.start}",
            f"  store <{count} x {self.kind}> %part{name}, ptr %to{name}, align {align}",
        ]

    # --- one step of k ------------------------------------------------------------------------------

    def _single(self, i: int) -> list[str]:
        lines = [
            f"  %one.at.{i} = getelementptr {self.source}, ptr %row.{i}, i64 %single.step",
            f"  %one.{i} = load {self.source}, ptr %one.at.{i}",
        ]
        value = f"%one.{i}"
        if self.widens:
            value = f"%wide.{i}"
            lines += self._widen(f"%one.{i}", value, 1)
        if self.elements.pairs:  # a step that is missing is read at the first one's place, and is 0
            value = f"%pair.{i}"
            lines += [
                f"  %two.at.{i} = getelementptr {self.source}, ptr %row.{i}, i64 %single.second",
                f"  %two.read.{i} = load {self.source}, ptr %two.at.{i}",
                f"  %two.{i} = select i1 %second.missing, {self.source} 0, {self.source} %two.read.{i}",
                f"  %low.{i} = zext {self.source} %one.{i} to {self.kind}",
                f"  %high.{i} = zext {self.source} %two.{i} to {self.kind}",
                f"  %up.{i} = shl {self.kind} %high.{i}, 16",
                f"  %pair.{i} = or {self.kind} %low.{i}, %up.{i}",
            ]
        return [
            *lines,
            f"  %one.to.{i} = getelementptr {self.kind}, ptr %single.target, i64 {i}",
            f"  store {self.kind} {value}, ptr %one.to.{i}",
        ]


_TRANSPOSING = """
define void @pack(ptr noalias %args, i64 %begin, i64 %end) nounwind {attributes} {{
entry:
{arguments}
  br label %item
item:
  %it = phi i64 [ %begin, %entry ], [ %it.next, %item.end ]
  %it.ok = icmp slt i64 %it, %end
  br i1 %it.ok, label %item.begin, label %leave
item.begin:
  %panel = urem i64 %it, %panels
  %rest = udiv i64 %it, %panels
  %which = urem i64 %rest, %blocks
  %batch = udiv i64 %rest, %blocks
  %first = mul i64 %which, %block
  %left = sub i64 %depth, %first
  %short = icmp slt i64 %left, %block
  %count = select i1 %short, i64 %left, i64 %block
  %batch.offset = word %batch of %batches as i64
  %source.here = getelementptr {source}, ptr %source, i64 %batch.offset
  %places.first = mul i64 %panel, {width}
  %places.here = getelementptr i64, ptr %places, i64 %places.first
  %first.step = mul i64 %first, {steps}
  %steps.here = getelementptr i64, ptr %steps, i64 %first.step
  %flags.here = getelementptr i64, ptr %extra, i64 %first.step
  %start.batch = mul i64 %batch, %batch_size
  %start.a = mul i64 %first, %panels
  %start.b = mul i64 %panel, %count
  %start.c = add i64 %start.a, %start.b
  %start.d = mul i64 %start.c, {width}
  %start = add i64 %start.batch, %start.d
  %target.here = getelementptr {kind}, ptr %target, i64 %start
{rows}
  br label %chunk
chunk:
  %k = phi i64 [ 0, %item.begin ], [ %k.next, %chunk.end ]
  %k.ok = icmp slt i64 %k, %count
  br i1 %k.ok, label %chunk.begin, label %item.end
chunk.begin:
  %k.next = add nsw i64 %k, {square}
  %fits = icmp sle i64 %k.next, %count
  %k.step = mul i64 %k, {steps}
  %flag = word %k.step of %flags.here as i64
  %flagged = icmp ne i64 %flag, 0
  %whole = and i1 %fits, %flagged
  br i1 %whole, label %square, label %singles
square:
  %step = word %k.step of %steps.here as i64
  %k.place = mul i64 %k, {width}
  %target.k = getelementptr {kind}, ptr %target.here, i64 %k.place
{squares}
  br label %chunk.end
singles:
  %past = select i1 %fits, i64 %k.next, i64 %count
  br label %single
single:
  %s = phi i64 [ %k, %singles ], [ %s.next, %single ]
  %s.step = mul i64 %s, {steps}
  %single.step.at = getelementptr i64, ptr %steps.here, i64 %s.step
  %single.step = load i64, ptr %single.step.at
  %single.last.at = getelementptr i64, ptr %single.step.at, i64 {steps}
  %single.last = word -1 of %single.last.at as i64
  %second.missing = icmp eq i64 %single.last, {missing}
  %single.second = select i1 %second.missing, i64 %single.step, i64 %single.last
  %single.place = mul i64 %s, {width}
  %single.target = getelementptr {kind}, ptr %target.here, i64 %single.place
{singles}
  %s.next = add nsw i64 %s, 1
  %s.more = icmp slt i64 %s.next, %past
  br i1 %s.more, label %single, label %chunk.end
chunk.end:
  br label %chunk
item.end:
  %it.next = add nsw i64 %it, 1
  br label %item
leave:
  ret void
}}
"""

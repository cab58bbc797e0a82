"""From loop nests to LLVM IR.

The text is written in one walk over the kernel. Each loop has a `_Scope`: the lines of its body and
the values already computed there. A value is computed in the outermost scope that knows all its
variables, so index arithmetic leaves the inner loops by construction, and a value computed once is
found again. A loop with lanes is written twice or more: in vectors, then one by one for what is left.

No fast-math flag is ever set: what is written is what is computed, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tessella import dtypes
from tessella.dtypes import DType
from tessella.loops import half_precision
from tessella.loops.instructions import INSTRUCTIONS
from tessella.loops.llvm_types import literal, mangled, memory_type, register_type
from tessella.loops.nest import (
    LOAD,
    MASKED_LOAD,
    Carried,
    Combine,
    Fetch,
    Kernel,
    Loop,
    Pointer,
    Statement,
    Store,
)
from tessella.loops.scattered import gather, scatter
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant, postorder
from tessella.scalar.precision import core, require_core

CACHE_LINE = 64  # bytes


class Register(NamedTuple):
    """A name (or constant) in the text, its dtype, and how many lanes it has."""

    text: str
    dtype: DType
    lanes: int = 1
    is_constant: bool = False


def _widths(lanes: int, rest: int) -> list[int]:
    """The steps in which a loop is done: several vectors at once, one, a shorter one, then what is left."""
    if lanes == 1:
        return [1]
    whole = [lanes, lanes // 4] if lanes > 16 else [lanes]
    return [*whole, rest, 1] if 1 < rest < whole[-1] else [*whole, 1]


class _Scope:
    """The body of a loop (or of the function) while it is being written."""

    def __init__(self, depth: int, label: str) -> None:
        self.depth = depth
        self.label = label  # of the block that the next line goes to
        self.lines: list[str] = []
        self.values: dict[tuple[Expression, bool], Register] = {}
        self.volatile: dict[tuple[Expression, bool], Register] = {}  # read from written arrays
        self.broadcasts: dict[tuple[str, int], Register] = {}


class Emitter:
    """Writes one kernel as LLVM IR text."""

    def __init__(self, kernel: Kernel, attributes: str = "") -> None:
        self.kernel = kernel
        self.attributes = attributes
        self.declarations: set[str] = set()
        self.scopes: list[_Scope] = [_Scope(0, "entry")]
        self.counter = 0
        self.has_halves = any(half_precision.is_needed_for(p.dtype) for p in kernel.pointers)
        self.pointers: dict[Pointer, str] = {}
        self.depths: dict[Expression, int] = {}  # of variables: the scope that binds them
        self.bases: dict[Expression, Register] = {}  # vector variables: the scalar of lane 0
        self._depth_memo: dict[Expression, int] = {}
        self._volatile_memo: dict[Expression, bool] = {}
        self._varies_memo: dict[Expression, bool] = {}

    # --- text -----------------------------------------------------------------------------------

    @property
    def scope(self) -> _Scope:
        return self.scopes[-1]

    def name(self, hint: str = "v") -> str:
        self.counter += 1
        return f"%{hint}{self.counter}"

    def line(self, text: str, scope: _Scope | None = None) -> None:
        (scope or self.scope).lines.append("  " + text)

    def assign(self, text: str, scope: _Scope | None = None) -> str:
        result = self.name()
        self.line(f"{result} = {text}", scope)
        return result

    def begin_block(self, label: str) -> None:
        self.scope.lines.append(f"{label}:")
        self.scope.label = label

    def module(self) -> str:
        """The whole module: declarations, then the kernel."""
        self._prologue()
        self._statements(self.kernel.body)
        self.line("ret void")
        body = "\n".join(self.scope.lines)
        helpers = ""
        if self.has_halves:
            self.declarations.update(half_precision.DECLARATIONS)
            helpers = half_precision.DEFINITIONS
        head = (
            f"define void @{self.kernel.name}(ptr noalias %args, i64 %begin, i64 %end) "
            f"nounwind {self.attributes} {{\nentry:"
        )
        declarations = "\n".join(sorted(self.declarations))
        return f"{declarations}\n\n{head}\n{body}\n}}\n{helpers}"

    def _prologue(self) -> None:
        """Read the arguments: addresses, then sizes."""
        arguments = [pointer for pointer in self.kernel.pointers if pointer.local is None]
        for slot, pointer in enumerate(arguments):
            place = self.assign(f"getelementptr inbounds i64, ptr %args, i64 {slot}")
            self.pointers[pointer] = self.assign(f"load ptr, ptr {place}, !invariant.load !{{}}")
        for slot, size in enumerate(self.kernel.sizes, start=len(arguments)):
            place = self.assign(f"getelementptr inbounds i64, ptr %args, i64 {slot}")
            text = self.assign(f"load i64, ptr {place}, !invariant.load !{{}}")
            self._bind(size, Register(text, dtypes.int64))
        for pointer in self.kernel.pointers:
            if pointer.local is not None:
                extent = self.emit(core(pointer.local)).text
                kind = memory_type(pointer.dtype)
                self.pointers[pointer] = self.assign(f"alloca {kind}, i64 {extent}, align 64")

    # --- statements -----------------------------------------------------------------------------

    def _statements(self, body: Sequence[Statement]) -> None:
        """A body; stores that follow each other read everything before the first of them writes.

        Then a result may lie where an operand does, if each element is written where it is read, even if
        another result needs that element, too.
        """
        together: list[Store] = []
        for statement in body:
            if isinstance(statement, Store):
                written = {store.pointer for store in together}
                if any(pointer in written for pointer in _read_by(statement)):
                    self._stores(together)  # it reads what one of them writes
                    together = []
                together.append(statement)
                continue
            self._stores(together)
            together = []
            if isinstance(statement, Fetch):
                self._fetch(statement)
            else:
                self._loop(statement)
            self.scope.volatile.clear()
        self._stores(together)

    def _stores(self, stores: Sequence[Store]) -> None:
        for store in stores if len(stores) > 1 else ():
            self.emit(core(store.value, store.pointer.dtype))
            if store.mask is not None:
                self.emit(core(store.mask))
        for store in stores:
            self._store(store)
        self.scope.volatile.clear()

    def _store(self, store: Store) -> None:
        value = self.emit(core(store.value, store.pointer.dtype))
        mask = None if store.mask is None else self.emit(core(store.mask))
        coefficient = self._stride(store.index)
        lanes = max(value.lanes, 1 if coefficient == 0 else self._vector_lanes())
        if mask is not None:
            lanes = max(lanes, mask.lanes)
        if lanes == 1:
            self._store_one(store, value, mask)
        elif coefficient == 1:
            self._store_contiguous(store, self._to_memory(value, lanes), mask, lanes)
        elif mask is None:
            text, kind = self._to_memory(value, lanes), memory_type(store.pointer.dtype)
            scatter(self, store.pointer, core(store.index), lanes, kind, text)
        else:
            self._scatter(store, self._to_memory(value, lanes), mask, lanes)

    def _store_one(self, store: Store, value: Register, mask: Register | None) -> None:
        text = self._to_memory(value, 1)
        address = self.element_address(store.pointer, self.emit(core(store.index)))
        kind = memory_type(store.pointer.dtype)
        if mask is None:
            self.line(f"store {kind} {text}, ptr {address}")
            return
        write, done = self.name("write")[1:], self.name("done")[1:]
        self.line(f"br i1 {mask.text}, label %{write}, label %{done}")
        self.begin_block(write)
        self.line(f"store {kind} {text}, ptr {address}")
        self.line(f"br label %{done}")
        self.begin_block(done)

    def _store_contiguous(self, store: Store, text: str, mask: Register | None, lanes: int) -> None:
        address = self.element_address(store.pointer, self.emit(core(store.index), base=True))
        kind = memory_type(store.pointer.dtype, lanes)
        align = store.pointer.dtype.itemsize
        if mask is None:
            self.line(f"store {kind} {text}, ptr {address}, align {align}")
            return
        suffix = self._memory_suffix(store.pointer.dtype, lanes)
        self.declare(f"void @llvm.masked.store.{suffix}.p0({kind}, ptr, i32, <{lanes} x i1>)")
        self.line(
            f"call void @llvm.masked.store.{suffix}.p0({kind} {text}, ptr {address}, "
            f"i32 {align}, <{lanes} x i1> {self._lanes(mask, lanes)})"
        )

    def _scatter(self, store: Store, text: str, mask: Register, lanes: int) -> None:
        index = self.emit(core(store.index))
        addresses = self._addresses(store.pointer, index, lanes)
        kind = memory_type(store.pointer.dtype, lanes)
        suffix = self._memory_suffix(store.pointer.dtype, lanes)
        chosen = self._lanes(mask, lanes)
        self.declare(
            f"void @llvm.masked.scatter.{suffix}.v{lanes}p0({kind}, <{lanes} x ptr>, i32, "
            f"<{lanes} x i1>)"
        )
        self.line(
            f"call void @llvm.masked.scatter.{suffix}.v{lanes}p0({kind} {text}, "
            f"<{lanes} x ptr> {addresses}, i32 {store.pointer.dtype.itemsize}, "
            f"<{lanes} x i1> {chosen})"
        )

    def _fetch(self, fetch: Fetch) -> None:
        """One request for every cache line of a vector."""
        first = self.element_address(fetch.pointer, self.emit(core(fetch.index), base=True))
        write = int(fetch.pointer.written)
        self.declare("void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for offset in range(0, self._vector_lanes() * fetch.pointer.dtype.itemsize, CACHE_LINE):
            place = self.assign(f"getelementptr i8, ptr {first}, i64 {offset}")
            self.line(f"call void @llvm.prefetch.p0(ptr {place}, i32 {write}, i32 3, i32 1)")

    # --- loops ----------------------------------------------------------------------------------

    def _loop(self, loop: Loop) -> None:
        start, end = "%begin", "%end"
        if not loop.parallel:
            assert loop.extent is not None, "only a parallel loop is told its range"
            start, end = "0", self.emit(core(loop.extent)).text
        starts = [
            self.emit(core(carried.start, carried.variable.dtype)) for carried in loop.carried
        ]
        widths = _widths(loop.lanes, loop.rest)
        for lanes, narrower in zip(widths, [*widths[1:], 1], strict=True):
            start, starts = self._loop_part(loop, lanes, start, end, starts)
            if loop.carried and lanes > 1:
                assert loop.combine is not None, "a vector loop that carries needs a combine"
                starts = self._combine_lanes(loop.combine, starts, lanes, narrower)
        for carried, final in zip(loop.carried, starts, strict=True):
            self._bind(carried.variable, final)

    def _loop_part(
        self, loop: Loop, lanes: int, start: str, end: str, starts: list[Register]
    ) -> tuple[str, list[Register]]:
        """One loop of step `lanes`; gives where it stopped and the last carried values."""
        head, body, exit_ = (self.name(hint)[1:] for hint in ("head", "body", "exit"))
        counter, following = self.name("i"), self.name("n")
        # a value already in vectors (a loop around this one) keeps its lanes
        starts = [
            Register(self._lanes(s, max(lanes, s.lanes)), s.dtype, max(lanes, s.lanes))
            for s in starts
        ]
        starts = self._widen_starts(starts)
        phis = [Register(self.name("c"), value.dtype, value.lanes) for value in starts]
        self._enter(body)
        self._bind_counter(loop.variable, counter, lanes)
        for carried, phi in zip(loop.carried, phis, strict=True):
            self._bind(carried.variable, phi)
        self._statements(loop.body)
        nexts = self._next_values(loop.carried, phis)
        self.line(f"{following} = add nsw i64 {counter}, {lanes}")
        self.line(f"br label %{head}")
        latch = self.scope.label
        inner = self._leave(loop, lanes)
        before = self.scope.label  # known only now: what was hoisted may have brought new blocks
        self._write_loop_head(
            (before, latch), (head, body, exit_), (counter, following, start, end), lanes,
            list(zip(phis, starts, nexts, strict=True)),
        )  # fmt: skip
        self.scope.lines += inner
        self.begin_block(exit_)
        return counter, phis

    def _widen_starts(self, starts: list[Register]) -> list[Register]:
        """Inside a vector loop, what a serial loop carries may differ from lane to lane."""
        around = self._vector_lanes()
        return [
            Register(self._lanes(s, max(around, s.lanes)), s.dtype, max(around, s.lanes))
            for s in starts
        ]

    def _next_values(self, carried: tuple[Carried, ...], phis: list[Register]) -> list[str]:
        values = [self.emit(core(c.next, c.variable.dtype)) for c in carried]
        return [self._lanes(value, phi.lanes) for value, phi in zip(values, phis, strict=True)]

    def _write_loop_head(
        self, blocks: tuple[str, str], labels: tuple[str, str, str],
        counting: tuple[str, str, str, str], lanes: int, carried: list[tuple[Register, Register, str]],
    ) -> None:  # fmt: skip
        before, latch = blocks
        head, body, exit_ = labels
        counter, following, start, end = counting
        self.line(f"br label %{head}")
        self.begin_block(head)
        self.line(f"{counter} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]")
        for phi, first, following_text in carried:
            kind = register_type(phi.dtype, phi.lanes)
            self.line(
                f"{phi.text} = phi {kind} [ {first.text}, %{before} ], "
                f"[ {following_text}, %{latch} ]"
            )
        reach = self.assign(f"add nsw i64 {counter}, {lanes}") if lanes > 1 else counter
        order = "sle" if lanes > 1 else "slt"
        more = self.assign(f"icmp {order} i64 {reach}, {end}")
        self.line(f"br i1 {more}, label %{body}, label %{exit_}")

    def _enter(self, label: str) -> None:
        scope = _Scope(len(self.scopes), label)
        scope.lines.append(f"{label}:")
        self.scopes.append(scope)
        self._depth_memo.clear()

    def _leave(self, loop: Loop, lanes: int) -> list[str]:
        inner = self.scopes.pop()
        self.bases.pop(loop.variable, None)
        self._varies_memo.clear()
        for bound in (loop.variable, *(carried.variable for carried in loop.carried)):
            self.depths.pop(bound, None)
        self._depth_memo.clear()
        return inner.lines

    def _bind_counter(self, variable: Expression, counter: str, lanes: int) -> None:
        base = Register(counter, dtypes.int64)
        if lanes == 1:
            self._bind(variable, base)
            return
        steps = ", ".join(f"i64 {lane}" for lane in range(lanes))
        spread = self._lanes(base, lanes)
        kind = register_type(dtypes.int64, lanes)
        self._bind(
            variable, Register(self.assign(f"add {kind} {spread}, <{steps}>"), dtypes.int64, lanes)
        )
        self.bases[variable] = base
        self._varies_memo.clear()
        self.scope.values[variable, True] = base

    def _combine_lanes(
        self, combine: Combine, values: list[Register], lanes: int, until: int
    ) -> list[Register]:
        """Halve the lanes until so many are left, always pairing lane i with lane i + half."""
        while lanes > until:
            lanes //= 2
            low = [self._half(value, 0, lanes) for value in values]
            high = [self._half(value, lanes, lanes) for value in values]
            for variable, value in zip(combine.left + combine.right, low + high, strict=True):
                self._bind(variable, value)
            self._forget(*combine.results)
            values = [self.emit(core(result, result.dtype)) for result in combine.results]
        return values

    def _forget(self, *roots: Expression) -> None:
        """Drop remembered values: the variables below have been bound anew."""
        for node in postorder(*(core(root, root.dtype) for root in roots)):
            if not node.is_variable:
                self.scope.values.pop((node, False), None)

    def _half(self, value: Register, first: int, lanes: int) -> Register:
        kind = register_type(value.dtype, 2 * lanes)
        if lanes == 1:
            text = self.assign(f"extractelement {kind} {value.text}, i64 {first}")
            return Register(text, value.dtype)
        chosen = ", ".join(f"i32 {lane}" for lane in range(first, first + lanes))
        text = self.assign(
            f"shufflevector {kind} {value.text}, {kind} poison, <{lanes} x i32> <{chosen}>"
        )
        return Register(text, value.dtype, lanes)

    # --- expressions ----------------------------------------------------------------------------

    def _bind(self, variable: Expression, value: Register) -> None:
        self.scope.values[variable, False] = value
        self.depths[variable] = self.scope.depth
        self._depth_memo.clear()

    def _depth(self, node: Expression) -> int:
        """The loop depth at which all that an expression reads is known."""
        memo = self._depth_memo
        for below in postorder(node, besides=memo):
            if self._is_volatile(below):
                memo[below] = self.scopes[-1].depth
            elif below.is_variable:
                memo[below] = self.depths[below]
            else:
                memo[below] = max([memo[argument] for argument in below.arguments], default=0)
        return memo[node]

    def _is_volatile(self, node: Expression) -> bool:
        """Whether an expression reads an array that this kernel writes."""
        memo = self._volatile_memo
        for below in postorder(node, besides=memo):
            reads = below.operator in (LOAD, MASKED_LOAD) and below.static.written
            memo[below] = reads or any(memo[argument] for argument in below.arguments)
        return memo[node]

    def _find(self, key: tuple[Expression, bool]) -> Register | None:
        for scope in reversed(self.scopes):
            if key in scope.values:
                return scope.values[key]
            if key in scope.volatile:
                return scope.volatile[key]
        return None

    def emit(self, node: Expression, base: bool = False) -> Register:
        """The value of an expression in core operators; with `base`, that of the first lane."""
        waiting = [
            (node, base)
        ]  # what operands need comes first: chains are longer than Python's stack
        while waiting:
            item = waiting[-1]
            needed = (
                ()
                if self._known(*item)
                else [x for x in self._operands(*item) if not self._known(*x)]
            )
            if needed:
                waiting += reversed(needed)
                continue
            waiting.pop()
            found = self._value(*item)
        return found

    def _known(self, node: Expression, base: bool) -> Register | None:
        """The value of an expression, if it is there."""
        if node.is_constant:
            return Register(literal(node.static, node.dtype), node.dtype, is_constant=True)
        return self._find((node, self._differs(node, base)))

    def _differs(self, node: Expression, base: bool) -> bool:
        """Whether the value of the first lane is not that of all."""
        return base and bool(self.bases) and self.varies(node)

    def _operands(self, node: Expression, base: bool) -> list[tuple[Expression, bool]]:
        """What `_compute` emits first; what only a part of the lanes or a block needs, it does itself."""
        if node.operator in (LOAD, MASKED_LOAD):
            return []
        if node.operator is operators.fallback:
            condition, _, usual = node.arguments
            return [(usual, False), (condition, False)]
        return [(argument, base) for argument in node.arguments]

    def _value(self, node: Expression, base: bool) -> Register:
        """The value of an expression whose operands are there."""
        found = self._known(node, base)
        if found is not None:
            return found
        base = self._differs(node, base)
        scope = self._home(node)
        if scope is self.scope:
            value = self._compute(node, base)
        else:
            saved = self.scopes
            self.scopes = self.scopes[: saved.index(scope) + 1]
            value = self._compute(node, base)
            self.scopes = saved
        memory = scope.volatile if self._is_volatile(node) else scope.values
        memory[node, base] = value
        return value

    def _home(self, node: Expression) -> _Scope:
        """The innermost scope of the depth where the node belongs."""
        depth = self._depth(node)
        if depth >= self.scope.depth:
            return self.scope
        return next(scope for scope in reversed(self.scopes) if scope.depth <= depth)

    def varies(self, node: Expression) -> bool:
        """Whether an expression differs from lane to lane."""
        memo = self._varies_memo
        for below in postorder(node, besides=memo):
            memo[below] = below in self.bases or any(memo[x] for x in below.arguments)
        return memo[node]

    def _compute(self, node: Expression, base: bool) -> Register:
        self.has_halves |= half_precision.is_needed_for(node.dtype)
        if node.is_variable:
            raise AssertionError(f"variable {node} is used outside its loop in {self.kernel.name}")
        if node.operator is LOAD:
            return self._load(node, base)
        if node.operator is MASKED_LOAD:
            return self._masked_load(node, base)
        if node.operator is operators.fallback:
            return self._fallback(node)
        arguments = [self.emit(argument, base) for argument in node.arguments]
        lanes = max(argument.lanes for argument in arguments)
        rule = INSTRUCTIONS.get(node.operator.name)
        if rule is None:
            require_core(node)
        texts = [self._lanes(argument, lanes) for argument in arguments]
        return Register(rule(self, node, texts, lanes), node.dtype, lanes)  # type: ignore[misc]

    def _lanes(self, value: Register, lanes: int) -> str:
        """The text of a value with that many lanes: a scalar is repeated."""
        if value.lanes == lanes:
            return value.text
        assert value.lanes == 1, (value, lanes)
        scalar = register_type(value.dtype)
        if value.is_constant:
            return f"splat ({scalar} {value.text})"
        known = self.scope.broadcasts.get((value.text, lanes))
        if known is None:
            kind = register_type(value.dtype, lanes)
            first = self.assign(f"insertelement {kind} poison, {scalar} {value.text}, i64 0")
            text = self.assign(
                f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer"
            )
            known = self.scope.broadcasts[value.text, lanes] = Register(text, value.dtype, lanes)
        return known.text

    def _fallback(self, node: Expression) -> Register:
        """Compute the rare side in a block of its own, entered only if some lane needs it."""
        condition, rare, usual = node.arguments
        normal = self.emit(usual)
        test = self.emit(condition)
        lanes = max(test.lanes, normal.lanes)
        some = test.text if test.lanes == 1 else self._any(test)
        slow, join = self.name("rare")[1:], self.name("join")[1:]
        normal_text = self._lanes(normal, lanes)
        before = self.scope.label
        self.line(f"br i1 {some}, label %{slow}, label %{join}")
        temporary = _Scope(self.scope.depth, slow)
        temporary.lines.append(f"{slow}:")
        self.scopes = [*self.scopes, temporary]
        seldom = self._lanes(self.emit(rare), lanes)
        self.line(f"br label %{join}")
        self.scopes = self.scopes[:-1]
        self.scope.lines += temporary.lines
        self.begin_block(join)
        kind = register_type(node.dtype, lanes)
        both = self.assign(
            f"phi {kind} [ {normal_text}, %{before} ], [ {seldom}, %{temporary.label} ]"
        )
        condition_kind = register_type(dtypes.bool_, lanes)
        text = self.assign(
            f"select {condition_kind} {self._lanes(test, lanes)}, {kind} {both}, {kind} {normal_text}"
        )
        return Register(text, node.dtype, lanes)

    def _any(self, test: Register) -> str:
        kind = register_type(dtypes.bool_, test.lanes)
        name = f"llvm.vector.reduce.or.v{test.lanes}i1"
        self.declare(f"i1 @{name}({kind})")
        return self.assign(f"call i1 @{name}({kind} {test.text})")

    # --- memory ---------------------------------------------------------------------------------

    def _vector_lanes(self) -> int:
        """The lanes of the vector loop we are in, or 1."""
        for variable in self.bases:
            found = self._find((variable, False))
            if found is not None:
                return found.lanes
        return 1

    def _stride(self, index: Expression) -> int | None:
        """How an index moves from lane to lane: 0, 1, -1, or None for anything else."""
        slope = self.slope(index)
        if slope is None or not slope.is_constant or slope.static not in (0, 1, -1):
            return None
        return int(slope.static)

    def slope(self, index: Expression) -> Expression | None:
        """How far an index moves from lane to lane, if it does so evenly; else None."""
        for variable in self.bases:
            slope = affine_slope(core(index), variable)
            if slope is None or not slope.is_constant or slope.static != 0:
                return slope
        return constant(0, dtypes.int64)

    def element_address(self, pointer: Pointer, index: Register) -> str:
        kind = memory_type(pointer.dtype)
        return self.assign(
            f"getelementptr inbounds {kind}, ptr {self.pointers[pointer]}, i64 {index.text}"
        )

    def _addresses(self, pointer: Pointer, index: Register, lanes: int) -> str:
        kind = memory_type(pointer.dtype)
        return self.assign(
            f"getelementptr inbounds {kind}, ptr {self.pointers[pointer]}, "
            f"<{lanes} x i64> {self._lanes(index, lanes)}"
        )

    def _load(self, node: Expression, base: bool) -> Register:
        pointer: Pointer = node.static
        (index,) = node.arguments
        stride = 0 if base else self._stride(index)
        lanes = 1 if stride == 0 else self._vector_lanes()
        kind = memory_type(pointer.dtype, lanes)
        align = f"align {pointer.dtype.itemsize}{', !invariant.load !{}' if pointer.table else ''}"
        if stride == 0:
            address = self.element_address(pointer, self.emit(index, base))
            raw = self.assign(f"load {kind}, ptr {address}, {align}")
        elif stride == 1:
            address = self.element_address(pointer, self.emit(index, base=True))
            raw = self.assign(f"load {kind}, ptr {address}, {align}")
        elif stride == -1:
            raw = self._load_backwards(pointer, index, lanes)
        else:
            raw = gather(self, pointer, index, lanes, memory_type(pointer.dtype))
        return self._from_memory(raw, pointer.dtype, lanes)

    def _load_backwards(self, pointer: Pointer, index: Expression, lanes: int) -> str:
        kind = memory_type(pointer.dtype, lanes)
        last = self.assign(f"sub nsw i64 {self.emit(index, base=True).text}, {lanes - 1}")
        address = self.element_address(pointer, Register(last, dtypes.int64))
        raw = self.assign(f"load {kind}, ptr {address}, align {pointer.dtype.itemsize}")
        order = ", ".join(f"i32 {lane}" for lane in reversed(range(lanes)))
        return self.assign(f"shufflevector {kind} {raw}, {kind} poison, <{lanes} x i32> <{order}>")

    def _masked_load(self, node: Expression, base: bool) -> Register:
        pointer: Pointer = node.static
        index, mask_node, other_node = node.arguments
        mask, other = self.emit(mask_node, base), self._spare(other_node, pointer.dtype, base)
        stride = 0 if base else self._stride(index)
        lanes = 1 if stride == 0 else self._vector_lanes()
        lanes = max(lanes, mask.lanes, other.lanes)
        if lanes == 1:
            return self._masked_load_one(node, mask, other, base)
        kind = memory_type(pointer.dtype, lanes)
        mask_text = self._lanes(mask, lanes)
        spare = self._to_memory(other, lanes)
        if stride == 1:
            address = self.element_address(pointer, self.emit(index, base=True))
            suffix = self._memory_suffix(pointer.dtype, lanes)
            self.declare(f"{kind} @llvm.masked.load.{suffix}.p0(ptr, i32, <{lanes} x i1>, {kind})")
            raw = self.assign(
                f"call {kind} @llvm.masked.load.{suffix}.p0(ptr {address}, "
                f"i32 {pointer.dtype.itemsize}, <{lanes} x i1> {mask_text}, {kind} {spare})"
            )
        else:
            addresses = self._addresses(pointer, self.emit(index), lanes)
            raw = self._gather(pointer, addresses, mask_text, lanes, spare)
        return self._from_memory(raw, pointer.dtype, lanes)

    def _spare(self, node: Expression, dtype: DType, base: bool) -> Register:
        """What a masked load gives where it reads nothing, in the dtype of the memory."""
        if node.is_constant:
            return Register(literal(node.static, dtype), dtype, is_constant=True)
        return self.emit(core(node, dtype), base)

    def _masked_load_one(
        self, node: Expression, mask: Register, other: Register, base: bool
    ) -> Register:
        """Read element 0 where the mask is false (it exists), and forget it."""
        index = self.emit(node.arguments[0], base)
        safe = self.assign(f"select i1 {mask.text}, i64 {index.text}, i64 0")
        address = self.element_address(node.static, Register(safe, dtypes.int64))
        raw = self.assign(f"load {memory_type(node.dtype)}, ptr {address}")
        value = self._from_memory(raw, node.dtype, 1)
        kind = register_type(node.dtype)
        text = self.assign(f"select i1 {mask.text}, {kind} {value.text}, {kind} {other.text}")
        return Register(text, node.dtype)

    def _gather(self, pointer: Pointer, addresses: str, mask: str, lanes: int, spare: str) -> str:
        kind = memory_type(pointer.dtype, lanes)
        suffix = self._memory_suffix(pointer.dtype, lanes)
        name = f"llvm.masked.gather.{suffix}.v{lanes}p0"
        self.declare(f"{kind} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {kind})")
        return self.assign(
            f"call {kind} @{name}(<{lanes} x ptr> {addresses}, i32 {pointer.dtype.itemsize}, "
            f"<{lanes} x i1> {mask}, {kind} {spare})"
        )

    def _memory_suffix(self, dtype: DType, lanes: int) -> str:
        return f"v{lanes}i8" if dtype.is_bool else mangled(dtype, lanes)

    def _from_memory(self, raw: str, dtype: DType, lanes: int) -> Register:
        if not dtype.is_bool:
            return Register(raw, dtype, lanes)
        kind = memory_type(dtype, lanes)
        zero = "0" if lanes == 1 else "zeroinitializer"
        return Register(self.assign(f"icmp ne {kind} {raw}, {zero}"), dtype, lanes)

    def _to_memory(self, value: Register, lanes: int) -> str:
        text = self._lanes(value, lanes)
        if not value.dtype.is_bool:
            return text
        source, target = register_type(value.dtype, lanes), memory_type(value.dtype, lanes)
        return self.assign(f"zext {source} {text} to {target}")

    def declare(self, text: str) -> None:
        self.declarations.add(f"declare {text}")

    def intrinsic(self, name: str, dtype: DType, texts: list[str], lanes: int) -> str:
        """Call an intrinsic whose operands and result have one type."""
        kind = register_type(dtype, lanes)
        full = f"llvm.{name}.{mangled(dtype, lanes)}"
        self.declare(f"{kind} @{full}({', '.join([kind] * len(texts))})")
        return self.assign(f"call {kind} @{full}({', '.join(f'{kind} {t}' for t in texts)})")


def _read_by(store: Store) -> set[Pointer]:
    """The arrays that a store reads."""
    roots = [store.index, store.value, *([] if store.mask is None else [store.mask])]
    reads = (node for node in postorder(*roots) if node.operator in (LOAD, MASKED_LOAD))
    return {node.static for node in reads}


def affine_slope(index: Expression, variable: Expression) -> Expression | None:
    """How fast an index grows with a variable, if it does so evenly; else None."""
    slopes: dict[Expression, Expression | None] = {}
    for node in postorder(index):
        slopes[node] = _slope_of(node, variable, [slopes[argument] for argument in node.arguments])
    return slopes[index]


def _slope_of(
    index: Expression, variable: Expression, slopes: list[Expression | None]
) -> Expression | None:
    """The slope of an index, from those of its operands."""
    if index is variable:
        return constant(1, dtypes.int64)
    if all(slope is not None and slope.is_constant and slope.static == 0 for slope in slopes):
        return constant(0, dtypes.int64)
    if any(slope is None for slope in slopes):
        return None
    if index.operator is operators.add:
        return slopes[0] + slopes[1]  # type: ignore[operator]
    if index.operator is operators.subtract:
        return slopes[0] - slopes[1]  # type: ignore[operator]
    if index.operator is operators.multiply:
        x, y = index.arguments
        if slopes[0].static == 0 if slopes[0].is_constant else False:  # type: ignore[union-attr]
            return x * slopes[1]
        if slopes[1].static == 0 if slopes[1].is_constant else False:  # type: ignore[union-attr]
            return slopes[0] * y
    return None


def to_llvm(kernel: Kernel, attributes: str = "") -> str:
    """The LLVM IR of a kernel.

    >>> from tessella.loops.nest import index_variable, load
    >>> i, n = index_variable("i"), index_variable("n")
    >>> x, y = Pointer("x", dtypes.float32), Pointer("y", dtypes.float32, written=True)
    >>> body = Loop(i, n, (Store(y, i, load(x, i) * 2),), parallel=True)
    >>> "fmul float" in to_llvm(Kernel("double", (x, y), (n,), (body,)))
    True
    """
    return Emitter(kernel, attributes).module()

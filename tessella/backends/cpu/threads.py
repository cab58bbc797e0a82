"""Fork and join: one piece of work on all processors, in microseconds.

The workers are Python threads that wait inside a native loop, so they need neither the interpreter
nor its lock. To start them, the caller writes what is to be done, and a new generation number. A
worker that is still spinning sees it at once; one that has gone to sleep is woken by the kernel
(`futex`). Everybody, the caller too, then takes chunks by an atomic counter until none is left.

Who takes which chunk is chance, what a chunk is depends on `total` and `chunk` alone: so results
cannot depend on the number of threads.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tessella.backends.cpu import engine, machine, processors
from tessella.errors import ConfigurationError

VARIABLE = "TESSELLA_NUM_THREADS"
_MOST = 1024

_count: int | None = None
_pool: _Pool | None = None
_lock = threading.Lock()


def _validated(value: object, origin: str) -> int:
    text = str(value).strip()
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise ConfigurationError(
            f"{origin} is {value!r}; expected a whole number from 1 to {_MOST}, for example 2; "
            "leave it out to use every processor"
        )
    return int(text)


def count() -> int:
    """The number of threads that work on one operation, the caller included.

    Raises:
        ConfigurationError: `TESSELLA_NUM_THREADS` is not a positive whole number.
    """
    global _count
    if _count is None:
        given = os.environ.get(VARIABLE)
        _count = machine.usable_processors() if given is None else _validated(given, VARIABLE)
    return _count


def set_count(number: int) -> None:
    """Use that many threads from now on.

    Raises:
        ConfigurationError: not a positive whole number.
    """
    global _count
    number = _validated(number, "the number of threads")
    with _lock:
        _stop()
        _count = number


@contextlib.contextmanager
def limited(number: int) -> Iterator[None]:
    """Use that many threads inside a `with` block."""
    before = count()
    set_count(number)
    try:
        yield
    finally:
        set_count(before)


def parallel(address: int, args: bytes, total: int, chunk: int) -> None:
    """Run the kernel at `address` over [0, total) in pieces of `chunk`, on all threads.

    A call from a second Python thread while the pool is busy does all its work itself.
    """
    if total > chunk and count() > 1 and _NATIVE and _lock.acquire(blocking=False):
        try:
            _running_pool().run(address, args, total, chunk)
            return
        finally:
            _lock.release()
    _natives()["serial"](address, args, total, chunk)


def quick_runner() -> Any:
    """The native `run_alone`, for programs without shared work: it keeps the interpreter lock."""
    return _natives()["run_alone"]


def run_timed(program: int, times: int) -> int:
    """Like `run_program`, and write when the first call began and when each one ended.

    Args:
        times: the address of one `timespec` (seconds and nanoseconds, 8 bytes each) more than there
            are calls; the clock is that of `time.perf_counter_ns`.
    """
    ctypes.c_int64.from_address(program + 8 * _TIMES).value = times
    native = timed_loop()
    if count() > 1 and _NATIVE and _lock.acquire(blocking=False):
        try:
            pool = _running_pool()
            return pool.run_program(program, native)
        finally:
            _lock.release()
    stopped: int = native(None, 0, program)
    return stopped


def run_program(program: int, alone: bool = False) -> int:
    """Run a table of calls (see `_PROGRAM`); gives 0, or 1 + the number of the step that stopped it.

    Args:
        program: the address of the table.
        alone: whether every call runs on the calling thread anyway.
    """
    if not alone and count() > 1 and _NATIVE and _lock.acquire(blocking=False):
        try:
            return _running_pool().run_program(program)
        finally:
            _lock.release()
    if alone:
        return int(_natives()["run_alone"](program))
    return int(_natives()["run_program"](None, 0, program))


def run_loop(table: Any, alone: bool = False) -> int:
    """Run a program many times (see `_LOOP`); gives 0 if all turns were taken, and more may follow.

    Args:
        table: a loop, as ctypes words.
        alone: whether every call runs on the calling thread anyway.
    """
    address = ctypes.addressof(table)
    native = _natives()["run_loop"]
    if not alone and count() > 1 and _NATIVE and _lock.acquire(blocking=False):
        try:
            return _running_pool().run_program(address, native)
        finally:
            _lock.release()
    return int(native(None, 0, address))


# --- the native loops --------------------------------------------------------------------------------

# Slots of the shared state, in 8-byte words; what different threads write is 64 bytes apart.
_GENERATION, _NEXT, _PENDING, _SLEEPERS, _WORK, _WORDS = 0, 8, 16, 24, 32, 48
_SPIN = 4000  # turns of waiting before sleeping: some tens of microseconds

PROCESSOR = 5  # the word of a program's head that says where the caller was seen
_TIMES = 6  # the word that says where to write times, if the program is timed
HEAD = 7  # words
_PLACE_AT_MOST_EVERY = 1e-3  # seconds

_NATIVE = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
_FUTEX = {"x86_64": 202, "aarch64": 98}
_PAUSE = {"x86_64": "void @llvm.x86.sse2.pause()", "aarch64": "void @llvm.aarch64.hint(i32 1)"}
_PAUSE_DECLARATION = {
    "x86_64": "declare void @llvm.x86.sse2.pause()",
    "aarch64": "declare void @llvm.aarch64.hint(i32)",
}

_SERIAL = """
define void @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk) {
entry:
  br label %head
head:
  %begin = phi i64 [ 0, %entry ], [ %reach, %body ]
  %some = icmp slt i64 %begin, %total
  br i1 %some, label %body, label %done
body:
  %reach = add i64 %begin, %chunk
  %past = icmp sgt i64 %reach, %total
  %end = select i1 %past, i64 %total, i64 %reach
  call void %kernel(ptr %args, i64 %begin, i64 %end)
  br label %head
done:
  ret void
}
"""

# A program is a table of calls. Its head, in 8-byte words: the steps and how many they are; the
# patches and how many they are; the slots; the processor the caller was last seen on; where times go
# (of a program that is timed, see `timed_loop`). A step is a
# kernel, its arguments, `total` and `chunk` (0: all on the calling thread); without a kernel it stops
# the program if the word its arguments point at is not zero. A patch is a place in some step's
# arguments, a slot, and an offset: before the steps run, slot + offset is written to the place.
_PROGRAM = """
define i64 @run_program(ptr %state, i32 %workers, ptr %program) {
entry:
  %steps = load ptr, ptr %program
  %count.place = getelementptr i64, ptr %program, i64 1
  %count = load i64, ptr %count.place
  %patches.place = getelementptr i64, ptr %program, i64 2
  %patches = load ptr, ptr %patches.place
  %patch.count.place = getelementptr i64, ptr %program, i64 3
  %patch.count = load i64, ptr %patch.count.place
  %slots.place = getelementptr i64, ptr %program, i64 4
  %slots = load ptr, ptr %slots.place
  %here.place = getelementptr i64, ptr %program, i64 5
{BEFORE}
  br label %patch
patch:
  %p = phi i64 [ 0, %entry ], [ %p.next, %patch.body ]
  %patch.more = icmp slt i64 %p, %patch.count
  br i1 %patch.more, label %patch.body, label %step
patch.body:
  %patch.index = mul i64 %p, 3
  %target.place = getelementptr i64, ptr %patches, i64 %patch.index
  %target = load ptr, ptr %target.place
  %slot.place = getelementptr i64, ptr %target.place, i64 1
  %slot = load i64, ptr %slot.place
  %offset.place = getelementptr i64, ptr %target.place, i64 2
  %offset = load i64, ptr %offset.place
  %base.place = getelementptr i64, ptr %slots, i64 %slot
  %base = load i64, ptr %base.place
  %address = add i64 %base, %offset
  store i64 %address, ptr %target
  %p.next = add i64 %p, 1
  br label %patch
step:
  %i = phi i64 [ 0, %patch ], [ %i.next, %step.end ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %step.begin, label %done
step.begin:
  %step.index = mul i64 %i, 4
  %kernel.place = getelementptr i64, ptr %steps, i64 %step.index
  %kernel = load ptr, ptr %kernel.place
  %args.place = getelementptr i64, ptr %kernel.place, i64 1
  %args = load ptr, ptr %args.place
  %total.place = getelementptr i64, ptr %kernel.place, i64 2
  %total = load i64, ptr %total.place
  %chunk.place = getelementptr i64, ptr %kernel.place, i64 3
  %chunk = load i64, ptr %chunk.place
  %i.next = add i64 %i, 1
  %is.check = icmp eq ptr %kernel, null
  br i1 %is.check, label %check, label %call
check:
  %flag.place = load ptr, ptr %args
  %flag = load i64, ptr %flag.place
  %wrong = icmp ne i64 %flag, 0
  br i1 %wrong, label %stop, label %step.end
call:
  %direct = icmp eq i64 %chunk, 0
  br i1 %direct, label %alone, label %shared
alone:
  call void %kernel(ptr %args, i64 0, i64 %total)
  br label %step.end
shared:
  %single = icmp eq i32 %workers, 0
  br i1 %single, label %one, label %all
one:
  call void @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk)
  br label %step.end
all:
{ALL}
  br label %step.end
step.end:
{AFTER}
  br label %step
stop:
  ret i64 %i.next
done:
  ret i64 0
}

define i64 @run_alone(ptr %program) {
entry:
  %stopped = call i64 @run_program(ptr null, i32 0, ptr %program)
  ret i64 %stopped
}
"""
# A loop is a program that is run again and again. Its words: the program's head; how many turns; how many slots
# move between two turns; these slots, each an address and by how much; the head of a program that says
# whether to go on (or 0); where the caller was seen; the byte where it says so; the step that stopped a turn
# (negative: of that program).
LOOP_WORDS, LOOP_STOPPED = 8, 7
_LOOP = """
define i64 @run_loop(ptr %state, i32 %workers, ptr %loop) {
entry:
  %body = load ptr, ptr %loop
  %turns.place = getelementptr i64, ptr %loop, i64 1
  %turns = load i64, ptr %turns.place
  %count.place = getelementptr i64, ptr %loop, i64 2
  %count = load i64, ptr %count.place
  %moves.place = getelementptr i64, ptr %loop, i64 3
  %moves = load ptr, ptr %moves.place
  %condition.place = getelementptr i64, ptr %loop, i64 4
  %condition = load ptr, ptr %condition.place
  %flag.place = getelementptr i64, ptr %loop, i64 6
  %flag = load ptr, ptr %flag.place
  %stopped.place = getelementptr i64, ptr %loop, i64 7
  %asks = icmp ne ptr %condition, null
  br label %head
head:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %moved ]
  %more = icmp slt i64 %turn, %turns
  br i1 %more, label %begin, label %used
begin:
  br i1 %asks, label %ask, label %do
ask:
  %asked = call i64 @run_program(ptr %state, i32 %workers, ptr %condition)
  %ask.stopped = icmp ne i64 %asked, 0
  br i1 %ask.stopped, label %ask.stop, label %answer
answer:
  %said = load i8, ptr %flag
  %yes = icmp ne i8 %said, 0
  br i1 %yes, label %do, label %done
do:
  %did = call i64 @run_program(ptr %state, i32 %workers, ptr %body)
  %do.stopped = icmp ne i64 %did, 0
  br i1 %do.stopped, label %do.stop, label %move
move:
  %m = phi i64 [ 0, %do ], [ %m.next, %move.body ]
  %move.more = icmp slt i64 %m, %count
  br i1 %move.more, label %move.body, label %moved
move.body:
  %m.index = mul i64 %m, 2
  %slot.place = getelementptr i64, ptr %moves, i64 %m.index
  %slot = load ptr, ptr %slot.place
  %by.place = getelementptr i64, ptr %slot.place, i64 1
  %by = load i64, ptr %by.place
  %before = load i64, ptr %slot
  %after = add i64 %before, %by
  store i64 %after, ptr %slot
  %m.next = add i64 %m, 1
  br label %move
moved:
  %turn.next = add i64 %turn, 1
  br label %head
ask.stop:
  %negative = sub i64 0, %asked
  store i64 %negative, ptr %stopped.place
  ret i64 1
do.stop:
  store i64 %did, ptr %stopped.place
  ret i64 1
done:
  ret i64 1
used:
  ret i64 0
}
"""
_ALL = """  %here = call i32 @fork_join(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, i32 %workers)
  %here.wide = sext i32 %here to i64
  store i64 %here.wide, ptr %here.place"""
_BEFORE = f"""  %times.place = getelementptr i64, ptr %program, i64 {_TIMES}
  %times = load ptr, ptr %times.place
  call i32 @clock_gettime(i32 {getattr(time, "CLOCK_MONOTONIC", 1)}, ptr %times)"""
_AFTER = f"""  %time.place = getelementptr [2 x i64], ptr %times, i64 %i.next
  call i32 @clock_gettime(i32 {getattr(time, "CLOCK_MONOTONIC", 1)}, ptr %time.place)"""
_ALL_SERIAL = "  call void @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk)"

_FORK_AND_JOIN = """
declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()
{DECLARATION}

define internal void @chunks(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk) {{
entry:
  %next = getelementptr i64, ptr %state, i64 {NEXT}
  br label %take
take:
  %begin = atomicrmw add ptr %next, i64 %chunk acq_rel
  %some = icmp slt i64 %begin, %total
  br i1 %some, label %work, label %done
work:
  %reach = add i64 %begin, %chunk
  %past = icmp sgt i64 %reach, %total
  %end = select i1 %past, i64 %total, i64 %reach
  call void %kernel(ptr %args, i64 %begin, i64 %end)
  br label %take
done:
  ret void
}}

define internal void @await_change(ptr %word, i32 %old, ptr %sleepers) {{
entry:
  br label %spin
spin:
  %turn = phi i32 [ 0, %entry ], [ %following, %again ]
  %now = load atomic i32, ptr %word acquire, align 4
  %changed = icmp ne i32 %now, %old
  br i1 %changed, label %done, label %again
again:
  call {PAUSE}
  %following = add i32 %turn, 1
  %tired = icmp sgt i32 %following, {SPIN}
  br i1 %tired, label %sleep, label %spin
sleep:
  %a = atomicrmw add ptr %sleepers, i32 1 seq_cst
  %r = call i64 (i64, ...) @syscall(i64 {FUTEX}, ptr %word, i64 128, i32 %old, ptr null, ptr null, i64 0)
  %b = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  %after = load atomic i32, ptr %word acquire, align 4
  %woken = icmp ne i32 %after, %old
  br i1 %woken, label %done, label %sleep
done:
  ret void
}}

define void @worker(ptr %state, i32 %first) {{
entry:
  %pending = getelementptr i64, ptr %state, i64 {PENDING}
  %sleepers = getelementptr i64, ptr %state, i64 {SLEEPERS}
  %work0 = getelementptr i64, ptr %state, i64 {WORK}
  %work1 = getelementptr i64, ptr %state, i64 {WORK1}
  %work2 = getelementptr i64, ptr %state, i64 {WORK2}
  %work3 = getelementptr i64, ptr %state, i64 {WORK3}
  br label %wait
wait:
  %old = phi i32 [ %first, %entry ], [ %now, %finished ], [ %now, %last ]
  call void @await_change(ptr %state, i32 %old, ptr %sleepers)
  %now = load atomic i32, ptr %state acquire, align 4
  %kernel = load ptr, ptr %work0
  %stop = icmp eq ptr %kernel, null
  br i1 %stop, label %leave, label %run
run:
  %args = load ptr, ptr %work1
  %total = load i64, ptr %work2
  %chunk = load i64, ptr %work3
  call void @chunks(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk)
  br label %finished0
finished0:
  %left = atomicrmw sub ptr %pending, i32 1 acq_rel
  %isLast = icmp eq i32 %left, 1
  br i1 %isLast, label %last, label %finished
last:
  %w = call i64 (i64, ...) @syscall(i64 {FUTEX}, ptr %pending, i64 129, i32 1, ptr null, ptr null, i64 0)
  br label %wait
finished:
  br label %wait
leave:
  ret void
}}

define i32 @fork_join(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, i32 %workers) {{
entry:
  %here = call i32 @sched_getcpu()
  %next = getelementptr i64, ptr %state, i64 {NEXT}
  %pending = getelementptr i64, ptr %state, i64 {PENDING}
  %sleepers = getelementptr i64, ptr %state, i64 {SLEEPERS}
  %work0 = getelementptr i64, ptr %state, i64 {WORK}
  %work1 = getelementptr i64, ptr %state, i64 {WORK1}
  %work2 = getelementptr i64, ptr %state, i64 {WORK2}
  %work3 = getelementptr i64, ptr %state, i64 {WORK3}
  store ptr %kernel, ptr %work0
  store ptr %args, ptr %work1
  store i64 %total, ptr %work2
  store i64 %chunk, ptr %work3
  store i64 0, ptr %next
  store atomic i32 %workers, ptr %pending release, align 4
  %g = atomicrmw add ptr %state, i32 1 seq_cst
  %asleep = load atomic i32, ptr %sleepers seq_cst, align 4
  %someAsleep = icmp ne i32 %asleep, 0
  br i1 %someAsleep, label %wake, label %start
wake:
  %w = call i64 (i64, ...) @syscall(i64 {FUTEX}, ptr %state, i64 129, i32 2147483647, ptr null, ptr null, i64 0)
  br label %start
start:
  call void @chunks(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk)
  %own = alloca i32
  br label %join
join:
  %left = load atomic i32, ptr %pending acquire, align 4
  %done = icmp eq i32 %left, 0
  br i1 %done, label %leave, label %wait
wait:
  store i32 0, ptr %own
  call void @await_change(ptr %pending, i32 %left, ptr %own)
  br label %join
leave:
  ret i32 %here
}}
"""

_types: dict[str, tuple[object, ...]] = {
    # result, arguments
    "serial": (None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_ssize_t),
    "worker": (None, ctypes.c_void_p, ctypes.c_int32),
    "fork_join": (
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_ssize_t,
        ctypes.c_int32,
    ),
    "run_program": (ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p),
    "run_loop": (ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p),
}  # fmt: skip
_native_functions: dict[str, ctypes._CFuncPtr] = {}  # type: ignore[name-defined]


def _natives() -> dict[str, ctypes._CFuncPtr]:  # type: ignore[name-defined]
    """The native loops; calls through CFUNCTYPE let the interpreter lock go."""
    if not _native_functions:
        found = module()
        addresses = engine.compile(found)
        for name in found.symbols[:-1]:
            result, *types = _types[name]
            prototype = ctypes.CFUNCTYPE(result, *types)  # type: ignore[arg-type]
            _native_functions[name] = engine.callable_at(addresses[name], prototype)
        # keeps the interpreter lock: for programs that are done before it could be given away
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
        _native_functions["run_alone"] = engine.callable_at(addresses["run_alone"], prototype)
    return _native_functions


@functools.cache
def module() -> engine.Module:
    """The native loops as LLVM IR, so that they can be compiled beside the first kernels."""
    text, names = _SERIAL + _program_loop() + _LOOP, ["serial", "run_program", "run_loop"]
    if _NATIVE:
        text, names = _SERIAL + _fork_and_join() + _program_loop() + _LOOP, list(_types)
    return engine.Module(text, (*names, "run_alone"))


def _program_loop(before: str = "", after: str = "") -> str:
    shared = _ALL if _NATIVE else _ALL_SERIAL
    text = _PROGRAM.replace("{ALL}", shared)
    return text.replace("{BEFORE}", before).replace("{AFTER}", after)


@functools.cache
def timed_loop() -> ctypes._CFuncPtr:  # type: ignore[name-defined]
    """The loop of programs that notes the time after each call; made when it is first needed."""
    text = _program_loop(_BEFORE, _AFTER).replace("@run_program", "@run_timed")
    text = f"declare i32 @clock_gettime(i32, ptr)\n{text}"
    # functions of their own, with names of their own: both modules are linked into one process
    parts = _SERIAL + (_fork_and_join() if _NATIVE else "") + text
    for name in ("serial", "worker", "fork_join"):
        parts = parts.replace(f"@{name}(", f"@timed_{name}(")
    address = engine.compile(engine.Module(parts, ("run_timed",)))["run_timed"]
    result, *types = _types["run_program"]
    native: ctypes._CFuncPtr = engine.callable_at(address, ctypes.CFUNCTYPE(result, *types))  # type: ignore[name-defined, arg-type]
    return native


def _fork_and_join() -> str:
    architecture = processors.target().architecture
    return _FORK_AND_JOIN.format(
        NEXT=_NEXT, PENDING=_PENDING, SLEEPERS=_SLEEPERS, WORK=_WORK, WORK1=_WORK + 1,
        WORK2=_WORK + 2, WORK3=_WORK + 3, SPIN=_SPIN, FUTEX=_FUTEX[architecture],
        PAUSE=_PAUSE[architecture], DECLARATION=_PAUSE_DECLARATION[architecture],
    )  # fmt: skip


class _Pool:
    """The workers and the state they share with the caller."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.process = os.getpid()
        self.memory = np.zeros(_WORDS + 8, np.int64)
        address = int(self.memory.ctypes.data)
        self.state = -(-address // 64) * 64
        native = _natives()
        self.fork_join = native["fork_join"]
        self.native_program = native["run_program"]
        self.threads = [
            threading.Thread(
                target=native["worker"], args=(self.state, 0), name=f"tessella-{i}", daemon=True
            )
            for i in range(workers)
        ]
        for thread in self.threads:
            thread.start()
        self.caller_processor = -1
        self.placed_at = 0.0

    def run(self, address: int, args: bytes, total: int, chunk: int) -> None:
        here = self.fork_join(self.state, address, args, total, chunk, self.workers)
        if here != self.caller_processor:
            self._leave_to_caller(here)

    def run_program(self, program: int, native: Any = None) -> int:
        stopped: int = (native or self.native_program)(self.state, self.workers, program)
        here = ctypes.c_int64.from_address(program + 8 * PROCESSOR).value
        if here >= 0 and here != self.caller_processor:
            self._leave_to_caller(here)
        return stopped

    def _leave_to_caller(self, processor: int) -> None:
        """Keep the workers off the caller's processor.

        A scheduler that has just woken a worker may well put it where the caller runs, and leave
        it there for many milliseconds; the two would then take turns instead of working together.
        """
        now = time.monotonic()
        if now - self.placed_at < _PLACE_AT_MOST_EVERY:
            return
        self.placed_at, self.caller_processor = now, processor
        others = os.sched_getaffinity(0) - {processor}
        for thread in self.threads:
            if others and thread.native_id is not None:
                with contextlib.suppress(OSError):  # a sandbox may forbid it: then as it comes
                    os.sched_setaffinity(thread.native_id, others)

    def stop(self) -> None:
        """Let the workers leave their loop, and wait until they have."""
        self.fork_join(self.state, None, b"", 0, 1, 0)
        for thread in self.threads:
            thread.join()


def _running_pool() -> _Pool:
    global _pool
    if _pool is None:
        processors.require_executable()
        _pool = _Pool(count() - 1)
    return _pool


def _stop() -> None:
    global _pool
    if _pool is not None:
        _pool.stop()
        _pool = None


def _forget_after_fork() -> None:
    """The child has no workers: it makes its own when it needs them."""
    global _pool, _lock
    _pool = None
    _lock = threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

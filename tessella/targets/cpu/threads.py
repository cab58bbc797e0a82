"""Fork and join: one piece of work on all processors, in microseconds.

The workers are Python threads that wait inside a native loop, so they need neither the interpreter
nor its lock. To start them, the caller writes what is to be done, and a new generation number. A
worker that is still spinning sees it at once; one that has gone to sleep is woken by the kernel
(`futex`). Everybody, the caller too, then takes chunks by an atomic counter until none is left.

Who takes which chunk is chance, what a chunk is depends on `total` and `chunk` alone: so results
cannot depend on the number of threads.

The workers are one caller's at a time: another one does its work itself. Native code takes them and lets them go,
because a signal may raise an exception between any two steps of Python, behind the taking of a lock too.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from tessella import forking
from tessella.blocks import restoring, undoing
from tessella.devices.table import DONE, LOOP_STOPPED, MAY_STOP, PROCESSOR, SIGNALS, TIMES
from tessella.errors import ConfigurationError
from tessella.targets.cpu import calls, engine, machine, processors
from tessella.targets.cpu.by_hand import spelled_out

VARIABLE = "TESSELLA_NUM_THREADS"
_MOST = 1024

_count: int | None = None
_pool: _Pool | None = None
_lock = forking.lock(threading.Lock)


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
    global _count, _pool
    number = _validated(number, "the number of threads")
    with _lock:
        pool, _pool, _count = _pool, None, number
    if pool is not None:
        pool.stop()


@restoring
def limited(number: int) -> Generator[None, None, None]:
    """Use that many threads inside a `with` block."""
    before = count()
    with undoing(lambda: set_count(before)):
        set_count(number)
        yield


def parallel(address: int, args: bytes, total: int, chunk: int) -> None:
    """Run the kernel at `address` over [0, total) in pieces of `chunk`, on all threads.

    A call from a second Python thread while the workers are busy does all its work itself.
    """
    _workers().run(address, args, total, chunk)


@functools.cache
def quick_runner() -> Callable[[int], int]:
    """What runs a program without shared work, by the address of its head: it keeps the interpreter lock."""
    return calls.question(quick_address(), 1)


def quick_address() -> int:
    """The native function that does so; its argument is where that address is."""
    return engine.compile(module())[_QUICK]


def run_timed(head: int, times: int) -> int:
    """Like `run_program`, and write when the first call began and when each one ended.

    Args:
        times: the address of one `timespec` (seconds and nanoseconds, 8 bytes each) more than there
            are calls; the clock is that of `time.perf_counter_ns`.
    """
    ctypes.c_int64.from_address(head + 8 * TIMES).value = times
    return run_program(head, native=timed_loop())


def run_program(head: int, alone: bool = False, native: Any = None) -> int:
    """Run a table of calls (`tessella.devices.table`); gives 0, or 1 + the number of the step that stopped it.

    Args:
        head: the address of the table's head.
        alone: whether every call runs on the calling thread anyway.
        native: what runs it, if that is another native loop.
    """
    if alone:
        return quick_runner()(head)
    return _workers().run_program(head, native)


def run_loop(table: Any, alone: bool = False) -> int:
    """Run a program many times (`tessella.devices.table`); gives 0 if all turns were taken, and more may follow.

    Args:
        table: a loop, as ctypes words.
        alone: whether every call runs on the calling thread anyway.
    """
    address = ctypes.addressof(table)
    native = _natives()["call_loop"]
    return int(native(None, 0, address)) if alone else _workers().run_program(address, native)


# --- the native loops --------------------------------------------------------------------------------

# Slots of the shared state, in 8-byte words; what different threads write is 64 bytes apart.
_GENERATION, _NEXT, _PENDING, _SLEEPERS, _WORK, _CALLER, _WORDS = 0, 8, 16, 24, 32, 40, 48
_SPIN = 4000  # turns of waiting before sleeping: some tens of microseconds

_PLACE_AT_MOST_EVERY = 1e-3  # seconds

_NATIVE = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
_FUTEX = {"x86_64": 202, "aarch64": 98}
_PAUSE = {"x86_64": "void @llvm.x86.sse2.pause()", "aarch64": "void @llvm.aarch64.hint(i32 1)"}
_PAUSE_DECLARATION = {
    "x86_64": "declare void @llvm.x86.sse2.pause()",
    "aarch64": "declare void @llvm.aarch64.hint(i32)",
}

# Python's handlers of signals run between two lines of Python, and native code may take minutes. So the calling
# thread asks for signals now and then, and stops if one raises an exception, such as KeyboardInterrupt. A look is
# three words on its stack: when to ask next (0: not yet known); the thread as Python knows it, while it has let the
# interpreter lock go (0: it holds it); and three functions of Python's.
_LOOK_EVERY = 50_000_000  # nanoseconds
_LOOK = """
declare i32 @clock_gettime(i32, ptr)

define internal i1 @asked_to_stop(ptr %look) {
entry:
  %clock = alloca [2 x i64]
  %none = icmp eq ptr %look, null
  br i1 %none, label %no, label %time
time:
  call i32 @clock_gettime(i32 {CLOCK}, ptr %clock)
  %seconds = load i64, ptr %clock
  %nanoseconds = word 1 of %clock as i64
  %scaled = mul i64 %seconds, 1000000000
  %now = add i64 %scaled, %nanoseconds
  %due = load i64, ptr %look
  %early = icmp slt i64 %now, %due
  br i1 %early, label %no, label %late
late:
  %next = add i64 %now, {EVERY}
  store i64 %next, ptr %look
  %is.first = icmp eq i64 %due, 0
  br i1 %is.first, label %no, label %ask
ask:
  %thread = word 1 of %look as ptr
  %functions = word 2 of %look as ptr
  %signals = word 2 of %functions as ptr
  %holds = icmp eq ptr %thread, null
  br i1 %holds, label %held, label %free
held:
  %raised.held = call i32 %signals()
  %stop.held = icmp ne i32 %raised.held, 0
  ret i1 %stop.held
free:
  call void @take_lock(ptr %look)
  %raised.free = call i32 %signals()
  call void @let_lock_go(ptr %look)
  %stop.free = icmp ne i32 %raised.free, 0
  ret i1 %stop.free
no:
  ret i1 false
}

define internal ptr @begin_look(ptr %room, ptr %functions) {
  store i64 0, ptr %room
  %thread.place = getelementptr i64, ptr %room, i64 1
  store i64 0, ptr %thread.place
  %functions.place = getelementptr i64, ptr %room, i64 2
  store ptr %functions, ptr %functions.place
  %none = icmp eq ptr %functions, null
  %look = select i1 %none, ptr null, ptr %room
  ret ptr %look
}

define internal void @let_lock_go(ptr %look) {
entry:
  %none = icmp eq ptr %look, null
  br i1 %none, label %done, label %do
do:
  %functions = word 2 of %look as ptr
  %save = load ptr, ptr %functions
  %thread = call ptr %save()
  %thread.place = getelementptr i64, ptr %look, i64 1
  store ptr %thread, ptr %thread.place
  br label %done
done:
  ret void
}

define internal void @take_lock(ptr %look) {
entry:
  %none = icmp eq ptr %look, null
  br i1 %none, label %done, label %do
do:
  %functions = word 2 of %look as ptr
  %restore = word 1 of %functions as ptr
  %thread = word 1 of %look as ptr
  store i64 0, ptr %thread.place
  call void %restore(ptr %thread)
  br label %done
done:
  ret void
}
"""

# What Python calls: it holds the interpreter lock, and lets it go meanwhile.
_ENTRIES = """
define void @call_serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %functions) {
  %room = alloca [3 x i64]
  %look = call ptr @begin_look(ptr %room, ptr %functions)
  call void @let_lock_go(ptr %look)
  %stopped = call i1 @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %look)
  call void @take_lock(ptr %look)
  ret void
}

define i64 @call_loop(ptr %state, i32 %workers, ptr %loop) {
  %body = load ptr, ptr %loop
  %functions = word {PYTHON} of %body as ptr
  %room = alloca [3 x i64]
  %look = call ptr @begin_look(ptr %room, ptr %functions)
  call void @let_lock_go(ptr %look)
  %own = call i32 @take_workers(ptr %state, i32 %workers)
  %result = call i64 @run_loop(ptr %state, i32 %own, ptr %loop, ptr %look)
  call void @let_workers_go(ptr %state, i32 %own)
  call void @take_lock(ptr %look)
  ret i64 %result
}
"""
_PROGRAM_ENTRY = """
define i64 @{OWN}call_program(ptr %state, i32 %workers, ptr %program) {
  %functions = word {PYTHON} of %program as ptr
  %room = alloca [3 x i64]
  %look = call ptr @begin_look(ptr %room, ptr %functions)
  %here.place = getelementptr i64, ptr %program, i64 {HERE}
  store i64 -1, ptr %here.place
  call void @let_lock_go(ptr %look)
  %own = call i32 @take_workers(ptr %state, i32 %workers)
  %result = call i64 @run_program(ptr %state, i32 %own, ptr %program, ptr %look)
  call void @let_workers_go(ptr %state, i32 %own)
  call void @take_lock(ptr %look)
  ret i64 %result
}

define i64 @{OWN}run_alone(ptr %arguments) {
  %program = load ptr, ptr %arguments
  %functions = word {PYTHON} of %program as ptr
  %room = alloca [3 x i64]
  %look = call ptr @begin_look(ptr %room, ptr %functions)
  %result = call i64 @run_program(ptr null, i32 0, ptr %program, ptr %look)
  ret i64 %result
}
"""
_FORK_ENTRIES = """
define i32 @call_fork_join(
    ptr %state, i32 %workers, ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %functions
) {
entry:
  %room = alloca [3 x i64]
  %look = call ptr @begin_look(ptr %room, ptr %functions)
  call void @let_lock_go(ptr %look)
  %own = call i32 @take_workers(ptr %state, i32 %workers)
  %some = icmp ne i32 %own, 0
  br i1 %some, label %all, label %one
all:
  %here = call i32 @fork_join(
    ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, i32 %own, ptr %look
  )
  call void @let_workers_go(ptr %state, i32 %own)
  br label %done
one:
  %stopped = call i1 @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %look)
  br label %done
done:
  %seen = phi i32 [ %here, %all ], [ -1, %one ]
  call void @take_lock(ptr %look)
  ret i32 %seen
}

define i32 @dismiss(ptr %state) {
entry:
  %caller = getelementptr i64, ptr %state, i64 {CALLER}
  %before = atomicrmw xchg ptr %caller, i32 2 acq_rel
  %idle = icmp eq i32 %before, 0
  br i1 %idle, label %home, label %busy
home:
  call void @send_home(ptr %state)
  ret i32 1
busy:
  ret i32 0
}
"""

# Whose the workers are: nobody's (0), some caller's (1), or nobody's any more (2): then they go home, at once or when
# the caller who has them is done.
_TAKING = """
define internal i32 @take_workers(ptr %state, i32 %workers) {
entry:
  %none = icmp eq i32 %workers, 0
  br i1 %none, label %alone, label %ask
ask:
  %caller = getelementptr i64, ptr %state, i64 {CALLER}
  %seen = cmpxchg ptr %caller, i32 0, i32 1 acq_rel monotonic
  %taken = extractvalue { i32, i1 } %seen, 1
  br i1 %taken, label %all, label %alone
all:
  ret i32 %workers
alone:
  ret i32 0
}

define internal void @let_workers_go(ptr %state, i32 %workers) {
entry:
  %none = icmp eq i32 %workers, 0
  br i1 %none, label %done, label %give
give:
  %caller = getelementptr i64, ptr %state, i64 {CALLER}
  %seen = cmpxchg ptr %caller, i32 1, i32 0 acq_rel monotonic
  %given = extractvalue { i32, i1 } %seen, 1
  br i1 %given, label %done, label %dismissed
dismissed:
  call void @send_home(ptr %state)
  br label %done
done:
  ret void
}

define internal void @send_home(ptr %state) {
  %work = getelementptr i64, ptr %state, i64 {WORK}
  store ptr null, ptr %work
  %generation = atomicrmw add ptr %state, i32 1 seq_cst
  %woken = call i64 (i64, ...) @syscall(
    i64 {FUTEX}, ptr %state, i64 129, i32 2147483647, ptr null, ptr null, i64 0
  )
  ret void
}
"""
_TAKING_NONE = """
define internal i32 @take_workers(ptr %state, i32 %workers) {
  ret i32 0
}

define internal void @let_workers_go(ptr %state, i32 %workers) {
  ret void
}
"""

_SERIAL = """
define internal i1 @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %look) {
entry:
  br label %head
head:
  %begin = phi i64 [ 0, %entry ], [ %reach, %body ]
  %some = icmp slt i64 %begin, %total
  br i1 %some, label %ask, label %done
ask:
  %stop = call i1 @asked_to_stop(ptr %look)
  br i1 %stop, label %stopped, label %body
stopped:
  ret i1 true
body:
  %reach = add i64 %begin, %chunk
  %past = icmp sgt i64 %reach, %total
  %end = select i1 %past, i64 %total, i64 %reach
  call void %kernel(ptr %args, i64 %begin, i64 %end)
  br label %head
done:
  ret i1 false
}
"""

# What runs a program, see `tessella.devices.table` for its words. Of a program that is timed see `timed_loop`.
_PROGRAM = """
define internal i64 @run_program(ptr %state, i32 %workers, ptr %program, ptr %look) {
entry:
  %may = word {MAY_STOP} of %program as i64
  %done.place = getelementptr i64, ptr %program, i64 {DONE}
  store i64 0, ptr %done.place
  %steps = load ptr, ptr %program
  %count = word 1 of %program as i64
  %patches = word 2 of %program as ptr
  %patch.count = word 3 of %program as i64
  %slots = word 4 of %program as ptr
  %here.place = getelementptr i64, ptr %program, i64 5
{BEFORE}
  br label %patch
patch:
  %p = phi i64 [ 0, %entry ], [ %p.next, %patch.body ]
  %patch.more = icmp slt i64 %p, %patch.count
  br i1 %patch.more, label %patch.body, label %step
patch.body:
  %patch.index = mul i64 %p, 3
  %target = word %patch.index of %patches as ptr
  %slot = word 1 of %target.place as i64
  %offset = word 2 of %target.place as i64
  %base = word %slot of %slots as i64
  %address = add i64 %base, %offset
  store i64 %address, ptr %target
  %p.next = add i64 %p, 1
  br label %patch
step:
  %i = phi i64 [ 0, %patch ], [ %i.next, %step.end ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look.at, label %done
look.at:
  %stoppable = icmp slt i64 %i, %may
  %looking = select i1 %stoppable, ptr %look, ptr null
  %eighth = and i64 %i, 7
  %asks = icmp eq i64 %eighth, 7
  br i1 %asks, label %ask, label %step.begin
ask:
  %asked = call i1 @asked_to_stop(ptr %looking)
  br i1 %asked, label %end, label %step.begin
end:
  ret i64 -1
step.begin:
  %step.index = mul i64 %i, 4
  %kernel = word %step.index of %steps as ptr
  %args = word 1 of %kernel.place as ptr
  %total = word 2 of %kernel.place as i64
  %chunk = word 3 of %kernel.place as i64
  %i.next = add i64 %i, 1
  %is.check = icmp eq ptr %kernel, null
  br i1 %is.check, label %check, label %call
check:
  %is.loop = icmp ne i64 %chunk, 0
  br i1 %is.loop, label %loop, label %check.flag
loop:
  %looped = call i64 @run_loop(ptr %state, i32 %workers, ptr %args, ptr %looking)
  %loop.ended = icmp slt i64 %looped, 0
  br i1 %loop.ended, label %end, label %loop.stopped
loop.stopped:
  %loop.stopped.place = getelementptr i64, ptr %args, i64 {LOOP_STOPPED}
  %loop.stop = load i64, ptr %loop.stopped.place
  %loop.wrong = icmp ne i64 %loop.stop, 0
  br i1 %loop.wrong, label %stop, label %step.end
check.flag:
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
  %ended = call i1 @serial(ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %looking)
  br i1 %ended, label %end, label %step.end
all:
{ALL}
step.end:
{AFTER}
  br label %step
stop:
  ret i64 %i.next
done:
  store i64 1, ptr %done.place
  ret i64 0
}
"""
_LOOP = """
define internal i64 @run_loop(ptr %state, i32 %workers, ptr %loop, ptr %look) {
entry:
  %body = load ptr, ptr %loop
  %turns = word 1 of %loop as i64
  %count = word 2 of %loop as i64
  %moves = word 3 of %loop as ptr
  %condition = word 4 of %loop as ptr
  %flag = word 6 of %loop as ptr
  %stopped.place = getelementptr i64, ptr %loop, i64 {LOOP_STOPPED}
  store i64 0, ptr %stopped.place
  %asks = icmp ne ptr %condition, null
  br label %head
head:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %moved ]
  %more = icmp slt i64 %turn, %turns
  br i1 %more, label %look.at, label %used
look.at:
  %eighth = and i64 %turn, 7
  %looks = icmp eq i64 %eighth, 7
  br i1 %looks, label %look.now, label %begin
look.now:
  %stop = call i1 @asked_to_stop(ptr %look)
  br i1 %stop, label %end, label %begin
begin:
  br i1 %asks, label %ask, label %do
ask:
  %asked = call i64 @run_program(ptr %state, i32 %workers, ptr %condition, ptr %look)
  %ask.stopped = icmp ne i64 %asked, 0
  br i1 %ask.stopped, label %ask.stop, label %answer
answer:
  %said = load i8, ptr %flag
  %yes = icmp ne i8 %said, 0
  br i1 %yes, label %do, label %done
do:
  %did = call i64 @run_program(ptr %state, i32 %workers, ptr %body, ptr %look)
  %do.stopped = icmp ne i64 %did, 0
  br i1 %do.stopped, label %do.stop, label %move
move:
  %m = phi i64 [ 0, %do ], [ %m.next, %move.body ]
  %move.more = icmp slt i64 %m, %count
  br i1 %move.more, label %move.body, label %moved
move.body:
  %m.index = mul i64 %m, 2
  %slot = word %m.index of %moves as ptr
  %distance = word 1 of %slot.place as i64
  %before = load i64, ptr %slot
  %after = add i64 %before, %distance
  store i64 %after, ptr %slot
  %m.next = add i64 %m, 1
  br label %move
moved:
  %turn.next = add i64 %turn, 1
  br label %head
ask.stop:
  %negative = sub i64 0, %asked
  br label %note
do.stop:
  br label %note
note:
  %by = phi i64 [ %asked, %ask.stop ], [ %did, %do.stop ]
  %noted = phi i64 [ %negative, %ask.stop ], [ %did, %do.stop ]
  store i64 %noted, ptr %stopped.place
  %ended = icmp slt i64 %by, 0
  br i1 %ended, label %end, label %done
end:
  ret i64 -1
done:
  ret i64 1
used:
  ret i64 0
}
"""
_ALL = """  %here = call i32 @fork_join(
    ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, i32 %workers, ptr %looking
  )
  %gone = icmp slt i32 %here, 0
  br i1 %gone, label %end, label %was.here
was.here:
  %here.wide = sext i32 %here to i64
  store i64 %here.wide, ptr %here.place
  br label %step.end"""
_BEFORE = f"""  %times = word {TIMES} of %program as ptr
  call i32 @clock_gettime(i32 {getattr(time, "CLOCK_MONOTONIC", 1)}, ptr %times)"""
_AFTER = f"""  %time.place = getelementptr [2 x i64], ptr %times, i64 %i.next
  call i32 @clock_gettime(i32 {getattr(time, "CLOCK_MONOTONIC", 1)}, ptr %time.place)"""
_ALL_SERIAL = "  br label %one"

_FORK_AND_JOIN = """
declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()
{DECLARATION}

define internal i1 @chunks(
    ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %look
) {
entry:
  %next = getelementptr i64, ptr %state, i64 {NEXT}
  br label %ask
ask:
  %stop = call i1 @asked_to_stop(ptr %look)
  br i1 %stop, label %stopped, label %take
stopped:
  store atomic i64 %total, ptr %next release, align 8
  ret i1 true
take:
  %begin = atomicrmw add ptr %next, i64 %chunk acq_rel
  %some = icmp slt i64 %begin, %total
  br i1 %some, label %work, label %done
work:
  %reach = add i64 %begin, %chunk
  %past = icmp sgt i64 %reach, %total
  %end = select i1 %past, i64 %total, i64 %reach
  call void %kernel(ptr %args, i64 %begin, i64 %end)
  br label %ask
done:
  ret i1 false
}

define internal void @await_change(ptr %word, i32 %old, ptr %sleepers) {
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
}

define void @{OWN}worker(ptr %state, i32 %first) {
entry:
  %pending = getelementptr i64, ptr %state, i64 {PENDING}
  %sleepers = getelementptr i64, ptr %state, i64 {SLEEPERS}
  br label %wait
wait:
  %old = phi i32 [ %first, %entry ], [ %now, %finished ], [ %now, %last ]
  call void @await_change(ptr %state, i32 %old, ptr %sleepers)
  %now = load atomic i32, ptr %state acquire, align 4
  %kernel = word {WORK} of %state as ptr
  %stop = icmp eq ptr %kernel, null
  br i1 %stop, label %leave, label %run
run:
  %args = word {WORK1} of %state as ptr
  %total = word {WORK2} of %state as i64
  %chunk = word {WORK3} of %state as i64
  %none = call i1 @chunks(ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr null)
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
}

define internal i32 @fork_join(
    ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, i32 %workers, ptr %look
) {
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
  %stopped = call i1 @chunks(
    ptr %state, ptr %kernel, ptr %args, i64 %total, i64 %chunk, ptr %look
  )
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
  %found = select i1 %stopped, i32 -1, i32 %here
  ret i32 %found
}
"""

_types: dict[str, tuple[Any, ...]] = {
    # how it is called, result, arguments
    "call_serial": (
        ctypes.PYFUNCTYPE, None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_ssize_t,
        ctypes.c_void_p,
    ),
    "call_program": (
        ctypes.PYFUNCTYPE, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p
    ),
    "call_loop": (
        ctypes.PYFUNCTYPE, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p
    ),
}  # fmt: skip
_types_of_pools: dict[str, tuple[Any, ...]] = {
    "worker": (ctypes.CFUNCTYPE, None, ctypes.c_void_p, ctypes.c_int32),
    "call_fork_join": (
        ctypes.PYFUNCTYPE, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p,
        ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p,
    ),
    "dismiss": (ctypes.PYFUNCTYPE, ctypes.c_int32, ctypes.c_void_p),
}  # fmt: skip
_QUICK = "run_alone"  # called by `calls`
_native_functions: dict[str, Any] = {}


def _natives() -> dict[str, Any]:
    """The native loops; they let the interpreter lock go themselves."""
    if not _native_functions:
        found = module()
        addresses = engine.compile(found)
        known = {**_types, **_types_of_pools} if _NATIVE else _types
        _native_functions.update({name: _function(addresses[name], *known[name]) for name in known})
    return _native_functions


def _function(address: int, prototype: Any, result: Any, *types: Any) -> Any:
    """A native function; where Python's functions are not to be had, ctypes lets the lock go."""
    if prototype is ctypes.PYFUNCTYPE and not python_functions():
        prototype = ctypes.CFUNCTYPE
    return engine.callable_at(address, prototype(result, *types))


@functools.cache
def python_functions() -> int:
    """The address of three functions of Python's, for native code that looks for signals; 0 for none.

    They let the interpreter lock go, take it again, and run the handlers of signals that have arrived.
    """
    if sys.implementation.name != "cpython" or sys.platform != "linux":
        return 0
    names = "PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals"
    functions = [ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p) for name in names]
    table = (ctypes.c_void_p * len(names))(*functions)
    _kept.append(table)
    return ctypes.addressof(table)


_kept: list[Any] = []  # what native code points at


@functools.cache
def module() -> engine.LLVMModule:
    """The native loops as LLVM IR, so that they can be compiled beside the first kernels."""
    entries, names = _ENTRIES, (*_types, _QUICK)
    if _NATIVE:
        entries, names = entries + _FORK_ENTRIES, (*names, *_types_of_pools)
    return engine.LLVMModule(_text(entries), names)


@functools.cache
def timed_loop() -> Any:
    """The loop of programs that notes the time after each call; made when it is first needed."""
    # names of its own: both modules are linked into one process
    text = _text(OWN="timed_", BEFORE=_BEFORE, AFTER=_AFTER)
    address = engine.compile(engine.LLVMModule(text, ("timed_call_program",)))["timed_call_program"]
    return _function(address, *_types["call_program"])


def _text(entries: str = "", **parts: str) -> str:
    """What runs work and programs, and what Python calls for that."""
    text, words = (
        _LOOK + _SERIAL + _PROGRAM + _LOOP + _PROGRAM_ENTRY + entries,
        dict(_WORDS_OF_TABLES),
    )
    if _NATIVE:
        architecture = processors.target().architecture
        text, words["ALL"] = text + _FORK_AND_JOIN + _TAKING, _ALL
        words["FUTEX"], words["PAUSE"] = _FUTEX[architecture], _PAUSE[architecture]
        words["DECLARATION"] = _PAUSE_DECLARATION[architecture]
    else:
        text, words["ALL"] = text + _TAKING_NONE, _ALL_SERIAL
    return spelled_out(text, **{"OWN": "", "BEFORE": "", "AFTER": "", **parts, **words})


_WORDS_OF_TABLES: dict[str, object] = {
    "PYTHON": SIGNALS, "HERE": PROCESSOR, "MAY_STOP": MAY_STOP, "DONE": DONE, "LOOP_STOPPED": LOOP_STOPPED,
    "NEXT": _NEXT, "PENDING": _PENDING, "SLEEPERS": _SLEEPERS, "CALLER": _CALLER,
    "WORK": _WORK, "WORK1": _WORK + 1, "WORK2": _WORK + 2, "WORK3": _WORK + 3, "SPIN": _SPIN,
    "CLOCK": 6, "EVERY": _LOOK_EVERY,  # the coarse clock of Linux, which takes a few nanoseconds
}  # fmt: skip


class _Pool:
    """The workers, of whom there may be none, and the state that they share with the caller."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # Never given back: the workers look at it until the process has gone. Nobody stops them then: a
        # thread that must not hold up the end of the process may be waiting for them.
        memory = np.zeros(_WORDS + 8, np.int64)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        self.state = -(-int(memory.ctypes.data) // 64) * 64
        self.native = native = _natives()
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
        if not self.workers or total <= chunk:
            self.native["call_serial"](address, args, total, chunk, python_functions())
            return
        work = address, args, total, chunk
        here = self.native["call_fork_join"](self.state, self.workers, *work, python_functions())
        self._leave_to_caller(here)

    def run_program(self, program: int, native: Any) -> int:
        call = native or self.native["call_program"]
        stopped: int = call(self.state, self.workers, program)
        self._leave_to_caller(ctypes.c_int64.from_address(program + 8 * PROCESSOR).value)
        return stopped

    def _leave_to_caller(self, processor: int) -> None:
        """Keep the workers off the caller's processor.

        A scheduler that has just woken a worker may well put it where the caller runs, and leave
        it there for many milliseconds; the two would then take turns instead of working together.
        """
        if processor in (-1, self.caller_processor):  # -1: the workers had nothing to do
            return
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
        """Let the workers leave their loop, and wait until they have if nobody is using them."""
        if self.workers and self.native["dismiss"](self.state):
            for thread in self.threads:
                thread.join()


def _workers() -> _Pool:
    global _pool
    found = _pool
    if found is None:
        with _lock:
            found = _pool
            if found is None:
                processors.require_executable()
                found = _pool = _Pool(count() - 1 if _NATIVE else 0)
    return found


def _forget_the_pool() -> None:
    """A child has no workers: it makes its own when it needs them."""
    global _pool
    _pool = None


forking.in_child(_forget_the_pool)

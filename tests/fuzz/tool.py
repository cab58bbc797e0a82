"""The fuzzer: calls of everything that is public, in processes with limits, and what came of them.

Each process makes the calls of a range of numbers. If it dies, the call it was at is a finding, and another process
goes on with the next one.
"""

import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fuzz import values
from tests.fuzz.calls import Call, make_call
from tests.fuzz.judge import ARITY, CRASH, FINDINGS, HANG
from tests.fuzz.targets import Target, all_targets

ROOT = pathlib.Path(__file__).parents[2]
WAIT = 120.0  # seconds of silence after which a process is taken to wait for ever


@dataclass(frozen=True)
class Finding:
    """A call of which something came that must not.

    Args:
        number: of the call, with which it can be made again.
        kind: one of `judge.FINDINGS`, or ARITY.
        detail: in words.
        call: what was called.
    """

    number: int
    kind: str
    detail: str
    call: Call

    @property
    def program(self) -> str:
        """One line that shows it."""
        return f"{values.PRELUDE}; print({self.call.text})"


@dataclass
class Report:
    """What came of all the calls."""

    calls: int = 0
    targets: int = 0
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    findings: list[Finding] = field(default_factory=list)
    arity: list[Finding] = field(default_factory=list)

    def table(self) -> str:
        """A summary, one line a kind."""
        lines = [f"{self.calls} calls of {self.targets} callables"]
        kinds = [*sorted(self.counts.keys() - {*FINDINGS, ARITY}), ARITY, *FINDINGS]
        lines += [f"  {kind:<15} {self.counts[kind]:>8}" for kind in kinds]
        return "\n".join(lines)

    def shown(self, most: int = 50) -> str:
        """The findings, one for each kind, place and callable."""
        unlike: dict[tuple[str, str, str], Finding] = {}
        for finding in sorted(self.findings, key=lambda f: len(f.program)):
            place = finding.detail.rpartition("[")[2] or finding.detail
            unlike.setdefault((finding.kind, place, finding.call.target.expression), finding)
        lines = [f"{f.kind} #{f.number}: {f.detail}\n    {f.program}" for f in unlike.values()]
        rest = [f"... and {len(lines) - most} more"] if len(lines) > most else []
        return "\n".join([*lines[:most], *rest])


def targets_in(rooms: str) -> list[Target]:
    """The targets of rooms, which are separated by commas; all of them if it is empty."""
    wanted = rooms.split(",") if rooms else None
    return [target for target in all_targets() if wanted is None or target.room in wanted]


def fuzz(calls: int, seed: int = 0, rooms: str = "", first: int = 0, processes: int = 2) -> Report:
    """Make calls, and report what came of them.

    Args:
        calls: how many.
        seed: of the arguments; the same one makes the same calls.
        rooms: which parts of the package, separated by commas; all if empty.
        first: the number of the first call.
        processes: how many at a time.
    """
    targets = targets_in(rooms)
    report = Report(calls, len(targets))
    share = min(2000, -(-calls // processes))
    ranges = [(n, min(n + share, first + calls)) for n in range(first, first + calls, share)]
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        for found in pool.map(lambda ends: list(_run(seed, *ends, rooms)), ranges):
            for number, kind, detail in found:
                report.counts[kind] += 1
                if kind in FINDINGS or kind == ARITY:
                    call = make_call(targets, seed, number)
                    place = report.arity if kind == ARITY else report.findings
                    place.append(Finding(number, kind, detail, call))
    return report


def _run(seed: int, first: int, last: int, rooms: str) -> Iterator[tuple[int, str, str]]:
    """What came of the calls of some numbers; as many processes as it takes."""
    while first < last:
        for number, kind, detail in _process(seed, first, last, rooms):
            yield number, kind, detail
            first = number + 1


def _process(seed: int, first: int, last: int, rooms: str) -> Iterator[tuple[int, str, str]]:
    """One process: all the calls, or those up to the one that ended it."""
    command = [sys.executable, "-m", "tests.fuzz.worker", str(seed), str(first), str(last), rooms]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": folder, "PYTHONHASHSEED": "0"}
        environment["TESSELLA_TRACEBACK"] = "full"  # the judge looks at our frames
        made = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment
        )
        with made:
            number = first
            for line in _lines(made):
                if line == "ready":
                    continue
                told = json.loads(line)
                yield told[0], told[1], told[2]
                number = told[0] + 1
            code = made.wait()
            if number < last:
                yield number, *_death(code, made.stderr.read().decode() if made.stderr else "")


def _lines(made: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a process writes, until it ends or is silent for too long."""
    rest = b""
    output = made.stdout.fileno()
    while True:
        ready, _, _ = select.select([output], [], [], WAIT)
        if not ready:
            made.kill()
            return
        new = os.read(output, 65536)
        if not new:
            return
        *lines, rest = (rest + new).split(b"\n")
        yield from (line.decode() for line in lines)


def _death(code: int, said: str) -> tuple[str, str]:
    """What it means that a process ended with a code."""
    if code == 1 and said:
        raise RuntimeError(f"the process of the fuzzer failed:\n{said}")
    if code in (-signal.SIGPROF, -signal.SIGKILL):
        return HANG, "no answer in time"
    name = ""
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
    return CRASH, f"the process ended with {code} {name}".rstrip()


def timed(calls: int, **how: object) -> tuple[Report, float]:
    """A report, and the seconds it took."""
    begin = time.perf_counter()
    report = fuzz(calls, **how)  # type: ignore[arg-type]
    return report, time.perf_counter() - begin

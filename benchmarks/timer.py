"""The one timer of all benchmarks: contenders take turns, medians are compared.

Each round gives every contender one block of calls, long enough to be timed well, after a call that
is not counted (for the caches) and a pause: the threads of OpenBLAS and OpenMP go on spinning for
a tenth of a second after their work, and on two cores that would double the next contender's time.
The machine's noise then falls on all alike, and the median of the rounds forgets most of it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

BLOCK = 0.02  # seconds of one block of calls, at least
PAUSE = 0.25
ROUNDS = 11


@dataclass
class Measurement:
    """Seconds per call, one for each round."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        first, _, third = statistics.quantiles(self.seconds, n=4)
        return (third - first) / 2 / self.median


def compare(
    contenders: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, block: float = BLOCK,
    pause: float = PAUSE, tries: int = 1, clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measurement]:  # fmt: skip
    """Time functions of no arguments against each other, in turns.

    Args:
        tries: how many blocks there are in a round, of which the quickest counts, unless they are of one long call;
            for short blocks, on a busy machine.
        clock: `time.thread_time`, for work of one thread, counts what others do on the machine for nothing.
    """
    calls = {name: _calls_for(function, block, clock) for name, function in contenders.items()}
    found = {name: Measurement() for name in contenders}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in contenders.items():
                found[name].seconds.append(_block(function, calls[name], pause, tries, clock))
    finally:
        gc.enable()
    return found


def _block(
    function: Callable[[], object], calls: int, pause: float, tries: int, clock: Callable[[], float]
) -> float:
    time.sleep(pause)
    function()
    return min(_seconds(function, calls, clock) for _ in range(tries if calls > 1 else 1)) / calls


def _seconds(function: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        function()
    return clock() - start


def _calls_for(function: Callable[[], object], block: float, clock: Callable[[], float]) -> int:
    function()
    calls = 1
    while True:
        elapsed = _seconds(function, calls, clock)
        if elapsed > block / 4:
            return max(1, round(calls * block / elapsed))
        calls *= 4


def readable(seconds: float) -> str:
    """A time with three digits and a unit.

    >>> readable(0.00123), readable(4.2e-6)
    ('1.23 ms', '4.20 µs')
    """
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    factor, unit = next((pair for pair in units if seconds >= pair[0]), units[-1])
    value = seconds / factor
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"

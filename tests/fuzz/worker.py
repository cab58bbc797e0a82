"""The process that makes calls: under limits of memory and time, one line about each.

A limit of processor time for each call ends the process whatever it is doing, in native code too, so that a loaded
machine makes nothing a hang; who only waits is ended by the parent.
"""

import fcntl
import json
import os
import resource
import signal
import sys
import warnings

MEMORY = 6 * 2**30
SECONDS = 20.0  # of processor time, for one call


def main(seed: int, first: int, last: int, rooms: str) -> None:
    """Make the calls of some numbers; say of each, when it is over, what came of it."""
    told = fcntl.fcntl(1, fcntl.F_DUPFD, 200)  # no number that a call is likely to be given
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")

    import tessella as ts
    from tests.fuzz.calls import make_call
    from tests.fuzz.judge import judge
    from tests.fuzz.targets import import_all
    from tests.fuzz.tool import targets_in

    import_all()
    targets = targets_in(rooms)
    os.write(told, b"ready\n")
    for number in range(first, last):
        call = make_call(targets, seed, number)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        verdict = judge(call)
        signal.setitimer(signal.ITIMER_PROF, 0)
        ts.manual_seed(0)
        line = json.dumps([number, verdict.kind, verdict.detail])
        os.write(told, line.encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

"""Kill a run at random moments, start it again, and hold what it measured against a run that nobody killed.

`python -m tests.train.kill --times 50`
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.train.small_run import STEPS

ROOT = Path(__file__).parents[2]
KINDS = ("plain", "halves", "workers")


def lines(folder: str | Path) -> list[str]:
    """What was measured, without the times."""
    text = (Path(folder) / "metrics.jsonl").read_text()
    found = [json.loads(row) for row in text.splitlines()]
    return [json.dumps({n: x for n, x in line.items() if n != "time"}) for line in found]


def start(folder: str | Path, kind: str) -> subprocess.Popen[bytes]:
    """Begin the run, or go on with it, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.train.small_run", str(folder), kind]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def whole(folder: str | Path, kind: str) -> None:
    """Let it come to its end."""
    process = start(folder, kind)
    process.communicate()
    assert process.returncode == 0


def kill_until_done(folder: str | Path, kind: str, times: int, moments: random.Random) -> int:
    """Kill it so many times, at most, and let it come to its end; how often it was killed."""
    for killed in range(times):
        process = start(folder, kind)
        if not _wait(process, moments):
            process.communicate()
            assert process.returncode == 0
            return killed
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    whole(folder, kind)
    return times


def _wait(process: subprocess.Popen[bytes], moments: random.Random) -> bool:
    """Wait for a random moment: until a few steps have been done, and a little more; whether it came to that."""
    assert process.stdout is not None
    for _ in range(moments.randrange(STEPS // 2)):
        if not process.stdout.readline():
            return False
    time.sleep(moments.random() * 0.006)  # a step, or a checkpoint, takes less
    return process.poll() is None


def main() -> None:
    """Do it, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            whole(f"{folder}/whole", kind)
            done, rounds, moments = 0, 0, random.Random(options.seed)
            while done < options.times:
                name = f"{folder}/{rounds}"
                done += kill_until_done(name, kind, options.times - done, moments)
                assert lines(name) == lines(f"{folder}/whole"), f"round {rounds} differs"
                rounds += 1
        print(
            f"{kind}: killed {done} times in {rounds} runs; every line is that of the unbroken run"
        )


if __name__ == "__main__":
    main()

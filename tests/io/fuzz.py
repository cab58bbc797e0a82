"""Damaged files of every format: each is read, or refused in our own words, and nothing else.

`python -m tests.io.fuzz --files 20000 --seed 1` tries as many files of each format, in processes of its own: what kills
one is told, with the file that did. `--format NAME` takes one alone.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import OutOfMemoryError, TessellaError
from tessella.tensors.tensor import Tensor
from tests.io.formats import FORMATS, Format
from tests.io.mutations import blind

SECONDS = 10  # for one file, which takes milliseconds
FACTOR, BASE = 40, 1 << 22  # how much memory a file may take, by its size, and whatever its size
ROOM = 4 << 30  # of addresses that a process may have


class HangError(BaseException):
    """Reading took too long. (No file reader catches it by catching exceptions.)"""


def mutant(form: Format, seed: int, number: int) -> bytes:
    """The damaged file of a number: the same whenever it is asked for."""
    chance = random.Random(f"{seed} {form.name} {number}")
    content = chance.choice(form.samples())
    aware = form.mutators and chance.random() < 0.6
    mutate = chance.choice(form.mutators) if aware else blind
    return mutate(content, chance)


def judged(form: Format, content: bytes, folder: Path) -> tuple[str, str]:
    """What came of reading a file: "read" or "refused", or "wrong" and why."""
    place = folder / f"mutant{form.suffix}"
    place.unlink(missing_ok=True)  # what is mapped still stays as it was
    place.write_bytes(content)
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        looked_at(form.read(place))
        found = "read", ""
    except OutOfMemoryError as error:
        found = "wrong", f"memory was asked for before the file was looked at: {error}"
    except (TessellaError, OSError) as error:
        found = "refused", f"{type(error).__name__}: {error}"
    except (Exception, HangError) as error:  # whatever a reader lets through
        found = "wrong", f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if peak > FACTOR * len(content) + BASE:
        return "wrong", f"{peak} bytes of memory for a file of {len(content)}"
    return found


def _hang(*_: Any) -> None:
    raise HangError(f"reading took more than {SECONDS} s")


def looked_at(tree: Any) -> None:
    """Look at every element of what was read: it has to be there."""
    if isinstance(tree, dict):
        for key, item in tree.items():
            hash(key)
            looked_at(item)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            looked_at(item)
    elif isinstance(tree, (Tensor, np.ndarray)):
        array = tree.numpy() if isinstance(tree, Tensor) else tree
        np.ascontiguousarray(array).reshape(-1).view(np.uint8).sum()


def tried(
    form: Format, seed: int, first: int, count: int, folder: Path
) -> Iterator[tuple[int, str, str]]:
    """The numbers of damaged files, and what came of each."""
    for (
        content
    ) in form.samples():  # what is imported and compiled for the first file is no file's memory
        place = folder / f"sample{form.suffix}"
        place.write_bytes(content)
        looked_at(form.read(place))
    for number in range(first, first + count):
        (folder / "number").write_text(str(number))
        yield number, *judged(form, mutant(form, seed, number), folder)


# --- the command ----------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.io.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="how many of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=[form.name for form in FORMATS], action="append")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--in", dest="folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    forms = [form for form in FORMATS if options.format is None or form.name in options.format]
    if options.folder:
        return _child(forms[0], options)
    return max([_parent(form, options) for form in forms])


def _child(form: Format, options: argparse.Namespace) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    counts: Counter[str] = Counter()
    for number, found, why in tried(
        form, options.seed, options.first, options.files, Path(options.folder)
    ):
        counts[found] += 1
        if found == "wrong":
            print(f"{form.name} {number}: {why}", flush=True)
    print(f"{form.name}: {dict(counts)}", flush=True)
    return int(counts["wrong"] > 0)


def _parent(form: Format, options: argparse.Namespace) -> int:
    """Files in a process of their own, and in another one behind each that kills it."""
    first, last, worst = options.first, options.first + options.files, 0
    with tempfile.TemporaryDirectory() as folder:
        while first < last:
            command = [sys.executable, "-X", "faulthandler", "-m", "tests.io.fuzz", "--format", form.name, "--seed", str(options.seed), "--first", str(first), "--files", str(last - first), "--in", folder]  # fmt: skip
            code = subprocess.run(command, check=False).returncode
            worst = max(worst, abs(code))
            if code in (0, 1):
                break
            number = int(Path(folder, "number").read_text())
            kept = Path(tempfile.gettempdir(), f"tessella-fuzz-{form.name}-{number}{form.suffix}")
            shutil.copy(Path(folder, f"mutant{form.suffix}"), kept)
            print(f"{form.name} {number}: the process ended with {code}; the file is {kept}")
            first = number + 1
    return min(worst, 1)


if __name__ == "__main__":
    sys.exit(main())

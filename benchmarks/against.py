"""Two commits of Tessella side by side: `python benchmarks/against.py COMMIT [WORK ...]`.

Each work runs in pairs of processes, one with the Tessella of COMMIT and one with the working tree's (or
that of another commit, `--with`), which take turns. Two processes of the same code differ by a per cent or two, because
their memory lies otherwise; so there are several pairs, and a difference counts where nearly all pairs agree on
its sign.

    python benchmarks/against.py --list              # the works
    python benchmarks/against.py HEAD~1 mlp add      # what the last commit did to these
    python benchmarks/against.py v1 --with v2        # everything but the suites, two commits
    python benchmarks/against.py v1 large products   # the works of two suites of run.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import RESULTS, ROOT, facts
from rich.console import Console
from rich.table import Table
from timer import readable
from works.core import WORKS

WORKER = Path(__file__).parent / "works" / "core.py"
TURNS = 15  # of each process of a pair
CHANCE = 0.02  # that equal commits are told apart
FEWEST = 5  # pairs for a verdict: if they are equal, all pairs agree one time in sixteen
Pair = tuple[list[float], list[float]]


class Failed(Exception):
    """A work that one of the commits cannot do."""


@dataclass(frozen=True)
class Contender:
    """One Tessella: what it is called, where its files are, and its own cache of kernels."""

    name: str
    tree: Path
    cache: Path


@dataclass
class Comparison:
    """Seconds of each pair of processes, before and after."""

    pairs: list[Pair] = field(default_factory=list)

    def median(self, side: int) -> float:
        return statistics.median(statistics.median(pair[side]) for pair in self.pairs)

    def least(self, side: int) -> float:
        """The median of the processes' quickest blocks: what the work takes when nothing disturbs it."""
        return statistics.median(min(pair[side]) for pair in self.pairs)

    def ratios(self) -> list[float]:
        """After by before, one for each pair, sorted.

        Of the quickest blocks if there are many, of the medians otherwise.
        """
        pick = min if len(self.pairs[0][0]) > 1 else statistics.median
        return sorted(pick(after) / pick(before) for before, after in self.pairs)

    def bounds(self) -> tuple[float, float]:
        """What the median of the ratios lies between: an interval for the sign test, at two per cent.

        With fewer than seven pairs it is all that was seen.
        """
        ratios, count = self.ratios(), len(self.pairs)
        left_out = 0
        while 2 * sum(math.comb(count, i) for i in range(left_out + 1)) <= CHANCE * 2**count:
            left_out += 1
        left_out = max(left_out - 1, 0)
        return ratios[left_out], ratios[-1 - left_out]

    def verdict(self) -> str:
        """Whether it is slower, or faster, by more than chance; two pairs can say nothing."""
        low, high = self.bounds()
        if len(self.pairs) < FEWEST:
            return ""
        return "slower" if low > 1 else "faster" if high < 1 else ""


def main(arguments: list[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    if chosen.list:
        for name, work in WORKS.items():
            print(f"{name:32} {work.title}")
        return
    if chosen.commit is None:
        raise SystemExit(
            "name a commit to compare with, for example HEAD~1; --list shows the works"
        )
    suites = {name for name in chosen.works if any(work.suite == name for work in WORKS.values())}
    unknown = set(chosen.works) - set(WORKS) - suites
    if unknown:
        raise SystemExit(f"no work {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    found: dict[str, Comparison | str] = {}
    with _contenders(chosen.commit, chosen.other) as contenders:
        for name in _chosen([*chosen.works], suites):
            found[name] = _compared(name, contenders, chosen.pairs)
            _say(name, found[name])
    _show(found, contenders)
    _write(found, contenders, chosen.json)


def _chosen(works: list[str], suites: set[str]) -> list[str]:
    """The works that are named, or whose suite is; without names those that belong to none."""
    if not works:
        return [name for name, work in WORKS.items() if not work.suite]
    return [name for name, work in WORKS.items() if name in works or work.suite in suites]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit", nargs="?", help="what is held against: any name that git knows")
    parser.add_argument(
        "works",
        nargs="*",
        metavar="WORK",
        help="names of --list, or of suites; all without suites by default",
    )
    parser.add_argument(
        "--with", dest="other", metavar="COMMIT", help="instead of the working tree"
    )
    parser.add_argument("--pairs", type=int, help="pairs of processes for each work")
    parser.add_argument("--json", type=Path, default=RESULTS / "against.json")
    parser.add_argument("--list", action="store_true", help="the works")
    return parser


@contextlib.contextmanager
def _contenders(commit: str, other: str | None) -> Iterator[list[Contender]]:
    """Both Tessellas in a temporary folder, which is removed at the end.

    The working tree is copied as it is, uncommitted changes and all, so that one may go on editing.
    """
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        trees = [Path(folder) / "before", Path(folder) / "after"]
        names = [_short(commit), _short(other) if other else "working tree"]
        try:
            _work_tree(trees[0], commit)
            if other:
                _work_tree(trees[1], other)
            else:
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / "tessella", trees[1] / "tessella", ignore=ignored)
            yield [
                Contender(name, tree, tree.with_name(f"cache-{tree.name}"))
                for name, tree in zip(names, trees, strict=True)
            ]
        finally:
            for tree in trees:
                if (tree / ".git").exists():
                    _git("worktree", "remove", "--force", str(tree))


def _work_tree(place: Path, commit: str) -> None:
    _git("worktree", "add", "--detach", str(place), commit)


def _short(commit: str) -> str:
    return f"{commit} ({_git('rev-parse', '--short', f'{commit}^{{commit}}')})"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _compared(name: str, contenders: list[Contender], pairs: int | None) -> Comparison | str:
    """All pairs of one work; or why it could not be done."""
    work, comparison = WORKS[name], Comparison()
    measure = _once if work.once else _in_turns
    try:
        if work.once:
            measure(name, contenders)  # bytecode is written, and the cache filled
        for i in range(pairs or work.pairs):
            order = (
                contenders if i % 2 == 0 else contenders[::-1]
            )  # who begins has the cooler processor
            seconds = measure(name, order)
            comparison.pairs.append(seconds if order is contenders else seconds[::-1])
    except Failed as error:
        return str(error)
    return comparison


def _once(name: str, contenders: list[Contender]) -> Pair:
    first, second = ([json.loads(_line(_started(name, each), each))] for each in contenders)
    return first, second


def _in_turns(name: str, contenders: list[Contender]) -> Pair:
    processes = [_started(name, each) for each in contenders]
    found: Pair = ([], [])
    try:
        for process, contender in zip(processes, contenders, strict=True):
            _line(process, contender)
        for turn in range(TURNS):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                stream = processes[side].stdin
                assert stream is not None
                stream.write("turn\n")
                stream.flush()
                found[side].extend(json.loads(_line(processes[side], contenders[side])))
    finally:
        for process in processes:
            process.communicate()
    return found


def _started(name: str, contender: Contender) -> subprocess.Popen[str]:
    work = WORKS[name]
    if work.cold:
        shutil.rmtree(contender.cache, ignore_errors=True)
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    own = {"PYTHONPATH": str(contender.tree), "TESSELLA_CACHE_DIR": str(contender.cache)}
    return subprocess.Popen(
        [sys.executable, str(WORKER), name, str(contender.tree)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**surroundings, **own, "PYTHONHASHSEED": "0"},
    )  # fmt: skip


def _line(process: subprocess.Popen[str], contender: Contender) -> str:
    """The next answer of a worker.

    Raises:
        Failed: it ended instead.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, complaint = process.communicate()
        why = complaint.strip().splitlines() or [f"exit status {process.returncode}"]
        raise Failed(f"fails at {contender.name}: {why[-1]}")
    return line


def _say(name: str, found: Comparison | str) -> None:
    if isinstance(found, str):
        print(f"  {name}: {found}", flush=True)
    else:
        print(f"  {name}: {' '.join(f'{r:.3f}' for r in found.ratios())}", flush=True)


def _show(found: dict[str, Comparison | str], contenders: list[Contender]) -> None:
    table = Table(title=f"{contenders[1].name} against {contenders[0].name}")
    table.add_column("work")
    for column in ("before", "after", "least before", "least after", "difference", "ratio"):
        table.add_column(column, justify="right")
    table.add_column("between")
    table.add_column("")
    for name, result in found.items():
        if isinstance(result, str):
            table.add_row(WORKS[name].title, "", "", "", "", "", "", result)
        else:
            table.add_row(WORKS[name].title, *_cells(result))
    Console(width=max(Console().width, 150)).print(table)


def _cells(result: Comparison) -> list[str]:
    low, high = result.bounds()
    times = [result.median(0), result.median(1), result.least(0), result.least(1)]
    ratio = statistics.median(result.ratios())
    change = (ratio - 1) * times[2]
    return [
        *map(readable, times),
        f"{'+' if change >= 0 else '−'}{readable(abs(change))}",
        f"{ratio:.3f} ×",
        f"{low:.3f} – {high:.3f}",
        result.verdict(),
    ]


def _write(found: dict[str, Comparison | str], contenders: list[Contender], path: Path) -> None:
    works: list[dict[str, Any]] = []
    for name, result in found.items():
        entry: dict[str, Any] = {"work": name, "title": WORKS[name].title}
        if isinstance(result, str):
            entry["failed"] = result
        else:
            entry["median"] = [result.median(0), result.median(1)]
            entry["least"] = [result.least(0), result.least(1)]
            entry["ratios"] = [round(r, 5) for r in result.ratios()]
            entry["verdict"] = result.verdict()
        works.append(entry)
    data = {
        "machine": facts(),
        "before": contenders[0].name,
        "after": contenders[1].name,
        "works": works,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    print(f"wrote {os.path.relpath(path)}")


if __name__ == "__main__":
    main()

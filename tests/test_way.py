"""The ways of values through the house do not become longer unnoticed."""

import subprocess
import sys
from pathlib import Path

from tests.strata import STRATA, level
from tests.way import shown, ways

ROOT = Path(__file__).parents[1]


def no_way_is_longer_than_it_was():
    found = ways()
    first, second = found["x * x, for the first time"], found["x * x"]
    assert len(first.strata) <= 8
    assert len(second.files) <= 5
    compiled, called = found["a compiled function, the first call"], found["the next calls"]
    assert len(compiled.deepest) <= 20
    assert len(called.files) <= 10 and len(called.deepest) <= 5


def test_no_way_is_longer_than_it_was():
    """In a process of its own: once somebody has asked for lower precision, say, calls look whether it is in force."""
    code = "from tests import test_way; test_way.no_way_is_longer_than_it_was()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_way_down_begins_at_the_users_call_and_each_file_stands_in_a_stratum():
    way = ways()["x * x"]
    assert way.deepest[0] == "tensors/methods/operators.py"
    assert {*way.deepest} <= {*way.files}
    assert all(level(file) is not None for file in way.files)
    assert {*way.strata} <= {stratum.name for stratum in STRATA}


def test_the_architecture_shows_the_ways():
    """In a process of its own: what else has been loaded here may have made some files known."""
    printed = subprocess.run(
        [sys.executable, "-m", "tests.way"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf8")
    names = [line.partition(":")[0] for line in printed.splitlines() if line[0] != " "]
    assert len(names) == 5
    for name in names:
        assert f"\n{name}: " in page, (
            f"{name}; run python -m tests.way, and put what it prints there"
        )
    assert shown().count("\n") == printed.count("\n") - 1

"""The exercises of docs/course.md name files, lines and tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "course.md").read_text(encoding="utf8")
ROW = re.compile(r"^\| `(tessella/[^`]+)` \| (.*) \| `pytest ([^`]*)` \|$", re.MULTILINE)
EXERCISES = ROW.findall(TEXT)


def test_every_module_has_exercises():
    for number in range(5):
        section = TEXT.split(f"## Module {number}:")[1].split("\n## ")[0]
        assert ROW.findall(section), f"module {number}"


@pytest.mark.parametrize(("file", "what", "command"), EXERCISES)
def test_an_exercise_can_be_done(file, what, command):
    source = (ROOT / file).read_text(encoding="utf8")
    lines = [text for text in re.findall(r"`([^`]+)`", what) if len(text) > 12]
    assert any(text in source for text in lines), lines
    for part in command.split():
        if "/" in part:
            assert (ROOT / part).exists(), part


@pytest.mark.parametrize("row", re.findall(r"^\| [\d., ]+[a-z].*$", TEXT, re.MULTILINE))
def test_rooms_exist(row):
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.py)?|[a-z_]+\.py)(?:: \w+)?`", row):
        assert any((ROOT / base / path).exists() for base in ("tessella", ".", "docs")), path

"""The exercises of docs/course.md: take the rule away, and the tests that are named fail."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "course.md").read_text(encoding="utf8")
EXERCISE = re.compile(
    r"\*\*Exercise (\d)\.(\d)\.\*\* .*?```diff\n(.*?)```\n\n`pytest ([^`]*)` then fails", re.DOTALL
)
EXERCISES = EXERCISE.findall(TEXT)


def test_every_module_has_exercises_in_its_section():
    for number in range(5):
        section = TEXT.split(f"## Module {number}:")[1].split("\n## ")[0]
        found = EXERCISE.findall(section)
        assert [place for place, *_ in found] == [str(number)] * len(found)
        assert [int(place) for _, place, *_ in found] == list(range(1, len(found) + 1))
        assert found
    assert len(EXERCISES) == TEXT.count("**Exercise ") == TEXT.count("```diff")


def changes(difference):
    """The files that a difference names, each with what is taken away and what comes instead."""
    for part in re.split(r"^--- ", difference, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        before = [line[1:] for line in lines if line[0] in "- "]
        after = [line[1:] for line in lines if line[0] in "+ "]
        yield name, "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy to work on, with the machine code of Python beside it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tessella", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(checkout, arguments):
    """Run pytest there; gives its status and what it says, the tests that failed among it."""
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    options = ["-p", "no:cacheprovider", "-x", "--tb=no", "-rf", *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        capture_output=True, text=True, cwd=checkout, check=False,
        env={**environment, "PYTHONPATH": str(checkout)},
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("difference", "command"),
    [pytest.param(*exercise[2:], id=".".join(exercise[:2])) for exercise in EXERCISES],
)
def test_what_is_taken_away_is_noticed(checkout, difference, command):
    known = {}
    for name, before, after in changes(difference):
        known[name] = (checkout / name).read_text(encoding="utf8")
        assert known[name].count(before) == 1, name
        (checkout / name).write_text(known[name].replace(before, after), encoding="utf8")
    status, said = run_tests(checkout, shlex.split(command))
    for name, text in known.items():  # put back; that the same tests pass then, they say themselves
        (checkout / name).write_text(text, encoding="utf8")
    assert status == 1, said  # some failed, and no error kept them from running
    assert "\nFAILED " in said


@pytest.mark.parametrize("row", re.findall(r"^\| [\d., ]+[a-z].*$", TEXT, re.MULTILINE))
def test_rooms_exist(row):
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.py)?|[a-z_]+\.py)(?:: \w+)?`", row):
        assert any((ROOT / base / path).exists() for base in ("tessella", ".", "docs")), path

"""Every example in the documents runs and prints what the document shows."""

import ast
import contextlib
import io
import itertools
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)
ONE_SESSION = "<!-- one session"  # in a page whose examples share their names


def sessions():
    """What runs together: every example by itself, or all of a page."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf8")
        examples = EXAMPLE.findall(text)
        if ONE_SESSION in text:
            yield pytest.param(examples, id=path.name)
        else:
            for number, example in enumerate(examples):
                yield pytest.param([example], id=f"{path.name}-{number}")


@pytest.mark.parametrize("examples", [*sessions()])
def test_examples(examples):
    names = {"__name__": "__main__"}
    for code, shown in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<example>", "exec"), names)
        assert printed.getvalue() == shown


def test_readme_has_the_two_commands_word_for_word():
    lines = (ROOT / "README.md").read_text(encoding="utf8").splitlines()
    make = "python3 -m venv .venv && .venv/bin/pip install -q"
    assert f"    {make} . && .venv/bin/tessella demo" in lines
    assert f"    {make} '.[test]' && .venv/bin/pytest" in lines


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_the_environment_variables_are_those_that_the_code_reads():
    table = (ROOT / "README.md").read_text(encoding="utf8").split("## Environment variables")[1]
    shown = re.findall(r"^\| `(TESSELLA_[A-Z_]+)` \|", table, re.MULTILINE)
    read = {
        node.value
        for folder in ("tessella", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.Constant) and re.fullmatch(r"TESSELLA_[A-Z_]+", str(node.value))
    }
    assert sorted(shown) == sorted(read)


# what is not imported but called, and how
TOOLS = {"pytest": "pytest", "pytest-xdist": "-n 2", "ruff": "ruff check", "mypy": "mypy", "pre-commit": "pre-commit"}  # fmt: skip

IMPORTED_AS = {"scikit-learn": "sklearn", "pillow": "PIL"}


def test_extras_offer_what_is_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    offered = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())
    sources = [
        path.read_text(encoding="utf8")
        for folder in ("tessella", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    uses = "".join(
        (ROOT / name).read_text(encoding="utf8") for name in (".ci/run", "pyproject.toml", "CONTRIBUTING.md")
    )  # fmt: skip
    unused = []
    for requirement in offered:
        name = re.match(r"[\w-]+", requirement)[0]
        name = IMPORTED_AS.get(name, name)
        imported = re.compile(
            rf"^\s*(?:(?:import|from) {name}\b|(?:\w+ = )?pytest\.importorskip\(\"{name}\"\))",
            re.MULTILINE,
        )
        if name == "tessella" or TOOLS.get(name, "\0") in uses:
            continue
        if not any(imported.search(source) for source in sources):
            unused.append(name)
    assert unused == []


def test_api_reference_is_up_to_date():
    command = [sys.executable, str(ROOT / "docs" / "build_api.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}; run `python docs/build_api.py`"


def test_every_public_function_has_a_docstring():
    import tessella as ts

    bare = [
        name for name in ts.__all__ if callable(getattr(ts, name)) and not getattr(ts, name).__doc__
    ]
    assert bare == []


def test_the_picture_of_the_strata_is_that_of_their_list():
    drawn = runpy.run_path(str(ROOT / "docs" / "build_strata.py"))["drawn"]()
    found = (ROOT / "docs" / "strata.svg").read_text(encoding="utf8")
    assert found == drawn, "run `python docs/build_strata.py`"

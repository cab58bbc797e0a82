"""Every example in the documents runs and prints what the document shows."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)
EXAMPLES = [
    pytest.param(code, shown, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, (code, shown) in enumerate(EXAMPLE.findall(path.read_text(encoding="utf8")))
]


@pytest.mark.parametrize(("code", "shown"), EXAMPLES)
def test_example(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<example>", "exec"), {"__name__": "__main__"})
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

"""docs/names.md shows the table that errors are made from."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_names_is_up_to_date():
    command = [sys.executable, str(ROOT / "docs" / "build_names.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

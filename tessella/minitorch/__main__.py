"""`python -m tessella.minitorch script.py ...`: run a script written for MiniTorch; `import minitorch`
in it, and in what it imports, means Tessella's."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from tessella.minitorch import install


def main() -> None:
    """Run the script that the command line names."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m tessella.minitorch script.py [arguments]")
    script = Path(sys.argv[1])
    if not script.is_file():
        raise SystemExit(f"error: there is no file {script}")
    install()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.parent.absolute())
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()

"""`python -m tessella.minitorch script.py ...`: run a script written for MiniTorch; `import minitorch`
in it, and in what it imports, means Tessella's."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import tessella.minitorch  # noqa: F401 (with all its modules)


def main() -> None:
    """Run the script that the command line names."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m tessella.minitorch script.py [arguments]")
    script = Path(sys.argv[1])
    if not script.is_file():
        raise SystemExit(f"error: there is no file {script}")
    own = "tessella.minitorch"
    for name, module in list(sys.modules.items()):
        if name == own or name.startswith(own + "."):
            sys.modules[name.removeprefix("tessella.")] = module
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.parent.absolute())
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()

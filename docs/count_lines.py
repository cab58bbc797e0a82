"""Lines of code in `tessella/`, without docstrings, comments and blank lines: `python docs/count_lines.py COMMIT ...`.

With `--without nn,optim` the total leaves these folders out, too.
"""

import argparse
import ast
import subprocess
from collections import Counter


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def count(text: str) -> int:
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    owners = [node for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    left = text.splitlines()
    for owner in owners:
        if ast.get_docstring(owner, clean=False) is not None:
            first = owner.body[0]
            assert first.end_lineno is not None
            left[first.lineno - 1 : first.end_lineno] = [""] * (first.end_lineno - first.lineno + 1)
    return sum(1 for line in left if line.strip() and not line.lstrip().startswith("#"))


def by_room(commit: str) -> Counter[str]:
    """Lines of each folder of `tessella/`; files beside the folders are one room."""
    found: Counter[str] = Counter()
    for path in git("ls-tree", "-r", "--name-only", commit, "tessella").splitlines():
        if path.endswith(".py"):
            parts = path.split("/")
            found[parts[1] if len(parts) > 2 else "(files)"] += count(
                git("show", f"{commit}:{path}")
            )
    return found


def main(commits: list[str], without: list[str]) -> None:
    tables = [by_room(commit) for commit in commits]
    for table in tables:
        for room in without:
            del table[room]
    for room in sorted({room for table in tables for room in table}):
        print(f"{room:12}", *[f"{table[room]:7,}" for table in tables])
    print(f"{'all':12}", *[f"{table.total():7,}" for table in tables])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("commits", nargs="*", default=["HEAD"])
parser.add_argument("--without", default="", metavar="FOLDER,...")
options = parser.parse_args()
main(options.commits, options.without.split(","))

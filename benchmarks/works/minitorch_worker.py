"""MiniTorch in a process (and an environment) of its own: runs the work whose name it reads, and answers.

It is started by `course.py` with the folder of a solved MiniTorch as its argument.
"""

import sys
from pathlib import Path


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr
    folder = Path(__file__).parent
    sys.path[:] = [sys.argv[1], str(folder), *(p for p in sys.path if Path(p) != folder)]
    import course
    import minitorch

    ready = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            ready[name] = course.WORKS[name](minitorch)
        ready[name]()
        answers.write("done\n")
        answers.flush()


if __name__ == "__main__":
    main()

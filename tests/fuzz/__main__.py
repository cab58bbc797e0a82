"""`python -m tests.fuzz --calls 200000 --seed 1`: call everything with anything, and say what came of it."""

import argparse
import sys

from tests.fuzz.judge import judge
from tests.fuzz.tool import Finding, make_call, targets_in, timed


def main() -> int:
    """Run the fuzzer as asked on the command line; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first call")
    parser.add_argument("--rooms", default="", help="parts of the package, separated by commas")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--most", type=int, default=50, help="findings to show")
    parser.add_argument("--only", type=int, help="make the call of one number, here")
    parser.add_argument("--arity", action="store_true", help="show what Python itself refused, too")
    given = parser.parse_args()
    if given.only is not None:
        call = make_call(targets_in(given.rooms), given.seed, given.only)
        print(Finding(given.only, "", "", call).program, flush=True)
        print(judge(call))
        return 0
    report, seconds = timed(
        given.calls,
        seed=given.seed,
        rooms=given.rooms,
        first=given.first,
        processes=given.processes,
    )
    print(report.shown(given.most))
    if given.arity:
        for finding in report.arity[: given.most]:
            print(f"arity #{finding.number}: {finding.detail}\n    {finding.program}")
    print(report.table(), f"\n{seconds:.1f} s")
    return bool(report.findings)


if __name__ == "__main__":
    sys.exit(main())

"""The command line: `tessella demo`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit status 2."""
    import sys

    from tessella.cli.app import BAD_INPUT, app
    from tessella.errors import TessellaError

    try:
        app()
    except TessellaError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(BAD_INPUT)


__all__ = ["main"]

"""The command line: `tessella demo`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit status 2."""
    from tessella.cli.guard import guarded

    def command() -> None:
        from tessella.cli.app import app

        app()

    guarded(command)


__all__ = ["main"]

"""Looking inside while things run, in compiled functions as well: print, breakpoint, check_nan."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.debug import explaining as explaining
from tessella.debug import levels as levels
from tessella.debug.breakpoints import breakpoint
from tessella.debug.finite import check_nan
from tessella.debug.printing import print
from tessella.names import missing as _missing

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("debug", name)


__all__ = ["breakpoint", "check_nan", "print"]

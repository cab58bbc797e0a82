"""Looking inside while things run, in compiled functions as well: print, breakpoint, check_nan."""

from tessella.debug.breakpoints import breakpoint
from tessella.debug.finite import check_nan
from tessella.debug.printing import print

__all__ = ["breakpoint", "check_nan", "print"]

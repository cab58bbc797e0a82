"""Control: primitives that hold graphs, and compute one of them, or one of them many times."""

from tessella.primitives.control.base import Control, Transformations, interpret
from tessella.primitives.control.choice import Cond
from tessella.primitives.control.scan_loop import ScanLoop
from tessella.primitives.control.while_loop import While

__all__ = ["Cond", "Control", "ScanLoop", "Transformations", "While", "interpret"]

"""Control: primitives that hold graphs, and compute one of them, or one of them many times."""

from tessella.primitives.control.base import Control as Control
from tessella.primitives.control.base import Transformations as Transformations
from tessella.primitives.control.base import interpret as interpret
from tessella.primitives.control.choice import Cond as Cond
from tessella.primitives.control.scan_loop import ScanLoop as ScanLoop
from tessella.primitives.control.while_loop import While as While

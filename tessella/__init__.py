"""Tessella: a deep-learning system from the chain rule down to the machine code.

>>> import tessella as ts
>>> x = ts.asarray([1.0, 2.0, 3.0]).requires_grad_()
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

The public names stand in `__init__.pyi`, for editors and for this file alike: each is imported when it is first
asked for, from the module that has it.
"""

import math as _math
import sys as _sys
from typing import Any as _Any

from tessella import later as _later
from tessella.names import look_in as _look_in
from tessella.names import missing as _missing
from tessella.release import VERSION as _VERSION

__version__ = _VERSION

e, inf, nan, newaxis, pi = _math.e, _math.inf, _math.nan, None, _math.pi

_PLACES = _later.homes(__file__ + "i")
_HIDING = "data double float half int io long nn optim short train"  # what `import *` leaves out
__all__ = sorted({*_PLACES, "__version__", "e", "inf", "nan", "newaxis", "pi"} - {*_HIDING.split()})

_look_in(_sys.modules[__name__])
_later.when_imported("tessella.tensors", "tessella.random.methods")  # from above it
_later.when_imported("tessella.transforms.jit", "tessella.debug")  # `explain`, and TESSELLA_DEBUG
_later.when_imported("einops._backends", "tessella.tensors.einops_backend")


def __getattr__(name: str) -> _Any:
    """A public name, or a module of the package, when it is first asked for."""
    found = _later.found(__name__, name, _PLACES)
    if found is not _later.ABSENT:
        globals()[name] = found
        return found
    if name.startswith("__"):  # which Python itself and libraries look for
        raise AttributeError(f"module 'tessella' has no attribute {name!r}")
    raise _missing("ts", name)


def __dir__() -> list[str]:
    """The public names, those too that are imported later."""
    return sorted({*globals(), *__all__, *_PLACES})

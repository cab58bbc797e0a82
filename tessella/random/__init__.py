"""Random numbers from a seed and a counter: the same on every machine.

There are two ways to them: a `Generator`, which counts its draws (`tessella.random.generator`; the default one is
behind `rand`, `randn`, ...), and explicit keys (`tessella.random.distributions`), for which nothing counts.

The names stand in `__init__.pyi`; each is imported when it is first asked for.
"""

from typing import Any as _Any

from tessella import later as _later
from tessella.names import missing as _missing

_PLACES = _later.homes(__file__ + "i")
__all__ = sorted({*_PLACES} - {"default"})


def __getattr__(name: str) -> _Any:
    """A name, when it is first asked for; the error says what other libraries mean by it, or which one is near."""
    found = _later.found(__name__, name, _PLACES)
    if found is _later.ABSENT:
        raise _missing("random", name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The names, those too that are imported later."""
    return sorted({*globals(), *_PLACES})

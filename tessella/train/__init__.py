"""The training loop: progress, metrics, checkpoints, resuming."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.names import missing as _missing

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("train", name)


__all__: list[str] = []

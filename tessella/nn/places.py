"""Which layer of a network is at work: where it stands in the tree of modules, seen from the outermost one that was called.

An error that leaves the call of a module is told of it, and the next module around it sees it further down. While a
function is traced, or somebody looks on at eager operations, the module whose call is under way is noted, too, so that
operations know their layer (`Where.layer`). Otherwise nothing is done at a call.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tessella import autodiff
from tessella.errors import TessellaError

_mode = autodiff.mode
_OF_OTHERS = "_tessella_layer"  # where an error that is not ours keeps its place


class Place:
    """Where a layer stands below a module that was called; its text is empty for that module itself.

    Args:
        root: the module.
        path: the dotted name of the layer in it.
        kind: the layer's class.
    """

    def __init__(self, root: Any, path: str, kind: str) -> None:
        self.root, self.path, self.kind = root, path, kind

    @classmethod
    def of(cls, module: Any) -> Place:
        return cls(module, "", type(module).__name__)

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})" if self.path else ""

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (
            str(self),
        )  # an error that goes to another process does not take the network along

    def seen_from(self, module: Any) -> Place:
        """The same seen from a module further out; from one that does not hold the layer, that module itself."""
        path = path_to(module, self.root)
        if path is None:
            return Place.of(module)
        return Place(module, ".".join(filter(None, (path, self.path))), self.kind)

    def below(self, module: Any) -> Place:
        """That of a module which this one calls; of one that it does not hold, this one."""
        path = path_to(self.root, module)
        return self if path is None else Place(self.root, path, type(module).__name__)


def path_to(module: Any, wanted: Any) -> str | None:
    """The dotted name of a module in another one, if it is there."""
    if module is wanted:
        return ""
    for name, child in module.__tessella_children__():
        below = path_to(child, wanted)
        if below is not None:
            return f"{name}.{below}" if below else name
    return None


def place(error: Exception, module: Any) -> None:
    """Tell an error that leaves the call of a module in which layer it arose: ours in their text, others in a note."""
    held, key = vars(error), "layer" if isinstance(error, TessellaError) else _OF_OTHERS
    known = held.get(key)
    if isinstance(known, str):  # it has been told by who knows
        return
    held[key] = Place.of(module) if known is None else known.seen_from(module)
    if key == _OF_OTHERS:
        _renote(error, _note(known), _note(held[key]))


def _note(at: Place | None) -> str:
    return f"in the layer {at}" if at is not None and str(at) else ""


def _renote(error: Exception, before: str, after: str) -> None:
    notes = getattr(error, "__notes__", [])
    if before in notes:
        notes.remove(before)
    if after:
        error.add_note(after)


class inside:  # is used as a function
    """Inside the block a module's call is under way: what is recorded belongs to that layer."""

    __slots__ = ("around", "module")

    def __init__(self, module: Any) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.around = _mode.layer
        _mode.layer = (
            Place.of(self.module) if self.around is None else self.around.below(self.module)
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:  # fmt: skip
        _mode.layer = self.around

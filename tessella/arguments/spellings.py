"""Keywords that other libraries have for the same parameters, and what is said of those that mean something else."""

from __future__ import annotations

SPELLINGS: dict[str, tuple[str, ...]] = {  # of a parameter, in PyTorch and NumPy
    "axis": ("dim", "axes"),
    "axes": ("dim", "dims", "axis"),
    "dim": ("axis",),
    "keepdims": ("keepdim",),
    "x": ("input", "a", "self"),
    "x1": ("input", "x", "a"),
    "x2": ("other", "y", "b"),
    "arrays": ("tensors",),
    "shape": ("size", "newshape"),
    "correction": ("ddof",),
    "min": ("a_min",),
    "max": ("a_max",),
    "k": ("diagonal",),
    "num": ("steps",),
    "indices": ("index",),
    "start": ("start_dim", "start_axis"),
    "end": ("end_dim", "end_axis"),
}
cures: dict[tuple[str, str], str] = {}


def teach(function: str, keyword: str, cure: str) -> None:
    """Say what to do instead of a keyword that other libraries have.

    Args:
        function: its name, or "" for all that have no such parameter.
        cure: what follows the colon.
    """
    cures[function, keyword] = cure

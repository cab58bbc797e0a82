"""Keywords that other libraries have for the same parameters. (`tessella.names` has those that mean something else.)"""

from __future__ import annotations

SPELLINGS: dict[str, tuple[str, ...]] = {  # of a parameter, in PyTorch and NumPy
    "axis": ("dim", "axes", "dims"),
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
    "axis1": ("dim1",),
    "axis2": ("dim2",),
    "interpolation": ("method",),
    "offset": ("k", "diagonal"),
    "p": ("ord",),
    "repetitions": ("reps", "dims"),
    "sections": ("indices_or_sections",),
    "shift": ("shifts",),
    "sizes": ("split_size_or_sections", "split_size"),
    "src": ("value",),
    "stop": ("end",),
    "start": ("start_dim", "start_axis"),
    "end": ("end_dim", "end_axis"),
}

"""Write what other libraries have: `python docs/build_known_names.py`, with PyTorch, JAX and NumPy installed.

`tessella/names/names.txt` has their public names, `keywords.txt` the keywords of their functions that are here by the
same name. Errors are made from them: a name that somebody has is told from one that nobody has.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tessella as ts

HERE = Path(ts.__file__).parent / "names"
LIBRARIES = {"torch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}
# Where users look for them here, and where they are there; classes are spelled as modules are.
PLACES = {
    "ts": (
        "torch torch.linalg torch.special torch.fft jax jax.lax jax.numpy jax.numpy.linalg jax.scipy.special numpy "
        "numpy.linalg"
    ),
    "Tensor": "torch.Tensor jax.Array numpy.ndarray",
    "nn": "torch.nn",
    "F": "torch.nn.functional jax.nn",
    "optim": "torch.optim torch.optim.lr_scheduler",
    "random": "torch.random jax.random numpy.random",
    "init": "torch.nn.init jax.nn.initializers",
    "utils": "torch.nn.utils",
    "debug": "jax.debug",
    "Module": "torch.nn.Module",
    "Optimizer": "torch.optim.Optimizer",
}  # fmt: skip


def found(path: str) -> Any:
    """What is at a path, a module or a class."""
    parent, _, name = path.rpartition(".")
    if parent and hasattr(importlib.import_module(parent), name):
        return getattr(importlib.import_module(parent), name)
    return importlib.import_module(path)


def is_of(library: str, name: str, value: Any) -> bool:
    """Whether a value belongs to a library, and was not merely imported from elsewhere."""
    if isinstance(value, types.ModuleType):
        return value.__name__.split(".")[0].startswith(library)
    home = sys.modules.get(getattr(value, "__module__", None) or library)
    is_pythons = home is not None and home.__name__.split(".")[0] in sys.stdlib_module_names
    return not (is_pythons and getattr(home, name, None) is value)


def public_names(path: str) -> list[str]:
    """The public names at a path: without an underscore in front, and nothing of other packages."""
    owner, library = found(path), path.split(".")[0]
    names = [name for name in dir(owner) if not name.startswith("_")]
    return [
        name for name in names if is_of(library, name, inspect.getattr_static(owner, name, None))
    ]


def places() -> Iterator[tuple[str, str, str]]:
    """Each namespace here, with the paths of others: (library, namespace, path)."""
    for namespace, paths in PLACES.items():
        for path in paths.split():
            yield LIBRARIES[path.split(".")[0]], namespace, path


# --- keywords ------------------------------------------------------------------------------------

OF_UFUNCS = "out where casting order dtype subok"
CALLED = re.compile(r"\b(\w+)\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*->")


def keywords_of(path: str, name: str) -> set[str]:
    """The keywords of a function or class: those of its signature, its schemas (PyTorch's), its docstring."""
    function = getattr(found(path), name)
    if not callable(function):
        return set()
    names = _of_signature(function)
    if path in ("torch", "torch.Tensor"):
        names |= _of_schemas(name) | _of_docstring(name, function.__doc__ or "")
    if type(function).__name__ == "ufunc":
        names |= set(OF_UFUNCS.split())
    return {name for name in names if not name.startswith("_") and name not in ("self", "cls")}


def _of_signature(function: Any) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # of functions in C without one
        return set()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in kinds}


def _of_schemas(name: str) -> set[str]:
    """Those of PyTorch's operators of this name, of those that take a tensor; not what is written to."""
    import torch

    packet = getattr(torch.ops.aten, name, None)
    found = (
        [getattr(packet, overload)._schema.arguments for overload in packet.overloads()]
        if packet
        else []
    )
    of_tensors = [
        arguments for arguments in found if any("Tensor" in str(one.type) for one in arguments)
    ]
    return {one.name for arguments in of_tensors for one in arguments if not one.is_out}


def _of_docstring(name: str, text: str) -> set[str]:
    parts = [
        part
        for called, inside in CALLED.findall(text)
        if called == name
        for part in inside.split(",")
    ]
    words = [re.split(r"[=:\s]", part.strip())[0] for part in parts]
    return {
        word
        for word in words
        if word.isidentifier() and word not in ("True", "False", "None", "int")
    }


def keywords(*libraries: str) -> dict[tuple[str, str], set[str]]:
    """The keywords by function here and library, of functions that both have; of some libraries, or of all."""
    gathered: dict[tuple[str, str], set[str]] = {}
    for namespace, owner in owners().items():
        here = {name for name in getattr(owner, "__all__", dir(owner)) if not name.startswith("_")}
        for library, _, path in _of_namespace(namespace, libraries):
            for name in here & set(public_names(path)):
                spelled = {name, getattr(getattr(owner, name), "__name__", name)}
                for own in spelled:  # `ts.concatenate` is `ts.cat`
                    gathered.setdefault((own, library), set()).update(keywords_of(path, name))
    return {key: value for key, value in gathered.items() if value}


def _of_namespace(namespace: str, libraries: tuple[str, ...]) -> list[tuple[str, str, str]]:
    found = [place for place in places() if place[1] == namespace]
    return [place for place in found if not libraries or place[2].split(".")[0] in libraries]


def owners() -> dict[str, Any]:
    """What is asked for names, by namespace."""
    return {
        "ts": ts, "Tensor": ts.Tensor, "nn": ts.nn, "F": ts.nn.functional, "optim": ts.optim, "random": ts.random,
        "init": ts.nn.init, "utils": ts.nn.utils, "debug": ts.debug, "Module": ts.nn.Module, "Optimizer": ts.optim.Optimizer,
    }  # fmt: skip


def main() -> None:
    names = [
        f"{library} | {space} | {path} | {' '.join(public_names(path))}"
        for library, space, path in places()
    ]
    HERE.joinpath("names.txt").write_text("\n".join(names) + "\n", encoding="utf8")
    words = [
        f"{name} | {library} | {' '.join(sorted(known))}"
        for (name, library), known in sorted(keywords().items())
    ]
    HERE.joinpath("keywords.txt").write_text("\n".join(words) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()

"""Write the API reference, docs/api/*.md, from the docstrings: `python docs/build_api.py`.

With `--check` nothing is written, and the exit status is 1 if a page is out of date.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from tessella.arguments import gate_of

FOLDER = Path(__file__).parent / "api"


def offered_rooms(*packages: str) -> list[str]:
    """The modules that define what packages offer, in the order of their names."""
    found = set()
    for name in packages:
        package = importlib.import_module(name)
        offered = [getattr(package, offer) for offer in getattr(package, "__all__", vars(package))]
        found |= {getattr(value, "__module__", None) or name for value in offered}
    return sorted(room for room in found if room.startswith(packages))


PAGES = {
    "tensor": ("Tensor", ["tessella.tensors.tensor"]),
    "creation": ("Creation and interchange", ["tessella.tensors.creation", "tessella.tensors.making", "tessella.tensors.interchange", "tessella.defaults"]),
    "elementwise": ("Elementwise functions", ["tessella.tensors.elementwise", "tessella.tensors.arithmetic"]),
    "manipulation": ("Shapes, views and joining", ["tessella.tensors.manipulation", "tessella.tensors.shapes"]),
    "statistical": ("Reductions and scans", ["tessella.tensors.statistical", "tessella.tensors.statistics"]),
    "linear": ("Products and comprehensions", ["tessella.tensors.linear", "tessella.tensors.matrices", "tessella.tensors.einsum", "tessella.tensors.comprehensions"]),
    "indexing": ("Indexing, sorting and searching", ["tessella.tensors.indexing", "tessella.tensors.scattering", "tessella.tensors.sorting"]),
    "random": ("Random numbers", ["tessella.random", "tessella.random.generator", "tessella.random.sampling", "tessella.random.distributions"]),
    "autodiff": ("Differentiation", ["tessella.autodiff"]),
    "transforms": (
        "Transformations",
        [f"tessella.transforms.{room}" for room in ("reverse_mode", "forward_mode", "jacobians", "batching", "control", "custom", "rematerialisation", "graphs", "jit", "tuning", "recording", "trees")]
        + ["tessella.trees", "tessella.tree_nodes"],
    ),
    "debug": (
        "Debugging and profiling",
        ["tessella.debug.printing", "tessella.debug.breakpoints", "tessella.debug.finite", "tessella.profiling"],
    ),
    "nn": ("Modules and layers", [*offered_rooms("tessella.nn"), "tessella.nn.conversions"]),
    "functional": ("Functions of networks", offered_rooms("tessella.nn.functional")),
    "init": ("Initialisation", ["tessella.nn.init"]),
    "utils": ("Gradients and numbers of many parameters", ["tessella.nn.utils", "tessella.nn.utils.fusion", "tessella.nn.utils.parametrize", "tessella.nn.utils.parametrizations"]),
    "optim": ("Optimisers", offered_rooms("tessella.optim", "tessella.optim.lr_scheduler", "tessella.optim.swa_utils")),
    "io": ("Files of tensors", offered_rooms("tessella.io")),
    "data": ("Datasets and loaders", offered_rooms("tessella.data", "tessella.data.transforms", "tessella.data.texts")),
    "train": ("Training", offered_rooms("tessella.train")),
    "scalar": (
        "Scalars",
        [
            "tessella.scalar.expression", "tessella.scalar.rewriting", "tessella.scalar.function", "tessella.scalar.trace",
            "tessella.scalar.derivative", "tessella.scalar.value", "tessella.scalar.functions",
            "tessella.scalar.higher_order",
        ],
    ),
    "primitives": (
        "Primitives",
        [
            "tessella.primitives.base", "tessella.primitives.elementwise",
            "tessella.primitives.monoid", "tessella.primitives.reduce", "tessella.primitives.function_reduce", "tessella.primitives.index", "tessella.primitives.movement",
            "tessella.primitives.window", "tessella.primitives.contraction",
            "tessella.primitives.indexing", "tessella.primitives.scan", "tessella.primitives.softmax",
            "tessella.primitives.random", "tessella.primitives.generate",
            "tessella.primitives.host", "tessella.primitives.collective", "tessella.primitives.control", "tessella.primitives.barrier", "tessella.primitives.effect", "tessella.primitives.fused", "tessella.primitives.graph", "tessella.primitives.pictures.drawn",
        ],
    ),
    "minitorch": (
        "The course: MiniTorch's API",
        [f"tessella.minitorch.{room}" for room in ("operators", "module", "autodiff", "scalar_functions", "scalar", "tensor_data", "tensor_ops", "functions", "tensor_functions", "handle", "tensor", "fast_ops", "cuda_ops", "fast_conv", "nn", "optim", "datasets", "testing")],
    ),
    "dtypes": ("Dtypes", ["tessella.dtypes", "tessella.tensors.inspection"]),
    "errors": ("Errors", ["tessella.errors"]),
}  # fmt: skip


ROOMS = "tessella.tensors.", "tessella.random."  # beside their functions stand helpers


def offered_by(module: Any) -> set[str]:
    """The names that a module gives to users: those in its list, or else all; of rooms what goes through the gate."""
    every = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    gated = {name for name, value in every.items() if gate_of(value) is not None}
    if gated and module.__name__.startswith(ROOMS):
        return gated | {name for name, value in every.items() if inspect.isclass(value)}
    return set(getattr(module, "__all__", every))


def members(module: Any) -> list[tuple[str, Any]]:
    """What a module defines and offers, in the order of its source."""
    names = offered_by(module)
    found = []
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if name in names and own and (inspect.isclass(value) or callable(value)):
            found.append((name, value))
    return found


def signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    text = re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"\1", text)
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    return text.replace("(self: Any", "(self", 1)


def _heading(line: str) -> str:
    """`Raises:` and `Shapes: ...` in bold, in paragraphs of their own."""
    line = re.sub(r"^([A-Z][a-z]+):$", r"**\1**\n", line)
    return re.sub(r"^(Shapes|Dtypes|Units|Source|Initialisation): ", r"\n**\1**: ", line)


def described(docstring: str | None) -> str:
    """A docstring as Markdown: its examples and indented parts fenced."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    out: list[str] = []
    fenced = False
    for line in lines:
        example = line.startswith(">>>") or (fenced and line.strip() != "")
        if example and not fenced:
            out.append("```pycon")
        if not example and fenced:
            out.append("```")
        fenced = example
        out.append(line if fenced else _heading(line))
    if fenced:
        out.append("```")
    return "\n".join(re.sub(r"^    (\w[\w, *`]*):", r"- `\1`:", line) for line in out)


def entry(name: str, value: Any, level: int) -> list[str]:
    kind = "class " if inspect.isclass(value) else ""
    text = [f"{'#' * level} `{kind}{name}{signature(value)}`", "", described(value.__doc__), ""]
    if inspect.isclass(value):
        for method, function in vars(value).items():
            if isinstance(function, property):
                if not method.startswith("_") and function.__doc__:
                    text += [
                        f"{'#' * (level + 1)} `{name}.{method}`",
                        "",
                        described(function.__doc__),
                        "",
                    ]
                continue
            function = getattr(function, "__func__", function)
            if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
                text += entry(f"{name}.{method}", function, level + 1)
    return text


def page(title: str, modules: list[str]) -> str:
    text = [f"# {title}", "", "*Made from the docstrings by `docs/build_api.py`.*", ""]
    for module_name in modules:
        module = importlib.import_module(module_name)
        text += [f"## `{module_name}`", "", described(module.__doc__), ""]
        for name, value in members(module):
            text += entry(name, value, 3)
    return "\n".join(text).rstrip() + "\n"


def pages() -> dict[str, str]:
    """Every page of the reference: file name to text."""
    found = {f"{name}.md": page(*spec) for name, spec in PAGES.items()}
    index = ["# API reference", "", "*Made from the docstrings by `docs/build_api.py`.*", ""]
    index += [f"- [{title}]({name}.md)" for name, (title, _) in PAGES.items()]
    return {"README.md": "\n".join(index) + "\n", **found}


def main() -> int:
    stale = [
        name
        for name, text in pages().items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf8") != text
    ]
    if "--check" in sys.argv:
        print("\n".join(f"docs/api/{name} is out of date" for name in stale))
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf8")
    print(f"{len(stale)} pages changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The works of the suites (`run.py`), in Tessella alone, for `against.py`: the same code in two commits.

An operation is written down as text and becomes a function in the process that times it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Call = Callable[[], object]

LARGE = (
    "a + b", "a * 2.0", "ts.exp(a)", "ts.tanh(a)", "ts.sigmoid(a)", "ts.log(a)", "ts.sin(a)", "ts.sqrt(a)", "ts.erf(a)",
    "ts.relu(a)", "ts.where(a > b, a, b)", "m + m[0]", "m.T + 0.0", "a.astype(ts.float64)", "a**1.7", "a // b", "ts.asin(a)",
    "ts.tan(a)", "ts.lgamma(a)", "F.gelu(a)", "a.sum()", "ts.max(a)", "m.mean(axis=0)", "m.sum(axis=1)", "ts.max(m, axis=0)",
    "ts.max(m, axis=1)", "ts.argmax(m, axis=1)", "ts.std(a)", "ts.var(m, axis=1)", "ts.cumulative_sum(m, axis=1)",
)  # fmt: skip
PRODUCTS = {
    **{f"{size}³": f"random({size}, {size}) @ random({size}, {size})" for size in (64, 128, 256, 512, 1024)},
    "128×784 @ 784×512": "random(128, 784) @ random(784, 512)",
    "64×9216 @ 9216×128": "random(64, 9216) @ random(9216, 128)",
    "1×1024 @ 1024²": "random(1, 1024) @ random(1024, 1024)",
    "conv 64→64 3×3, 56×56, batch 8": "F.conv2d(random(8, 64, 56, 56), random(64, 64, 3, 3), padding=1)",
    "conv 4→8 3×3, 28×28, batch 16": "F.conv2d(random(16, 4, 28, 28), random(8, 4, 3, 3), padding=1)",
}  # fmt: skip
COMPILED = {
    "softmax": (), "gelu_layer_norm": (), "chain": (), "matrix_vector": (), "split": (), "mlp": (), "cnn": (), "embedding": (),
    "lstm": (), "attention": (), "bert": (), "gpt": (1,), "product_bfloat16": (512,),
}  # fmt: skip
COURSE = ("fast", "mnist", "sentiment", "scalar", "product")


class Entry(NamedTuple):
    """A work: its suite, its title, and what makes the call."""

    suite: str
    title: str
    make: Callable[[], Call]


def entries() -> dict[str, Entry]:
    """All works of the suites, by name."""
    found = {}
    for text in LARGE:
        found[f"large:{text}"] = Entry("large", f"`{text}`, 4 Mi numbers", _large(text))
    for title, text in PRODUCTS.items():
        found[f"products:{title}"] = Entry("products", title, _product(text))
    for name, arguments in COMPILED.items():
        title = f"{name.replace('_', ' ')}, compiled"
        found[f"compiled:{name}"] = Entry("compiled", title, _compiled(name, arguments))
    for name in ("per_example", "hessian", "lstm", "newton"):
        title = name.replace("_", " ")
        found[f"transformations:{name}"] = Entry("transformations", title, _transformed(name))
    for name in COURSE:
        found[f"course:{name}"] = Entry("course", f"the course: {name}", _of_course(name))
    return found


def _function(text: str, names: dict[str, Any]) -> Call:
    call: Call = eval(f"lambda: {text}", names)
    return call


def _large(text: str) -> Callable[[], Call]:
    def make() -> Call:
        import numpy as np

        import tessella as ts
        from tessella.nn import functional as F

        random = np.random.default_rng(0)
        a, b = (ts.asarray(random.random(1 << 22, np.float32)) for _ in range(2))
        return _function(text, {"ts": ts, "F": F, "a": a, "b": b, "m": a.reshape((4096, 1024))})

    return make


def _product(text: str) -> Callable[[], Call]:
    """The operands are made once: each `random(...)` becomes a name."""

    def make() -> Call:
        import numpy as np

        import tessella as ts
        from tessella.nn import functional as F

        random = np.random.default_rng(0)
        names: dict[str, Any] = {"F": F}

        def operand(found: re.Match[str]) -> str:
            shape = tuple(map(int, found[1].split(",")))
            name = f"x{len(names)}"
            names[name] = ts.asarray(random.random(shape, np.float32))
            return name

        return _function(re.sub(r"random\(([^)]*)\)", operand, text), names)

    return make


def _compiled(name: str, arguments: tuple[int, ...]) -> Callable[[], Call]:
    def make() -> Call:
        import own

        import tessella as ts

        step, data = getattr(own, name)(*arguments)
        compiled = ts.jit(step)
        return lambda: compiled(*data)

    return make


def _transformed(name: str) -> Callable[[], Call]:
    def make() -> Call:
        sys.path.append(str(Path(__file__).parents[1]))  # behind the Tessella that is timed
        import transformations

        api = transformations.OfTessella()
        call: Call = api.compiled(*getattr(transformations, name)(api.xp, api))
        return call

    return make


def _of_course(name: str) -> Callable[[], Call]:
    def make() -> Call:
        import course  # beside this file

        from tessella import minitorch

        call: Call = course.WORKS[name](minitorch)
        return call

    return make

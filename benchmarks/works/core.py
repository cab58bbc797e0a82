"""The works of the core that `against.py` times in the Tessella of two commits, and the process that runs one.

Each run of this file is one process with one Tessella: the one that `PYTHONPATH` names. A repeated work is
made ready, then timed in turns, as the driver asks on standard input; a work that happens once in a
process (importing, the first call) is timed and the process ends.

A work names what it needs of Tessella inside its function, so that a commit that lacks it fails at this
work alone.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # also where `against.py` imports this
import suites

Call = Callable[[], object]
BLOCK = 0.002  # seconds of one block of calls: mostly shorter than the slice of a busy processor
BLOCKS = 10  # of one turn
WARM_UP = 0.3  # seconds: size classes, plans and the interpreter's own specialisations


@dataclass(frozen=True)
class Work:
    """What is timed: a title, and a function that makes the call, or takes the time itself."""

    title: str
    make: Callable[[], Any]
    once: bool = False
    """Whether `make` gives seconds, in a process of its own."""
    pinned: bool = False
    """Whether it runs on one processor alone, and so on one thread."""
    cold: bool = False
    """Whether the cache of kernels is empty at the start."""
    pairs: int = 7
    """How many processes each commit gets."""
    suite: str = ""
    """Of what is not done unless its suite, or its name, is asked for."""


def _plus() -> Call:
    import tessella as ts

    a = ts.ones(10)
    return lambda: a + a


def _plus_recorded() -> Call:
    import tessella as ts

    a = ts.ones(10).requires_grad_()
    return lambda: a + a


def _function(name: str) -> Callable[[], Call]:
    """A small function of the public namespace, by its name."""

    def make() -> Call:
        import tessella as ts
        from tessella.nn import functional as F

        a, b = ts.ones((4, 4)), ts.ones(4)
        calls: dict[str, Call] = {
            "add": lambda: ts.add(a, b),
            "maximum": lambda: ts.maximum(a, 0.0),
            "sum": lambda: ts.sum(a, axis=1),
            "reshape": lambda: ts.reshape(a, (16,)),
            "where": lambda: ts.where(a, a, 0.0),
            "relu": lambda: F.relu(a),
            "linear": lambda: F.linear(a, a, b),
            "loss": lambda: F.mse_loss(a, a),
        }
        return calls[name]

    return make


def _times_number() -> Call:
    import tessella as ts

    a = ts.ones(10)
    return lambda: a * 2.0


def _sum() -> Call:
    import tessella as ts

    a = ts.ones(10)
    return lambda: a.sum()


def _product() -> Call:
    import tessella as ts

    a, b = ts.ones((10, 10)), ts.ones((10, 10))
    return lambda: a @ b


def _softmax() -> Call:
    import tessella as ts
    from tessella.nn import functional as F

    a = ts.ones((10, 10))
    return lambda: F.softmax(a, -1)


def _index() -> Call:
    import tessella as ts

    a = ts.ones((10, 10))
    return lambda: a[1:, ::2]


def _step(name: str, compiled: bool = True, **arguments: Any) -> Callable[[], Call]:
    """A step of `works.own`, by its name there."""

    def make() -> Call:
        import own

        import tessella as ts

        step, data = getattr(own, name)(**arguments)
        if compiled:
            step = ts.jit(step)
        return lambda: step(*data)

    return make


def _compiled_plus_one() -> Call:
    import tessella as ts

    plus_one, x = ts.jit(lambda x: x + 1), ts.ones(10)
    return lambda: plus_one(x)


def _compiled_rebinding() -> Call:
    import tessella as ts

    state, x = [ts.zeros(4) for _ in range(200)], ts.ones(4)

    @ts.jit
    def step(x: Any) -> Any:
        for tensor in state:
            tensor.assign(tensor * 0.5 + x)
        return x * 2.0

    return lambda: step(x)


def _import() -> float:
    start = time.perf_counter()
    import tessella  # noqa: F401

    return time.perf_counter() - start


def _first_call(name: str, **arguments: Any) -> Callable[[], float]:
    def measure() -> float:
        call = _step(name, **arguments)()
        start = time.perf_counter()
        float(call())  # type: ignore[arg-type]
        return time.perf_counter() - start

    return measure


WORKS = {
    "add": Work("a + a, ten numbers", _plus, pinned=True),
    "add-recorded": Work("a + a, recorded", _plus_recorded, pinned=True),
    "times": Work("a * 2.0", _times_number, pinned=True),
    "sum": Work("a.sum()", _sum, pinned=True),
    "f-add": Work("ts.add(a, b)", _function("add"), pinned=True),
    "f-maximum": Work("ts.maximum(a, 0.0)", _function("maximum"), pinned=True),
    "f-sum": Work("ts.sum(a, axis=1)", _function("sum"), pinned=True),
    "f-reshape": Work("ts.reshape(a, (16,))", _function("reshape"), pinned=True),
    "f-where": Work("ts.where(a, a, 0.0)", _function("where"), pinned=True),
    "f-relu": Work("F.relu(a)", _function("relu"), pinned=True),
    "f-linear": Work("F.linear(a, a, b)", _function("linear"), pinned=True),
    "f-loss": Work("F.mse_loss(a, a)", _function("loss"), pinned=True),
    "product": Work("a @ b, 10×10", _product, pinned=True),
    "softmax": Work("softmax, 10×10", _softmax, pinned=True),
    "index": Work("a[1:, ::2]", _index, pinned=True),
    "mlp-eager": Work("MLP 2-100-100-1, batch 10, train, eager", _step("split", False), pinned=True),
    "mlp": Work("the same compiled: a warm call, one processor", _step("split"), pinned=True, pairs=15),
    "mlp-threads": Work("the same on all processors", _step("split")),
    "plus-one": Work("x + 1 compiled: a warm call", _compiled_plus_one, pinned=True),
    "rebind": Work("200 tensors rebound, compiled: a warm call", _compiled_rebinding, pinned=True),
    "import": Work("import tessella", _import, once=True, pairs=11),
    "first-cold": Work("MLP: first call, empty cache", _first_call("split"), once=True, cold=True),
    "first-warm": Work("MLP: first call, kernels in the cache", _first_call("split"), once=True, pairs=15),
    "gpt-first-cold": Work(
        "GPT 2×384: first call, empty cache", _first_call("gpt", layers=2), once=True, cold=True, pairs=5
    ),
    "gpt": Work("GPT 1×384, T 128, batch 8, AdamW, train", _step("gpt", layers=1), pairs=5),
    "convolution": Work("conv 64→64 3×3, 56×56, batch 8, ReLU", _step("convolution"), pairs=5),
    "cnn": Work("CNN 28×28, batch 64, Adam, train", _step("cnn"), pairs=5),
}  # fmt: skip
WORKS |= {
    name: Work(entry.title, entry.make, pairs=3, suite=entry.suite)
    for name, entry in suites.entries().items()
}


def main(name: str, tree: str) -> None:
    work = WORKS[name]
    if work.pinned and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if work.once:
        _answer(work.make())
    else:
        _take_turns(work.make())
    own = Path(sys.modules["tessella"].__file__ or "").resolve()
    if not own.is_relative_to(Path(tree).resolve()):
        raise SystemExit(f"timed {own}, which is not in {tree}")


def _take_turns(call: Call) -> None:
    """Seconds per call of the blocks of one turn, for each line that comes."""
    calls = _calls_of_a_block(call)
    gc.collect()
    gc.disable()
    _answer(calls)
    for _ in sys.stdin:
        call()
        _answer([_block(call, calls) for _ in range(BLOCKS if calls > 1 else 1)])


def _block(call: Call, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _calls_of_a_block(call: Call) -> int:
    """How often to call it so that a block takes its time; warms up on the way."""
    begin = time.perf_counter()
    seconds = [_block(call, 1)]
    while time.perf_counter() - begin < WARM_UP or len(seconds) < 3:
        seconds.append(_block(call, 1))
    return max(1, round(BLOCK / min(seconds)))


def _answer(found: Any) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

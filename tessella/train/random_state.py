"""The state of all that random numbers come from: ours, Python's and NumPy's."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tessella.random.generator import default


def random_state() -> dict[str, Any]:
    """The state of the default generator, of `random` and of `numpy.random`, as a tree of numbers, text and arrays."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "tessella": list(map(str, default.state)),  # of 64 bits each
        "python": {"version": version, "words": np.array(words, np.uint32), "gauss": gauss},
        "numpy": {
            "kind": kind, "keys": np.array(keys), "position": int(position), "has_gauss": int(has_gauss),
            "gauss": float(cached),
        },
    }  # fmt: skip


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go back to such a state."""
    seed, count = map(int, state["tessella"])
    default.state = seed, count
    python, numpy = state["python"], state["numpy"]
    random.setstate(
        (python["version"], tuple(np.asarray(python["words"]).tolist()), python["gauss"])
    )
    np.random.set_state((
        numpy["kind"], np.asarray(numpy["keys"]), numpy["position"], numpy["has_gauss"], numpy["gauss"],
    ))  # fmt: skip


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Whatever is drawn inside, what is drawn afterwards is as if nothing had been."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)

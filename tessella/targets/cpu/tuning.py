"""Tuning: products are cut in several ways, each is timed, and the fastest is remembered.

The candidates differ in one thing from the best so far: first how the operands are read, then the
block of k, then the size of an item. They take turns, and the shortest time of each counts: what
disturbs a machine only ever makes it slower.
"""

from __future__ import annotations

import ctypes
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tessella.compiler import eager
from tessella.compiler.recipe import RESULT
from tessella.devices.buffer import Buffer
from tessella.targets.cpu.buffers import allocate
from tessella.targets.cpu.lowering import blocking, contraction, tuned
from tessella.targets.cpu.lowering.blocking import IN_PLACE
from tessella.targets.cpu.lowering.tiled_contraction import Product, problem_of, recipe, watched
from tessella.targets.cpu.lowering.tuned import Choice, Problem
from tessella.targets.cpu.products import AHEAD, ON_THE_WAY, WINDOWS

BLOCKS = (96, 128, 192, 256, 352, 512, 768, 1024)
PANELS = (1, 2, 4, 8, 16, 32, 64)
WORTH = 0.97  # of the time before: less is not noise
ROUNDS, LEAST_ROUNDS = 15, 3
SECONDS = 1.0  # about, for all rounds together
SHORT = 5e-4  # seconds; shorter products are called several times for one measurement


@dataclass
class Tuned:
    """What was found for one class of products.

    Units: seconds.
    """

    problem: Problem
    before: float
    after: float
    choice: Choice
    was: Choice = field(repr=False)

    def __str__(self) -> str:
        p, c = self.problem, self.choice
        sizes = f"{p.rows}×{p.depth} @ {p.depth}×{p.columns}"
        many = f"{p.batches} of " if p.batches > 1 else ""
        if c == self.was:
            return f"{many}{sizes} {p.dtype.name}: as it was, {self.before * 1e6:.1f} µs"
        return (
            f"{many}{sizes} {p.dtype.name}: {self.before * 1e6:.1f} -> {self.after * 1e6:.1f} µs; left "
            f"{'in place' if c.left_in_place else 'packed'}, right {c.right}, blocks of {c.most_block}, "
            f"items of {c.row_panels} x {c.column_panels} panels"
        )


def tune_products(products: Sequence[Product]) -> list[Tuned]:
    """Find the best choice for each class of products, and remember it."""
    classes: dict[Problem, Product] = {}
    for product in products:
        classes.setdefault(blocking.shape_class(problem_of(*product.operands())), product)
    found = []
    for known, product in classes.items():
        best = _tuned(known, product)
        if best.choice != best.was:
            tuned.keep(known, best.choice)
        found.append(best)
    forget_recipes()
    return found


def forget_recipes() -> None:
    """Let products be lowered anew."""
    contraction.forget()
    eager.forget()


def _tuned(known: Problem, product: Product) -> Tuned:
    bench = _Bench(product)
    problem = problem_of(*product.operands())
    was = best = tuned.lookup(known) or blocking.choice_for(problem)
    for others in (_readings, _blocks, _items):
        candidates = [best, *(choice for choice in others(problem, best) if choice != best)]
        times = bench.times(candidates)
        fastest = times.index(min(times))
        if times[fastest] < WORTH * times[0]:
            best = candidates[fastest]
    # once more against each other: luck does not last
    before, after = bench.times([was, best])
    return Tuned(problem, before, after, best if after < WORTH * before else was, was)


def _readings(problem: Problem, best: Choice) -> Iterator[Choice]:
    lefts = [True, False] if problem.left_stays and not problem.left_fixed else [False]
    rights = [AHEAD] if problem.right_fixed else [AHEAD, ON_THE_WAY]
    rights += [IN_PLACE] if problem.right_stays and not problem.right_fixed else []
    rights += [WINDOWS] if problem.right_windows and not problem.right_fixed else []
    for left in lefts:
        for right in rights:
            yield best._replace(left_in_place=left, right=right)


def _blocks(problem: Problem, best: Choice) -> Iterator[Choice]:
    for block in BLOCKS:
        if block < 2 * problem.depth:
            yield best._replace(most_block=block)


def _items(problem: Problem, best: Choice) -> Iterator[Choice]:
    if not problem.shared:
        return
    for columns in PANELS:
        yield best._replace(column_panels=columns)
        if best.right == AHEAD:
            for rows in PANELS:
                yield best._replace(row_panels=rows, column_panels=columns)


class _Bench:
    """Times a product cut in several ways, on operands that are all zero."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.addresses: dict[int, int] = {}
        self.held: list[Buffer] = []
        for operand, which in zip(
            product.operands(), (product.left, 1 - product.left), strict=True
        ):
            tables = (operand.batches, operand.places, operand.steps)
            lowest, highest = sum(int(t.min()) for t in tables), sum(int(t.max()) for t in tables)
            itemsize = product.dtype.itemsize
            address = self._memory((highest - lowest + 1) * itemsize)
            self.addresses[which] = address - lowest * itemsize
        nbytes = math.prod(product.result.shape) * product.result.dtype.itemsize
        self.addresses[RESULT] = self._memory(nbytes)

    def _memory(self, nbytes: int) -> int:
        self.held.append(allocate(nbytes))
        ctypes.memset(self.held[-1].address, 0, nbytes)
        return self.held[-1].address

    def times(self, choices: Sequence[Choice]) -> list[float]:
        """The shortest time of one call for each choice; they take turns."""
        runners = [self._runner(choice) for choice in choices]
        start = time.perf_counter()
        runners[0]()
        once = time.perf_counter() - start
        repeats = max(1, int(SHORT / once))
        rounds = int(SECONDS / (once * repeats * len(runners)))
        best = [math.inf] * len(runners)
        for _ in range(max(LEAST_ROUNDS, min(ROUNDS, rounds))):
            for number, run in enumerate(runners):
                start = time.perf_counter()
                for _ in range(repeats):
                    run()
                best[number] = min(best[number], (time.perf_counter() - start) / repeats)
        return best

    def _runner(self, choice: Choice) -> Callable[[], None]:
        """Everything that the product does at each call; what is packed only once is packed."""
        found = recipe(self.product, choice)
        addresses = dict(self.addresses)
        scratch = [allocate(nbytes) for nbytes in found.scratch]
        for number, buffer in enumerate(scratch):
            addresses[RESULT - 1 - number] = buffer.address
        calls = []
        for call in found.calls:
            where = [addresses[place.buffer] + place.offset for place in call.places]
            native = functools.partial(eager.native_call(call), *where)
            native()
            if not (call.packs and self.product.fixed[call.places[0].buffer]):
                calls.append(native)

        def run(_held: object = (scratch, found)) -> None:
            for native in calls:
                native()

        return run


class CpuTuner:
    """Tuning as the contract of devices asks for it."""

    watched = staticmethod(watched)
    tune_products = staticmethod(tune_products)
    forget_recipes = staticmethod(forget_recipes)
    forget = staticmethod(tuned.forget)


TUNER = CpuTuner()

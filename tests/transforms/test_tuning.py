"""Tuning: every way to cut a product gives the product, and what is found is kept and used."""

import re
import subprocess
import sys

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentTypeError
from tessella.targets.cpu import threads, tuning
from tessella.targets.cpu.lowering import blocking, tiled_contraction, tuned


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TESSELLA_CACHE_DIR", str(tmp_path))
    tuned._known.clear()
    tuning.forget_recipes()
    yield tmp_path / "kernels"
    tuned._known.clear()
    tuning.forget_recipes()


def operands(m, k, n):
    random = np.random.default_rng(0)
    return (random.integers(-4, 5, shape).astype(np.float32) for shape in ((m, k), (k, n)))


def product_of(function, *args):
    with tiled_contraction.watched() as found:
        ts.jit(function).graph(*args)
    (product,) = found
    return product


def prefer(product, choice):
    """Let all products like this one be cut so."""
    problem = tiled_contraction.problem_of(*product.operands())
    tuned.keep(blocking.shape_class(problem), choice)
    tuning.forget_recipes()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(100, 130, 120), (13, 90, 33)])
def test_every_candidate_is_the_product(shape, transposed):
    x, y = operands(*shape)
    a = ts.asarray(np.ascontiguousarray(x.T)).T if transposed else ts.asarray(x)
    product = product_of(ts.matmul, a, ts.asarray(y))
    problem = tiled_contraction.problem_of(*product.operands())
    start = blocking.choice_for(problem)
    for reading in tuning._readings(problem, start):
        for block in tuning._blocks(problem, reading):
            for items in (block, *tuning._items(problem, block)):
                prefer(product, items)
                np.testing.assert_array_equal(ts.jit(ts.matmul)(a, ts.asarray(y)).numpy(), x @ y)


def test_what_was_found_is_used_by_later_processes(own_folder):
    x, y = (ts.asarray(v) for v in operands(100, 130, 120))
    product = product_of(ts.matmul, x, y)
    problem = tiled_contraction.problem_of(*product.operands())
    wanted = blocking.choice_for(problem)._replace(most_block=64, right="ahead")
    prefer(product, wanted)
    tuned._known.clear()  # as a new process
    assert blocking.choose(problem) == blocking.cut(problem, wanted)
    assert blocking.choose(problem).block == 44  # three even blocks of 130
    code = (
        "import tessella as ts\nfrom tessella.targets.cpu.lowering import tiled_contraction as t\n"
        "with t.watched() as found: ts.ones((100, 130)) @ ts.ones((130, 120))\n"
        "print(t._Schedule(*found[0].operands(), found[0].groups, None).blocking.block)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "44"
    assert ts.forget_tuning() == 1
    assert not list(own_folder.glob("tuned-*"))
    assert blocking.choose(problem) == blocking.cut(problem, blocking.choice_for(problem))


def test_a_damaged_entry_is_no_choice(own_folder):
    x, y = (ts.asarray(v) for v in operands(100, 130, 120))
    product = product_of(ts.matmul, x, y)
    problem = tiled_contraction.problem_of(*product.operands())
    prefer(product, blocking.choice_for(problem)._replace(most_block=64))
    (entry,) = own_folder.glob("tuned-*")
    entry.write_bytes(b"x" + entry.read_bytes())
    tuned._known.clear()
    assert tuned.lookup(blocking.shape_class(problem)) is None


def test_tuning_changes_no_tensor_and_names_each_class_once():
    weight = ts.tensor(np.ones((64, 64), np.float32), requires_grad=True)
    calls = []

    @ts.jit
    def step(x):
        calls.append(1)
        weight.assign(weight * 2)
        return x @ weight @ weight

    x = ts.ones((64, 64))
    found = ts.tune(step, x)
    assert weight.numpy().max() == 1
    assert len(found.found) == 1
    step(x)
    assert weight.numpy().max() == 2
    assert re.match(r"64×64 @ 64×64 float32: ", str(found))


def test_one_tuning_gives_the_same_bits_on_any_number_of_threads():
    random = np.random.default_rng(0)
    x, y = (ts.asarray(random.standard_normal(s).astype(np.float32)) for s in ((200, 300), (300, 200)))  # fmt: skip
    product = product_of(ts.matmul, x, y)
    start = blocking.choice_for(tiled_contraction.problem_of(*product.operands()))
    prefer(product, start._replace(most_block=100, column_panels=1, right="ahead"))
    found = set()
    for count in (1, 2, 3):
        with threads.limited(count):
            found.add((x @ y).numpy().tobytes())
            found.add(ts.jit(ts.matmul)(x, y).numpy().tobytes())
    assert len(found) == 1


def test_a_function_without_products():
    assert str(ts.tune(lambda x: x + 1, ts.ones(3))).startswith("no product")


def test_what_is_no_function():
    with pytest.raises(
        ArgumentTypeError, match="tune: Tensor was given; expected a function, and its"
    ):
        ts.tune(ts.ones(3))

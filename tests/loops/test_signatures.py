"""Kernels are known on disk by what they are, and not by the text that is made of them."""

import os
import subprocess
import sys

import tessella as ts
from tessella import dtypes
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.loops.signature import signature
from tessella.scalar import expression, operators
from tessella.targets.cpu import engine, kernels

i, n = index_variable("i"), index_variable("n")
X, Y = Pointer("x", dtypes.float32), Pointer("y", dtypes.float32, written=True)


def kernel(value, lanes=16, mask=None, name="k", x=X, parallel=True, rest=1):
    body = Loop(i, n, (Store(Y, i, value, mask),), parallel=parallel, lanes=lanes, rest=rest)
    return Kernel(name, (x, Y), (n,), (body,))


def test_all_that_makes_another_text_makes_another_signature():
    x = load(X, i)
    wide = Pointer("x", dtypes.float64)
    different = [
        kernel(x),
        kernel(x + 1),
        kernel(x + 2),
        kernel(x * 0.0),
        kernel(x * -0.0),
        kernel(x * float("nan")),
        kernel(operators.convert(x, dtypes.int32)),
        kernel(operators.convert(x, dtypes.int8)),
        kernel(x, lanes=8),
        kernel(x, rest=4),
        kernel(x, x=Pointer("x", dtypes.float32, table=True)),
        kernel(x, mask=operators.less(i, 3)),
        kernel(x, name="other"),
        kernel(x, parallel=False),
        kernel(load(wide, i), x=wide),
        kernel(load(X, i + 1)),
    ]
    texts = [signature(one) for one in different]
    assert None not in texts
    assert len(set(texts)) == len(texts)
    assert signature(kernel(load(X, i) + 1)) == texts[1]


def test_operators_of_others_have_none():
    name = "twice_of_a_test"
    twice = expression.Operator(name, 1, evaluate=lambda x: 2 * x, expand=lambda x: x + x)
    try:
        assert signature(kernel(twice(load(X, i)))) is None
    finally:
        del expression.OPERATORS[name]


def test_every_kernel_of_a_network_has_one():
    found = []
    before = kernels.signature
    kernels.module_of.cache_clear()
    kernels.signature = lambda kernel: found.append(before(kernel)) or found[-1]
    try:
        layer = ts.nn.Linear(7, 5)
        step = ts.jit(lambda x: ts.nn.functional.softmax(ts.tanh(layer(x)), -1).sum(axis=0))
        step(ts.ones((3, 7)))
    finally:
        kernels.signature = before
    assert found
    assert all(found)


FOREIGN = """
import tessella as ts
from tessella.scalar import Operator
twice = Operator("twice_of_a_test", 1, evaluate=lambda x: x + x, expand=lambda x: x {sign} x)
function = ts.map(lambda x: twice(x) + 1)
print(function(ts.asarray([3.0] * 50)).tolist()[7])
"""

CODE = """
from tessella.loops import llvm
written = []
before = llvm.to_llvm
llvm.to_llvm = lambda *a: written.append(a) or before(*a)
import tessella as ts
f = ts.jit(lambda x: ts.sin(x).sum(axis=1) * 2.0)
print(f(ts.ones((8, 100))).tolist(), len(written))
"""


def output_of(code, folder):
    environment = {**os.environ, "TESSELLA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def test_operators_that_changed_between_processes_are_compiled_anew(tmp_path):
    """They are defined before the compiler is loaded, and still are nobody's but their author's."""
    assert output_of(FOREIGN.format(sign="+"), tmp_path) == "7.0\n"
    assert output_of(FOREIGN.format(sign="-"), tmp_path) == "1.0\n"


def test_a_second_process_writes_no_text(tmp_path):
    (first, wrote), (second, wrote_again) = (
        output_of(CODE, tmp_path).rsplit(" ", 1) for _ in range(2)
    )
    assert first == second
    assert int(wrote) > 0
    assert int(wrote_again) == 0


def test_the_same_kernel_is_linked_once():
    a, b = (kernel(load(X, i) * 3.5, name="linked_once") for _ in range(2))
    assert kernels.module_of(a).key == kernels.module_of(b).key
    assert kernels.address_of(a) == engine.compile(kernels.module_of(b))["linked_once"]

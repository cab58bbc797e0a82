"""Loop nests as text."""

from tessella import dtypes
from tessella.loops.nest import Carried, Kernel, Loop, Pointer, Store, index_variable, load
from tessella.loops.printer import source
from tessella.scalar import operators
from tessella.scalar.expression import variable

I, J, N, M = (index_variable(name) for name in "ijnm")
X = Pointer("x", dtypes.float32)
Y = Pointer("y", dtypes.float32, written=True)


def lines(*body):
    return source(Kernel("k", (X, Y), (N, M), body)).splitlines()[1:]


def test_what_two_places_are_made_of_is_named_where_its_loop_begins():
    inner = Loop(J, M, (Store(Y, I * M + J, load(X, I * M + J) * 2),))
    assert lines(Loop(I, N, (inner,))) == [
        "  for i in n",
        "    for j in m",
        "      let p0 = i * m + j",
        "      y[p0] = x[p0] * 2.0",
    ]


def test_a_part_of_several_places_is_named_further_out():
    body = Store(Y, I * M + J, load(X, I * M + J * 2))
    assert lines(Loop(I, N, (Loop(J, M, (body,)),))) == [
        "  for i in n",
        "    let p0 = i * m",
        "    for j in m",
        "      y[p0 + j] = x[p0 + j * 2]",
    ]


def test_names_are_given_anew_in_each_loop_that_needs_them():
    read = load(X, I * M)
    loops = [Loop(I, N, (Store(Y, I * M, read),)), Loop(I, M, (Store(Y, I * M, -read),))]
    assert lines(*loops).count("    let p0 = i * m") == 2


def test_sizes_alone_are_named_before_all_loops():
    body = Store(Y, I * (N * M), load(X, J * (N * M)))
    text = lines(Loop(I, N, (Loop(J, M, (body,)),)))
    assert text[0] == "  let p0 = n * m"


def test_what_stands_once_has_no_name():
    assert lines(Loop(I, N, (Store(Y, I + 1, load(X, I + 2)),))) == [
        "  for i in n",
        "    y[i + 1] = x[i + 2]",
    ]


def test_a_place_that_depends_on_a_running_value_has_no_name():
    total = variable("total", dtypes.int64)
    twice = load(X, total * 2) + load(X, total * 2)
    one = variable("value", dtypes.float32)
    carried = (Carried(total, I, total + 1), Carried(one, load(X, I), one + twice))
    assert not any("let" in line for line in lines(Loop(I, N, (), carried=carried)))


def test_masked_reads_say_when_and_what_otherwise():
    value = load(X, I, operators.less(I, M))
    assert lines(Loop(I, N, (Store(Y, I, value),)))[1] == "    y[i] = (x[i] if i < m else 0.0)"

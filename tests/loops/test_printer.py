"""Loop nests as text."""

from tessella import dtypes
from tessella.loops.nest import Carried, Kernel, Loop, Pointer, Store, index_variable, load
from tessella.loops.printer import source
from tessella.scalar import operators
from tessella.scalar.expression import variable

ROW, J, N, M = (index_variable(name) for name in "ijnm")
X = Pointer("x", dtypes.float32)
Y = Pointer("y", dtypes.float32, written=True)


def lines(*body):
    return source(Kernel("k", (X, Y), (N, M), body)).splitlines()[1:]


def test_what_two_places_are_made_of_is_named_where_its_loop_begins():
    inner = Loop(J, M, (Store(Y, ROW * M + J, load(X, ROW * M + J) * 2),))
    assert lines(Loop(ROW, N, (inner,))) == [
        "  for i in n",
        "    for j in m",
        "      let p0 = i * m + j",
        "      y[p0] = x[p0] * 2.0",
    ]


def test_a_part_of_several_places_is_named_further_out():
    body = Store(Y, ROW * M + J, load(X, ROW * M + J * 2))
    assert lines(Loop(ROW, N, (Loop(J, M, (body,)),))) == [
        "  for i in n",
        "    let p0 = i * m",
        "    for j in m",
        "      y[p0 + j] = x[p0 + j * 2]",
    ]


def test_names_are_given_anew_in_each_loop_that_needs_them():
    read = load(X, ROW * M)
    loops = [Loop(ROW, N, (Store(Y, ROW * M, read),)), Loop(ROW, M, (Store(Y, ROW * M, -read),))]
    assert lines(*loops).count("    let p0 = i * m") == 2


def test_sizes_alone_are_named_before_all_loops():
    body = Store(Y, ROW * (N * M), load(X, J * (N * M)))
    text = lines(Loop(ROW, N, (Loop(J, M, (body,)),)))
    assert text[0] == "  let p0 = n * m"


def test_what_stands_once_has_no_name():
    assert lines(Loop(ROW, N, (Store(Y, ROW + 1, load(X, ROW + 2)),))) == [
        "  for i in n",
        "    y[i + 1] = x[i + 2]",
    ]


def test_a_place_that_depends_on_a_running_value_has_no_name():
    total = variable("total", dtypes.int64)
    twice = load(X, total * 2) + load(X, total * 2)
    one = variable("value", dtypes.float32)
    carried = (Carried(total, ROW, total + 1), Carried(one, load(X, ROW), one + twice))
    assert not any("let" in line for line in lines(Loop(ROW, N, (), carried=carried)))


def test_masked_reads_say_when_and_what_otherwise():
    value = load(X, ROW, operators.less(ROW, M))
    assert lines(Loop(ROW, N, (Store(Y, ROW, value),)))[1] == "    y[i] = (x[i] if i < m else 0.0)"


def test_what_a_long_value_uses_several_times_is_named():
    part = load(X, ROW) * 3.0
    value = part
    for _ in range(20):
        value = value * part + part
    text = lines(Loop(ROW, N, (Store(Y, ROW, value),)))
    assert text[1] == "    let v0 = x[i] * 3.0"
    assert text[2].startswith("    y[i] = ") and text[2].count("x[i]") == 0
    assert "let" not in "".join(lines(Loop(ROW, N, (Store(Y, ROW, part + part),))))


def test_running_values_share_the_names_of_their_parts():
    total, other = (variable(name, dtypes.float32) for name in ("total", "other"))
    part = load(X, ROW) * load(X, ROW)
    long = part
    for _ in range(20):
        long = long + part
    carried = (Carried(total, part, total + long), Carried(other, part, other - long))
    text = lines(Loop(ROW, N, (), carried=carried))
    assert sum("let v" in line for line in text) == 3  # what is read, the part, and the long sum
    assert text[-1].startswith("    other <- other - v")

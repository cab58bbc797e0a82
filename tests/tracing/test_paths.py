"""What instructions read, as paths: on every version of Python the same."""

import pytest

from tessella.tracing.paths import accesses


def found(function):
    return [
        (access.kind, str(access.owner), str(access.name))
        for accesses_ in accesses(function.__code__).values()
        for access in accesses_
    ]


def attributes(function):
    return {
        f"{owner}.{name}" if kind == "attribute" else f"{owner}[{name}]"
        for kind, owner, name in found(function)
        if kind in ("attribute", "item")
    }


def test_a_chain_of_attributes_and_items():
    assert attributes(lambda m, i: m.layers[i].weights["a"].scale) == {
        "m.layers", "m.layers[i]", "m.layers[i].weights", "m.layers[i].weights['a']",
        "m.layers[i].weights['a'].scale",
    }  # fmt: skip


def test_methods_and_arguments():
    calls = [
        (owner, tuple(map(str, access.arguments)))
        for accesses_ in accesses((lambda m, x: m.forward(x, m.k, key=m.q)).__code__).values()
        for access in accesses_
        if access.kind == "call"
        for owner in [str(access.owner)]
    ]
    assert calls == [("m.forward", ("x", "m.k", "m.q"))]


def test_both_sides_of_a_branch():
    def f(m, x):
        if m.flag:
            y = m.a.k
        else:
            y = m.b.k
        return y * (m.c if x else m.d).k

    assert {"m.flag", "m.a.k", "m.b.k", "m.c", "m.d"} <= attributes(f)
    # of one of two: unknown, unless Python has written the end twice
    assert "....k" in attributes(f) or {"m.c.k", "m.d.k"} <= attributes(f)


def test_loops_comprehensions_and_exceptions():
    def f(m, xs):
        try:
            for x in m.items:
                m.n += x.k
        except ValueError:
            return m.other
        finally:
            m.last.done = True
        return [x.z for x in m.rest]

    kinds = {(kind, owner, name) for kind, owner, name in found(f)}
    assert ("whole", "m.items", "None") in kinds
    assert ("attribute", "x", "k") in kinds
    assert ("set attribute", "m", "n") in kinds
    assert ("attribute", "m", "other") in kinds
    assert ("set attribute", "m.last", "done") in kinds
    assert ("whole", "m.rest", "None") in kinds


def test_with_blocks_and_matching():
    def f(m):
        with m.lock as held:
            held.k
        match m.mode:
            case {"a": value}:
                return value
            case [first, *_]:
                return first

    assert {"m.lock", "held.k", "m.mode"} <= attributes(f)
    assert ("whole", "m.mode", "None") in found(f)


def test_writes():
    def f(m, d):
        global COUNT
        m.a.b = 1
        d["k"][0] = 2
        COUNT = 3
        del m.c
        del d["z"]

    assert {(kind, owner) for kind, owner, _ in found(f) if kind.startswith(("set", "delete"))} == {
        ("set attribute", "m.a"), ("set item", "d['k']"), ("set global", "COUNT"), ("delete attribute", "m"),
        ("delete item", "d"),
    }  # fmt: skip


@pytest.mark.parametrize("count", [3, 300])
def test_long_code_has_long_jumps(count):
    """Instructions whose arguments need more than one byte."""
    names = [f"name{i}" for i in range(count)]
    lines = [f"        y += m.{name}.k" for name in names]
    scope = {}
    exec(
        "\n".join(["def f(m, x, y=0):", "    while x:", *lines, "        x -= 1", "    return y"]),
        scope,
    )
    assert {f"m.{name}.k" for name in names} <= attributes(scope["f"])


def test_all_of_the_library_can_be_walked():
    import argparse, inspect, typing  # noqa: E401, I001

    for module in (argparse, inspect, typing):
        for value in vars(module).values():
            if inspect.isfunction(value):
                accesses(value.__code__)

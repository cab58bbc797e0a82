"""`TESSELLA_DEBUG`: what each rung shows, and on which stream."""

import pytest

import tessella as ts
from tessella import errors


def softened(x):
    return ts.exp(x * 2.0).sum(axis=1)


def shown(monkeypatch, capsys, level):
    monkeypatch.setenv("TESSELLA_DEBUG", str(level))
    ts.jit(softened)(ts.ones((4, 32)))
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


PARTS = {
    1: "tessella: softened: trace 1, because it is the first call: 1 native call of 1 kernel, ",
    2: "--- softened: after fuse\ngraph(argument: float32[4,32])",
    3: "--- softened: loops\nkernel fused_multiply_exp_sum",
    4: "--- softened: llvm\n",
    5: "--- softened: asm\n",
}


@pytest.mark.parametrize("level", range(6))
def test_each_rung_shows_what_is_below_it_too(monkeypatch, capsys, level):
    text = shown(monkeypatch, capsys, level)
    assert [rung for rung, part in PARTS.items() if part in text] == list(range(1, level + 1))
    assert bool(text) == (level > 0)


def test_the_first_rung_is_one_line_with_every_stage(monkeypatch, capsys):
    (line,) = shown(monkeypatch, capsys, 1).splitlines()
    for stage in ("trace", "simplify", "fuse", "lower", "plan memory", "machine code"):
        assert f"{stage} " in line
    assert line.endswith("ms in all")


def test_passes_that_change_nothing_are_told_in_a_line(monkeypatch, capsys):
    text = shown(monkeypatch, capsys, 2)
    assert "--- softened: as traced\ngraph(" in text
    assert "--- softened: after remove_dead_code: unchanged\n" in text


def test_retraces_and_backward_programs_say_why(monkeypatch, capsys):
    monkeypatch.setenv("TESSELLA_DEBUG", "1")
    f = ts.jit(softened)
    f(ts.ones((4, 32)))
    f(ts.ones((2, 32)))
    f(ts.ones((2, 32)).requires_grad_()).sum().backward()
    lines = capsys.readouterr().err.splitlines()
    assert "trace 2, because argument 0 is float32[2, 32] now, it was float32[4, 32]" in lines[1]
    assert "tessella: softened, backward: trace 1, because its gradients are asked for" in lines[3]


@pytest.mark.parametrize("value", ["6", "-1", "yes", "", "1.5"])
def test_nonsense_is_refused(monkeypatch, value):
    monkeypatch.setenv("TESSELLA_DEBUG", value)
    with pytest.raises(
        errors.ConfigurationError, match=r"TESSELLA_DEBUG is '.*'; expected a whole"
    ):
        ts.jit(softened)(ts.ones((4, 32)))

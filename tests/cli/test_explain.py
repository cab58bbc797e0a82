"""`tessella explain`, and what `jit` shows of a program."""

import pytest
from typer.testing import CliRunner

import tessella as ts
from tessella import errors
from tessella.cli.app import app

CODE = """
import tessella as ts

@ts.jit
def step(x, y):
    return (x @ y).sum(axis=0), ts.argsort(x)

def plain(i):
    return i + 1

number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(CODE)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_kernels_with_their_figures(file, tmp_path):
    page = tmp_path / "page.html"
    result = run(f"{file}:step", "--shape", "64,32", "--shape", "32,48", "--html", page)
    assert result.exit_code == 0, result.output
    for part in (
        "native calls",
        "GFLOP/s",
        "product float32[64,32]",
        "train.py:6 in step",
        "by NumPy",
    ):
        assert part in result.output, part
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "product" in text


def test_source_of_a_plain_function(file):
    result = run(f"{file}:plain", "--shape", "int64:5", "--source", "loops")
    assert result.exit_code == 0
    assert "kernel fused_add(x0: int64" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{file}"], "expected FILE:FUNCTION"),
        (["nowhere.py:step"], "there is no file 'nowhere.py'"),
        (["{file}:number"], "has no function 'number'"),
        (["{file}:plain", "--shape", "3,x"], "cannot be read"),
        (["{file}:plain", "--shape", "3", "--source", "pictures"], "'loops', 'llvm' or 'asm'"),
        (["{file}:plain", "--shape", "3", "--html", "/nowhere/page.html"], "cannot be written"),
    ],
)
def test_bad_input(file, arguments, message):
    result = run(*[argument.format(file=file) for argument in arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_explaining_changes_nothing():
    weight = ts.ones(3)

    @ts.jit
    def f(x):
        weight.assign(weight * 2.0 + x)
        return weight.sum()

    f(ts.ones(3))
    before = weight.numpy().copy()
    found = f.explain()
    assert found.rows
    assert found.seconds > 0
    assert "it is the first call" in str(found)
    assert (weight.numpy() == before).all()


@pytest.mark.parametrize("kind", ["graph", "loops", "llvm", "asm"])
def test_sources(kind):
    f = ts.jit(lambda x: ts.exp(x) + 1.0)
    text = f.source(kind, ts.ones(100))
    part = {
        "graph": "exp_add",
        "loops": "kernel fused_exp_add",
        "llvm": "define void",
        "asm": ".globl",
    }
    assert part[kind] in text


def test_unknown_source():
    with pytest.raises(errors.ArgumentError, match="'pictures'; expected 'graph'"):
        ts.jit(lambda x: x).source("pictures")

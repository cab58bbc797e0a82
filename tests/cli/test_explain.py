"""`tessella explain`, and what `jit` shows of a program."""

import json

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
        "product\n        float32[64,32], float32[32,48]\n",
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


# --- what ran where, and why ------------------------------------------------------------------


def rows_of(function, *arguments):
    return {row.name: row for row in ts.jit(function).explain(*arguments).rows}


def test_fusion_says_why_kernels_are_apart():
    def f(x):
        y = ts.exp(x).sum(axis=1)
        return ts.exp(y) + ts.sin(y).sum()

    rows = rows_of(f, ts.ones((64, 32)))
    (first,) = [row for name, row in rows.items() if name.startswith("fused_exp_sum")]
    assert "operations in loops over (64, 32) reduced over 1" in first.note
    apart = [row.note for row in rows.values() if "apart from " in row.note]
    assert any("it walks other loops: " in note for note in apart)


def test_products_and_what_is_done_as_they_are_stored():
    rows = rows_of(lambda x: ts.relu(x @ x + 1.0), ts.ones((64, 64)))
    (product,) = [row for name, row in rows.items() if name.startswith("product")]
    assert product.name == "product + epilogue_add_relu"
    assert product.note.startswith("a product: a kernel of its own, in packed tiles; as each block")
    assert "2 operations in loops over (64, 64)" in product.note


def test_cheap_operations_that_are_done_again():
    def f(x):
        y = x * 2.0
        return ts.exp(y).sum(axis=0), ts.sin(y).sum(axis=1)

    notes = " ".join(row.note for row in rows_of(f, ts.ones((100, 200))).values())
    assert "1 of them so cheap (at most 4 steps) that each reader does them" in notes


def test_what_ran_where(capsys):
    def f(x):
        ts.debug.print("not printed by a measurement {}", x.sum())
        return ts.argsort(x), ts.exp(x).T

    x = ts.ones((8, 4))
    compiled = ts.jit(f)
    found = compiled.explain(x)
    ran = {row.name: row.ran for row in found.rows}
    assert ran["ArgSort"] == "NumPy"
    assert ran["debug.print"] == "Python"
    assert ran["fused_exp"] == "1 thread"
    text = str(found)
    assert "by NumPy, between native calls: 1" in text
    assert "effects in Python, between native calls: 1" in text
    assert "an effect: Python does it, in its turn" in text
    assert "views, which may cost nothing: 1 (Permute)" in text
    assert capsys.readouterr().out == ""


def test_retraces_are_told():
    f = ts.jit(lambda x: x + 1.0)
    f(ts.ones(3))
    f(ts.ones(4))
    told = " ".join(str(f.explain()).split())  # lines are broken after 80 columns
    assert "2. argument 0 is float32[4] now, it was float32[3]" in told


def test_the_page_has_the_picture(tmp_path):
    page = tmp_path / "page.html"
    ts.jit(lambda x: ts.exp(x) @ x).explain(ts.ones((8, 8)), html=page)
    text = page.read_text()
    assert '<svg class="tessella-graph"' in text
    assert "[8,8] × [8,8] → float32[8,8]" in text
    assert "a product: a kernel of its own" in text


def test_epilogues_are_among_the_sources():
    f = ts.jit(lambda x: ts.relu(x @ x + 1.0))
    assert "epilogue_add_relu" in f.source("loops", ts.ones((64, 64)))
    assert "epilogue_add_relu" in f.source("llvm")


# --- tessella profile ---------------------------------------------------------------------------


def profile(*arguments):
    return CliRunner().invoke(app, ["profile", *map(str, arguments)])


def test_profile(file, tmp_path):
    trace = tmp_path / "trace.json"
    shapes = ("--shape", "64,32", "--shape", "32,48")
    result = profile(f"{file}:step", *shapes, "--calls", 3, "--out", trace)
    assert result.exit_code == 0, result.output
    for part in ("events", "product\n        float32[64,32]", "ArgSort", "train.py:6 in step"):
        assert part in result.output, part
    assert "compile" not in result.output
    found = json.loads(trace.read_text())["traceEvents"]
    assert sum(event["name"] == "step" for event in found) == 3
    first = profile(f"{file}:step", *shapes, "--calls", 1, "--first")
    assert "compile  trace step" in first.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py:step"], "profile: there is no file 'nowhere.py'"),
        (
            ["{file}:plain", "--shape", "3", "--calls", "0"],
            "expected a whole number from 1 to 1,000,000",
        ),
        (["{file}:plain", "--shape", "3", "--out", "/nowhere/t.json"], "cannot be written"),
    ],
)
def test_bad_input_to_profile(file, arguments, message):
    result = profile(*[argument.format(file=file) for argument in arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_arithmetic_is_held_against_the_peak_of_its_dtype(monkeypatch):
    from tessella.targets.cpu import limits

    peaks = {ts.float32: 2e9, ts.float64: 1e9}
    monkeypatch.setattr(
        limits.CpuLimits, "multiply_adds_per_second", lambda self, dtype: peaks[dtype]
    )
    monkeypatch.setattr(limits.CpuLimits, "bytes_per_second", lambda self: 1e15)
    x, y = ts.ones((32, 64), dtype=ts.float64), ts.ones((64, 48), dtype=ts.float64)
    product = ts.jit(lambda x, y: x @ y)
    found = product.explain(x, y)
    assert sum(row.limit for row in found.rows) == pytest.approx(2 * 32 * 64 * 48 / 1e9)
    assert "1 GFLOP/s in float64" in str(found)
    assert "float32" not in str(dict(found.facts())["limits of this machine"])
    narrow = product.explain(x.astype(ts.float32), y.astype(ts.float32))
    assert sum(row.limit for row in narrow.rows) == pytest.approx(32 * 64 * 48 / 1e9)


@pytest.mark.parametrize("dtype", [ts.float32, ts.float64])
def test_the_peak_is_measured_by_multiply_adds(dtype):
    from tessella.targets.cpu import limits, machine

    run, operations = limits.multiply_adds(100, dtype)
    assert operations == 2 * limits.CHAINS * 100 * machine.vector_bytes() / dtype.itemsize
    run(3)
    assert limits.LIMITS.multiply_adds_per_second(dtype) > 1e8


def test_calls_of_one_operation_share_its_work_by_their_time():
    x = ts.ones((1 << 20,))
    rows = ts.jit(lambda x: x.sum()).explain(x).rows  # chunks, then their sums
    assert len(rows) == 2
    assert sum(row.nbytes for row in rows) == pytest.approx(4 * (1 << 20) + 4)
    rates = [row.nbytes / row.seconds for row in rows]
    assert rates[0] == pytest.approx(rates[1])


# --- eighty columns, and limits that are not to be believed -------------------------------------------


def widths(text):
    return max(map(len, text.splitlines()))


def test_eighty_columns(tmp_path):
    folder = tmp_path / "a_folder_with_a_name_that_is_long" / "and_another_one_that_is_no_shorter"
    folder.mkdir(parents=True)
    file = folder / "train.py"
    file.write_text(
        "import tessella as ts\n"
        "weights = [ts.ones((300, 300)) for _ in range(8)]\n"
        "def a_function_whose_name_is_so_long_that_no_column_could_ever_hold_it_in_a_terminal(x):\n"
        "    for w in weights:\n"
        "        x = ts.tanh(ts.exp(ts.sin(x @ w) * 2.0 + 1.0).sqrt() - x.sum(axis=1, keepdims=True))\n"
        "    ts.debug.print('{} {}', x.sum(), x.max())\n"
        "    return ts.argsort(x), x[ts.argmax(x, axis=1)], ts.concat([x, x, x, x, x]).sum()\n"
    )
    name = "a_function_whose_name_is_so_long_that_no_column_could_ever_hold_it_in_a_terminal"
    for command in (run, profile):
        result = command(f"{file}:{name}", "--shape", "300,300")
        assert result.exit_code == 0, result.output
        assert widths(result.output) <= 80
        assert f"train.py:5 in {name}"[-60:] in result.output  # the end of a path says most


def test_effects_have_no_figures(monkeypatch):
    @ts.jit
    def f(x):
        ts.debug.print("{}", x)
        return x * 2.0

    found = f.explain(ts.ones((1 << 10, 1 << 8)))
    (effect,) = [row for row in found.rows if row.name == "debug.print"]
    assert effect.of_the_limit == "not timed"
    (line,) = [line for line in str(found).splitlines() if line.endswith("debug.print")]
    assert line.split() == ["–", "–", "1", "–", "–", "not", "timed", "debug.print"]


@pytest.fixture
def disturbed(monkeypatch):
    """A machine whose limits were measured while somebody else had it: at a ten thousandth."""
    from tessella.targets.cpu import limits

    for rate in (limits._peak(ts.float32), limits._copies):
        right = rate()
        monkeypatch.setattr(rate, "_known", right * 1e-4)
        monkeypatch.setattr(rate, "_measure", lambda right=right: right * 10)  # whatever comes now
    return limits.LIMITS


def test_a_disturbed_measurement_is_made_again(disturbed):
    before = disturbed.multiply_adds_per_second(ts.float32)
    found = ts.jit(lambda x: ts.exp(x @ x)).explain(ts.ones((128, 128)))
    assert disturbed.multiply_adds_per_second(ts.float32) > 1000 * before
    assert all(row.reached <= 1.0 for row in found.rows if row.bound == "FMA")
    for text in (str(found), found._repr_html_()):
        assert ">100%" not in text


@pytest.mark.parametrize(
    ("flops", "nbytes", "text"),
    [
        (0.5e9, 1e3, "50% FMA"),
        (1.02e9, 1e3, "100% FMA"),  # as exactly as anything is measured
        (17.61e9, 1e3, ">100% FMA"),
        (1e3, 0.25e9, "25% memory"),
        (1e3, 3e9, ">100% memory"),
        (1e3, 2e4, "in cache"),
    ],
)
def test_what_is_said_of_the_limit(monkeypatch, flops, nbytes, text):
    from tessella.debug.explanation import Row
    from tessella.targets.cpu import limits, machine

    monkeypatch.setattr(limits.CpuLimits, "multiply_adds_per_second", lambda self, dtype: 1e9)
    monkeypatch.setattr(limits.CpuLimits, "bytes_per_second", lambda self: 1e9)
    monkeypatch.setattr(machine, "cache_bytes", lambda level, default: 1 << 20)
    seconds = 1e-6 if text == "in cache" else 1.0
    row = Row("a kernel", "", None, 1, seconds, flops * seconds, nbytes)
    assert row.of_the_limit == text


@pytest.mark.parametrize(
    ("function", "shapes", "said"),
    [
        ("step", (), "step takes (x, y), and 0 shapes were given (missing a required argument: 'x'); give one for each"),
        ("step", ("--shape", "3"), "and 1 shape was given (missing a required argument: 'y')"),
        ("plain", ("--shape", "3", "--shape", "3"), "plain takes (i), and 2 shapes were given (too many positional"),
    ],
)  # fmt: skip
def test_shapes_that_are_not_as_many_as_the_arguments(file, function, shapes, said):
    for command in ("explain", "profile"):
        result = CliRunner().invoke(app, [command, f"{file}:{function}", *shapes])
        assert result.exit_code == 2
        assert said in result.output.replace("\n", " ")


def test_a_function_of_no_arguments_is_called_first(file):
    file.write_text("import tessella as ts\n\ndef nothing():\n    return ts.ones((3, 4)).sum()\n")
    result = run(f"{file}:nothing")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("nothing\n  traced: 1")


def test_guards_do_not_speak_of_what_is_around_the_functions_of_ts():
    text = str(ts.jit(lambda x: ts.nn.functional.relu(ts.exp(x)).sum()).explain(ts.ones(3)))
    guards = text.split("guards:")[1].split("native calls")[0]
    assert "settle" not in guards
    assert "call is" not in guards
    assert "ts is a module" in guards

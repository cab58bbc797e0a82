"""Whatever the terminal, the disk and the options: one line, no traceback, no half of a file."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tessella import errors, files
from tessella.cli import guard
from tessella.cli.app import app

COMMAND = [sys.executable, "-W", "error", "-c", "from tessella.cli import main; main()"]
CODE = """
import tessella as ts

@ts.jit
def step(x):
    return (x * 2.0).sum()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(CODE)
    return path


def run(*arguments, before=None, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], check=False, preexec_fn=before, timeout=120, **options
    )


def step(file, command, *more):
    return [command, f"{file}:step", "--shape", "64,64", *more]


# --- terminals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "command"), [("ascii", "demo"), ("ascii", "explain"), ("latin-1", "explain")]
)
def test_terminals_without_all_signs(encoding, command, file, tmp_path):
    arguments = ["demo", "--epochs", 1, "--out", tmp_path]
    if command == "explain":
        arguments = step(file, "explain")
    done = run(*arguments, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    shown = done.stdout.decode(encoding)
    micro = "µs" if encoding == "latin-1" else "us"
    assert {"demo": " not ", "explain": micro}[command] in shown
    assert "?" not in shown


def test_every_sign_has_a_look_alike():
    for sign in "▀▄█▁▂▃▅▆▇·×≤≥→−–—µ∞≈…²³½éÄ":
        error = UnicodeEncodeError("ascii", sign, 0, 1, "ordinal not in range(128)")
        text, end = guard._look_alikes(error)
        assert (text.isascii(), "?" in text, end) == (True, False, 1), sign
    error = UnicodeEncodeError("utf-8", "a\udcffb", 1, 2, "surrogates not allowed")
    assert guard._look_alikes(error) == ("?", 2)


def test_names_with_brackets_are_no_markup(tmp_path):
    folder = tmp_path / "[red]" / "[/b]"
    folder.mkdir(parents=True)
    result = CliRunner().invoke(app, ["course", "manual", "--png", str(folder / "a.png")])
    assert result.exit_code == 0, result.output
    assert "[red]/[/b]/a.png" in result.output.replace("\n", "")
    missing = CliRunner().invoke(app, ["explain", str(folder / "none.py") + ":f"])
    assert "[red]/[/b]/none.py" in missing.output.replace("\n", "")


# --- streams that take no more ----------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["help", "explain", "manual"])
def test_output_that_cannot_be_written(command, file):
    arguments = {
        "help": ["course", "fast", "--help"],
        "explain": step(file, "explain"),
        "manual": ["course", "manual"],
    }[command]
    with open("/dev/full", "wb") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"error: the output cannot be written (No space left on device)\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_not_even_the_complaint_can_be_written():
    with open("/dev/full", "wb") as full:
        assert run("explain", "none.py:f", stdout=full, stderr=full).returncode in (1, 2)


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams")
def test_closed_streams():
    done = run("--version", before=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves(file):
    process = subprocess.Popen(
        [*COMMAND, *step(file, "explain", "--source", "llvm")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
@pytest.mark.parametrize("command", ["profile", "manual"])
def test_files_on_a_full_disk(command, file, tmp_path):
    """A limit on the size of files stands for the disk."""
    import resource

    place = tmp_path / "out"
    place.mkdir()
    arguments = {
        "profile": step(file, "profile", "--calls", 2, "--out", place / "trace.json"),
        "manual": ["course", "manual", "--png", place / "picture.png"],
    }[command]
    run(*arguments)  # compiles what it needs
    (before,) = place.iterdir()
    content = before.read_bytes()
    done = run(*arguments, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)))
    assert done.returncode != 0
    assert b"File too large" in done.stderr
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert str(place).encode() in done.stderr
    assert list(place.iterdir()) == [before]
    assert before.read_bytes() == content


def test_a_report_that_cannot_be_written_costs_no_figures(tmp_path, monkeypatch):
    def full(path, data):
        if data:
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "write", full)
    monkeypatch.setattr("pathlib.Path.unlink", lambda path: None)
    result = CliRunner().invoke(app, ["demo", "--epochs", "1", "--json", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "the report could not be written" in result.stderr
    found = json.loads(result.stdout)
    assert found["report"] is None
    assert found["epochs"] == 1


# --- what is asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["course", "manual", "--points", 100000000000], "from 2 to 1,000,000"),
        (["course", "fast", "--points", 100000000000], "from 2 to 1,000,000"),
        (["course", "fast", "--hidden", 100000000000], "from 1 to 10,000"),
        (["course", "fast", "--epochs", 10**12], "from 1 to 1,000,000,000"),
        (["course", "scalar", "--hidden", 100000], "from 1 to 300"),
        (["course", "parallel", "--size", 10**9], "from 1 to 20,000"),
        (["course", "parallel", "--size", 0], "from 1 to 20,000"),
        (["profile", "a.py:f", "--calls", 10**12], "from 1 to 1,000,000"),
        (["demo", "--points", 100000000000], "No such option"),
    ],
)  # fmt: skip
def test_more_than_can_be_is_refused(arguments, expected):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (errors.ArgumentError("one line"), 2, "error: one line\n"),
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 1, "error: there is not enough memory; ask for less\n"),
        (PermissionError(13, "Permission denied", "a.py"), 1, "error: a.py cannot be used (Permission denied)\n"),
        (OSError(28, "No space left on device"), 1, "error: the output cannot be written (No space left on device)\n"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
        (TimeoutError("timed out"), 1, "error: timed out\n"),
        (SystemExit("in words"), 1, "error: in words\n"),
        (SystemExit(3), 3, ""),
        (SystemExit(), 0, ""),
    ],
)  # fmt: skip
def test_how_a_command_ends(error, status, text, capsys):
    def command():
        raise error

    with pytest.raises(SystemExit) as ended:
        guard.guarded(command)
    assert ended.value.code == status
    assert capsys.readouterr().err == text


def test_mistakes_in_the_users_code_are_shown():
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guard.guarded(command)

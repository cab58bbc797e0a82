"""`debug.breakpoint`: where it stops, and what is to be seen there."""

import subprocess
import sys
import textwrap

import pytest

import tessella as ts


@pytest.fixture
def stops(monkeypatch):
    """The frames in which a debugger would have been opened: file, line, function, variables."""
    found = []

    def hook():
        frame = sys._getframe(1)
        found.append(
            (frame.f_code.co_filename, frame.f_code.co_name, {**frame.f_locals}, frame.f_globals)
        )

    monkeypatch.setattr(sys, "breakpointhook", hook)
    return found


def test_values_of_this_call_in_a_compiled_function(stops):
    @ts.jit
    def f(x):
        y = x + 1.0
        ts.debug.breakpoint(y=y, pair=[x, "text"])
        return y * 2

    for number in (0.0, 5.0):
        f(ts.full((2,), number))
    assert len(stops) == 2
    for (file, function, variables, namespace), number in zip(stops, (0.0, 5.0), strict=True):
        assert (file, function) == (__file__, "f")
        assert namespace is globals()
        assert variables["y"].tolist() == [number + 1] * 2
        assert variables["pair"][0].tolist() == [number] * 2
        assert variables["pair"][1] == "text"


def test_all_variables_without_arguments(stops):
    outside = ts.ones(3)

    @ts.jit
    def f(x):
        name, parts = "text", {"double": x * 2}
        ts.debug.breakpoint()
        return parts["double"] + outside.sum() + len(name)

    f(ts.ones(2))
    variables = stops[0][2]
    assert variables["name"] == "text"
    assert variables["x"].tolist() == [1.0, 1.0]
    assert variables["parts"]["double"].tolist() == [2.0, 2.0]
    assert variables["outside"].tolist() == [1.0] * 3  # from outside, and not touched yet


def test_outside_of_compiled_functions_with_a_hook(stops):
    number = 3
    ts.debug.breakpoint(y=ts.ones(1))
    file, function, variables, _ = stops[0]
    assert (file, function) == (__file__, "test_outside_of_compiled_functions_with_a_hook")
    assert variables["number"] == number
    assert variables["y"].tolist() == [1.0]


def test_compiled_functions_can_be_called_from_a_breakpoint(monkeypatch):
    """They run as they are written: their programs are not done yet."""
    results = []

    @ts.jit
    def f(x):
        ts.debug.breakpoint(x=x)
        return x * 2

    def hook():
        if not results:
            results.append(None)
            results.append(f(ts.full((2,), 7.0)))

    monkeypatch.setattr(sys, "breakpointhook", hook)
    assert f(ts.ones(2)).tolist() == [2.0, 2.0]
    assert results[1].tolist() == [14.0, 14.0]


def test_python_can_switch_it_off(tmp_path):
    done = run(tmp_path, "", PYTHONBREAKPOINT="0")
    assert done.stdout.splitlines() == ["tensor([5., 5.])"]


def test_the_debugger_itself(tmp_path):
    """pdb shows the user's line and variables, and steps out to the user's next line."""
    # in a frame that is there, pdb of Python 3.13 stops at the line that opens it, and before that at the next
    steps = "next\n" * (2 if sys.version_info >= (3, 13) else 1)
    first = "p 'y is', y\np 'other' in dir()\ncontinue\n"
    done = run(tmp_path, f"{first}p 'z is', z\n{steps}p 'after', after\nc\n")
    shown = done.stdout
    assert f"{tmp_path}/program.py(6)f()\n-> ts.debug.breakpoint(y=y)" in shown
    assert "('y is', tensor([2., 2.]))" in shown
    assert f"{tmp_path}/program.py(12)main()" in shown
    assert "('z is', tensor([5., 5.]))" in shown
    assert "('after', 4)" in shown
    assert shown.splitlines()[-1].endswith("tensor([5., 5.])")


PROGRAM = """
    import tessella as ts

    @ts.jit
    def f(x):
        y = x + 1.0
        ts.debug.breakpoint(y=y)
        return y + 3.0

    def main():
        z = f(ts.ones(2))
        ts.debug.breakpoint()
        after = 4
        print(z)

    main()
"""


def run(folder, commands, **environment):
    import os

    path = folder / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).lstrip())
    return subprocess.run(
        [sys.executable, str(path)],
        input=commands,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(ts.__file__)),
             **environment},
    )  # fmt: skip

"""Every file imports what stands below it, and none needs itself by way of others."""

import re

import pytest

from tests import strata
from tests.strata import OFFENCES, PACKAGE, ROOT, Package


@pytest.fixture(scope="module")
def arrows():
    return Package(ROOT / PACKAGE).arrows()


@pytest.fixture(scope="module")
def allowed():
    return strata.listed(OFFENCES.read_text(encoding="utf-8"))


def test_nothing_imports_what_stands_above_it(arrows, allowed):
    new = [
        arrow
        for arrow in strata.upward(arrows)
        if (arrow.source, arrow.target) not in allowed.upward
    ]
    assert not new, "\n".join(strata.told_of_an_arrow(arrow) for arrow in new)


def test_no_file_needs_itself_by_way_of_others(arrows, allowed):
    new = [
        circle
        for circle in strata.circles(arrows)
        if not any(set(circle) <= set(before) for before in allowed.circles)
    ]
    assert not new, "\n".join(strata.told_of_a_circle(circle, arrows) for circle in new)


def test_the_list_of_offences_has_none_that_is_gone(arrows, allowed):
    now = strata.offences(arrows)
    gone = strata.Offences(allowed.upward - now.upward, allowed.circles - now.circles)
    assert gone == (frozenset(), frozenset()), (
        f"take these out of {OFFENCES.name}: `python -m tests.strata --shorten`\n{strata.rows(gone)}"
    )


def test_the_list_is_written_as_it_would_be_again(allowed):
    assert OFFENCES.read_text(encoding="utf-8") == strata.written(allowed)


def test_the_architecture_shows_this_order():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"```text\n{strata.shown()}\n```" in text, (
        "docs/architecture.md shows other strata than `STRATA` in tests/strata.py; it is to have the block\n"
        f"{strata.shown()}"
    )


def test_all_that_a_stratum_holds_is_there_or_is_its_folder_to_be():
    stray = [
        path
        for stratum in strata.STRATA
        for path in stratum.holds.split()
        if not (ROOT / PACKAGE / path).exists() and path != stratum.name
    ]
    assert stray == []


def test_nobody_but_the_registry_names_a_target():
    """Not even for type checkers, or in words: what is needed of a device is in its contract."""
    names = re.compile(
        r"tessella\.targets\.(?!\{)|from tessella import targets|from tessella\.targets\b"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {row.strip()}"
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
        if "targets" not in path.relative_to(ROOT / PACKAGE).parts
        for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if names.search(row)
    ]
    assert not found, "ask the device (tessella/devices/device.py) instead:\n" + "\n".join(found)


# --- the law itself -----------------------------------------------------------------------------------------

BELOW = "tensors/low.py"
ABOVE = "nn/high.py"


def package(tmp_path, **texts):
    for name, text in {"nn__high": "", "tensors__low": "", **texts}.items():
        file = tmp_path / "tessella" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Package(tmp_path / "tessella")


@pytest.mark.parametrize(
    "text",
    [
        "import tessella.nn.high",
        "from tessella.nn import high",
        "from tessella.nn.high import thing as other",
        "from ..nn.high import thing",
        "from ..nn import high",
        "def late():\n    from tessella.nn.high import thing",
        "class Late:\n    def late(self):\n        if self:\n            import tessella.nn.high as high",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import tessella.nn.high",
        "import importlib\nimportlib.import_module('tessella.nn.high')",
        "from importlib import import_module as load\nload(f'tessella.nn.{\"high\"}')",
        "LATER = {'tessella.nn.high': 'thing'}",
        "LATER = {'high': 'thing'}\ndef load(room):\n    return __import__(f'tessella.nn.{room}')",
    ],
)
def test_an_import_is_one_wherever_it_stands_and_however_it_is_spelled(tmp_path, text):
    found = package(tmp_path, tensors__low=text).arrows()
    assert [(arrow.source, arrow.target) for arrow in strata.upward(found)] == [(BELOW, ABOVE)]
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "high" in row)
    assert found[0].line == line


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tessella.nn.high import thing",
        "'''As `tessella.nn.high` does.'''",
        "def wait(thing: 'tessella.nn.high') -> 'tessella.nn.high': ...",
        "import importlib, nn.high",
        "TEXT = 'see tessella.nn.high'",
    ],
)
def test_what_never_runs_is_no_import(tmp_path, text):
    assert package(tmp_path, tensors__low=text).arrows() == []


def test_a_name_that_is_loaded_by_a_class_of_another_file_is_an_import(tmp_path):
    found = package(
        tmp_path,
        tensors__later="class Later:\n    def get(self, room):\n        return __import__(f'tessella.nn.{room}')",
        tensors__low="from tessella.tensors.later import Later\n\nlate = Later(room='high')",
    ).arrows()
    assert ("tensors/low.py", 3, "nn/high.py") in found


@pytest.mark.parametrize(
    ("text", "is_hook"),
    [
        ("from tessella.tensors import low\nlow.hook = lambda: 1", True),
        ("import tessella.tensors.low as low\ndef f(): ...\nlow.hook = f", True),
        ("from tessella.tensors import low\ndef f(): ...\ndef g():\n    low.hook = f", True),
        ("from tessella.tensors import low\ndef f(): ...\nlow.hooks['f'] = f", True),
        ("from tessella.tensors.low import Low\ndef f(): ...\nLow.used = f", True),
        ("from tessella.tensors.low import Low\ndef f(): ...\nsetattr(Low, 'used', f)", True),
        ("from tessella.tensors.low import Low\ndef f(): ...\nLow.unused = f", False),
        ("from tessella.tensors import low\ndef put(number):\n    low.number = number", False),
    ],
)
def test_a_hook_that_one_file_sets_in_another_is_needed_there(tmp_path, text, is_hook):
    low = "class Low:\n    def run(self):\n        return self.used()"
    found = package(tmp_path, nn__high=text, tensors__low=low).arrows()
    assert (BELOW, ABOVE) in {(arrow.source, arrow.target) for arrow in found} or not is_hook
    assert [arrow.line for arrow in strata.upward(found)] == (
        [len(text.splitlines())] if is_hook else []
    )


def test_only_the_registry_loads_targets(tmp_path):
    load = "__import__(f'tessella.targets.{\"cpu\"}')"
    found = package(tmp_path, devices__registry=load, devices__other=load, targets__cpu="")
    assert [(arrow.source, arrow.target) for arrow in strata.upward(found.arrows())] == [
        ("devices/other.py", "targets/cpu.py")
    ]


def test_a_circle_is_found_and_its_shortest_way_round_is_told(tmp_path):
    found = package(
        tmp_path,
        nn__a="from tessella.nn import b",
        nn__b="from tessella.nn import c",
        nn__c="\ndef late():\n    from tessella.nn.a import thing",
        nn__d="from tessella.nn import a",
    ).arrows()
    circle = ("nn/a.py", "nn/b.py", "nn/c.py")
    assert strata.circles(found) == [circle]
    assert strata.told_of_a_circle(circle, found) == (
        "circle of files: tessella/nn/a.py:1 imports nn/b.py, tessella/nn/b.py:1 imports nn/c.py, "
        "tessella/nn/c.py:3 imports nn/a.py; put what they share into a file below them, make one file of those "
        "that are one idea, or hand over as an argument what is needed from above"
    )


def test_an_arrow_up_names_the_line_the_strata_and_the_cure(tmp_path):
    found = package(tmp_path, tensors__low="\nimport tessella.nn.high").arrows()
    assert strata.told_of_an_arrow(found[0]) == (
        "tessella/tensors/low.py:2 imports nn/high.py: `tensors` stands below `nn`; move what is needed down to "
        "`tensors` or below, move the importing code up to `nn`, or have it handed over as an argument"
    )


def test_a_file_without_a_stratum_is_told(tmp_path):
    found = package(tmp_path, nowhere="import tessella.nn.high").arrows()
    with pytest.raises(
        LookupError, match=r"tessella/nowhere\.py stands in no stratum; give it one"
    ):
        strata.upward(found)


def test_the_list_may_only_become_shorter():
    old = strata.listed("circle: a b c\nup: low -> high # why\nup: x -> y\n")
    now = strata.listed("circle: a b\ncircle: c d\nup: x -> y\nup: y -> z\n")
    assert strata.rows(strata.shortened(old, now)) == "circle: a b\n\nup: x -> y\n"

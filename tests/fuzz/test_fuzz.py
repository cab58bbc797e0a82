"""Any argument, anywhere, gets an answer or an error of ours: 10,000 calls, the same ones every time."""

import os

import pytest

import tessella as ts
from tests.fuzz.calls import make_call
from tests.fuzz.judge import (
    ANSWERED,
    ARITY,
    CRASH,
    DIFFERS,
    FOREIGN,
    HANG,
    NOT_IMPLEMENTED,
    OWN,
    REFUSED,
    judge,
)
from tests.fuzz.targets import LEFT_OUT, Target, all_targets, instance_of, public
from tests.fuzz.tool import _death, fuzz

CALLS = 10_000


def test_nothing_crashes_hangs_or_speaks_in_other_words():
    share = max(1, 2 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    report = fuzz(CALLS, seed=16, processes=share)
    assert not report.findings, f"{report.table()}\n{report.shown()}"
    assert sum(report.counts.values()) == CALLS


def test_every_public_name_is_called():
    called = {target.expression for target in all_targets()}
    for package in ("ts", "ts.nn", "ts.nn.functional", "ts.nn.init", "ts.optim", "ts.random"):
        for name, member in public(eval(package)):
            if callable(member) and not (
                isinstance(member, type) and issubclass(member, Exception)
            ):
                assert f"{package}.{name}" in called or name in LEFT_OUT


def test_every_layer_is_made_and_called():
    for name, member in public(ts.nn):
        if isinstance(member, type):
            assert instance_of(f"ts.nn.{name}", member) is not None, name


def test_a_call_is_the_same_whenever_it_is_made():
    targets = all_targets()
    for number in (0, 1, 9_999):
        assert make_call(targets, 3, number) == make_call(targets, 3, number)


# --- the judge sees what it is to see -----------------------------------------------------------------


def verdict(text, positional=(), expression="ts.add"):
    target = Target("ts", expression, ())
    call = make_call([target], 0, 0)
    fields = {"text": text, "positional": tuple(positional), "keywords": {}, "is_traced": False}
    return judge(type(call)(target, **fields)).kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ts.add(ts.ones(2), 'x')", REFUSED),
        ("ts.grad(lambda x: 1 / 0)(ts.ones(2))", OWN),
        ("ts.DType.__reduce__(3)", FOREIGN),
        ("ts.Tensor.detach()", ARITY),
        ("[][1]", OWN),
        ("ts.ones(2)", ANSWERED),
    ],
)
def test_errors_are_told_apart(text, kind):
    assert verdict(text) == kind


def test_notimplemented_as_a_value_is_seen():
    assert verdict("ts.ones(2).__add__('x')") == NOT_IMPLEMENTED


def test_values_are_compared_with_numpy():
    one, two = "ts.asarray([1.0, 2.0])", "ts.asarray([3.0, 4.0])"
    assert verdict(f"ts.add({one}, {two})", [one, two]) == ANSWERED
    assert verdict(f"ts.subtract({one}, {two})", [one, two]) == DIFFERS


def test_how_a_process_ended_says_what_happened():
    assert _death(-11, "") == (CRASH, "the process ended with -11 SIGSEGV")
    assert _death(-27, "")[0] == HANG

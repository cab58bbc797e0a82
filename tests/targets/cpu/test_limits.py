"""What the machine can do at most: a disturbed measurement is noticed, and made again."""

import itertools

import pytest

from tessella.targets.cpu import limits


class Clock:
    """A clock for measurements that take the times one gives; then always the last one."""

    def __init__(self, *times):
        self.times = itertools.chain(times, itertools.repeat(times[-1]))
        self.now, self.starts = 0.0, True

    def __call__(self):
        self.starts = not self.starts
        if self.starts:
            self.now += next(self.times)
        return self.now


def best(monkeypatch, *times):
    calls = []
    monkeypatch.setattr(limits.time, "perf_counter", Clock(*times))
    return limits._best(lambda: calls.append(1)), len(calls)


def test_a_quiet_machine_is_measured_a_few_times(monkeypatch):
    found, count = best(monkeypatch, 1.0)
    assert found == pytest.approx(1.0)
    assert count == limits.ROUNDS


def test_a_disturbed_one_until_two_rounds_agree(monkeypatch):
    found, count = best(monkeypatch, 9.0, 3.0, 7.0, 4.0, 5.0, 6.0, 1.0, 8.0, 1.01)
    assert found == pytest.approx(1.0)
    assert count == 9


def test_but_not_for_ever(monkeypatch):
    found, count = best(monkeypatch, *[2.0**-number for number in range(100)])
    assert count == limits.MOST_ROUNDS
    assert found == pytest.approx(2.0 ** -(count - 1))


def rate_of(*measured):
    given = iter(measured)
    count = []

    def measure():
        count.append(1)
        return next(given)

    return limits.Rate(measure), count


def test_a_rate_is_measured_once():
    rate, count = rate_of(100.0)
    assert [rate(), rate()] == [100.0, 100.0]
    assert len(count) == 1


def test_something_faster_has_it_measured_again():
    rate, count = rate_of(6.0, 100.0)
    assert rate() == 6.0
    rate.doubt(90.0)
    assert rate() == 100.0
    rate.doubt(104.0)  # no measurement is that exact
    assert len(count) == 2


def test_a_lower_measurement_changes_nothing():
    rate, count = rate_of(100.0, 50.0, 60.0, 70.0)
    rate.doubt(200.0)
    assert rate() == 100.0
    assert len(count) == 4


def test_a_copy_is_measured():
    assert limits.LIMITS.bytes_per_second() > 1e6

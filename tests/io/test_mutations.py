"""Damaged files are read, or refused in our own words: never a foreign error, a crash, a hang, or much memory."""

import collections

import pytest

from tests.io.formats import FORMATS
from tests.io.fuzz import judged, mutant, tried

FILES = 500 // len(FORMATS) + 1
SEED = 19


@pytest.mark.parametrize("form", FORMATS, ids=[form.name for form in FORMATS])
def test_damaged_files(form, tmp_path):
    found = collections.Counter()
    for number, what, why in tried(form, SEED, 0, FILES, tmp_path):
        assert what != "wrong", f"{number}: {why}"
        found[what] += 1
    assert found["refused"] > FILES // 4  # of random bytes in tensors most are numbers, too


@pytest.mark.parametrize("form", FORMATS, ids=[form.name for form in FORMATS])
def test_proper_files_are_read_and_mutants_are_the_same_again(form, tmp_path):
    for content in form.samples():
        assert judged(form, content, tmp_path)[0] == "read"
    assert mutant(form, 1, 5) == mutant(form, 1, 5)


def test_what_is_wrong_is_seen(tmp_path):
    def bad(path):
        if path.read_bytes() == b"memory":
            return bytes(1 << 24)
        raise IndexError("of a reader")

    form = FORMATS[0]._replace(read=bad)
    assert judged(form, b"", tmp_path) == ("wrong", "IndexError: of a reader")
    assert judged(form, b"memory", tmp_path)[0] == "wrong"

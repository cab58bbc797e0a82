"""Everyday spellings of PyTorch work, with PyTorch's values, or say what to write."""

import importlib.util
import pathlib

import numpy as np
import pytest

import tessella as ts
from tessella import errors

_DATA = pathlib.Path(__file__).with_name("spellings.py")
_spec = importlib.util.spec_from_file_location("spellings", _DATA)
spellings = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(spellings)

WORKS = spellings.WORKS.strip().splitlines()
SAYS = [row.split(" | ", 1) for row in spellings.SAYS.strip().splitlines()]


def arrays():
    random = np.random.default_rng(0)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    return {
        "a": normal(2, 3), "b": normal(2, 3), "v": normal(3), "w": normal(3), "m": normal(3, 3),
        "p": normal(2, 2, 3), "q": normal(2, 3, 2),
        "k": random.integers(1, 20, (2, 3)), "l": random.integers(1, 20, (2, 3)),
        "i": np.array([2, 0, 1]), "u": np.array([[True, False, True], [False, False, True]]),
        "n": np.array([1.0, np.nan, 3.0, 2.0], np.float32),
        "h": random.uniform(0.1, 0.9, (2, 3)).astype(np.float32),
    }  # fmt: skip


def pair(values):
    first, _ = values
    return first


def names(library, tensor):
    found = {name: tensor(data.copy()) for name, data in arrays().items()}
    return {**found, "T": library, "F": library.nn.functional, "pair": pair}


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "detach"):
        return np.asarray(value.detach())
    kinds = (bool, int, float, np.ndarray, type(None))
    return value if isinstance(value, kinds) else str(value).split(".")[-1]


def assert_same(mine, theirs):
    if isinstance(theirs, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    else:
        assert mine == theirs


@pytest.mark.parametrize("expression", WORKS)
def test_it_works(expression):
    eval(expression, names(ts, ts.asarray))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", WORKS)
def test_it_gives_what_pytorch_gives(expression):
    torch = pytest.importorskip("torch")
    theirs = plain(eval(expression, names(torch, torch.tensor)))
    assert_same(plain(eval(expression, names(ts, ts.asarray))), theirs)


@pytest.mark.parametrize(("expression", "cure"), SAYS)
def test_it_says_what_to_write(expression, cure):
    with pytest.raises(errors.TessellaError) as caught:
        eval(expression, names(ts, ts.asarray))
    assert cure in str(caught.value)


def test_there_are_as_many_as_were_tried():
    assert len(set(WORKS)) == len(WORKS) >= 230
    assert len(WORKS) + len(SAYS) >= 322

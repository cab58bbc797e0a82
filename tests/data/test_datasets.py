"""Datasets of datasets, samplers, collation: what comes, how often, in which structure."""

import collections

import numpy as np
import pytest

import tessella as ts
from tessella import data, errors

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6)
Pair = collections.namedtuple("Pair", "x y")


class Squares(data.Dataset):
    def __init__(self, rows=6):
        self.rows = rows

    def __len__(self):
        return self.rows

    def __getitem__(self, row):
        if not 0 <= row < self.rows:
            raise IndexError(row)
        return row, float(row**2)


def plain(batch):
    return ts.tree_map(lambda leaf: leaf.tolist() if isinstance(leaf, ts.Tensor) else leaf, batch)


# --- datasets -------------------------------------------------------------------------------------------


def test_datasets_of_datasets():
    joined = data.ConcatDataset([Squares(2), Squares(3)])
    assert len(joined) == 5 and [joined[row][0] for row in (0, 1, 2, 4, -1)] == [0, 1, 0, 2, 2]
    assert len(Squares() + Squares()) == 12
    part = data.Subset(joined, [4, 0])
    assert plain(next(iter(data.DataLoader(part, 2)))) == ([2, 0], [4.0, 0.0])
    stacked = data.StackDataset(a=Squares(), b=X)
    batch = next(iter(data.DataLoader(stacked, 2)))
    assert plain(batch) == {"a": ([0, 1], [0.0, 1.0]), "b": [[0.0, 1.0], [2.0, 3.0]]}
    nested = data.Subset(data.Subset((X, Y), [5, 3, 1]), [2, 0])
    assert next(iter(data.DataLoader(nested, 2)))[1].tolist() == [1, 5]


def test_a_class_that_changes_single_rows_changes_batches():
    class Doubled(data.TensorDataset):
        def __getitem__(self, row):
            return tuple(part * 2 for part in super().__getitem__(row))

    assert next(iter(data.DataLoader(Doubled(X, Y), 3)))[1].tolist() == [0, 2, 4]


def test_datasets_that_give_several_rows():
    class Several(Squares):
        def __getitems__(self, rows):
            return [-row for row in rows]

    assert next(iter(data.DataLoader(Several(), 3))).tolist() == [0, -1, -2]


@pytest.mark.parametrize("lengths", [[4, 2], [0.5, 0.5], [1 / 3] * 3, [6], [1.0], [0.9, 0.1]])
def test_random_splits(lengths):
    parts = data.random_split(Squares(), lengths, generator=1)
    assert sorted(row for part in parts for row, _ in part) == list(range(6))
    again = data.random_split(Squares(), lengths, ts.random.Generator(1))
    assert [list(part) for part in again] == [list(part) for part in parts]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: data.random_split(X, [4, 3]), errors.ArgumentError, "the lengths [4, 3] add up to 7; expected 6"),
        (lambda: data.random_split(X, [-1, 7]), errors.ArgumentError, "a length is -1"),
        (lambda: data.Subset(X, [6]), errors.IndexingError, "row 6; the dataset has 6, from 0 to 5"),
        (lambda: data.Subset(X, [0.5]), errors.ArgumentTypeError, "expected whole numbers in a row"),
        (lambda: data.ConcatDataset([]), errors.ArgumentError, "no datasets were given"),
        (lambda: data.ConcatDataset([iter([])]), errors.ArgumentTypeError, "ts.data.ChainDataset for iterables"),
        (lambda: data.StackDataset(X, Y[:3]), errors.ShapeError, "different numbers of rows: {0: 6, 1: 3}"),
        (lambda: data.StackDataset(), errors.ArgumentError, "expected datasets by place"),
        (lambda: data.TensorDataset(3), errors.ArgumentTypeError, "3 was given; expected arrays or tensors"),
        (lambda: data.TensorDataset(X)[6], errors.IndexingError, "row 6; there are 6, from 0 to 5"),
        (lambda: data.TensorDataset(X)["a"], errors.ArgumentTypeError, "row 'a'; expected a whole number"),
    ],
)  # fmt: skip
def test_mistakes_about_datasets(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


# --- samplers -------------------------------------------------------------------------------------------


def test_samplers_give_what_they_say():
    assert sorted(data.RandomSampler(X)) == list(range(6))
    assert len(list(data.RandomSampler(X, num_samples=15))) == 15
    assert collections.Counter(data.RandomSampler(X, num_samples=12)).most_common()[-1][1] == 2
    drawn = np.bincount(list(data.RandomSampler(X, True, 60_000, generator=0)), minlength=6)
    assert abs(drawn / 10_000 - 1).max() < 0.05
    weighted = data.WeightedRandomSampler([0, 1, 2, 1], 40_000, generator=0)
    assert abs(np.bincount(list(weighted), minlength=4) / 10_000 - [0, 1, 2, 1]).max() < 0.05
    without = data.WeightedRandomSampler([1, 0, 3], 2, replacement=False, generator=0)
    first = [next(iter(without)) for _ in range(4000)]
    assert abs(np.mean(np.array(first) == 2) - 0.75) < 0.03 and 1 not in first


def test_strata_are_spread_evenly():
    labels = np.repeat(["a", "b", "c"], [60, 30, 10])
    sampler = data.StratifiedSampler(labels, generator=0)
    order = list(sampler)
    assert sorted(order) == list(range(100)) and order != list(sampler)
    for batch in np.split(labels[order], 5):
        counts = collections.Counter(batch.tolist())
        assert (
            abs(counts["a"] - 12) <= 1 and abs(counts["b"] - 6) <= 1 and abs(counts["c"] - 2) <= 1
        )


def test_batches_of_like_lengths():
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    sampler = data.LengthBatchSampler(lengths, 10, generator=0)
    batches = list(sampler)
    assert sorted(np.concatenate(batches)) == list(range(1000)) and len(sampler) == 100
    assert np.mean([np.ptp(lengths[batch]) for batch in batches]) < 3
    assert [lengths[batch].mean() for batch in batches] != sorted(
        lengths[batch].mean() for batch in batches
    )
    settled = list(data.LengthBatchSampler([3, 1, 2], 2, shuffle=False))
    assert (
        settled == [[1, 2], [0]] and len(data.LengthBatchSampler([3, 1, 2], 2, drop_last=True)) == 1
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: data.RandomSampler(X, generator=seed),
        lambda seed: data.SubsetRandomSampler([1, 2, 5], generator=seed),
        lambda seed: data.WeightedRandomSampler(np.ones(6), 6, generator=seed),
        lambda seed: data.StratifiedSampler([0, 0, 0, 1, 1, 1], generator=seed),
        lambda seed: data.LengthBatchSampler(range(6), 1, generator=seed),
        lambda seed: data.BatchSampler(data.RandomSampler(X, generator=seed), 2, False),
    ],
)
def test_samplers_have_a_state(make):
    sampler, other = make(0), make(1)
    list(sampler)
    state = sampler.state_dict()
    following = [list(sampler) for _ in range(3)]
    other.load_state_dict(state)
    assert [list(other) for _ in range(3)] == following
    assert [list(make(0)) for _ in range(2)][0] == list(make(0))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: data.WeightedRandomSampler([1, -1], 2),
            "weights[1] is -1.0; expected finite numbers",
        ),
        (lambda: data.WeightedRandomSampler([0, 0], 2), "all 2 weights are zero"),
        (
            lambda: data.WeightedRandomSampler([1, 0], 2, False),
            "2 rows are asked for without replacement, and 1",
        ),
        (
            lambda: data.RandomSampler(X, num_samples=0),
            "num_samples is 0; expected a whole number of at least 1",
        ),
        (lambda: data.BatchSampler(3, 2, True), "sampler is 3; expected an iterable"),
        (lambda: data.StratifiedSampler([0.5]), "expected one class a row"),
        (lambda: data.RandomSampler(X, generator=1.5), "RandomSampler: generator is 1.5"),
    ],
)
def test_mistakes_about_samplers(call, text):
    with pytest.raises((errors.ArgumentError, errors.ArgumentTypeError)) as caught:
        call()
    assert text in str(caught.value)


# --- collation ------------------------------------------------------------------------------------------


def test_collation_keeps_structures():
    rows = [Pair({"a": 1, "b": [True, "x"]}, np.float64(n)) for n in range(2)]
    batch = data.default_collate(rows)
    assert type(batch) is Pair and type(batch.x["b"]) is list
    assert plain(batch) == Pair({"a": [1, 1], "b": [[True, True], ["x", "x"]]}, [0.0, 1.0])
    assert [leaf.dtype for leaf in (batch.x["a"], batch.x["b"][0], batch.y)] == [
        ts.int64,
        ts.bool,
        ts.float64,
    ]
    assert data.default_collate([1.5, 2]).dtype == ts.float32
    assert data.default_collate([b"a", b"b"]) == [b"a", b"b"]
    assert data.default_collate([ts.ones(2, dtype=ts.bfloat16)] * 2).dtype == ts.bfloat16
    ordered = data.default_collate([collections.OrderedDict(a=1)] * 2)
    assert type(ordered) is collections.OrderedDict


@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        ([], errors.ArgumentError, "there are no rows"),
        ([None, None], errors.ArgumentTypeError, "a row holds None; expected arrays"),
        ([(1, object())] * 2, errors.ArgumentTypeError, " at [1]; expected arrays"),
        ([np.ones(2), np.ones(3)], errors.ShapeError, "row 0 has (2,), row 1 (3,); give collate_fn=ts.data.pad_collate()"),
        ([{"x": (1, np.ones(2))}, {"x": (1, np.ones(3))}], errors.ShapeError, "differ in shape at ['x'][1]"),
        ([(1, 2), (1,)], errors.ArgumentError, "row 0 has 2 parts, row 1 1 parts"),
        ([{"a": 1}, {"b": 1}], errors.ArgumentError, "row 0 has ['a'], row 1 ['b']"),
        ([1, "a"], errors.ArgumentTypeError, "row 0 has 1, row 1 'a'"),
        ([1, np.ones(2)], errors.ArgumentTypeError, "row 0 has 1, row 1"),
    ],
)  # fmt: skip
def test_rows_that_differ_are_told(rows, kind, text):
    with pytest.raises(kind) as caught:
        data.default_collate(rows)
    assert text in str(caught.value)


def test_padding():
    rows = [{"x": np.ones((2, 3)), "n": 1}, {"x": np.ones((1, 4)), "n": 2}]
    batch = data.pad_collate(rows, padding_value=-1)
    assert batch["x"][0].shape == (2, 2, 4) and batch["x"][1].tolist() == [2, 1]
    assert batch["x"][0][1].tolist() == [[1.0] * 4, [-1.0] * 4] and batch["n"].tolist() == [1, 2]
    alone = data.pad_collate(lengths=False)
    assert alone([[np.array([1, 2])], [np.array([3])]])[0].tolist() == [[1, 2], [3, 0]]
    with pytest.raises(errors.ShapeError, match="row 0 has"):
        data.pad_collate([np.ones(2), np.ones((2, 2))])


# --- against PyTorch ------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("size", [1, 4, 6, 7, None])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("sampler", [None, [3, 1, 1, 5]])
def test_batches_are_those_of_pytorch(size, last, sampler):
    import torch.utils.data as peer

    if last and (size is None or size > len(sampler or X)):
        pytest.skip("refused here, or by both")
    rows = [{"x": x, "y": (int(y), f"{y}"), "flag": bool(y % 2)} for x, y in zip(X, Y, strict=True)]
    ours = data.DataLoader(rows, size, sampler=sampler, drop_last=last)
    theirs = peer.DataLoader(rows, size, sampler=sampler, drop_last=last)
    assert len(ours) == len(theirs)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own["x"], other["x"])
        assert (
            list(own) == list(other)
            and np.asarray(own["flag"]).tolist() == np.asarray(other["flag"]).tolist()
        )
        assert np.asarray(own["y"][0]).tolist() == np.asarray(other["y"][0]).tolist()
        assert list(own["y"][1]) == list(other["y"][1])


@pytest.mark.peers
def test_lengths_of_splits_are_those_of_pytorch():
    import torch.utils.data as peer

    for rows in (7, 10, 31):
        for lengths in (
            [0.5, 0.5],
            [0.3, 0.3, 0.4],
            [1 / 3] * 3,
            [0.75, 0.25],
            [rows - 2, 2],
            [1.0],
        ):
            ours, theirs = (kind.random_split(range(rows), lengths) for kind in (data, peer))
            assert list(map(len, ours)) == list(map(len, theirs)), (rows, lengths)

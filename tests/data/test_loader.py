"""The loader in one process: order, batches, state, errors."""

import itertools
import random

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import DataLoader, Dataset, IterableDataset, TensorDataset

X, Y = np.arange(20.0, dtype=np.float32).reshape(10, 2), np.arange(10)


def rows(loader):
    return [batch[-1].tolist() for batch in loader]


def leaves(batch):
    return [leaf.tolist() for leaf in ts.tree_leaves(batch)]


class Rolling(Dataset):
    """Rows that draw from every generator there is."""

    def __len__(self):
        return 10

    def __getitem__(self, row):
        return row, random.random(), np.random.rand(), ts.rand(()).item()


class Counting(IterableDataset):
    def __init__(self, count=10):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


@pytest.mark.parametrize("dataset", [(X, Y), TensorDataset(ts.asarray(X), Y), list(zip(X, Y, strict=True)), TensorDataset(X, ts.asarray(Y))], ids=["arrays", "tensors", "rows", "both"])  # fmt: skip
def test_batches_are_tensors_in_order(dataset):
    inputs, targets = next(iter(DataLoader(dataset, 4)))
    assert isinstance(inputs, ts.Tensor) and isinstance(targets, ts.Tensor)
    np.testing.assert_array_equal(inputs, X[:4])
    assert (inputs.dtype, targets.dtype) == (ts.float32, ts.int64)
    assert rows(DataLoader(dataset, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows(DataLoader(dataset, 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(DataLoader(dataset, 4, drop_last=last)) for last in (False, True)] == [3, 2]


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_have_memory_of_their_own(shuffle):
    data = X.copy()
    for batch in DataLoader(data, 4, shuffle=shuffle, generator=0):
        batch.zero_()
    np.testing.assert_array_equal(data, X)


def test_trees_of_arrays():
    batch = next(iter(DataLoader({"x": X, "more": (Y, Y)}, 3)))
    assert batch["x"].shape == (3, 2) and batch["more"][1].tolist() == [0, 1, 2]
    assert next(iter(DataLoader(X, 3))).shape == (3, 2)


def test_each_epoch_has_an_order_that_the_seed_decides():
    loader = DataLoader((X, Y), 4, shuffle=True, generator=3)
    first, second = rows(loader), rows(loader)
    assert first != second and sorted(itertools.chain(*first)) == list(range(10))
    again = DataLoader((X, Y), 4, shuffle=True, generator=ts.random.Generator(3))
    assert [rows(again), rows(again)] == [first, second]


def test_the_default_generator_decides_without_another_one():
    loader = DataLoader((X, Y), 4, shuffle=True)
    ts.manual_seed(5)
    first, second = rows(loader), rows(loader)
    ts.manual_seed(5)
    assert [rows(loader), rows(loader)] == [first, second]
    ts.manual_seed(6)
    assert rows(loader) != first


def test_what_rows_draw_follows_from_the_epoch_and_touches_nothing_else():
    loader = DataLoader(Rolling(), 4, generator=1)
    states = random.getstate(), np.random.get_state()[1].tolist(), ts.random.default.state
    first = [[part.tolist() for part in batch] for batch in loader]
    assert (random.getstate(), np.random.get_state()[1].tolist(), ts.random.default.state) == states
    other = [[part.tolist() for part in batch] for batch in loader]
    again = [[part.tolist() for part in batch] for batch in DataLoader(Rolling(), 4, generator=1)]
    assert first == again != other
    assert len({value for batch in first for value in batch[1]}) == 10


def test_single_rows_and_other_collations():
    assert [row[1].item() for row in DataLoader((X, Y), None)] == list(range(10))
    assert list(DataLoader([1, 2, 3], 2, collate_fn=tuple)) == [(1, 2), (3,)]
    assert list(DataLoader(["a", "b"], 2)) == [["a", "b"]]
    assert list(DataLoader(["a", "b"], None)) == ["a", "b"]


def test_samplers_of_any_kind():
    assert rows(DataLoader((X, Y), 2, sampler=[5, 1, 3])) == [[5, 1], [3]]
    assert rows(DataLoader((X, Y), batch_sampler=[[1, 2, 3], [7]])) == [[1, 2, 3], [7]]
    assert len(DataLoader((X, Y), batch_sampler=[[1, 2, 3], [7]])) == 2


def test_iterables():
    assert [batch.tolist() for batch in DataLoader(Counting(), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]  # fmt: skip
    assert [batch.tolist() for batch in DataLoader(Counting(), 4, drop_last=True)] == [[0, 1, 2, 3], [4, 5, 6, 7]]  # fmt: skip
    assert [batch.tolist() for batch in DataLoader((i for i in range(3)), 2)] == [[0, 1], [2]]


# --- going on -------------------------------------------------------------------------------------------


class Knowing(IterableDataset):
    """An iterable that knows where it is, and counts what it was asked for."""

    def __init__(self):
        self.at = self.asked = 0

    def __iter__(self):
        while self.at < 10:
            self.at += 1
            self.asked += 1
            yield self.at - 1, random.random()
        self.at = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


LOADERS = [
    lambda: DataLoader((X, Y), 3, shuffle=True),
    lambda: DataLoader(Rolling(), 3, shuffle=True),
    lambda: DataLoader(Counting(), 3),
    lambda: DataLoader(Knowing(), 3),
    lambda: DataLoader((X, Y), 3, sampler=ts.data.WeightedRandomSampler(np.ones(10), 10)),
    lambda: DataLoader((X, Y), batch_sampler=ts.data.LengthBatchSampler(Y, 3)),
]


@pytest.mark.parametrize("make", LOADERS)
@pytest.mark.parametrize("done", [0, 1, 3, 4, 5, 7])
def test_a_fresh_loader_goes_on_where_another_one_was(make, done):
    ts.manual_seed(4)
    loader, seen, state = make(), [], None
    for _ in range(3):
        if len(seen) == done:
            state = loader.state_dict()
        for batch in loader:
            seen.append(leaves(batch))
            if len(seen) == done and done % 4:
                state = loader.state_dict()
    ts.manual_seed(99)
    fresh, found = make(), []
    fresh.load_state_dict(state)
    while len(found) < len(seen) - done:
        found += [leaves(batch) for batch in fresh]
    assert found == seen[done:]


def test_the_state_after_the_last_batch_is_the_end_of_the_epoch():
    loader = DataLoader((X, Y), 5, shuffle=True, generator=0)
    states = [loader.state_dict() for _ in loader]
    fresh = DataLoader((X, Y), 5, shuffle=True, generator=1)
    fresh.load_state_dict(states[-1])
    assert rows(fresh) == []
    assert rows(fresh) == rows(loader)


def test_datasets_that_know_where_they_are_are_not_gone_through_again():
    loader = DataLoader(Knowing(), 3)
    iterator = iter(loader)
    next(iterator), next(iterator)
    fresh = Knowing()
    going_on = DataLoader(fresh, 3)
    going_on.load_state_dict(loader.state_dict())
    assert [batch[0].tolist() for batch in going_on] == [[6, 7, 8], [9]]
    assert fresh.asked == 4


def test_states_of_other_loaders_are_refused():
    state = DataLoader((X, Y), 3).state_dict()
    with pytest.raises(errors.StateDictError, match="batch_size=3, and this one has batch_size=4"):
        DataLoader((X, Y), 4).load_state_dict(state)
    with pytest.raises(errors.StateDictError, match="rows=10, and this one has rows=9"):
        DataLoader(X[:9], 3).load_state_dict(state)
    with pytest.raises(errors.StateDictError, match="expected what state_dict"):
        DataLoader(X, 3).load_state_dict({"epoch": 1})


# --- mistakes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (dict(dataset=[]), errors.ArgumentError, "the dataset has no rows"),
        (dict(dataset=[], shuffle=True), errors.ArgumentError, "the dataset has no rows"),
        (dict(dataset=X, batch_size=64, drop_last=True), errors.ArgumentError, "leaves no batch: there are 10 rows"),
        (dict(dataset=3), errors.ArgumentTypeError, "dataset is 3; expected rows"),
        (dict(dataset=(X, Y[:9])), errors.ShapeError, "the arrays have 10, 9 rows"),
        (dict(dataset={"x": X, "y": [1, 2]}), errors.ArgumentTypeError, "a dict whose 'y' is [1, 2]; expected arrays"),
        (dict(dataset=X, bad_rows=3), errors.ArgumentError, "bad_rows is 3; expected 'raise' or 'skip'"),
        (dict(dataset=X, batch_size=0), errors.ArgumentError, "batch_size is 0; expected a whole number of at least 1"),
        (dict(dataset=X, batch_size=2.5), errors.ArgumentError, "batch_size is 2.5"),
        (dict(dataset=X, sampler=[1], shuffle=True), errors.ArgumentError, "sampler and shuffle=True"),
        (dict(dataset=X, batch_sampler=[[1]], batch_size=3), errors.ArgumentError, "batch_sampler stands for"),
        (dict(dataset=X, batch_size=None, drop_last=True), errors.ArgumentError, "drop_last=True without batches"),
        (dict(dataset=Counting(), shuffle=True), errors.ArgumentError, "shuffle was given for an iterable, Counting"),
        (dict(dataset=X, prefetch_factor=2), errors.ArgumentError, "prefetch_factor=2 is of workers"),
        (dict(dataset=X, timeout=3), errors.ArgumentError, "timeout=3 is of workers"),
        (dict(dataset=X, collate_fn=3), errors.ArgumentTypeError, "collate_fn is 3; expected a function"),
        (dict(dataset=X, generator="a"), errors.ArgumentTypeError, "generator is 'a'; expected a ts.random.Generator"),
        (dict(dataset=X, sampler=3), errors.ArgumentTypeError, "sampler is 3; expected an iterable"),
    ],
)  # fmt: skip
def test_mistakes_are_told(arguments, kind, text):
    with pytest.raises(kind) as caught:
        DataLoader(**arguments)
    assert text in str(caught.value)


def test_an_iterable_without_rows_is_refused():
    with pytest.raises(errors.ArgumentError, match="the dataset, list_iterator, gave no rows"):
        list(DataLoader(iter([]), 2))


def test_iterators_can_be_gone_through_once():
    loader = DataLoader((i for i in range(3)), 2)
    assert len(list(loader)) == 2
    with pytest.raises(errors.ArgumentError, match="a generator can be gone through once"):
        list(loader)


@pytest.mark.parametrize("dataset", [X, ts.data.Subset(X, range(10)), ts.data.StackDataset(X, Y)])
@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        ([1, 10], errors.IndexingError, "row 10; there are 10, from 0 to 9"),
        ([9, 10], errors.IndexingError, "row 10; there are 10"),
        ([1, -11], errors.IndexingError, "row -11; there are 10"),
        ([0.5, 1], errors.ArgumentTypeError, "row 0.5; expected a whole number"),
        (["a", 1], errors.ArgumentTypeError, "row 'a'; expected a whole number"),
    ],
)
def test_rows_that_are_not_there(dataset, rows, kind, text):
    with pytest.raises(kind) as caught:
        next(iter(DataLoader(dataset, 2, sampler=rows)))
    assert text in str(caught.value)


def test_errors_say_in_which_row():
    class Broken(Rolling):
        def __getitem__(self, row):
            return 1 // (row - 7)

    with pytest.raises(ZeroDivisionError) as caught:
        list(DataLoader(Broken(), 4))
    assert "in row 7 of the dataset, Broken" in caught.value.__notes__

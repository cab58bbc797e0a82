"""Tensors in several files with an index: whole, never mixed, and as Hugging Face reads and writes them."""

import json

import numpy as np
import pytest
import safetensors.numpy

import tessella as ts
from tessella import files
from tessella.errors import ArgumentError, ArgumentTypeError, FileFormatError

INDEX = "model.safetensors.index.json"


def tensors(factor=1.0):
    return {f"layer.{n}": ts.ones((4, 5)) * n * factor for n in range(5)}  # 80 bytes each


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(found, expected):
    return list(found) == sorted(expected) and all(
        np.array_equal(found[name].numpy(), expected[name].numpy()) for name in expected
    )


def test_shards_come_back_by_folder_and_by_index(tmp_path):
    folder = tmp_path / "new" / "model"
    ts.io.save_sharded(tensors(), folder, max_shard_size=200, metadata={"format": "pt"})
    assert names(folder) == [*(f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)), INDEX]
    assert same(ts.io.load_sharded(folder), tensors())
    assert same(ts.io.load_sharded(str(folder / INDEX)), tensors())
    index = json.loads((folder / INDEX).read_text())
    assert index["metadata"]["total_size"] == 400
    assert index["weight_map"]["layer.4"] == "model-00003-of-00003.safetensors"
    theirs = safetensors.numpy.load_file(folder / index["weight_map"]["layer.2"])
    assert list(theirs) == ["layer.2", "layer.3"]
    with safetensors.safe_open(folder / index["weight_map"]["layer.2"], "np") as file:
        assert file.metadata()["format"] == "pt"


def test_what_fits_is_one_file(tmp_path):
    ts.io.save_sharded(tensors(), tmp_path)
    assert names(tmp_path) == ["model.safetensors"]
    assert same(ts.io.load_sharded(tmp_path), tensors())
    assert ts.io.load_sharded(tmp_path, device="emulated")["layer.1"].device == "emulated"


def test_a_tensor_larger_than_a_shard_has_one_of_its_own(tmp_path):
    ts.io.save_sharded(tensors(), tmp_path, 1)
    assert len(names(tmp_path)) == 6
    assert same(ts.io.load_sharded(tmp_path), tensors())


@pytest.mark.parametrize(
    ("size", "count"), [("200", 3), ("0.2KB", None), ("1KB", 1), ("1 kib", 1), ("2TiB", 1)]
)
def test_sizes_are_written_with_units(tmp_path, size, count):
    if count is None:
        with pytest.raises(
            ArgumentError, match=r"max_shard_size is '0.2KB'; expected a number of bytes, as 5_000"
        ):
            ts.io.save_sharded(tensors(), tmp_path, size)
        return
    ts.io.save_sharded(tensors(), tmp_path, size)
    assert len([name for name in names(tmp_path) if name != INDEX]) == count


@pytest.mark.parametrize(("first", "second"), [(100, 200), (200, 100), (200, "1KB"), ("1KB", 200)])
def test_another_saving_takes_the_place_of_the_first(tmp_path, first, second):
    (tmp_path / "config.json").write_text("{}")
    ts.io.save_sharded(tensors(), tmp_path, first)
    mapped = ts.io.load_sharded(tmp_path)
    ts.io.save_sharded(tensors(2.0), tmp_path, second)
    assert same(ts.io.load_sharded(tmp_path), tensors(2.0))
    assert same(mapped, tensors())  # the files that are mapped stay as long
    ts.io.save_sharded(tensors(3.0), tmp_path / "fresh", second)
    assert names(tmp_path) == sorted([*names(tmp_path / "fresh"), "config.json", "fresh"])


def test_a_saving_that_breaks_off_is_never_taken_for_another(tmp_path, monkeypatch):
    ts.io.save_sharded(tensors(), tmp_path, 200)
    real, count = files.writing, []

    def breaks(path, durable=False):
        count.append(path)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return real(path, durable)

    monkeypatch.setattr(files, "writing", breaks)
    with pytest.raises(OSError, match="No space left"):
        ts.io.save_sharded(tensors(2.0), tmp_path, 200)
    monkeypatch.undo()
    with pytest.raises(
        FileFormatError, match=r"model-00001-of-00003.safetensors beside it was not written with it"
    ):
        ts.io.load_sharded(tmp_path)


def damaged(tmp_path, change):
    ts.io.save_sharded(tensors(), tmp_path, 200)
    index = json.loads((tmp_path / INDEX).read_text())
    change(index)
    (tmp_path / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "/x.safetensors",
        "a\\x.safetensors",
        "x.bin",
        5,
        "x\0.safetensors",
        "\ud800.safetensors",
    ],
)
def test_an_index_leads_nowhere_else(tmp_path, name):
    damaged(tmp_path, lambda index: index["weight_map"].update(a=name))
    with pytest.raises(
        FileFormatError,
        match=r"load_sharded: .*json is no .*weight_map is no table of names and files",
    ):
        ts.io.load_sharded(tmp_path)


def test_what_an_index_says_is_there(tmp_path):
    damaged(
        tmp_path, lambda index: index["weight_map"].update(a="model-00001-of-00003.safetensors")
    )
    with pytest.raises(
        FileFormatError, match=r"model-00001-of-00003.safetensors has no tensor 'a'"
    ):
        ts.io.load_sharded(tmp_path)
    damaged(tmp_path, lambda index: index["weight_map"].update(a="other.safetensors"))
    with pytest.raises(FileNotFoundError, match=r"other.safetensors"):
        ts.io.load_sharded(tmp_path)
    (tmp_path / INDEX).write_text("[]")
    with pytest.raises(FileFormatError, match="weight_map is no table"):
        ts.io.load_sharded(tmp_path)


def test_an_index_of_others_says_less(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(2)}, tmp_path / "one.safetensors")
    safetensors.numpy.save_file({"b": np.zeros(2), "c": np.ones(1)}, tmp_path / "two.safetensors")
    table = {
        "metadata": {"total_size": 32},
        "weight_map": {"b": "two.safetensors", "a": "one.safetensors"},
    }
    (tmp_path / INDEX).write_text(json.dumps(table))
    assert list(ts.io.load_sharded(tmp_path)) == ["a", "b"]


def test_what_is_given(tmp_path):
    with pytest.raises(
        ArgumentTypeError, match=r"save_sharded: list was given; expected names and tensors"
    ):
        ts.io.save_sharded([1], tmp_path)
    with pytest.raises(FileNotFoundError):
        ts.io.load_sharded(tmp_path)
    assert names(tmp_path) == []

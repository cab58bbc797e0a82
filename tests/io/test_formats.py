"""`ts.save` and `ts.load` of files of every format."""

import json
import re

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentError, FileFormatError, UnsafeFileError

TENSORS = {"a": ts.arange(3), "b": ts.ones((2, 2))}


def same(found, expected=TENSORS):
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        assert found[name].dtype is tensor.dtype
        np.testing.assert_array_equal(found[name].numpy(), tensor.numpy())


@pytest.mark.parametrize("ending", ["", ".ts", ".safetensors", ".pt", ".pth", ".bin", ".npz"])
def test_what_is_saved_comes_back_whatever_the_ending(tmp_path, ending):
    ts.save(TENSORS, tmp_path / f"file{ending}")
    same(ts.load(tmp_path / f"file{ending}"))


@pytest.mark.parametrize(
    ("ending", "begins"), [(".pt", b"PK"), (".pth", b"PK"), (".npz", b"PK"), (".safetensors", b"{")]
)
def test_the_ending_says_the_format(tmp_path, ending, begins):
    path = tmp_path / f"file{ending}"
    ts.save(TENSORS, path)
    content = path.read_bytes()
    assert content[8:9] == begins if begins == b"{" else content.startswith(begins)
    readers = {".npz": ts.io.load_npz, ".safetensors": ts.io.load_file}
    same(readers.get(ending, ts.io.load_pytorch)(path))


@pytest.mark.parametrize("begins", [b"\x80", b"PK"])
def test_the_length_of_a_header_may_look_like_another_format(tmp_path, begins):
    path, length = tmp_path / "file", int.from_bytes(begins, "little")
    told = {"n": {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]}}
    header = (
        json.dumps(told).ljust(length).encode()
    )  # other writers fill headers up to any multiple of 8
    numbers = np.array([1, 2], np.int32)
    path.write_bytes(length.to_bytes(8, "little") + header + numbers.tobytes())
    same(ts.load(path), {"n": ts.asarray(numbers)})


def test_the_content_says_it_and_not_the_ending(tmp_path):
    ts.io.save_file(TENSORS, tmp_path / "file.pt")
    same(ts.load(tmp_path / "file.pt"))
    ts.io.save_pytorch(TENSORS, tmp_path / "file.safetensors")
    same(ts.load(tmp_path / "file.safetensors"))


def test_folders_and_their_indices(tmp_path):
    ts.io.save_sharded(TENSORS, tmp_path, max_shard_size=24)
    same(ts.load(tmp_path))
    same(ts.load(tmp_path / "model.safetensors.index.json"))


def test_nested_trees_of_pytorch(tmp_path):
    tree = {"model": dict(TENSORS), "epoch": 3, "losses": [0.5, 0.25]}
    ts.save(tree, tmp_path / "run.pt")
    found = ts.load(tmp_path / "run.pt")
    assert (found["epoch"], found["losses"]) == (3, [0.5, 0.25])
    same(found["model"])


def test_nothing_is_executed(tmp_path):
    path = tmp_path / "evil.pt"
    path.write_bytes(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")
    with pytest.raises((UnsafeFileError, FileFormatError)):
        ts.load(path)


def test_metadata_has_a_place_or_is_refused(tmp_path):
    ts.save(TENSORS, tmp_path / "file.ts", {"by": "us"})
    with ts.io.safe_open(tmp_path / "file.ts") as file:
        assert file.metadata()["by"] == "us"
    told = "save: metadata was given, which files that end in .pt have no place for; leave it out"
    with pytest.raises(ArgumentError, match=re.escape(told)):
        ts.save(TENSORS, tmp_path / "file.pt", {"by": "us"})
    assert not (tmp_path / "file.pt").exists()

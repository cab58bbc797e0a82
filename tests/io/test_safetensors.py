"""Files of tensors: what is written is read again, by us and by others; what is wrong is said."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy

import tessella as ts
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.io.headers import CODES


@pytest.mark.parametrize("dtype", CODES.values(), ids=str)
def test_every_dtype_comes_back(tmp_path, dtype):
    x = ts.asarray([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tensors = {"whole": x, "none": x[:0], "turned": x.T, "part": x[:, ::2]}
    if dtype.bits >= 8 or dtype.is_bool:
        tensors["scalar"] = x[1, 2]
    ts.io.save_file(tensors, tmp_path / "file")
    found = ts.io.load_file(str(tmp_path / "file"))
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype is dtype
        assert found[name].shape == tensor.shape
        assert found[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_others_read_and_write_the_same(tmp_path):
    path = tmp_path / "file"
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    ts.io.save_file({"x": ts.asarray(x).T, "y": x}, path, metadata={"format": "pt"})
    theirs = safetensors.numpy.load_file(path)
    assert np.array_equal(theirs["x"], x.T)
    assert np.array_equal(theirs["y"], x)
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
    safetensors.numpy.save_file({"z": x + 1}, path)
    assert np.array_equal(ts.io.load_file(path)["z"].numpy(), x + 1)


@pytest.mark.peers
def test_pytorch_reads_and_writes_the_same(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    ours = ts.nn.Sequential(ts.nn.Linear(3, 4), ts.nn.ReLU(), ts.nn.Linear(4, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    ts.io.save_file(ours.state_dict(), tmp_path / "ours")
    theirs.load_state_dict(load_file(tmp_path / "ours"))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(ts.asarray(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    save_file({"half": torch.tensor([1.5, 2.5], dtype=torch.bfloat16)}, tmp_path / "theirs")
    half = ts.io.load_file(tmp_path / "theirs")["half"]
    assert half.dtype is ts.bfloat16
    assert half.tolist() == [1.5, 2.5]


def test_a_network_comes_back_with_its_buffers(tmp_path):
    def network():
        return ts.nn.Sequential(ts.nn.Linear(4, 3), ts.nn.BatchNorm1d(3), ts.nn.Linear(3, 2))

    first, second, x = network(), network(), ts.randn((8, 4))
    first(x)
    ts.io.save_file(first.state_dict(), tmp_path / "net")
    second.load_state_dict(ts.io.load_file(tmp_path / "net"))
    assert np.array_equal(first.eval()(x).numpy(), second.eval()(x).numpy())


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "net"
    ts.io.save_file({"x": ts.ones(3)}, path)

    def refused(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="No space left"):
        ts.io.save_file({"x": ts.zeros(3)}, path)
    monkeypatch.undo()
    assert ts.io.load_file(path)["x"].tolist() == [1.0, 1.0, 1.0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize(
    ("tensors", "kind", "message"),
    [
        ([1.0], ArgumentTypeError, r"list was given; expected names and tensors; use save_file\(model\.state"),
        ({1: np.ones(2)}, ArgumentTypeError, "a name is 1, of type int; expected str"),
        ({"\ud800": np.ones(2)}, ArgumentError, "a name is .*, which has half of a character"),
        ({"__metadata__": np.ones(2)}, ArgumentError, "no tensor can have the name '__metadata__'"),
        ({"a": [1.0]}, ArgumentTypeError, "'a' is of type list; expected a tensor or an array"),
        ({"a": np.ones(2, complex)}, DTypeError, "'a' is of tessella.complex128, which the format does not"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(tmp_path, tensors, kind, message):
    with pytest.raises(kind, match=f"save_file: {message}"):
        ts.io.save_file(tensors, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def header(entries):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("text", "metadata is of type str; expected names and texts"),
        ({1: "a"}, "a name in metadata is 1, of type int; expected str"),
        ({"a": 2}, r"metadata\['a'\] is 2, of type int; expected str"),
    ],
)
def test_metadata_are_texts(tmp_path, metadata, message):
    with pytest.raises(ArgumentTypeError, match=message):
        ts.io.save_file({}, tmp_path / "file", metadata)


@pytest.mark.parametrize("path", [5, None, b"bytes", ["a"]])
def test_paths_are_paths(path):
    message = f"the path is of type {type(path).__name__}; expected str or pathlib.Path"
    with pytest.raises(ArgumentTypeError, match=f"load_file: {message}"):
        ts.io.load_file(path)
    with pytest.raises(ArgumentTypeError, match=f"save_file: {message}"):
        ts.io.save_file({}, path)
    with pytest.raises(ArgumentError, match=r"the path 'a\\x00b' has a zero character"):
        ts.io.load_file("a\0b")


DAMAGED = {
    "empty": b"",
    "text": b"not at all a file of tensors",
    "pickle": b"\x80\x04\x95" + bytes(40),
    "a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "too little data": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}) + bytes(4),
    "other sizes": header({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}) + bytes(8),
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(
        ArgumentError, match=r"load_file: .*file is no file in the safetensors format, or"
    ):
        ts.io.load_file(tmp_path / "file")


def test_dtypes_of_others_and_files_that_are_not_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(
        header({"a": {"dtype": "C128", "shape": [1], "data_offsets": [0, 8]}}) + bytes(8)
    )
    with pytest.raises(DTypeError, match="load_file: 'a' is of dtype C128; expected one of BOOL"):
        ts.io.load_file(path)
    with pytest.raises(FileNotFoundError):
        ts.io.load_file(tmp_path / "nothing")

"""Files of tensors: what is written is read again, by us and by others; what is wrong is said."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy

import tessella as ts
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, FileFormatError
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
        ("text", "metadata is 'text'; expected names and texts"),
        ({1: "a"}, "a name in metadata is 1, of type int; expected str"),
        ({"a": 2}, r"metadata\['a'\] is 2, of type int; expected str"),
    ],
)
def test_metadata_are_texts(tmp_path, metadata, message):
    with pytest.raises(ArgumentTypeError, match=message):
        ts.io.save_file({}, tmp_path / "file", metadata)


@pytest.mark.parametrize("path", [5, None, b"bytes", ["a"]])
def test_paths_are_paths(path):
    message = "path is .*; expected str or pathlib.Path"
    with pytest.raises(ArgumentTypeError, match=f"load_file: {message}"):
        ts.io.load_file(path)
    with pytest.raises(ArgumentTypeError, match=f"save_file: {message}"):
        ts.io.save_file({}, path)
    with pytest.raises(ArgumentError, match=r"the path 'a\\x00b' has a zero character"):
        ts.io.load_file("a\0b")
    with pytest.raises(
        ArgumentError, match=r"load_file: the path 'a\\ud800' has half of a character"
    ):
        ts.io.load_file("a\ud800")


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def of(text, data=b""):
    return struct.pack("<Q", len(text)) + text + data


WRONG = [
    (bytes(5), "it has 5 bytes; the length of the header takes 8"),
    (
        struct.pack("<Q", 1 << 63) + b"{}",
        "the header is said to have 9223372036854775808 bytes; 2 follow",
    ),
    (of(b"[]"), "the header does not begin with '{'"),
    (of(b'{"a"'), "the header is no JSON"),
    (of(b'{"\xff": 1}'), "the header is no JSON"),
    (of(b'{"a": NaN}'), "the header is no JSON: NaN is no number"),
    (of(b'{"a": ' + b"9" * 5000 + b"}"), "the header is no JSON"),
    (of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "the header is nested too deep"),
    (of(b'{"\\ud800": 1}'), "the header is no JSON"),
    (of(b'{"a": 1, "a": 1}'), "the name 'a' is there twice"),
    (header({"__metadata__": {"a": 1}}), "__metadata__ are no texts with names"),
    (header({"__metadata__": []}), "__metadata__ are no texts with names"),
    (header({"a": 5}), "'a' has other entries than dtype, shape and data_offsets"),
    (header({"a": {**entry(), "more": 1}}) + bytes(8), "'a' has other entries"),
    (header({"a": entry(dtype=5)}) + bytes(8), "the dtype of 'a' is 5; expected a text"),
    (header({"a": entry(shape=(-2,))}) + bytes(8), r"the shape of 'a' is \[-2\]"),
    (header({"a": entry(shape=(2.0,))}) + bytes(8), r"the shape of 'a' is \[2.0\]"),
    (header({"a": entry(shape=(True, 2))}) + bytes(8), r"the shape of 'a' is \[True, 2\]"),
    (header({"a": {**entry(), "shape": 2}}) + bytes(8), "the shape of 'a' is 2"),
    (header({"a": entry(shape=(1,) * 65, offsets=(0, 4))}) + bytes(4), "the shape of 'a' is"),
    (header({"a": entry(shape=(0, 1 << 61, 4), offsets=(0, 0))}), "the shape of 'a' is"),
    (
        header({"a": entry(offsets=(0, 9))}) + bytes(8),
        r"'a' is said to be at \[0, 9\], of 8 bytes that follow",
    ),
    (header({"a": entry(offsets=(8, 0))}) + bytes(8), r"'a' is said to be at \[8, 0\]"),
    (header({"a": entry(offsets=(0, 8, 8))}) + bytes(8), r"'a' is said to be at"),
    (
        header({"a": entry(shape=(3,))}) + bytes(8),
        r"'a' of F32 and shape \[3\] takes 12 bytes; 8 are there",
    ),
    (
        header({"a": entry("F4", (3,), (0, 2))}) + bytes(2),
        r"'a' of F4 and shape \[3\] takes 1.5 bytes; 2 are there",
    ),
    (header({"a": entry(), "b": entry(offsets=(4, 12))}) + bytes(12), "'a' and 'b' overlap"),
    (header({"a": entry(), "b": entry()}) + bytes(8), "'a' and 'b' overlap"),
    (
        header({"a": entry(offsets=(4, 12))}) + bytes(12),
        "the header and 'a' have something between them",
    ),
    (header({"a": entry()}) + bytes(9), "1 bytes follow the last tensor"),
    (header({"a": entry("BOOL", (3,), (0, 3))}) + b"\0\1\2", "'a' of bool has a byte of 2"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=range(len(WRONG)))
def test_headers_that_are_wrong(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    told = f"load_file: .*file is no file in the safetensors format, or damaged .*{message}"
    with pytest.raises(FileFormatError, match=told):
        ts.io.load_file(tmp_path / "file")


def test_unaligned_tensors_are_read(tmp_path):
    table = {
        "a": entry("U8", (1,), (0, 1)),
        "b": entry("F64", (2,), (1, 17)),
        "c": entry("C64", (1,), (17, 25)),
    }
    data = b"\7" + np.array([1.5, 2.5]).tobytes() + np.array([1j], np.complex64).tobytes()
    (tmp_path / "file").write_bytes(header(table) + data)
    found = ts.io.load_file(tmp_path / "file")
    assert (found["b"] * 2).tolist() == [3.0, 5.0]
    assert (found["c"] * 2).tolist() == [2j]


def test_tensors_are_on_the_mapped_file_and_aligned(tmp_path):
    tensors = {
        "a": ts.ones(3, dtype=ts.uint8),
        "b": ts.ones(1),
        "c": ts.ones(2, dtype=ts.float64),
        "d": ts.ones(1, dtype=ts.complex64),
    }
    ts.io.save_file(tensors, tmp_path / "file")
    found = ts.io.load_file(tmp_path / "file")
    places = {name: x.numpy().__array_interface__["data"][0] for name, x in found.items()}
    first = min(places.values())
    assert first % 64 == 0
    assert {name: place - first for name, place in places.items()} == {
        "c": 0,
        "d": 16,
        "b": 24,
        "a": 28,
    }
    for name, x in found.items():
        assert x.numpy().flags.aligned
        assert np.array_equal(x.numpy(), tensors[name].numpy())


def test_changing_tensors_changes_no_file(tmp_path):
    path = tmp_path / "file"
    ts.io.save_file({"x": ts.ones(1000)}, path)
    before = path.read_bytes()
    x = ts.io.load_file(path)["x"]

    @ts.jit
    def doubled():
        x.assign(x * 2.0)

    doubled()
    doubled()
    x[0] = 9.0
    np.from_dlpack(ts.io.load_file(path)["x"])[:] = 5
    assert path.read_bytes() == before
    assert x[:2].tolist() == [9.0, 4.0]
    ts.io.save_file(
        {"x": ts.io.load_file(path)["x"] + 1}, path
    )  # in place of the file that is mapped
    assert ts.io.load_file(path)["x"][0].item() == 2.0


def test_a_traced_function_reads_the_file(tmp_path):
    ts.io.save_file({"x": ts.ones(3)}, tmp_path / "file")
    assert ts.jit(lambda y: ts.io.load_file(tmp_path / "file")["x"] + y)(1.0).tolist() == [
        2.0,
        2.0,
        2.0,
    ]


def test_single_tensors_are_taken(tmp_path):
    ts.io.save_file({"b": ts.ones(2), "a": np.float32(3)}, tmp_path / "file", {"k": "v"})
    with ts.io.safe_open(tmp_path / "file", device="emulated") as file:
        assert file.keys() == ["a", "b"]
        assert file.metadata() == {"k": "v"}
        assert file.get_tensor("a").device == "emulated"
        for name in ("c", 5, None):
            with pytest.raises(
                KeyError, match=r"get_tensor: .*file has no tensor .*; `keys\(\)` gives the names"
            ):
                file.get_tensor(name)
    assert ts.io.load_file(tmp_path / "file", device="emulated")["b"].device == "emulated"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        ArgumentError, match=r"load_file: .*pipe is no ordinary file; copy it into one"
    ):
        ts.io.load_file(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        ts.io.load_file(tmp_path)


def test_four_bits_are_packed_as_pytorch_has_them(tmp_path):
    x = ts.asarray([[1.0, -2.0], [0.5, 6.0]]).astype(ts.float4_e2m1fn)
    ts.io.save_file({"x": x}, tmp_path / "file")
    assert ts.io.load_file(tmp_path / "file")["x"].astype(ts.float32).tolist() == [
        [1.0, -2.0],
        [0.5, 6.0],
    ]
    assert (tmp_path / "file").read_bytes()[-2:] == ts.pack(x).numpy().tobytes()
    with pytest.raises(
        DTypeError, match=r"'x' has 1 elements of tessella.float4_e2m1fn, which fill no whole bytes"
    ):
        ts.io.save_file({"x": x[0, :1]}, tmp_path / "file")


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
    with pytest.raises(DTypeError, match="load_file: 'a' is of dtype 'C128'; expected one of BOOL"):
        ts.io.load_file(path)
    with pytest.raises(FileNotFoundError):
        ts.io.load_file(tmp_path / "nothing")

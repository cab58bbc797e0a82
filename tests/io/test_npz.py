"""NumPy's archives: what NumPy writes is read, what is written NumPy reads, and nothing in them is executed."""

import io
import zipfile

import numpy as np
import pytest

import tessella as ts
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    FileFormatError,
    UnsafeFileError,
)

NUMPYS = [dtype for dtype in ts.dtypes.ALL if dtype.library == "numpy"]


@pytest.mark.parametrize("dtype", NUMPYS, ids=str)
def test_every_dtype_comes_back(tmp_path, dtype):
    x = ts.asarray([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tensors = {
        "whole": x,
        "turned": x.T,
        "none": x[:0],
        "one": x[1, 2],
        "a/b.c": x[:, ::2],
        "": x,
        "grüße": x,
    }
    ts.io.save_npz(tensors, tmp_path / "x")
    found = ts.io.load_npz(str(tmp_path / "x"))
    theirs = np.load(tmp_path / "x")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype is dtype
        assert found[name].shape == tensor.shape
        assert np.array_equal(found[name].numpy(), tensor.numpy())
        assert np.array_equal(theirs[name], tensor.numpy())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpys_files_are_read(tmp_path, save):
    arrays = {
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(4, dtype=">i2"), "b": np.array([True]),
        "one": np.array(2.5, np.float16), "many": np.arange(24).reshape(2, 3, 4), "none": np.zeros((3, 0)),
    }  # fmt: skip
    save(tmp_path / "x.npz", **arrays)
    found = ts.io.load_npz(tmp_path / "x.npz")
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert np.array_equal(found[name].numpy(), array)
    assert ts.io.load_npz(tmp_path / "x.npz", device="emulated")["f"].device == "emulated"


def test_changing_a_tensor_changes_no_file(tmp_path):
    ts.io.save_npz({"x": ts.ones(3)}, tmp_path / "x")
    x = ts.io.load_npz(tmp_path / "x")["x"]
    x += 1
    np.from_dlpack(ts.io.load_npz(tmp_path / "x")["x"])[:] = 7
    assert ts.io.load_npz(tmp_path / "x")["x"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("tensors", "kind", "message"),
    [
        ([1], ArgumentTypeError, r"list was given; expected names and tensors; use save_npz\(model.state_dict"),
        ({"a": 1}, ArgumentTypeError, "'a' is of type int; expected a tensor or an array"),
        ({"../a": np.ones(1)}, ArgumentError, "'../a' cannot be the name of a file in an archive"),
        ({"a\\b": np.ones(1)}, ArgumentError, ".* cannot be the name of a file"),
        ({"a": ts.ones(1, dtype=ts.bfloat16)}, DTypeError, r"'a' is of tessella.bfloat16, .* save x.astype\(ts.float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(tmp_path, tensors, kind, message):
    with pytest.raises(kind, match=f"save_npz: {message}"):
        ts.io.save_npz(tensors, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)


def npy(header, data=b"", version=1):
    text = header.encode()
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + len(text).to_bytes(2 if version == 1 else 4, "little")
        + text
        + data
    )


def said(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


DAMAGED = [
    (said(), bytes(4), r"shape \(2,\) takes 8 bytes; 4 are there"),
    (said(shape="(4611686018427387904, 4)"), b"", "header of .* says"),
    (said(shape="(" + "1," * 65 + ")"), bytes(4), "header of .* says"),
    (said(order="None"), bytes(8), "its header says"),
    (said(shape="(-2,)"), bytes(8), "its header says"),
    (said(shape="__import__('os').system('true')"), bytes(8), "its header says"),
    (said(descr="[('a', '<f4')]"), bytes(8), "has named fields"),
    (said(descr="'|b1'"), b"\x00\x02", "of bool has a byte of 2"),
    ("", bytes(8), "its header says"),
]


@pytest.mark.parametrize(("header", "data", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_arrays_that_are_wrong(tmp_path, header, data, message):
    archive(tmp_path / "x", a__npy=npy(header, data))
    with pytest.raises(FileFormatError, match=f"load_npz: .*x is .*{message}"):
        ts.io.load_npz(tmp_path / "x")


def test_files_that_are_wrong(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"")
    with pytest.raises(
        FileFormatError, match=r"load_npz: .*x is no .npz file: it does not begin as a zip archive"
    ):
        ts.io.load_npz(path)
    archive(path, readme="text")
    with pytest.raises(
        FileFormatError, match=r"is no .npz file: 'readme' in it is no array of NumPy"
    ):
        ts.io.load_npz(path)
    archive(path, a__npy=npy(said(), bytes(8))[:9])
    with pytest.raises(FileFormatError, match="does not begin as an array of NumPy"):
        ts.io.load_npz(path)
    archive(path, a__npy=npy(said(), bytes(8), version=9))
    with pytest.raises(FileFormatError, match="does not begin as an array of NumPy"):
        ts.io.load_npz(path)
    archive(path, a__npy=b"\x93NUMPY\x02\x00" + b"\xff" * 80)
    with pytest.raises(FileFormatError, match=r"the header of .* is said to have 4294967295 bytes"):
        ts.io.load_npz(path)


def test_headers_of_other_versions_and_orders_are_read(tmp_path):
    header = "{ 'shape': (2,) , 'fortran_order':False,'descr': '<f4'}   \n"
    for version in (1, 2, 3):
        archive(tmp_path / "x", a__npy=npy(header, np.ones(2, np.float32).tobytes(), version))
        assert ts.io.load_npz(tmp_path / "x")["a"].tolist() == [1.0, 1.0]


def test_objects_and_text_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], object))
    with pytest.raises(
        UnsafeFileError, match=r"holds Python objects, which are pickled; nothing is executed here"
    ):
        ts.io.load_npz(tmp_path / "x.npz")
    for value in ("text", np.datetime64("2020-01-01"), np.longdouble(1)):
        np.savez(tmp_path / "x.npz", a=np.array([value]))
        with pytest.raises(
            DTypeError, match=r"load_npz: .* is of NumPy's dtype .*, which Tessella does not have"
        ):
            ts.io.load_npz(tmp_path / "x.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    size, said_size = 1_234_567, 300_000_000
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", bytes(size))
    lying = content.getvalue().replace(size.to_bytes(4, "little"), said_size.to_bytes(4, "little"))
    (tmp_path / "x").write_bytes(lying)
    with pytest.raises(UnsafeFileError, match="would unpack to 300000000"):
        ts.io.load_npz(tmp_path / "x")

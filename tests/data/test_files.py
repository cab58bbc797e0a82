"""Datasets of files: what is in them, and what is said of those that are damaged."""

import gzip
import struct

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import CSV, DataLoader, IDXDataset, JSONLines, NumPyDataset, TextLines, read_idx


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- IDX ------------------------------------------------------------------------------------------------

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array):
    code = CODES[array.dtype.str[1:]]
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("packed", [False, True])
def test_idx(write, code, packed):
    array = np.arange(24).reshape(4, 3, 2).astype(code)
    found = read_idx(write("x", gzip.compress(idx(array)) if packed else idx(array)))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_idx_datasets(write):
    images = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    labels = np.array([0, 1, 9, 3, 2], np.uint8)
    paths = write("images", idx(images)), write("labels", gzip.compress(idx(labels)))
    dataset = IDXDataset(*paths, classes=10)
    inputs, targets = next(iter(DataLoader(dataset, 3)))
    assert inputs.shape == (3, 4, 4) and inputs.dtype == ts.uint8
    assert targets.tolist() == [0, 1, 9] and targets.dtype == ts.int64
    with pytest.raises(errors.BadRowError, match="labels, row 2: the label is 9; expected 0 to 8"):
        IDXDataset(*paths, classes=9)
    with pytest.raises(errors.ArgumentError, match="expected a label for each image"):
        IDXDataset(paths[0], write("few", idx(labels[:4])))
    with pytest.raises(errors.ArgumentError, match="has no rows"):
        IDXDataset(write("none", idx(images[:0])), write("nothing", idx(labels[:0])))


LABELS = idx(np.arange(100, dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is no file in the IDX format: it begins with b''"),
        (b"PNG, perhaps", "is no file in the IDX format"),
        (LABELS[:6], "ends within its sizes"),
        (LABELS[:-1], "declares the shape (100,) of uint8, 100 bytes; the file has only 99"),
        (LABELS + b"x", "the file has more"),
        (bytes([0, 0, 14, 3]) + struct.pack(">3I", *[2**32 - 1] * 3), "so many cannot be in a file of its size"),
        (gzip.compress(bytes([0, 0, 14, 3]) + struct.pack(">3I", *[2**32 - 1] * 3)), "so many cannot be"),
        (gzip.compress(LABELS)[:-20], "is a damaged gzip file"),
    ],
)  # fmt: skip
def test_damaged_idx_files(write, content, text):
    with pytest.raises(errors.ArgumentError) as caught:
        read_idx(write("x", content))
    assert text in str(caught.value)


# --- NumPy ----------------------------------------------------------------------------------------------


def test_numpy_files(tmp_path):
    x, y = np.random.rand(7, 2), np.arange(7)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    np.savez_compressed(tmp_path / "both.npz", x=x, y=y)
    batch = next(iter(DataLoader(NumPyDataset(tmp_path / "x.npy", tmp_path / "y.npy"), 3)))
    np.testing.assert_array_equal(batch[0], x[:3])
    batch = next(iter(DataLoader(NumPyDataset(str(tmp_path / "both.npz")), 3, sampler=[5, 1, 0])))
    np.testing.assert_array_equal(batch["x"], x[[5, 1, 0]])
    assert batch["y"].tolist() == [5, 1, 0]


def test_damaged_numpy_files(tmp_path, write):
    np.save(tmp_path / "x.npy", np.ones((100, 10)))
    np.save(tmp_path / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", np.ones(1000))
    whole, packed = (tmp_path / "x.npy").read_bytes(), (tmp_path / "x.npz").read_bytes()
    paths = [
        write("short.npy", whole[:500]), write("head.npy", whole[:20]), write("empty.npy", b""),
        tmp_path / "objects.npy", write("short.npz", packed[:100]),
    ]  # fmt: skip
    for path in paths:
        with pytest.raises(
            errors.ArgumentError, match="no file of NumPy's with plain arrays, or damaged"
        ):
            NumPyDataset(path)
    np.save(tmp_path / "none.npy", np.ones((0, 2)))
    with pytest.raises(errors.ArgumentError, match="has no rows"):
        NumPyDataset(tmp_path / "none.npy")


# --- text -----------------------------------------------------------------------------------------------


def test_lines(write):
    assert list(TextLines(write("a", "\ufeffone\r\n\n  two \nthree"))) == ["one", "  two ", "three"]
    broken = write("b", b"one\ntw\xff\nthree\n")
    with pytest.raises(
        errors.BadRowError, match="b, line 2: byte 2 is no UTF-8; mend it, or leave"
    ):
        TextLines(broken)
    with pytest.warns(errors.SkippedRowsWarning, match="1 bad rows were skipped, 2 are left"):
        lines = TextLines(broken, bad_rows="skip")
    assert list(lines) == ["one", "three"] and lines.skipped[0].line == 2
    with pytest.raises(errors.ArgumentError, match="has no rows"):
        TextLines(write("c", "\n\n"))


def test_json_lines(write):
    path = write("a", '{"text": "x", "label": 1}\n\n{"text": "y", "label": 0, "more": 3}\n')
    assert list(JSONLines(path))[1] == {"text": "y", "label": 0, "more": 3}
    assert JSONLines(path, ["label"])[-1] == {"label": 0}
    assert next(iter(DataLoader(JSONLines(path, ["text", "label"]), 2)))["text"] == ["x", "y"]
    for content, text in [("{}\n{", "line 2: no JSON"), ('{"a": 1}\n[1]', "line 2: there is no 'a'"), ("[" * 100_000, "no JSON")]:  # fmt: skip
        bad = write("b", content)
        with pytest.raises(errors.BadRowError, match=text):
            JSONLines(bad, ["a"] if "a" in content else None)


PEOPLE = "name;age;height;member\nAda;36;1,65;true\n"
TABLE = """city, rooms, price, sold
Bonn, 3, 1.5, true
"Rome, Italy", NA, 2e3, false

Oslo, 2, -inf, TRUE
"""


def test_csv(write):
    table = CSV(write("a.csv", TABLE))
    assert table.kinds == {"city": "text", "rooms": "number", "price": "number", "sold": "flag"}
    assert table.missing == {"rooms": 1}
    assert table.column("city").tolist() == ["Bonn", "Rome, Italy", "Oslo"]
    assert table[2] == {"city": "Oslo", "rooms": 2.0, "price": -np.inf, "sold": True}
    np.testing.assert_array_equal(table.tensor(), [[3, 1.5, 1], [np.nan, 2000, 0], [2, -np.inf, 1]])
    batch = next(iter(DataLoader(table, 2)))
    assert batch["city"] == ["Bonn", "Rome, Italy"] and batch["price"].tolist() == [1.5, 2000.0]
    assert CSV(write("b.csv", PEOPLE)).kinds == {"name": "text", "age": "integer", "height": "text", "member": "flag"}  # fmt: skip
    assert CSV(write("c.csv", "1\t2\n3\t4\n"), header=False)[1] == {"0": 3, "1": 4}
    assert CSV(write("d.csv", "a,b\n1_0,x\n,\n")).missing == {"a": 1, "b": 1}


def test_csv_with_a_target(write):
    table = CSV(write("a.csv", TABLE), columns=["rooms"], target="sold")
    assert table[0] == ({"rooms": 3.0}, True)
    assert next(iter(DataLoader(table, 3)))[1].tolist() == [True, False, True]
    assert table.tensor().shape == (3, 1)
    assert (
        CSV(write("b.csv", TABLE), target=-1).target == CSV(write("b.csv", TABLE)).columns[-1].name
    )


@pytest.mark.parametrize(
    ("content", "arguments", "kind", "text"),
    [
        ("", {}, errors.ArgumentError, "is empty"),
        ("a,b\n", {}, errors.ArgumentError, "has no rows"),
        ("a,a\n1,2\n", {}, errors.ArgumentError, "has several columns 'a'"),
        ("\n\na,b\n1,2\n1,2,3\n", {}, errors.BadRowError, "line 5: there are 3 values for 2 columns"),
        ("a,b\n1,2\n1\n", {}, errors.BadRowError, "line 3: there are 1 values for 2 columns"),
        (b"a,b\n1,\xff\n", {}, errors.BadRowError, "line 2: it is no UTF-8"),
        ("a,b\n1,2\n", {"columns": ["c"]}, errors.UnknownKeyError, "has no column 'c'; it has 'a', 'b'"),
        ("a,b\n1,2\n2,5\n", {"target": "b", "classes": 3}, errors.BadRowError, "line 3: the label 'b' is 5; expected 0 to 2"),
        ("a,b\n1,2\n", {"target": 1.5}, errors.ArgumentTypeError, "target is 1.5; expected the name of a column, or its place"),
        ("a,b\n1,2\n", {"target": 2}, errors.UnknownKeyError, "has no column 2; it has 2"),
        ("a,b\n1,2\n2,\n", {"target": "b"}, errors.BadRowError, "line 3: the target 'b' is missing"),
        ("a,b\n1,x\n", {"target": "b", "classes": 3}, errors.ArgumentError, "the target 'b' is of kind text"),
        ("a,b\n1,2\n", {"delimiter": "ab"}, errors.ArgumentError, "expected a single character"),
        ("a,b\n1,2\n", {"bad_rows": "drop"}, errors.ArgumentError, "bad_rows is 'drop'; expected 'raise' or 'skip'"),
    ],
)  # fmt: skip
def test_bad_csv_files(write, content, arguments, kind, text):
    with pytest.raises(kind) as caught:
        CSV(write("a.csv", content), **arguments)
    assert text in str(caught.value)


def test_bad_rows_are_counted(write):
    content = "a,b\n1,0\n2\n3,7\n4,\n5,1\n"
    with pytest.warns(errors.SkippedRowsWarning, match=r"3 bad rows were skipped, 2 are left \(lines 3, 5, 4; the first: there are 1 values"):  # fmt: skip
        table = CSV(write("a.csv", content), target="b", classes=2, bad_rows="skip")
    assert table.column("a").tolist() == [1, 5] and len(table.skipped) == 3
    with pytest.raises(errors.ArgumentError, match="has no rows; 1 bad ones were skipped"):
        CSV(write("b.csv", "a,b\n1\n"), bad_rows="skip")


@pytest.mark.parametrize("kind", [TextLines, JSONLines, CSV, read_idx, NumPyDataset])
def test_paths(kind, tmp_path):
    with pytest.raises(errors.ArgumentTypeError, match="the path is 3"):
        kind(3)
    with pytest.raises(errors.ArgumentError, match="a zero character"):
        kind("a\0b")
    with pytest.raises(FileNotFoundError):
        kind(tmp_path / "nothing")

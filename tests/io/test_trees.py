"""Trees in one file: what was saved comes back, bit by bit; what cannot be saved or read is named."""

import enum
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import textwrap
import tracemalloc
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import safetensors.numpy

import tessella as ts
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, FileFormatError
from tessella.io.headers import METADATA

STRUCTURE = "tessella.tree"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tree"


def again(tree, path):
    ts.save(tree, path)
    return ts.load(path)


@pytest.mark.parametrize("dtype", [*ts.dtypes.ALL, *ts.dtypes.STORAGE], ids=str)
def test_every_dtype_comes_back_as_tensor_and_array(path, dtype):
    x = ts.asarray([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tree = {
        "whole": x,
        "turned": x.T,
        "part": x[:, ::2],
        "none": x[:0],
        "one": x[1, 2],
        "array": np.array(x.numpy()),
    }
    found = again(tree, path)
    for name, value in tree.items():
        assert type(found[name]) is type(value)
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert np.array(found[name]).tobytes() == np.array(value).tobytes()


@pytest.mark.parametrize("dtype", [ts.int4, ts.uint4, ts.int2, ts.uint2, ts.float4_e2m1fn], ids=str)
def test_packed_numbers_of_any_count_come_back(path, dtype):
    bits = np.arange(1 << dtype.bits, dtype=np.uint8)
    for count in range(1, 8):
        x = ts.unpack(ts.asarray(np.resize(bits, count)), dtype)[:count]
        found = again(x, path)
        assert found.numpy().tobytes() == x.numpy().tobytes()
        assert ts.io.safe_open(path).get_tensor("tree").nbytes == -(-count * dtype.bits // 8)


PLAIN = [
    None, True, False, 0, -1, 1 << 62, (1 << 63) - 1, 1 << 63, -(1 << 64), 10**5000, 0.0, -0.0, 1.5, 0.1, 5e-324,
    1.7976931348623157e308, math.inf, -math.inf, 1 + 2j, complex(math.inf, -0.0), "", "text", "grüße", "\ud800", "a\0b",
    '"\\', b"", b"\x00\xff", [], (), {}, [[]], ((),), {"": {}}, [(1, [2.0, {"x": None}])], {"a": 1, 2: "b", -3: [], 10**5000: 0},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_values_come_back(path, value):
    found = again({"value": value}, path)["value"]
    assert type(found) is type(value)
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value) if isinstance(value, float) else True


def test_counts_are_numbers(path):
    found = again([ts.ones((2, 3)).size, ts.ones(2).shape], path)
    assert found == [6, (2,)]
    assert type(found[0]) is int


def test_nan_keeps_its_bits(path):
    (number,) = struct.unpack(">d", bytes.fromhex("fff8000000000123"))
    (found,) = again([number], path)
    assert struct.pack(">d", found).hex() == "fff8000000000123"


def test_dicts_keep_their_order_and_their_kind(path):
    tree = OrderedDict([("b", {"z": 1, "a": 2, 10: 3}), ("a", 0)])
    found = again(tree, path)
    assert type(found) is OrderedDict
    assert list(found) == ["b", "a"]
    assert list(found["b"]) == ["z", "a", 10]
    assert type(found["b"]) is dict


def test_numpy_comes_back_as_numpys_and_may_be_written(path):
    tree = [
        np.float32(1.5),
        np.int8(-3),
        np.bool_(True),
        np.complex128(1j),
        np.arange(6).reshape(2, 3).T,
        np.array(2.0),
    ]
    ts.save(tree, path)
    before = path.read_bytes()
    found = ts.load(path)
    for value, other in zip(tree, found, strict=True):
        assert type(other) is type(value)
        assert other.dtype == value.dtype
        assert np.array_equal(other, value)
    found[4][0, 0] = 9
    assert path.read_bytes() == before


def test_numbers_in_another_order_of_bytes(path):
    assert again(np.array([1, 2], ">i4"), path).tolist() == [1, 2]


def test_parameters_buffers_and_gradients(path):
    tree = {
        "p": ts.nn.Parameter(ts.ones(2)), "frozen": ts.nn.Parameter(ts.ones(2), requires_grad=False),
        "leaf": ts.ones(2).requires_grad_(), "made": ts.ones(2).requires_grad_() * 2, "b": ts.nn.Buffer(ts.ones(2)),
        "hidden": ts.nn.Buffer(ts.ones(2), persistent=False),
    }  # fmt: skip
    found = again(tree, path)
    for name, value in tree.items():
        assert type(found[name]) is type(value)
        assert found[name].requires_grad is value.requires_grad
    assert found["b"].persistent
    assert not found["hidden"].persistent
    found["p"].sum().backward()
    assert found["p"].grad.tolist() == [1.0, 1.0]


def test_what_is_one_stays_one(path):
    tied, array = ts.nn.Parameter(ts.randn(100, 100)), np.arange(3)
    found = again(
        {"a": tied, "b": [tied, array], "c": array, "d": tied.detach(), "e": ts.ones(1)}, path
    )
    assert found["a"] is found["b"][0]
    assert found["c"] is found["b"][1]
    assert found["d"] is not found["a"]
    assert np.array_equal(found["d"].numpy(), tied.numpy())
    assert path.stat().st_size < 1.5 * 100 * 100 * 4
    found["c"][0] = 7
    assert found["b"][1][0] == 7


def test_tied_weights_of_a_model_are_written_once(path):
    class Tied(ts.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = ts.nn.Linear(80, 80), ts.nn.Linear(80, 80)
            self.last.weight = self.first.weight

    model, other = Tied(), Tied()
    ts.save(model.state_dict(), path)
    assert path.stat().st_size < 2 * 80 * 80 * 4
    other.load_state_dict(ts.load(path))
    assert other.last.weight is other.first.weight
    assert np.array_equal(other.last.weight.numpy(), model.first.weight.numpy())


def test_training_goes_on_where_it_was(path):
    def started():
        ts.manual_seed(0)
        model = ts.nn.Sequential(ts.nn.Linear(3, 4), ts.nn.BatchNorm1d(4), ts.nn.Linear(4, 1))
        return model, ts.optim.AdamW(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    x = ts.randn(8, 3)
    model, optimizer = started()
    step(model, optimizer)
    ts.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "seen": ts.random.default.state,
        },
        path,
    )
    expected = [step(model, optimizer) for _ in range(3)]
    model, optimizer = started()
    found = ts.load(path)
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    assert [step(model, optimizer) for _ in range(3)] == expected
    ts.random.default.state = found["seen"]


def test_names_tell_the_ways_and_never_collide(path):
    one = ts.ones(1)
    tree = {"a.b": one * 1, "a": {"b": one * 2}, "a.b~2": one * 3, METADATA: one * 4, 1: one * 5, "1": one * 6, "": {"": one * 7}, "\ud800": one * 8}  # fmt: skip
    found = again(tree, path)
    assert [x.item() for x in (*(found[k] for k in ("a.b", "a.b~2", METADATA, 1, "1", "\ud800")), found["a"]["b"], found[""][""])] == [1, 3, 4, 5, 6, 8, 2, 7]  # fmt: skip
    again({"layers": [{"w": one}], "t": (one + 1,)}, path)
    assert sorted(safetensors.numpy.load_file(path)) == ["layers.0.w", "t.0"]


def test_others_read_the_tensors_and_their_files_are_loaded(path):
    state = ts.nn.Linear(3, 2).state_dict()
    ts.save(state, path, metadata={"by": "us"})
    theirs = safetensors.numpy.load_file(path)
    assert {name: x.tolist() for name, x in theirs.items()} == {
        k: v.tolist() for k, v in state.items()
    }
    assert ts.io.safe_open(path).metadata()["by"] == "us"
    safetensors.numpy.save_file({"z": np.ones(2)}, path)
    assert ts.load(path)["z"].tolist() == [1.0, 1.0]


def test_elements_are_where_the_file_is_mapped_and_the_file_stays(path):
    ts.save({"x": ts.arange(1000), "y": ts.ones(1000, dtype=ts.bfloat16)}, path)
    before = path.read_bytes()
    found = ts.load(path)
    found["x"] += 1
    found["y"][0] = 5.0
    shared = np.from_dlpack(ts.load(path)["x"])
    shared[:] = 0
    assert path.read_bytes() == before
    ts.save({"x": ts.load(path)["x"] + 1}, path)  # over the file that is mapped
    assert found["x"][1].item() == 2
    assert ts.load(path)["x"][1].item() == 2


def test_tensors_go_to_the_device_that_was_asked_for(path):
    ts.save({"x": ts.arange(3), "few": ts.asarray([1, -1], dtype=ts.int4)}, path)
    for found in (ts.load(path, device="emulated"), _inside("emulated", path)):
        assert found["x"].device == "emulated"
        assert found["few"].device == "emulated"
        assert found["x"].tolist() == [0, 1, 2]
        assert found["few"].tolist() == [1, -1]
    ts.save(found, path)
    assert ts.load(path)["few"].tolist() == [1, -1]


def _inside(device, path):
    with ts.device(device):
        return ts.load(path)


def test_no_second_copy_is_made(path):
    tree = {"x": ts.ones(5_000_000), "y": [ts.zeros((2_000, 1_000))]}
    ts.save(tree, path)  # what is loaded for the first one
    tracemalloc.start()
    ts.save(tree, path)
    found = ts.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["x"][-1].item() == 1.0
    assert peak < 1_000_000


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="needs to know the memory")
def test_elements_are_read_when_they_are_looked_at(path):
    ts.save({"x": ts.zeros(1)}, path)
    with safetensors.safe_open(path, "np") as file:
        text = file.metadata()[STRUCTURE]
    size = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # of a file without blocks
    table = {
        METADATA: {STRUCTURE: text},
        "x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
    }
    header = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    tracemalloc.start()
    found = ts.load(path)
    assert found["x"][size - 1].item() == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


# --- what cannot be saved ------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")


@dataclass
class Record:
    a: int


class Odd(ts.Tensor):
    pass


class Colour(enum.IntEnum):
    RED = 1


class Shape(tuple):
    __slots__ = ()


REFUSED = [
    (ts.nn.Linear(2, 2), r"the tree itself is of class Linear; save its state_dict\(\): it is loaded by Linear.load"),
    ({"a": [ts.optim.SGD([ts.nn.Parameter(ts.ones(1))], lr=0.1)]}, r"\['a'\]\[0\] is of class SGD; save its state_dict"),
    ({"o": {"s": {0: {"step": object()}}}}, r"\['o'\]\['s'\]\[0\]\['step'\] is of class object; expected tensors, arr"),
    ([Pair(1, 2)], r"\[0\] is of class Pair; save x._asdict\(\), or tuple\(x\)"),
    ([Record(1)], r"\[0\] is of class Record; save vars\(x\), or dataclasses.asdict\(x\)"),
    ({"d": defaultdict(list)}, r"\['d'\] is of class defaultdict; save dict\(x\)"),
    ({"s": {1, 2}}, r"\['s'\] is of class set; save list\(x\)"),
    ({1.5: 2}, "the dict at the tree itself has the key 1.5; expected str or int"),
    ({"a": {True: 2}}, r"the dict at \['a'\] has the key True; expected str or int"),
    (np.ma.masked_array([1, 2]), "the tree itself is of class MaskedArray"),
    (pathlib.Path("x"), r"the tree itself is of class PosixPath; save str\(x\)"),
    ({"c": Colour.RED}, r"\['c'\] is of class Colour; save x.value"),
    ([bytearray(b"x")], r"\[0\] is of class bytearray; save bytes\(x\)"),
    ([Shape((1, 2))], r"\[0\] is of class Shape; save tuple\(x\)"),
    ([frozenset()], r"\[0\] is of class frozenset; save list\(x\)"),
    ([Odd], r"\[0\] is of class "),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cannot_be_saved_is_named_with_its_way(path, tree, message):
    with pytest.raises(ArgumentTypeError, match=f"^save: {message}"):
        ts.save(tree, path)
    assert not path.exists()


def test_what_else_is_refused(path):
    with pytest.raises(
        DTypeError,
        match=r"save: \['x'\] is an array of NumPy's dtype <U1, which .*; save x.tolist\(\)",
    ):
        ts.save({"x": np.array(["a"])}, path)
    ring = {"a": []}
    ring["a"].append(ring)
    with pytest.raises(
        ArgumentError,
        match=r"nested more than 100 deep, at \['a'\]\[0\].*; does something in it hold",
    ):
        ts.save(ring, path)
    with pytest.raises(
        ArgumentError, match=r"metadata has 'tessella.tree', where the tree is kept"
    ):
        ts.save({}, path, metadata={STRUCTURE: ""})
    with pytest.raises(
        ArgumentTypeError, match=r"save: path is b'x'; expected str or pathlib.Path"
    ):
        ts.save({}, b"x")
    with pytest.raises(
        ArgumentTypeError, match="nothing is pickled, and nothing in a file is executed"
    ):
        ts.load(path, weights_only=True)
    assert list(path.parent.iterdir()) == []


def test_a_tree_may_be_100_deep(path):
    tree = 1
    for _ in range(100):
        tree = {"a": tree}
    assert again(tree, path) == tree


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_full_disk_leaves_what_was_there(path):
    """A limit on the size of files stands for the disk."""
    code = """
        import resource, sys
        import tessella as ts
        ts.save({"x": ts.ones(10)}, sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            ts.save({"x": ts.zeros(10), "y": ts.ones(100_000)}, sys.argv[1])
        except OSError as error:
            print(error.strerror, error.filename)
        print(ts.load(sys.argv[1])["x"].sum().item())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"File too large {path}\n10.0\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_takes_its_place(path, monkeypatch):
    order = []

    def noted(name):
        real = getattr(os, name)
        return lambda *arguments: (order.append(name), real(*arguments))[1]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    ts.save({"x": ts.ones(3)}, path)
    assert order == ["fsync", "replace", "fsync"]  # the folder's names at last


# --- what cannot be read -------------------------------------------------------------------------------


def with_structure(path, tree, version=1):
    text = tree if isinstance(tree, str) else json.dumps({"version": version, "tree": tree})
    safetensors.numpy.save_file(
        {"a": np.ones(2, np.float32), "n": np.arange(3, dtype=np.uint8)},
        path,
        metadata={STRUCTURE: text},
    )


BOTH = [{"tensor": {"name": "a"}}, {"bytes": "n"}]
DAMAGED = [
    ("no", "its structure is no JSON"),
    ("[" * 100_000, "its structure is nested too deep"),
    ('{"version": 1, "tree": 1, "tree": 2}', "its structure is no JSON: the name 'tree' is there twice"),
    ([*BOTH, {"float": "no"}], "the tree holds 'no' as a float"),
    ([*BOTH, {"int": "zz"}], "the tree holds 'zz' as an integer"),
    ([*BOTH, {"int": 5}], "the tree holds 5 as an integer"),
    ([*BOTH, {"complex": [1.0]}], r"the tree holds \[1.0\] as a complex number"),
    ([*BOTH, {"complex": [1.0, "x"]}], "as a complex number"),
    ([*BOTH, {"function": "os.system"}], "the tree holds something of the kind 'function'"),
    ([*BOTH, {}], "the tree holds something of the kind ''"),
    ([*BOTH, {"tuple": 3}], "the tree holds 3 as a tuple"),
    ([*BOTH, {"dict": [[1, 2], [1, 3]]}], "as a dict with a key twice"),
    ([*BOTH, {"dict": [[[], 2]]}], r"the tree holds \[\] as a key"),
    ([*BOTH, {"dict": [[1]]}], "as a dict"),
    ([*BOTH, {"again": 7}], "the tree holds 7 as a tensor again"),
    ([*BOTH, {"again": -1}], "the tree holds -1 as a tensor again"),
    ([BOTH[0]], "the tensor 'n' is nowhere in the tree"),
    ([*BOTH, {"tensor": {"name": "b"}}], "the tree has a tensor 'b', and the file has none"),
    ([*BOTH, {"tensor": "a"}], "the tree holds 'a' as a tensor"),
    ([*BOTH, {"bytes": "a"}], "the tree holds 'a' as bytes"),
    ([*BOTH, {"scalar": {"name": "a"}}], "as a number"),
    ([*BOTH, {"tensor": {"name": "n", "requires_grad": True}}], "as what requires a gradient"),
    ([*BOTH, {"tensor": {"name": "a", "requires_grad": 1}}], "the tree holds 1 as requires_grad"),
    ([*BOTH, {"tensor": {"name": "n", "dtype": "int4", "shape": [7]}}], r"the tree holds \[7\] as a shape"),
    ([*BOTH, {"tensor": {"name": "n", "dtype": "int4", "shape": [1 << 61, 0]}}], "as a shape"),
    ([*BOTH, {"tensor": {"name": "n", "dtype": "float32", "shape": [3]}}], "the tree holds 'float32' as a dtype"),
    ([*BOTH, {"tensor": {"name": "n", "dtype": "object", "shape": [3]}}], "the tree holds 'object' as a dtype"),
    ([*BOTH, {"tensor": {"name": "a", "dtype": "complex128", "shape": [1]}}], "'complex128' as a dtype"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "message"), DAMAGED, ids=[message[:40] for _, message in DAMAGED])
def test_structures_that_are_wrong(path, tree, message):
    with_structure(path, tree)
    with pytest.raises(
        FileFormatError, match=rf"load: .*tree is no file in the safetensors format.*{message}"
    ):
        ts.load(path)


def test_structures_of_later_versions_and_too_deep_ones(path):
    with_structure(path, BOTH, version=2)
    with pytest.raises(
        FileFormatError, match="structure is of version 2; this Tessella knows version 1"
    ):
        ts.load(path)
    deep = BOTH
    for _ in range(150):
        deep = [deep]
    with_structure(path, deep)
    with pytest.raises(FileFormatError, match="the tree is nested more than 100 deep"):
        ts.load(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"PK\x03\x04" + bytes(60),
            "a zip archive; ts.io.load_pytorch reads PyTorch's, ts.io.load_npz NumPy's",
        ),
        (b"\x80\x02}q\x00." + bytes(60), "a pickle; ts.io.load_pytorch"),
        (
            b'{"weight_map": {}}' + bytes(60),
            "JSON; ts.io.load_sharded reads a folder of files with an index",
        ),
        (b"GGUF" + bytes(60), "a GGUF file; ts.io.load_gguf reads it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS .*: git lfs pull"),
    ],
)
def test_files_of_other_formats_are_recognised(path, content, told):
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=f"it is {told}"):
        ts.io.load_file(path)

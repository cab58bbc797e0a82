"""Files of PyTorch: what they hold is read, what is written they hold again. Those here are made by hand."""

import argparse
import collections
import os
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.io.archives import Archive, pieces
from tessella.io.contents import Contents
from tessella.io.pytorch import is_pytorch
from tessella.io.pytorch.names import DTYPES
from tests.io.pickles import NUMBERS, archive, called, legacy, named, plain, storage, tensor, whole

OLD = storage("0", 6, named("torch", "FloatStorage"), None)


@pytest.fixture
def read(tmp_path):
    def load(content, **options):
        (tmp_path / "file.pt").write_bytes(content)
        return ts.io.load_pytorch(tmp_path / "file.pt", **options)

    return load


# --- reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [False, True])
def test_both_formats_hold_the_same(read, mmap):
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    for content in (archive(tensor(), NUMBERS), legacy(tensor(where=OLD), NUMBERS)):
        found = read(content, mmap=mmap)
        assert found.dtype is ts.float32
        assert np.array_equal(found.numpy(), expected)
        found += 1  # what is done with it changes no file
        assert np.array_equal(read(content).numpy(), expected)


def test_the_folder_of_an_archive_may_have_any_name_or_none(read):
    for folder in ("archive/", "a model/", "ü/", ""):
        assert read(archive(tensor(), NUMBERS, folder=folder)).shape == (2, 3)


def test_an_archive_packed_anew(read, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("m/", b"")
        file.writestr("m/data.pkl", whole(tensor()))
        file.writestr("m/data/0", NUMBERS)
        file.comment = b"anew"
    for mmap in (False, True):
        found = read((tmp_path / "packed").read_bytes(), mmap=mmap)
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_views(read):
    where = storage()
    cases = {
        "turned": ((3, 2), (1, 3), 0, [[0, 3], [1, 4], [2, 5]]),
        "part": ((2,), (2,), 1, [1, 3]),
        "expanded": ((2, 2), (0, 1), 4, [[4, 5], [4, 5]]),
        "windows": ((5, 2), (1, 1), 0, [[n, n + 1] for n in range(5)]),
        "one": ((), (), 5, 5),
        "axes of one": ((1, 2), (1 << 62, 1), 0, [[0, 1]]),
        "none by far": ((2, 0), (1 << 62, 1 << 62), 0, [[], []]),
        "none": ((0, 3), (3, 1), 6, []),
    }
    for shape, strides, offset, expected in cases.values():
        found = read(archive(tensor(shape, strides, offset, where), NUMBERS))
        assert found.shape == shape
        assert found.tolist() == expected


def test_tied_tensors_are_one_and_others_are_not(read):
    two = b"(" + tensor() + tensor() + tensor((6,), (1,)) + b"t"
    first, second, other = read(archive(two, NUMBERS))
    assert first is second
    assert other is not first
    one = called(named("torch._utils", "_rebuild_parameter"), tensor(), plain(True), plain({}))
    first, second, other = read(archive(b"(" + one + one + tensor() + b"t", NUMBERS))
    assert first is second
    assert isinstance(first, ts.nn.Parameter)
    assert first.requires_grad
    assert not isinstance(other, ts.nn.Parameter)


def test_a_tensor_that_requires_a_gradient(read):
    assert read(archive(tensor(requires_grad=True), NUMBERS)).requires_grad


def test_storages_without_a_type(read):
    where = storage("0", 24, named("torch.storage", "UntypedStorage"))
    told = [plain(part) for part in (1, (2,), (2,), False)]
    hooks = called(named("collections", "OrderedDict"))
    kind = named("torch", "uint16")
    made = called(named("torch._utils", "_rebuild_tensor_v3"), where, *told, hooks, kind)
    found = read(archive(made, np.arange(12, dtype="<u2").tobytes()))
    assert found.dtype is ts.uint16
    assert found.tolist() == [1, 3]
    assert read(archive(where, NUMBERS)).tolist() == list(NUMBERS)


def test_parts_of_old_storages(read):
    part = storage("0", 6, named("torch", "FloatStorage"), ("view", 2, 3))
    found = read(legacy(tensor((3,), (1,), 0, part), NUMBERS))
    assert found.tolist() == [2, 3, 4]


def test_the_order_of_bytes(read):
    found = read(archive(tensor(), struct.pack(">6f", *range(6)), byteorder=b"big"))
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    half = storage("0", 2, named("torch", "BFloat16Storage"))
    raw = np.array([1.5, -2.0]).astype(ts.bfloat16.numpy).view(np.uint16).astype(">u2").tobytes()
    found = read(archive(tensor((2,), (1,), 0, half), raw, byteorder=b"big"))
    assert found.tolist() == [1.5, -2.0]
    assert read(archive(tensor(), NUMBERS, byteorder=b"little")).sum().item() == 15


def test_truths_of_other_bytes(read):
    where = storage("0", 4, named("torch", "BoolStorage"))
    found = read(archive(tensor((4,), (1,), 0, where), b"\0\1\2\xff"))
    assert found.tolist() == [False, True, True, True]


def test_bits_for_conjugates(read):
    where = storage("0", 1, named("torch", "ComplexFloatStorage"))
    raw = struct.pack("<2f", 1, 2)
    found = read(archive(tensor((1,), (1,), 0, where, False, plain({"conj": True})), raw))
    assert found.tolist() == [1 - 2j]
    found = read(archive(tensor((1,), (1,), 0, where, False, plain({"neg": True})), raw))
    assert found.tolist() == [-1 - 2j]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_version(read, protocol):
    value = {
        "numbers": [0, -1, 255, 65536, -(2**31), 2**40, 2**3000, 1.5, float("inf"), True, False, None],
        "texts": ("", "ü\n", b"", b"\xff\n", "x" * 300, bytes(300)),
        "sets": [{1, "a"}, frozenset({2}), set()],
        "others": [1 + 2j, slice(1, None, 2), bytearray(b"ab"), (), ((1,), [])],
        "dicts": [collections.OrderedDict(b=1, a=2), collections.Counter("aab"), {1: {2: 3}}],
        "default": collections.defaultdict(list, {"a": [1]}),
        "arrays": [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((2, 2))), np.array(["ab", "c"]), np.zeros(0)],
        "scalars": [np.float32(1.5), np.int64(-3), np.bool_(True), np.dtype(">f4")],
        "args": argparse.Namespace(lr=0.1, names=["a"]),
    }  # fmt: skip
    if protocol < 2:  # which make objects in another way
        del value["args"]
        value["sets"], value["others"] = [], []
    raw = pickle.dumps(value, protocol).removeprefix(bytes([0x80, protocol])).removesuffix(b".")
    found = read(archive(raw))
    assert repr(found) == repr(value)
    assert type(found["dicts"][0]) is collections.OrderedDict
    assert found["default"].default_factory is list
    assert found["arrays"][0].flags.writeable


def test_the_names_of_python_2(read):
    items = called(named("__builtin__", "set"), plain([1, 2]))
    assert read(archive(items)) == {1, 2}
    assert read(archive(b"U\x02ab" + b"U\x01\xff" + b"S'x\\n'\n" + b"\x87")) == (
        "ab",
        b"\xff",
        "x\n",
    )


def test_names_that_mean_data(read):
    cases = [
        (called(named("torch", "Size"), plain((2, 3))), (2, 3)),
        (called(named("torch", "device"), plain("cuda"), plain(1)), "cuda:1"),
        (called(named("torch", "device"), plain("cpu")), "cpu"),
        (named("torch", "float32"), ts.float32),
        (called(named("torch.torch_version", "TorchVersion"), plain("2.1+cpu")), "2.1+cpu"),
        (called(named("pathlib", "PosixPath"), plain("/"), plain("a"), plain("b")), "/a/b"),
        (called(named("pathlib._local", "PosixPath"), plain("a")), "a"),
        (called(named("pathlib", "WindowsPath"), plain("C:\\"), plain("a")), "C:\\a"),
        (
            named("pytorch_lightning.utilities.parsing", "AttributeDict")
            + b")\x81"
            + plain("lr")
            + plain(0.1)
            + b"s",
            {"lr": 0.1},
        ),
        (named("torch", "float8_e4m3fn"), ts.float8_e4m3fn),
    ]
    for instructions, expected in cases:
        assert read(archive(instructions)) == expected


def test_what_is_shared_is_shared(read):
    part = [1]
    first, second = read(archive(plain([part, part])))
    assert first is second


def test_what_a_dict_of_a_module_has_beside_it_is_left_out(read):
    state = called(named("collections", "OrderedDict")) + plain({"_metadata": {"": 1}}) + b"b"
    assert read(archive(state)) == {}


def test_files_are_known_by_their_contents(tmp_path):
    path = tmp_path / "file"
    cases = [
        (archive(tensor(), NUMBERS), True), (legacy(tensor(where=OLD), NUMBERS), True), (b"", False),
        (b"PK\3\4", False), (pickle.dumps({}), False), (archive(b"N", folder="x/").replace(b"data.pkl", b"data.pkx"), False),
    ]  # fmt: skip
    for content, expected in cases:
        path.write_bytes(content)
        assert is_pytorch(path) is expected


# --- writing ------------------------------------------------------------------------------------------


def _back(tree, folder):
    ts.io.save_pytorch(tree, folder / "file.pt")
    return ts.io.load_pytorch(folder / "file.pt")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_dtype_comes_back(tmp_path, dtype):
    x = ts.asarray([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tensors = {
        "whole": x,
        "scalar": x[1, 2],
        "none": x[:0],
        "turned": x.T,
        "part": x[:, ::2],
        "back": ts.flip(x),
    }
    found = _back(tensors, tmp_path)
    for name, value in tensors.items():
        assert found[name].dtype is dtype
        assert found[name].shape == value.shape
        assert found[name].numpy().tobytes() == value.numpy().tobytes()


def test_a_tree_comes_back(tmp_path):
    tree = {
        "state": collections.OrderedDict(a=ts.ones(2)),
        "groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1], "fused": None, "on": True}],
        "others": [{1, 2}, 1 + 2j, b"\0\xff", bytearray(b"x"), "ü", 2**70, -(2**31), ts.float16, (), {}, []],
        3: {None: 1, 1.5: 2, (1, "a"): 3, True: 4},
    }  # fmt: skip
    found = _back(tree, tmp_path)
    assert found["state"]["a"].tolist() == [1, 1]
    assert type(found["state"]) is collections.OrderedDict
    del tree["state"], found["state"]
    assert repr(found) == repr(tree)


def test_arrays_become_tensors_and_numbers_pythons(tmp_path):
    found = _back(
        [np.arange(3, dtype=">i2"), np.float32(1.5), np.bool_(True), np.int8(3)], tmp_path
    )
    assert found[0].dtype is ts.int16
    assert found[0].tolist() == [0, 1, 2]
    assert repr(found[1:]) == "[1.5, True, 3]"


def test_parameters_and_gradients_stay(tmp_path):
    parameter, fixed = ts.nn.Parameter(ts.ones(2)), ts.nn.Parameter(ts.ones(2), requires_grad=False)
    leaf = ts.ones(2).requires_grad_()
    found = _back([parameter, fixed, leaf, leaf * 2], tmp_path)
    assert [type(x) is ts.nn.Parameter for x in found] == [True, True, False, False]
    assert [x.requires_grad for x in found] == [True, False, True, True]


def _sizes(path):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return [entry.file_size for entry in file.infolist() if "/data/" in entry.filename]


def test_shared_memory_is_written_once(tmp_path):
    net = ts.nn.Sequential(ts.nn.Linear(4, 4), ts.nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    found = _back(net.state_dict(), tmp_path)
    assert _sizes(tmp_path / "file.pt") == [64, 16]
    assert found["0.weight"] is found["1.weight"]
    x = np.arange(24.0, dtype=np.float32).reshape(4, 6)
    found = _back([x[1:3], x[2:], x.T[:2], x[:, ::2]], tmp_path)
    assert _sizes(tmp_path / "file.pt") == [96]
    for ours, theirs in zip(found, [x[1:3], x[2:], x.T[:2], x[:, ::2]], strict=True):
        assert np.array_equal(ours.numpy(), theirs)


def test_a_part_does_not_bring_the_whole(tmp_path):
    x = ts.arange(1000)
    _back([x[10:20], x[500:502], x[::100]], tmp_path)
    assert _sizes(tmp_path / "file.pt") == [8 * 901]  # they lie in each other
    _back([x[10:20], x[500:502]], tmp_path)
    assert _sizes(tmp_path / "file.pt") == [80, 16]
    _back([x[::100], ts.broadcast_to(ts.ones(1), (1000,))], tmp_path)
    assert _sizes(tmp_path / "file.pt") == [80, 4]


def test_memory_read_as_two_dtypes_is_two_storages(tmp_path):
    x = np.arange(4, dtype=np.int32)
    first, second = _back([x, x.view(np.float32)], tmp_path)
    assert first.tolist() == [0, 1, 2, 3]
    assert np.array_equal(second.numpy(), x.view(np.float32))


def test_records_are_aligned_and_the_archive_is_a_plain_one(tmp_path):
    _back([ts.ones(n) for n in range(1, 5)], tmp_path)
    with Contents(tmp_path / "file.pt", "test") as contents:
        records = Archive(contents).values()
        assert all(record.start % 64 == 0 for record in records)


def test_numbers_of_64_bits_in_archives(tmp_path, monkeypatch):
    """As they are written for more than 4 GiB, here for less."""
    monkeypatch.setattr("tessella.io.archives._IS_IN_64_BITS", 100)
    content = b"".join(pieces([("a/x", b"x" * 300), ("a/y", b"y" * 20)]))
    monkeypatch.undo()
    wide = content.replace(struct.pack("<I", 100), b"\xff" * 4)
    (tmp_path / "file").write_bytes(wide)
    with Contents(tmp_path / "file", "test") as contents:
        found = Archive(contents)
        assert {name: len(found.array(record)) for name, record in found.items()} == {
            "a/x": 300,
            "a/y": 20,
        }
        assert found.array(found["a/y"]).tobytes() == b"y" * 20


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(28, "No space left on device")

    _back({"x": ts.ones(3)}, tmp_path)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="No space left"):
        ts.io.save_pytorch({"x": ts.zeros(3)}, tmp_path / "file.pt")
    assert ts.io.load_pytorch(tmp_path / "file.pt")["x"].tolist() == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 1


Pair = collections.namedtuple("Pair", "left right")


def test_what_cannot_be_written_is_said(tmp_path):
    itself = []
    itself.append(itself)
    cases = [
        ({"a": [ts.ones(1).astype(ts.float4_e2m1fn)]}, DTypeError, r"tree\['a'\]\[0\] is of float4_e2m1fn, which PyTorch does not have; save x.astype\(ts.float32\)"),
        ({"net": ts.nn.Linear(1, 1)}, ArgumentTypeError, r"tree\['net'\] is of type Linear, .* save x.state_dict\(\)"),
        ([Pair(1, 2)], ArgumentTypeError, r"tree\[0\] is of type Pair, .* save tuple\(x\)"),
        ({"c": collections.Counter("a")}, ArgumentTypeError, r"tree\['c'\] is of type Counter, .* save dict\(x\)"),
        ({(1, (2,)): 1}, ArgumentTypeError, r"tree\[\(1, \(2,\)\)\] has a name of type tuple; PyTorch's files have texts and numbers"),
        ([1 << 2048], ArgumentError, r"tree\[0\] is a whole number of more than 255 bytes"),
        (itself, ArgumentError, r"tree\[0\]\[0\].*\.\.\. is nested more than 200 deep; does the tree contain itself\?"),
        ([ts.int4], ArgumentError, r"tree\[0\] is a dtype that PyTorch does not have"),
        ([np.array(["a"])], DTypeError, r"tree\[0\] is an array of <U1; expected numbers or truths"),
    ]  # fmt: skip
    for tree, error, text in cases:
        with pytest.raises(error, match=text):
            ts.io.save_pytorch(tree, tmp_path / "file.pt")
    assert not list(tmp_path.iterdir())


def test_the_checksum_is_that_of_the_bytes():
    content = b"".join(pieces([("a", b"abc")]))
    assert struct.pack("<I", zlib.crc32(b"abc")) in content


def test_pytorchs_keywords(read, tmp_path):
    read(archive(tensor(), NUMBERS))
    path = tmp_path / "file.pt"
    assert ts.io.load_pytorch(f=path, map_location="cpu").shape == (2, 3)
    ts.io.save_pytorch(obj=[1], f=path)
    assert ts.io.load_pytorch(path) == [1]
    with pytest.raises(ArgumentTypeError, match="leave it out: nothing is pickled, and nothing in a file is executed"):  # fmt: skip
        ts.io.load_pytorch(path, weights_only=True)


def test_on_another_device(read):
    for content in (archive(tensor(), NUMBERS), legacy(tensor(where=OLD), NUMBERS)):
        found = read(content, device="emulated")
        assert found.device == ts.device("emulated")
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]

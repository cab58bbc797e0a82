"""Known attacks on readers of pickles and archives, and files that are damaged: each is refused with what is wrong."""

import builtins
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentError, FileFormatError, UnsafeFileError
from tests.io.pickles import (
    MAGIC,
    NUMBERS,
    archive,
    called,
    legacy,
    named,
    plain,
    storage,
    tensor,
    whole,
)

OLD = storage("0", 6, named("torch", "FloatStorage"), None)


@pytest.fixture
def refused(tmp_path):
    """Look at what a file is refused with."""

    def look(content, text, kind=FileFormatError, **options):
        path = tmp_path / "file.pt"
        path.write_bytes(content)
        with pytest.raises(kind, match=text) as error:
            ts.io.load_pytorch(path, **options)
        assert str(error.value).startswith(f"load_pytorch: {path} ")
        assert len(str(error.value)) < 600

    return look


class _Call:
    """Pickled, it is a call."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (builtins.eval, "builtins.eval"),
        (builtins.exec, "builtins.exec"),
        (builtins.getattr, "builtins.getattr"),
        (builtins.__import__, "builtins.__import__"),
        (builtins.open, "open"),
        (subprocess.call, "call"),
        (np.load, "numpy.load"),
        (pickle.loads, "pickle"),
    ],
)
def test_a_call_is_refused_by_its_name(refused, tmp_path, protocol, function, name):
    bomb = {"weights": [1.0], "more": _Call(function, f"touch {tmp_path}/was_here")}
    raw = pickle.dumps(bomb, protocol).removeprefix(bytes([0x80, protocol])).removesuffix(b".")
    name = name.replace("builtins", "__builtin__") if protocol < 3 else name
    text = rf"wants .*{name}.*, which a file of numbers does not need; nothing of it was run\. If you trust who"
    for content in (archive(raw), legacy(raw)):
        refused(content, text, UnsafeFileError)
    assert not (tmp_path / "was_here").exists()


def test_a_call_where_a_format_begins(refused, tmp_path):
    bomb = pickle.dumps(_Call(os.system, f"touch {tmp_path}/was_here"), 2)
    refused(bomb, "is a pickle, but none that torch.save wrote; only those are read")
    magic = pickle.dumps(MAGIC, 2)
    refused(magic + bomb, "posix.system", UnsafeFileError)
    refused(magic + pickle.dumps(1001, 2) + bomb, "posix.system", UnsafeFileError)
    keys = legacy(tensor(where=OLD), NUMBERS).replace(pickle.dumps(["0"], 2), bomb)
    refused(keys, "posix.system", UnsafeFileError)
    assert not (tmp_path / "was_here").exists()


HOSTILE = {
    "a name from the stack": (plain("os") + plain("system") + b"\x93", "wants os.system"),
    "a name in two parts": (plain("torch") + plain("nn.Module.__init__") + b"\x93", "whole network"),
    "a name that is no text": (b"K\1K\2\x93", "imports by a name that is no text"),
    "what a name hides": (named("torch", "\x1b[2J"), r"wants 'torch\.\\x1b\[2J'"),
    "a long name": (named("x" * 5000, "y"), r"wants 'x{79}\.\.\."),
    "a call of data": (plain({}) + b")R", "wants to call a dict, which is no function"),
    "a call of a dtype": (named("torch", "float32") + b")R", "wants to call a DType"),
    "a call of a class": (named("torch", "Tensor") + b")R", "wants to call a Kind"),
    "a call with no tuple": (named("torch", "Size") + b"]R", "calls torch.Size with a list"),
    "a call with too much": (called(named("torch", "Size"), b"N", b"N"), "calls torch.Size with 2 values"),
    "an object of old": (b"ios\nsystem\n", "wants an object of os.system, which a file of numbers"),
    "an object from a mark": (b"(" + plain(1) + b"o", "makes an object as Python's pickle alone does"),
    "a new object": (named("os", "system") + b")\x81", "wants os.system"),
    "a new object with names": (named("torch", "Size") + b")}\x92", "makes an object as Python's"),
    "an extension": (b"\x82\1", "registry of extensions"),
    "a text from outside": (b"P0\n", "calls what is kept outside its pickle by a text"),
    "memory from outside": (b"\x97", "memory from outside the file"),
    "a state for a list": (plain([]) + plain({}) + b"b", "wants to set what is inside a list"),
    "a state for a tensor": (tensor() + plain({"a": 1}) + b"b", "wants to set what is inside a StoredTensor"),
    "a state that is none": (called(named("collections", "OrderedDict")) + plain(1) + b"b", "inside a OrderedDict"),
    "another pickle": (called(named("torch.storage", "_load_from_bytes"), plain(b"x")), "another pickle inside of it"),
    "a factory": (called(named("collections", "defaultdict"), named("torch", "Size")), "wants a dict that calls"),
    "a function in a subclass": (called(named("torch._tensor", "_rebuild_from_type_v2"), plain([]), *[b")"] * 3), "wants to call a list"),
    "what is kept": (b"(" + plain("module") + plain("x") + b"tQ", "has a whole network"),
    "a number kept": (plain(3) + b"Q", "refers to a 3, and only storages"),
    "a whole network": (named("torch.nn.modules.linear", "Linear"), r"a whole network and not its numbers alone; load it with PyTorch .*state_dict"),
}  # fmt: skip

DAMAGED = {
    "a lack of values": (b"R", "an instruction of its pickle lacks a value"),
    "a lack of a mark": (b"t", "an instruction of its pickle lacks a mark"),
    "below a mark": (b"N(0a", "lacks a value"),
    "no instruction": (b"\xfe", "byte 0xfe at 2 is no instruction of a pickle"),
    "a memory never kept": (b"h\7", "asks for value 7, which it never kept"),
    "nothing to stop with": (b"", "lacks a value"),
    "a long text": (b"X\xff\xff\xff\x7f", "2147483647 more bytes were expected at byte 7, and 1 are there"),
    "a longer text": (b"\x8d" + b"\xff" * 8, "18446744073709551615 more bytes were expected"),
    "a text of no length": (b"T\xff\xff\xff\xff", "a text of -1 characters"),
    "no number": (b"Ix\n", "has a value b'x'"),
    "digits without end": (b"L" + b"9" * 5000 + b"\n", "has a value b'9{77}"),
    "no text": (b"X\1\0\0\0\xff", "has a value b'.xff'"),
    "an end of a line": (b"cos", "more bytes were expected"),
    "a name without a value": (b"}(N" + b"u", "a name without a value"),
    "names in a list": (b"](NN" + b"u", "puts names into a list"),
    "items in a dict": (b"}Na", "appends to a dict"),
    "members of a list": (b"](N\x90", "adds members to a list"),
    "a tuple as a name": (b"}" + plain((1, (2,))) + b"Ns", "has a tuple as a name in a dict"),
    "a list as a name": (b"}]Ns", "has a list as a name in a dict"),
    "what follows": (b"N.N", "its pickle stops before its end"),
    "bytes by number": (called(named("builtins", "bytearray"), plain(1 << 40)), "bytes in it are made of a 1099511627776"),
    "a text as a counter": (called(named("collections", "Counter"), plain("x" * 9)), "a Counter in it is made of"),
    "an encoding": (called(named("_codecs", "encode"), plain("x"), plain("zip")), "in another way than pickles do"),
    "objects of NumPy": (called(named("numpy", "dtype"), plain("O8"), b"K\0", b"K\1"), "has an array of O8; only arrays of numbers"),
    "a large array": (
        called(named("numpy._core.multiarray", "_reconstruct"), named("numpy", "ndarray"), plain((0,)), plain(b"b"))
        + b"(K\1" + plain((1 << 40,)) + called(named("numpy", "dtype"), plain("f8"), b"K\0", b"K\1") + b"\x89" + plain(b"x") + b"tb",
        r"an array of shape \(1099511627776,\) in it needs 8796093022208 bytes; 1 bytes are there",
    ),
    "itself": (b"]q\0h\0a", "a container that contains itself"),
    "itself in a tuple": (b"]q\0h\0\x85a", "a container that contains itself"),
    "great depth": (b"N" + b"\x85" * 100_000, "containers nested more than 200 deep"),
    "a function as a value": (named("torch", "Size"), "has torch.Size itself among its values"),
    "a class as a value": (named("torch", "FloatStorage"), "a class of storages.* itself among its values"),
    "a sparse tensor": (named("torch._utils", "_rebuild_sparse_tensor"), r"a sparse tensor; save x.to_dense\(\)"),
    "a quantised tensor": (named("torch._utils", "_rebuild_qtensor"), r"a quantised tensor; save x.dequantize\(\)"),
    "TorchScript": (named("__torch__.x", "y"), "a program of TorchScript"),
}  # fmt: skip

STORAGES = {
    "a large one": (tensor(where=storage("0", 1 << 40)), "storage 0 should have 4398046511104 bytes, and its record has 24"),
    "less than none": (tensor(where=storage("0", -6)), "storage 0 has -6 elements"),
    "a number that is none": (tensor(where=storage("0", 6.0)), "storage 0 has 6.0 elements"),
    "another one": (tensor(where=storage("1", 6)), "the record of storage 1 is missing"),
    "a way out": (tensor(where=storage("../../etc/passwd", 6)), "the record of storage ../../etc/passwd is missing"),
    "no key": (tensor(where=storage(None, 6)), "in a way that PyTorch does not"),
    "no type": (tensor(where=storage("0", 6, plain("x"))), "in a way that PyTorch does not"),
    "another type": (tensor(where=storage("0", 6, named("torch", "LongStorage"))), "should have 48 bytes, and its record has 24"),
    "no storage": (tensor(where=plain([1])), "a tensor in it lies in a list"),
    "a large shape": (tensor((1 << 40, 3)), r"shape \(1099511627776, 3\) and strides \(3, 1\) at 0 needs"),
    "a shape beyond numbers": (tensor((1 << 40, 1 << 40), (0, 0)), "has the shape"),
    "no elements of a large shape": (tensor((0, 1 << 40, 1 << 40), (1, 1, 1)), "has the shape"),
    "a longer shape": (tensor((3, 3)), r"needs 36 bytes of storage 0, which has 24"),
    "many axes": (tensor((1,) * 65, (1,) * 65), "has 65 axes and 65 strides"),
    "strides for other axes": (tensor((2, 3), (1,)), "has 2 axes and 1 strides"),
    "backwards": (tensor((2,), (-1,), 1), "the strides of a tensor in it is -1"),
    "before the beginning": (tensor((2,), (1,), -1), "the offset of a tensor in it is -1"),
    "behind the end": (tensor((2,), (1,), 5), "needs 28 bytes of storage 0"),
    "a shape of nothing": (tensor(None, (1,)), "the shape of a tensor in it is a NoneType"),
    "fractions of elements": (tensor((1.5,), (1,)), "the shape of a tensor in it is 1.5"),
    "a truth as a size": (tensor((True,), (1,)), "the shape of a tensor in it is True"),
    "a gradient of what": (tensor(requires_grad=1), "whether a tensor requires a gradient is 1"),
    "bits that are none": (tensor((2,), (1,), 0, storage(), False, plain({"x": True})), "a kind that is not known"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_wants_more_than_numbers(refused, case):
    instructions, text = HOSTILE[case]
    for content in (archive(instructions, NUMBERS), legacy(instructions, NUMBERS)):
        content = content.replace(plain("torch") + plain("FloatStorage"), b"")
        if b"Q" in instructions and content[:2] != b"PK":
            continue  # storages have another form there
        refused(content, text)


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_pickle_of_pytorch(refused, case):
    instructions, text = DAMAGED[case]
    refused(archive(instructions), text)


@pytest.mark.parametrize("case", STORAGES)
@pytest.mark.parametrize("mmap", [False, True])
def test_tensors_that_are_not_there(refused, case, mmap):
    instructions, text = STORAGES[case]
    refused(archive(instructions, NUMBERS), text, mmap=mmap)


def test_integers_have_no_gradients(refused):
    where = storage("0", 3, named("torch", "LongStorage"))
    refused(
        archive(tensor((3,), (1,), 0, where, True), NUMBERS),
        "a tensor of int64 in it requires a gradient",
    )


def test_a_few_bytes_that_say_a_large_tree(refused):
    laughs = b"N" + b"2\x86" * 64  # a pair of the pair before, twice each time
    refused(
        archive(laughs),
        "it repeats parts of itself, so that it is a tree of more than",
        UnsafeFileError,
    )
    refused(
        archive(b"}" + laughs + b"Ns"), "has a tuple as a name"
    )  # to hash it would take forever


def test_a_few_bytes_that_make_much(refused):
    """A long value that is kept, and made into another one again and again."""
    long = plain(bytes(100_000)) + b"q\x63"
    array = called(
        named("numpy._core.multiarray", "_reconstruct"),
        named("numpy", "ndarray"),
        plain((0,)),
        plain(b"b"),
    )
    byte = called(named("numpy", "dtype"), plain("u1"), b"K\0", b"K\1")
    state = b"(K\1" + plain((100_000,)) + byte + b"\x89h\x63tb"
    for more in (called(named("builtins", "bytearray"), b"h\x63"), array + state):
        refused(archive(b"(" + long + more * 100 + b"t"), "takes more than 1 MiB", UnsafeFileError)
    items = plain(list(range(100_000))) + b"q\x63"
    more = called(named("builtins", "set"), b"h\x63")
    refused(archive(b"(" + items + more * 100 + b"t"), "takes more than", UnsafeFileError)


def test_views_larger_than_memory_cost_nothing(tmp_path):
    """Whatever has to be done to their elements is done to those that are there."""
    kinds = {
        "Complex": ("ComplexFloatStorage", 3),
        "Bool": ("BoolStorage", 24),
        "Float": ("FloatStorage", 6),
    }
    for kind, numel in kinds.values():
        where = storage("0", numel, named("torch", kind))
        bits = plain({"conj": True, "neg": kind != "BoolStorage"})
        made = tensor((1 << 40,), (0,), 0, where, False, bits)
        for order in (b"little", b"big"):
            (tmp_path / "file.pt").write_bytes(archive(made, NUMBERS, byteorder=order))
            assert ts.io.load_pytorch(tmp_path / "file.pt").shape == (1 << 40,)


def test_a_packed_pickle_that_grows(refused):
    pickle = whole(b"]" * (17 << 20))
    content = _zip(("a/data.pkl", pickle), compression=zipfile.ZIP_DEFLATED)
    refused(
        content,
        r"the \d+ bytes of its pickle would unpack to 178\d+; if that is meant",
        UnsafeFileError,
    )


def test_old_storages_that_are_not_there(refused):
    refused(legacy(tensor(where=OLD)), "the storages at its end are not those of its tensors")
    refused(legacy(tensor(where=OLD), NUMBERS, keys="0"), "the storages at its end are not those")
    refused(
        legacy(tensor(where=OLD), NUMBERS[:-4]), "storage 0 should have 24 bytes, and 20 follow"
    )
    refused(legacy(tensor(where=OLD), NUMBERS) + b"x", "1 bytes follow its last storage")
    long = storage("0", 1 << 40, named("torch", "FloatStorage"), None)
    refused(legacy(tensor(where=long), NUMBERS), "should have 4398046511104 bytes, and 24 follow")
    claimed = legacy(tensor(where=long), NUMBERS)[:-32] + struct.pack("<q", 1 << 40)
    refused(claimed, "cut short: storage 0 should be 4398046511104 bytes from byte")
    two = b"(" + OLD + storage("0", 5, named("torch", "FloatStorage"), None) + b"t"
    refused(legacy(two, NUMBERS), "storage 0 is described in two ways")
    for view, text in [(("v", 4, 3), "has 6 elements, and a part of it ends at 7"), ((1, 2), "described by tuple"), (("v", -1, 2), "described by")]:  # fmt: skip
        part = storage("0", 6, named("torch", "FloatStorage"), view)
        refused(legacy(tensor((1,), (1,), 0, part), NUMBERS), text)


# --- archives -----------------------------------------------------------------------------------------


def _zip(*records, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as file:
        for name, content in records:
            file.writestr(name, content)
    return stream.getvalue()


def _directory(content):
    return content.index(b"PK\1\2")


def test_archives_that_mislead(refused):
    good = archive(tensor(), NUMBERS)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = _zip(("a/data.pkl", whole(b"N")), ("a/data.pkl", whole(b"]")))
    refused(twice, "two records of it have the same name", UnsafeFileError)
    for name in ("../data.pkl", "/a/data.pkl", "a/../data.pkl", "a\\data.pkl"):
        content = _zip((name, whole(b"N")), ("a/data.pkl", whole(b"N")))
        refused(content, r"a record is called .*, a path out of the archive", UnsafeFileError)
    start = _directory(good)
    other = good[:start] + good[start:].replace(b"archive/data/0", b"archive/data/1")
    refused(other, "data/1 is another one in the directory than in its place", UnsafeFileError)
    size = good[:start] + good[start:].replace(
        struct.pack("<2I", 24, 24), struct.pack("<2I", 23, 23)
    )
    refused(size, "data/0 has another size in the directory than in its place", UnsafeFileError)
    crc = good.replace(struct.pack("<6f", *range(6)), struct.pack("<6f", *range(1, 7)))
    refused(crc, "data/0 does not have the checksum it was written with")


def test_records_on_top_of_each_other(refused):
    """A record in the extra field of another one, as bombs of zip archives are made."""
    inner = _zip(("a/data/0", NUMBERS))
    place = inner.index(b"PK\1\2")
    extra = inner[:place]
    head = struct.pack(
        "<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(whole(b"N")), 4, 4, 10, len(extra)
    )
    content = head + b"a/data.pkl" + extra + whole(b"N")
    rows = b""
    for name, size, crc, start in [(b"a/data.pkl", 4, zlib.crc32(whole(b"N")), 0), (b"a/data/0", 24, zlib.crc32(NUMBERS), 40)]:  # fmt: skip
        rows += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, crc, size, size, len(name), 0, 0, 0, 0, 0, start) + name  # fmt: skip
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(rows), len(content), 0)
    refused(content + rows + end, "data/0 lies on top of another one", UnsafeFileError)


def test_archives_that_grow(refused, tmp_path):
    zeros = bytes(1 << 20)
    bomb = bytearray(
        _zip(("a/data.pkl", whole(b"N")), ("a/data/0", zeros), compression=zipfile.ZIP_DEFLATED)
    )
    place = bytes(bomb).rindex(struct.pack("<I", 1 << 20))
    local = bytes(bomb).index(struct.pack("<I", 1 << 20))
    for start in (place, local):
        bomb[start : start + 4] = struct.pack("<I", 1 << 31)
    refused(
        bytes(bomb),
        r"bytes would unpack to 2147483\d+; if that is meant, pack it anew with `zip -0`",
        UnsafeFileError,
    )
    packed = _zip(
        ("a/data.pkl", whole(tensor((1,), (1,), 0, storage("0", 1 << 19)))), ("a/data/0", zeros), compression=zipfile.ZIP_DEFLATED
    )  # fmt: skip
    wrong = packed.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1 << 21))
    refused(wrong, "data/0 does not unpack to the 2097152 bytes it says")
    stream = packed.index(b"a/data/0") + 8
    broken = packed[:stream] + b"\xff" * 20 + packed[stream + 20 :]
    refused(
        broken.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1 << 21)),
        "data/0 cannot be unpacked",
    )


def test_archives_of_other_kinds(refused, tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(2))
    cases = [
        ((tmp_path / "x.npz").read_bytes(), "is a NumPy archive; np.load reads it"),
        (_zip(("a/b", b"")), "a zip archive without a record data.pkl"),
        (_zip(("a/data.pkl", b""), ("b/data.pkl", b"")), "it has 2 records data.pkl"),
        (_zip(("a/data.pkl", b""), ("a/constants.pkl", b"")), "is a program of TorchScript"),
        (_zip(("a/data.pkl", b""), compression=zipfile.ZIP_LZMA), "is packed by method 14; only stored and deflated"),
        (archive(b"N", byteorder=b"middle"), "its order of bytes is b?'?middle'?"),
        (archive(b"N", byteorder=bytes(1000)), "the record archive/byteorder has 1000 bytes|'archive/byteorder' has 1000"),
        (archive(b"N") + b"x", "its last bytes are not the end of one zip archive"),
    ]  # fmt: skip
    for content, text in cases:
        refused(content, text)


def test_files_of_other_kinds(refused, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name in ("storages", "tensors", "pickle"):
            file.addfile(tarfile.TarInfo(name))
    np.save(tmp_path / "x.npy", np.ones(2))
    ts.io.save_file({"x": ts.ones(2)}, tmp_path / "x.safetensors")
    cases = [
        (b"", "is empty"),
        (stream.getvalue(), "is in the tar format of PyTorch before 0.1.10"),
        ((tmp_path / "x.npy").read_bytes(), "is a NumPy file; np.load reads it"),
        ((tmp_path / "x.safetensors").read_bytes(), "is a safetensors file; ts.io.load_file reads it"),
        (b"GGUF" + bytes(20), "is a GGUF file; ts.io.load_gguf reads it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS in place of the file"),
        (b"<html>" * 10, "is no file of torch.save: it is neither a zip archive"),
    ]  # fmt: skip
    for content, text in cases:
        refused(content, text)


@pytest.mark.parametrize("make", [archive, legacy])
def test_cut_short_anywhere(refused, make, tmp_path):
    where = storage() if make is archive else OLD
    content = make(tensor(where=where), NUMBERS)
    for end in range(len(content)):
        refused(content[:end], "damaged|is empty|is no file|cut short|none that torch.save")


@pytest.mark.parametrize("make", [archive, legacy])
def test_any_byte_changed_is_read_or_refused(make, tmp_path):
    where = storage() if make is archive else OLD
    content = bytearray(make(tensor(where=where), NUMBERS))
    path = tmp_path / "file.pt"
    for place in range(len(content)):
        content[place] ^= 0x55
        path.write_bytes(content)
        content[place] ^= 0x55
        try:
            found = ts.io.load_pytorch(path)
        except FileFormatError:
            continue
        assert isinstance(found, ts.Tensor)


def test_what_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArgumentError, match="is no ordinary file; copy it into one"):
        ts.io.load_pytorch(tmp_path / "pipe")
    with pytest.raises(ArgumentError, match="is no ordinary file"):
        ts.io.load_pytorch("/dev/zero")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ts.io.load_pytorch(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        ts.io.load_pytorch(tmp_path)

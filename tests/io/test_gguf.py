"""GGUF files: facts and tensors are what the package `gguf` says they are; what is damaged is refused."""

import math
import struct

import numpy as np
import pytest

import tessella as ts
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.gguf import is_gguf
from tessella.io.gguf.blocks import KINDS, dequantised
from tests.io.pickle_mutants import gguf


def _text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


FACTS = [
    ("u8", 0, b"\xff", 255), ("i8", 1, b"\xff", -1), ("u16", 2, b"\0\1", 256), ("i16", 3, b"\xfe\xff", -2),
    ("u32", 4, b"\1\0\0\0", 1), ("i32", 5, b"\xff" * 4, -1), ("f32", 6, struct.pack("<f", 1.5), 1.5), ("no", 7, b"\0", False),
    ("yes", 7, b"\1", True), ("text", 8, _text("hé"), "hé"), ("u64", 10, b"\xff" * 8, 2**64 - 1), ("i64", 11, b"\xff" * 8, -1),
    ("f64", 12, struct.pack("<d", math.inf), math.inf), ("odd", 8, _text(b"a\xff"), "a\udcff"),
    ("list", 9, struct.pack("<IQ3h", 3, 3, 1, -2, 3), [1, -2, 3]), ("none", 9, struct.pack("<IQ", 6, 0), []),
    ("words", 9, struct.pack("<IQ", 8, 2) + _text("a") + _text(""), ["a", ""]), ("truths", 9, struct.pack("<IQ", 7, 2) + b"\1\0", [True, False]),
    ("deep", 9, struct.pack("<IQIQ2BIQ", 9, 2, 0, 2, 7, 8, 4, 0), [[7, 8], []]),
]  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def load(content, **options):
        (tmp_path / "file.gguf").write_bytes(content)
        return ts.io.load_gguf(tmp_path / "file.gguf", **options)

    return load


@pytest.mark.parametrize("version", [2, 3])
def test_every_kind_of_fact(read, version):
    metadata, tensors = read(gguf([fact[:3] for fact in FACTS], [], version=version))
    assert metadata == {name: value for name, _, _, value in FACTS}
    assert [type(value) for value in metadata.values()] == [type(fact[3]) for fact in FACTS]
    assert tensors == {}


PLAIN = {0: "<f4", 1: "<f2", 24: "<i1", 25: "<i2", 26: "<i4", 27: "<i8", 28: "<f8"}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("alignment", [32, 1, 64])
def test_plain_tensors(read, mmap, alignment):
    x = np.arange(6).reshape(2, 3)
    rows = [(code, (3, 2), kind, x.astype(code).tobytes()) for kind, code in PLAIN.items()]
    rows += [
        ("half", (2,), 30, b"\xc0\x3f\0\xc0"),
        ("none", (0, 3), 0, b""),
        ("one", (), 24, b"\7"),
    ]
    facts = [("general.alignment", 4, struct.pack("<I", alignment))]
    found = read(gguf(facts, rows, alignment=alignment), mmap=mmap).tensors
    for code in PLAIN.values():
        assert found[code].numpy().dtype == np.dtype(code)
        assert np.array_equal(found[code].numpy(), x)
    assert found["half"].dtype is ts.bfloat16
    assert found["half"].tolist() == [1.5, -2.0]
    assert found["none"].shape == (3, 0)
    assert found["one"].item() == 7


def test_blocks_by_hand(read):
    """A block of each of the simplest kinds, and one that the package has no numbers for."""
    one = struct.pack("<e", 0.5)
    nibbles = bytes(n | (15 - n) << 4 for n in range(16))
    high = struct.pack("<I", 1 << 3 | 1 << 20)  # elements 3 and 20 have a fifth bit
    rows = [
        ("q4_0", (32,), 2, one + nibbles), ("q4_1", (32,), 3, one + struct.pack("<e", 2) + nibbles),
        ("q5_0", (32,), 6, one + high + nibbles), ("q8_0", (32, 1), 8, one + bytes(range(240, 256)) + bytes(16)),
        ("q8_k", (256,), 15, struct.pack("<f", 2) + bytes(range(256)) + bytes(32)),
    ]  # fmt: skip
    found = {name: x.numpy() for name, x in read(gguf([], rows)).tensors.items()}
    four = np.array([*range(16), *range(15, -1, -1)])
    assert np.array_equal(found["q4_0"], 0.5 * (four - 8))
    assert np.array_equal(found["q4_1"], 0.5 * four + 2)
    five = four + 16 * np.isin(np.arange(32), (3, 20))
    assert np.array_equal(found["q5_0"], 0.5 * (five - 16))
    assert np.array_equal(found["q8_0"], [[0.5 * n for n in [*range(-16, 0), *[0] * 16]]])
    assert np.array_equal(
        found["q8_k"], 2 * np.arange(256, dtype=np.uint8).view(np.int8).astype(int)
    )
    assert all(x.dtype == np.float32 for x in found.values())


def test_many_blocks_are_done_in_parts():
    kind = KINDS["Q4_0"]
    raw = np.random.default_rng(0).integers(0, 60, 18 * 9000, dtype=np.uint8)
    whole = dequantised(kind, raw, "<").reshape(9000, 32)
    for place in (0, 4095, 4096, 8999):
        assert np.array_equal(
            whole[place], dequantised(kind, raw[18 * place : 18 * place + 18], "<")
        )


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in KINDS if name != "Q8_K"])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_blocks_are_those_of_the_package(name):
    import gguf as package

    kind, theirs = KINDS[name], package.GGMLQuantizationType[name]
    assert package.GGML_QUANT_SIZES[theirs] == (kind.size, kind.layout.itemsize)
    raw = np.random.default_rng(0).integers(0, 256, (500, kind.layout.itemsize), dtype=np.uint8)
    expected = package.quants.dequantize(raw, theirs).reshape(-1)
    assert np.array_equal(dequantised(kind, raw.reshape(-1), "<"), expected, equal_nan=True)


@pytest.mark.peers
@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
def test_files_of_the_package(tmp_path, order):
    import gguf as package

    writer = package.GGUFWriter(tmp_path / "x", "llama", endianess=package.GGUFEndian[order])
    writer.add_uint32("count", 5)
    writer.add_string("name", "hé")
    writer.add_array("words", ["a", "bc"])
    writer.add_array("deep", [[1, 2], [3]])
    x = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    plain = {"single": x, "half": x.astype(np.float16), "whole": np.arange(4).reshape(2, 2)}
    for name, array in plain.items():
        writer.add_tensor(name, array.copy())
    if order == "LITTLE":
        theirs = package.GGMLQuantizationType.Q8_0
        writer.add_tensor("eight", package.quants.quantize(x, theirs), raw_dtype=theirs)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    metadata, tensors = ts.io.load_gguf(tmp_path / "x")
    assert metadata == {"general.architecture": "llama", "count": 5, "name": "hé", "words": ["a", "bc"], "deep": [[1, 2], [3]]}  # fmt: skip
    for name, array in plain.items():
        assert np.array_equal(tensors[name].numpy(), array)
        assert tensors[name].numpy().dtype == array.dtype
    if order == "LITTLE":
        np.testing.assert_allclose(tensors["eight"].numpy(), x, atol=0.02)


def test_files_are_known_by_their_contents(tmp_path):
    for content, expected in [(gguf([], []), True), (b"GGU", False), (b"", False)]:
        (tmp_path / "x").write_bytes(content)
        assert is_gguf(tmp_path / "x") is expected


FOUR = struct.pack("<4f", *range(4))


def _tensor(shape=(4,), kind=0, raw=FOUR, name="w"):
    return gguf([], [(name, shape, kind, raw)])


def _header(tensors=0, facts=0, more=b""):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, facts) + more


REFUSED = {
    "nothing": (b"", "is no GGUF file: it does not begin with the letters GGUF"),
    "another": (b"\x80\2N.", "is no GGUF file"),
    "an old one": (gguf([], [], version=1), "is of version 1 of GGUF; versions 2 and 3 are read"),
    "a later one": (gguf([], [], version=4), "is of version 4 of GGUF"),
    "many facts": (_header(facts=1 << 60), "1152921504606846976 facts should follow, and 0 bytes do"),
    "many tensors": (_header(tensors=1 << 60), "1152921504606846976 tensors should follow, and 0 bytes do"),
    "a long text": (_header(facts=1, more=struct.pack("<Q", 1 << 62) + bytes(20)), "bytes of the name of a fact should follow, and 20 bytes do"),
    "a long array": (gguf([("a", 9, struct.pack("<IQ", 12, 1 << 61))], []), "parts of the fact a should follow, and 15 bytes do"),
    "many texts": (gguf([("a", 9, struct.pack("<IQ", 8, 1000))], []), "1000 parts of the fact a should follow"),
    "a strange fact": (gguf([("a", 13, b"")], []), "the fact a is of a kind 13"),
    "a strange array": (gguf([("a", 9, struct.pack("<IQ", 77, 1) + bytes(40))], []), "the fact a is of a kind 77"),
    "no truth": (gguf([("a", 7, b"\2")], []), "the fact a is neither true nor false"),
    "two facts": (gguf([("a", 7, b"\1")] * 2, []), "it has two facts a"),
    "great depth": (gguf([("a", 9, struct.pack("<IQ", 9, 1) * 50)], []), "has more than 8 arrays in each other"),
    "two tensors": (gguf([], [("w", (4,), 0, FOUR)] * 2), "two tensors of the same name"),
    "many axes": (_tensor((1,) * 5), "tensor w has 5 axes, more than the 4 of the format"),
    "a type not read": (_tensor((256,), 16), "has a tensor w of type IQ2_XXS, which cannot be read; those of F32, F16, .*Q8_K can"),
    "a type not known": (_tensor((4,), 99), "tensor w is of a type 99"),
    "a part of a block": (_tensor((33,), 2), r"tensor w has the shape \(33,\); its last axis should be a multiple of 32"),
    "no axis for blocks": (_tensor((), 2), "its last axis should be a multiple of 32"),
    "a large shape": (_tensor((1 << 40, 1 << 40)), "tensor w has the shape"),
    "no elements of a large shape": (_tensor((0, 1 << 40, 1 << 40), raw=b""), "tensor w has the shape"),
    "a larger tensor": (_tensor((5,)), "cut short: tensor w should be 20 bytes from byte"),
    "much larger": (_tensor((1 << 50,)), "tensor w should be 4503599627370496 bytes"),
    "an alignment": (gguf([("general.alignment", 4, struct.pack("<I", 24))], []), "its alignment is 24; it should be a power of two"),
    "no alignment": (gguf([("general.alignment", 8, _text("x"))], []), "its alignment is x"),
    "a name": (_header(1, more=struct.pack("<Q", 2) + b"\xff\xfe" + bytes(30)), "a tensor is called b'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_damaged(tmp_path, case):
    content, text = REFUSED[case]
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FileFormatError, match=text) as error:
        ts.io.load_gguf(tmp_path / "x")
    assert str(error.value).startswith(f"load_gguf: {tmp_path / 'x'} ")


def test_tensors_on_top_of_each_other(tmp_path):
    """Of which a short file could have many, each as long as it is."""
    content = gguf([], [("a", (4,), 0, FOUR), ("b", (4,), 0, FOUR)])
    place = content.index(b"b" + struct.pack("<IQI", 1, 4, 0)) + 17
    for offset, text in [(0, "lies on top of another one"), (4, "begins at 4, which is no multiple of 32")]:  # fmt: skip
        (tmp_path / "x").write_bytes(
            content[:place] + struct.pack("<Q", offset) + content[place + 8 :]
        )
        with pytest.raises(UnsafeFileError if not offset else FileFormatError, match=text):
            ts.io.load_gguf(tmp_path / "x")


def test_cut_short_anywhere(tmp_path):
    content = gguf([fact[:3] for fact in FACTS], [("w", (4,), 0, FOUR), ("b", (32,), 2, bytes(18))])
    for end in [*range(0, len(content), 3), *range(len(content) - 60, len(content))]:
        (tmp_path / "x").write_bytes(content[:end])
        with pytest.raises(FileFormatError):
            ts.io.load_gguf(tmp_path / "x")


def test_on_another_device(read):
    found = read(_tensor(), device="emulated").tensors["w"]
    assert found.device == ts.device("emulated")
    assert found.tolist() == [0, 1, 2, 3]

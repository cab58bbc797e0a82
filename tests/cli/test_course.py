"""`tessella course`: every script trains, says what it did, and complains about what makes no sense."""

import gzip
import random
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tessella import minitorch
from tessella.cli import boundary, views
from tessella.cli.app import app
from tessella.data.png import png

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return CliRunner().invoke(app, ["course", *map(str, arguments)])


def correct(output):
    """The last number of points that were classified right."""
    return int(re.findall(r"correct +(\d+)/", output)[-1])


# --- points --------------------------------------------------------------------------------------------


def test_parameters_by_hand():
    assert correct(run("manual").output) == 50
    assert correct(run("manual", "--bias", "-3").output) < 40


def test_scalars_learn():
    result = run("scalar", "--points", 20, "--hidden", 3, "--epochs", 80, "--seed", 1)
    assert result.exit_code == 0, result.output
    assert correct(result.output) >= 18


@pytest.mark.parametrize("backend", ["simple", "cpu"])
def test_tensors_learn(backend):
    result = run("tensor", "--epochs", 150, "--backend", backend)
    assert result.exit_code == 0, result.output
    assert correct(result.output) >= 45


@pytest.mark.parametrize(
    ("dataset", "epochs", "options"),
    [
        ("simple", 100, []),
        ("diag", 100, []),
        ("split", 100, []),
        ("xor", 150, ["--jit"]),
        ("circle", 300, ["--jit"]),
        ("spiral", 1500, ["--points", 100, "--jit"]),
    ],
)
def test_batches_learn_every_dataset(dataset, epochs, options):
    result = run("fast", "--dataset", dataset, "--epochs", epochs, "--rate", 0.1, *options)
    assert result.exit_code == 0, result.output
    assert correct(result.output) >= 44


def test_eager_and_compiled_steps_learn_the_same():
    outputs = [run("fast", "--epochs", 20, *options).output for options in ([], ["--jit"])]
    losses = [re.findall(r"loss +([\d.]+)", output)[-1] for output in outputs]
    assert losses[0] == losses[1]


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "boundary.png"
    result = run("fast", "--epochs", 5, "--png", path)
    assert str(path) in result.output.replace("\n", "")
    image = read_png(path.read_bytes())
    assert image.shape == (480, 480, 3)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10


def read_png(data):
    """The pixels of a PNG without filters, checked chunk by chunk."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 2)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_png_keeps_the_pixels():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (read_png(png(image)) == image).all()


def test_the_boundary_in_the_terminal():
    random.seed(0)
    data = minitorch.datasets["Simple"](30)
    square = boundary.grid(lambda X: [1.0 if a < 0.5 else 0.0 for a, _ in X], 20)
    assert square[:, :10].all()
    assert not square[:, 10:].any()
    lines = boundary.terminal(square, data, colour=False).plain.splitlines()
    assert len(lines) == 10
    assert all(len(line) == 20 and "o" not in line[:10] and "x" not in line[10:] for line in lines)
    assert "x" in "".join(lines)
    assert "·" in lines[0][:10]
    assert "▀" in boundary.terminal(square, data).plain


def test_an_interrupt_keeps_what_was_learnt(tmp_path, capsys):
    data = minitorch.datasets["Simple"](10)
    path = tmp_path / "kept.png"
    with boundary.BoundaryView(data, lambda X: [0.5 for _ in X], 10, picture=path) as view:
        view(1, 6.9, 5, [6.9])
        raise KeyboardInterrupt
    assert "Interrupted" in capsys.readouterr().out
    assert path.exists()
    with views.TrainingView(1, 1):
        raise KeyboardInterrupt
    assert "Interrupted" in capsys.readouterr().out


# --- files -----------------------------------------------------------------------------------------------


@pytest.fixture
def digits(tmp_path):
    """The demo's digits as files of the MNIST database, one of them gzipped."""
    with np.load(ROOT / "tessella" / "cli" / "digits.npz") as data:
        small, labels = data["images"][:704], data["labels"][:704]
    images = np.zeros((len(small), 28, 28), np.uint8)
    images[:, 2:26, 2:26] = np.kron(small * 15, np.ones((3, 3)))
    image_file, label_file = tmp_path / "images.gz", tmp_path / "labels"
    header = struct.pack(">IIII", 0x803, len(images), 28, 28)
    image_file.write_bytes(gzip.compress(header + images.tobytes()))
    label_file.write_bytes(
        struct.pack(">II", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    )
    return image_file, label_file


def test_digits_are_read(digits):
    result = run("mnist", *digits, "--train", 640, "--validate", 64, "--epochs", 4)
    assert result.exit_code == 0, result.output
    share = float(re.search(r"accuracy ([\d.]+)%", result.output)[1])
    assert share > 75
    eager = run("mnist", *digits, "--train", 64, "--validate", 16, "--epochs", 1, "--no-jit")
    assert eager.exit_code == 0, eager.output


@pytest.fixture
def reviews(tmp_path):
    """Sentences that a single word decides."""
    random.seed(0)
    words = [f"word{i}" for i in range(30)]
    paths = []
    for name, key in (("bad", "dull"), ("good", "lovely")):
        lines = []
        for _ in range(300):
            line = random.sample(words, random.randint(4, 9))
            line.insert(random.randint(0, 4), key)
            lines.append(" ".join(line))
        paths.append(tmp_path / name)
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def held_out(output):
    return float(re.findall(r"best ([\d.]+)%", output)[-1])


def test_reviews_are_judged_with_vectors_of_its_own_and_given_ones(reviews, tmp_path):
    options = ["--train", 500, "--validate", 100, "--epochs", 4, "--features", 10]
    result = run("sentiment", *reviews, *options, "--size", 8)
    assert result.exit_code == 0, result.output
    assert held_out(result.output) > 90
    vectors = tmp_path / "vectors.txt"
    numbers = np.random.default_rng(0).standard_normal((3, 6)) * 7
    rows = zip(("dull", "lovely", "unseen"), numbers, strict=True)
    lines = [f"{word} " + " ".join(f"{x:.4f}" for x in row) for word, row in rows]
    vectors.write_text("3 6\n" + "\n".join(lines) + "\n")
    for more in ([], ["--freeze"]):
        result = run("sentiment", *reviews, *options, "--vectors", vectors, *more)
        assert result.exit_code == 0, result.output
        assert held_out(result.output) > 90


# --- the report, help and complaints ---------------------------------------------------------------------


def test_the_report_shows_loops_and_what_became_of_them():
    result = run("parallel", "--size", 96)
    assert result.exit_code == 0, result.output
    for text in (
        "MAP",
        "MATRIX MULTIPLY",
        "for j in n0 [parallel",
        "in parallel",
        "out of the loop",
    ):
        assert text in result.output
    fused = run("parallel", "--size", 64, "--only", "chain").output
    assert "fused_relu_mul_add_sum" in fused
    assert "MAP" not in fused


def test_help_names_every_script_and_its_options():
    whole = run("--help").output
    for name in ("manual", "scalar", "tensor", "fast", "parallel", "mnist", "sentiment"):
        assert name in whole
    own = run("fast", "--help").output
    assert "--hidden" in own
    assert "Module 3" in own


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fast", "--points", 1], "--points"),
        (["fast", "--rate", "-1"], "expected a number above 0"),
        (["fast", "--dataset", "moon"], "moon"),
        (["fast", "--png", "/nowhere/at/all.png"], "no folder"),
        (["mnist", "missing", "missing"], "cannot be read"),
        (["parallel", "--only", "nothing"], "MATRIX MULTIPLY"),
    ],
)
def test_complaints(arguments, expected):
    result = run(*arguments)
    assert result.exit_code == 2
    assert expected in re.sub(r"[│\s]+", " ", result.output)


def test_files_that_are_none(tmp_path, digits, reviews):
    wrong = tmp_path / "wrong"
    wrong.write_text("no digits")
    assert "no IDX file" in run("mnist", wrong, digits[1]).output
    swapped = run("mnist", digits[1], digits[0]).output.replace("\n", " ")
    assert "(704,); expected images, of three axes" in swapped
    assert "the images come first, then the labels" in swapped
    few = tmp_path / "few"
    few.write_bytes(b"\0\0\x08\1" + (3).to_bytes(4, "big") + bytes(3))
    assert "704 images of (28, 28) and 3 labels up to 0 were read; expected as many of both" in run(
        "mnist", digits[0], few
    ).output.replace("\n", " ")
    assert "there are 704 images" in run("mnist", *digits).output.replace("\n", " ")
    assert "a word and its numbers" in run(
        "sentiment", *reviews, "--train", 500, "--validate", 50, "--vectors", wrong
    ).output.replace("\n", " ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a fine film\n" * 400, mtime=0), "is compressed by gzip; expected text; unpack it first: gunzip <"),
        (gzip.compress(bytes(range(256)), mtime=0), "is compressed by gzip"),
        ("ein schöner Film\n".encode("utf16"), "is no text (it has zero bytes); expected a sentence on each line"),
        (b"PK\x03\x04\x14\0\0\0", "is no text"),
    ],
)  # fmt: skip
def test_reviews_that_are_no_text(tmp_path, reviews, content, message):
    wrong = tmp_path / "reviews.txt.gz"
    wrong.write_bytes(content)
    options = ["--train", 500, "--validate", 50]
    for arguments in ([wrong, reviews[1]], [reviews[0], wrong], [*reviews, "--vectors", wrong]):
        result = run("sentiment", *arguments, *options)
        assert result.exit_code == 2
        assert message in re.sub(r"\s+", " ", result.output)
        assert "reviews.txt.gz" in result.output


def test_scripts_run_by_themselves_and_minitorchs_own_with_the_module(tmp_path):
    script = ROOT / "examples" / "course" / "run_fast_tensor.py"
    command = [sys.executable, str(script), "--epochs", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "correct" in done.stdout
    own = tmp_path / "helper_script.py"
    own.write_text(
        "import sys\nimport minitorch\nfrom minitorch.tensor_data import IndexingError\n"
        "print(sys.argv[1:], minitorch.tensor([1.0, 2.0]).sum(), IndexingError is minitorch.IndexingError)"
    )
    command = [sys.executable, "-m", "tessella.minitorch", str(own), "--HIDDEN", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "['--HIDDEN', '3'] \n[3.00] True\n"
    missing = subprocess.run(
        [*command[:3], "none.py"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert "there is no file none.py" in missing.stderr

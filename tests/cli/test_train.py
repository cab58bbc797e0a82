"""`tessella train`: recipes train on small data made here, and complain about data that make no sense."""

import contextlib
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tessella as ts
from tessella.cli import guard
from tessella.cli.app import app

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def complaint(capsys, *arguments):
    """What a command says on stderr, and its status."""
    with pytest.raises(SystemExit) as end, contextlib.chdir("/"):
        guard.guarded(lambda: app(["train", *map(str, arguments)], standalone_mode=True))
    return end.value.code, " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())


def idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())
    return path


@pytest.fixture
def digits(tmp_path):
    """Images of one bright square, whose place is the label, as files of the MNIST database."""
    folder = tmp_path / "digits"
    folder.mkdir()
    labels = np.arange(80) % 10
    images = RANDOM.integers(0, 40, (80, 28, 28))
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 5)
        image[14 * row : 14 * row + 10, 5 * column : 5 * column + 5] = 255
    idx(folder / "t10k-images-idx3-ubyte", images)
    idx(folder / "t10k-labels-idx1-ubyte", labels)
    return folder


# --- what is learnt --------------------------------------------------------------------------------------


def test_every_recipe_says_what_it_expects_and_reaches():
    names = [command.name for group in app.registered_groups if group.name == "train" for command in group.typer_instance.registered_commands]  # fmt: skip
    written = {path.stem for path in (ROOT / "examples" / "train").glob("*.py")}
    assert written <= set(names)
    for name in written:
        lines = (ROOT / "examples" / "train" / f"{name}.py").read_text().splitlines()
        assert len(lines) <= 120, name
        told = " ".join(run(name, "--help").output.split())
        assert "pip install 'tessella[images]'" in told or name != "resnet"
        assert "--data" in told and "goes on" in told and re.search(r"\d ?%|nats|loss", told), name


def test_handwriting(digits, tmp_path):
    result = run("handwriting", "--data", digits, "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert re.search(r"Held out: [\d.]+% of 8 digits read", result.output)
    assert "Handwritten digits" in (tmp_path / "run" / "report.html").read_text()


def test_vae(digits, tmp_path):
    out = tmp_path / "run"
    (digits / "t10k-labels-idx1-ubyte").unlink()  # nobody asks for them
    result = run("vae", "--data", digits, "--epochs", 2, "--latent", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert re.search(r"Held out: \d+\.\d nats", result.output)
    for name, size in (("samples", (16 * 30 - 2, 4 * 30 - 2)), ("reconstructions", (8 * 30 - 2, 56))):  # fmt: skip
        assert struct.unpack(">II", (out / f"{name}.png").read_bytes()[16:24]) == size
    report = (out / "report.html").read_text()
    assert report.count('class="picture"') == 2
    assert "Divergence" in report


@pytest.fixture
def photos(tmp_path):
    """Ten red and six blue images of different sizes."""
    image = pytest.importorskip("PIL.Image", reason="Pillow, the extra `images`, is not there")
    folder = tmp_path / "photos"
    for name, count, colour in (("red", 10, (220, 30, 30)), ("blue", 6, (20, 40, 200))):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image.new("RGB", (9 + number, 12), colour).save(folder / name / f"{number}.png")
    return folder


def test_resnet(photos, tmp_path):
    result = run(
        "resnet", "--data", photos, "--epochs", 2, "--size", 8, "--batch", 7, "--workers", 0, "--out", tmp_path / "run"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2 classes, 14 images to train with, 2 held out" in result.output
    assert re.search(r"Held out: [\d.]+% of 2 images told right", result.output)


def test_the_network_is_that_of_the_paper():
    from tessella.cli import scripts

    resnet = scripts.load("train/resnet")
    large, small = resnet.resnet18(1000, 224), resnet.resnet18(1000, 32)
    assert sum(x.size for x in large.parameters()) == 11_689_512  # torchvision's, too
    assert sum(x.size for x in small.parameters()) == 11_689_512 - 64 * 3 * (49 - 9)


def table(path, rows=200, target="class"):
    """A number, a text that matters, a column without use, and what follows from the first two."""
    lines = [f"x,kind,note,{target}"]
    for row in range(rows):
        x, kind = RANDOM.normal(), "ab"[row % 2]
        y = 3 * x + (5 if kind == "a" else -5)
        value = {"class": "high" if y > 0 else "low", "y": f"{100 + 10 * y:.3f}"}[target]
        lines.append(f"{'' if row % 19 == 3 else f'{x:.4f}'},{kind},n{row},{value}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tabular_tells_classes(tmp_path):
    out = tmp_path / "run"
    result = run("tabular", "--data", table(tmp_path / "a.csv"), "--out", out, "--epochs", 10)
    assert result.exit_code == 0, result.output
    assert "class: one of 2 classes, predicted from" in result.output
    assert re.search(r"x +number +mean .* a flag for what is missing; 11 missing", result.output)
    assert "kind text    2 categories" in result.output
    assert "note text    left out: no text comes 2 times" in result.output
    assert "160 rows to train with, 40 held out" in result.output
    accuracy, f1 = map(
        float, re.search(r"Held out: accuracy ([\d.]+), f1 (\S+)\. ", result.output).groups()
    )
    assert accuracy > 0.85
    assert f1 > 0.85
    again = run(
        "tabular", "--data", tmp_path / "a.csv", "--out", out, "--epochs", 10
    )  # goes on at its end
    assert again.output.splitlines()[-1] == result.output.splitlines()[-1]


def test_tabular_tells_numbers(tmp_path):
    path = table(tmp_path / "a.csv", target="y")
    result = run("tabular", "--data", path, "--out", tmp_path / "run", "--epochs", 30)
    assert result.exit_code == 0, result.output
    error, r2 = re.search(
        r"Held out: mean absolute error ([\d.]+), r2 (\S+)\. ", result.output
    ).groups()
    assert float(r2) > 0.8
    assert 1 < float(error) < 25  # in the units of the table, whose deviation is 58
    assert "y: a number" in result.output


def test_tabular_takes_any_column(tmp_path):
    path = table(tmp_path / "a.csv", target="y")
    result = run("tabular", "--data", path, "--target", "kind", "--out", tmp_path / "run", "--epochs", 5)  # fmt: skip
    assert "kind: one of 2 classes" in result.output
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:40], "1,2", "1,a,b,", *lines[40:]]))
    with pytest.warns(UserWarning, match="2 bad rows were skipped, 200 are left"):
        result = run("tabular", "--data", path, "--skip-bad-rows", "--out", tmp_path / "b", "--epochs", 1)  # fmt: skip
    assert result.exit_code == 0, result.output


# --- what is refused -------------------------------------------------------------------------------------


def test_data_that_are_none(digits, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("handwriting", "vae"):
        code, told = complaint(capsys, name, "--data", empty)
        assert code == 2 and "images*idx3*" in told and str(empty) in told, told
    for name in ("vae", "resnet", "tabular"):
        code, told = complaint(capsys, name, "--data", tmp_path / "nowhere")
        assert code == 2 and "does not exist" in told, told
    labels = RANDOM.integers(0, 10, 80)
    labels[17] = 10
    idx(digits / "t10k-labels-idx1-ubyte", labels)
    code, told = complaint(capsys, "handwriting", "--data", digits, "--out", tmp_path / "run")
    assert code == 2 and "t10k-labels-idx1-ubyte, row 17: the label is 10; expected 0 to 9" in told
    idx(digits / "t10k-images-idx3-ubyte", RANDOM.integers(0, 9, (5, 28, 28)))
    code, told = complaint(capsys, "vae", "--data", digits)
    assert code == 2 and "(5, 28, 28) to train with and (0, 28, 28) held out" in told


def test_folders_of_images_that_are_none(photos, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    code, told = complaint(capsys, "resnet", "--data", empty)
    assert code == 2 and "has no folders; expected one for each class" in told
    (empty / "cat").mkdir()
    code, told = complaint(capsys, "resnet", "--data", empty)
    assert code == 2 and "cat has no images; expected files that end in" in told
    (photos / "blue").rename(tmp_path / "blue")
    code, told = complaint(capsys, "resnet", "--data", photos)
    assert code == 2 and "red (10 images); expected at least two folders" in told


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a,b\n1,2\n", ["--target", "c"], "has no column 'c'; it has 'a', 'b'"),
        ("", [], "is empty"),
        ("a,b\n" + "1,yes\n" * 20, [], "the column 'b' has 1 different values in 20 rows"),
        ("a,b\n1,x\n2,y\n", [], "expected at least 5 rows"),
        ("a,b\n" + "".join(f"{i},t{i}\n" for i in range(20)), [], "20 different values in 20 rows; expected at least 5 rows, with numbers or a few"),
        ("a,b\n" + "1,x\n2,y\n" * 9, ["--regress"], "expected numbers for --regress"),
        ("a,b\n" + "1,3\n1,4.5\n" * 9, [], "no column left to predict 'b' from"),
        ("a,b\n1,2\n1,\n", [], "line 3: the target 'b' is missing"),
        ("a,b\n1,2\n1,2,3\n", [], "line 3: there are 3 values for 2 columns"),
    ],
)  # fmt: skip
def test_tables_that_make_no_sense(tmp_path, capsys, text, options, expected):
    path = tmp_path / "a.csv"
    path.write_text(text)
    code, told = complaint(capsys, "tabular", "--data", path, *options, "--out", tmp_path / "run")
    assert code == 2 and expected in told, told
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written(digits, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, told = complaint(capsys, "vae", "--data", digits, "--out", tmp_path / "file" / "run")
    assert code == 1 and str(tmp_path / "file") in told, told


@pytest.mark.parametrize("name", ["vae", "tabular"])
def test_an_interrupt_is_told_by_the_status(digits, tmp_path, monkeypatch, name):
    data = digits if name == "vae" else table(tmp_path / "a.csv")
    ended = ts.train.History()
    ended.stopped = "interrupted"
    monkeypatch.setattr(ts.train, "fit", lambda *args, **options: ended)
    assert run(name, "--data", data, "--out", tmp_path / "run").exit_code == 130

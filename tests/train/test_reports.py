"""Reports: what is on the page of a training, from events and from a file alone; pictures; what is damaged."""

import base64
import json
import math
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import tessella as ts
from tessella.data.png import as_image, png
from tessella.errors import ArgumentError, ArgumentTypeError, CheckpointWarning
from tessella.train import Mistake, Record, Report, report
from tessella.train.pages import charts, tables
from tessella.train.pages.charts import Curve
from tessella.train.reports import mistakes, read_record
from tessella.train.reports.mistakes import Worst, cards
from tessella.train.reports.training_page import page


class Checked(HTMLParser):
    """Every tag that is opened is closed, and nothing comes from elsewhere."""

    ALONE = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.pictures = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.ALONE:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                assert value.startswith("data:")
                self.pictures.append(value)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def svgs(text):
    return [
        ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    ]


def lines(steps=40, **more):
    found = []
    for step in range(1, steps + 1):
        found.append(
            {
                "kind": "step",
                "step": step,
                "epoch": 1,
                "time": 0.1 * step,
                "loss": 2 / step,
                "lr": 1e-3,
            }
        )
    return [
        *found,
        {"kind": "validation", "step": steps, "epoch": 1, "time": 9.0, "loss": 0.5, **more},
    ]


def test_what_is_on_the_page():
    table = [[3, 1], [0, 4]]
    record = Record(
        lines(accuracy=0.875, confusion_matrix=table), "my <run>", {"command": "python a.py && b"},
        classes=["cat", "d<g"], norms=[(1, {"a.weight": 1.0, "a.bias": 0.0}), (2, {"a.weight": math.nan})],
        mistakes=[Mistake("a <b>bad</b> film", "good", "bad", 2.5)], examples_per_second=1234.5, waiting=0.016,
    )  # fmt: skip
    text = page(record)
    checked = Checked(text)
    words = " ".join(checked.texts)
    for expected in (
        "my <run>", "python a.py && b", "a <b>bad</b> film", "87.5 %", "validation accuracy", "1,234", "1.6 %",
        "Learning rate", "Steps per second", "d<g", "weight", "9.0 s", "steps, epoch 1",
    ):  # fmt: skip
        assert expected in words, expected
    assert "cat taken for d&lt;g: 1" in text
    assert 'title="a.weight">weight<' in text
    assert "location.reload" not in text
    assert (
        len(svgs(text)) == 4 + 1 + 2
    )  # loss, accuracy, rate, pace; confusion; a strip for each parameter


def test_a_running_page_looks_for_news():
    text = page(Record(lines(), is_running=True), seconds=7)
    assert "location.reload(); }, 7000)" in text
    assert '<meta http-equiv="refresh" content="7">' in text
    Checked(text)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        lines(1),
        [{"kind": "step"}, {"kind": "else", "x": 1}, {}],
        [{"kind": "epoch", "step": 1, "loss": math.nan, "words": "a", "flag": True, "table": [[1], [2]]}],
        [{"kind": "step", "step": n, "loss": x} for n, x in enumerate([math.inf, 1.0, math.nan, -1e300, 1e300])],
        [{"kind": "validation", "step": n, "f1": 0.0, "f1 of each": [0.5, None]} for n in range(3)],
    ],
)  # fmt: skip
def test_awkward_lines_make_a_page(rows):
    text = page(Record(rows))
    Checked(text)
    assert not re.search(r'"(-?inf|nan)|,nan|nan,', text)
    svgs(text)


def test_numbers_that_are_not_finite_are_counted():
    rows = [
        {"kind": "epoch", "step": n, "loss": x}
        for n, x in enumerate([1.0, math.nan, math.inf, 2.0])
    ]
    assert "2 not finite" in page(Record(rows))
    assert "2 not finite" in page(Record([{**row, "kind": "step"} for row in rows]))


def test_a_long_training_makes_a_small_page():
    random = np.random.default_rng(0)
    rows = [
        {
            "kind": "step",
            "step": n,
            "epoch": 1,
            "time": 0.01 * n,
            "loss": float(x),
            "gradient_norm": float(x),
        }
        for n, x in enumerate(random.random(20_000))
    ]
    norms = [
        (n, {f"layer{i}.{j}.weight": 0.1 for i in range(20) for j in range(20)}) for n in range(200)
    ]
    assert len(page(Record(rows, norms=norms))) < 600_000


def test_parameters_stand_by_layers():
    norms = {
        f"blocks.{i}.{part}.{kind}": 3.0 + (kind == "bias")
        for i in range(12)
        for part in ("mlp", "norm", "head", "key")
        for kind in ("weight", "bias")
    }
    text = page(Record(norms=[(1, norms)]))
    assert 'title="blocks.11"' in text
    assert "blocks.11.mlp" not in text
    assert "<b>10</b>" in text  # the root of 4 * (9 + 16)


# --- curves --------------------------------------------------------------------------------------


def test_ticks_are_round_and_reach_over_everything():
    random = np.random.default_rng(1)
    for _ in range(300):
        low, high = sorted(
            float(x) for x in random.normal(size=2) * 10.0 ** random.integers(-12, 12)
        )
        found = charts.ticks(low, high)
        assert found[0] <= low * (1 + 1e-9) + 1e-300 or math.isclose(found[0], low)
        assert found[-1] >= high or math.isclose(found[-1], high)
        assert 2 <= len(found) <= 8
        low, high = abs(low) or 1.0, (abs(low) or 1.0) * 10 ** random.uniform(0, 12)
        found = charts.log_ticks(low, high)
        assert found[0] <= low * (1 + 1e-9)
        assert 2 <= len(found) <= 11


@pytest.mark.parametrize(
    "values", [[5.0], [0.0, 0.0], [1e300, -1e300], [1e-310], [-3.0, -3.0], [1e20, 1e20 + 1]]
)
def test_any_numbers_are_drawn(values):
    for is_log in (False, True):
        text = charts.chart([Curve("x", range(len(values)), values)], is_log=is_log)
        assert "nan" not in text
        assert "inf" not in text
        ElementTree.fromstring(text)


def test_gaps_where_there_is_no_number():
    (svg,) = svgs(charts.chart([Curve("x", range(7), [1, 2, math.nan, 3, math.inf, 4, 5])]))
    lines_drawn = [len(line.get("points").split()) for line in svg.iter("polyline")]
    assert lines_drawn == [2, 2]
    assert len(list(svg.iter("circle"))) == 1  # one between two gaps is a dot


def test_a_running_mean():
    assert charts.smoothed([1.0, math.nan, 3.0]).tolist() == [1.0, 1.0, 3.0]
    noise = np.random.default_rng(0).normal(5.0, 1.0, 5000)
    assert abs(charts.smoothed(noise)[2000:] - 5.0).max() < 0.6


def test_a_mark_and_logarithmic_axes():
    curve = Curve("loss", [1e-6, 1e-3, 1.0], [10.0, 1.0, 100.0])
    text = charts.chart([curve], is_log=True, x_is_log=True, mark=(1e-3, "here & now"))
    assert "here &amp; now" in text
    (svg,) = svgs(text)
    x = [float(point.split(",")[0]) for point in next(svg.iter("polyline")).get("points").split()]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)


@pytest.mark.parametrize("size", [1, 2, 16, 17, 60])
def test_confusion_of_many_classes(size):
    table = np.random.default_rng(0).integers(0, 9, (size, size))
    names = [f"a class with a long name {i}" for i in range(size)]
    (svg,) = svgs(tables.confusion_chart(table, names))
    assert len(list(svg.iter("rect"))) == size**2


def test_pairs_that_are_confused_most():
    table = np.array([[5, 1, 0], [7, 5, 0], [0, 2, 5]])
    rows = re.findall(r"<tr><td>(\d+)</td><td>(.*?)</td>", tables.most_confused(table))
    assert rows == [("7", "1 taken for 0"), ("2", "2 taken for 1"), ("1", "0 taken for 1")]
    many = np.eye(100, dtype=int)
    many[3, 99] = 4
    text = page(Record([{"kind": "validation", "step": 1, "confusion": many.tolist()}]))
    assert "3 taken for 99" in text
    assert text.count("<rect") == 0


# --- mistakes ------------------------------------------------------------------------------------


def pixels(data):
    """The rows of a PNG without filters, as a reader of the format sees them."""
    width, height = struct.unpack(">II", data[16:24])
    size = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (3, 4, 5), (4, 5, 3), (4, 5, 1)])
def test_images_are_images(shape):
    image = as_image(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))
    assert image.shape == (4, 5, 3)
    np.testing.assert_array_equal(pixels(png(image)), image)
    spread = as_image(np.random.default_rng(0).normal(size=shape))
    assert (spread.min(), spread.max()) == (0, 255)


def test_what_is_no_image():
    assert as_image(np.zeros((2, 4, 5))) is None
    assert as_image(np.zeros((1, 9))) is None
    assert as_image(np.full((3, 3), np.nan)).max() == 0


def test_the_worst_mistakes_over_batches():
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(50, 3)), random.integers(0, 3, 50)
    rows = np.arange(50.0)[:, None]
    worst = Worst(4, classes=["a", "b", "c"])
    for begin in range(0, 50, 7):
        part = slice(begin, begin + 7)
        worst.look(ts.asarray(rows[part]), ts.asarray(scores[part]), ts.asarray(labels[part]))
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    surprise = -np.log(shares[np.arange(50), labels]) * (scores.argmax(1) != labels)
    order = np.argsort(-surprise)[:4]
    found = worst.taken()
    assert [int(mistake.shown[0]) for mistake in found] == order.tolist()
    assert [mistake.surprise for mistake in found] == pytest.approx(surprise[order])
    assert [mistake.true for mistake in found] == ["abc"[labels[i]] for i in order]
    assert [mistake.found for mistake in found] == ["abc"[scores[i].argmax()] for i in order]
    assert worst.taken() == []


def test_mistakes_of_figures_and_of_one_answer():
    worst = Worst(2)
    worst.look(np.eye(3), np.array([[1.0], [2.0], [9.0]]), np.array([1.0, 2.5, 3.0]))
    found = worst.taken()
    assert [(mistake.true, mistake.found, mistake.surprise) for mistake in found] == [
        ("3", "9", 6.0),
        ("2.5", "2", 0.5),
    ]
    assert "off by 0.5<" in cards(found)


def test_what_cannot_be_judged_is_left_out():
    worst = Worst(3)
    for outputs, targets in (
        (None, None),
        (np.zeros((2, 3, 4)), np.zeros((2, 4), int)),
        (np.zeros((2, 2)), np.zeros(3, int)),
    ):
        worst.look(np.zeros((2, 1)), outputs, targets)
    worst.look(np.zeros((2, 1)), np.zeros((2, 3)), np.array([-100, 7]))  # ignored, and no class
    assert worst.taken() == []


def test_mistakes_are_shown_as_what_they_are():
    image = cards([Mistake(np.eye(4), "a", "b", 1.0)])
    assert image.count("data:image/png") == 1
    words = cards([Mistake("<script>", "a", "b", 1.0)])
    assert "&lt;script&gt;" in words
    numbers = cards([Mistake(np.arange(20), "a", "b", 1.0)])
    assert "0, 1, 2" in numbers
    assert "20 in all" in numbers
    table = cards([Mistake({"age": 3.5, "<": "x"}, "a", "b", 1.0)])
    assert "<td>age</td><td>3.5</td>" in table
    assert "<td>&lt;</td>" in table
    assert mistakes.MOST_NUMBERS < 20


# --- written while it goes on --------------------------------------------------------------------


def event(kind, **more):
    more = {"step": 1, "epoch": 1, "metrics": {}, "history": SimpleNamespace(lines=lines()), **more}
    return SimpleNamespace(kind=kind, **more)


def test_a_report_follows_the_events(tmp_path, monkeypatch):
    monkeypatch.setattr("tessella.train.reports.writing._SHARE", math.inf)  # however long it takes
    folder = tmp_path / "runs" / "first"
    told = Report(folder, classes=["cat", "dog"], every=0.0)
    assert repr(told) == f"Report({str(folder / 'report.html')!r})"
    told(event("start"))
    assert "running" in (folder / "report.html").read_text()
    told(event("step", gradient_norms={"layer.weight": 0.5}))
    images = np.random.default_rng(0).random((2, 5, 5)).astype(np.float32)
    batch = (ts.asarray(images), ts.asarray([0, 1]))
    told(
        event(
            "validation_step",
            batch=batch,
            outputs=ts.asarray([[0.0, 3.0], [0.0, 3.0]]),
            targets=batch[1],
        )
    )
    told(event("validation"))
    text = (folder / "report.html").read_text()
    assert text.count("data:image/png") == 1
    assert "found <b>dog</b>, is <b>cat</b>" in text
    assert "layer.weight" in text
    told(
        event(
            "end",
            history=SimpleNamespace(
                lines=lines(), stopped="no improvement", waiting=0.5, examples_per_second=9.0
            ),
        )
    )
    text = (folder / "report.html").read_text()
    assert "<h1>first</h1>" in text
    assert "ended: no improvement" in text
    assert "50.0 %" in text
    assert "location.reload" not in text
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_it_is_not_written_all_the_time(tmp_path):
    told = Report(tmp_path, every=3600.0)
    told(event("start"))
    (tmp_path / "report.html").unlink()
    for step in range(50):
        told(event("step", step=step, gradient_norms={"a": 1.0}))
    assert not (tmp_path / "report.html").exists()
    told(event("end"))
    assert (tmp_path / "report.html").exists()


def test_norms_of_a_long_training_are_thinned(tmp_path):
    told = Report(tmp_path, every=0.0, mistakes=0)
    told(event("start"))
    told._next = math.inf
    for step in range(1, 1001):
        told(event("step", step=step, gradient_norms={"a": 1.0}))
    steps = [step for step, _ in told._norms]
    assert len(steps) <= 201
    assert steps[0] == 1
    assert steps[-1] > 900


def test_a_report_of_a_file_alone(tmp_path):
    text = "".join(json.dumps(line) + "\n" for line in lines(confusion=[[2, 0], [1, 2]]))
    (tmp_path / "metrics.jsonl").write_text(text + '{"kind": "step", "st')
    record = read_record(tmp_path)
    assert len(record.lines) == 41
    path = report(tmp_path, title="again", classes=["x", "y"])
    found = path.read_text()
    Checked(found)
    assert "<h1>again</h1>" in found
    assert "its last line was cut off" in found
    assert "y taken for x: 1" in found


def test_a_run_folder_says_what_it_was(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step", "step": 1, "loss": null}\n')
    sessions = [
        {"began": "2031-01-01", "command": ["a.py"]},
        {
            "began": "2031-01-02",
            "command": ["a.py", "-x"],
            "versions": {"numpy": "9.9"},
            "machine": {"cores": 7},
        },
    ]
    (tmp_path / "run.json").write_text(json.dumps({"asked": {}, "sessions": sessions}))
    record = read_record(tmp_path)
    assert math.isnan(record.lines[0]["loss"])
    assert record.facts == {
        "folder": str(tmp_path), "cores": "7", "numpy": "9.9", "command": "a.py -x", "began": "2031-01-01", "sessions": "2",
    }  # fmt: skip
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ArgumentError, match=r"run\.json: .*expected an object of JSON"):
        report(tmp_path)


def test_a_disk_that_fills_up_ends_no_training(tmp_path, monkeypatch):
    monkeypatch.setattr("tessella.train.reports.writing._SHARE", math.inf)
    told = Report(tmp_path, every=0.0)
    told(event("start"))

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("tessella.files.write", full)
        with pytest.warns(
            CheckpointWarning,
            match=r"report\.html cannot be written .*No space left.*it is tried again",
        ):
            told(event("step"))
        with pytest.raises(OSError, match="No space left"):
            told(event("start"))
    told(event("end"))
    assert "ended" in (tmp_path / "report.html").read_text()


def test_fit_fills_a_report_and_its_folder_makes_one_anew(tmp_path):
    ts.manual_seed(0)
    x = ts.randn(40, 2)
    data = [(x[i : i + 10], (x[i : i + 10, 0] > 0).astype(ts.int64)) for i in range(0, 40, 10)]
    model = ts.nn.Linear(2, 2)
    ts.train.fit(
        model, data, ts.nn.functional.cross_entropy, ts.optim.SGD(model.parameters(), lr=0.1), epochs=3, log_every=1,
        validation=data, metrics=[ts.train.Accuracy(), ts.train.ConfusionMatrix()], callbacks=[Report(tmp_path)],
        folder=tmp_path, progress=False,
    )  # fmt: skip
    first = (tmp_path / "report.html").read_text()
    Checked(first)
    assert "steps, epoch 3" in first
    assert "weight" in first
    assert "<h2>Worst mistakes</h2>" in first
    (tmp_path / "report.html").unlink()
    again = report(tmp_path).read_text()
    Checked(again)
    assert again.count("<svg") == first.count("<svg") - 2  # without the strips of two parameters
    assert "sessions" in again


@pytest.mark.parametrize("damage", ['{"kind": \n', "[1, 2]\n", "\x00\n"])
def test_a_damaged_line_is_named(tmp_path, damage):
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step"}\n' + damage + "{}\n")
    with pytest.raises(
        ArgumentError, match=r"metrics\.jsonl, line 2: .*expected an object of JSON"
    ):
        report(tmp_path)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
        report(tmp_path)
    for make in (Report, report):
        with pytest.raises(
            ArgumentTypeError, match=r"folder is of type int; expected str or pathlib\.Path"
        ):
            make(3)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Report(tmp_path / "file")(event("start"))


def test_pictures_are_shown_once_they_are_there(tmp_path):
    path = tmp_path / "samples.png"
    made = Report(tmp_path, pictures={"Made <up>": path}, every=0)
    made(event("epoch"))
    assert not Checked(made.path.read_text()).pictures
    ts.data.save_image(np.zeros((1, 4, 4)), path)
    made(event("end"))
    checked = Checked(made.path.read_text())
    assert "Made <up>" in checked.texts
    assert base64.b64decode(checked.pictures[0].partition(",")[2]) == path.read_bytes()
    with pytest.raises(
        ArgumentError, match=r"pictures: 'a\.gif'; expected a path that ends in \.png"
    ):
        Report(tmp_path, pictures={"a": "a.gif"})


def test_a_run_in_a_folder_has_a_report(tmp_path):
    x = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    data = [(x[i : i + 10], np.arange(10) % 2) for i in range(0, 40, 10)]  # nothing to be learnt
    model = ts.nn.Linear(2, 2)
    optimiser = ts.optim.SGD(model.parameters(), lr=0.1)
    given = {"epochs": 1, "validation": data, "progress": False, "config": {}}
    loss = ts.nn.functional.cross_entropy
    ts.train.fit(model, data, loss, optimiser, folder=tmp_path / "run", **given)
    assert "Worst mistakes" in (tmp_path / "run" / "report.html").read_text()
    own = Report(tmp_path / "own", title="of my own")
    ts.train.fit(model, data, loss, optimiser, folder=tmp_path / "other", callbacks=[own], **given)
    assert not (tmp_path / "other" / "report.html").exists()
    assert "of my own" in own.path.read_text()

"""The demo: what it prints, writes and refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from tessella.cli import demo
from tessella.cli.app import app
from tessella.cli.drawing import digit_rows, digit_strip
from tessella.cli.report import page
from tessella.train.pages.machine import machine_facts

COMMAND = [sys.executable, "-c", "from tessella.cli import main; main()"]


def run(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_digits_are_split_by_class():
    digits = demo.load_digits(seed=3)
    assert len(digits.train_labels) + len(digits.test_labels) == 1797
    assert digits.test_images.shape == (len(digits.test_labels), 8, 8)
    share = np.bincount(digits.test_labels) / np.bincount(
        np.concatenate([digits.train_labels, digits.test_labels])
    )
    assert np.all(np.abs(share - 0.2) < 0.01)
    assert not np.array_equal(digits.test_images, demo.load_digits(seed=4).test_images)


def test_training_is_reproducible_and_learns():
    digits = demo.load_digits(0)
    first, second = (demo.train(digits, 3, 0, lambda *_: None) for _ in range(2))
    assert first.losses == second.losses
    assert np.array_equal(first.predictions, second.predictions)
    assert first.accuracy > 0.9
    assert first.losses[0] > first.losses[-1]
    assert demo.confusion(first, digits.test_labels).sum() == len(digits.test_labels)


def test_mistakes_are_shown_first():
    history = demo.History(0)
    history.predictions = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    assert list(demo.mistakes_first(history, np.array([0, 1, 1]))) == [1, 2, 0]


def test_one_object_of_json(tmp_path):
    done = CliRunner().invoke(
        app, ["demo", "--epochs", "1", "--json", "--out", str(tmp_path / "a" / "b")]
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["epochs"] == 1
    assert facts["held_out"] == 359
    assert facts["accuracy"] == facts["test_accuracies"][-1]
    page = (tmp_path / "a" / "b" / "report.html").read_text(encoding="utf8")
    assert f"{100 * facts['accuracy']:.1f} %" in page
    assert page.count("<svg") >= 2
    assert not re.search(r'(src|href)="', page)  # opens without a network


def test_what_the_terminal_shows(tmp_path):
    done = run("demo", "--epochs", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Held-out accuracy" in done.stdout
    assert " not " in done.stdout  # a mistake: "8 not 3"
    assert str(tmp_path / "report.html") in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: 0 was given; expected a whole number of at least 1"),
        (["--seed", "-1"], "--seed: -1 was given; expected a whole number of at least 0"),
        (["--epochs", "x"], "valid integer"),
    ],
)
def test_bad_options(arguments, message, tmp_path):
    done = run("demo", *arguments, "--out", str(tmp_path), env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 2
    assert message in done.stderr


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("demo", "--out", str(tmp_path / "file" / "inside"))
    assert done.returncode == 2
    assert "--out:" in done.stderr
    assert "cannot be written to" in done.stderr
    assert "Training" not in done.stdout


@pytest.mark.parametrize("threads", ["0", "-3", "many", "2.5"])
def test_nonsense_threads(threads, tmp_path):
    environment = {**os.environ, "TESSELLA_NUM_THREADS": threads}
    done = run("demo", "--epochs", "1", "--out", str(tmp_path), env=environment)
    assert done.returncode == 2
    assert "TESSELLA_NUM_THREADS" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_interrupted_it_keeps_what_it_has(tmp_path):
    for seconds in (5, 15, 45):
        process = subprocess.Popen(
            [*COMMAND, "demo", "--epochs", "100000", "--json", "--out", str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        if out:  # else it came before the training, on a machine that has much to do
            break
    facts = json.loads(out)
    assert facts["interrupted"] is True
    assert len(facts["losses"]) == facts["epochs"]
    assert (tmp_path / "report.html").exists()


def test_digits_are_drawn_in_half_blocks():
    image = np.zeros((8, 8))
    image[0, 0] = 16
    rows = digit_rows(image)
    assert [row.plain for row in rows] == ["\u2580" * 8] * 4
    assert rows[0].spans[0].style == "#ffffff on #000000"
    assert [row.plain for row in digit_rows(image, colour=False)][:2] == ["\u2580       ", " " * 8]
    strip = digit_strip(image[None], [3], [5])
    assert "3 not 5" in strip[4].plain


def test_version():
    import tessella

    assert run("--version").stdout.strip() == f"tessella {tessella.__version__}"


def test_the_machine_is_described():
    facts = machine_facts()
    assert all(facts.values())


def test_the_bar_and_the_report_agree_on_the_speed():
    """One quantity: what the bar was told last is what the report shows."""
    digits = demo.load_digits(0)
    told = []
    history = demo.train(digits, 2, 0, lambda *figures: told.append(figures[-1]))
    assert told[-1] == history.images_per_second
    assert history.images_seen == 2 * len(digits.train_labels)
    assert 0 < history.stepping < history.seconds
    assert history.images_per_second == history.images_seen / history.stepping
    shown = f"{history.images_per_second:,.0f}"
    assert f"<b>{shown}</b><span>images per second of training steps" in page(history, digits)


def test_the_terminal_shows_the_speed_of_the_report(tmp_path):
    done = run(
        "demo", "--epochs", "1", "--out", str(tmp_path), env={**os.environ, "COLUMNS": "200"}
    )
    shown = re.search(r"s of training, ([\d,]+) images/s\.", done.stdout)[1]
    assert f"<b>{shown}</b><span>images per second" in (tmp_path / "report.html").read_text("utf8")


def test_python_m_tessella_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tessella", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == run("--version").stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "tessella", "demo", "--epochs", "0"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "--epochs: 0 was given" in wrong.stderr

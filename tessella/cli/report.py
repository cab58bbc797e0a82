"""The demo's report: one HTML page with everything inside, drawn as SVG."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tessella import files
from tessella.cli.demo import Digits, History, confusion, mistakes_first
from tessella.train.pages import frame
from tessella.train.pages.charts import Curve, chart, key
from tessella.train.pages.machine import machine_facts
from tessella.train.pages.tables import confusion_chart

Array = np.ndarray[Any, Any]
SHOWN = 24


def digit_image(image: Array) -> str:
    """An 8x8 image of 0 to 16."""
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1.02" height="1.02" fill="#fff" '
        f'fill-opacity="{image[y, x] / 16:.2f}"/>'
        for y in range(8)
        for x in range(8)
        if image[y, x]
    )
    return f'<svg viewBox="0 0 8 8" style="background:#0b0e14;border-radius:4px">{cells}</svg>'


def _samples(history: History, digits: Digits) -> str:
    assert history.predictions is not None
    parts = []
    for place in mistakes_first(history, digits.test_labels)[:SHOWN]:
        read = int(history.predictions[place].argmax())
        true = int(digits.test_labels[place])
        certainty = 100 * history.predictions[place, read]
        wrong = " wrong" if read != true else ""
        note = f"read <b>{read}</b>, is <b>{true}</b>" if wrong else f"read <b>{read}</b>"
        picture = digit_image(digits.test_images[place])
        parts.append(
            f'<div class="sample{wrong}">{picture}{note}<br>'
            f'<span class="soft">{certainty:.0f} % sure</span></div>'
        )
    return f'<div class="samples">{"".join(parts)}</div>'


def _curve(name: str, values: Sequence[float], colour: str = "--first") -> Curve:
    """One value for each epoch."""
    return Curve(name, range(1, len(values) + 1), values, colour)


def page(history: History, digits: Digits) -> str:
    """The whole report as HTML."""
    wrong = round((1 - history.accuracy) * len(digits.test_labels))
    figures = [
        (f"{100 * history.accuracy:.1f} %", "held-out accuracy"),
        (f"{wrong} of {len(digits.test_labels)}", "misread"),
        (f"{history.seconds:.1f} s", f"training, {len(history.losses)} epochs"),
        (f"{history.images_per_second:,.0f}", "images per second of training steps"),
    ]
    loss = [_curve("training loss per epoch", history.losses)]
    accuracy = [
        _curve("training (shifted images)", history.train_accuracies, "--second"),
        _curve("held out", history.test_accuracies),
    ]
    charts = frame.card("Loss", chart(loss, from_zero=True), key(loss)) + frame.card(
        "Accuracy", chart(accuracy, is_percent=True), key(accuracy)
    )
    facts = {
        **machine_facts(),
        "seed": str(history.seed),
        "command": " ".join(["tessella", *sys.argv[1:]]),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    note = (
        "<p><b>Interrupted:</b> what follows is as far as it got.</p>"
        if history.interrupted
        else ""
    )
    table = confusion_chart(confusion(history, digits.test_labels))
    body = f"""<h1>Tessella reads handwriting</h1>
<p class="soft">A convolutional network trained on {len(digits.train_labels):,} of 1,797 handwritten
digits (8 by 8 pixels), tested on the {len(digits.test_labels)} it never saw.</p>{note}
{frame.figures(figures)}<div class="charts">{charts}</div>
<h2>What it reads, mistakes first</h2>{_samples(history, digits)}
<h2>Confusion</h2><p class="soft">Row: what is written. Column: what was read.</p>
<div class="chart" style="max-width:460px">{table}</div>
<h2>How it was made</h2>{frame.facts_table(facts)}
<p class="soft">Digits: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI
Machine Learning Repository, CC BY 4.0.</p>"""
    return frame.page("Tessella reads handwriting", body)


def write(history: History, digits: Digits, folder: Path) -> Path:
    """Write the report; gives its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = folder / "report.html"
    files.write(path, page(history, digits))
    return path

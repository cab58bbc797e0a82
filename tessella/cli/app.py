"""The commands and their options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import tessella
from tessella import files
from tessella.cli.guard import BAD_INPUT, FAILED, INTERRUPTED, complain

app = typer.Typer(
    name="tessella",
    help="A deep-learning system from the chain rule down to the machine code.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
MOST_CALLS = 1_000_000  # each leaves its events


def _version(value: bool) -> None:
    if value:
        print(f"tessella {tessella.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A deep-learning system from the chain rule down to the machine code."""


def _fail(message: str) -> Any:
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[red]error:[/red] {escape(message)}"
    )
    raise typer.Exit(BAD_INPUT)


def _prepared(out: Path) -> Path:
    """The folder for the report, made and tried before any time is spent."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".tessella-probe"
        files.write(probe, "")
        probe.unlink()
    except OSError as error:
        _fail(
            f"--out: {out} cannot be written to ({error.strerror or error}); name a folder of your "
            "own, for example --out /tmp/demo"
        )
    return out


@app.command()
def demo(
    epochs: Annotated[int, typer.Option(help="How often to go through the digits.")] = 25,
    seed: Annotated[int, typer.Option(help="Decides the split, the start and the order.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report.html.")] = Path("tessella-demo"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Train a convolutional network to read 1,797 handwritten digits."""
    if epochs < 1:
        _fail(f"--epochs: {epochs} was given; expected a whole number of at least 1")
    if seed < 0:
        _fail(f"--seed: {seed} was given; expected a whole number of at least 0")
    folder = _prepared(out)
    from tessella.cli import demo as work
    from tessella.cli import report

    digits = work.load_digits(seed)
    if as_json:
        history = work.train(digits, epochs, seed, lambda *_: None)
    else:
        history = _train_with_bar(digits, epochs, seed)
        _show(history, digits)
    written: str | None = None
    try:
        written = str(report.write(history, digits, folder))
    except OSError as error:
        complain(f"the report could not be written: {error}")
    if as_json:
        sys.stdout.write(json.dumps(_summary(history, digits, written)) + "\n")
    elif written is not None:
        _say(f"\nThe report is in [bold]{escape(written)}[/bold]")
    if history.interrupted:
        raise typer.Exit(INTERRUPTED)
    if written is None:
        raise typer.Exit(FAILED)


Shapes = Annotated[
    list[str] | None,
    typer.Option(help="One for each argument: 8,128 or int64:8,128 (normal numbers, or zeros)."),
]


def _written(option: str, what: str, path: Path, write: Callable[[Path], Any]) -> None:
    """Write what was asked for besides, and say so."""
    try:
        write(path)
    except OSError as error:
        _fail(f"{option}: {path} cannot be written ({error.strerror or error})")
    _say(f"\n{what} is in [bold]{escape(str(path))}[/bold]")


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text)


@app.command()
def explain(
    target: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", help="What to compile.")],
    shape: Shapes = None,
    html: Annotated[Path | None, typer.Option(help="Write a page, too.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Show the program instead: graph, loops, llvm or asm.")
    ] = None,
) -> None:
    """Compile a function and show what its kernels do, how long they take, and what limits them."""
    from tessella.cli import explain as work

    try:
        function = work.load(target)
        arguments = work.arguments_for(function, shape or [])
        if source is not None:
            print(function.source(source, *arguments))
            return
        found = function.explain(*arguments)
    except tessella.TessellaError as error:
        _fail(f"explain: {error}")
    print(found)  # `typer.echo` would write UTF-8 to a terminal that says ASCII
    if html is not None:
        _written("--html", "The page", html, found.to_html)


@app.command()
def profile(
    target: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", help="What to run.")],
    shape: Shapes = None,
    calls: Annotated[int, typer.Option(help="How often to call it.")] = 10,
    first: Annotated[
        bool, typer.Option("--first", help="Record the first call too, with its compilation.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write a trace, too, for ui.perfetto.dev.")
    ] = None,
) -> None:
    """Compile a function, call it, and show when each of its kernels ran, inside the real calls."""
    from tessella.cli import explain as work

    if not 1 <= calls <= MOST_CALLS:
        _fail(f"--calls: {calls} was given; expected a whole number from 1 to {MOST_CALLS:,}")
    try:
        function = work.load(target)
        arguments = work.arguments_for(function, shape or [])
        if not first:
            function(*arguments)
        with tessella.profile() as found:
            for _ in range(calls):
                function(*arguments)
    except tessella.TessellaError as error:
        _fail(f"profile: {error}")
    print(found)
    if out is not None:
        _written("--out", "The trace", out, found.to_chrome)


course = typer.Typer(
    help="Run the course's training scripts: real networks, module by module.", no_args_is_help=True
)
app.add_typer(course, name="course")
train = typer.Typer(help="Train a network on data of your own.", no_args_is_help=True)
app.add_typer(train, name="train")
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _script(group: typer.Typer, place: str, name: str, help: str) -> None:
    """A command that passes everything on to its script (a file of `examples`), `--help` too."""

    def command(context: typer.Context) -> None:
        from tessella.cli import scripts

        try:
            scripts.run(place, f"tessella {place.split('/')[0]} {name}", context.args)
        except tessella.TessellaError as error:
            _fail(f"{name}: {error}")

    group.command(name, help=help, context_settings=_PASSED_ON)(command)


for _name, _place, _help in (
    ("manual", "run_manual", "Module 0: classify points with parameters that you choose."),
    ("scalar", "run_scalar", "Module 1: train a network of scalars."),
    ("tensor", "run_tensor", "Module 2: train a network of tensors."),
    ("fast", "run_fast_tensor", "Module 3: train it in batches, on compiled kernels."),
    ("parallel", "parallel_check", "Module 3: see the loops of each operation, and what runs in parallel."),
    ("mnist", "run_mnist_multiclass", "Module 4: train a convolutional network to read digits."),
    ("sentiment", "run_sentiment", "Module 4: train a convolutional network to tell good reviews from bad ones."),
):  # fmt: skip
    _script(course, f"course/{_place}", _name, _help)
for _name, _help in (
    ("handwriting", "A convolutional network reads handwritten digits (MNIST's files)."),
    (
        "sentiment",
        "A convolutional network tells good reviews from bad ones (a folder with .pos and .neg).",
    ),
    ("gpt", "A character GPT continues a text (any text file)."),
    ("resnet", "ResNet-18 tells images apart (a folder of images for each class)."),
    ("tabular", "A network predicts a column of a table (a CSV file)."),
    ("vae", "A variational autoencoder makes new digits (MNIST's files)."),
):
    _script(train, f"train/{_name}", _name, _help)


def _summary(history: Any, digits: Any, written: str | None) -> dict[str, Any]:
    from tessella.train.pages.machine import machine_facts

    return {
        "accuracy": history.accuracy,
        "epochs": len(history.losses),
        "seconds": round(history.seconds, 3),
        "images_per_second": round(history.images_per_second, 1),
        "seed": history.seed,
        "losses": history.losses,
        "train_accuracies": history.train_accuracies,
        "test_accuracies": history.test_accuracies,
        "held_out": len(digits.test_labels),
        "interrupted": history.interrupted,
        "report": written,
        "machine": machine_facts(),
    }


def _train_with_bar(digits: Any, epochs: int, seed: int) -> Any:
    from tessella.cli import demo as work
    from tessella.cli.drawing import training_bar

    steps = -(-len(digits.train_labels) // work.BATCH)
    console = Console(highlight=False)
    console.print(
        f"Training on {len(digits.train_labels):,} digits, {len(digits.test_labels)} held out "
        "(Ctrl-C ends it with what it has)"
    )
    with training_bar(epochs, console) as bars:
        task = bars.add_task("compiling the training step", total=epochs * steps, epoch=1)

        def progress(epoch: int, step: int, loss: float, accuracy: float, speed: float) -> None:
            figures = f"loss {loss:.3f}  accuracy {accuracy:6.1%}  {speed:>6,.0f} images/s"
            done = epoch * steps + step + 1
            bars.update(task, completed=done, epoch=epoch + 1, description=figures)

        return work.train(digits, epochs, seed, progress)


def _show(history: Any, digits: Any) -> None:
    """The result, and some digits drawn: mistakes first."""
    from tessella.cli import demo as work
    from tessella.cli.drawing import digit_strip, has_greys

    console = Console(highlight=False)
    wrong = round((1 - history.accuracy) * len(digits.test_labels))
    if history.interrupted:
        console.print(f"[yellow]Interrupted[/yellow] after {len(history.losses)} epochs.")
    console.print(
        f"Held-out accuracy [bold green]{history.accuracy:.1%}[/bold green]: {wrong} of "
        f"{len(digits.test_labels)} misread, {history.seconds:.1f} s of training, "
        f"{history.images_per_second:,.0f} images/s.\n"
    )
    per_row = max(1, min(8, (console.width - 2) // 10))
    order = work.mistakes_first(history, digits.test_labels)[: 2 * per_row]
    predictions = history.predictions.argmax(axis=1)
    for first in range(0, len(order), per_row):
        row = order[first : first + per_row]
        strip = digit_strip(
            digits.test_images[row], predictions[row], digits.test_labels[row],
            colour=has_greys(console),
        )  # fmt: skip
        for line in strip:
            console.print(line)
        console.print()

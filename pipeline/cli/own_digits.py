"""Commands that read digits people made themselves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from pipeline import stages
from pipeline.cli.console import console, stderr
from pipeline.errors import PipelineError, printable

if TYPE_CHECKING:
    from pipeline.handwriting.batch import Outcome

_FEW = 20
"""So many pictures are all listed, and so many reasons why one cannot be read."""


def predict(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE…",
            help="Pictures, folders of them, CSVs in Kaggle's form, or - for one picture from "
            "standard input. Folders named 0 to 9, or an index.csv with the columns path and "
            "label, give the true digits.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show the 28×28 that the networks saw.")
    ] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw them into this PNG file.")
    ] = None,
) -> None:
    """Read digits that people drew, photographed or scanned.

    All networks of the last `dvc repro` are asked, and their probabilities averaged. Exit status: 0
    when everything could be read, also where no digit was found; 1 when something could not; 2
    for a mistyped command.
    """
    from pipeline.handwriting import batch
    from pipeline.handwriting.reader import Reader

    if as_json + as_csv + show > 1:
        raise typer.BadParameter("only one of --json, --csv and --show can be printed.")
    if png is not None and png.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, found {png}")
    if png is not None and not png.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {png.parent} to draw {png.name} in")
    reader = Reader.load(stages.EXPORTED, stages.MODELS)
    items = batch.gather(pictures, sys.stdin.buffer.read)
    if reader.ensemble.sample:
        stderr.print("These networks saw only the embedded sample: expect many errors.")
    with _progress(len(items)) as advance:
        outcomes = batch.read_all(items, reader, advance=advance)
    if as_json:
        print(batch.to_json(outcomes))
    elif as_csv:
        print(batch.to_csv(outcomes), end="")
    else:
        _show_outcomes(outcomes, show=show)
    if png is not None:
        batch.draw_seen(png, outcomes)
        stderr.print(f"{png}: drawn", highlight=False)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if len(failed) > 1:
        listed = "".join(f"\n  {reason}" for reason in failed[:_FEW])
        more = len(failed) - _FEW
        others = f"\n  … and {more:,} more (--csv lists all)" if more > 0 else ""
        raise PipelineError(f"{len(failed):,} could not be read:{listed}{others}")
    if failed:
        raise PipelineError(failed[0])


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """A bar on standard error, where that is a terminal and the wait is worth one."""
    if total < 50 or not stderr.is_terminal:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=stderr, transient=True) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda: progress.advance(task)


def _show_outcomes(outcomes: list[Outcome], *, show: bool) -> None:
    """A table of readings; of labelled ones the errors, the accuracy and the confusions."""
    labelled = [outcome for outcome in outcomes if outcome.item.label is not None]
    few = len(outcomes) <= _FEW
    listed = [
        outcome for outcome in outcomes if few or outcome.item.label is None or not outcome.right
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("picture", overflow="fold", min_width=12)
    if labelled:
        table.add_column("true", justify="right")
    table.add_column("digit", justify="right", style="bold", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("runner-up", justify="right", style="dim", no_wrap=True)
    table.add_column("remark")
    for outcome in listed:
        label = outcome.item.label
        true = [] if not labelled else ["–" if label is None else str(label)]
        table.add_row(Text(printable(outcome.item.name)), *true, *_describe_outcome(outcome))
    if listed:
        console.print(table)
    if len(listed) < len(outcomes):
        unlisted = len(outcomes) - len(listed)
        console.print(f"{unlisted:,} that were read right are not listed (--csv lists all)")
    if show:
        for outcome in listed:
            _show_seen(outcome)
    if labelled:
        _show_accuracy([outcome for outcome in labelled if outcome.reading])


def _describe_outcome(outcome: Outcome) -> tuple[Text, str, str, Text]:
    """Digit, probability, runner-up and remark."""
    reading = outcome.reading
    if reading is None:
        return Text("–", "red"), "", "", Text("unreadable", "red")
    if reading.problem:
        return Text("–", "yellow"), "", "", Text(reading.problem, "yellow")
    wrong = outcome.item.label is not None and not outcome.right
    remark = Text("wrong", "red") if wrong else Text("")
    if not reading.sure:
        remark = Text.assemble(remark, " " if wrong else "", ("not sure", "yellow"))
    style = "red" if wrong else "green" if reading.sure else "yellow"
    return (
        Text(str(reading.digit), style),
        f"{reading.probability:.1%}",
        f"{reading.runner_up}  {reading.runner_up_probability:5.1%}",
        remark,
    )


def _show_seen(outcome: Outcome) -> None:
    """Draw what the networks saw, two rows of pixels per line of text."""
    from pipeline.handwriting import batch

    if outcome.reading is None:
        return
    console.print(Text(printable(outcome.item.name)), style="bold")
    if console.color_system is None:
        for shades in batch.to_shades(outcome.reading.image):
            console.print(f"  |{shades}|", highlight=False, markup=False)
        return
    for pairs in batch.to_blocks(outcome.reading.image):
        line = Text("  ")
        for upper, lower in pairs:
            line.append("▀", f"rgb({upper},{upper},{upper}) on rgb({lower},{lower},{lower})")
        console.print(line)


def _show_accuracy(labelled: list[Outcome]) -> None:
    """The share of labelled pictures that were read right, and the confusions."""
    from pipeline.evaluation.metrics import wilson_interval
    from pipeline.handwriting import batch

    if not labelled:
        return
    right = sum(outcome.right for outcome in labelled)
    low, high = wilson_interval(right, len(labelled))
    console.print(
        f"{right:,} of {len(labelled):,} read right: {right / len(labelled):.2%} "
        f"(95 % interval {low:.2%} – {high:.2%})",
        style="bold",
        highlight=False,
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="true digit down, read across")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("", justify="right", style="bold")
    for name in [*"0123456789", "none"]:
        table.add_column(name, justify="right")
    for true, counts in enumerate(batch.count_confusions(labelled)):
        cells = [
            Text("·", "dim") if not count else Text(str(count), "green" if read == true else "red")
            for read, count in enumerate(counts)
        ]
        table.add_row(str(true), *cells)
    console.print(table)


def draw(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page to draw digits on, for this machine alone."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise PipelineError(
            "The page needs packages that are not installed: expected starlette and uvicorn. "
            "Install them with: pip install starlette uvicorn"
        )
    import webbrowser

    from pipeline.handwriting import drawing
    from pipeline.handwriting.reader import Reader

    reader = Reader.load(stages.EXPORTED, stages.MODELS)

    def say(address: str) -> None:
        console.print(f"{address} is open to this machine; Ctrl-C ends it", highlight=False)
        if browser:
            webbrowser.open(address)

    drawing.serve(reader, port, say)

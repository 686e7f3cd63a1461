"""Commands that read digits people made themselves."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pipeline import stages
from pipeline.cli.browser import open_page
from pipeline.cli.console import console, print_json, print_line, print_table, stderr
from pipeline.errors import ArtifactError, PipelineError

if TYPE_CHECKING:
    from pipeline.data.dataset import Images
    from pipeline.handwriting.batch import Outcome
    from pipeline.handwriting.items import Item
    from pipeline.handwriting.reader import Reader

_FEW = 20
"""So many are listed where there are too many to list all."""

_MANY = 200
"""More readings than this are summarized."""


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

    The probabilities of all networks of the last `dvc repro` are averaged. Exit status: 0 when
    everything could be read, also where no digit was found; 1 when something could not; 2 for a
    mistyped command.
    """
    from pipeline.handwriting import batch, output
    from pipeline.handwriting.items import gather

    if as_json + as_csv + show > 1:
        raise typer.BadParameter("only one of --json, --csv and --show can be printed.")
    if png is not None and png.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, found {png}")
    if png is not None and not png.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {png.parent} to draw {png.name} in")
    reader = _load_reader()
    items, ignored = gather(pictures, sys.stdin.buffer.read)
    _print_notes(items, ignored, reader.ensemble.names)
    with _progress(len(items)) as advance:
        outcomes = batch.read_all(items, reader, advance=advance)
    if as_json:
        print_json([outcome.describe() for outcome in outcomes])
    elif as_csv:
        sys.stdout.buffer.write(output.to_csv(outcomes).encode())
    else:
        _print_outcomes(outcomes, show=show)
    if png is not None:
        num_drawn, num_read = output.draw_seen(png, outcomes)
        which = f", the first {num_drawn:,} of {num_read:,}" if num_drawn < num_read else ""
        print_line(f"{png}: drawn{which}", to=stderr)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if len(failed) > 1:
        listed = "".join(f"\n  {reason}" for reason in failed[:_FEW])
        more = len(failed) - _FEW
        others = f"\n  … and {more:,} more (--csv lists all)" if more > 0 else ""
        raise PipelineError(f"{len(failed):,} could not be read:{listed}{others}")
    if failed:
        raise PipelineError(failed[0])


def _load_reader() -> Reader:
    from pipeline.handwriting.reader import SAMPLE_WARNING, Reader

    reader = Reader.load(stages.EXPORTED, stages.MODELS)
    if reader.ensemble.sample:
        print_line(SAMPLE_WARNING, to=stderr)
    return reader


def _print_notes(items: Sequence[Item], ignored: Sequence[Path], names: Sequence[str]) -> None:
    """Tell what is not read, and what readings of tables by members of these names are worth."""
    from pipeline.handwriting import batch
    from pipeline.handwriting.find_digit import Glyph
    from pipeline.handwriting.pictures import display_name

    if ignored:
        example = display_name(ignored[0])
        print_line(f"Not read: {len(ignored):,} file(s) of other kinds ({example})", to=stderr)
    rows = [item for item in items if isinstance(item.source, Glyph)]
    labelled = [item for item in rows if item.label is not None]
    if len(labelled) < len(rows):
        print_line(
            "The digits can differ from those in submission.csv: here each image is also read "
            "turned to either side, and no nearest neighbours are used.",
            to=stderr,
        )
    images = _load_images_trained_on(names) if labelled else None
    seen = 0 if images is None else batch.count_trained_on(labelled, images)
    if seen:
        print_line(
            f"The networks trained on {seen:,} of these {len(labelled):,} labelled images, so the "
            f"accuracy is too high. {stages.REPORT} has the accuracy on held-out images.",
            to=stderr,
        )


def _load_images_trained_on(names: Sequence[str]) -> Images | None:
    """The training images that a member of these names trained on; None if there are no images."""
    from pipeline.data import dataset

    try:
        data = dataset.load_training(stages.TRAIN)
    except ArtifactError:
        return None
    fold, *others = {name.partition("-")[0] for name in names}  # as in FOLD-SEED-NETWORK
    return data.images[data.folds != int(fold)] if fold.isdecimal() and not others else data.images


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


def _print_outcomes(outcomes: Sequence[Outcome], *, show: bool) -> None:
    """A table of readings; of many a summary, and of labelled ones the errors and the accuracy."""
    labelled = [outcome for outcome in outcomes if outcome.item.label is not None]
    listed = [
        outcome
        for outcome in outcomes
        if len(outcomes) <= _FEW or outcome.item.label is None or not outcome.correct
    ]
    num_correct = len(outcomes) - len(listed)
    if len(listed) > _MANY:
        _print_counts(outcomes)
        listed = _least_sure(listed)
    if listed:
        rows = [_describe_outcome(outcome, labelled=bool(labelled)) for outcome in listed]
        print_table(rows, text={"picture"})
    if num_left := len(outcomes) - num_correct - len(listed):
        print_line(f"{num_left:,} that are more sure are not listed (--csv lists all)")
    if num_correct:
        print_line(f"{num_correct:,} correct ones are not listed (--csv lists all)")
    if show:
        for outcome in listed:
            _show_seen(outcome)
    if labelled:
        _print_accuracy([outcome for outcome in labelled if outcome.reading])


def _least_sure(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """A few readings, the least probable first."""
    read = [outcome for outcome in outcomes if outcome.reading and not outcome.reading.problem]
    return sorted(read, key=lambda outcome: outcome.reading.probability if outcome.reading else 0)[
        :_FEW
    ]


def _print_counts(outcomes: Sequence[Outcome]) -> None:
    """How often each digit was read, and how often not for sure."""
    counts: Counter[str] = Counter()
    not_sure: Counter[str] = Counter()
    for outcome in outcomes:
        digit = outcome.reading.digit if outcome.reading else None
        name = "unreadable" if outcome.reading is None else "none" if digit is None else str(digit)
        counts[name] += 1
        not_sure[name] += digit is not None and not (outcome.reading and outcome.reading.sure)
    rows = [
        {"digit": name, "read": f"{counts[name]:,}", "not sure": f"{not_sure[name]:,}"}
        for name in [*"0123456789", "none", "unreadable"]
        if counts[name] or name.isdecimal()
    ]
    print_table(rows)
    print_line("")


def _describe_outcome(outcome: Outcome, *, labelled: bool) -> dict[str, str | Text]:
    """The row of a table; the column of true digits only where some are known."""
    reading, label = outcome.reading, outcome.item.label
    row: dict[str, str | Text] = {"picture": outcome.item.name}
    if labelled:
        row["true"] = "–" if label is None else str(label)
    if reading is None or reading.problem:
        style = "red" if reading is None else "yellow"
        remark = "unreadable" if reading is None else str(reading.problem)
        row |= {"digit": Text("–", style), "probability": "", "runner-up": ""}
        return row | {"remark": Text(remark, style)}
    is_error = label is not None and not outcome.correct
    remarks = [Text("misclassified", "red")] * is_error
    remarks += [Text("not sure", "yellow")] * (not reading.sure)
    style = "red" if is_error else "green" if reading.sure else "yellow"
    return row | {
        "digit": Text(str(reading.digit), style),
        "probability": f"{reading.probability:.1%}",
        "runner-up": f"{reading.runner_up}  {reading.runner_up_probability:5.1%}",
        "remark": Text(", ").join(remarks),
    }


def _show_seen(outcome: Outcome) -> None:
    """Draw what the networks saw, two rows of pixels per line of text."""
    from pipeline.handwriting import output

    if outcome.reading is None:
        return
    print_line(outcome.item.name, "bold")
    if console.color_system is None:
        for shades in output.to_shades(outcome.reading.image):
            print_line(f"  |{shades}|")
        return
    for pairs in output.to_blocks(outcome.reading.image):
        line = Text("  ")
        for upper, lower in pairs:
            line.append("▀", f"rgb({upper},{upper},{upper}) on rgb({lower},{lower},{lower})")
        print_line(line)


def _print_accuracy(labelled: Sequence[Outcome]) -> None:
    """The accuracy on labelled pictures, and the confusions."""
    from pipeline.evaluation.metrics import wilson_interval
    from pipeline.handwriting import batch

    if not labelled:
        return
    correct = sum(outcome.correct for outcome in labelled)
    low, high = wilson_interval(correct, len(labelled))
    print_line(
        f"Accuracy {correct / len(labelled):.2%}: {correct:,} of {len(labelled):,} "
        f"(95% interval {low:.2%} – {high:.2%})",
        "bold",
    )
    rows = []
    for true, counts in enumerate(batch.count_confusions(labelled)):
        row: dict[str, str | Text] = {"true": str(true)}
        for read, count in zip([*"0123456789", "none"], counts, strict=True):
            style = "dim" if not count else "green" if read == str(true) else "red"
            row[read] = Text(str(count) if count else ".", style)
        rows.append(row)
    print_line("")
    print_table(rows, "Confusions: true digit down, read across")


def draw(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page to draw digits on, for this machine alone."""
    from pipeline.handwriting import drawing

    def announce(address: str) -> None:
        print_line(f"Serving on {address} (Ctrl-C to stop)")
        if browser:  # in a thread: some browsers return only when they are closed
            Thread(target=open_page, args=(address,), daemon=True).start()

    drawing.serve(_load_reader(), port, announce)

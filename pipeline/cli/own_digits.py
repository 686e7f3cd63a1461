"""Commands that read digits people made themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import stages
from pipeline.cli.browser import open_page
from pipeline.cli.console import print_json, print_line, stderr
from pipeline.cli.readings import print_outcomes
from pipeline.errors import ArtifactError, PipelineError, printable
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.data.dataset import Images
    from pipeline.handwriting.items import Item
    from pipeline.handwriting.reader import Reader

_FEW = 20
"""So many are listed where there are too many to list all."""


def predict(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE",
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
    from pipeline.handwriting.pictures import MAX_BYTES

    if as_json + as_csv + show > 1:
        raise typer.BadParameter("only one of --json, --csv and --show can be printed.")
    if png is not None and png.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, found {png}")
    if png is not None and not png.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {png.parent} to draw {png.name} in")
    reader = _load_reader()
    items, ignored = gather(pictures, lambda: sys.stdin.buffer.read(MAX_BYTES + 1))
    if png is not None and any(_is_same(png, item.source) for item in items):
        raise typer.BadParameter(f"{png} is one of the pictures to read: give --png another name.")
    _print_notes(items, ignored, reader.ensemble.names)
    with _progress(len(items)) as advance:
        outcomes = batch.read_all(items, reader, advance=advance)
    if as_json:
        print_json([outcome.describe() for outcome in outcomes])
    elif as_csv:
        sys.stdout.buffer.write(output.to_csv(outcomes).encode(errors="backslashreplace"))
    else:
        print_outcomes(outcomes, show=show)
    if png is not None:
        num_drawn, num_read = output.draw_seen(png, outcomes)
        which = f", the first {num_drawn:,} of {num_read:,}" if num_drawn < num_read else ""
        print_line(f"{png}: drawn{which}", to=stderr)
    failed = [printable(outcome.error) for outcome in outcomes if outcome.error]
    if len(failed) > 1:
        listed = "".join(f"\n  {reason}" for reason in failed[:_FEW])
        more = len(failed) - _FEW
        others = f"\n  … and {more:,} more (--csv lists all)" if more > 0 else ""
        raise PipelineError(f"{len(failed):,} could not be read:{listed}{others}")
    if failed:
        raise PipelineError(failed[0])


def _is_same(path: Path, source: object) -> bool:
    """Whether a path leads to the file that is read, by whatever name."""
    return isinstance(source, Path) and path.exists() and source.exists() and path.samefile(source)


def _load_reader() -> Reader:
    from pipeline.handwriting.reader import SAMPLE_WARNING, Reader

    if not stages.EXPORTED.exists():
        from pipeline.runs.repository import check_project

        check_project()
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
        files = counted(len(ignored), "file")
        print_line(
            f"Not read: {files}, no pictures or not in the folder's table ({example})", to=stderr
        )
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


def draw(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port on this machine; 0 takes a free one."
        ),
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

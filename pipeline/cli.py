"""The command ``digits``: look at results, read digits, check, send and follow submissions.

Each command imports what it needs when it is called, so that none waits for another's libraries.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline import stages
from pipeline.errors import ArtifactError, KaggleError, PipelineError, exit_status, printable

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.predicting import Outcome
    from pipeline.submission_log import Entry
    from pipeline.submitting import Places

app = typer.Typer(
    help="Look at the results of the pipeline; check, send and follow submissions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_console = Console()
_errors = Console(stderr=True)


def _places() -> Places:
    from pipeline.submitting import Places

    return Places(
        provenance=stages.RAW / "provenance.json",
        evaluation=stages.EVALUATION,
        log=stages.SUBMISSION.with_name("log.csv"),
    )


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A submission CSV.")] = stages.SUBMISSION,
) -> None:
    """Check that a CSV is one that the competition accepts."""
    from pipeline import submission

    predicted = submission.check(file)
    _console.print(f"{file}: {len(predicted):,} rows, ready to be submitted", highlight=False)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="A submission CSV.")] = stages.SUBMISSION,
    message: Annotated[
        str, typer.Option("--message", "-m", help="What to remember about it.")
    ] = "",
) -> None:
    """Check a CSV, send it to Kaggle once, wait for its score and log it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from pipeline import submission_log, submitting
    from pipeline.sources.kaggle_client import USUAL_PATIENCE, Client

    places = _places()
    record = submitting.check(file, places.provenance)
    client = Client()
    entry = submitting.submit(file, record, " ".join(message.split()), places, client)
    left = f"; {entry.submissions_left} left today" if entry.submissions_left else ""
    _console.print(f"{file}: submitted as number {entry.reference}{left}", highlight=False)
    columns = TextColumn("waiting for the score"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=_console, transient=True) as progress:
        progress.add_task("", total=None)
        entry = submitting.wait_for_score(entry, places, client, USUAL_PATIENCE)
    if entry.status == submission_log.PENDING:
        _console.print("Kaggle has not scored it yet. Look later with: digits scores")
    else:
        _console.print(
            f"public score {entry.public_score}, out-of-fold accuracy "
            f"{entry.out_of_fold_accuracy or 'not known for these members'}",
            highlight=False,
        )


@app.command()
def scores() -> None:
    """Show all uploads with their scores, brought up to date from Kaggle."""
    from pipeline import submission_log, submitting
    from pipeline.sources.kaggle_client import Client

    places = _places()
    try:
        entries = submitting.refresh(places, Client())
    except KaggleError:
        _show_uploads(submission_log.read(places.log))
        raise
    _show_uploads(entries)


def _show_uploads(entries: list[Entry]) -> None:
    rows = [
        {
            "UTC": entry.time.replace("T", " ")[:16],
            "status": entry.status,
            "public": entry.public_score,
            "out of fold": entry.out_of_fold_accuracy,
            "file": entry.sha256[:8],
            "message": entry.message,
        }
        for entry in entries
    ]
    if rows:
        _print_table(rows, f"{len(rows)} uploads; all that is known: {_places().log}")
    else:
        _console.print("nothing was uploaded yet")


@app.command()
def errors(
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REV", help="Show what became right and wrong since this commit or experiment."
        ),
    ] = None,
) -> None:
    """Show the errors per digit on held-back images."""
    from pipeline import metrics
    from pipeline.files import missing, read_json

    path = stages.EVALUATION / "out_of_fold.npz"
    if not path.exists():
        raise missing(path)
    if against is not None:
        _show_changes(path, against)
        return
    current = _read_predictions(path)
    confusions = metrics.count_confusions(
        current["predicted"].to_numpy(), current["true"].to_numpy()
    )
    rows = metrics.describe_digits(metrics.tabulate_digits(confusions))
    summary = read_json(stages.EVALUATION / "metrics.json")
    interval = f"{summary['accuracy_low']:.2%} – {summary['accuracy_high']:.2%}"
    title = (
        f"{summary['errors']:,} of {summary['n']:,} held-back images misread: accuracy "
        f"{summary['accuracy']:.2%}, 95 % interval {interval}"
    )
    _print_table(rows, title)


@app.command()
def profile(
    name: Annotated[
        str | None, typer.Argument(help="Which one to write into params.yaml; none: list them.")
    ] = None,
) -> None:
    """Switch params.yaml to a set of settings that belong together."""
    from pipeline import profiles

    if name is None:
        for known in profiles.names():
            _console.print(f"{known:8} {profiles.read(known)['about']}", highlight=False)
        return
    changes = profiles.apply(name)
    for line in changes:
        style = "red" if line.startswith("-") else "green"
        _console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    _console.print(
        f"params.yaml holds profile {name} now; run it with: dvc repro"
        if changes
        else f"params.yaml held profile {name} already",
        highlight=False,
    )


def _show_changes(path: Path, revision: str) -> None:
    """Compare the out-of-fold predictions with those of another revision, image by image."""
    from pipeline.digits import NUM_CLASSES

    now, before = _read_predictions(path), _read_predictions(path, revision)
    both = now.merge(before.drop(columns="true"), on=["row", "data"], suffixes=("", "_before"))
    if both.empty:
        raise ArtifactError(
            f"Nothing can be compared with {revision}: no image was held back both then and now. "
            "Compare runs that share data, seed and folds (and not one on the sample)."
        )
    right, right_before = (
        both["predicted"] == both["true"],
        both["predicted_before"] == both["true"],
    )
    mended, broken = both[right & ~right_before], both[~right & right_before]
    rows = [
        {
            "digit": str(digit),
            "became right": str((mended["true"] == digit).sum()),
            "became wrong": str((broken["true"] == digit).sum()),
            "wrong before": str((~right_before & (both["true"] == digit)).sum()),
            "wrong now": str((~right & (both["true"] == digit)).sum()),
        }
        for digit in range(NUM_CLASSES)
    ]
    title = f"{len(mended)} became right and {len(broken)} wrong since {revision}, of {len(both):,}"
    _print_table(rows, title)
    for name, changed in (("became right", mended), ("became wrong", broken)):
        listed = ", ".join(
            f"{image.row} ({image.true}: {image.predicted_before} → {image.predicted})"
            for image in changed.itertuples()
        )
        _console.print(
            f"{name}, as row of train.csv (true: then → now): {listed or 'none'}", highlight=False
        )


def _read_predictions(path: Path, revision: str | None = None) -> pd.DataFrame:
    """Columns data, row, true and predicted, from the workspace or as DVC kept a revision's."""
    import numpy as np
    import pandas as pd

    from pipeline.files import tells_of_damage

    if revision is None:
        content = path.read_bytes()
    else:
        import dvc.api
        from dvc.exceptions import DvcException
        from scmrepo.exceptions import SCMError

        try:
            content = dvc.api.read(str(path), rev=revision, mode="rb")
        except (DvcException, SCMError, FileNotFoundError) as error:
            reason = str(error).rstrip(".")
            raise ArtifactError(
                f"The predictions of {revision} are not at hand: {reason}. Expected a commit whose "
                "dvc.lock was committed after dvc repro, or the name of an experiment (dvc exp "
                "show), with its results still in DVC's cache."
            ) from None
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            return pd.DataFrame(
                {
                    "data": str(arrays["train_sha256"]),
                    "row": arrays["rows"],
                    "true": arrays["labels"],
                    "predicted": arrays["probabilities"].argmax(axis=1),
                }
            )
    except Exception as error:
        if not tells_of_damage(error):
            raise
        raise ArtifactError(
            f"{path} is damaged: {error}. Bring it back with: dvc checkout --force {path}"
        ) from None


@app.command()
def architectures(
    name: Annotated[str | None, typer.Argument(help="Show the layers of this one.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the layers of NAME into this PNG file.")
    ] = None,
) -> None:
    """List the architectures that can be trained, or show the layers of one."""
    from pipeline import plots  # these take seconds to import
    from pipeline.architectures import ARCHITECTURES, build
    from pipeline.layers import describe_layers, tabulate_layers

    if name is None:
        if picture is not None:
            raise typer.BadParameter("only one architecture can be drawn: name it.")
        rows = [
            {
                "architecture": known,
                "parameters": f"{build(known).count_params():,}",
                "what it is": (builder.__doc__ or "").partition(";")[0].replace("`", ""),
            }
            for known, builder in ARCHITECTURES.items()
        ]
        _print_table(rows, "for ensemble.architectures in params.yaml", justify="left")
        return
    layers = tabulate_layers(build(name))
    title = f"{name}: {layers['parameters'].sum():,} parameters"
    _print_table(describe_layers(layers), title, justify="left")
    if picture is not None:
        plots.architecture(picture, layers, name)
        _console.print(f"{picture}: drawn", highlight=False)


@app.command()
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

    All networks that params.yaml lists are asked, and their probabilities averaged. Exit status: 0
    when every picture could be opened, also where no digit was found; 1 when one could not; 2 for
    a mistyped command.
    """
    from pipeline import predicting
    from pipeline.reader import Reader

    if as_json and as_csv:
        raise typer.BadParameter("only one of --json and --csv can be printed.")
    reader = Reader.load(stages.EXPORTED, stages.MODELS)
    items = predicting.gather(pictures, sys.stdin.buffer.read)
    if reader.sample:
        _errors.print("These networks saw only the embedded sample: expect many errors.")
    with _progress(len(items)) as advance:
        outcomes = predicting.read_all(items, reader, advance=advance)
    if as_json:
        print(predicting.to_json(outcomes))
    elif as_csv:
        print(predicting.to_csv(outcomes), end="")
    else:
        _show_outcomes(outcomes, show=show)
    if png is not None:
        predicting.draw_seen(png, outcomes)
        _errors.print(f"{png}: drawn", highlight=False)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        others = f" {len(failed) - 1} more could not be opened." if len(failed) > 1 else ""
        raise PipelineError(f"{failed[0]}{others}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """A bar on standard error, where that is a terminal and the wait is worth one."""
    if total < 50 or not _errors.is_terminal:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=_errors, transient=True) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda: progress.advance(task)


def _show_outcomes(outcomes: list[Outcome], *, show: bool) -> None:
    """A table of readings; of labelled ones the errors, the accuracy and the confusions."""
    labelled = [outcome for outcome in outcomes if outcome.item.label is not None]
    few = len(outcomes) <= 20
    listed = [
        outcome for outcome in outcomes if few or outcome.item.label is None or not outcome.right
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("picture", overflow="fold")
    if labelled:
        table.add_column("true", justify="right")
    table.add_column("digit", justify="right", style="bold")
    table.add_column("probability", justify="right")
    table.add_column("runner-up", justify="right", style="dim")
    table.add_column("remark")
    for outcome in listed:
        label = outcome.item.label
        true = [] if not labelled else ["–" if label is None else str(label)]
        table.add_row(Text(printable(outcome.item.name)), *true, *_describe_outcome(outcome))
    if listed:
        _console.print(table)
    if len(listed) < len(outcomes):
        unlisted = len(outcomes) - len(listed)
        _console.print(f"{unlisted:,} that were read right are not listed (--csv lists all)")
    if show:
        for outcome in listed:
            _show_seen(outcome)
    if labelled:
        _show_accuracy(labelled)


def _describe_outcome(outcome: Outcome) -> tuple[Text, str, str, Text]:
    """Digit, probability, runner-up and remark."""
    reading = outcome.reading
    if reading is None:
        return Text("–", "red"), "", "", Text("cannot be opened", "red")
    if reading.problem:
        return Text("–", "yellow"), "", "", Text(f"no digit: {reading.problem}", "yellow")
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
    from pipeline import predicting

    if outcome.reading is None:
        return
    _console.print(Text(printable(outcome.item.name)), style="bold")
    if _console.color_system is None:
        for shades in predicting.to_shades(outcome.reading.image):
            _console.print(f"  |{shades}|", highlight=False, markup=False)
        return
    for pairs in predicting.to_blocks(outcome.reading.image):
        line = Text("  ")
        for upper, lower in pairs:
            line.append("▀", f"rgb({upper},{upper},{upper}) on rgb({lower},{lower},{lower})")
        _console.print(line)


def _show_accuracy(labelled: list[Outcome]) -> None:
    """The share of labelled pictures that were read right, and the confusions."""
    from pipeline import predicting
    from pipeline.metrics import wilson_interval

    right = sum(outcome.right for outcome in labelled)
    low, high = wilson_interval(right, len(labelled))
    _console.print(
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
    for true, counts in enumerate(predicting.count_confusions(labelled)):
        cells = [
            Text("·", "dim") if not count else Text(str(count), "green" if read == true else "red")
            for read, count in enumerate(counts)
        ]
        table.add_row(str(true), *cells)
    _console.print(table)


@app.command()
def draw(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page to draw digits on; it is served to this machine alone."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise PipelineError(
            "The page needs packages that are not installed: expected starlette and uvicorn. "
            "Install them with: pip install starlette uvicorn"
        )
    import webbrowser

    from pipeline import drawing
    from pipeline.reader import Reader

    reader = Reader.load(stages.EXPORTED, stages.MODELS)

    def say(address: str) -> None:
        _console.print(f"{address} is open to this machine; Ctrl-C ends it", highlight=False)
        if browser:
            webbrowser.open(address)

    drawing.serve(reader, port, say)


@app.command()
def export(
    form: Annotated[
        Literal["onnx", "litert", "saved-model"], typer.Argument(help="What to write.")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("exported-models"),
) -> None:
    """Write every network that params.yaml lists in a format that runs without Keras.

    Each takes uint8 images (n, 28, 28) and returns float32 logits (n, 10).
    """
    from pipeline import params
    from pipeline.export import FORMATS
    from pipeline.inference import load_network

    suffix, write = FORMATS[form]
    for member in params.load().ensemble.members():
        network = load_network(stages.MODELS / member.name)
        path = to / f"{member.name}{suffix}"
        write(network.model, path)
        first = f"; its images go through {' and '.join(network.preprocessing)} first"
        _console.print(f"{path}{first if network.preprocessing else ''}", highlight=False)


def _print_table(
    rows: list[dict[str, str]], title: str, *, justify: Literal["left", "right"] = "right"
) -> None:
    table = Table()
    for name in rows[0]:
        table.add_column(name, justify="right" if name == "parameters" else justify)
    for row in rows:
        table.add_row(*row.values())
    _console.print(title, style="bold", highlight=False, soft_wrap=True)
    _console.print(table)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(exit_status(lambda: app(prog_name="digits")))


if __name__ == "__main__":
    main()

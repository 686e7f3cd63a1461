"""The command ``digits``: look at results, check, send and follow submissions."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline import metrics, profiles, stages, submission, submission_log, submitting
from pipeline.digits import NUM_CLASSES
from pipeline.errors import ArtifactError, KaggleError, exit_status
from pipeline.files import missing, read_json, tells_of_damage
from pipeline.sources.kaggle_client import USUAL_PATIENCE, Client
from pipeline.submission_log import Entry

app = typer.Typer(
    help="Look at the results of the pipeline; check, send and follow submissions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_console = Console()
_PLACES = submitting.Places(
    provenance=stages.RAW / "provenance.json",
    evaluation=stages.EVALUATION,
    log=stages.SUBMISSION.with_name("log.csv"),
)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A submission CSV.")] = stages.SUBMISSION,
) -> None:
    """Check that a CSV is one that the competition accepts."""
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
    record = submitting.check(file, _PLACES.provenance)
    client = Client()
    entry = submitting.submit(file, record, " ".join(message.split()), _PLACES, client)
    left = f"; {entry.submissions_left} left today" if entry.submissions_left else ""
    _console.print(f"{file}: submitted as number {entry.reference}{left}", highlight=False)
    columns = TextColumn("waiting for the score"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=_console, transient=True) as progress:
        progress.add_task("", total=None)
        entry = submitting.wait_for_score(entry, _PLACES, client, USUAL_PATIENCE)
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
    try:
        entries = submitting.refresh(_PLACES, Client())
    except KaggleError:
        _show_uploads(submission_log.read(_PLACES.log))
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
        _print_table(rows, f"{len(rows)} uploads; all that is known: {_PLACES.log}")
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

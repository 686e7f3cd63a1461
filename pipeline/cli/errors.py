"""The command that shows the errors on held-out images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import stages
from pipeline.cli.console import console, print_json, print_line, print_table
from pipeline.runs.standing import describe_difference
from pipeline.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.evaluation.predictions import OutOfFoldPredictions

PATH = stages.EVALUATION / "out_of_fold.npz"

_FEW = 20
"""So many are listed in a terminal if no limit is given."""


def _parse_digit(text: str) -> int:
    if text not in tuple("0123456789"):
        raise typer.BadParameter(f"expected a digit, 0 to 9, found {text!r}")
    return int(text)


def errors(
    true: Annotated[
        int | None,
        typer.Option(parser=_parse_digit, metavar="DIGIT", help="List errors of this digit."),
    ] = None,
    predicted: Annotated[
        int | None,
        typer.Option(parser=_parse_digit, metavar="DIGIT", help="List errors as this digit."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"List so many, the highest loss first; without it {_FEW}, with --json all.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show their images.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="What digits compare REV prints, without its page.",
        ),
    ] = None,
) -> None:
    """Show the errors per digit on held-out images, or list them.

    Keys of --json: accuracy, accuracy_low, accuracy_high, errors, n (images), per_digit, found (how
    many errors fit), listed (of each its row of train.csv, true, predicted, runner_up, their
    probabilities, loss, p_0 to p_9, and refined: whether with neighbours), note.
    """
    from pipeline.evaluation import predictions

    filtered = any(option is not None for option in (true, predicted, limit)) or show
    if against is not None:
        if filtered or as_json:
            raise typer.BadParameter(
                "--against takes no other option. digits compare has --json, and a page with "
                "filters and images."
            )
        _compare_with(against)
        return
    if as_json and show:
        raise typer.BadParameter("only one of --json and --show can be printed.")
    if true is not None and true == predicted:
        raise typer.BadParameter(
            f"an error has two digits, --true and --predicted are both {true}."
        )
    current = predictions.load(PATH)
    fitting = _filter(current, true, predicted)
    if as_json:
        print_json(_describe(current, fitting, limit))
        return
    if filtered:
        _list(current, fitting, limit or _FEW, show=show, wanted=_in_words(true, predicted))
    else:
        _print_digits(current)
    if note := describe_difference(current.members):
        print_line(note)


def _print_digits(current: OutOfFoldPredictions) -> None:
    from pipeline.evaluation import metrics

    confusions = metrics.count_confusions(current.predicted, current.labels)
    summary = metrics.summarize(current.probabilities, current.labels)
    title = (
        f"{counted(summary['errors'], 'error')} in "
        f"{counted(summary['n'], 'held-out image')}: accuracy "
        f"{summary['accuracy']:.2%}, 95 % interval {summary['accuracy_low']:.2%} – "
        f"{summary['accuracy_high']:.2%}"
    )
    print_table(metrics.describe_digits(metrics.tabulate_digits(confusions)), title)


def _filter(current: OutOfFoldPredictions, true: int | None, predicted: int | None) -> pd.DataFrame:
    """The errors of some digits, as of `examples.tabulate_errors`."""
    from pipeline.evaluation.examples import tabulate_errors

    table = tabulate_errors(current)
    for name, digit in (("true", true), ("predicted", predicted)):
        if digit is not None:
            table = table[table[name] == digit]
    return table


def _in_words(true: int | None, predicted: int | None) -> str:
    words = [
        f"{name} {digit}"
        for name, digit in (("true", true), ("predicted", predicted))
        if digit is not None
    ]
    return f" ({', '.join(words)})" if words else ""


def _list(
    current: OutOfFoldPredictions, fitting: pd.DataFrame, limit: int, *, show: bool, wanted: str
) -> None:
    """Print errors in a table, or as pictures."""
    from pipeline.report import percent

    if fitting.empty:
        print_line(f"No errors{wanted} in {len(current.rows):,} held-out images", "bold")
        return
    listed = fitting.head(limit)
    word = "error" if len(fitting) == 1 else "errors"
    title = f"{len(fitting):,} {word}{wanted} in {len(current.rows):,} held-out images"
    if len(listed) < len(fitting):
        title += f"; the {len(listed):,} with the highest loss"
    if show:
        print_line(title, "bold")
        _draw(current, listed)
        return
    rows = [
        {
            "row of train.csv": str(error.row),
            "true": str(error.true),
            "predicted": str(error.predicted),
            "p (true)": percent(error.p_true),
            "p (predicted)": percent(error.p_predicted),
            "runner-up": f"{error.runner_up} ({percent(error.p_runner_up)})",
        }
        for error in listed.itertuples()
    ]
    print_table(rows, title)


def _draw(current: OutOfFoldPredictions, listed: pd.DataFrame) -> None:
    from pipeline.cli.digit_pictures import print_side_by_side
    from pipeline.data import dataset
    from pipeline.errors import ArtifactError
    from pipeline.report import percent

    digits = dataset.load_labelled(stages.TRAIN)
    if digits.provenance.train_sha256 != current.train_sha256:
        raise ArtifactError(
            f"{stages.TRAIN} holds other images than were evaluated. Run: dvc repro"
        )
    arrow = "->" if console.options.ascii_only else "→"
    captions = [
        f"row {error.row}: {error.true} {arrow} {error.predicted} ({percent(error.p_predicted)})"
        for error in listed.itertuples()
    ]
    print_side_by_side(digits.images[listed["row"].to_numpy()], captions)


def _describe(
    current: OutOfFoldPredictions, fitting: pd.DataFrame, limit: int | None
) -> dict[str, Any]:
    from pipeline.evaluation import metrics
    from pipeline.report import as_rows

    confusions = metrics.count_confusions(current.predicted, current.labels)
    return metrics.summarize(current.probabilities, current.labels) | {
        "per_digit": as_rows(metrics.tabulate_digits(confusions)),
        "found": len(fitting),
        "listed": as_rows(fitting if limit is None else fitting.head(limit)),
        "note": describe_difference(current.members),
    }


def _compare_with(revision: str) -> None:
    """What ``digits compare`` prints, without its page."""
    from pipeline.cli import compare
    from pipeline.evaluation import comparison
    from pipeline.runs import evaluated

    found = evaluated.find(compare.complete([revision]), with_images=False)
    compare.print_comparison(comparison.compare(found.runs, found.code, found.notes))

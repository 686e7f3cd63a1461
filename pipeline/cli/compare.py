"""The command that compares runs image by image, in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import stages
from pipeline.cli import browser
from pipeline.cli.console import print_json, print_line, print_table, stderr
from pipeline.project import FOLDER
from pipeline.runs.repository import WORKSPACE
from pipeline.wording import describe_p, p_value, points

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.evaluation.comparison import Comparison, Difference, RunScore
    from pipeline.runs.evaluated import Found

_PAGE = FOLDER / "reports/compare.html"
_LISTED = 20

FILES = {
    "changes.csv",
    "code.csv",
    "comparison.json",
    "confusions.csv",
    "learning_curves.csv",
    "learning_error_rate.svg",
    "learning_loss.svg",
    "params.csv",
    "per_digit.csv",
}
"""What the folder next to a page holds."""


def compare(
    revisions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REV]...",
            help="Commits, branches, tags, experiments; workspace: the files as they are. One is "
            "compared with the workspace; of several, each with the first. Without one: the last "
            "commit is compared with the workspace.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help=f"Where to write the page; the numbers go into a folder next to it. "
            f"[default: {_PAGE}]",
            show_default=False,
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; write a page only with --output.")
    ] = False,
) -> None:
    """Compare two or more runs image by image.

    Writes a page with the images that changed, the confusion matrices, settings, code and learning
    curves, and the same numbers as CSV and JSON.
    """
    from pipeline.evaluation import comparison
    from pipeline.runs import evaluated

    if output is not None and output.suffix != ".html":
        raise typer.BadParameter(f"expected a name that ends in .html, found {output}")
    page = output or (None if as_json else _PAGE)
    if open_page and page is None:
        raise typer.BadParameter("--json writes no page to open: name one with --output.")
    names = complete(revisions or ["HEAD"])
    if page is not None:
        _check_page(page)
    found = evaluated.find(names, with_images=page is not None)
    compared = comparison.compare(found.runs, found.code, found.notes)
    if page is not None:
        write(page, compared, found)
    if as_json:
        print_json(describe(compared))
    else:
        print_comparison(compared)
        print_line(f"\n{page}: the images, the confusions and the learning curves")
    if open_page and page is not None:
        browser.show_page(page, address_to=stderr)


def complete(names: Sequence[str]) -> list[str]:
    """The runs to compare: a single one is compared with the workspace."""
    if "" in names:
        raise typer.BadParameter("an empty name was given: expected that of a run, such as HEAD.")
    repeated = next((name for name in names if list(names).count(name) > 1), None)
    if repeated is not None:
        raise typer.BadParameter(f"{repeated} is named twice: name each run once.")
    if list(names) == [WORKSPACE]:
        raise typer.BadParameter("name a run to compare the workspace with, such as HEAD.")
    return [*names, WORKSPACE] if len(names) == 1 else list(names)


def describe(compared: Comparison) -> dict[str, Any]:
    """The numbers, and the tables but learning_curves as lists of rows, for JSON."""
    from pipeline.report import as_rows

    tables = {name: each for name, each in compared.tables.items() if name != "learning_curves"}
    return compared.summarize() | {name: as_rows(table) for name, table in tables.items()}


def _check_page(page: Path) -> None:
    """Refuse to replace anything but an earlier comparison, the page and the folder next to it."""
    folder = page.with_suffix("")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    empty = folder.is_dir() and not names
    ours = "comparison.json" in names and names <= FILES
    if page != _PAGE and page.exists() and (empty or not folder.exists()):
        raise typer.BadParameter(
            f"{page} is there already, and is no earlier comparison. Give the page another name "
            "with --output."
        )
    if folder.exists() and not (empty or ours):
        raise typer.BadParameter(
            f"the numbers would go into {folder}, which holds something else. Give the page "
            "another name with --output."
        )


def write(page: Path, compared: Comparison, found: Found) -> None:
    """Write the page, and next to it the same numbers as CSV and JSON."""
    from pipeline.files import atomic_path
    from pipeline.plots import comparison as plots
    from pipeline.report import comparison as report

    folder = page.with_suffix("")
    curves = compared.tables["learning_curves"]
    names = [run.name for run in compared.runs]
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        compared.write(temporary)
        figures = {}
        for measure in ("loss", "error_rate") if len(curves) else ():
            figures[f"learning_{measure}"] = temporary / f"learning_{measure}.svg"
            plots.learning_curves(figures[f"learning_{measure}"], curves, names, measure)
        with atomic_path(page) as temporary_page:
            report.write_page(
                temporary_page, compared, found.digits, figures, folder, stages.SAMPLE_NOTICE
            )


def print_comparison(compared: Comparison) -> None:
    """Print the differences, and of two runs the images and digits that changed."""
    differences = compared.differences
    first = compared.runs[0].name
    title = f"Compared with {first}, image by image"
    if len(differences) == 1:
        (only,) = differences
        title = f"{only.run} compared with {first}, on the {only.images:,} images held out in both"
    rows = list(_describe_runs(compared.runs, differences))
    print_table(rows, title, text={"run"})
    if len(differences) == 1:
        _print_images(only, compared.tables)
    _print_settings(compared)
    for note in compared.notes:
        print_line(f"note: {note}", "yellow")


def _describe_runs(
    runs: Sequence[RunScore], differences: Sequence[Difference]
) -> Iterator[dict[str, str]]:
    first = runs[0]
    accuracy, errors = first.accuracy, first.errors
    if len(differences) == 1:  # on the images of both
        accuracy, errors = differences[0].accuracy_before, differences[0].errors_before
    columns = ("difference", "95 % interval", "corrected", "new errors", "p")
    row = {"run": first.name, "accuracy": f"{accuracy:.2%}", "errors": f"{errors:,}"}
    yield row | dict.fromkeys(columns, "–")
    for each in differences:
        yield {
            "run": each.run,
            "accuracy": f"{each.accuracy:.2%}",
            "errors": f"{each.errors:,}",
            "difference": points(each.difference),
            "95 % interval": f"{points(each.low)} to {points(each.high)}",
            "corrected": f"{each.corrected:,}",
            "new errors": f"{each.new_errors:,}",
            "p": p_value(each.p_value),
        }


def _print_images(only: Difference, tables: dict[str, pd.DataFrame]) -> None:
    chance = "could be chance" if only.could_be_chance else "is unlikely to be chance"
    print_line(
        f"\nThe difference of {points(only.difference)} percentage points {chance} "
        f"(McNemar's exact test: {describe_p(only.p_value)}).\n"
    )
    names = ("digit", "corrected", "new_errors", "errors_before", "errors")
    heads = ("digit", "corrected", "new errors", "errors before", "errors after")
    digits = tables["per_digit"][list(names)].itertuples(index=False)
    print_table([dict(zip(heads, map("{:,}".format, row), strict=True)) for row in digits])
    print_line("")
    changes = tables["changes"]
    for kind, word in (("corrected", "corrected"), ("new_error", "new errors")):
        images = changes[changes["change"] == kind].sort_values("row")
        listed = [
            f"{each.row} ({each.true}: {each.before} → {each.after})"
            for each in images.itertuples()
        ]
        print_line(f"{word}, by row of train.csv (true: before → after): {_abridge(listed)}")


def _print_settings(compared: Comparison) -> None:
    """Settings and files of code that differ."""
    names = [run.name for run in compared.runs]
    params = compared.tables["params"]
    if len(params):
        print_line("")
        values = params.assign(value=params["value"].fillna("–")).groupby("key", sort=False)
        rows = [
            {"setting": str(key)} | dict(zip(each["run"], each["value"], strict=True))
            for key, each in values
        ]
        print_table(rows, text={"setting", *names})
    for run, files in compared.tables["code"].groupby("run", sort=False):
        listed = [
            f"{path} ({change})"
            for path, change in zip(files["path"], files["change"], strict=True)
        ]
        print_line(f"\ncode that differs in {run}: {_abridge(listed)}")


def _abridge(listed: list[str]) -> str:
    more = len(listed) - _LISTED
    return ", ".join(listed[:_LISTED]) + (f" and {more:,} more" if more > 0 else "") or "none"

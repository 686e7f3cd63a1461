"""Commands that check, send and follow submissions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import stages
from pipeline.cli.console import console, print_line, print_table
from pipeline.errors import KaggleError
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.kaggle.client import Client
    from pipeline.submissions.file import SubmissionRecord
    from pipeline.submissions.log import Entry
    from pipeline.submissions.submit import SubmissionPaths


def _paths() -> SubmissionPaths:
    from pipeline.submissions.submit import SubmissionPaths

    return SubmissionPaths(
        provenance=stages.RAW / "provenance.json",
        metrics=stages.EVALUATION / "metrics.json",
        log=stages.SUBMISSION.with_name("log.csv"),
    )


def check(
    file: Annotated[Path, typer.Argument(help="A submission CSV.")] = stages.SUBMISSION,
) -> None:
    """Check that a CSV is one that the competition accepts."""
    from pipeline.submissions import file as submission

    predicted = submission.check(file)
    print_line(f"{file}: {len(predicted):,} rows, in the form that Kaggle accepts")


def submit(
    file: Annotated[Path, typer.Argument(help="A submission CSV.")] = stages.SUBMISSION,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What was tried.")
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Send it even if it was, or may have been, sent before.")
    ] = False,
) -> None:
    """Check a CSV, send it to Kaggle once, log its score."""
    from pipeline.kaggle.client import Client
    from pipeline.submissions import submit as submitting
    from pipeline.submissions.checks import check as check_all

    paths = _paths()
    record = check_all(file, paths.provenance)
    client = Client()
    entry = submitting.submit(file, record, message, paths, client, again=again)
    _report_upload(file, entry)
    _report_score(entry, paths, client)


def send_once(file: Path, record: SubmissionRecord, message: str, metrics: Path) -> None:
    """Send a checked CSV to Kaggle unless it was sent; log and show its score.

    Args:
        file: the CSV.
        record: what it came from.
        message: what to remember about it.
        metrics: the JSON that tells the out-of-fold accuracy of its networks; may be missing.
    """
    from pipeline.kaggle.client import Client
    from pipeline.submissions import submit as submitting
    from pipeline.submissions.checks import AlreadySubmittedError

    paths = replace(_paths(), metrics=metrics)
    client = Client()
    try:
        entry = submitting.submit(file, record, message, paths, client)
        _report_upload(file, entry)
    except AlreadySubmittedError as error:
        entry = error.entry
        print_line(f"{file}: already submitted as number {entry.reference}, and not sent again")
    _report_score(entry, paths, client)


def _report_upload(file: Path, entry: Entry) -> None:
    from pipeline.submissions.submit import describe_left

    print_line(f"{file}: submitted as number {entry.reference}{describe_left(entry)}")


def _report_score(entry: Entry, paths: SubmissionPaths, client: Client) -> None:
    """Wait for the score of an upload, and show it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from pipeline.kaggle.session import DEFAULT_TIMEOUTS
    from pipeline.submissions import log as submission_log
    from pipeline.submissions import submit as submitting

    columns = TextColumn("waiting for the score"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task("", total=None)
        entry = submitting.wait_for_score(entry, paths, client, DEFAULT_TIMEOUTS)
    if entry.status == submission_log.PENDING:
        print_line("Kaggle has not scored it yet. Look later with: digits scores")
    else:
        print_line(
            f"public score {entry.public_score}, out-of-fold accuracy "
            f"{entry.out_of_fold_accuracy or 'not known for these members'}"
        )


def scores() -> None:
    """Show all uploads, with the scores that Kaggle has now."""
    from pipeline.kaggle import credentials
    from pipeline.kaggle.client import Client
    from pipeline.submissions import log as submission_log
    from pipeline.submissions import submit as submitting

    paths = _paths()
    entries = submission_log.read(paths.log)
    if not entries and credentials.find() is None:
        print_line(
            "Nothing was uploaded from here yet. Without credentials Kaggle is not asked about "
            "uploads from elsewhere."
        )
        return
    try:
        entries = submitting.refresh(paths, Client())
    except KaggleError:
        if entries:
            _show_uploads(entries)
        raise
    if entries:
        _show_uploads(entries)
    else:
        print_line("Nothing was uploaded yet.")


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
    title = f"{counted(len(rows), 'upload')}; all that is known: {_paths().log}"
    print_table(rows, title, text=["file", "message"])

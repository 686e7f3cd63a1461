"""The command that shows where the project stands; ``digits`` alone is the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from pipeline import stages
from pipeline.cli.console import print_items, print_json, print_line
from pipeline.errors import printable
from pipeline.runs.standing import Data, Status, collect
from pipeline.wording import counted


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where the project stands, and what to do next.

    Keys of --json: data (source, sample, training_images, test_images, label_corrections: sha256,
    right, corrected, left_out), trained and untrained
    (names of networks), score (accuracy, accuracy_low, accuracy_high, errors, images,
    sample), no_score_because, submission_sha256, submission_of_sample, submission_uploaded,
    last_upload (a line of submissions/log.csv), outdated (stage: what changed), dvc_error, next
    (command, reason). What is not known is null.
    """
    from pipeline import params

    found = collect(params.load())
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)


def _show(found: Status) -> None:
    from pipeline.runs.outdated import group_outdated

    _show_score(found)
    listed = len(found.trained) + len(found.untrained)
    networks = f"{len(found.trained)} of {listed} trained"
    items: list[tuple[str, str | Text]] = [
        ("data", _describe_data(found.data)),
        *_describe_corrections(found.data),
        ("networks", ": ".join(filter(None, [networks, ", ".join(found.trained)]))),
    ]
    if found.trained and found.untrained:
        items.append(("", f"not trained: {', '.join(found.untrained)}"))
    items.append(("submission", _describe_submission(found)))
    if stages.REPORT.exists():
        items.append(("report", str(stages.REPORT)))
    if found.outdated is None:
        items.append(("out of date", Text(printable(f"unknown: {found.dvc_error}"), "yellow")))
    elif found.outdated:
        for place, line in enumerate(group_outdated(found.outdated)):
            items.append(("" if place else "out of date", Text(printable(line), "yellow")))
    else:
        items.append(("out of date", "nothing"))
    print_items(items)
    print_line("")
    print_line(Text.assemble(("next: ", "dim"), (found.next.command, "bold")))
    print_line(f"      {found.next.reason}", "dim")
    if found.score is not None:
        print_line("also: digits open, digits errors, digits runs", "dim")


def _describe_data(data: Data | None) -> str:
    if data is None:
        return "none yet"
    if data.training_images is None:
        return f"{data.source}, not read yet"
    return f"{data.source}: {data.training_images:,} labelled images, {data.test_images:,} to label"


def _describe_corrections(data: Data | None) -> list[tuple[str, str | Text]]:
    corrections = data.label_corrections if data else None
    if corrections is None:
        return []
    return [("labels", f"{corrections} ({stages.LABELS}); scores are against the labels as given")]


def _describe_submission(found: Status) -> str:
    upload = found.last_upload
    said = [] if found.submission_sha256 is None else [str(stages.SUBMISSION)]
    if found.submission_sha256 is None:
        said.append("not written yet")
    elif found.submission_of_sample:
        said.append("of the sample, not for Kaggle")
    elif not found.submission_uploaded:
        said.append("not uploaded")
    if upload is not None:
        score = f"public score {upload.public_score}" if upload.public_score else upload.status
        moment = upload.time.replace("T", " ")[:16]
        said.append(f"last upload {moment} UTC: {score}")
    return ", ".join(said)


def _show_score(found: Status) -> None:
    """The score, where it is seen first."""
    from pipeline.runs.outdated import decides_score

    score = found.score
    if score is None:
        print_line(f"No score: {found.no_score_because}.", "yellow")
    else:
        on = "the embedded sample" if score.sample else "held-out images"
        print_line(f"{score.accuracy:.2%} accuracy on {on}", "bold green")
        print_line(
            f"95 % interval {score.accuracy_low:.2%} – {score.accuracy_high:.2%}; "
            f"{counted(score.errors, 'error')} in {counted(score.images, 'image')}"
        )
        if found.outdated and decides_score(found.outdated):
            print_line("of before the changes that are out of date below", "yellow")
    print_line("")

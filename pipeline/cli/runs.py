"""The command that lists experiments and earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline.cli.console import print_json, print_line, print_table
from pipeline.errors import printable
from pipeline.runs.revisions import METRICS, Run, collect

_SHOWN_CHANGES = 4


def runs(
    number: Annotated[
        int,
        typer.Option(
            "--number", "-n", min=1, metavar="N", help="So many commits with results, at most."
        ),
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List experiments and earlier runs, and what changed.

    A run is listed when its dvc.lock and its metrics were committed, or when it is an experiment of
    DVC. Keys of --json: name, kind (workspace, commit, experiment), revision, state, time, changed
    (parameters that differ from the run that it follows, or from the commit that an experiment
    began from), other_data, other_code, accuracy, accuracy_low, accuracy_high, errors, images,
    training_seconds. What is not known is null.
    """
    found = collect(number)
    if as_json:
        print_json([asdict(run) for run in found])
        return
    print_table([_describe(run) for run in found], text={"run", "what changed"})
    if len(found) == 1 and found[0].accuracy is not None:
        print_line(
            "To list this run later, commit it: git add dvc.lock data/source.json "
            f"{METRICS} && git commit"
        )


def _describe(run: Run) -> dict[str, str | Text]:
    name = f"  {run.name}" if run.kind == "experiment" else run.name
    if run.state not in ("done", "no score"):
        name = f"{name} ({run.state})"
    row: dict[str, str | Text] = {
        "run": Text(printable(name), "bold" if run.kind == "workspace" else ""),
        "what changed": " ".join(_describe_changes(run)),
    }
    row |= dict.fromkeys(("accuracy", "95 % interval", "errors", "min"), "–")
    if run.accuracy is not None:
        row |= {
            "accuracy": f"{run.accuracy:.2%}",
            "95 % interval": f"{run.accuracy_low:.2%} – {run.accuracy_high:.2%}".replace("%", ""),
            "errors": f"{run.errors:,} / {run.images:,}",
        }
    if run.training_seconds is not None:
        row["min"] = f"{run.training_seconds / 60:.1f}"
    return row


def _describe_changes(run: Run) -> Iterator[str]:
    if run.other_data:
        yield "(other data)"
    if run.other_code:
        yield "(other code)"
    for place, (key, value) in enumerate(run.changed.items()):
        if place == _SHOWN_CHANGES:
            yield f"(and {len(run.changed) - place} more)"
            return
        yield f"{key}={_as_typed(value)}"


def _as_typed(value: Any) -> str:
    """A value as `dvc exp run -S` takes it."""
    match value:
        case str():
            return value
        case [*parts]:
            return f"[{','.join(map(_as_typed, parts))}]"
        case dict():
            return json.dumps(value, ensure_ascii=False).replace('"', "")
    return json.dumps(value)

"""The command that collects what a notebook of Kaggle's without internet installs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline import git
from pipeline.cli.console import console, print_line, print_table
from pipeline.files import atomic_path
from pipeline.project import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kaggle.lock import Pin
    from pipeline.kaggle.wheels import Wheel

_LARGEST = 5


def wheels(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one to go on in.")
    ],
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Your name at Kaggle. Default: that of kaggle.json."),
    ] = None,
    python: Annotated[
        Literal["3.11", "3.12", "3.13"], typer.Option(help="The Python of Kaggle's image.")
    ] = "3.12",
) -> None:
    """Collect packages and code for a notebook without internet.

    Each package of requirements.lock comes as a wheel for Linux on x86-64, its hash checked. The
    project's code comes with them, as it is here, and what Kaggle's client needs to upload DIR.
    DIR becomes a data set. After an interruption the same command goes on.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pipeline.kaggle import credentials
    from pipeline.kaggle import wheels as collecting
    from pipeline.kaggle.lock import read_lock
    from pipeline.submissions import project_archive

    pins = read_lock(FOLDER / "requirements.lock", python)
    address = collecting.name_dataset(folder, user, credentials.find)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(pins))

        def show(done: int, batch: Sequence[Pin]) -> None:
            names = [pin.name for pin in batch]
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            progress.update(task, completed=done, description=", ".join(names[:2]) + more)
            if not console.is_terminal:
                print_line(f"{done}/{len(pins)}  {', '.join(names)}")

        collected = collecting.collect(folder, pins, show, python)
    commit = git.describe_commit(FOLDER)
    with atomic_path(folder / collecting.CODE) as temporary:
        temporary.write_bytes(project_archive.pack(FOLDER, commit))
    collecting.describe_dataset(folder, address)
    _show(collected)
    place = shlex.quote(str(folder))
    print_line(
        f"{folder} is ready for Kaggle, with the code of {_describe(commit)}. Upload it with:"
    )
    print_line(f"  kaggle datasets create -p {place}")
    print_line(f"Later ones with: kaggle datasets version -p {place} -m new")
    print_line(f"Run there with: digits kaggle run --no-internet --wheels {address}")


def _describe(commit: str | None) -> str:
    if commit is None:
        return "no commit"
    changed = " and uncommitted changes" if commit.endswith("+dirty") else ""
    return f"commit {commit[:8]}{changed}"


def _show(collected: list[Wheel]) -> None:
    def row(package: str, version: str, wheels: list[Wheel]) -> dict[str, str]:
        size = sum(wheel.bytes for wheel in wheels) / 1e6
        return {"package": package, "version": version, "MB": f"{size:,.1f}"}

    ordered = sorted(collected, key=lambda wheel: -wheel.bytes)
    rows = [row(wheel.pin.name, wheel.pin.version, [wheel]) for wheel in ordered[:_LARGEST]]
    if others := ordered[_LARGEST:]:
        rows.append(row(f"{len(others)} more", "", others))
    rows.append(row("all", "", ordered))
    print_table(rows, text=["package", "version"])

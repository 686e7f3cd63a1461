"""The commands for Kaggle's notebooks: ``digits kaggle``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import console, print_line, print_table
from pipeline.project import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kaggle.wheels import Pin, Wheel

_LARGEST = 5

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def kaggle() -> None:
    """Prepare what a notebook of Kaggle's needs."""


@app.command()
def wheels(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one to go on in.")
    ],
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Your name at Kaggle. Default: that of kaggle.json."),
    ] = None,
    python: Annotated[
        str, typer.Option(metavar="VERSION", help="The Python of Kaggle's image.")
    ] = "3.12",
) -> None:
    """Collect packages and code for a notebook without internet.

    Every package of requirements.lock comes as a wheel for Linux on x86-64, its hash checked. With
    them come the project's code and dataset-metadata.json, so that Kaggle's client can upload DIR.
    An interrupted run is continued by the same command.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pipeline.kaggle import credentials
    from pipeline.kaggle import wheels as collecting

    pins = collecting.read_lock(FOLDER / "requirements.lock", python)
    address = collecting.name_dataset(folder, user, credentials.find)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(pins))

        def show(done: int, batch: Sequence[Pin]) -> None:
            names = ", ".join(pin.name for pin in batch)
            progress.update(task, completed=done, description=names)
            if batch and not console.is_terminal:
                print_line(f"{done}/{len(pins)}  {names}")

        collected = collecting.collect(folder, pins, show, python)
    _show(collected)
    print_line(f"{folder} is ready as the dataset {address}:")
    print_line(f"  kaggle datasets create -p {folder}                    # the first time")
    print_line(f"  kaggle datasets version -p {folder} -m 'new packages' # later")


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

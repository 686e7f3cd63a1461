"""The commands for Kaggle's notebooks: ``digits kaggle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import kaggle_run

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def kaggle() -> None:
    """Prepare what a notebook of Kaggle's needs."""


@app.command()
def wheels(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put them.")],
) -> None:
    """Collect every package for a notebook without internet, as a dataset of Kaggle's."""
    raise NotImplementedError(folder)


app.command("run")(kaggle_run.run)

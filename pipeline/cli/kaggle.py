"""The commands for Kaggle's notebooks: ``digits kaggle``."""

import typer

from pipeline.cli import kaggle_run, kaggle_wheels
from pipeline.cli.help import PlainCommand

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def kaggle() -> None:
    """Run the project in a Kaggle notebook."""


app.command("run", cls=PlainCommand)(kaggle_run.run)
app.command("wheels", cls=PlainCommand)(kaggle_wheels.wheels)

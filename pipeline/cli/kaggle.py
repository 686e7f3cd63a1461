"""The commands for Kaggle's notebooks: ``digits kaggle``."""

import typer

from pipeline.cli import kaggle_run, kaggle_wheels

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def kaggle() -> None:
    """Run the project in a Kaggle notebook."""


app.command("run")(kaggle_run.run)
app.command("wheels")(kaggle_wheels.wheels)

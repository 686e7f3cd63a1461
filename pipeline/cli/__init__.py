"""The command ``digits``: look at results, read digits, check, send and follow submissions.

Each command imports what it needs when it is called, so that none waits for another's libraries.
"""

import sys

import typer

from pipeline.cli import errors, networks, own_digits, submissions
from pipeline.errors import exit_status

app = typer.Typer(
    help="Look at the results of the pipeline; read digits; check, send and follow submissions.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    submissions.check,
    submissions.submit,
    submissions.scores,
    errors.errors,
    networks.profile,
    networks.architectures,
    own_digits.predict,
    own_digits.draw,
    networks.export,
):
    app.command()(command)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(exit_status(lambda: app(prog_name="digits")))

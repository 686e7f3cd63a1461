"""The command ``digits``: look at results, read digits, check, send and follow submissions.

Each command imports what it needs when it is called, so that none waits for another's libraries.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline import environment, project
from pipeline.cli import (
    browser,
    compare,
    errors,
    kaggle,
    networks,
    own_digits,
    runs,
    status,
    submissions,
    sweep,
)
from pipeline.cli.help import PlainCommand
from pipeline.errors import exit_status, report_interruption

COMMANDS: dict[str, dict[str, Callable[..., object] | typer.Typer]] = {
    "Results": {
        "status": status.status,
        "errors": errors.errors,
        "compare": compare.compare,
        "runs": runs.runs,
        "open": browser.open_report,
    },
    "Kaggle": {
        "check": submissions.check,
        "submit": submissions.submit,
        "scores": submissions.scores,
        "kaggle": kaggle.app,
    },
    "Handwriting": {"predict": own_digits.predict, "draw": own_digits.draw},
    "Settings": {
        "profile": networks.profile,
        "sweep": sweep.sweep,
        "architectures": networks.architectures,
        "export": networks.export,
    },
}
"""The commands by their names, in the groups of the help; some have commands of their own."""


@contextmanager
def _told_interruption() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interruption:
        sys.exit(report_interruption(interruption))


class _Grouped(TyperGroup):
    """Its help lists the commands group by group, and Ctrl-C is told."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read what was typed; typer alone would end without a word after Ctrl-C."""
        with _told_interruption():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _told_interruption():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        widest = max(map(len, self.commands))
        for group, commands in COMMANDS.items():
            helps = [
                (name.ljust(widest), self.commands[name].get_short_help_str(60))
                for name in commands
            ]
            with formatter.section(group):
                formatter.write_dl(helps)


app = typer.Typer(
    cls=_Grouped,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _commands in COMMANDS.values():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name)
        else:
            app.command(_name, cls=PlainCommand)(_command)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"digits {version('digit-recognizer-pipeline')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def digits(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """The digit recogniser: its results, Kaggle, your own digits, its settings.

    Without a command it shows where the project stands. It works in any folder of the project.
    """
    if context.invoked_subcommand is not None:
        return
    if project.find() is None:
        print(context.get_help())
    else:
        status.status()


def main() -> None:
    """Entry point of the console script."""
    sys.exit(exit_status(_run))


def _run() -> None:
    environment.adapt()
    app(prog_name="digits")

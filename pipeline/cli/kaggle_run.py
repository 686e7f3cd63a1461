"""The command that runs the project in a notebook at Kaggle: ``digits kaggle run``."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pipeline import project, stages
from pipeline.cli import submissions
from pipeline.cli.console import console, print_line
from pipeline.errors import Interruption, printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from pipeline.kaggle.kernel import LogLine, RunStatus
    from pipeline.submissions.file import SubmissionRecord
    from pipeline.submissions.kernel_folder import KernelFolder, Settings

NOTEBOOK = project.FOLDER / "notebooks/kaggle.ipynb"
RUNS = stages.SUBMISSION.with_name("kaggle")
"""Where each run has a folder."""

_TITLE = "Digit Recognizer pipeline"
_SHORTEST_TITLE = 5
_GOES_ON = "the run goes on at Kaggle, and the same command takes it up"
_STYLES = {"complete": "green", "error": "red", "cancel_acknowledged": "red"}


class Accelerator(StrEnum):
    """What trains the networks at Kaggle."""

    none = "none"
    t4 = "t4"


def run(
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit the checked file, wait for its score, log it.")
    ] = False,
    message: Annotated[
        str, typer.Option("--message", "-m", help="What to remember about the submission.")
    ] = "",
    accelerator: Annotated[
        Accelerator, typer.Option(help="Train on CPUs, or on an NVIDIA T4.")
    ] = Accelerator.none,
    internet: Annotated[bool, typer.Option(help="Let the notebook install from PyPI.")] = True,
    wheels: Annotated[
        str | None,
        typer.Option(
            metavar="USER/DATASET",
            help="Install from this data set, which digits kaggle wheels made.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the notebook.")] = None,
    address: Annotated[
        str | None, typer.Option("--id", metavar="USER/SLUG", help="Address of the notebook.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run this very code again, though it has run.")
    ] = False,
) -> None:
    """Run the project in a notebook at Kaggle.

    It fetches the submission and the report, and checks them.

    It sends the code as it is here, with params.yaml, to a private notebook. Interrupt it whenever
    you like: the run goes on at Kaggle, and the same command takes it up without a second run.
    """
    from pipeline.kaggle.kernels import Kernels
    from pipeline.kaggle.session import DEFAULT_TIMEOUTS
    from pipeline.submissions import kaggle_output, kaggle_run, kernel_folder

    _check_options(accelerator, internet=internet, wheels=wheels)
    title, slug = _choose_title(title, address)
    with kaggle_run.alone(RUNS):
        kernels = Kernels(DEFAULT_TIMEOUTS)
        owner = address.partition("/")[0] if address and "/" in address else kernels.username()
        settings = kernel_folder.Settings(
            f"{owner}/{slug}", title, accelerator.value, internet, wheels
        )
        folder = kernel_folder.write(RUNS, NOTEBOOK, settings, project.FOLDER)
        place = folder.path.parent
        _describe(folder, settings)
        for other in kaggle_run.unfinished(RUNS, place):
            _say(
                "note",
                f"{other.at_kaggle()} ran other code and was not fetched: {other.at_kaggle().url}",
            )
        started = kaggle_run.send(folder, kernels, again=again)
        _say("sent", f"version {started.version} at {started.time}: {started.at_kaggle().url}")
        try:
            with _Following() as shown:
                ended = kaggle_run.follow(started, place, kernels, shown, DEFAULT_TIMEOUTS)
        except KeyboardInterrupt:
            raise Interruption(_GOES_ON) from None
        fetched = kaggle_output.fetch(ended, place, kernels)
        record = kaggle_output.check(fetched, place, stages.RAW / "provenance.json")
        _describe_output(place, record)
    if submit:
        words = message.strip() or f"Kaggle notebook, version {fetched.version}"
        submissions.send_once(place / "submission.csv", record, words, place / "metrics.json")
    else:
        _say("next", "submit it: the same command with --submit")


def _check_options(accelerator: Accelerator, *, internet: bool, wheels: str | None) -> None:
    if wheels is not None and not re.fullmatch(r"[\w-]+/[\w-]+", wheels):
        raise typer.BadParameter(f"--wheels: expected USER/DATASET, found {wheels}")
    if not internet and wheels is None:
        raise typer.BadParameter(
            "--no-internet needs --wheels USER/DATASET, a data set that holds all packages: make "
            "it with digits kaggle wheels"
        )
    if accelerator != Accelerator.none and wheels is not None:
        raise typer.BadParameter(
            f"--accelerator {accelerator} needs CUDA's libraries, which --wheels does not hold: "
            "leave out one of them"
        )


def _choose_title(title: str | None, address: str | None) -> tuple[str, str]:
    """The title, and the slug that Kaggle makes of it."""
    from slugify import slugify  # Kaggle's client has it, for the same

    if address is not None and not re.fullmatch(r"([\w-]+/)?[\w-]+", address):
        raise typer.BadParameter(f"--id: expected USER/SLUG, found {address}")
    slug = slugify(address.rpartition("/")[2]) if address else None
    title = title or (slug.replace("-", " ") if slug else _TITLE)
    if len(title) < _SHORTEST_TITLE or not slugify(title):
        raise typer.BadParameter(f"expected a title of {_SHORTEST_TITLE} letters or more: {title}")
    if slug and slugify(title) != slug:
        raise typer.BadParameter(
            f"the title {title} gives the address {slugify(title)}, not {slug}: leave out one of "
            "--title and --id, or make them match"
        )
    return title, slugify(title)


def _describe(folder: KernelFolder, settings: Settings) -> None:
    machine = "CPU" if settings.accelerator == "none" else f"GPU {settings.accelerator.upper()}"
    wheels = f", wheels of {settings.wheels}" if settings.wheels else ""
    internet = f"internet {'on' if settings.internet else 'off'}"
    commit = f"commit {folder.commit[:8]}" if folder.commit else "of no commit"
    if folder.commit and folder.commit.endswith("+dirty"):
        commit += " with uncommitted changes"
    _say("code", f"{commit}, {folder.source_bytes / 1000:,.0f} kB in {folder.path}")
    _say("machine", f"{machine}, {internet}{wheels}")


def _describe_output(place: Path, record: SubmissionRecord) -> None:
    from pipeline.submissions.kaggle_run import NEEDED, WELCOME

    names = [name for name in (*NEEDED, *WELCOME) if (place / name).exists()]
    _say("fetched", f"{place}: {', '.join(names)}")
    _say("checked", f"{record.rows:,} rows, of this code, params.yaml and {record.provenance}")


def _say(label: str, text: str | Text) -> None:
    shown = text if isinstance(text, Text) else printable(text)
    print_line(Text.assemble((f"{label:<9}", "bold"), shown))


class _Following:
    """A clock with the state of the run below the lines that it has printed."""

    def __init__(self) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self._clock: Progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._clock.add_task("asking Kaggle", total=None)
        self._state = ""

    def __enter__(self) -> _Following:
        self._clock.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._clock.stop()

    def status(self, status: RunStatus) -> None:
        """Show how far the run is."""
        state = status.state.replace("_", " ")
        self._clock.update(self._task, description=f"{state} at Kaggle")
        if state != self._state:
            _say("run", Text(state, _STYLES.get(status.state, "")))
        self._state = state

    def line(self, line: LogLine) -> None:
        """Show a line of the run's log."""
        print_line(Text(f"  {printable(line.text)}", "dim" if line.is_error else ""))

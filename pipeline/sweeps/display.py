"""What is shown while a sweep runs: a line per trial, and in a terminal the members below."""

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.params import Member
from pipeline.progress import LiveDisplay, clock
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.space import Space
from pipeline.sweeps.tracker import JobTracker
from pipeline.wording import as_label, counted

_console = Console()

_LINES_BELOW = 6
"""Of the terminal, that the members leave to their head, their foot and the prompt."""


class SweepDisplay(LiveDisplay):
    """How far a sweep is.

    Args:
        space: that is searched.
        table: of the trials so far.
    """

    def __init__(self, space: Space, table: pd.DataFrame) -> None:
        self._space, self._table = space, table
        self._began, self._before = time.monotonic(), len(table)
        super().__init__(_console)

    def begin(self, number: int, values: Mapping[str, Any]) -> None:
        """Show that a trial begins."""
        shown = ", ".join(
            f"{key.rpartition('.')[2]} {as_label(value)}" for key, value in values.items()
        )
        about = "params.yaml as it is: " if number == 0 else ""
        self._print(f"trial {number}: {about}{shown}")

    def confirm(self, number: int) -> None:
        """Show that the winner is compared."""
        folds = " ".join(map(str, self._space.file.confirm_on))
        self._print(f"trial {number} has won; it and params.yaml are compared on folds {folds}")

    def finish(self, table: pd.DataFrame) -> None:
        """Show what the last trial came to.

        Args:
            table: of all trials so far.
        """
        self._table = table
        row = table.iloc[-1]
        left = f"; {self._left()}" if self._left() else ""
        if row["outcome"] == "complete":
            log_loss = f"log loss {row['log_loss']:.5f}"
            errors = counted(row["errors"], "error")
            said = f"{log_loss}, {errors} in {row['images']:,} images"
        else:
            said = f"{row['outcome']}: {row['reason']}"
        self._print(f"trial {row['trial']}: {said}{left}")

    def _left(self) -> str:
        """How long the trials that are left take, as far as those of this run tell."""
        done = len(self._table) - self._before
        left = self._space.file.trials + 1 - len(self._table)
        if not done or left <= 0:
            return ""
        return f"about {clock(left * (time.monotonic() - self._began) / done)} left"

    def show(self, running: Mapping[int, Mapping[Member, Job]], tracker: JobTracker) -> None:
        """Draw the members that are being trained."""
        if not self._live.is_started:
            return
        rows = [
            (number, member, tracker.history(job.key), tracker.last_epochs.get(job.key))
            for number, jobs in running.items()
            for member, job in jobs.items()
            if job.key not in tracker.finished
        ]
        table = Table("trial", "member", "epoch", "val_loss", box=None, pad_edge=False)
        for number, member, history, last in rows[: max(1, _console.height - _LINES_BELOW)]:
            epoch = f"{len(history)}/{last}" if last else "waiting"
            val_loss = history[-1].get("val_loss") if history else None
            loss = "" if val_loss is None else f"{val_loss:.4f}"
            table.add_row(str(number), Text(member.name), epoch, loss)
        self._live.update(Group(table, Text(self._summarize())), refresh=True)

    def _summarize(self) -> str:
        outcomes = self._table["outcome"]
        said = [f"{len(outcomes)} of {self._space.file.trials + 1} trials"]
        if stopped := int((outcomes == "stopped").sum()):
            said.append(f"{stopped} stopped early")
        return " · ".join([*said, *([self._left()] if self._left() else [])])

    def _print(self, line: str) -> None:
        _console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

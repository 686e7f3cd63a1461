"""What a training shows while it runs."""

from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_console = Console()


class FinishedEpoch(NamedTuple):
    """What is shown of an epoch.

    Attributes:
        row: epoch (from 1), images, loss, accuracy, seconds and, with a validation set, val_loss
            and val_accuracy.
        last_epoch: after which the training ends, as far as is known.
        is_best: whether its weights are the best so far.
    """

    row: Mapping[str, float]
    last_epoch: int
    is_best: bool


class ShownTraining(Protocol):
    """What a training tells of itself while it runs."""

    def __enter__(self) -> Self:
        """Begin to show it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End to show it."""

    def advance(self, epochs: float) -> None:
        """So many epochs are done, the running one in part."""

    def finish_epoch(self, finished: FinishedEpoch) -> None:
        """An epoch is done."""


class EpochDisplay:
    """A bar with an estimate of the longest possible wait; in a log, a line per epoch."""

    def __init__(self, name: str, max_epochs: int, finished_epochs: int) -> None:
        self._name, self._last_epoch = name, max_epochs
        if finished_epochs:
            print_line(f"{name}: continuing after epoch {finished_epochs}")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("· at most"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=_console,
            transient=True,
            disable=not _console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=max_epochs, completed=finished_epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def advance(self, epochs: float) -> None:
        """Show that so many epochs are done, the running one in part."""
        self._bar.update(
            self._task,
            completed=epochs,
            total=self._last_epoch,
            description=f"{self._name} · epoch {-int(-epochs // 1)}/{self._last_epoch}",
        )

    def finish_epoch(self, finished: FinishedEpoch) -> None:
        """Print the line of an epoch."""
        row, self._last_epoch = finished.row, finished.last_epoch
        figures = [f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"]
        if "val_loss" in row:
            figures += [f"val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"]
        epoch = f"epoch {row['epoch']:2.0f}/{self._last_epoch}"
        print_line(f"{self._name}  {epoch}  {row['seconds']:5.1f} s  {'  '.join(figures)}")


def print_line(line: str) -> None:
    """Print a line above the bar, if there is one."""
    _console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

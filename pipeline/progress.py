"""What a training shows while it runs."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn

_console = Console()

_AVERAGED_EPOCHS = 4
"""Epochs whose time tells that of the next; they leave out different numbers of images."""


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


Watcher = Callable[[str, FinishedEpoch], None]
"""Is given the name of a training and an epoch that it has finished."""

_watchers: list[Watcher] = []


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Give ``watcher``, too, each epoch that a training of this process finishes in the block."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


class EpochDisplay:
    """A bar in a terminal, and a line per epoch that says how long it takes at most from here."""

    def __init__(self, name: str, max_epochs: int, finished_epochs: int) -> None:
        self._name, self._last_epoch = name, max_epochs
        self._seconds: deque[float] = deque(maxlen=_AVERAGED_EPOCHS)
        self._is_first = True
        if finished_epochs:
            print_line(f"{name}: continuing after epoch {finished_epochs}")
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=_console,
            transient=True,
            disable=not _console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=max_epochs, completed=finished_epochs, left="")

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
            description=f"{self._name}  epoch {math.ceil(epochs)}/{self._last_epoch}",
            left=self._left(epochs),
        )

    def finish_epoch(self, finished: FinishedEpoch) -> None:
        """Print the line of an epoch; that of the last one is marked if its weights are kept."""
        row, self._last_epoch = finished.row, finished.last_epoch
        for watcher in _watchers:
            watcher(self._name, finished)
        if not self._is_first:  # it compiles as well
            self._seconds.append(row["seconds"])
        self._is_first = False
        is_last = row["epoch"] >= self._last_epoch
        note = "kept" if is_last and finished.is_best else self._left(row["epoch"])
        figures = f"loss {row['loss']:.4f}"
        if "val_loss" in row:
            figures += f"  val_loss {row['val_loss']:.4f}  val_acc {row['val_accuracy']:.3f}"
        else:
            figures += f"  accuracy {row['accuracy']:.4f}"
        epoch = f"epoch {row['epoch']:2.0f}/{self._last_epoch}"
        print_line(f"{self._name}  {epoch}  {note:>9}  {figures}")

    def _left(self, epochs: float) -> str:
        """How long the epochs after these take, as far as is known; empty where it is not."""
        if not self._seconds or epochs >= self._last_epoch:
            return ""
        return f"{clock((self._last_epoch - epochs) * fmean(self._seconds))} left"


def clock(duration: float) -> str:
    """Seconds as people read them: ``0:07``, ``12:34``, ``1:02:03``."""
    minutes, seconds = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    hour = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{hour}:{seconds:02}"


def print_line(line: str) -> None:
    """Print a line above the bar, if there is one."""
    _console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """Rows below what is printed, drawn again in place; on a terminal alone.

    Args:
        console: that shows them.
    """

    def __init__(self, console: Console) -> None:
        self._is_shown = console.is_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._is_shown:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

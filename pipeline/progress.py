"""What a training shows while it runs."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.training.state import TrainingState

_console = Console()


class EpochDisplay:
    """A bar with an estimate of the longest possible wait; in a log, a line per epoch."""

    def __init__(self, name: str, max_epochs: int) -> None:
        self._name, self._max_epochs = name, max_epochs
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

    def __enter__(self) -> Self:
        self._task = self._bar.add_task(self._name, total=self._max_epochs)
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def advance(self, epoch: int, share: float) -> None:
        """Show that ``share`` of an epoch, counted from 0, is done."""
        description = f"{self._name} · epoch {epoch + 1} of at most {self._max_epochs}"
        self._bar.update(self._task, completed=epoch + share, description=description)

    def finish_epoch(self, state: TrainingState) -> None:
        """Print the line of the last epoch."""
        row, epoch = state.history[-1], len(state.history)
        figures = [f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"]
        if "stopping_loss" in row:
            falling = state.anneal_after is not None and epoch > state.anneal_after
            best = " ← best" if state.kept_epoch == epoch else ""
            marker = " ↓ learning rate" if falling else best
            figures.append(
                f"stopping slice: loss {row['stopping_loss']:.4f}  "
                f"accuracy {row['stopping_accuracy']:.4f}{marker}"
            )
        print_line(f"{self._name}  epoch {epoch:3}  {row['seconds']:5.1f} s  {'  '.join(figures)}")


def print_line(line: str) -> None:
    """Print a line above the bar, if there is one."""
    _console.print(line, highlight=False, soft_wrap=True)

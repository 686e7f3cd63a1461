"""What a fit leaves on disk after each epoch, so that it survives being killed at any moment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, open_file
from pipeline.progress import print_line
from pipeline.stored import Arrays, read_arrays

Weights = list[NDArray[Any]]


@dataclass
class TrainingState:
    """Where a fit stands after its last finished epoch.

    Attributes:
        history: one mapping per finished epoch: epoch (from 1), images, loss, accuracy, seconds
            and, with a validation set, val_loss and val_accuracy.
        best_epoch: the epoch with the lowest validation loss until the decay begins; then, or
            without a validation set, the last one.
        decay_from_epoch: the last epoch at the full learning rate, once that is known.
        finished: whether the fit has ended.
        weights: the model's weights.
        optimizer: the optimizer's variables.
        best_weights: the model's weights after ``best_epoch``.
        row_losses: a single array: each training image's loss when it was last fitted.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    decay_from_epoch: int | None = None
    finished: bool = False
    weights: Weights = field(default_factory=list)
    optimizer: Weights = field(default_factory=list)
    best_weights: Weights = field(default_factory=list)
    row_losses: Weights = field(default_factory=list)

    def groups(self) -> dict[str, Weights]:
        """The lists of arrays, by name."""
        return {
            "weights": self.weights,
            "optimizer": self.optimizer,
            "best_weights": self.best_weights,
            "row_losses": self.row_losses,
        }

    def save(self, path: Path) -> None:
        """Write everything to one npz, whole or not at all."""
        arrays = {
            f"{name}/{index}": array
            for name, group in self.groups().items()
            for index, array in enumerate(group)
        }
        scalars = {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "decay_from_epoch": self.decay_from_epoch,
            "finished": self.finished,
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, scalars=np.array(json.dumps(scalars)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read what `save` wrote; a fresh state if there is nothing."""
        if not path.exists():
            return cls()
        with _read(path) as arrays:
            state = cls(**json.loads(str(arrays["scalars"])))
            for name, array in arrays.items():
                group, _, index = name.partition("/")
                if index:
                    state.groups()[group].append(array)
        return state

    @staticmethod
    def is_finished(path: Path) -> bool:
        """Whether the fit that `save` wrote down has ended; its weights are not read."""
        if not path.exists():
            return False
        with _read(path, "scalars") as arrays:
            return bool(json.loads(str(arrays["scalars"]))["finished"])


@contextmanager
def _read(path: Path, *names: str) -> Iterator[Arrays]:
    """The arrays of a state's npz; all of them if none is named."""
    with (
        corruption_as(
            lambda reason: ArtifactError(
                f"{path}, the state of an interrupted training run, is damaged: {reason}. "
                "Delete it to start that run over, then run: dvc repro"
            )
        ),
        open_file(path) as file,
    ):
        yield read_arrays(file, names or None)


@contextmanager
def training_lock(path: Path, name: str) -> Iterator[None]:
    """Hold a member's lock file; if another process holds it, say so and wait.

    Ending DVC leaves its trainer running: the next one then waits here, and finds the work done if
    it was the same work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print_line(f"{name}: another process is training this member; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

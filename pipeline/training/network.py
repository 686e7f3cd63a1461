"""A network on its way from the data to its folder: rows selected, weights fitted, files written.

Who calls it gives the architectures, as a function from a name to a model.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipeline import progress
from pipeline.data.dataset import Provenance, TrainingDigits
from pipeline.data.folds import split_validation
from pipeline.data.preprocessing import preprocess
from pipeline.networks.backend import keras, make_repeatable, tf
from pipeline.networks.devices import CPU, gpu_errors
from pipeline.networks.record import MemberRecord, write_record
from pipeline.networks.trained import save_model
from pipeline.progress import EpochDisplay
from pipeline.training import loop
from pipeline.training.state import TrainingState
from pipeline.training.task import Task

Build = Callable[[str], keras.Model]
"""From the name of an architecture to a fresh model."""


@dataclass(frozen=True)
class Rows:
    """Rows of the training data, none of them in the member's fold.

    Attributes:
        training: ``(n,)``, to fit.
        validation: ``(m,)``, to decide when the learning rate falls; may be empty.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]


@dataclass(frozen=True)
class FittedNetwork:
    """What a finished fit gives.

    Attributes:
        model: with the best weights.
        state: the finished one.
        rows: on which it was fitted and validated.
    """

    model: keras.Model
    state: TrainingState
    rows: Rows


def select_rows(task: Task, data: TrainingDigits) -> Rows:
    """The rows to fit and those of the validation set; none of them in the member's fold."""
    nothing = np.empty(0, dtype=np.intp)
    if task.member.fold == "all":
        return Rows(np.arange(len(data.labels)), nothing)
    rows = np.flatnonzero(data.folds != task.member.fold)
    if task.validation_fraction == 0:
        return Rows(rows, nothing)
    return Rows(
        *split_validation(data.labels, rows, fraction=task.validation_fraction, seed=task.seed)
    )


def fit(task: Task, data: TrainingDigits, build: Build) -> FittedNetwork:
    """Fit a network, from where an interrupted run left it; the caller holds ``task.lock``.

    A finished state is taken over as it is. The first weights are drawn on the CPU, so that they
    are the same on each device.

    Raises:
        PipelineError: the loss is not finite, or the GPU fails.
    """
    rows = select_rows(task, data)
    if TrainingState.is_finished(task.state):
        state = TrainingState.load(task.state)
        with tf.device(CPU.placement):
            model = build(task.member.architecture)
            model.set_weights(state.best_weights)
        return FittedNetwork(model, state, rows)
    images = np.stack([preprocess(data.images, view) for view in task.member.views])
    validation = images[:, rows.validation], data.labels[rows.validation]
    where = f" on the GPU, {task.device.gpu.name}" if task.device.gpu else ""
    progress.print_line(f"{task.name}: {task.member.architecture} in {task.compute_dtype}{where}")
    make_repeatable(task.seed)
    with tf.device(CPU.placement):
        model = build(task.member.architecture)
    with gpu_errors(task.device):
        state = loop.fit(
            model,
            images[:, rows.training],
            data.labels[rows.training],
            validation=validation if rows.validation.size else None,
            recipe=task.recipe,
            compute_dtype=task.compute_dtype,
            device=task.device,
            seed=task.seed,
            state_path=task.state,
            show=lambda finished: EpochDisplay(task.name, task.recipe.max_epochs, finished),
        )
    return FittedNetwork(model, state, rows)


def fit_ahead(tasks: Sequence[Task], data: TrainingDigits, build: Build) -> None:
    """Fit networks, as far as no other process does, and leave them as finished states."""
    for task in tasks:
        with suppress(Timeout), FileLock(task.lock, timeout=0):
            if not task.is_done:
                fit(task, data, build)


def write_network(
    folder: Path, task: Task, fitted: FittedNetwork, *, provenance: Provenance, threads: int
) -> MemberRecord:
    """Write the model, its history and its record into ``folder``; give the record.

    Args:
        folder: is made; commonly a temporary one that becomes ``task.folder``.
        task: what was trained.
        fitted: what `fit` gave.
        provenance: of the data.
        threads: how many operations ran side by side.
    """
    member, history = task.member, fitted.state.history
    record = MemberRecord(
        fold=member.fold,
        seed=member.seed,
        network=member.network,
        architecture=member.architecture,
        preprocessing=task.conditions.preprocessing,
        provenance=provenance,
        parameters=fitted.model.count_params(),
        epochs=len(history),
        best_epoch=fitted.state.best_epoch,
        training_images=len(fitted.rows.training),
        validation_images=len(fitted.rows.validation),
        training_seconds=round(sum(row["seconds"] for row in history), 1),
        threads=threads,
        conditions=task.conditions,
    )
    save_model(fitted.model, folder / "model.keras")
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    write_record(folder, record)
    return record

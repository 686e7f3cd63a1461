"""One network, fitted: the input pipeline, early stopping, and a state that survives being killed.

An epoch's order of images, its warps and its dropout masks are drawn from (seed, epoch) alone, and
after each epoch the whole state is put on disk in one rename. A run that is killed at any moment
therefore continues at its last finished epoch and ends with the same bits as an undisturbed one.
Keras's own ``BackupAndRestore`` forgets the best value that ``EarlyStopping`` and
``ModelCheckpoint`` had seen (keras#17012), so the three are one callback here.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.augmentation import Warp, apply_transforms, draw_transforms
from pipeline.backend import keras, tf
from pipeline.digits import Images, Labels
from pipeline.errors import ArtifactError, PipelineError
from pipeline.files import replacing, tells_of_damage

Weights = list[NDArray[Any]]

_STOPPING_BATCH = 1_000

_console = Console()


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    Attributes:
        batch_size: images per step.
        learning_rate: of Adam, constant until the anneal.
        max_epochs: bound on the number of epochs; all are run where nothing stops the fit.
        patience_epochs: after so many epochs without a lower loss on the stopping slice, the
            anneal begins.
        anneal_epochs: epochs in which the learning rate falls linearly to zero before the end;
            with 0 the fit just stops.
        warp: the augmentation.
    """

    batch_size: int
    learning_rate: float
    max_epochs: int
    patience_epochs: int
    anneal_epochs: int
    warp: Warp


@dataclass
class TrainingState:
    """Where a fit stands after its last finished epoch.

    Attributes:
        history: one mapping per finished epoch: epoch (from 1), loss, accuracy, seconds and, with
            a stopping slice, stopping_loss and stopping_accuracy.
        best_epoch: the epoch with the lowest stopping loss, or the last one without a slice.
        anneal_after: the last epoch at the full learning rate, once that is known.
        finished: whether the fit has ended.
        weights: the model's weights.
        optimizer: the optimizer's variables.
        best_weights: the model's weights after ``best_epoch``.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    anneal_after: int | None = None
    finished: bool = False
    weights: Weights = field(default_factory=list)
    optimizer: Weights = field(default_factory=list)
    best_weights: Weights = field(default_factory=list)

    def groups(self) -> dict[str, Weights]:
        """The lists of arrays, by name."""
        return {
            "weights": self.weights,
            "optimizer": self.optimizer,
            "best_weights": self.best_weights,
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
            "anneal_after": self.anneal_after,
            "finished": self.finished,
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, scalars=np.array(json.dumps(scalars)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read what `save` wrote; a fresh state if there is nothing."""
        if not path.exists():
            return cls()
        try:
            with np.load(path, allow_pickle=False) as arrays:
                state = cls(**json.loads(str(arrays["scalars"])))
                for name in arrays.files:
                    group, _, index = name.partition("/")
                    if index:
                        state.groups()[group].append(arrays[name])
        except Exception as error:
            if not (tells_of_damage(error) or isinstance(error, TypeError)):
                raise
            raise ArtifactError(
                f"{path}, the state of an interrupted training run, is damaged: {error}. "
                "Delete it to start that run over, then run: dvc repro"
            ) from None
        return state


@contextmanager
def held(path: Path, name: str) -> Iterator[None]:
    """Hold a member's lock file; if another process holds it, say so and wait.

    Ending DVC leaves its trainer running: the next one then waits here, and finds the work done if
    it was the same work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"{name}: another process is training this member; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def fit(
    model: keras.Model,
    images: Images,
    labels: Labels,
    *,
    stopping: tuple[Images, Labels] | None,
    recipe: Recipe,
    seed: int,
    state_path: Path,
    name: str,
) -> TrainingState:
    """Fit ``model`` in place, from its saved state if there is one, and give it its best weights.

    Args:
        model: uncompiled, uint8 images ``(n, 28, 28)`` to logits ``(n, 10)``.
        images: uint8 ``(n, 28, 28)`` to fit.
        labels: uint8 ``(n,)``.
        stopping: images and labels that decide when to stop and which epoch is best; without
            them all of ``recipe.max_epochs`` are run and the last is taken.
        recipe: how to fit.
        seed: the member's own; the model's initial weights must come from it as well.
        state_path: the npz where the state lives; it must belong to exactly these arguments, and
            the caller must keep other processes off it (`held`).
        name: of the member, for the progress display.

    Returns:
        The finished state.

    Raises:
        PipelineError: the loss is not finite.
    """
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    optimizer.build(model.trainable_variables)

    state = TrainingState.load(state_path)
    if not state.history and recipe.max_epochs <= recipe.anneal_epochs:
        state.anneal_after = 0
    if state.history:
        _say(f"{name}: continuing after epoch {len(state.history)}")
        model.set_weights(state.weights)
        for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
    if not state.finished:
        steps = -(-len(images) // recipe.batch_size)
        with _ShowProgress(state, name, recipe.max_epochs, steps) as progress:
            model.fit(
                augmented_batches(images, labels, recipe, seed, first_epoch=len(state.history)),
                steps_per_epoch=steps,
                initial_epoch=len(state.history),
                epochs=recipe.max_epochs,
                validation_data=stopping,
                validation_batch_size=_STOPPING_BATCH,
                shuffle=False,
                verbose=0,
                callbacks=[_KeepState(state, state_path, recipe, seed, steps), progress],
            )
    model.set_weights(state.best_weights)
    return state


def augmented_batches(
    images: Images, labels: Labels, recipe: Recipe, seed: int, *, first_epoch: int
) -> tf.data.Dataset:
    """Warped images and labels in batches, all epochs from ``first_epoch`` (from 0) end to end."""
    all_images, all_labels = tf.constant(images), tf.constant(labels)

    def draw_epochs() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for epoch in range(first_epoch, recipe.max_epochs):
            generator = np.random.default_rng([seed, epoch])
            order = generator.permutation(len(images))
            yield order, draw_transforms(recipe.warp, len(images), generator)

    def gather(order: tf.Tensor, transforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            apply_transforms(tf.gather(all_images, order), transforms),
            tf.gather(all_labels, order),
        )

    epochs = tf.data.Dataset.from_generator(
        draw_epochs,
        output_signature=(
            tf.TensorSpec([len(images)], tf.int64),
            tf.TensorSpec([len(images), 8], tf.float32),
        ),
    )
    steps = epochs.flat_map(
        lambda *epoch: tf.data.Dataset.from_tensor_slices(epoch).batch(recipe.batch_size)
    )
    return steps.map(gather, num_parallel_calls=2, deterministic=True).prefetch(8)


class _KeepState(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets an epoch's dropout and learning rate, judges and saves it, and ends the fit in time."""

    def __init__(
        self, state: TrainingState, path: Path, recipe: Recipe, seed: int, steps: int
    ) -> None:
        super().__init__()
        self._state, self._path, self._recipe, self._seed = state, path, recipe, seed
        self._steps = steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch, self._began = epoch, time.perf_counter()
        generator = np.random.default_rng([self._seed, epoch, 1])
        for variable in self.model.non_trainable_variables:
            if variable.path.endswith("seed_generator_state"):
                variable.assign(generator.integers(2**32, size=2, dtype=np.uint32))

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._state.anneal_after is not None:
            annealed = self._epoch - self._state.anneal_after + batch / self._steps
            share = 1 - annealed / min(self._recipe.anneal_epochs, self._recipe.max_epochs)
            self.model.optimizer.learning_rate = self._recipe.learning_rate * share

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        state, recipe, logs = self._state, self._recipe, logs or {}
        row: dict[str, float] = {"epoch": epoch + 1}
        row |= {key.replace("val_", "stopping_"): float(value) for key, value in logs.items()}
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        judged = "stopping_loss" if "stopping_loss" in row else "loss"
        if not np.isfinite([row["loss"], row[judged]]).all():
            raise PipelineError(
                f"Training went astray: in epoch {epoch + 1} the loss is {row['loss']} on training "
                f"images and {row[judged]} on those that judge it, expected finite numbers. Lower "
                "train.learning_rate in params.yaml."
            )
        state.weights = self.model.get_weights()
        state.optimizer = [np.array(variable) for variable in self.model.optimizer.variables]
        best = state.history[state.best_epoch - 1][judged] if state.history else np.inf
        if judged == "loss" or row[judged] < best:
            state.best_epoch, state.best_weights = epoch + 1, state.weights
        state.history.append(row)

        out_of_patience = epoch + 1 - state.best_epoch >= recipe.patience_epochs
        if state.anneal_after is None and (
            out_of_patience or epoch + 1 >= recipe.max_epochs - recipe.anneal_epochs
        ):
            state.anneal_after = epoch + 1
        state.finished = epoch + 1 == recipe.max_epochs or (
            state.anneal_after is not None
            and epoch + 1 >= state.anneal_after + recipe.anneal_epochs
        )
        state.save(self._path)
        self.model.stop_training = state.finished


class _ShowProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """A bar with an estimate of the longest possible wait; in a log, a line per epoch."""

    def __init__(self, state: TrainingState, name: str, max_epochs: int, steps: int) -> None:
        super().__init__()
        self._state, self._name, self._max_epochs, self._steps = state, name, max_epochs, steps
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps · at most"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=_console,
            transient=True,
            disable=not _console.is_terminal,
        )

    def __enter__(self) -> Self:
        finished = len(self._state.history) * self._steps
        self._task = self._bar.add_task(
            self._name, total=self._max_epochs * self._steps, completed=finished
        )
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        description = f"{self._name} · epoch {epoch + 1} of at most {self._max_epochs}"
        self._bar.update(self._task, description=description)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.advance(self._task)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = self._state.history[-1]
        figures = [f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"]
        if "stopping_loss" in row:
            marker = " ← best" if self._state.best_epoch == epoch + 1 else ""
            figures.append(
                f"stopping slice: loss {row['stopping_loss']:.4f}  "
                f"accuracy {row['stopping_accuracy']:.4f}{marker}"
            )
        _say(f"{self._name}  epoch {epoch + 1:3}  {row['seconds']:5.1f} s  {'  '.join(figures)}")


def _say(line: str) -> None:
    _console.print(line, highlight=False, soft_wrap=True)

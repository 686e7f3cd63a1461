"""One network, fitted: epochs, early stopping, and a state that survives a kill.

What the epochs do to one another goes through `TrainingState` alone; everything else of an epoch,
its images, their order, their warps and the dropout masks, is drawn from (seed, epoch). A run that
is killed at any moment therefore continues after its last finished epoch and ends with the same
bits as an undisturbed one. The loop is written out, and not Keras's ``fit``, because an epoch
chooses its images by the losses of the one before.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Images, Labels
from pipeline.errors import PipelineError
from pipeline.networks.backend import ComputeDtype, keras
from pipeline.networks.devices import Device
from pipeline.progress import FinishedEpoch, ShownTraining
from pipeline.training.epoch import EpochPlan
from pipeline.training.recipe import Recipe
from pipeline.training.state import TrainingState
from pipeline.training.step import TrainStep

_KEEP_ALL_BELOW = 1 / 8
"""Epochs that begin below this fraction of the highest learning rate leave no image out."""


def fit(
    model: keras.Model,
    images: Images,
    labels: Labels,
    *,
    validation: tuple[Images, Labels] | None,
    recipe: Recipe,
    compute_dtype: ComputeDtype,
    device: Device,
    seed: int,
    state_path: Path,
    show: Callable[[int], ShownTraining],
) -> TrainingState:
    """Fit ``model`` in place, from its saved state if there is one; leave it the best weights.

    Args:
        model: uncompiled, uint8 images ``(n, 28, 28)`` to logits ``(n, 10)``.
        images: uint8 ``(views, n, 28, 28)`` to fit: each epoch shows an image in one of its views.
        labels: uint8 ``(n,)``.
        validation: images, in the same views, and labels that decide when the learning rate begins
            to fall, or, where it does not fall, when to stop and which epoch is best; without them
            all of ``recipe.max_epochs`` are run. After a decay the last epoch is the best: what the
            noise of a high learning rate lends a single epoch on a small set is luck. Each view is
            evaluated by itself: the average of their predictions, which counts later, errs less.
        recipe: how to fit.
        compute_dtype: of the layers while they train; ``model`` stays float32.
        device: where they train.
        seed: the member's own; the model's initial weights must come from it as well.
        state_path: the npz where the state lives; it must belong to exactly these arguments, and
            the caller must keep other processes off it (`training_lock`).
        show: from the number of epochs already finished to what shows the progress.

    Returns:
        The finished state.

    Raises:
        PipelineError: the loss is not finite.
    """
    run = _Run(
        TrainStep(
            model, images, labels, recipe.learning_rate, compute_dtype, recipe.batch_parts, device
        ),
        len(images),
        len(labels),
        _stack_views(*validation) if validation is not None else None,
        recipe,
        seed,
        TrainingState.load(state_path),
    )
    state = run.state
    run.restore()
    with show(len(state.history)) as shown:
        while not state.finished:
            row = run.run_epoch(shown.advance)
            run.note_epoch(row)
            state.save(state_path)
            shown.finish_epoch(
                FinishedEpoch(row, run.last_epoch(), is_best=state.best_epoch == row["epoch"])
            )
    model.set_weights(state.best_weights)
    return state


def _stack_views(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """Images ``(views, n, 28, 28)`` as one row of ``views * n``, and their labels."""
    return np.concatenate(images), np.tile(labels, len(images))


@dataclass(frozen=True)
class _Run:
    """What the epochs of a fit share; they change the step's weights and the state alone."""

    step: TrainStep
    num_views: int
    num_images: int
    validation: tuple[Images, Labels] | None
    recipe: Recipe
    seed: int
    state: TrainingState

    def restore(self) -> None:
        """Bring the step to where the state stands, or set up the state of a fresh fit."""
        if self.state.history:
            self.step.model.set_weights(self.state.weights)
            for variable, value in zip(
                self.step.optimizer.variables, self.state.optimizer, strict=True
            ):
                variable.assign(value)
            return
        self.state.row_losses = [np.full(self.num_images, np.inf, dtype=np.float32)]
        if self.recipe.max_epochs <= self.recipe.decay_epochs:
            self.state.decay_from_epoch = 0

    def run_epoch(self, advance: Callable[[float], None]) -> dict[str, float]:
        """Run the next epoch, note each image's loss in the state, and describe the epoch."""
        began, epoch, recipe = time.perf_counter(), len(self.state.history), self.recipe
        (row_losses,), decay_from = self.state.row_losses, self.state.decay_from_epoch
        fraction = recipe.learning_rate_fraction(epoch, decay_from)
        keep_all = epoch == 0 or fraction < _KEEP_ALL_BELOW
        generator = np.random.default_rng([self.seed, epoch])
        plan = EpochPlan.draw(row_losses, self.num_views, recipe, generator, keep_all=keep_all)
        self.step.reseed_dropout(np.random.default_rng([self.seed, epoch, 1]))

        losses, correct = [], []
        for number, batch in enumerate(plan.batches()):
            position = epoch + (number + 1 / 2) / plan.num_batches
            fraction = recipe.learning_rate_fraction(position, decay_from)
            batch_losses, batch_correct = self.step.fit(batch, recipe.learning_rate * fraction)
            losses.append(batch_losses)
            correct.append(batch_correct)
            advance(epoch + (number + 1) / plan.num_batches)
        row_losses[plan.rows] = np.concatenate([each.numpy() for each in losses])
        row = {
            "epoch": epoch + 1,
            "images": len(plan.rows),
            "loss": float(row_losses[plan.rows].mean(dtype=np.float64)),
            "accuracy": float(np.concatenate([each.numpy() for each in correct]).mean()),
        }
        if self.validation is not None:
            row["val_loss"], row["val_accuracy"] = self.step.evaluate(*self.validation)
        row["seconds"] = round(time.perf_counter() - began, 3)
        return row

    def note_epoch(self, row: dict[str, float]) -> None:
        """Bring the state up to date after the epoch that ``row`` describes."""
        state, recipe, epoch = self.state, self.recipe, len(self.state.history) + 1
        monitored = "val_loss" if self.validation is not None else "loss"
        if not np.isfinite([row["loss"], row[monitored]]).all():
            validated = f" and {row[monitored]} on the validation set" if self.validation else ""
            raise PipelineError(
                f"Training diverged in epoch {epoch}: the loss is {row['loss']} on training images"
                f"{validated}, expected finite numbers. Lower train.learning_rate in params.yaml."
            )
        state.weights = self.step.model.get_weights()
        state.optimizer = [np.array(variable) for variable in self.step.optimizer.variables]
        best = state.history[state.best_epoch - 1][monitored] if state.history else np.inf
        decays = state.decay_from_epoch is not None
        if self.validation is None or decays or row[monitored] < best:
            state.best_epoch, state.best_weights = epoch, state.weights
        state.history.append(row)

        out_of_patience = epoch - state.best_epoch >= recipe.patience_epochs
        if state.decay_from_epoch is None and (
            out_of_patience or epoch >= recipe.max_epochs - recipe.decay_epochs
        ):
            state.decay_from_epoch = epoch
        state.finished = epoch >= self.last_epoch()

    def last_epoch(self) -> int:
        """The epoch after which the fit ends, as far as is known."""
        if self.state.decay_from_epoch is None:
            return self.recipe.max_epochs
        return min(self.recipe.max_epochs, self.state.decay_from_epoch + self.recipe.decay_epochs)

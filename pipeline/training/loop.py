"""One network, fitted: schedule, pruned epochs, early stopping, and a state that survives a kill.

What the epochs do to one another goes through `TrainingState` alone; everything else of an epoch,
its images, their order, their warps and the dropout masks, is drawn from (seed, epoch). A run that
is killed at any moment therefore continues at its last finished epoch and ends with the same bits
as an undisturbed one. The loop is written out, and not Keras's ``fit``, because an epoch chooses
its images by the losses of the one before.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Labels
from pipeline.errors import PipelineError
from pipeline.networks.backend import keras, tf
from pipeline.progress import EpochDisplay, print_line
from pipeline.training.augmentation import Transforms, Warp, apply_transforms, draw_transforms
from pipeline.training.fast_layers import ComputeDtype, speed_up
from pipeline.training.state import TrainingState

Losses = NDArray[np.float32]

_STOPPING_BATCH = 1_000
_SMALLEST_PART = 64
"""Images that batch normalisation needs at least for statistics of its own."""

_WHOLE_BELOW = 1 / 8
"""Epochs that begin below this share of the highest learning rate leave no image out."""


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    The learning rate rises linearly, stays, and falls linearly to zero. With a long anneal it is
    the one-cycle schedule (Smith and Topin 2018); with a short one, that of a plateau.

    Attributes:
        batch_size: images per step, at most.
        learning_rate: of Adam, at its highest.
        max_epochs: bound on the number of epochs; all are run where nothing stops the fit.
        warmup_epochs: epochs in which the learning rate rises.
        patience_epochs: after so many epochs without a lower loss on the stopping slice, the
            anneal begins.
        anneal_epochs: epochs in which the learning rate falls to zero before the end; with 0 the
            fit just stops.
        pruned_fraction: share of the images of less than average loss that an epoch leaves out,
            drawn anew each time; the others of their kind count for more instead (InfoBatch, Qin
            et al. 2024). The first epoch and those at the end leave none out.
        warp: the augmentation.
    """

    batch_size: int
    learning_rate: float
    max_epochs: int
    warmup_epochs: int
    patience_epochs: int
    anneal_epochs: int
    pruned_fraction: float
    warp: Warp

    def learning_rate_share(self, position: float, anneal_after: int | None) -> float:
        """The learning rate at ``position``, in epochs from 0, as a share of the highest."""
        share = min(1.0, position / self.warmup_epochs) if self.warmup_epochs else 1.0
        if anneal_after is None or position <= anneal_after:
            return share
        annealed = (position - anneal_after) / min(self.anneal_epochs, self.max_epochs)
        return share * max(0.0, 1 - annealed)


class Step(NamedTuple):
    """What one step fits.

    Attributes:
        shown: int64 ``(m, 2)``, form and row of each image.
        transforms: float32 ``(m, 8)``, the warp of each.
        weights: float32 ``(m,)``, how much the loss of each counts.
    """

    shown: NDArray[np.int64]
    transforms: Transforms
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class EpochPlan:
    """What an epoch fits, in this order.

    Attributes:
        rows: ``(m,)``, of the images to fit.
        forms: ``(m,)``, the form in which each is shown.
        weights: float32 ``(m,)``, how much the loss of each counts.
        transforms: float32 ``(m, 8)``, the warp of each.
        num_steps: into how many batches of all but equal size they are divided.
    """

    rows: NDArray[np.int64]
    forms: NDArray[np.int64]
    weights: NDArray[np.float32]
    transforms: Transforms
    num_steps: int

    @classmethod
    def draw(
        cls,
        row_losses: Losses,
        num_forms: int,
        recipe: Recipe,
        generator: np.random.Generator,
        *,
        whole: bool,
    ) -> Self:
        """Draw the images of an epoch, their order, their forms and their warps.

        Args:
            row_losses: float32 ``(n,)``, of each image when it was last fitted.
            num_forms: in which an image may be shown.
            recipe: how to fit.
            generator: of this epoch alone.
            whole: leave none out.
        """
        kept = np.ones(len(row_losses), dtype=bool)
        weights = np.ones(len(row_losses), dtype=np.float32)
        if not whole:
            learned = row_losses < row_losses.mean()
            weights[learned] = 1 / (1 - recipe.pruned_fraction)
            kept = ~learned | (generator.random(len(row_losses)) >= recipe.pruned_fraction)
        rows = generator.permutation(np.flatnonzero(kept))
        transforms = draw_transforms(recipe.warp, len(rows), generator)
        forms = generator.integers(num_forms, size=len(rows))
        num_steps = -(-len(rows) // recipe.batch_size)
        return cls(rows, forms, weights[rows], transforms, num_steps)

    def steps(self) -> Iterator[Step]:
        """The batches, of all but equal size."""
        shown = np.stack([self.forms, self.rows], axis=1)
        for places in np.array_split(np.arange(len(self.rows)), self.num_steps):
            yield Step(shown[places], self.transforms[places], self.weights[places])


class Fitter:
    """A model in training: compiled steps around layers that are fast rather than portable.

    A step gathers and warps its own images, each of its parts on a thread of its own.

    Args:
        model: uncompiled, uint8 images ``(n, 28, 28)`` to logits ``(n, 10)``; it is not changed.
        images: uint8 ``(forms, n, 28, 28)``, of which each step shows some.
        labels: uint8 ``(n,)``.
        learning_rate: of Adam.
        compute_dtype: of the layers between the images and the logits.
        num_parts: into which a batch is divided, to go through the model side by side.
    """

    def __init__(
        self,
        model: keras.Model,
        images: Images,
        labels: Labels,
        learning_rate: float,
        compute_dtype: ComputeDtype,
        num_parts: int,
    ) -> None:
        self.num_parts = num_parts
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        self.model = speed_up(model, compute_dtype)
        self.optimizer = keras.optimizers.Adam(learning_rate)
        self.optimizer.build(self.model.trainable_variables)
        # One trace for all sizes of batches: another one could round otherwise after a resume.
        step = [
            tf.TensorSpec([None, 2], tf.int64),
            tf.TensorSpec([None, 8], tf.float32),
            tf.TensorSpec([None], tf.float32),
        ]
        judged = [
            tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE], tf.uint8),
            tf.TensorSpec([None], tf.uint8),
        ]
        self._fit = tf.function(self._fit_batch, step, jit_compile=False)
        self._judge = tf.function(self._judge_batch, judged, jit_compile=False)

    def reseed_dropout(self, generator: np.random.Generator) -> None:
        """Draw the dropout masks to come from ``generator``."""
        for variable in self.model.non_trainable_variables:
            if variable.path.endswith("seed_generator_state"):
                variable.assign(generator.integers(2**32, size=2, dtype=np.uint32))

    def fit(self, step: Step, learning_rate: float) -> tuple[Losses, NDArray[np.bool_]]:
        """Take one step; per image, the loss before it and whether the digit was right."""
        self.optimizer.learning_rate = learning_rate
        losses, right = self._fit(*step)
        return losses.numpy(), right.numpy()

    def judge(self, images: Images, labels: Labels) -> tuple[float, float]:
        """Mean loss and accuracy, without training."""
        parts = [
            self._judge(images[start : start + _STOPPING_BATCH], labels[start:][:_STOPPING_BATCH])
            for start in range(0, len(images), _STOPPING_BATCH)
        ]
        losses, right = (np.concatenate(part) for part in zip(*parts, strict=True))
        return float(losses.mean(dtype=np.float64)), float(right.mean())

    def show(self, shown: tf.Tensor, transforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The warped images ``(m, 28, 28)`` of a `Step`, and their labels."""
        images = tf.gather_nd(self._images, shown)
        return apply_transforms(images, transforms), tf.gather(self._labels, shown[:, 1])

    def _fit_batch(
        self, shown: tf.Tensor, transforms: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            parts = []
            for part in zip(self._divide(shown), self._divide(transforms), strict=True):
                images, labels = self.show(*part)
                parts.append(self._measure(self.model(images, training=True), labels))
            losses, right = (tf.concat(values, axis=0) for values in zip(*parts, strict=True))
            penalties = [tf.cast(penalty, tf.float32) for penalty in self.model.losses]
            loss = tf.add_n([tf.reduce_mean(losses * weights), *penalties])
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return losses, right

    def _divide(self, values: tf.Tensor) -> list[tf.Tensor]:
        bounds = [
            tf.shape(values)[0] * part // self.num_parts for part in range(self.num_parts + 1)
        ]
        return [values[start:end] for start, end in pairwise(bounds)]

    def _judge_batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._measure(self.model(images, training=False), labels)

    @staticmethod
    def _measure(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.cast(labels, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return losses, tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)


def count_parts(batch_size: int, threads: int) -> int:
    """Into how many parts a batch is divided that has so many threads.

    The kernels of small networks divide badly among threads, images do not. Each part is normalised
    by its own statistics (ghost batch normalisation, Hoffer et al. 2017, arXiv:1705.08741).
    """
    return max(1, min(threads, batch_size // _SMALLEST_PART))


def fit(
    model: keras.Model,
    images: Images,
    labels: Labels,
    *,
    stopping: tuple[Images, Labels] | None,
    recipe: Recipe,
    compute_dtype: ComputeDtype,
    num_parts: int,
    seed: int,
    state_path: Path,
    name: str,
) -> TrainingState:
    """Fit ``model`` in place, from its saved state if there is one; leave it the kept weights.

    Args:
        model: uncompiled, uint8 images ``(n, 28, 28)`` to logits ``(n, 10)``.
        images: uint8 ``(forms, n, 28, 28)`` to fit: each epoch shows an image in one of its forms.
        labels: uint8 ``(n,)``.
        stopping: images, in the same forms, and labels that decide when the learning rate begins
            to fall, or, where it does not fall, when to stop and which epoch is best; without them
            all of ``recipe.max_epochs`` are run. After a fall the last epoch is the best: what the
            noise of a high learning rate lends a single epoch on a small slice is luck. Each form
            is judged by itself: the average of the answers, which counts later, errs less.
        recipe: how to fit.
        compute_dtype: of the layers while they train; ``model`` stays float32.
        num_parts: of a batch, as `count_parts` gives them.
        seed: the member's own; the model's initial weights must come from it as well.
        state_path: the npz where the state lives; it must belong to exactly these arguments, and
            the caller must keep other processes off it (`training_lock`).
        name: of the member, for the progress display.

    Returns:
        The finished state.

    Raises:
        PipelineError: the loss is not finite.
    """
    run = _Run(
        Fitter(model, images, labels, recipe.learning_rate, compute_dtype, num_parts),
        len(images),
        len(labels),
        _show_all_forms(*stopping) if stopping is not None else None,
        recipe,
        seed,
        TrainingState.load(state_path),
    )
    state = run.state
    if state.history:
        print_line(f"{name}: continuing after epoch {len(state.history)}")
    run.restore()
    with EpochDisplay(name, recipe.max_epochs) as display:
        while not state.finished:
            run.note_epoch(run.run_epoch(display))
            state.save(state_path)
            display.finish_epoch(state)
    model.set_weights(state.kept_weights)
    return state


def _show_all_forms(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """Images ``(forms, n, 28, 28)`` as one row of ``forms * n``, and their labels."""
    return np.concatenate(images), np.tile(labels, len(images))


@dataclass(frozen=True)
class _Run:
    """What the epochs of a fit share; they change the fitter's weights and the state alone."""

    fitter: Fitter
    num_forms: int
    num_images: int
    stopping: tuple[Images, Labels] | None
    recipe: Recipe
    seed: int
    state: TrainingState

    def restore(self) -> None:
        """Bring the fitter to where the state stands, or set up the state of a fresh fit."""
        if self.state.history:
            self.fitter.model.set_weights(self.state.weights)
            for variable, value in zip(
                self.fitter.optimizer.variables, self.state.optimizer, strict=True
            ):
                variable.assign(value)
            return
        self.state.row_losses = [np.full(self.num_images, np.inf, dtype=np.float32)]
        if self.recipe.max_epochs <= self.recipe.anneal_epochs:
            self.state.anneal_after = 0

    def run_epoch(self, display: EpochDisplay) -> dict[str, float]:
        """Run the next epoch, note each image's loss in the state, and describe the epoch."""
        began, epoch, recipe = time.perf_counter(), len(self.state.history), self.recipe
        (row_losses,), anneal_after = self.state.row_losses, self.state.anneal_after
        whole = epoch == 0 or recipe.learning_rate_share(epoch, anneal_after) < _WHOLE_BELOW
        generator = np.random.default_rng([self.seed, epoch])
        plan = EpochPlan.draw(row_losses, self.num_forms, recipe, generator, whole=whole)
        self.fitter.reseed_dropout(np.random.default_rng([self.seed, epoch, 1]))

        losses, right = [], []
        for number, step in enumerate(plan.steps()):
            share = recipe.learning_rate_share(
                epoch + (number + 1 / 2) / plan.num_steps, anneal_after
            )
            step_losses, step_right = self.fitter.fit(step, recipe.learning_rate * share)
            losses.append(step_losses)
            right.append(step_right)
            display.advance(epoch, (number + 1) / plan.num_steps)
        row_losses[plan.rows] = np.concatenate(losses)
        row = {
            "epoch": epoch + 1,
            "images": len(plan.rows),
            "loss": float(row_losses[plan.rows].mean(dtype=np.float64)),
            "accuracy": float(np.concatenate(right).mean()),
        }
        if self.stopping is not None:
            row["stopping_loss"], row["stopping_accuracy"] = self.fitter.judge(*self.stopping)
        row["seconds"] = round(time.perf_counter() - began, 3)
        return row

    def note_epoch(self, row: dict[str, float]) -> None:
        """Bring the state up to date after the epoch that ``row`` describes."""
        state, recipe, epoch = self.state, self.recipe, len(self.state.history) + 1
        judged = "stopping_loss" if self.stopping is not None else "loss"
        if not np.isfinite([row["loss"], row[judged]]).all():
            raise PipelineError(
                f"Training went astray: in epoch {epoch} the loss is {row['loss']} on training "
                f"images and {row[judged]} on those that judge it, expected finite numbers. Lower "
                "train.learning_rate in params.yaml."
            )
        state.weights = self.fitter.model.get_weights()
        state.optimizer = [np.array(variable) for variable in self.fitter.optimizer.variables]
        best = state.history[state.kept_epoch - 1][judged] if state.history else np.inf
        is_annealed = state.anneal_after is not None
        if self.stopping is None or is_annealed or row[judged] < best:
            state.kept_epoch, state.kept_weights = epoch, state.weights
        state.history.append(row)

        out_of_patience = epoch - state.kept_epoch >= recipe.patience_epochs
        if state.anneal_after is None and (
            out_of_patience or epoch >= recipe.max_epochs - recipe.anneal_epochs
        ):
            state.anneal_after = epoch
        state.finished = epoch == recipe.max_epochs or (
            state.anneal_after is not None and epoch >= state.anneal_after + recipe.anneal_epochs
        )

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.dataset import Images, TrainingDigits
from pipeline.errors import ArtifactError, PipelineError
from pipeline.networks.backend import ComputeDtype, keras, make_repeatable
from pipeline.networks.devices import CPU, Device
from pipeline.progress import EpochDisplay
from pipeline.training import loop
from pipeline.training.augmentation import WarpLimits
from pipeline.training.recipe import Recipe
from pipeline.training.state import TrainingState, training_lock

RECIPE = Recipe(
    batch_size=16,
    batch_parts=1,
    learning_rate=0.01,
    max_epochs=6,
    warmup_epochs=1,
    patience_epochs=10,
    decay_epochs=2,
    pruned_fraction=0.5,
    warp=WarpLimits(rotation_degrees=5, shift_pixels=1, zoom_fraction=0.05),
)

DIVERGING = replace(RECIPE, learning_rate=0.9, decay_epochs=0, patience_epochs=2, max_epochs=60)
"""Soon gets worse, so that the best epoch is not the last."""


def small_model() -> keras.Model:
    """With what makes resuming hard, dropout and statistics that are not trained, and with every
    kind of layer that is sped up."""
    make_repeatable(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Reshape((28, 28, 1)),
            layers.AveragePooling2D(5),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )


def two_views(data: TrainingDigits) -> Images:
    """The images as they are, and upside down."""
    return np.stack([data.images, data.images[:, ::-1]])


def fit(
    data: TrainingDigits,
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    validation: bool = True,
    num_views: int = 1,
    compute_dtype: ComputeDtype = "float32",
    batch_parts: int = 1,
    device: Device = CPU,
) -> tuple[keras.Model, TrainingState]:
    model = small_model()
    images = two_views(data)[:num_views]
    held = (images[:, 40:], data.labels[40:]) if validation else None
    with training_lock(folder / "lock", "small"):
        state = loop.fit(
            model,
            images[:, :40],
            data.labels[:40],
            validation=held,
            recipe=replace(recipe, batch_parts=batch_parts),
            compute_dtype=compute_dtype,
            device=device,
            seed=7,
            state_path=folder / "state.npz",
            show=lambda finished: EpochDisplay("small", recipe.max_epochs, finished),
        )
    return model, state


class Killed(Exception):
    pass


def kill_after_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make training end abruptly once the state of ``epoch`` is on disk."""
    save = TrainingState.save

    def save_and_die(state: TrainingState, path: Path) -> None:
        save(state, path)
        if len(state.history) == epoch:
            raise Killed

    monkeypatch.setattr(TrainingState, "save", save_and_die)


def assert_equal_fits(
    one: tuple[keras.Model, TrainingState], other: tuple[keras.Model, TrainingState]
) -> None:
    for a, b in zip(one[0].get_weights(), other[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one[1].history, other[1].history, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert one[1].best_epoch == other[1].best_epoch


@pytest.mark.parametrize(("compute_dtype", "kills"), [("float32", (1, 4, 6)), ("bfloat16", (4,))])
def test_interrupted_fit_ends_like_an_undisturbed_one(
    compute_dtype: ComputeDtype,
    kills: tuple[int, ...],
    training_digits: TrainingDigits,
    tmp_path: Path,
) -> None:
    """Killed after the first epoch, in the midst and after the last; equal seeds, equal bits."""

    def fit_two_views(folder: Path) -> tuple[keras.Model, TrainingState]:
        return fit(training_digits, folder, num_views=2, compute_dtype=compute_dtype, batch_parts=2)

    undisturbed = fit_two_views(tmp_path / "a")
    for epoch in kills:
        with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
            kill_after_epoch(epoch, monkeypatch)
            fit_two_views(tmp_path / "b")
    assert_equal_fits(undisturbed, fit_two_views(tmp_path / "b"))


@pytest.mark.parametrize("num_views", [1, 2])
def test_model_ends_with_its_best_weights(
    num_views: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    """keras#17012: a restored fit must not take its first epoch for the best one so far."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(3, monkeypatch)
        fit(training_digits, tmp_path, DIVERGING, num_views=num_views)
    model, state = fit(training_digits, tmp_path, DIVERGING, num_views=num_views)
    losses = [row["val_loss"] for row in state.history]
    assert state.best_epoch == 1 + int(np.argmin(losses)) < len(state.history)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    views = two_views(training_digits)
    held = [(images[40:], training_digits.labels[40:]) for images in views]
    loss = np.mean([model.evaluate(*each, verbose=0) for each in held[:num_views]])
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_after_a_decay_of_the_learning_rate_the_last_weights_are_taken(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    labels = training_digits.labels.copy()
    labels[40:] = (labels[40:] + 1) % 10
    model, state = fit(replace(training_digits, labels=labels), tmp_path)
    losses = [row["val_loss"] for row in state.history]
    assert losses[-1] > min(losses)
    assert state.best_epoch == len(state.history)
    np.testing.assert_array_equal(model.get_weights()[0], state.weights[0])


def test_fit_stops_when_patience_and_decay_are_over(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    hopeless = replace(
        RECIPE, learning_rate=1e-12, patience_epochs=2, decay_epochs=3, max_epochs=50
    )
    _, state = fit(training_digits, tmp_path, hopeless)
    assert state.decay_from_epoch is not None
    patience_ran_out = [row["epoch"] for row in state.history][state.decay_from_epoch - 1]
    assert len(state.history) == patience_ran_out + 3 < 50


def test_without_a_validation_set_all_epochs_are_run_and_the_last_is_taken(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    model, state = fit(training_digits, tmp_path, validation=False)
    assert len(state.history) == state.best_epoch == RECIPE.max_epochs
    assert state.decay_from_epoch == RECIPE.max_epochs - RECIPE.decay_epochs
    np.testing.assert_array_equal(model.get_weights()[0], state.weights[0])


def test_images_left_out_are_those_that_the_history_counts(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, max_epochs=12, decay_epochs=10)
    _, state = fit(training_digits, tmp_path, recipe, validation=False)
    counts = [row["images"] for row in state.history]
    assert counts[0] == counts[-1] == 40
    assert min(counts) < 40


def test_infinite_loss_is_explained(training_digits: TrainingDigits, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"in epoch \d: the loss is (nan|inf).*learning_rate"):
        fit(training_digits, tmp_path, replace(RECIPE, learning_rate=1e30))


def test_damaged_state_is_explained(tmp_path: Path) -> None:
    weights = [np.random.default_rng(0).normal(size=(20, 20))]
    state = TrainingState([{"epoch": 1.0}], 1, None, False, weights, weights, weights, weights)
    state.save(tmp_path / "state.npz")
    content = (tmp_path / "state.npz").read_bytes()
    for place in (0, len(content) // 2, len(content) - 30):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "state.npz").write_bytes(damaged)
        with pytest.raises(ArtifactError, match="is damaged.*start that run over"):
            TrainingState.load(tmp_path / "state.npz")

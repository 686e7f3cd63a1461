from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import training
from pipeline.augmentation import Warp
from pipeline.backend import keras, make_repeatable
from pipeline.digits import TrainingDigits
from pipeline.errors import ArtifactError, PipelineError
from pipeline.training import Recipe, TrainingState

RECIPE = Recipe(
    batch_size=16,
    learning_rate=0.01,
    max_epochs=6,
    patience_epochs=10,
    anneal_epochs=2,
    warp=Warp(rotation_degrees=5, shift_pixels=1, zoom_fraction=0.05),
)

DIVERGING = replace(RECIPE, learning_rate=0.9, anneal_epochs=0, patience_epochs=2, max_epochs=60)
"""Soon gets worse, so that the best epoch is not the last."""


def small_model() -> keras.Model:
    """With what makes resuming hard: dropout, and statistics that are not trained."""
    make_repeatable(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )


def fit(
    data: TrainingDigits, folder: Path, recipe: Recipe = RECIPE, *, stopping: bool = True
) -> tuple[keras.Model, TrainingState]:
    model = small_model()
    judge = (data.images[40:], data.labels[40:]) if stopping else None
    with training.held(folder / "lock", "small"):
        state = training.fit(
            model,
            data.images[:40],
            data.labels[:40],
            stopping=judge,
            recipe=recipe,
            seed=7,
            state_path=folder / "state.npz",
            name="small",
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


def test_same_seed_gives_the_same_bits(training_digits: TrainingDigits, tmp_path: Path) -> None:
    first, second = fit(training_digits, tmp_path / "a"), fit(training_digits, tmp_path / "b")
    assert_equal_fits(first, second)


@pytest.mark.parametrize("epoch", [1, 4, 6])
def test_interrupted_fit_ends_like_an_undisturbed_one(
    epoch: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    undisturbed = fit(training_digits, tmp_path / "a")
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(epoch, monkeypatch)
        fit(training_digits, tmp_path / "b")
    assert_equal_fits(undisturbed, fit(training_digits, tmp_path / "b"))


def test_best_epoch_survives_an_interruption(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    """keras#17012: a restored fit must not take its first epoch for the best one so far."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(3, monkeypatch)
        fit(training_digits, tmp_path, DIVERGING)
    _, state = fit(training_digits, tmp_path, DIVERGING)
    losses = [row["stopping_loss"] for row in state.history]
    assert state.best_epoch == 1 + int(np.argmin(losses))


def test_model_ends_with_its_best_weights(training_digits: TrainingDigits, tmp_path: Path) -> None:
    model, state = fit(training_digits, tmp_path, DIVERGING)
    assert state.best_epoch < len(state.history)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stopping = training_digits.images[40:], training_digits.labels[40:]
    loss = model.evaluate(*stopping, verbose=0)
    best = min(row["stopping_loss"] for row in state.history)
    assert np.ravel(loss)[0] == pytest.approx(best, rel=1e-4)


def test_fit_stops_when_patience_and_anneal_are_over(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    hopeless = replace(
        RECIPE, learning_rate=1e-12, patience_epochs=2, anneal_epochs=3, max_epochs=50
    )
    _, state = fit(training_digits, tmp_path, hopeless)
    assert state.anneal_after is not None
    patience_ran_out = [row["epoch"] for row in state.history][state.anneal_after - 1]
    assert len(state.history) == patience_ran_out + 3 < 50


def test_without_a_stopping_slice_all_epochs_are_run_and_the_last_is_taken(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    model, state = fit(training_digits, tmp_path, stopping=False)
    assert len(state.history) == state.best_epoch == RECIPE.max_epochs
    assert state.anneal_after == RECIPE.max_epochs - RECIPE.anneal_epochs
    np.testing.assert_array_equal(model.get_weights()[0], state.weights[0])


def test_anneal_ends_near_zero_learning_rate(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    model, _ = fit(training_digits, tmp_path)
    steps = 2 * 3
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01 / steps)


def test_infinite_loss_is_explained(training_digits: TrainingDigits, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"in epoch \d the loss is (nan|inf).*learning_rate"):
        fit(training_digits, tmp_path, replace(RECIPE, learning_rate=1e30))


def test_damaged_state_is_explained(training_digits: TrainingDigits, tmp_path: Path) -> None:
    fit(training_digits, tmp_path)
    content = (tmp_path / "state.npz").read_bytes()
    for place in (0, len(content) // 2, len(content) - 30):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "state.npz").write_bytes(damaged)
        with pytest.raises(ArtifactError, match="is damaged.*start that run over"):
            TrainingState.load(tmp_path / "state.npz")

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.errors import ArtifactError, PipelineError
from pipeline.networks.backend import keras, make_repeatable
from pipeline.training import loop as training
from pipeline.training.augmentation import Warp, apply_transforms, draw_transforms
from pipeline.training.fast_layers import ComputeDtype
from pipeline.training.loop import EpochPlan, Fitter, Recipe, Step, count_parts
from pipeline.training.state import TrainingState, training_lock

RECIPE = Recipe(
    batch_size=16,
    learning_rate=0.01,
    max_epochs=6,
    warmup_epochs=1,
    patience_epochs=10,
    anneal_epochs=2,
    pruned_fraction=0.5,
    warp=Warp(rotation_degrees=5, shift_pixels=1, zoom_fraction=0.05),
)

BOTH_DTYPES = pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])

DIVERGING = replace(RECIPE, learning_rate=0.9, anneal_epochs=0, patience_epochs=2, max_epochs=60)
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


def two_forms(data: TrainingDigits) -> Images:
    """The images as they are, and upside down."""
    return np.stack([data.images, data.images[:, ::-1]])


def fit(
    data: TrainingDigits,
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    stopping: bool = True,
    num_forms: int = 1,
    compute_dtype: ComputeDtype = "float32",
    num_parts: int = 1,
) -> tuple[keras.Model, TrainingState]:
    model = small_model()
    images = two_forms(data)[:num_forms]
    judge = (images[:, 40:], data.labels[40:]) if stopping else None
    with training_lock(folder / "lock", "small"):
        state = training.fit(
            model,
            images[:, :40],
            data.labels[:40],
            stopping=judge,
            recipe=recipe,
            compute_dtype=compute_dtype,
            num_parts=num_parts,
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
    assert one[1].kept_epoch == other[1].kept_epoch


@BOTH_DTYPES
def test_same_seed_gives_the_same_bits(
    compute_dtype: ComputeDtype, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    first, second = (
        fit(training_digits, tmp_path / name, compute_dtype=compute_dtype, num_parts=2)
        for name in "ab"
    )
    assert_equal_fits(first, second)


@BOTH_DTYPES
@pytest.mark.parametrize("epoch", [1, 4, 6])
def test_interrupted_fit_ends_like_an_undisturbed_one(
    epoch: int, compute_dtype: ComputeDtype, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    def fit_two_forms(folder: Path) -> tuple[keras.Model, TrainingState]:
        return fit(training_digits, folder, num_forms=2, compute_dtype=compute_dtype, num_parts=2)

    undisturbed = fit_two_forms(tmp_path / "a")
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(epoch, monkeypatch)
        fit_two_forms(tmp_path / "b")
    assert_equal_fits(undisturbed, fit_two_forms(tmp_path / "b"))


def test_kept_epoch_survives_an_interruption(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    """keras#17012: a restored fit must not take its first epoch for the best one so far."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(3, monkeypatch)
        fit(training_digits, tmp_path, DIVERGING)
    _, state = fit(training_digits, tmp_path, DIVERGING)
    losses = [row["stopping_loss"] for row in state.history]
    assert state.kept_epoch == 1 + int(np.argmin(losses))


@pytest.mark.parametrize("num_forms", [1, 2])
def test_model_ends_with_its_kept_weights(
    num_forms: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    model, state = fit(training_digits, tmp_path, DIVERGING, num_forms=num_forms)
    assert state.kept_epoch < len(state.history)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stopping = [(images[40:], training_digits.labels[40:]) for images in two_forms(training_digits)]
    loss = np.mean([model.evaluate(*each, verbose=0) for each in stopping[:num_forms]])
    best = min(row["stopping_loss"] for row in state.history)
    assert loss == pytest.approx(best, rel=1e-4)


def test_after_a_fall_of_the_learning_rate_the_last_weights_are_taken(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    labels = training_digits.labels.copy()
    labels[40:] = (labels[40:] + 1) % 10
    model, state = fit(replace(training_digits, labels=labels), tmp_path)
    losses = [row["stopping_loss"] for row in state.history]
    assert losses[-1] > min(losses)
    assert state.kept_epoch == len(state.history)
    np.testing.assert_array_equal(model.get_weights()[0], state.weights[0])


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
    assert len(state.history) == state.kept_epoch == RECIPE.max_epochs
    assert state.anneal_after == RECIPE.max_epochs - RECIPE.anneal_epochs
    np.testing.assert_array_equal(model.get_weights()[0], state.weights[0])


@pytest.mark.parametrize(
    ("position", "anneal_after", "share"),
    [
        (0, None, 0),
        (1, None, 0.5),
        (2, None, 1),
        (9, None, 1),
        (9, 8, 0.75),
        (12, 8, 0),
        (1, 0, 0.375),
    ],
)
def test_learning_rate_rises_stays_and_falls_to_zero(
    position: float, anneal_after: int | None, share: float
) -> None:
    recipe = replace(RECIPE, warmup_epochs=2, anneal_epochs=4, max_epochs=20)
    assert recipe.learning_rate_share(position, anneal_after) == pytest.approx(share)


def test_epoch_leaves_out_some_learned_images_and_lets_the_others_count_for_more() -> None:
    losses = np.repeat(np.array([0.01, 5], dtype=np.float32), (900, 100))
    recipe = replace(RECIPE, pruned_fraction=0.75)
    plan = EpochPlan.draw(losses, 1, recipe, np.random.default_rng(0), whole=False)
    assert np.isin(np.arange(900, 1000), plan.rows).all()
    assert len(np.unique(plan.rows)) == len(plan.rows) == len(plan.transforms)
    assert 100 + 900 / 4 * 0.8 < len(plan.rows) < 100 + 900 / 4 * 1.2
    np.testing.assert_array_equal(plan.weights, np.where(plan.rows < 900, 4, 1))
    assert plan.num_steps == -(-len(plan.rows) // 16)


def test_whole_epoch_leaves_nothing_out() -> None:
    losses = np.full(50, np.inf, dtype=np.float32)
    plan = EpochPlan.draw(losses, 1, RECIPE, np.random.default_rng(0), whole=True)
    np.testing.assert_array_equal(np.sort(plan.rows), np.arange(50))
    np.testing.assert_array_equal(plan.weights, 1)


@pytest.mark.parametrize("num_forms", [1, 2])
def test_steps_of_an_epoch_show_all_its_images_warped_in_its_order(
    num_forms: int, training_digits: TrainingDigits
) -> None:
    losses = np.full(60, np.inf, dtype=np.float32)
    forms = two_forms(training_digits)[:num_forms]
    plan = EpochPlan.draw(losses, num_forms, RECIPE, np.random.default_rng(0), whole=True)
    assert (15 < plan.forms.sum() < 45) if num_forms == 2 else not plan.forms.any()
    steps = list(plan.steps())
    assert [len(step.weights) for step in steps] == [15, 15, 15, 15]
    fitter = fitter_of(dense_network(), forms, training_digits.labels)
    batches = [fitter.show(step.shown, step.transforms) for step in steps]
    warped = apply_transforms(forms[plan.forms, plan.rows], plan.transforms)
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), warped)
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in batches]), training_digits.labels[plan.rows]
    )


def test_images_left_out_are_those_that_the_history_counts(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, max_epochs=12, anneal_epochs=10)
    _, state = fit(training_digits, tmp_path, recipe, stopping=False)
    counts = [row["images"] for row in state.history]
    assert counts[0] == counts[-1] == 40
    assert min(counts) < 40


@pytest.mark.parametrize(
    ("batch_size", "threads", "parts"),
    [(128, 1, 1), (128, 2, 2), (128, 16, 2), (127, 2, 1), (1024, 4, 4), (16, 2, 1)],
)
def test_batch_is_divided_among_threads_into_parts_that_can_be_normalised(
    batch_size: int, threads: int, parts: int
) -> None:
    assert count_parts(batch_size, threads) == parts


def dense_network() -> keras.Model:
    make_repeatable(7)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)]
    )


def fitter_of(model: keras.Model, images: Images, labels: Labels, num_parts: int = 1) -> Fitter:
    return Fitter(model, images, labels, 0.01, "float32", num_parts)


@pytest.mark.parametrize("size", [7, 8])
def test_parts_of_a_batch_take_the_step_of_the_whole(
    size: int, training_digits: TrainingDigits
) -> None:
    """Where nothing mixes images or is drawn; weights agree to a thousandth of a step."""
    model = dense_network()
    step = Step(
        np.stack([np.zeros(size, np.int64), np.arange(size)], axis=1),
        draw_transforms(RECIPE.warp, size, np.random.default_rng(0)),
        np.linspace(0.5, 1.5, size, dtype=np.float32),
    )
    images, labels = training_digits.images[np.newaxis], training_digits.labels
    whole, divided = (fitter_of(model, images, labels, num_parts) for num_parts in (1, 3))
    (losses, right), (other_losses, other_right) = (
        fitter.fit(step, 0.01) for fitter in (whole, divided)
    )
    np.testing.assert_allclose(losses, other_losses, rtol=1e-5)
    np.testing.assert_array_equal(right, other_right)
    kernel, other_kernel = (fitter.model.get_weights()[0] for fitter in (whole, divided))
    np.testing.assert_allclose(kernel, other_kernel, atol=1e-5)
    assert np.abs(kernel - model.get_weights()[0]).max() > 0.009


def test_parts_of_a_batch_are_normalised_each_by_itself(training_digits: TrainingDigits) -> None:
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
    model.add(keras.layers.BatchNormalization(momentum=0.5))
    model.add(keras.layers.Dense(10))
    images = np.concatenate([np.zeros((4, 28, 28)), np.full((4, 28, 28), 100)]).astype(np.uint8)
    fitter = fitter_of(model, images[np.newaxis], training_digits.labels[:8], num_parts=2)
    rows = np.stack([np.zeros(8, np.int64), np.arange(8)], axis=1)
    as_they_are = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (8, 1))
    fitter.fit(Step(rows, as_they_are, np.ones(8, np.float32)), 0.01)
    normalisation = fitter.model.layers[1]
    np.testing.assert_array_equal(normalisation.moving_mean, np.full(784, 50))
    np.testing.assert_array_equal(normalisation.moving_variance, np.full(784, 0.25))


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

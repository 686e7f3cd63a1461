import numpy as np
import pytest

from pipeline.architectures import build
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.networks.backend import ComputeDtype, keras, make_repeatable, tf
from pipeline.networks.devices import CPU, Device
from pipeline.training.augmentation import apply_warps, draw_warps
from pipeline.training.epoch import Batch, EpochPlan
from pipeline.training.step import TrainStep
from tests.devices import LIKE_GPU
from tests.kernels import without_gpu_kernel
from tests.training.test_loop import RECIPE, two_views

BOTH_DEVICES = pytest.mark.parametrize("device", [CPU, LIKE_GPU], ids=["cpu", "gpu"])


@pytest.mark.parametrize("num_views", [1, 2])
def test_batches_of_an_epoch_show_all_its_images_warped_in_its_order(
    num_views: int, training_digits: TrainingDigits
) -> None:
    losses = np.full(60, np.inf, dtype=np.float32)
    images = two_views(training_digits)[:num_views]
    plan = EpochPlan.draw(losses, num_views, RECIPE, np.random.default_rng(0), keep_all=True)
    assert (15 < plan.views.sum() < 45) if num_views == 2 else not plan.views.any()
    batches = list(plan.batches())
    assert [len(batch.weights) for batch in batches] == [15, 15, 15, 15]
    step = step_of(dense_network(), images, training_digits.labels)
    shown = [step.show(batch.shown, batch.warps) for batch in batches]
    warped = apply_warps(images[plan.views, plan.rows], plan.warps)
    np.testing.assert_array_equal(np.concatenate([each for each, _ in shown]), warped)
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in shown]), training_digits.labels[plan.rows]
    )


def dense_network() -> keras.Model:
    make_repeatable(7)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)]
    )


def step_of(
    model: keras.Model,
    images: Images,
    labels: Labels,
    batch_parts: int = 1,
    device: Device = CPU,
) -> TrainStep:
    return TrainStep(model, images, labels, 0.01, "float32", batch_parts, device)


@BOTH_DEVICES
@pytest.mark.parametrize("size", [7, 8])
def test_parts_of_a_batch_take_the_step_of_the_whole(
    size: int, device: Device, training_digits: TrainingDigits
) -> None:
    """Where nothing mixes images or is drawn; weights agree to a thousandth of a step."""
    model = dense_network()
    batch = Batch(
        np.stack([np.zeros(size, np.int64), np.arange(size)], axis=1),
        draw_warps(RECIPE.warp, size, np.random.default_rng(0)),
        np.linspace(0.5, 1.5, size, dtype=np.float32),
    )
    images, labels = training_digits.images[np.newaxis], training_digits.labels
    whole, divided = (
        step_of(model, images, labels, batch_parts, each)
        for batch_parts, each in ((1, CPU), (3, device))
    )
    (losses, correct), (other_losses, other_correct) = (
        step.fit(batch, 0.01) for step in (whole, divided)
    )
    np.testing.assert_allclose(losses, other_losses, rtol=1e-5)
    np.testing.assert_array_equal(correct, other_correct)
    kernel, other_kernel = (step.model.get_weights()[0] for step in (whole, divided))
    np.testing.assert_allclose(kernel, other_kernel, atol=1e-5)
    assert np.abs(kernel - model.get_weights()[0]).max() > 0.009


@BOTH_DEVICES
def test_parts_of_a_batch_are_normalised_each_by_itself(
    device: Device, training_digits: TrainingDigits
) -> None:
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
    model.add(keras.layers.BatchNormalization(momentum=0.5))
    model.add(keras.layers.Dense(10))
    images = np.concatenate([np.zeros((4, 28, 28)), np.full((4, 28, 28), 100)]).astype(np.uint8)
    step = step_of(model, images[np.newaxis], training_digits.labels[:8], 2, device)
    rows = np.stack([np.zeros(8, np.int64), np.arange(8)], axis=1)
    as_they_are = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (8, 1))
    step.fit(Batch(rows, as_they_are, np.ones(8, np.float32)), 0.01)
    normalisation = step.model.layers[1]
    np.testing.assert_array_equal(normalisation.moving_mean, np.full(784, 50))
    np.testing.assert_array_equal(normalisation.moving_variance, np.full(784, 0.25))


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="a build that knows no GPU")
@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_tensorflow_has_a_gpu_kernel_for_all_that_a_step_does(
    compute_dtype: ComputeDtype, training_digits: TrainingDigits
) -> None:
    """Otherwise what it reads would travel to the CPU in every step, all images among it."""
    images, labels = two_views(training_digits), training_digits.labels
    model = build("deep_pooled_cnn")
    step = TrainStep(model, images, labels, 0.01, compute_dtype, 2, LIKE_GPU)
    for function in (step._fit, step._evaluate):
        assert without_gpu_kernel(function.get_concrete_function()) == set()

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from pipeline.data.dataset import TrainingDigits
from pipeline.networks.backend import ComputeDtype, keras, make_repeatable, tf
from pipeline.networks.devices import CPU, Device
from pipeline.training import fast_layers
from pipeline.training.fast_layers import (
    ByteDropout,
    FusedBatchNormalization,
    SmallMapConv2D,
    divide_batch,
    with_fast_layers,
)
from tests.devices import LIKE_GPU


def test_fused_normalisation_trains_like_the_stock_layer() -> None:
    """Outputs, gradients and moving statistics agree to 1e-4 of their size."""
    make_repeatable(7)
    stock, fused = keras.layers.BatchNormalization(), FusedBatchNormalization()
    features = tf.random.normal((8, 5, 5, 3), mean=2, stddev=3)
    results = []
    for layer in (stock, fused):
        layer.build(features.shape)
        layer.gamma.assign([0.5, 1, 2])
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features, training=True)
            loss = tf.reduce_sum(outputs**3)
        gradients = tape.gradient(loss, [features, layer.gamma, layer.beta])
        results.append([outputs, *gradients, layer.moving_mean, layer.moving_variance])
        results[-1].append(layer(features, training=False))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


SQUARE_3 = {"kernel_size": 3, "padding": "same"}


@pytest.mark.parametrize(
    ("side", "options", "another_way"),
    [
        (6, SQUARE_3, True),
        (3, SQUARE_3, True),
        (5, {"kernel_size": (5, 3), "padding": "same", "use_bias": False}, True),
        (4, {"kernel_size": 1, "padding": "same", "activation": "relu"}, True),
        (12, SQUARE_3, False),
        (6, {"kernel_size": 4, "padding": "same"}, False),
        (6, {"kernel_size": 3, "padding": "valid"}, False),
        (6, SQUARE_3 | {"strides": 2}, False),
        (6, SQUARE_3 | {"dilation_rate": 2}, False),
        (6, SQUARE_3 | {"groups": 2}, False),
    ],
)
def test_convolution_of_small_maps_has_the_gradients_of_float32(
    side: int, options: dict[str, Any], another_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 2 % of the largest, for values that bfloat16 holds exactly."""
    make_repeatable(7)
    convolve = Mock(wraps=fast_layers._convolve_small_maps)
    monkeypatch.setattr(fast_layers, "_convolve_small_maps", convolve)
    maps = round_to_bfloat16(tf.random.normal((16, side, side, 8)))
    stock = keras.layers.Conv2D(4, **options)
    fast = SmallMapConv2D(4, dtype="mixed_bfloat16", **options)
    stock.build(maps.shape)
    fast.build(maps.shape)
    stock.set_weights([round_to_bfloat16(each) for each in stock.get_weights()])
    fast.set_weights(stock.get_weights())
    results = []
    for layer in (stock, fast):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            outputs = tf.cast(layer(maps), tf.float32)
            loss = tf.reduce_sum(outputs**2)
        results.append([outputs, *tape.gradient(loss, [maps, *layer.trainable_variables])])
    assert convolve.called is another_way
    for expected, found in zip(*results, strict=True):
        if another_way:  # elsewhere the kernels are TensorFlow's, and so is their rounding
            np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def round_to_bfloat16(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(values, tf.bfloat16), tf.float32)


@pytest.mark.parametrize(("rate", "dropped"), [(0.1, 26 / 256), (0.5, 0.5), (0.25, 0.25)])
@pytest.mark.parametrize("shape", [(800, 9, 7, 5), (20_000, 30)])
@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-6), ("bfloat16", 2**-8)])
def test_dropout_drops_its_rate_and_keeps_the_mean(
    rate: float, dropped: float, shape: tuple[int, ...], dtype: str, rounding: float
) -> None:
    layer = ByteDropout(rate, seed=7, dtype=dtype)
    first, second = (
        tf.cast(layer(tf.ones(shape, dtype), training=True), tf.float32).numpy() for _ in range(2)
    )
    scale = 1 / (1 - dropped)
    assert np.unique(first).tolist() == pytest.approx([0, scale], rel=rounding)
    spread = np.sqrt(dropped * (1 - dropped) / first.size)
    assert (first == 0).mean() == pytest.approx(dropped, abs=4 * spread)
    assert ((first == 0) & (second == 0)).mean() == pytest.approx(dropped**2, abs=4 * spread)
    assert first.mean() == pytest.approx(1, abs=5 * spread * scale + rounding)


@pytest.mark.parametrize("rate", [0, 0.3])
def test_dropout_drops_nothing_when_it_must_not(rate: float) -> None:
    inputs = tf.random.normal((5, 6))
    layer = ByteDropout(rate, seed=7)
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)
    assert (np.array_equal(layer(inputs, training=True), inputs)) is (rate == 0)


def test_dropout_draws_each_image_by_itself() -> None:
    kept = ByteDropout(0.5, seed=7)(tf.ones((64, 256)), training=True).numpy() > 0
    agreement = (kept[:, np.newaxis] == kept[np.newaxis]).mean(axis=2)[np.triu_indices(64, 1)]
    assert agreement.mean() == pytest.approx(0.5, abs=0.02)
    assert agreement.max() < 0.7


def test_dropout_of_whole_maps_is_left_to_the_stock_layer() -> None:
    dropped = ByteDropout(0.5, noise_shape=(None, 1, 1, None), seed=7)(
        tf.ones((20, 3, 3, 8)), training=True
    )
    assert np.ptp(dropped, axis=(1, 2)).max() == 0


@pytest.mark.parametrize(
    "options", [{"trainable": False}, {"scale": False}, {"center": False}, {"axis": 1}]
)
def test_normalisation_leaves_the_rest_to_the_stock_layer(options: dict[str, Any]) -> None:
    features = tf.random.stateless_normal((8, 5, 5, 3), (1, 2), 2, 3)
    stock, fused = keras.layers.BatchNormalization(**options), FusedBatchNormalization(**options)
    np.testing.assert_array_equal(fused(features, training=True), stock(features, training=True))
    for one, other in zip(fused.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def model_of_maps() -> keras.Model:
    """With a layer of every kind that is sped up, on maps of 12×12 and 6×6; it drops nothing."""
    make_repeatable(7)
    layers = keras.layers
    inner: list[keras.Layer] = [
        layers.Rescaling(1 / 255),
        layers.AveragePooling2D(2),
        layers.Cropping2D(1),
    ]
    for size in (5, 3):
        inner += [
            layers.Conv2D(16, size, padding="same", use_bias=False),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Dropout(0.0),
        ]
    inner += [layers.Conv2D(16, 3, padding="same"), layers.Flatten(), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), *inner])


@pytest.mark.parametrize("device", [CPU, LIKE_GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize(("compute_dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.05)])
def test_fast_model_takes_the_steps_of_the_stock_one(
    compute_dtype: ComputeDtype, tolerance: float, device: Device, training_digits: TrainingDigits
) -> None:
    """Logits, gradients and moving statistics of a batch agree to ``tolerance`` of their size, root
    mean square; all variables are float32 and begin with the same values."""
    stock = model_of_maps()
    fast = with_fast_layers(stock, compute_dtype, device)
    for one, other in zip(fast.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    images, labels = training_digits.images[..., np.newaxis], training_digits.labels.astype(int)
    results = []
    for model in (stock, fast):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        later = model(images, training=False)
        results.append([logits, *gradients, *model.get_weights(), later])
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype == "float32"
        difference = np.sqrt(np.mean((np.array(found) - expected) ** 2))
        assert difference <= tolerance * np.sqrt(np.mean(np.square(expected)))
    kinds = {type(layer) for layer in fast.layers}
    assert {FusedBatchNormalization, ByteDropout} <= kinds
    assert (SmallMapConv2D in kinds) == (device is CPU)
    assert {layer.compute_dtype for layer in fast.layers[:-1]} == {compute_dtype}


@pytest.mark.parametrize("shape", [(7, 5, 5, 3), (8, 6)])
def test_normalisation_by_parts_is_that_of_each_part_after_the_other(
    shape: tuple[int, ...],
) -> None:
    features = tf.random.stateless_normal(shape, (1, 2), 2, 3)
    whole, apart = FusedBatchNormalization(momentum=0.5), FusedBatchNormalization(momentum=0.5)
    whole.batch_parts = 3
    outputs = whole(features, training=True)
    parts = [apart(part, training=True) for part in divide_batch(features, 3)]
    np.testing.assert_array_equal(outputs, tf.concat(parts, axis=0))
    for one, other in zip(whole.get_weights(), apart.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(whole(features, training=False), apart(features, training=False))

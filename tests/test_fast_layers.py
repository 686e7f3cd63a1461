from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import fast_layers
from pipeline.architectures import build
from pipeline.backend import keras, make_repeatable, tf
from pipeline.fast_layers import (
    ByteDropout,
    ComputeDtype,
    FusedBatchNormalization,
    SmallMapConv2D,
    choose_compute_dtype,
    measure_speedup,
    speed_up,
)


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


@pytest.mark.parametrize("side", [3, 6, 12])
@pytest.mark.parametrize("options", [{}, {"padding": "valid"}, {"strides": 2}])
def test_convolution_of_small_maps_has_the_stock_gradients(
    side: int, options: dict[str, Any]
) -> None:
    """In bfloat16, whose rounding is 2^-8 of a value."""
    make_repeatable(7)
    kinds = keras.layers.Conv2D, SmallMapConv2D
    maps = tf.random.normal((16, side, side, 8))
    stock, fast = (
        kind(4, 3, dtype="mixed_bfloat16", **{"padding": "same"} | options) for kind in kinds
    )
    results = []
    for layer in (stock, fast):
        layer.build(maps.shape)
        layer.set_weights(
            [tf.random.stateless_normal(each.shape, (1, 2)) for each in layer.weights]
        )
        with tf.GradientTape() as tape:
            tape.watch(maps)
            outputs = layer(maps)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        results.append([tf.cast(outputs, tf.float32), *tape.gradient(loss, [maps, *layer.weights])])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=2**-6, atol=2**-6 * np.abs(one).max())


@pytest.mark.parametrize(("rate", "dropped"), [(0.1, 26 / 256), (0.5, 0.5), (0.25, 0.25)])
@pytest.mark.parametrize("shape", [(40, 9, 7, 5), (2_000, 30)])
def test_dropout_drops_its_rate_and_keeps_the_mean(
    rate: float, dropped: float, shape: tuple[int, ...]
) -> None:
    layer = ByteDropout(rate, seed=7)
    first, second = (layer(tf.ones(shape), training=True).numpy() for _ in range(2))
    assert np.unique(first).tolist() == pytest.approx([0, 1 / (1 - dropped)])
    spread = np.sqrt(dropped * (1 - dropped) / first.size)
    assert (first == 0).mean() == pytest.approx(dropped, abs=4 * spread)
    assert ((first == 0) & (second == 0)).mean() == pytest.approx(dropped**2, abs=4 * spread)
    assert first.mean() == pytest.approx(1, abs=5 * spread / (1 - dropped))


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


@pytest.mark.parametrize("architecture", ["pooled_cnn", "deep_pooled_cnn", "deep_cnn"])
@pytest.mark.parametrize(("compute_dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_fast_model_answers_like_the_stock_one(
    architecture: str, compute_dtype: ComputeDtype, tolerance: float
) -> None:
    """Logits of a step of training agree to ``tolerance`` of their standard deviation, root mean
    square; its weights are float32 and the same."""
    make_repeatable(7)
    model = build(architecture)
    images = np.random.default_rng(7).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    fast = speed_up(model, compute_dtype)
    fast(images, training=True)
    model.set_weights(fast.get_weights())

    assert {variable.dtype for variable in fast.trainable_variables} == {"float32"}
    stock_logits, logits = model(images, training=False), fast(images, training=False)
    assert logits.dtype == tf.float32
    difference = np.sqrt(np.mean((stock_logits.numpy() - logits.numpy()) ** 2))
    assert difference < tolerance * np.std(stock_logits)
    inner = {layer.compute_dtype for layer in fast.layers[1:-1]}
    assert inner == {compute_dtype}


def test_bfloat16_is_native_where_it_is_chosen() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        assert measure_speedup() > 0
        return
    flags = set(cpuinfo.read_text().split())
    native = bool({"avx512_bf16", "amx_bf16"} & flags)
    assert (choose_compute_dtype() == "bfloat16") is native


@pytest.mark.parametrize(("speedup", "chosen"), [(1.9, "bfloat16"), (0.4, "float32")])
def test_faster_type_is_chosen(
    speedup: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_layers, "measure_speedup", lambda: speedup)
    choose_compute_dtype.cache_clear()
    assert choose_compute_dtype() == chosen
    choose_compute_dtype.cache_clear()

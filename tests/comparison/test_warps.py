"""An author's warps are those of the pipeline, whatever library makes them."""

import numpy as np

from comparison.references import REFERENCES
from comparison.warps import warp
from pipeline.data.dataset import TrainingDigits
from pipeline.training.augmentation import WarpLimits, apply_warps, draw_warps


def test_warps_are_those_of_the_pipeline(training_digits: TrainingDigits) -> None:
    images = np.tile(training_digits.images, (21, 1, 1))  # more than one chunk
    reference = REFERENCES["deep_cnn"]
    limits = WarpLimits(reference.rotation_degrees, reference.shift_pixels, reference.zoom_fraction)
    warps = draw_warps(limits, len(images), np.random.default_rng(4))
    expected = apply_warps(images, warps).numpy()
    warped = warp(images, reference, np.random.default_rng(4))
    assert warped.dtype == np.uint8
    np.testing.assert_array_equal(warped, expected)
    assert (warped != images).any(axis=(1, 2)).mean() > 0.9


def test_author_without_augmentation_gets_the_images_as_they_are(
    training_digits: TrainingDigits,
) -> None:
    images = training_digits.images
    assert warp(images, REFERENCES["simple_cnn"], np.random.default_rng(0)) is images

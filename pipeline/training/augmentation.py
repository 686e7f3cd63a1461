"""Random warps of training images: rotation, zoom and shift fused into one resampling per batch.

The draw is NumPy's, so that an epoch's warps depend on nothing but its generator; the resampling is
TensorFlow's, so that it is part of the training step, on the same threads.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE
from pipeline.networks.backend import tf

Transforms = NDArray[np.float32]
"""``(n, 8)``: output pixel (x, y) shows input pixel ((a x + b y + c) / k, (d x + e y + f) / k),
k = g x + h y + 1, as `tf.raw_ops.ImageProjectiveTransformV3` reads it."""


@dataclass(frozen=True)
class Warp:
    """How far an image may be warped; each value is a bound in both directions, drawn uniformly.

    Attributes:
        rotation_degrees: about the centre.
        shift_pixels: along each axis.
        zoom_fraction: along each axis on its own; 0.1 draws a scale between 0.9 and 1.1.
    """

    rotation_degrees: float
    shift_pixels: float
    zoom_fraction: float


def draw_transforms(warp: Warp, num_images: int, generator: np.random.Generator) -> Transforms:
    """Draw one affine transform per image: float32 ``(num_images, 8)``.

    The output is scaled, then rotated, then shifted, about the image's centre.
    """

    def uniform(bound: float) -> NDArray[np.float64]:
        return generator.uniform(-bound, bound, num_images)

    angle = np.deg2rad(uniform(warp.rotation_degrees))
    scale_x, scale_y = 1 + uniform(warp.zoom_fraction), 1 + uniform(warp.zoom_fraction)
    shift_x, shift_y = uniform(warp.shift_pixels), uniform(warp.shift_pixels)

    # The inverse map: from an output pixel back to the input pixel that it shows.
    a, b = np.cos(angle) / scale_x, np.sin(angle) / scale_x
    d, e = -np.sin(angle) / scale_y, np.cos(angle) / scale_y
    centre = (IMAGE_SIZE - 1) / 2
    c = centre - a * (centre + shift_x) - b * (centre + shift_y)
    f = centre - d * (centre + shift_x) - e * (centre + shift_y)
    zero = np.zeros(num_images)
    return np.stack([a, b, c, d, e, f, zero, zero], axis=1).astype(np.float32)


def apply_transforms(images: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    """Resample uint8 images ``(n, 28, 28)`` by ``transforms`` ``(n, 8)``, bilinearly.

    What comes from outside the image is background. The result is rounded to uint8, so that a
    network sees in training what it is given later.
    """
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images[..., tf.newaxis], tf.float32),
        transforms=transforms,
        output_shape=[IMAGE_SIZE, IMAGE_SIZE],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.cast(tf.round(warped[..., 0]), tf.uint8)

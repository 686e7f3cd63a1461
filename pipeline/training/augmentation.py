"""Random warps of training images: rotation, zoom and shift fused into one resampling per batch.

The draw is NumPy's, so that an epoch's warps depend on nothing but its generator; the resampling is
TensorFlow's, so that it is part of the training step, on the same threads.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE
from pipeline.networks.backend import keras, tf

Warps = NDArray[np.float32]
"""``(n, 8)``: output pixel (x, y) shows input pixel ((a x + b y + c) / k, (d x + e y + f) / k),
k = g x + h y + 1, as `keras.ops.image.affine_transform` reads it."""


@dataclass(frozen=True)
class WarpLimits:
    """How far an image may be warped; each value is a bound in both directions, drawn uniformly.

    Attributes:
        rotation_degrees: about the centre.
        shift_pixels: along each axis.
        zoom_fraction: along each axis on its own; 0.1 draws a scale between 0.9 and 1.1.
    """

    rotation_degrees: float
    shift_pixels: float
    zoom_fraction: float


def draw_warps(limits: WarpLimits, num_images: int, generator: np.random.Generator) -> Warps:
    """Draw one affine warp per image: float32 ``(num_images, 8)``.

    The output is scaled, then rotated, then shifted, about the image's centre.
    """

    def uniform(bound: float) -> NDArray[np.float64]:
        return generator.uniform(-bound, bound, num_images)

    angle = np.deg2rad(uniform(limits.rotation_degrees))
    scale_x, scale_y = 1 + uniform(limits.zoom_fraction), 1 + uniform(limits.zoom_fraction)
    shift_x, shift_y = uniform(limits.shift_pixels), uniform(limits.shift_pixels)

    # The inverse map: from an output pixel back to the input pixel that it shows.
    a, b = np.cos(angle) / scale_x, np.sin(angle) / scale_x
    d, e = -np.sin(angle) / scale_y, np.cos(angle) / scale_y
    centre = (IMAGE_SIZE - 1) / 2
    c = centre - a * (centre + shift_x) - b * (centre + shift_y)
    f = centre - d * (centre + shift_x) - e * (centre + shift_y)
    zero = np.zeros(num_images)
    return np.stack([a, b, c, d, e, f, zero, zero], axis=1).astype(np.float32)


def apply_warps(images: tf.Tensor, warps: tf.Tensor) -> tf.Tensor:
    """Resample uint8 images ``(n, 28, 28)`` by ``warps`` ``(n, 8)``, bilinearly.

    What comes from outside the image is background. The result is rounded to uint8, so that a
    network sees in training what it is given later.
    """
    warped = keras.ops.image.affine_transform(
        tf.cast(images[..., tf.newaxis], tf.float32), warps, data_format="channels_last"
    )
    return tf.cast(tf.round(warped[..., 0]), tf.uint8)

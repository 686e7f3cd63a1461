"""Random warps of an author's training images, by Keras on whatever library it runs.

They are those of `pipeline.training.augmentation`, whose resampling is TensorFlow's alone.
"""

import numpy as np
from numpy.typing import NDArray

from comparison.references import Reference
from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.networks.backend import keras

_CHUNK = 1_200
"""Images that are resampled at once."""


def warp(images: Images, reference: Reference, generator: np.random.Generator) -> Images:
    """Warp each of uint8 images ``(n, 28, 28)`` by a draw of its own, if the author did.

    Rotation, zoom and shift are one bilinear resampling. What comes from outside is background,
    and the result is rounded.
    """
    bounds = reference.rotation_degrees, reference.zoom_fraction, reference.shift_pixels
    if not any(bounds):
        return images
    warps = _draw(*bounds, len(images), generator)
    warped = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        pixels = keras.ops.image.affine_transform(
            images[part, ..., np.newaxis].astype(np.float32),
            warps[part],
            data_format="channels_last",
        )
        warped[part] = np.rint(keras.ops.convert_to_numpy(pixels)[..., 0]).astype(np.uint8)
    return warped


def _draw(
    rotation_degrees: float,
    zoom_fraction: float,
    shift_pixels: float,
    num_images: int,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Warps ``(n, 8)`` as `keras.ops.image.affine_transform` reads them: output to input."""

    def uniform(bound: float) -> NDArray[np.float64]:
        return generator.uniform(-bound, bound, num_images)

    angle = np.deg2rad(uniform(rotation_degrees))
    scale_x, scale_y = 1 + uniform(zoom_fraction), 1 + uniform(zoom_fraction)
    shift_x, shift_y = uniform(shift_pixels), uniform(shift_pixels)
    a, b = np.cos(angle) / scale_x, np.sin(angle) / scale_x
    d, e = -np.sin(angle) / scale_y, np.cos(angle) / scale_y
    centre = (IMAGE_SIZE - 1) / 2
    c = centre - a * (centre + shift_x) - b * (centre + shift_y)
    f = centre - d * (centre + shift_x) - e * (centre + shift_y)
    zero = np.zeros(num_images)
    return np.stack([a, b, c, d, e, f, zero, zero], axis=1).astype(np.float32)

"""Slanted digits, made upright."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images

_STEEPEST_SLANT = 1.0

Pixels = NDArray[np.float32]


def deskew(images: Images) -> Images:
    """Shear each digit horizontally about its centre of mass until its main axis is upright.

    The slant is the covariance of x and y over the variance of y, grey levels being masses; it is
    bounded to 45°. Rows move with linear interpolation, so that the centre of mass stays where it
    is. LeCun et al. 1998 (Proceedings of the IEEE 86(11), section III-A) straightened their
    "deslanted" set by the same moments.
    """
    pixels = images.astype(np.float32)
    places = np.arange(IMAGE_SIZE, dtype=np.float32)
    mass = np.maximum(pixels.sum(axis=(1, 2)), 1)[:, np.newaxis]
    mass_of_rows = pixels.sum(axis=2)  # (n, 28)
    y = places - (mass_of_rows @ places)[:, np.newaxis] / mass
    x = places - (pixels.sum(axis=1) @ places)[:, np.newaxis] / mass
    covariance = np.einsum("nyx,ny,nx->n", pixels, y, x, optimize=True)
    variance = np.maximum((mass_of_rows * y**2).sum(axis=1), 1)
    slant = np.clip(covariance / variance, -_STEEPEST_SLANT, _STEEPEST_SLANT)
    return _shift_rows(pixels, slant[:, np.newaxis] * y)


def _shift_rows(pixels: Pixels, shifts: Pixels) -> Images:
    """Move each row of ``(n, 28, 28)`` to the left by its entry of ``(n, 28)``, in pixels."""
    whole = np.floor(shifts)
    padded = np.pad(pixels, ((0, 0), (0, 0), (IMAGE_SIZE, IMAGE_SIZE + 1)))
    places = np.arange(IMAGE_SIZE, 2 * IMAGE_SIZE + 1) + whole.astype(np.intp)[..., np.newaxis]
    shown = np.take_along_axis(padded, places, axis=2)  # (n, 28, 29)
    share = (shifts - whole)[..., np.newaxis]
    return np.rint(shown[..., :-1] * (1 - share) + shown[..., 1:] * share).astype(np.uint8)

"""Distances between images of digits that tolerate small changes of a digit."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.data.dataset import IMAGE_SIZE, Images

Gradients = NDArray[np.float32]
"""Of n images, ``(2, 28, 28, n)``: across and down."""

_REACH = 2
"""Pixels that a place may move in either direction."""

_BLUR_PIXELS = 0.9
"""Standard deviation of the blur that makes tangents of pixels meaningful."""

_SPRING = 1e-6
"""Keeps the equations solvable where tangents of both images are the same."""


def measure_distortion(image: Images, others: Images) -> NDArray[np.float32]:
    """Distances float32 ``(n,)`` of an image ``(28, 28)`` to others ``(n, 28, 28)``.

    For each place of the image, the most similar place of the other image counts, at most two
    pixels away in each direction. Similarity is the sum of squared differences of the gradients in
    the 3×3 pixels around both. The distance is the sum over all places. It is not symmetric.

    Source: the image distortion model with local context of Keysers, Deselaers, Gollan and Ney,
    "Deformation models for image recognition", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 29(8), 2007.
    """
    own = np.repeat(_gradients(image[np.newaxis]), len(others), axis=3)
    pad = (_REACH, _REACH)
    padded = np.pad(_gradients(others), ((0, 0), pad, pad, (0, 0)))
    places = IMAGE_SIZE, IMAGE_SIZE, len(others)
    least = np.full(places, np.inf, dtype=np.float32)
    squares = np.empty((2, *places), dtype=np.float32)
    box_sum = _BoxSum(places)
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            np.subtract(padded[:, y : y + IMAGE_SIZE, x : x + IMAGE_SIZE], own, out=squares)
            np.square(squares, out=squares)
            np.minimum(least, box_sum(squares[0], squares[1]), out=least)
    return np.asarray(least.sum(axis=(0, 1)))


def measure_tangent_distance(image: Images, others: Images) -> NDArray[np.float64]:
    """Squared distances ``(n,)`` of an image ``(28, 28)`` to others ``(n, 28, 28)``, two-sided.

    Small shifts, turns, slants, changes of size and of thickness move a blurred image along seven
    tangents. The distance is the least one between two images that each may move along its own.

    Source: P. Simard, Y. LeCun and J. Denker, "Efficient pattern recognition using a new
    transformation distance", NIPS 5, 1993.
    """
    pixels = np.concatenate([image[np.newaxis], others]) / 255
    pixels = gaussian_filter(pixels, (0, _BLUR_PIXELS, _BLUR_PIXELS))
    tangents = _tangents(pixels)
    own, theirs = tangents[0], tangents[1:]
    differences = pixels[1:].reshape(len(others), -1) - pixels[0].ravel()
    between = theirs @ own.T
    products = np.empty((len(others), 2 * len(own), 2 * len(own)))
    products[:, : len(own), : len(own)] = own @ own.T
    products[:, len(own) :, : len(own)] = between
    products[:, : len(own), len(own) :] = between.transpose(0, 2, 1)
    products[:, len(own) :, len(own) :] = theirs @ theirs.transpose(0, 2, 1)
    products += _SPRING * np.eye(2 * len(own))
    along = np.concatenate([differences @ own.T, np.vecdot(theirs, differences[:, np.newaxis])], 1)
    explained = np.vecdot(along, np.linalg.solve(products, along[..., np.newaxis])[..., 0])
    return np.asarray(np.maximum(np.vecdot(differences, differences) - explained, 0))


def _tangents(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seven tangents ``(n, 7, 784)`` of images: of the affine changes, and of thickness."""
    down, across = np.gradient(pixels, axis=(1, 2))
    y, x = np.indices((IMAGE_SIZE, IMAGE_SIZE)) - (IMAGE_SIZE - 1) / 2
    thicker = np.square(across) + np.square(down)
    tangents = [across, down, x * across, y * down, y * across, x * down, thicker]
    return np.stack(tangents, axis=1).reshape(len(pixels), len(tangents), -1)


def _gradients(images: Images) -> Gradients:
    """Sobel gradients of grey levels from 0 to 1, with zeros around the images."""
    pixels = np.pad(images.astype(np.float32) / 255, ((0, 0), (1, 1), (1, 1))).transpose(1, 2, 0)
    smooth_down = pixels[:-2] + 2 * pixels[1:-1] + pixels[2:]
    smooth_across = pixels[:, :-2] + 2 * pixels[:, 1:-1] + pixels[:, 2:]
    across = smooth_down[:, 2:] - smooth_down[:, :-2]
    down = smooth_across[2:] - smooth_across[:-2]
    return np.stack([across, down])


class _BoxSum:
    """Sums over 3×3 places of two arrays together, ``(28, 28, n)``, zeros around them.

    Its arrays are used again: new ones for each step take three quarters as long again, and two
    threads then wait for each other.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        height, width, count = shape
        self._both = np.zeros((height + 2, width, count), dtype=np.float32)
        self._rows = np.zeros((height, width + 2, count), dtype=np.float32)
        self._sums = np.empty(shape, dtype=np.float32)

    def __call__(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sums ``(28, 28, n)``; the next call overwrites them."""
        both, rows, sums = self._both, self._rows, self._sums
        np.add(one, other, out=both[1:-1])
        np.add(both[:-2], both[1:-1], out=rows[:, 1:-1])
        rows[:, 1:-1] += both[2:]
        np.add(rows[:, :-2], rows[:, 1:-1], out=sums)
        sums += rows[:, 2:]
        return sums

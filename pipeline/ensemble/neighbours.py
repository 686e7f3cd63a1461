"""Low-confidence predictions refined with nearest neighbours.

Networks of whatever kind misclassify the same images, so an average of many gains little over an
average of a few. Nearest neighbours under a distance that tolerates small distortions make other
errors, but they are slow. So they decide only between the two most probable digits of an image, and
only where the networks' confidence is low.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Labels, Probabilities
from pipeline.ensemble.averaging import softmax
from pipeline.parallel import count_processors

Gradients = NDArray[np.float32]
"""Of n images, ``(2, 28, 28, n)``: across and down."""

_CANDIDATES = 100
"""Images of a digit, the nearest by means of 2×2 pixels, to which the distance is measured."""

_NEAREST = 3
"""How many of these the mean distance is taken over. docs/experiments/neighbours.md shows how
little either number matters."""

_CANDIDATES_OF_ALL = 300
"""The same where images of any digit are looked for."""

_REACH = 2
"""Pixels that a place may move in either direction."""


def refine_with_neighbours(
    probabilities: Probabilities,
    images: Images,
    known: tuple[Images, Labels],
    *,
    confidence_threshold: float,
    power: float,
) -> Probabilities:
    """Weigh the two most probable digits of low-confidence images by their nearest neighbours.

    The probability of each of the two digits is divided by a power of the mean distance to the
    nearest images of that digit; then both are scaled to the sum that they had. The networks'
    answer acts as a prior, the neighbours as a density that falls with a power of the distance
    (Loftsgaarden and Quesenberry, Annals of Mathematical Statistics 36(3), 1965). Both have seen
    the same image, so the power does not follow from a dimension; it is a parameter.

    Args:
        probabilities: of the networks, ``(n, 10)``.
        images: uint8 ``(n, 28, 28)``.
        known: other images, uint8 ``(m, 28, 28)``, and their labels ``(m,)``. A digit without any
            image counts as farther than any other.
        confidence_threshold: an image is refined if no digit reaches this probability.
        power: of the distances.

    Returns:
        Probabilities ``(n, 10)``. Other images, and the other eight digits, keep theirs.
    """
    rows = np.flatnonzero(probabilities.max(axis=1) < confidence_threshold)
    if not rows.size:
        return probabilities
    of_digit = [known[0][known[1] == digit] for digit in range(NUM_CLASSES)]
    shrunk = [_shrink(each) for each in of_digit]

    def measure(row: int, digit: int) -> float:
        if not len(of_digit[digit]):
            return float(np.finfo(np.float32).max)
        differences = np.square(shrunk[digit] - _shrink(images[row : row + 1])).sum(axis=1)
        nearest = np.argsort(differences, kind="stable")[:_CANDIDATES]
        distances = measure_distortion(images[row], of_digit[digit][nearest])
        return float(np.sort(distances)[:_NEAREST].mean())

    pairs = np.argsort(-probabilities[rows], axis=1, kind="stable")[:, :2]
    with ThreadPoolExecutor(count_processors()) as pool:
        distances = list(pool.map(measure, np.repeat(rows, 2), pairs.ravel()))
    both = probabilities[rows[:, np.newaxis], pairs]
    scores = _logarithm(both) - power * _logarithm(distances).reshape(-1, 2)
    result = probabilities.copy()
    result[rows[:, np.newaxis], pairs] = softmax(scores) * both.sum(axis=1, keepdims=True)
    return result


def find_nearest(
    images: Images, known: Images, *, count: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The known images that are most like each image, the nearest first.

    Args:
        images: uint8 ``(n, 28, 28)``.
        known: others, of whatever digit, uint8 ``(m, 28, 28)``.
        count: how many to find.

    Returns:
        Their places in ``known`` and their distances (`measure_distortion`), both ``(n, count)``;
        fewer columns if fewer are known.
    """
    shrunk = _shrink(known)
    count = min(count, len(known))

    def find(image: Images) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        differences = np.square(shrunk - _shrink(image[np.newaxis])).sum(axis=1)
        candidates = np.argsort(differences, kind="stable")[:_CANDIDATES_OF_ALL]
        distances = measure_distortion(image, known[candidates])
        order = np.argsort(distances, kind="stable")[:count]
        return candidates[order], distances[order]

    with ThreadPoolExecutor(count_processors()) as pool:
        found = list(pool.map(find, images))
    places, distances = np.empty((len(images), count), np.intp), np.empty((len(images), count))
    for row, (nearest, measured) in enumerate(found):
        places[row], distances[row] = nearest, measured
    return places, distances


def measure_distortion(image: Images, others: Images) -> NDArray[np.float32]:
    """Distances float32 ``(n,)`` of an image ``(28, 28)`` to others ``(n, 28, 28)``.

    For each place of the image, the most similar place of the other image counts, at most two
    pixels away in each direction. Similarity is the sum of squared differences of the gradients in
    the 3×3 pixels around both. The distance is the sum over all places. It is not symmetric.

    Source: the image distortion model with local context of Keysers, Deselaers, Gollan and Ney,
    "Deformation models for image recognition", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 29(8), 2007.
    """
    across, down = _gradients(image[np.newaxis])
    pad = (_REACH, _REACH)
    others_across, others_down = np.pad(_gradients(others), ((0, 0), pad, pad, (0, 0)))
    least = np.full((IMAGE_SIZE, IMAGE_SIZE, len(others)), np.inf, dtype=np.float32)
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            moved = np.s_[y : y + IMAGE_SIZE, x : x + IMAGE_SIZE]
            squares = np.square(others_across[moved] - across)
            squares += np.square(others_down[moved] - down)
            np.minimum(least, _sum_around(squares), out=least)
    return np.asarray(least.sum(axis=(0, 1)))


def _gradients(images: Images) -> Gradients:
    """Sobel gradients of grey levels from 0 to 1, with zeros around the images."""
    pixels = np.pad(images.astype(np.float32) / 255, ((0, 0), (1, 1), (1, 1))).transpose(1, 2, 0)
    smooth_down = pixels[:-2] + 2 * pixels[1:-1] + pixels[2:]
    smooth_across = pixels[:, :-2] + 2 * pixels[:, 1:-1] + pixels[:, 2:]
    across = smooth_down[:, 2:] - smooth_down[:, :-2]
    down = smooth_across[2:] - smooth_across[:-2]
    return np.stack([across, down])


def _sum_around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of each place and its eight neighbours, of ``(28, 28, n)``."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    rows = padded[:-2] + padded[1:-1]
    rows += padded[2:]
    rows_and_columns = rows[:, :-2] + rows[:, 1:-1]
    rows_and_columns += rows[:, 2:]
    return np.asarray(rows_and_columns)


def _shrink(images: Images) -> NDArray[np.float32]:
    """The means of 2×2 pixels, ``(n, 196)``."""
    half = IMAGE_SIZE // 2
    blocks = images.reshape(-1, half, 2, half, 2)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32)).reshape(-1, half * half)


def _logarithm(values: ArrayLike) -> NDArray[np.float64]:
    """The natural logarithm, finite at 0, the distance of equal images."""
    return np.asarray(np.log(np.maximum(values, np.finfo(np.float32).tiny)))

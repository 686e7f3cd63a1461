"""A second opinion on images that the networks waver over: the images most like them.

Beyond a few, networks of whatever kind misread the same images, so that an average of more gains
nothing. Nearest neighbours under a distance that forgives small distortions err otherwise, but are
slow to ask: so they are asked only which of the two most probable digits an undecided image is.
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
"""Of these, so many count. How little either number matters: docs/experiments/neighbours.md."""

_REACH = 2
"""Pixels that a place may move in either direction."""


def decide(
    probabilities: Probabilities,
    images: Images,
    known: tuple[Images, Labels],
    *,
    confidence_threshold: float,
    power: float,
) -> Probabilities:
    """Have the nearest known images help to decide between an image's two most probable digits.

    The probability of each of the two is divided by a power of its mean distance to the nearest
    images of that digit, and both are brought to the sum that they had: as if the networks' answer
    were a prior and the neighbours other evidence, whose density falls with a power of the distance
    (Loftsgaarden and Quesenberry, Annals of Mathematical Statistics 36(3), 1965). As both have seen
    the same image, the power follows from no dimension; it is chosen.

    Args:
        probabilities: what the networks say, ``(n, 10)``.
        images: uint8 ``(n, 28, 28)``.
        known: other images, uint8 ``(m, 28, 28)``, and their labels. A digit that none of them
            shows is farther than any.
        confidence_threshold: an image is undecided if its most probable digit has less than this.
        power: of the distances.

    Returns:
        Probabilities ``(n, 10)``; those of decided images, and of other digits, as they were.
    """
    undecided = np.flatnonzero(probabilities.max(axis=1) < confidence_threshold)
    if not undecided.size:
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

    pairs = np.argsort(-probabilities[undecided], axis=1, kind="stable")[:, :2]
    with ThreadPoolExecutor(count_processors()) as pool:
        distances = list(pool.map(measure, np.repeat(undecided, 2), pairs.ravel()))
    both = probabilities[undecided[:, np.newaxis], pairs]
    scores = _logarithm(both) - power * _logarithm(distances).reshape(-1, 2)
    result = probabilities.copy()
    result[undecided[:, np.newaxis], pairs] = softmax(scores) * both.sum(axis=1, keepdims=True)
    return result


def count_asked(before: Probabilities, after: Probabilities) -> int:
    """Of how many images `decide` changed the probabilities."""
    return int((before != after).any(axis=1).sum())


def measure_distortion(image: Images, others: Images) -> NDArray[np.float32]:
    """How far an image ``(28, 28)`` is from each of others ``(n, 28, 28)``: float32 ``(n,)``.

    Each place of the image is compared with the place of the other, at most two pixels away in each
    direction, where the gradients in the 3×3 pixels around it differ least; the squares of these
    differences are summed. This is the image distortion model with local context of Keysers,
    Deselaers, Gollan and Ney, "Deformation models for image recognition", IEEE Transactions on
    Pattern Analysis and Machine Intelligence 29(8), 2007. It is not symmetric.
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
    """Sobel's, of grey levels from 0 to 1; around the images everything is 0."""
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
    """Of what may be 0, where images are equal, say."""
    return np.asarray(np.log(np.maximum(values, np.finfo(np.float32).tiny)))

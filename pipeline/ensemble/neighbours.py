"""Low-confidence predictions refined with nearest neighbours.

Networks of whatever kind misclassify the same images, so an average of many gains little over an
average of a few. Nearest neighbours under distances that tolerate small changes of a digit make
other errors, but they are slow. So they decide only between the two most probable digits of an
image, and only where the networks' confidence is low.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Labels, Probabilities, TrainingDigits
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.averaging import softmax
from pipeline.ensemble.distances import measure_distortion, measure_tangent_distance
from pipeline.parallel import count_processors
from pipeline.params import Fold

Measure = Callable[[Images, Images], NDArray[np.floating]]
"""Distances ``(n,)`` of an image ``(28, 28)`` to others ``(n, 28, 28)``."""

DISTANCES: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (("deskew",), measure_distortion),
    (("deskew", "normalize_width"), measure_distortion),
    ((), measure_tangent_distance),
)
"""Views of the images, each with the distance that is measured in it."""

_CANDIDATES = 100
"""Images of a digit, the nearest by means of 2×2 pixels, to which a distance is measured."""

_NEAREST = 3
"""How many of these the mean distance is taken over. docs/experiments/neighbours.md shows how
little either number matters."""

_CANDIDATES_OF_ALL = 300
"""The same where images of any digit are looked for."""

_BLOCK = 64
"""Images whose candidates are looked for at a time, to save memory."""


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
    nearest images of that digit, for each of three distances. The networks' answer acts as a prior,
    the neighbours as densities that fall with a power of the distance (Loftsgaarden and
    Quesenberry, Annals of Mathematical Statistics 36(3), 1965). All have seen the same image, so
    the power does not follow from a dimension; it is a parameter. And their evidence overlaps:
    square roots of the two results are taken, and scaled to the sum that the two had.

    Args:
        probabilities: of the networks, ``(n, 10)``.
        images: uint8 ``(n, 28, 28)``.
        known: other images, uint8 ``(m, 28, 28)``, and their labels ``(m,)``. A digit without any
            image counts as farther than any other.
        confidence_threshold: an image is refined if no digit reaches this probability.
        power: of each distance.

    Returns:
        Probabilities ``(n, 10)``. Other images, and the other eight digits, keep theirs.
    """
    rows = np.flatnonzero(probabilities.max(axis=1) < confidence_threshold)
    if not rows.size:
        return probabilities
    pairs = np.argsort(-probabilities[rows], axis=1, kind="stable")[:, :2]
    both = probabilities[rows[:, np.newaxis], pairs]
    scores = _logarithm(both)
    for view, measure in DISTANCES:
        of_view = preprocess(known[0], view), known[1]
        distances = measure_pairs(preprocess(images[rows], view), pairs, of_view, measure)
        scores -= power * _logarithm(distances)
    result = probabilities.copy()
    result[rows[:, np.newaxis], pairs] = softmax(scores / 2) * both.sum(axis=1, keepdims=True)
    return result


def refine_held_out(
    probabilities: Probabilities,
    data: TrainingDigits,
    fold: Fold,
    *,
    confidence_threshold: float,
    power: float,
) -> Probabilities:
    """`refine_with_neighbours` for the images of a fold, among those of the other folds.

    Neighbours count by their corrected labels, as networks train.

    Args:
        probabilities: of the networks that held out the fold, for its images, ``(n, 10)``.
        data: every labelled image.
        fold: its number.
        confidence_threshold: as there.
        power: as there.
    """
    known = data.to_train_on()
    others = known.folds != fold
    return refine_with_neighbours(
        probabilities,
        data.images[data.folds == fold],
        (known.images[others], known.labels[others]),
        confidence_threshold=confidence_threshold,
        power=power,
    )


def measure_pairs(
    images: Images, pairs: NDArray[np.intp], known: tuple[Images, Labels], measure: Measure
) -> NDArray[np.float64]:
    """Mean distances ``(n, 2)`` of images to their nearest neighbours among two digits each.

    Args:
        images: uint8 ``(n, 28, 28)``.
        pairs: digits ``(n, 2)``.
        known: other images, uint8 ``(m, 28, 28)``, and their labels ``(m,)``. To a digit without
            any image the distance is the largest float32.
        measure: the distance.
    """
    distances = np.full(pairs.shape, np.finfo(np.float32).max, dtype=np.float64)

    def measure_one(of_digit: Images, row: int, column: int, candidates: NDArray[np.intp]) -> None:
        measured = measure(images[row], of_digit[candidates])
        distances[row, column] = np.sort(measured)[:_NEAREST].mean()

    with ThreadPoolExecutor(count_processors()) as pool:
        for digit in np.unique(pairs):
            of_digit = known[0][known[1] == digit]
            rows, columns = np.nonzero(pairs == digit)
            if of_digit.size:
                candidates = _find_candidates(images[rows], of_digit, count=_CANDIDATES)
                list(pool.map(partial(measure_one, of_digit), rows, columns, candidates))
    return distances


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
    count = min(count, len(known))

    def find(
        image: Images, candidates: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        distances = measure_distortion(image, known[candidates])
        order = np.argsort(distances, kind="stable")[:count]
        return candidates[order], distances[order]

    with ThreadPoolExecutor(count_processors()) as pool:
        of_each = _find_candidates(images, known, count=_CANDIDATES_OF_ALL)
        found = list(pool.map(find, images, of_each))
    places, distances = np.empty((len(images), count), np.intp), np.empty((len(images), count))
    for row, (nearest, measured) in enumerate(found):
        places[row], distances[row] = nearest, measured
    return places, distances


def _find_candidates(images: Images, known: Images, *, count: int) -> Iterator[NDArray[np.intp]]:
    """For each image, the places of those in ``known`` that are nearest by means of 2×2 pixels.

    The sums are of whole numbers, exact in float64: they do not depend on BLAS or its threads.
    """
    downsampled = _downsample(known)
    squares = np.vecdot(downsampled, downsampled)
    for start in range(0, len(images), _BLOCK):
        products = _downsample(images[start : start + _BLOCK]) @ downsampled.T
        yield from np.argsort(squares - 2 * products, axis=1, kind="stable")[:, :count].copy()


def _downsample(images: Images) -> NDArray[np.float64]:
    """The sums of 2×2 pixels, ``(n, 196)``."""
    rows = images[:, ::2].astype(np.uint16) + images[:, 1::2]
    sums = rows[:, :, ::2] + rows[:, :, 1::2]
    return sums.reshape(len(images), (IMAGE_SIZE // 2) ** 2).astype(np.float64)


def _logarithm(values: ArrayLike) -> NDArray[np.float64]:
    """The natural logarithm, finite at 0, the distance of equal images."""
    return np.asarray(np.log(np.maximum(values, np.finfo(np.float32).tiny)))

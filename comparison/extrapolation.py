"""The error that a network would have if it trained on as many images as its author's did.

The error falls with the number of images as a power law, n^-b (Cortes et al. 1994, "Learning
curves: asymptotic values and rate of convergence", NIPS 6; Hestness et al. 2017, arXiv:1712.00409).
It is fitted to the errors of three fractions as a line through their logarithms, weighted by the
number of errors, as the logarithm of a count of k varies by about 1/k.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comparison.evidence import Trained
from comparison.statistics import Interval

RESAMPLES = 2_000
_HALF_AN_ERROR = 0.5
"""Added to each count, so that none is zero."""


@dataclass(frozen=True)
class Extrapolation:
    """What the error is expected to be with more images.

    Attributes:
        images: to train on.
        accuracy: expected then.
        exponent: b of the power law.
    """

    images: int
    accuracy: Interval
    exponent: float


def extrapolate(
    trained: Mapping[float, Trained], images: int, *, resamples: int = RESAMPLES
) -> Extrapolation:
    """The accuracy with ``images`` to train on, and its interval by the bootstrap.

    Each resample draws the images that score anew, the same ones for all fractions, and the seeds
    of each fraction and fold.

    Args:
        trained: by fraction; at least two, with at least one fold in common.
        images: to train on.
        resamples: of the bootstrap.
    """
    generator = np.random.default_rng(0)
    folds = set.intersection(*(set(each.errors) for each in trained.values()))
    sizes = np.array([each.training_images for each in trained.values()])
    measured = np.stack([each.error_shares(sorted(folds)) for each in trained.values()])
    num_scored = measured.shape[1]
    counts = measured.sum(axis=1)[np.newaxis]
    value, exponent = _predict(counts, num_scored, sizes, images)
    drawn = _resample(trained, sorted(folds), resamples, generator)
    values, _ = _predict(drawn, num_scored, sizes, images)
    low, high = np.quantile(values, (0.025, 0.975))
    return Extrapolation(
        images,
        Interval(1 - float(value[0]), 1 - float(high), 1 - float(low)),
        float(exponent[0]),
    )


def _resample(
    trained: Mapping[float, Trained],
    folds: list[int],
    resamples: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Counts of errors ``(resamples, fractions)`` on images and from seeds drawn anew.

    Images that no network misclassified are drawn together: they add to no count.
    """
    counts = np.zeros((resamples, len(trained)))
    for fold in folds:
        of_fold = [each.errors[fold] for each in trained.values()]
        missed = np.any([errors.any(axis=0) for errors in of_fold], axis=0)
        num_images = len(missed)
        chances = np.append(np.full(missed.sum(), 1 / num_images), (~missed).sum() / num_images)
        times = generator.multinomial(num_images, chances, size=resamples)[:, :-1]
        for place, errors in enumerate(of_fold):
            drawn = generator.multinomial(
                len(errors), np.full(len(errors), 1 / len(errors)), resamples
            )
            shares = drawn @ errors[:, missed] / len(errors)  # (resamples, missed)
            counts[:, place] += (times * shares).sum(axis=1)
    return counts


def _predict(
    counts: NDArray[np.float64], num_scored: int, sizes: NDArray[np.float64], images: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error rates at ``images`` and exponents of power laws through counts ``(m, fractions)``."""
    counted = counts + _HALF_AN_ERROR
    x, y, weights = np.log(sizes), np.log(counted / num_scored), counted
    total = weights.sum(axis=1, keepdims=True)
    centre_x = (weights * x).sum(axis=1, keepdims=True) / total
    centre_y = (weights * y).sum(axis=1, keepdims=True) / total
    slope = (weights * (x - centre_x) * (y - centre_y)).sum(axis=1) / (
        weights * (x - centre_x) ** 2
    ).sum(axis=1)
    predicted = np.exp(centre_y[:, 0] + slope * (np.log(images) - centre_x[:, 0]))
    return np.minimum(predicted, 1.0), -slope

"""What is computed from the runs. Arrays in, numbers and tables out.

The images evaluate as many networks as there are seeds. Intervals are over the images: they tell
how much the result could differ on other digits of the same kind. The standard deviation tells how
much it differs between seeds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comparison.evidence import Trained
from pipeline.evaluation.metrics import wilson_interval
from pipeline.evaluation.paired import paired_interval

Hits = NDArray[np.bool_]
"""``(seeds, n)``: whether the network of that seed classified image ``i`` correctly."""


@dataclass(frozen=True)
class Interval:
    """An estimate with a 95 % interval; fractions, not percent."""

    value: float
    low: float
    high: float


def mean_accuracy(hits: Hits) -> Interval:
    """Accuracy averaged over seeds, and Wilson's interval for as many trials as images.

    The seeds share their images, so each image counts as one trial, not as several.
    """
    return _accuracy(1 - hits.mean(axis=0))


def accuracy_of(trained: Trained) -> Interval:
    """The same of all folds that scored a network together."""
    return _accuracy(trained.error_shares())


def _accuracy(error_shares: NDArray[np.float64]) -> Interval:
    trials = len(error_shares)
    accuracy = 1 - float(error_shares.mean())
    low, high = wilson_interval(accuracy * trials, trials)
    return Interval(accuracy, float(low), float(high))


def seed_deviation(trained: Trained) -> float:
    """Standard deviation of the accuracy between seeds, on the fold with most of them; else nan."""
    errors = max(trained.errors.values(), key=len)
    return float(np.std(errors.mean(axis=1), ddof=1)) if len(errors) > 1 else np.nan


def paired_difference(ours: Hits, theirs: Hits) -> Interval:
    """Accuracy of ``ours`` minus that of ``theirs``, on the same images.

    Per image, the fraction of seeds with a correct prediction is compared, with the interval of
    `pipeline.evaluation.paired.paired_interval`.
    """
    return _difference(ours.mean(axis=0) - theirs.mean(axis=0))


def difference_of(ours: Trained, theirs: Trained) -> Interval | None:
    """The same on all folds that scored both; None if there is none."""
    folds = [fold for fold in ours.errors if fold in theirs.errors]
    if not folds:
        return None
    return _difference(theirs.error_shares(folds) - ours.error_shares(folds))


def _difference(differences: NDArray[np.float64]) -> Interval:
    return Interval(float(differences.mean()), *paired_interval(differences))


def is_reached(claim: float, accuracy: Interval | None) -> bool:
    """Whether there is an interval, and a claimed accuracy is not above its upper end."""
    return accuracy is not None and claim <= accuracy.high

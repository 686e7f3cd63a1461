"""Drift: whether the test images look like the training images, property by property."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pipeline.evaluation.image_properties import PROPERTIES

_SIGNIFICANT = 0.05
_NOTEWORTHY = 0.05
"""Largest difference of the distributions that does not matter, a fraction of the images."""


def compare_properties(training: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Compare the distribution of each property in training and test images.

    With tens of thousands of images a test finds differences that matter to nobody. So a property
    drifts only if the test finds a difference (p below 0.05 after Bonferroni's correction for all
    properties) and the difference is large enough: more than 5 % of the images.

    Args:
        training: properties from `measure_properties`.
        test: the same of the test images.

    Returns:
        One row per property: property (its title), training_median, test_median, distance (of
        Kolmogorov and Smirnov: the largest difference of the two cumulative distributions), p_value
        (two-sided, corrected) and verdict: ``same`` (chance would do it), ``slight`` (more than
        chance, but 5 % of the images at most) or ``drift``.
    """
    rows = []
    for name, written in PROPERTIES.items():
        ours, theirs = (table[name].dropna().to_numpy() for table in (training, test))
        distance, p_value = _compare(ours, theirs)
        corrected = min(1.0, len(PROPERTIES) * p_value)
        rows.append(
            {
                "property": written.title,
                "training_median": float(np.median(ours)) if len(ours) else np.nan,
                "test_median": float(np.median(theirs)) if len(theirs) else np.nan,
                "distance": distance,
                "p_value": corrected,
                "verdict": _conclude(distance, corrected),
            }
        )
    return pd.DataFrame(rows)


def _compare(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    if not len(first) or not len(second):
        return 0.0, 1.0
    found = ks_2samp(first, second, method="asymp")
    return float(found.statistic), float(found.pvalue)


def _conclude(distance: float, p_value: float) -> str:
    if p_value >= _SIGNIFICANT:
        return "same"
    return "drift" if distance > _NOTEWORTHY else "slight"

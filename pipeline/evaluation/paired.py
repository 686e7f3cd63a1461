"""Two sets of predictions of the same images compared, image by image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pipeline.evaluation.metrics import Z_95

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedComparison:
    """How much more accurate one set of predictions is than another.

    Attributes:
        gained: images that only the first classifies correctly.
        lost: images that only the second classifies correctly.
        difference: accuracy of the first minus accuracy of the second, a fraction.
        low: of the 95 % interval of the difference.
        high: of the same.
        p_value: of McNemar's exact test, two-sided.
    """

    gained: int
    lost: int
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def could_be_chance(self) -> bool:
        """Whether two equally good classifiers differ as much in more than 1 of 20 samples."""
        return self.p_value >= _SIGNIFICANT


def compare_paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedComparison:
    """Compare which of the same images ``(n,)`` two classifiers get right.

    Source of the test: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions", Psychometrika 12 (1947), as an exact binomial test.
    """
    gained, lost = int((first & ~second).sum()), int((~first & second).sum())
    differences = first.astype(np.float64) - second
    low, high = paired_interval(differences)
    return PairedComparison(
        gained=gained,
        lost=lost,
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
    )


def paired_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of differences ``(n,)`` between the hits of two classifiers.

    It is the normal one after half an image is added on which only the first is correct, half on
    which only the second is, and one on which they agree. For hits of 0 and 1 this is the adjusted
    Wald interval for matched pairs of A. Agresti and Y. Min, "Simple improved confidence intervals
    for comparing matched proportions", Statistics in Medicine 24 (2005). Other than McNemar's, it
    keeps a width where no image differs. SciPy and statsmodels do not have it.
    """
    size = len(differences) + 2
    centre = differences.sum() / size
    variance = (np.square(differences).sum() + 1) / size - centre**2  # 1: twice half an image
    half = Z_95 * np.sqrt(variance / size)
    return float(centre - half), float(centre + half)

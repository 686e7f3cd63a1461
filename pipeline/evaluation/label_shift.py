"""Label shift: whether the test images hold each digit as often as the training images.

The test takes two lines with `scipy.special`. `scipy.stats.chi2_contingency` gives the same
numbers, but not the residuals, and importing it would cost the predict stage a second or more.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from pipeline.data.dataset import NUM_CLASSES


def compare_counts(
    training: NDArray[np.int64], predicted: NDArray[np.int64]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Compare how often each digit is predicted with how often the training labels have it.

    Args:
        training: labels per digit, ``(10,)``.
        predicted: predictions per digit, ``(10,)``.

    Returns:
        A table with the columns digit, training, predicted, expected (predictions without a label
        shift) and residual (Pearson's, adjusted; beyond ±3 is rare by chance), and the chi-square
        test of homogeneity: chi_square, degrees_of_freedom and p_value. Digits without any image
        are left out of the test; with a single digit the p-value is 1.

    Raises:
        ValueError: one of the two has no images.

    Source: A. Agresti, "Categorical data analysis", sections 3.2 and 3.3.
    """
    counts = np.array([training, predicted], dtype=np.float64)
    if not counts.any(axis=1).all():
        raise ValueError(f"expected images on both sides, found {training} and {predicted}")
    fractions = counts.sum(axis=0) / counts.sum()
    expected = fractions * counts.sum(axis=1, keepdims=True)
    present = fractions > 0
    chi_square = ((counts - expected)[:, present] ** 2 / expected[:, present]).sum()
    degrees_of_freedom = present.sum() - 1
    spread = np.sqrt(expected[1] * (1 - fractions) * counts[0].sum() / counts.sum())
    table = pd.DataFrame(
        {
            "digit": range(NUM_CLASSES),
            "training": training,
            "predicted": predicted,
            "expected": expected[1],
            "residual": (counts - expected)[1] / np.where(spread > 0, spread, np.nan),
        }
    )
    return table, {
        "chi_square": float(chi_square),
        "degrees_of_freedom": int(degrees_of_freedom),
        "p_value": float(chdtrc(degrees_of_freedom, chi_square)) if degrees_of_freedom > 0 else 1.0,
    }

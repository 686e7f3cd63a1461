"""From what networks say of an image to probabilities, and from several answers to one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.digits import Probabilities


def softmax(logits: NDArray[np.floating]) -> Probabilities:
    """Probabilities, float64 ``(n, 10)``, of logits ``(n, 10)``, without the import of SciPy."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def average_probabilities(each: ArrayLike) -> Probabilities:
    """Geometric mean of probabilities: their logarithms averaged, rows brought to a sum of 1.

    One network that holds a digit for impossible weighs more than in the arithmetic mean. Source:
    T. Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 10, 1997.

    Args:
        each: class probabilities ``(networks, n, 10)``.

    Returns:
        float64 ``(n, 10)``.
    """
    return softmax(np.log(np.maximum(each, np.finfo(np.float64).tiny)).mean(axis=0))

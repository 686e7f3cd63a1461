"""From what networks say of an image to probabilities, and from several answers to one."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.data.dataset import Images, Probabilities
from pipeline.data.preprocessing import Forms, preprocess

_BEYOND_DOUBT = 0.99999
"""Probability in the first form from which a network is not asked in the others: six of seven
images have it, and as many are misread as with all forms (docs/experiments/views.md).
"""


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


def ask_in_forms(
    ask: Callable[[Images], NDArray[np.floating]], images: Images, forms: Forms
) -> Probabilities:
    """What a network says of images that it knows in several forms, on average.

    In all but the first form it is asked only about images that the first leaves in doubt.

    Args:
        ask: the network, from images in a form to logits ``(n, 10)``.
        images: uint8 ``(n, 28, 28)`` as they are before any preprocessing.
        forms: in which the network knows them.

    Returns:
        Class probabilities ``(n, 10)``.
    """
    first, *others = forms
    probabilities = softmax(ask(preprocess(images, first)))
    in_doubt = probabilities.max(axis=1) < _BEYOND_DOUBT
    if others and in_doubt.any():
        each = [softmax(ask(preprocess(images[in_doubt], steps))) for steps in others]
        probabilities[in_doubt] = average_probabilities([probabilities[in_doubt], *each])
    return probabilities

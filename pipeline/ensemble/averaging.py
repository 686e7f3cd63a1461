"""From a network's logits to probabilities, and from several predictions to one."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.data.dataset import Images, Probabilities
from pipeline.data.preprocessing import Views, preprocess

_CONFIDENT = 0.99999
"""Probability in the first view from which the other views are not needed: six of seven images have
it, and the errors are as many as with all views (docs/experiments)."""


class Network(Protocol):
    """What predicts, in Keras or ONNX."""

    @property
    def views(self) -> Views:
        """In which it knows images."""

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits ``(n, 10)`` for preprocessed uint8 images ``(n, 28, 28)``."""


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


def predict_probabilities(network: Network, images: Images) -> Probabilities:
    """Class probabilities of a network for images as they are before any preprocessing.

    Where it knows several views, it predicts from the first, and from the others only those images
    of which the first leaves it less sure than `_CONFIDENT`; the predictions are averaged.

    Args:
        network: a Keras or an ONNX one.
        images: uint8 ``(n, 28, 28)``.

    Returns:
        float64 ``(n, 10)``.
    """
    first, *others = network.views
    probabilities = softmax(network.logits(preprocess(images, first)))
    low = probabilities.max(axis=1) < _CONFIDENT
    if others and low.any():
        each = [softmax(network.logits(preprocess(images[low], view))) for view in others]
        probabilities[low] = average_probabilities([probabilities[low], *each])
    return probabilities

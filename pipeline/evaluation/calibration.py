"""Calibration, and what temperature scaling changes. Arrays in, tables out.

Probabilities are float64 ``(n, 10)`` with rows that sum to 1, labels integer ``(n,)``; the
confidence of a prediction is its greatest probability.

Source of all methods: C. Guo et al., "On calibration of modern neural networks",
arXiv:1706.04599.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from pipeline.data.dataset import NUM_CLASSES, Labels, Probabilities
from pipeline.evaluation.metrics import wilson_interval

_PARTS = 5
_TEMPERATURES = 0.05, 20.0
"""Bounds of the search; without an error the best temperature is 0."""


def tabulate_calibration(
    probabilities: Probabilities, labels: Labels, *, num_bins: int
) -> pd.DataFrame:
    """One row per equal-width bin of confidence.

    Returns:
        Columns low and high (the bin; it holds low but not high, the last one both), correct and
        errors (counts), confidence (the mean), accuracy, accuracy_low and accuracy_high (95 %
        Wilson interval); the last four are missing where a bin is empty.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * num_bins).astype(np.intp), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    num_correct = np.bincount(bins[correct], minlength=num_bins)
    sums = np.bincount(bins, weights=confidence, minlength=num_bins)
    low, high = wilson_interval(num_correct, counts)
    edges = np.arange(num_bins + 1) / num_bins
    filled, size = counts > 0, np.maximum(counts, 1)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "correct": num_correct,
            "errors": counts - num_correct,
            "confidence": np.where(filled, sums / size, np.nan),
            "accuracy": np.where(filled, num_correct / size, np.nan),
            "accuracy_low": np.where(filled, low, np.nan),
            "accuracy_high": np.where(filled, high, np.nan),
        }
    )


def expected_calibration_error(
    probabilities: Probabilities, labels: Labels, *, num_bins: int
) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by size (eq. 3)."""
    bins = tabulate_calibration(probabilities, labels, num_bins=num_bins)
    sizes = bins["correct"] + bins["errors"]
    gaps = (bins["accuracy"] - bins["confidence"]).abs()
    return float((gaps * sizes).sum() / sizes.sum())


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Divide the logits by ``temperature``: above 1 softens, below 1 sharpens, 1 changes nothing.

    Logarithms of probabilities stand for the logits, which differ by a constant per row.
    """
    scaled: Probabilities = softmax(_log(probabilities) / temperature, axis=1)
    return scaled


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """The temperature that gives the lowest log loss (section 4.2)."""
    logits = _log(probabilities)
    own = np.arange(len(labels)), labels

    def loss(log_temperature: float) -> float:
        scaled = softmax(logits / np.exp(log_temperature), axis=1)
        return float(-_log(scaled[own]).mean())

    found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def cross_fit_temperature(
    probabilities: Probabilities, labels: Labels
) -> tuple[Probabilities, float] | None:
    """Scale each fifth of the predictions by the temperature that fits the other four best.

    So an image never shares in fitting the temperature that scales it. The fifths are every fifth
    row: the same predictions always give the same result.

    Returns:
        The scaled probabilities and the mean of the temperatures; None if four fifths hold no
        error, because then the best temperature is 0.
    """
    misclassified = probabilities.argmax(axis=1) != labels
    parts = np.arange(len(labels)) % _PARTS
    scaled = np.empty_like(probabilities)
    temperatures = []
    for part in range(_PARTS):
        held_out = parts == part
        if not misclassified[~held_out].any():
            return None
        temperature = fit_temperature(probabilities[~held_out], labels[~held_out])
        scaled[held_out] = apply_temperature(probabilities[held_out], temperature)
        temperatures.append(temperature)
    return scaled, float(np.mean(temperatures))


def compare_calibration(
    probabilities: Probabilities,
    labels: Labels,
    scaled: tuple[Probabilities, float] | None,
    *,
    num_bins: int,
) -> pd.DataFrame:
    """`tabulate_calibration` before and, with a temperature, after scaling.

    Args:
        probabilities: ``(n, 10)``.
        labels: ``(n,)``.
        scaled: from `cross_fit_temperature`.
        num_bins: of confidence.

    Returns:
        The columns of `tabulate_calibration`, and scaled: whether a row is of the latter.
    """
    tables = [tabulate_calibration(probabilities, labels, num_bins=num_bins).assign(scaled=False)]
    if scaled is not None:
        after = tabulate_calibration(scaled[0], labels, num_bins=num_bins)
        tables.append(after.assign(scaled=True))
    return pd.concat(tables, ignore_index=True)


def summarize_calibration(
    probabilities: Probabilities,
    labels: Labels,
    scaled: tuple[Probabilities, float] | None,
    *,
    num_bins: int,
) -> dict[str, Any]:
    """The calibration error before and after temperature scaling, by name.

    Args:
        probabilities: ``(n, 10)``.
        labels: ``(n,)``.
        scaled: from `cross_fit_temperature`.
        num_bins: of confidence.

    Returns:
        expected_calibration_error, temperature, scaled_expected_calibration_error and
        scaled_log_loss; the last three are None without a temperature.
    """
    after, temperature = scaled or (None, None)
    return {
        "expected_calibration_error": expected_calibration_error(
            probabilities, labels, num_bins=num_bins
        ),
        "temperature": temperature,
        "scaled_expected_calibration_error": None
        if after is None
        else expected_calibration_error(after, labels, num_bins=num_bins),
        "scaled_log_loss": None
        if after is None
        else float(log_loss(labels, after, labels=range(NUM_CLASSES))),
    }


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return logarithms

"""What is computed from labels and probabilities. Arrays in, numbers and tables out.

Probabilities are float64 ``(n, 10)`` with rows that sum to 1, labels integer ``(n,)``.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from pipeline.digits import NUM_CLASSES, Labels

Probabilities = NDArray[np.float64]

_Z_95 = 1.959963984540054
"""The normal quantile that leaves 2.5 % on each side."""


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % score interval of a proportion, elementwise; (0, 1) where there were no trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927).
    """
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    tried = n > 0
    safe = np.where(tried, n, 1.0)
    share = k / safe
    scale = 1 + _Z_95**2 / safe
    centre = (share + _Z_95**2 / (2 * safe)) / scale
    half = _Z_95 * np.sqrt(share * (1 - share) / safe + _Z_95**2 / (4 * safe**2)) / scale
    low = np.where(tried, np.where(k == 0, 0.0, centre - half), 0.0)
    high = np.where(tried, np.where(k == n, 1.0, centre + half), 1.0)
    return low, high


def expected_calibration_error(
    probabilities: Probabilities, labels: Labels, *, num_bins: int
) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins, weighted by size.

    Source: C. Guo et al., "On calibration of modern neural networks", arXiv:1706.04599, eq. 3.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * num_bins).astype(np.intp), num_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(labels))


def summarize(probabilities: Probabilities, labels: Labels, *, num_bins: int) -> dict[str, Any]:
    """The figures of merit of a set of predictions, by name; accuracies are shares, not percent."""
    predicted = probabilities.argmax(axis=1)
    num_correct = int((predicted == labels).sum())
    low, high = wilson_interval(num_correct, len(labels))
    return {
        "accuracy": num_correct / len(labels),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "errors": len(labels) - num_correct,
        "n": len(labels),
        "log_loss": float(log_loss(labels, probabilities, labels=range(NUM_CLASSES))),
        "macro_f1": float(f1_score(labels, predicted, average="macro")),
        "expected_calibration_error": expected_calibration_error(
            probabilities, labels, num_bins=num_bins
        ),
    }


def count_confusions(predicted: Labels, labels: Labels) -> NDArray[np.int64]:
    """Confusion counts ``(10, 10)``: true digit down, predicted digit across."""
    counts: NDArray[np.int64] = confusion_matrix(labels, predicted, labels=range(NUM_CLASSES))
    return counts


def tabulate_digits(confusions: NDArray[np.int64]) -> pd.DataFrame:
    """One row per true digit: wrong, right, error rate with 95 % interval, commonest confusion.

    Args:
        confusions: ``(10, 10)`` from `count_confusions`.

    Returns:
        Columns digit, wrong, right, error_rate, error_rate_low, error_rate_high (shares),
        confused_with and confused_times (empty where the digit was never wrong; the smaller
        digit where two are equally common).
    """
    right = confusions.diagonal()
    mistakes = confusions - np.diag(right)
    wrong = mistakes.sum(axis=1)
    total = wrong + right
    low, high = wilson_interval(wrong, total)
    confused = wrong > 0
    return pd.DataFrame(
        {
            "digit": range(NUM_CLASSES),
            "wrong": wrong,
            "right": right,
            "error_rate": np.where(total > 0, wrong / np.maximum(total, 1), np.nan),
            "error_rate_low": low,
            "error_rate_high": high,
            "confused_with": pd.array(mistakes.argmax(axis=1), dtype="Int64"),
            "confused_times": pd.array(mistakes.max(axis=1), dtype="Int64"),
        }
    ).assign(
        confused_with=lambda table: table["confused_with"].where(confused),
        confused_times=lambda table: table["confused_times"].where(confused),
    )


def tabulate_errors(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]
) -> pd.DataFrame:
    """One row per misclassified image, the costliest first.

    Args:
        probabilities: ``(n, 10)``.
        labels: ``(n,)``.
        rows: ``(n,)``, the row of each image in ``train.csv``, counted from 0.

    Returns:
        Columns row, true, predicted, runner_up, p_true, p_predicted, p_runner_up and loss (the
        negative natural logarithm of p_true). The runner-up is the second most probable digit
        and may be the true one.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    wrong = np.flatnonzero(ranked[:, 0] != labels)
    predicted, runner_up = ranked[wrong, 0], ranked[wrong, 1]
    p_true = probabilities[wrong, labels[wrong]]
    table = pd.DataFrame(
        {
            "row": rows[wrong],
            "true": labels[wrong],
            "predicted": predicted,
            "runner_up": runner_up,
            "p_true": p_true,
            "p_predicted": probabilities[wrong, predicted],
            "p_runner_up": probabilities[wrong, runner_up],
            "loss": -np.log(np.maximum(p_true, np.finfo(np.float64).tiny)),
        }
    )
    return table.sort_values(["loss", "row"], ascending=[False, True], ignore_index=True)


def describe_digits(table: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of `tabulate_digits` as text for people, by column heading."""
    return [
        {
            "digit": str(row.digit),
            "wrong": f"{row.wrong:,}",
            "right": f"{row.right:,}",
            "error rate": "–" if row.wrong + row.right == 0 else f"{row.error_rate:.2%}",
            "95 % interval": f"{row.error_rate_low:.2%} – {row.error_rate_high:.2%}",
            "most often read as": (
                "–"
                if pd.isna(row.confused_with)
                else f"{row.confused_with} ({row.confused_times}×)"
            ),
        }
        for row in table.itertuples()
    ]

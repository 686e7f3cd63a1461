"""Accuracy, and errors by digit. Arrays in, numbers and tables out.

Probabilities are float64 ``(n, 10)`` with rows that sum to 1, labels integer ``(n,)``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import classification_report, confusion_matrix

from pipeline.data.dataset import NUM_CLASSES, Labels, Probabilities
from pipeline.data.label_corrections import CorrectionSummary

Z_95 = 1.959963984540054
"""The normal quantile that leaves 2.5 % on each side."""


@dataclass(frozen=True)
class Metrics:
    """The contents of ``metrics.json``; fractions, not percent.

    Attributes:
        accuracy: of the predictions of all held-out images.
        accuracy_low: of its 95 % Wilson interval.
        accuracy_high: of the same.
        errors: misclassified images.
        n: held-out images.
        scores: by the names of `scores.SCORES`.
        expected_calibration_error: see `calibration.expected_calibration_error`.
        temperature: see `calibration.cross_fit_temperature`; None without one.
        scaled_expected_calibration_error: after temperature scaling.
        scaled_log_loss: after temperature scaling.
        evaluated_members: that hold out a fold.
        members_per_image: of them, whose average predicts an image.
        training_seconds: of all members.
        member_accuracy_mean: of the evaluated members, each on its fold, without neighbours.
        member_accuracy_sd: standard deviation of the same; None for one member.
        train_accuracy: mean of the evaluated members on images outside their folds.
        neighbours_refined: images whose prediction was refined with neighbours.
        neighbours_corrected: errors that became correct.
        neighbours_broken: correct predictions that became errors.
        suspected_label_errors: see `label_errors.suspect_labels`.
        near_duplicates_across_folds: pairs of nearly equal images in different folds.
        evaluated_near_duplicates: held-out images in such a pair.
        label_corrections: how the labels were corrected that networks train on; None: they were
            not. All scores are against the labels as given.
        predictions: the file that all of this follows from, and its SHA-256. This and the next are
            lists of pairs, which DVC does not take for figures to show.
        members: each evaluated member, and the SHA-256 of its model.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    errors: int
    n: int
    scores: dict[str, float]
    expected_calibration_error: float
    temperature: float | None
    scaled_expected_calibration_error: float | None
    scaled_log_loss: float | None
    evaluated_members: int
    members_per_image: int
    training_seconds: float
    member_accuracy_mean: float
    member_accuracy_sd: float | None
    train_accuracy: float
    neighbours_refined: int
    neighbours_corrected: int
    neighbours_broken: int
    suspected_label_errors: int
    near_duplicates_across_folds: int
    evaluated_near_duplicates: int
    label_corrections: CorrectionSummary | None
    predictions: list[tuple[str, str]]
    members: list[tuple[str, str]]


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % score interval of a proportion, elementwise; (0, 1) where there were no trials.

    SciPy has it for one whole number of successes; here they are arrays, and means over seeds.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927).
    """
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    tried = n > 0
    safe = np.where(tried, n, 1.0)
    fraction = k / safe
    scale = 1 + Z_95**2 / safe
    centre = (fraction + Z_95**2 / (2 * safe)) / scale
    half = Z_95 * np.sqrt(fraction * (1 - fraction) / safe + Z_95**2 / (4 * safe**2)) / scale
    low = np.where(tried, np.where(k == 0, 0.0, centre - half), 0.0)
    high = np.where(tried, np.where(k == n, 1.0, centre + half), 1.0)
    return low, high


def summarize(probabilities: Probabilities, labels: Labels) -> dict[str, Any]:
    """Accuracy with its 95 % interval, errors and images by name; fractions, not percent."""
    predicted = probabilities.argmax(axis=1)
    num_correct = int((predicted == labels).sum())
    low, high = wilson_interval(num_correct, len(labels))
    return {
        "accuracy": num_correct / len(labels),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "errors": len(labels) - num_correct,
        "n": len(labels),
    }


def report_classes(predicted: Labels, labels: Labels) -> str:
    """Scikit-learn's report of precision, recall and F1 by digit, as text."""
    report: str = classification_report(
        labels, predicted, labels=range(NUM_CLASSES), digits=4, zero_division=np.nan
    )
    return report


def count_confusions(predicted: Labels, labels: Labels) -> NDArray[np.int64]:
    """Confusion counts ``(10, 10)``: true digit down, predicted digit across."""
    counts: NDArray[np.int64] = confusion_matrix(labels, predicted, labels=range(NUM_CLASSES))
    return counts


def tabulate_digits(confusions: NDArray[np.int64]) -> pd.DataFrame:
    """One row per true digit: errors, error rate with 95 % interval, most frequent confusion.

    Args:
        confusions: ``(10, 10)`` from `count_confusions`.

    Returns:
        Columns digit, errors, correct, error_rate, error_rate_low, error_rate_high (fractions),
        confused_with (the digits most often predicted instead, separated by spaces; empty without
        an error), confused_times (how often each of them) and worse_than_others.

    A digit is worse than the others if its interval lies wholly above that of the other nine
    together. Where all are equally hard, that marks one digit in 135, and some digit in 7 % of the
    tables: nearly as strict as one comparison at the usual 5 %.
    """
    correct = confusions.diagonal()
    confused = confusions - np.diag(correct)
    errors = confused.sum(axis=1)
    total = errors + correct
    low, high = wilson_interval(errors, total)
    _, high_of_others = wilson_interval(errors.sum() - errors, total.sum() - total)
    most = confused.max(axis=1)
    most_frequent = [
        " ".join(map(str, np.flatnonzero(row == times))) if times else None
        for row, times in zip(confused, most, strict=True)
    ]
    return pd.DataFrame(
        {
            "digit": range(NUM_CLASSES),
            "errors": errors,
            "correct": correct,
            "error_rate": np.where(total > 0, errors / np.maximum(total, 1), np.nan),
            "error_rate_low": low,
            "error_rate_high": high,
            "confused_with": pd.array(most_frequent, dtype="string"),
            "confused_times": pd.arrays.IntegerArray(most, mask=most == 0),
            "worse_than_others": low > high_of_others,
        }
    )


def tabulate_confusions(confusions: NDArray[np.int64]) -> pd.DataFrame:
    """The counts ``(10, 10)`` as rows with the columns true, predicted, count and row_fraction.

    The fraction is of all images of the true digit; it is missing where there are none.
    """
    totals = confusions.sum(axis=1, keepdims=True)
    fractions = np.where(totals > 0, confusions / np.maximum(totals, 1), np.nan)
    true, predicted = np.indices(confusions.shape)
    return pd.DataFrame(
        {
            "true": true.ravel(),
            "predicted": predicted.ravel(),
            "count": confusions.ravel(),
            "row_fraction": fractions.ravel(),
        }
    )


def darkest_fraction(confusions: pd.DataFrame) -> float:
    """The fraction of a row that the darkest colour of an error stands for.

    It is the greatest in the table, but at least 1 %, so that a single error among many stays pale.

    Args:
        confusions: from `tabulate_confusions`.
    """
    errors = confusions.loc[confusions["true"] != confusions["predicted"], "row_fraction"]
    return max(0.01, float(errors.fillna(0).max()))


def describe_digits(table: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of `tabulate_digits` as text for people, by column heading."""
    return [
        {
            "digit": str(row.digit),
            "errors": f"{row.errors:,}",
            "correct": f"{row.correct:,}",
            "error rate": "–" if row.errors + row.correct == 0 else f"{row.error_rate:.2%}",
            "95 % interval": f"{row.error_rate_low:.2%} – {row.error_rate_high:.2%}",
            "most often predicted as": (
                "–"
                if pd.isna(row.confused_with)
                else _describe_confusion(row.confused_with.split(), row.confused_times)
            ),
        }
        for row in table.itertuples()
    ]


def _describe_confusion(digits: list[str], times: int) -> str:
    each = " each" if len(digits) > 1 else ""
    return f"{', '.join(digits)} ({times:,}×{each})"

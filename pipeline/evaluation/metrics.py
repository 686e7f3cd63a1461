"""What is computed from labels and probabilities. Arrays in, numbers and tables out.

Probabilities are float64 ``(n, 10)`` with rows that sum to 1, labels integer ``(n,)``.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from pipeline.data.dataset import NUM_CLASSES, Labels, Probabilities

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


def summarize(probabilities: Probabilities, labels: Labels) -> dict[str, Any]:
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
        confused_with (the digits that it was most often read as, separated by spaces; empty where
        it was never wrong), confused_times (how often as each of them) and worse_than_others.

    A digit is worse than the others where its interval lies wholly above that of the other nine
    together. Two 95 % intervals that do not touch are about as rare by chance as 1 in 200, so that
    ten such comparisons in one table are still about as strict as one at the usual 5 %.
    """
    right = confusions.diagonal()
    mistakes = confusions - np.diag(right)
    wrong = mistakes.sum(axis=1)
    total = wrong + right
    low, high = wilson_interval(wrong, total)
    _, high_of_others = wilson_interval(wrong.sum() - wrong, total.sum() - total)
    confused = wrong > 0
    most = mistakes.max(axis=1)
    commonest = [
        " ".join(map(str, np.flatnonzero(row == times))) if times else None
        for row, times in zip(mistakes, most, strict=True)
    ]
    return pd.DataFrame(
        {
            "digit": range(NUM_CLASSES),
            "wrong": wrong,
            "right": right,
            "error_rate": np.where(total > 0, wrong / np.maximum(total, 1), np.nan),
            "error_rate_low": low,
            "error_rate_high": high,
            "confused_with": pd.array(commonest, dtype="string"),
            "confused_times": pd.array(most, dtype="Int64"),
            "worse_than_others": low > high_of_others,
        }
    ).assign(confused_times=lambda table: table["confused_times"].where(confused))


def tabulate_confusions(confusions: NDArray[np.int64]) -> pd.DataFrame:
    """The counts ``(10, 10)`` as rows with the columns true, predicted, count and row_share.

    The share is of all images of the true digit; it is missing where there are none.
    """
    totals = confusions.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, confusions / np.maximum(totals, 1), np.nan)
    true, predicted = np.indices(confusions.shape)
    return pd.DataFrame(
        {
            "true": true.ravel(),
            "predicted": predicted.ravel(),
            "count": confusions.ravel(),
            "row_share": shares.ravel(),
        }
    )


def darkest_share(confusions: pd.DataFrame) -> float:
    """The share of a row that the darkest colour of an error stands for.

    It is the greatest that there is, but 1 % at least: a single error among many stays pale.

    Args:
        confusions: from `tabulate_confusions`.
    """
    mistakes = confusions.loc[confusions["true"] != confusions["predicted"], "row_share"]
    return max(0.01, float(mistakes.fillna(0).max()))


def tabulate_errors(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]
) -> pd.DataFrame:
    """One row per misclassified image, the costliest first.

    Args:
        probabilities: ``(n, 10)``.
        labels: ``(n,)``.
        rows: ``(n,)``, the row of each image in ``train.csv``, counted from 0.

    Returns:
        Columns row, true, predicted, runner_up, p_true, p_predicted, p_runner_up, loss (the
        negative natural logarithm of p_true), and p_0 to p_9. The runner-up is the second most
        probable digit and may be the true one.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return _tabulate_readings(probabilities[wrong], labels[wrong], rows[wrong])


def tabulate_correct(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp], *, num_of_each_kind: int
) -> pd.DataFrame:
    """Some correctly read images of each digit, to compare the errors with.

    Args:
        probabilities: ``(n, 10)``.
        labels: ``(n,)``.
        rows: ``(n,)``, the row of each image in ``train.csv``, counted from 0.
        num_of_each_kind: how many of each digit and kind, if there are so many.

    Returns:
        Columns as of `tabulate_errors`, and kind: ``least certain``, or ``typical`` for those in
        the middle of what is left, by confidence. No image is of both kinds.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    chosen: dict[str, list[NDArray[np.intp]]] = {"least certain": [], "typical": []}
    for digit in range(NUM_CLASSES):
        own = np.flatnonzero(correct & (labels == digit))
        own = own[np.argsort(confidence[own], kind="stable")]
        rest = own[num_of_each_kind:]
        middle = max(0, (len(rest) - num_of_each_kind) // 2)
        chosen["least certain"].append(own[:num_of_each_kind])
        chosen["typical"].append(rest[middle : middle + num_of_each_kind])
    tables = []
    for kind, parts in chosen.items():
        index = np.concatenate(parts)
        table = _tabulate_readings(probabilities[index], labels[index], rows[index])
        tables.append(table.assign(kind=kind))
    return pd.concat(tables, ignore_index=True)


def _tabulate_readings(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]
) -> pd.DataFrame:
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    predicted, runner_up = ranked[:, 0], ranked[:, 1]
    each = np.arange(len(labels))
    p_true = probabilities[each, labels]
    table = pd.DataFrame(
        {
            "row": rows,
            "true": labels,
            "predicted": predicted,
            "runner_up": runner_up,
            "p_true": p_true,
            "p_predicted": probabilities[each, predicted],
            "p_runner_up": probabilities[each, runner_up],
            "loss": -np.log(np.maximum(p_true, np.finfo(np.float64).tiny)),
        }
        | {f"p_{digit}": probabilities[:, digit] for digit in range(NUM_CLASSES)}
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
                else _describe_confusion(row.confused_with.split(), row.confused_times)
            ),
        }
        for row in table.itertuples()
    ]


def _describe_confusion(digits: list[str], times: int) -> str:
    each = " each" if len(digits) > 1 else ""
    return f"{', '.join(digits)} ({times:,}×{each})"

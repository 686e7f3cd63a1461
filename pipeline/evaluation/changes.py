"""What became of each image from one set of predictions to another."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.dataset import NUM_CLASSES
from pipeline.evaluation import metrics
from pipeline.evaluation.predictions import OutOfFoldPredictions

CHANGES = ("new_error", "corrected", "other_error", "same_error")
"""What became of an image that one run or both misclassify, in the order of the tables."""


def take(predictions: OutOfFoldPredictions, places: NDArray[np.intp]) -> OutOfFoldPredictions:
    """The predictions at some places ``(m,)`` of the arrays, in that order."""
    arrays = ("rows", "labels", "averages", "probabilities")
    return replace(predictions, **{name: getattr(predictions, name)[places] for name in arrays})


def on_common_images(
    before: OutOfFoldPredictions, after: OutOfFoldPredictions
) -> tuple[OutOfFoldPredictions, OutOfFoldPredictions]:
    """The predictions of the images that were held out in both; none if they are of other data."""
    _, ours, theirs = np.intersect1d(
        before.rows, after.rows, assume_unique=True, return_indices=True
    )
    if before.train_sha256 != after.train_sha256:
        ours, theirs = ours[:0], theirs[:0]
    return take(before, ours), take(after, theirs)


def tabulate_changes(before: OutOfFoldPredictions, after: OutOfFoldPredictions) -> pd.DataFrame:
    """One row per image that is misclassified before, after, or both times.

    Returns:
        Columns row (of ``train.csv``, counted from 0), true, before, after (the predicted digits),
        change (of `CHANGES`), p_true_before, p_true_after, p_before, p_after (the probabilities of
        the predicted digits), and p_0_before to p_9_after. The greatest change of the true digit's
        probability comes first within each change.
    """
    places = np.flatnonzero(~(before.correct & after.correct))
    before, after = take(before, places), take(after, places)
    each = np.arange(len(places))
    other = np.where(before.predicted == after.predicted, "same_error", "other_error")
    lost = np.where(before.correct, "new_error", other)
    change = np.where(after.correct, "corrected", lost)
    p_true = {
        f"p_true_{name}": run.probabilities[each, run.labels]
        for name, run in (("before", before), ("after", after))
    }
    table = pd.DataFrame(
        {
            "row": after.rows,
            "true": after.labels,
            "before": before.predicted,
            "after": after.predicted,
            "change": pd.Categorical(change, CHANGES),
        }
        | p_true
        | {"p_before": before.probabilities.max(axis=1), "p_after": after.probabilities.max(axis=1)}
        | {
            f"p_{digit}_{name}": run.probabilities[:, digit]
            for name, run in (("before", before), ("after", after))
            for digit in range(NUM_CLASSES)
        }
    )
    by_how_much = -np.abs(p_true["p_true_after"] - p_true["p_true_before"])
    order = np.lexsort((after.rows, by_how_much, table["change"].cat.codes))
    return table.iloc[order].reset_index(drop=True).astype({"change": "object"})


def tabulate_confusions(before: OutOfFoldPredictions, after: OutOfFoldPredictions) -> pd.DataFrame:
    """A row per true and predicted digit: columns true, predicted, before, after, difference."""
    then, now = (
        metrics.count_confusions(each.predicted, each.labels).ravel() for each in (before, after)
    )
    true, predicted = np.indices((NUM_CLASSES, NUM_CLASSES)).reshape(2, -1)
    return pd.DataFrame(
        {
            "true": true,
            "predicted": predicted,
            "before": then,
            "after": now,
            "difference": now - then,
        }
    )


def tabulate_digits(before: OutOfFoldPredictions, after: OutOfFoldPredictions) -> pd.DataFrame:
    """A row per digit: digit, images, errors_before, errors, corrected, new_errors."""
    columns = {
        "images": np.ones_like(after.correct),
        "errors_before": ~before.correct,
        "errors": ~after.correct,
        "corrected": ~before.correct & after.correct,
        "new_errors": before.correct & ~after.correct,
    }
    counts = {
        name: np.bincount(after.labels[chosen], minlength=NUM_CLASSES)
        for name, chosen in columns.items()
    }
    return pd.DataFrame({"digit": range(NUM_CLASSES)} | counts)

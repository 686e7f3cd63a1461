"""Predictions worth looking at: all errors, and some correct ones to compare them with."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.dataset import NUM_CLASSES
from pipeline.evaluation.predictions import OutOfFoldPredictions

SUGGESTIONS_SHOWN = 400
"""Labels that may be wrong, on the page."""


def tabulate_errors(predictions: OutOfFoldPredictions) -> pd.DataFrame:
    """One row per misclassified image, the highest loss first.

    Returns:
        Columns row (of ``train.csv``, counted from 0), true, predicted, runner_up, p_true,
        p_predicted, p_runner_up, loss (the negative natural logarithm of p_true), p_0 to p_9, and
        refined (whether with neighbours). The runner-up is the second most probable digit and may
        be the true one.
    """
    return _tabulate(predictions, np.flatnonzero(~predictions.correct))


def tabulate_correct(predictions: OutOfFoldPredictions, *, num_of_each_kind: int) -> pd.DataFrame:
    """Some correctly classified images of each digit.

    Args:
        predictions: of which to choose.
        num_of_each_kind: how many of each digit and kind, if there are so many.

    Returns:
        Columns as of `tabulate_errors`, and kind: ``low_confidence`` for the images with the
        lowest, ``typical`` for those in the middle of the others. No image is of both kinds.
    """
    confidence = predictions.probabilities.max(axis=1)
    kinds: dict[str, list[NDArray[np.intp]]] = {"low_confidence": [], "typical": []}
    for digit in range(NUM_CLASSES):
        own = np.flatnonzero(predictions.correct & (predictions.labels == digit))
        own = own[np.argsort(confidence[own], kind="stable")]
        others = own[num_of_each_kind:]
        middle = max(0, (len(others) - num_of_each_kind) // 2)
        kinds["low_confidence"].append(own[:num_of_each_kind])
        kinds["typical"].append(others[middle : middle + num_of_each_kind])
    tables = [
        _tabulate(predictions, np.concatenate(places)).assign(kind=kind)
        for kind, places in kinds.items()
    ]
    return pd.concat(tables, ignore_index=True)


def choose_errors(errors: pd.DataFrame, most: int) -> pd.DataFrame:
    """The errors that a page has room for, in their order.

    If not all have room, each confusion has its highest loss on the page before any has one more.

    Args:
        errors: from `tabulate_errors`.
        most: of them to choose.
    """
    turn = errors.groupby(["true", "predicted"]).cumcount()
    return errors.loc[turn.sort_values(kind="stable").index[:most].sort_values()]


def choose_suspected(errors: pd.DataFrame, label_errors: pd.DataFrame) -> pd.DataFrame:
    """The errors whose labels are the most suspicious ones, at most `SUGGESTIONS_SHOWN`.

    Args:
        errors: from `tabulate_errors`.
        label_errors: from `label_errors.suspect_labels`.
    """
    return label_errors[["row"]].head(SUGGESTIONS_SHOWN).merge(errors, on="row")


def choose_contradicted(errors: pd.DataFrame, label_errors: pd.DataFrame) -> pd.DataFrame:
    """The other errors, those first whose prediction is most confident in another digit.

    The number of suspected labels is an estimate, which is cautious where few labels are wrong.
    Whoever looks for all of them goes on here. Together with `choose_suspected` they are at most
    `SUGGESTIONS_SHOWN`.

    Args:
        errors: from `tabulate_errors`.
        label_errors: from `label_errors.suspect_labels`.
    """
    others = errors[~errors["row"].isin(label_errors["row"])]
    margins = (others["p_true"] - others["p_predicted"]).sort_values(kind="stable")
    return others.loc[margins.index[: max(0, SUGGESTIONS_SHOWN - len(label_errors))]]


def _tabulate(predictions: OutOfFoldPredictions, places: NDArray[np.intp]) -> pd.DataFrame:
    probabilities, labels = predictions.probabilities[places], predictions.labels[places]
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    predicted, runner_up = ranked[:, 0], ranked[:, 1]
    each = np.arange(len(labels))
    p_true = probabilities[each, labels]
    table = pd.DataFrame(
        {
            "row": predictions.rows[places],
            "true": labels,
            "predicted": predicted,
            "runner_up": runner_up,
            "p_true": p_true,
            "p_predicted": probabilities[each, predicted],
            "p_runner_up": probabilities[each, runner_up],
            "loss": -np.log(np.maximum(p_true, np.finfo(np.float64).tiny)),
        }
        | {f"p_{digit}": probabilities[:, digit] for digit in range(NUM_CLASSES)}
        | {"refined": predictions.refined[places]}
    )
    return table.sort_values(["loss", "row"], ascending=[False, True], ignore_index=True)

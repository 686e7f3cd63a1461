"""Labels that are probably wrong, found with out-of-fold predictions."""

import warnings

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray

from pipeline.data.dataset import Labels, Probabilities


def suspect_labels(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]
) -> pd.DataFrame:
    """One row per suspected label, the most suspicious first.

    A label is suspected if another digit is predicted. The number of suspects for each (label,
    prediction) is that of the confident joint: it counts images whose probability of a digit
    reaches the average of the images with that label.

    Args:
        probabilities: out-of-fold, ``(n, 10)``.
        labels: ``(n,)``.
        rows: ``(n,)``, the row of each image in ``train.csv``, counted from 0.

    Returns:
        Columns rank (from 1), row, label, suggested (the predicted digit), p_label, p_suggested
        and margin (p_label - p_suggested, by which they are ranked).

    Source: C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident learning: estimating uncertainty in
    dataset labels", arXiv:1911.00068, pruning by noise rate, as cleanlab implements it.
    """
    with warnings.catch_warnings():
        # cleanlab warns of digits with one label or none; there no label is suspected.
        warnings.filterwarnings("ignore", "May not flag all label issues in class")
        suspected = find_label_issues(
            labels.astype(np.int64),
            probabilities,
            return_indices_ranked_by="normalized_margin",
            filter_by="prune_by_noise_rate",
            n_jobs=1,
        )
    suggested = probabilities[suspected].argmax(axis=1)
    p_label = probabilities[suspected, labels[suspected]]
    p_suggested = probabilities[suspected, suggested]
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(suspected) + 1),
            "row": rows[suspected],
            "label": labels[suspected],
            "suggested": suggested,
            "p_label": p_label,
            "p_suggested": p_suggested,
            "margin": p_label - p_suggested,
        }
    )

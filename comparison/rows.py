"""Which rows a run by an author's recipe trains on. NumPy alone."""

import numpy as np
from numpy.typing import NDArray

from comparison.runs import Run
from pipeline.data.dataset import Labels

Rows = NDArray[np.intp]


def choose_rows(labels: Labels, folds: NDArray[np.uint8], run: Run) -> Rows:
    """The rows outside the fold of a run, or the fraction of them that it may train on; sorted.

    Each digit has its share. The rows of a smaller fraction are among those of a larger one, with
    the same fold and seed.
    """
    rows = np.flatnonzero(folds != run.fold)
    if run.fraction == 1:
        return rows
    return _draw_share(labels, rows, run.fraction, np.random.default_rng([run.seed, run.fold, 1]))


def hold_back(labels: Labels, rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Split ``rows`` into those to fit and a validation set with each digit's share; both sorted.

    Args:
        labels: of all rows.
        rows: to split.
        fraction: of them in the validation set; with 0 it is empty.
        seed: decides the draw.
    """
    validation = _draw_share(labels, rows, fraction, np.random.default_rng([seed, 2]))
    return np.setdiff1d(rows, validation), validation


def _draw_share(
    labels: Labels, rows: Rows, fraction: float, generator: np.random.Generator
) -> Rows:
    """``fraction`` of the rows of each digit, drawn in an order that is the same for all."""
    drawn = [np.empty(0, dtype=np.intp)]
    for digit in np.unique(labels[rows]):
        shuffled = generator.permutation(rows[labels[rows] == digit])
        drawn.append(shuffled[: round(fraction * len(shuffled))])
    return np.sort(np.concatenate(drawn))

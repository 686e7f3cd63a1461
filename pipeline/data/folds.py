"""Which rows evaluate which network: stratified folds, and the validation set of a training."""

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split

from pipeline.data.dataset import Images, Labels
from pipeline.errors import ParamsError, TableError

Rows = NDArray[np.intp]


def find_duplicates(images: Images) -> Rows:
    """For each of ``images`` ``(n, …)``, the first row that holds the same pixels: ``(n,)``."""
    first_seen: dict[bytes, int] = {}
    rows = (first_seen.setdefault(image.tobytes(), row) for row, image in enumerate(images))
    return np.fromiter(rows, dtype=np.intp, count=len(images))


def assign_folds(
    labels: Labels, first_rows: Rows, *, num_folds: int, seed: int
) -> NDArray[np.uint8]:
    """Give each row the fold that will hold it out: uint8 ``(n,)``.

    Every fold has each digit in the same share; identical images share a fold, so that no
    network is evaluated on an image that it trained on.

    Args:
        labels: uint8 ``(n,)``.
        first_rows: ``(n,)``, from `find_duplicates`.
        num_folds: how many folds, at least 2.
        seed: decides the draw.

    Raises:
        TableError: a digit has fewer rows than there are folds.
    """
    unique = np.flatnonzero(first_rows == np.arange(len(first_rows)))
    digits, counts = np.unique(labels[unique], return_counts=True)
    if counts.min() < num_folds:
        raise TableError(
            f"The training data has only {counts.min()} different image(s) of digit "
            f"{digits[counts.argmin()]}: {num_folds} folds need {num_folds} at least.",
            "Use the competition's whole train.csv, or lower prepare.folds in params.yaml.",
        )
    folds = np.zeros(len(labels), dtype=np.uint8)
    splitter = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(unique, labels[unique])):
        folds[unique[held_out]] = fold
    return folds[first_rows]


def split_validation(
    labels: Labels, rows: Rows, *, fraction: float, seed: int
) -> tuple[Rows, Rows]:
    """Split training ``rows`` into those to fit and a stratified validation set.

    Args:
        labels: uint8 ``(n,)`` of all rows.
        rows: the rows outside the member's fold.
        fraction: of ``rows`` in the validation set, between 0 and 1.
        seed: decides the draw.

    Returns:
        Both sorted; together they are ``rows``.

    Raises:
        ParamsError: the validation set would have room for less than one image of each digit.
        TableError: a digit has only one row, which cannot be in both.
    """
    digits, counts = np.unique(labels[rows], return_counts=True)
    size = math.ceil(fraction * len(rows))
    if size < len(digits):
        raise ParamsError(
            f"params.yaml is not usable: train.validation_fraction: {fraction} of {len(rows):,} "
            f"rows makes {size} image(s), expected at least {len(digits)}, one of each digit. "
            "Choose more."
        )
    if counts.min() < 2:
        raise TableError(
            f"The training rows hold a single image of digit {digits[counts.argmin()]}: expected "
            "2 at least, one to fit and one for the validation set.",
            "Use the competition's whole train.csv, or raise prepare.folds in params.yaml.",
        )
    training, validation = train_test_split(
        rows, test_size=fraction, stratify=labels[rows], random_state=seed
    )
    return np.sort(training), np.sort(validation)

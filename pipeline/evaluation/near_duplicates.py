"""Pairs of nearly equal images.

Such a pair in two folds can flatter a score: a network may have trained on one image and is
evaluated on the other.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.decomposition import PCA

from pipeline.data.dataset import Images, TrainingDigits
from pipeline.data.folds import find_duplicates

_DIRECTIONS = 8
_FITTED_IMAGES = 5_000
_CHUNK = 4_096


def tabulate_near_duplicates(data: TrainingDigits, *, grey_levels: float) -> pd.DataFrame:
    """The pairs of `find_near_duplicates` with their labels and folds.

    Returns:
        Its columns, and first_label, second_label, first_fold and second_fold.
    """
    pairs = find_near_duplicates(data.images, grey_levels=grey_levels)
    first, second = pairs["first"].to_numpy(np.intp), pairs["second"].to_numpy(np.intp)
    return pairs.assign(
        first_label=data.labels[first],
        second_label=data.labels[second],
        first_fold=data.folds[first],
        second_fold=data.folds[second],
    )


def find_near_duplicates(images: Images, *, grey_levels: float) -> pd.DataFrame:
    """All pairs of images that differ, but by no more than ``grey_levels``.

    The measure is the root mean square difference over all pixels, of 255. Images are compared in
    their places: a digit and its copy that is shifted by a pixel are not near duplicates.

    A tree over the main directions finds the candidates; then all their pixels are compared. No
    pair is missed, because along a few directions two images are never farther apart than along all
    (Faloutsos et al., "Fast subsequence matching in time-series databases", SIGMOD 1994, lemma 1).

    Args:
        images: uint8 ``(n, 28, 28)``.
        grey_levels: the greatest difference.

    Returns:
        Columns first, second (positions in ``images``, first < second) and grey_levels, the most
        alike first. Of identical images only the earliest is compared.
    """
    unique = np.flatnonzero(find_duplicates(images) == np.arange(len(images)))
    pixels = images[unique].reshape(len(unique), -1).astype(np.float32)
    if len(pixels) < 2:
        return pd.DataFrame({"first": [], "second": [], "grey_levels": []})
    radius = grey_levels * np.sqrt(pixels.shape[1])
    candidates = KDTree(_project(pixels)).query_pairs(radius * (1 + 1e-4), output_type="ndarray")
    differences = _measure(pixels, candidates)
    near = differences <= grey_levels
    pairs = np.sort(unique[candidates[near]], axis=1)
    table = pd.DataFrame(
        {"first": pairs[:, 0], "second": pairs[:, 1], "grey_levels": differences[near]}
    )
    return table.sort_values(["grey_levels", "first", "second"], ignore_index=True)


def _project(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coordinates ``(n, at most 8)`` along orthogonal directions in which images differ most."""
    some = pixels[:: max(1, len(pixels) // _FITTED_IMAGES)]
    analysis = PCA(min(_DIRECTIONS, *some.shape), svd_solver="randomized", random_state=0)
    projected: NDArray[np.float32] = analysis.fit(some).transform(pixels)
    return projected


def _measure(pixels: NDArray[np.float32], pairs: NDArray[np.intp]) -> NDArray[np.float64]:
    differences = np.empty(len(pairs))
    for start in range(0, len(pairs), _CHUNK):
        first, second = pairs[start : start + _CHUNK].T
        squares = (pixels[first] - pixels[second]) ** 2
        differences[start : start + _CHUNK] = np.sqrt(squares.mean(axis=1, dtype=np.float64))
    return differences

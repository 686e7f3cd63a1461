"""Images of a fold in two dimensions, near each other where a network finds them alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from pipeline.data.dataset import NUM_CLASSES
from pipeline.evaluation.predictions import OutOfFoldPredictions

_DIRECTIONS = 50
"""Of the features, before t-SNE."""

_PERPLEXITY = 30
_ITERATIONS = 750
_EXTENT = 1_000
"""Width of the map: coordinates are from 0 to this."""

_TRUSTED = 10
"""Neighbours on the map that `trustworthiness` looks at."""

Features = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Embedding:
    """Where images lie.

    Attributes:
        points: float64 ``(n, 2)``, from 0 to 1,000, one decimal.
        neighbours: of each image the nearest in the space of all features, the nearest first,
            ``(n, k)``.
        trustworthiness: from 0 to 1: how far images that are close on the map are close in the
            space of all features, too. J. Venna and S. Kaski, "Neighborhood preservation in
            nonlinear projection methods", ICANN 2001. Missing for fewer than 21 images.
    """

    points: NDArray[np.float64]
    neighbours: Places
    trustworthiness: float | None


def embed(features: Features, *, num_neighbours: int, seed: int) -> Embedding:
    """Lay out images by their features ``(n, k)``; equal features and seed give equal bits.

    t-SNE of the first 50 principal components: L. van der Maaten and G. Hinton, "Visualizing data
    using t-SNE", Journal of Machine Learning Research 9, 2008, from a start by the first two, as D.
    Kobak and P. Berens advise ("The art of using t-SNE for single-cell transcriptomics", Nature
    Communications 10, 2019).
    """
    with threadpool_limits(1):  # whose number would divide sums, and so round them
        return _embed(features, num_neighbours, seed)


def _embed(features: Features, num_neighbours: int, seed: int) -> Embedding:
    size = len(features)
    reduced = _reduce(features, seed)
    start = _pad(reduced, 2)[:, :2]
    scale = start[:, 0].std()
    points = start
    if size > 4 and scale > 0:
        layout = TSNE(
            init=start / scale * 1e-4,
            perplexity=min(_PERPLEXITY, (size - 1) / 3),
            max_iter=_ITERATIONS,
            random_state=seed,
        )
        points = layout.fit_transform(reduced)
    num_neighbours = min(num_neighbours, size - 1)
    neighbours = np.empty((size, 0), np.intp)
    if num_neighbours:
        index = NearestNeighbors(n_neighbors=num_neighbours).fit(features)
        neighbours = index.kneighbors(return_distance=False)
    trust = trustworthiness(features, points, n_neighbors=_TRUSTED) if size > 2 * _TRUSTED else None
    return Embedding(_fit_into_square(points), neighbours, None if trust is None else float(trust))


def _reduce(features: Features, seed: int) -> Features:
    if (features == features[0]).all():
        return np.zeros((len(features), 1), np.float32)
    count = min(_DIRECTIONS, *features.shape)
    analysis = PCA(count, svd_solver="randomized", random_state=seed)
    reduced: Features = analysis.fit_transform(features.astype(np.float32))
    return reduced


def _pad(values: Features, columns: int) -> Features:
    return np.pad(values, ((0, 0), (0, max(0, columns - values.shape[1]))))


def _fit_into_square(points: NDArray[np.floating]) -> NDArray[np.float64]:
    exact = points.astype(np.float64)
    low, high = exact.min(axis=0), exact.max(axis=0)
    extent = max(float((high - low).max()), 1e-12)
    return np.asarray(np.round(_EXTENT * ((exact - (low + high) / 2) / extent + 0.5), 1))


def choose_images(
    predictions: OutOfFoldPredictions, among: Places, *, most: int, threshold: float
) -> Places:
    """The images of a map: errors, low-confidence ones, and a part of the others.

    Errors have room for at most half of the map, low-confidence ones for half of what is left; of
    more, those with the highest loss and with the lowest confidence are taken. The others are drawn
    at random, of each digit in proportion.

    Args:
        predictions: of all evaluated images.
        among: places in them to choose among.
        most: images to choose, if there are so many.
        threshold: a correct prediction below it has low confidence.

    Returns:
        Places in the predictions, rising.
    """
    confidence = predictions.probabilities[among].max(axis=1)
    p_true = predictions.probabilities[among, predictions.labels[among]]
    correct = predictions.correct[among]
    errors = np.flatnonzero(~correct)
    errors = errors[np.argsort(p_true[errors], kind="stable")][: most // 2]
    low = np.flatnonzero(correct & (confidence < threshold))
    low = low[np.argsort(confidence[low], kind="stable")][: (most - len(errors)) // 2]
    others = np.flatnonzero(correct & (confidence >= threshold))
    rest = _draw_stratified(predictions.labels[among[others]], most - len(errors) - len(low))
    return np.sort(among[np.concatenate([errors, low, others[rest]])])


def _draw_stratified(labels: NDArray[np.uint8], most: int) -> Places:
    """Places of at most ``most`` of the labels, each digit by its part of them, seeded."""
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(len(labels))
    rank = np.empty(len(labels))
    for digit in range(NUM_CLASSES):
        own = shuffled[labels[shuffled] == digit]
        rank[own] = (np.arange(len(own)) + 0.5) / max(1, len(own))
    return np.argsort(rank, kind="stable")[:most]


def round_probabilities(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities to four significant digits, and those near 1 to four of what is missing to 1.

    So a file stays small, and nothing becomes 0 or 1 that is not.
    """
    small = probabilities <= 0.5
    rest = _round_significant(np.where(small, probabilities, 1 - probabilities))
    return np.where(small, rest, 1 - rest)


def _round_significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([float(f"{value:.4g}") for value in values.ravel()]).reshape(values.shape)

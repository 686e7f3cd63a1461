"""Is the rule of the neighbours as good as one that is fitted?

    python -m benchmarks.second_stage

A logistic regression decides between the two most probable digits of low-confidence images, from
the networks' log-odds and the logarithm of each distance's ratio. It is fitted on four folds for
the fifth, on the out-of-fold predictions of a finished run whose folds hold out every image.
"""

import sys

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.members import describe_gain
from comparison.statistics import paired_difference
from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.neighbours import DISTANCES, measure_pairs
from pipeline.errors import exit_status
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import OutOfFoldPredictions

Features = NDArray[np.float64]


def main() -> None:
    """Print errors of the networks alone, by the rule and by the fitted second stage."""
    data = dataset.load_labelled(stages.TRAIN)
    run = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    threshold = params.load().neighbours.confidence_threshold
    low = np.flatnonzero(run.averages.max(axis=1) < threshold)
    pairs = np.argsort(-run.averages[low], axis=1, kind="stable")[:, :2]
    features = describe_pairs(data, run, low, pairs)
    alone = run.averages.argmax(axis=1) == run.labels
    print(f"networks alone: {(~alone).sum()} errors; {len(low)} below {threshold:.0%}")
    print_gain("rule of params.yaml", run.correct, alone)
    names = ["log-odds", *(" ".join([*view, measure.__name__]) for view, measure in DISTANCES)]
    for kept in ([0], [0, 1], [0, 2], [0, 3], [0, 1, 2], [0, 1, 2, 3]):
        fitted = alone.copy()
        folds = data.folds[run.rows[low]]
        chosen, weights = fit_and_choose(features[:, kept], pairs, run.labels[low], folds)
        fitted[low] = chosen == run.labels[low]
        print_gain(" + ".join(names[each] for each in kept), fitted, alone)
        print("   powers of the distances:", (weights[1:] / weights[0]).round(1).tolist())


def describe_pairs(
    data: TrainingDigits, run: OutOfFoldPredictions, low: NDArray[np.intp], pairs: NDArray[np.intp]
) -> Features:
    """How much speaks for the first of two digits: ``(n, 4)``, log-odds and log-ratios."""
    both = np.take_along_axis(run.averages[low], pairs, axis=1)
    columns = [np.log(both[:, 0] / both[:, 1])]
    for view, measure in DISTANCES:
        images = preprocess(data.images, view)
        distances = np.empty(pairs.shape)
        for fold in np.unique(data.folds[run.rows[low]]):
            own, known = data.folds[run.rows[low]] == fold, data.folds != fold
            distances[own] = measure_pairs(
                images[run.rows[low[own]]], pairs[own], (images[known], data.labels[known]), measure
            )
        columns.append(np.log(distances[:, 1] / distances[:, 0]))
    return np.stack(columns, axis=1)


def fit_and_choose(
    features: Features, pairs: NDArray[np.intp], labels: dataset.Labels, folds: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Digits ``(n,)``, each by the other folds' regression; the mean weights of the features."""
    chosen, weights = pairs[:, 0].copy(), []
    decidable = (pairs == labels[:, np.newaxis]).any(axis=1)
    for fold in np.unique(folds):
        own, others = folds == fold, decidable & (folds != fold)
        is_first = pairs[others, 0] == labels[others]
        regression = LogisticRegression(fit_intercept=False, max_iter=1000)
        both_ways = np.concatenate([features[others], -features[others]])
        regression.fit(both_ways, np.concatenate([is_first, ~is_first]))
        swapped = ~regression.predict(features[own])
        chosen[own] = np.where(swapped, pairs[own, 1], pairs[own, 0])
        weights.append(regression.coef_[0])
    return chosen, np.mean(weights, axis=0)


def print_gain(name: str, hits: NDArray[np.bool_], alone: NDArray[np.bool_]) -> None:
    """Errors, and the paired difference to the networks alone."""
    gain = describe_gain(paired_difference(hits[np.newaxis], alone[np.newaxis]))
    corrected, new = (hits & ~alone).sum(), (alone & ~hits).sum()
    print(f"{name}: {(~hits).sum()} errors, {corrected} corrected, {new} new; {gain}")


if __name__ == "__main__":
    sys.exit(exit_status(main))

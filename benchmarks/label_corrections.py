"""What corrected labels change in the accuracy: five folds, paired, nested.

    python -m benchmarks.label_corrections quick --folder ../corrections
    python -m benchmarks.label_corrections default --verdict unreadable

For each fold, the labels of the other four are corrected as the suspected label errors say. These
come from networks that saw neither that fold nor the image in question: one for each pair of folds.
Then a network trains on the corrected labels and one on the labels as given, from the same seed,
and both predict the fold. Scores are against the labels as given. That is 20 networks; with
--folder, a run that was stopped goes on.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.relabelled import predict_held_out
from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import LEFT_OUT, NUM_CLASSES, Probabilities, TrainingDigits
from pipeline.errors import exit_status
from pipeline.evaluation.label_errors import suspect_labels
from pipeline.evaluation.paired import compare_paired

Pairs = dict[frozenset[int], Probabilities]
"""By two folds: predictions of the images of both, by a network that trained on neither."""


def main() -> None:
    """Print errors per fold with labels as given and corrected, and the paired difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_corrections")
    parser.add_argument("profile")
    parser.add_argument("--verdict", choices=["wrong", "unreadable"], default="wrong")
    parser.add_argument("--folder", type=Path, help="keeps trained networks for another run")
    arguments = parser.parse_args()
    data = dataset.load_labelled(stages.TRAIN)
    with tempfile.TemporaryDirectory() as name:
        folder = (arguments.folder or Path(name)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        compare(data, arguments.profile, folder, leave_out=arguments.verdict == "unreadable")


def compare(data: TrainingDigits, profile: str, folder: Path, *, leave_out: bool) -> None:
    """Train all networks, and print a line per fold and one for all."""
    folds = np.unique(data.folds).tolist()
    pairs: Pairs = {
        frozenset(pair): predict_held_out(data, pair, profile, folder)
        for pair in combinations(folds, 2)
    }
    given, corrected = np.zeros((2, len(data.labels)), dtype=bool)
    for fold in folds:
        own = data.folds == fold
        changed = correct(data, fold, pairs, leave_out=leave_out)
        for hits, labels in ((given, None), (corrected, changed)):
            trained = replace(data, corrected_labels=labels)
            predicted = predict_held_out(trained, [fold], profile, folder)[own].argmax(axis=1)
            hits[own] = predicted == data.labels[own]
        print(
            f"fold {fold}: {(changed != data.labels).sum()} labels of the other folds "
            f"{'left out' if leave_out else 'corrected'}; errors {(~given[own]).sum()} with the "
            f"labels as given, {(~corrected[own]).sum()} after",
            flush=True,
        )
    found = compare_paired(corrected, given)
    print(
        f"all: errors {(~given).sum()} and {(~corrected).sum()} of {len(given):,}; accuracy "
        f"{found.difference:+.3%} (95 % interval {found.low:+.3%} to {found.high:+.3%}), "
        f"{found.gained} corrected, {found.lost} new errors, p = {found.p_value:.3f}"
    )


def correct(data: TrainingDigits, fold: int, pairs: Pairs, *, leave_out: bool) -> NDArray[np.uint8]:
    """Labels to train on, in which nothing follows from the images of ``fold``."""
    rows = np.flatnonzero(data.folds != fold)
    probabilities = np.empty((len(data.labels), NUM_CLASSES))
    for other in np.unique(data.folds[rows]).tolist():
        own = data.folds == other
        probabilities[own] = pairs[frozenset((fold, other))][own]
    suspected = suspect_labels(probabilities[rows], data.labels[rows], rows)
    labels = data.labels.copy()
    labels[suspected["row"]] = LEFT_OUT if leave_out else suspected["suggested"]
    return labels


if __name__ == "__main__":
    sys.exit(exit_status(main))

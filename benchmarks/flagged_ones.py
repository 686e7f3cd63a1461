"""Errors on the held-out images of train.csv if outlines decided about 1s with a flag.

People's own digits are read so (`benchmarks.own_digits`), submissions are not. This tells whether
digits of the competition's kind would lose by it.
"""

import sys

import numpy as np

from pipeline import stages
from pipeline.data import dataset
from pipeline.errors import exit_status
from pipeline.evaluation import predictions
from pipeline.handwriting.flagged_ones import prefer_flagged_ones


def main() -> None:
    """Print errors before and after, of the networks alone and with the neighbours."""
    images = dataset.load_labelled(stages.TRAIN).images
    run = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    seen = images[run.rows]
    for name, before in (("networks", run.averages), ("with neighbours", run.probabilities)):
        correct = before.argmax(axis=1) == run.labels
        after = prefer_flagged_ones(seen, before).argmax(axis=1) == run.labels
        fixed, lost = np.sum(~correct & after), np.sum(correct & ~after)
        print(
            f"{name}: {(~correct).sum()} errors in {len(seen):,} held-out images, and "
            f"{(~after).sum()} with the outline: {fixed} fixed, {lost} lost"
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))

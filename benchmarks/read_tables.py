"""``train.csv`` to checked images and labels, beside ``pandas.read_csv`` alone, in turns."""

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from pipeline import stages
from pipeline.data import tables
from pipeline.data.folds import find_duplicates
from pipeline.errors import exit_status

REPEATS = 9


def read_and_check() -> None:
    """What prepare does before it draws the folds: parse, check every cell, count duplicates."""
    images, _ = tables.read_train(stages.RAW / "train.csv", expected_rows=tables.TRAIN_ROWS)
    find_duplicates(images)


def measure(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main() -> None:
    """Print the median and the range of both, and of their ratio."""
    path = stages.RAW / "train.csv"
    frame = pd.read_csv(path)
    images, labels = tables.read_train(path, expected_rows=tables.TRAIN_ROWS)
    assert np.array_equal(frame.to_numpy()[:, 1:], images.reshape(len(images), -1))
    assert np.array_equal(frame["label"], labels)

    seconds = np.array(
        [(measure(read_and_check), measure(lambda: pd.read_csv(path))) for _ in range(REPEATS)]
    )
    ratios = seconds[:, 0] / seconds[:, 1]
    for name, values, unit in (
        ("ours, checked", seconds[:, 0], "s"),
        ("pandas.read_csv", seconds[:, 1], "s"),
        ("ratio", ratios, ""),
    ):
        low, middle, high = np.percentile(values, [0, 50, 100])
        print(f"{name:16} median {middle:.2f} {unit} ({low:.2f} to {high:.2f}, n = {REPEATS})")


if __name__ == "__main__":
    sys.exit(exit_status(main))

"""Find what the errors were most like, which kinds of digits fail, and whether test images differ.

What is written follows from predictions and images alone: no network runs.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import LEFT_OUT, Images, TrainingDigits, UnlabelledDigits
from pipeline.ensemble.neighbours import find_nearest
from pipeline.evaluation import predictions
from pipeline.evaluation.drift import compare_properties
from pipeline.evaluation.examples import choose_contradicted, choose_errors, choose_suspected
from pipeline.evaluation.image_properties import measure_properties
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.evaluation.slices import divide, tabulate_slices
from pipeline.files import atomic_path, sha256, write_json
from pipeline.params import Params
from pipeline.stored import read_table

NEAREST = 3


def main() -> None:
    """Entry point of the stage."""
    summary = explain(stages.EXPLANATION, params.load())
    print(
        f"{stages.EXPLANATION}: {summary['slices_worse']} of {summary['slices']} slices have a "
        f"higher error rate than all images; {summary['properties_drifted']} of "
        f"{summary['properties']} properties differ in the test images"
    )


def explain(path: Path, settings: Params) -> dict[str, int | str]:
    """Write the folder ``path``: nearest.csv, slices.csv, drift.csv and summary.json.

    Returns:
        The contents of summary.json.
    """
    train, test = dataset.load_labelled(stages.TRAIN), dataset.load_test(stages.TEST)
    path_of_predictions = stages.EVALUATION / "out_of_fold.npz"
    found = predictions.load(path_of_predictions)
    properties = measure_properties(train.images)
    slices = tabulate_slices(divide(properties.iloc[found.rows]), ~found.correct)
    drift = compare_properties(properties, measure_properties(test.images))
    nearest = find_most_alike(settings, found, train, test)
    summary: dict[str, int | str] = {
        "slices": len(slices),
        "slices_worse": int(slices["worse"].sum()),
        "properties": len(drift),
        "properties_drifted": int((drift["verdict"] == "drift").sum()),
        "predictions_sha256": sha256(path_of_predictions),
    }
    with atomic_path(path) as folder:
        folder.mkdir()
        for name, table in {"nearest": nearest, "slices": slices, "drift": drift}.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        write_json(folder / "summary.json", summary)
    return summary


def find_most_alike(
    settings: Params,
    found: OutOfFoldPredictions,
    train: TrainingDigits,
    test: UnlabelledDigits,
) -> pd.DataFrame:
    """The training images that the errors and the low-confidence test images were most like.

    An error is compared with the images of other folds, as refinement does: the networks that
    misclassified it were trained on those. A test image is compared with all. Images that
    ``labels.csv`` leaves out are none of them.

    Returns:
        Columns kind (error or test), row (of train.csv; for a test image its ImageId), rank (from
        1), neighbour (row of train.csv), label (of the neighbour, as networks trained on it) and
        distance.
    """
    labels = train.labels if train.corrected_labels is None else train.corrected_labels
    train = replace(train, labels=labels)
    trained_on = labels != LEFT_OUT
    rows = choose_rows(settings.evaluate.page_images)
    tables = []
    for fold in np.unique(train.folds[rows]):
        own, others = (
            rows[train.folds[rows] == fold],
            np.flatnonzero(trained_on & (train.folds != fold)),
        )
        tables.append(_tabulate("error", own, train.images[own], others, train))
    ids = _read("test/low_confidence.csv")["image_id"].to_numpy(np.intp)
    everything = np.flatnonzero(trained_on)
    tables.append(_tabulate("test", ids, test.images[ids - 1], everything, train))
    return pd.concat(tables, ignore_index=True)


def choose_rows(most_errors: int) -> NDArray[np.intp]:
    """The rows of the errors that the page shows, rising."""
    errors = _read("evaluation/errors.csv")
    label_errors = _read("evaluation/label_errors.csv")
    shown = [
        choose_errors(errors, most_errors),
        choose_suspected(errors, label_errors),
        choose_contradicted(errors, label_errors),
    ]
    return np.unique(pd.concat(shown)["row"].to_numpy(np.intp))


def _read(name: str) -> pd.DataFrame:
    return read_table(stages.EXPLANATION.parent / name)


def _tabulate(
    kind: str,
    rows: NDArray[np.intp],
    images: Images,
    known: NDArray[np.intp],
    train: TrainingDigits,
) -> pd.DataFrame:
    places, distances = find_nearest(images, train.images[known], count=NEAREST)
    neighbours, count = known[places], places.shape[1]
    return pd.DataFrame(
        {
            "kind": kind,
            "row": rows.repeat(count),
            "rank": np.tile(np.arange(1, count + 1), len(rows)),
            "neighbour": neighbours.ravel(),
            "label": train.labels[neighbours].ravel(),
            "distance": distances.ravel(),
        }
    )


if __name__ == "__main__":
    stages.run(main)

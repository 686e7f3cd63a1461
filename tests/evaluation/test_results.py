"""What is counted in the results, of predictions made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline import params
from pipeline.data.dataset import TrainingDigits
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.evaluation.results import Results, evaluate, score_member
from tests.conftest import ROOT
from tests.evaluation.test_metrics import digits, one_hot


def make_results(
    data: TrainingDigits,
    rows: np.ndarray,
    averages: np.ndarray,
    probabilities: np.ndarray,
) -> Results:
    """Results with one member of fold 1 and one that was trained on every row."""
    labels = data.labels[rows]
    predictions = OutOfFoldPredictions(
        rows, labels, averages, probabilities, {"1-0-small": "b" * 64}, "a" * 64
    )
    members = pd.DataFrame(
        [
            {"fold": 1, "training_seconds": 3.5}
            | score_member(averages, labels, (one_hot([4, 5]), digits(4, 6))),
            {"fold": "all", "training_seconds": 4.0},
        ]
    )
    history = {"epoch": [1, 2], "loss": [0.5, 0.2], "accuracy": [0.8, 0.9]}
    validated = history | {"val_loss": [0.6, 0.3], "val_accuracy": [0.7, 0.8]}
    return evaluate(
        predictions,
        "c" * 64,
        data,
        members,
        {"1-0-small": pd.DataFrame(validated), "all-0-small": pd.DataFrame(history)},
        params.load(ROOT / "params.yaml").evaluate,
    )


def test_members_and_neighbours_are_counted(training_digits: TrainingDigits) -> None:
    """Of 20 images, the first 3 become errors and the last 10 correct; 7 of them stay."""
    rows = np.arange(20, 40)
    labels = training_digits.labels[rows].tolist()
    others = [(label + 1) % 10 for label in labels]
    averages = one_hot(labels[:10] + others[10:], 0.6)
    probabilities = one_hot(others[:3] + labels[3:], 0.6)
    found = make_results(training_digits, rows, averages, probabilities)
    metrics = found.metrics
    assert (metrics.errors, metrics.n, metrics.accuracy) == (3, 20, 0.85)
    assert metrics.neighbours_refined == 13
    assert metrics.neighbours_corrected == 10
    assert metrics.neighbours_broken == 3
    assert (metrics.evaluated_members, metrics.members_per_image) == (1, 1)
    assert (metrics.member_accuracy_mean, metrics.member_accuracy_sd) == (0.5, None)
    assert metrics.train_accuracy == 0.5
    assert metrics.training_seconds == 7.5
    assert metrics.predictions == [("out_of_fold.npz", "c" * 64)]
    assert metrics.members == [("1-0-small", "b" * 64)]
    assert found.tables["errors"]["refined"].all()


def test_near_duplicates_count_across_folds_only(training_digits: TrainingDigits) -> None:
    """Row 1 is like row 0, of the same fold; rows 20 and 40, of two folds, are alike."""
    images = training_digits.images.copy()
    images[1], images[40] = images[0] ^ 1, images[20] ^ 2
    data = replace(training_digits, images=images)
    rows = np.flatnonzero(data.folds == 1)
    probabilities = one_hot(data.labels[rows].tolist(), 0.9)
    found = make_results(data, rows, probabilities, probabilities)
    assert found.metrics.near_duplicates_across_folds == 1
    assert found.metrics.evaluated_near_duplicates == 1
    table = found.tables["near_duplicates"]
    assert table[["first", "second", "grey_levels"]].to_numpy().tolist() == [[0, 1, 1], [20, 40, 2]]
    assert table[["first_fold", "second_fold"]].to_numpy().tolist() == [[0, 0], [1, 2]]


def test_learning_curves_are_averaged_over_members_that_have_them(
    training_digits: TrainingDigits,
) -> None:
    rows = np.arange(20, 40)
    probabilities = one_hot(training_digits.labels[rows].tolist(), 0.9)
    tables = make_results(training_digits, rows, probabilities, probabilities).tables
    assert tables["learning_curves"]["val_loss"].tolist() == pytest.approx(
        [0.6, 0.3, np.nan, np.nan], nan_ok=True
    )
    means = tables["learning_curves_mean"]
    assert means["members"].tolist() == [2, 2]
    assert means["error_rate_mean"].tolist() == pytest.approx([0.2, 0.1])
    assert means["val_error_rate_mean"].tolist() == pytest.approx([0.3, 0.2])
    assert means["val_error_rate_sd"].isna().all()

"""Runs compared, against what was planted in them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ArtifactError
from pipeline.evaluation.comparison import EvaluatedRun, compare
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.evaluation.test_changes import AFTER, BEFORE, predict
from tests.results import predict_with

NO_CODE = pd.DataFrame({"run": [], "path": [], "change": []})


def make_run(name: str, predictions: OutOfFoldPredictions, **params: Any) -> EvaluatedRun:
    """A run with a learning curve of three epochs."""
    curves = pd.DataFrame({"epoch": [1, 2, 3], "members": 1, "loss_mean": [0.5, 0.3, 0.2]})
    return EvaluatedRun(name, None, predictions, params, curves, 90.0)


def flip(run: OutOfFoldPredictions, rows: np.ndarray, generator: np.random.Generator) -> Any:
    """The same predictions, but for other digits in some rows."""
    probabilities = run.probabilities.copy()
    for row in rows:
        others = np.delete(np.arange(10), run.predicted[row])
        swapped = [run.predicted[row], generator.choice(others)]
        probabilities[row, swapped] = probabilities[row, swapped[::-1]]
    return replace(run, averages=probabilities, probabilities=probabilities)


@pytest.mark.parametrize("seed", range(5))
def test_thirty_flipped_predictions_are_found_and_no_other(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, 4000).astype(np.uint8)
    wrong = {int(row): (int(labels[row] + 1) % 10, 0.8) for row in generator.choice(4000, 200)}
    probabilities = predict_with(labels, wrong)
    before = OutOfFoldPredictions(
        np.arange(4000), labels, probabilities, probabilities, {"0-0-small": "f"}, "a" * 64
    )
    flipped = generator.choice(4000, 30, replace=False)
    after = flip(before, flipped, generator)
    found = compare([make_run("before", before), make_run("after", after)], NO_CODE)
    changes = found.tables["changes"]
    moved = changes[changes["before"] != changes["after"]]
    assert sorted(moved["row"]) == sorted(flipped)
    (difference,) = found.differences
    assert difference.corrected == (~before.correct & after.correct).sum()
    assert difference.new_errors == (before.correct & ~after.correct).sum()
    assert difference.difference == pytest.approx(after.correct.mean() - before.correct.mean())
    assert found.tables["confusions"]["difference"].abs().sum() <= 60


def test_difference_tells_errors_interval_and_chance() -> None:
    found = compare([make_run("first", BEFORE), make_run("second", AFTER)], NO_CODE)
    (difference,) = found.differences
    assert (difference.run, difference.images) == ("second", 60)
    assert (difference.errors_before, difference.errors) == (4, 4)
    assert (difference.corrected, difference.new_errors) == (2, 2)
    assert (difference.other_error, difference.same_error) == (1, 1)
    assert difference.low < difference.difference == 0 < difference.high
    assert (difference.p_value, difference.could_be_chance) == (1, True)
    assert [run.errors for run in found.runs] == [4, 4]
    assert found.notes == ()


def test_each_run_is_compared_with_the_first() -> None:
    runs = [make_run("a", BEFORE), make_run("b", AFTER), make_run("c", predict({}))]
    found = compare(runs, NO_CODE)
    assert [(each.run, each.errors_before, each.errors) for each in found.differences] == [
        ("b", 4, 4),
        ("c", 4, 0),
    ]
    assert found.tables["confusions"]["run"].tolist() == ["b"] * 100 + ["c"] * 100
    assert found.tables["per_digit"]["run"].tolist() == ["b"] * 10 + ["c"] * 10
    assert found.tables["learning_curves"]["run"].tolist() == [*"aaabbbccc"]


def test_other_images_are_left_out_and_told() -> None:
    runs = [make_run("main", BEFORE), make_run("fold-1", predict({}, n=30, first_row=50))]
    found = compare(runs, NO_CODE, ["One more."])
    assert found.differences[0].images == 10
    assert found.notes == (
        "main and fold-1 were not evaluated on the same images (60 and 30): they are compared on "
        "the 10 that were held out in both.",
        "One more.",
    )


@pytest.mark.parametrize("other", [predict({}, first_row=60), predict({}, data="b")])
def test_nothing_in_common_is_refused(other: OutOfFoldPredictions) -> None:
    runs = [make_run("main", BEFORE), make_run("ok", AFTER), make_run("sample", other)]
    with pytest.raises(ArtifactError, match="^No image was held out both in main and in sample"):
        compare(runs, NO_CODE)


def test_settings_that_differ_are_listed_with_each_run() -> None:
    runs = [
        make_run("a", BEFORE, seed=0, rate=0.1, folds=[0, 1]),
        make_run("b", AFTER, seed=0, rate=0.2, folds=[0, 1], kind="x"),
    ]
    table = compare(runs, NO_CODE).tables["params"]
    assert table.to_numpy().tolist() == [
        ["rate", "a", "0.1"],
        ["rate", "b", "0.2"],
        ["kind", "a", None],
        ["kind", "b", '"x"'],
    ]


def test_files_hold_the_same_numbers(tmp_path: Path) -> None:
    runs = [make_run("first", BEFORE), replace(make_run("second", AFTER), curves=None)]
    found = compare(runs, NO_CODE)
    found.write(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == found.summarize()
    assert {path.stem for path in tmp_path.glob("*.csv")} == set(found.tables)
    for name in ("changes", "confusions", "per_digit", "learning_curves"):
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / f"{name}.csv"), found.tables[name], check_dtype=False
        )

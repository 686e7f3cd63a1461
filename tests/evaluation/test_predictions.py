"""The file of out-of-fold predictions, whole and damaged."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ArtifactError
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.evaluation.test_metrics import digits, one_hot


@pytest.fixture
def made() -> OutOfFoldPredictions:
    """A 1 that is predicted, a 5 that becomes correct by refinement, and a 7 that is an error."""
    return OutOfFoldPredictions(
        rows=np.array([3, 8, 9]),
        labels=digits(1, 5, 7),
        averages=one_hot([1, 3, 9], 0.6),
        probabilities=one_hot([1, 5, 9], 0.6),
        members={"0-0-small": "a" * 64, "0-1-small": "b" * 64},
        train_sha256="c" * 64,
    )


def test_what_is_saved_is_loaded_and_equal_predictions_give_equal_bytes(
    made: OutOfFoldPredictions, tmp_path: Path
) -> None:
    for name in ("one.npz", "two.npz"):
        made.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = predictions.load(tmp_path / "one.npz")
    for field in fields(OutOfFoldPredictions):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(made, field.name))


def test_errors_and_refined_predictions_are_told(made: OutOfFoldPredictions) -> None:
    assert made.predicted.tolist() == [1, 5, 9]
    assert made.correct.tolist() == [True, True, False]
    assert made.refined.tolist() == [False, True, False]


def test_file_of_an_earlier_version_has_no_members(
    made: OutOfFoldPredictions, tmp_path: Path
) -> None:
    arrays = {name: getattr(made, name) for name in ("rows", "labels", "averages", "probabilities")}
    np.savez(tmp_path / "earlier.npz", train_sha256=np.array(made.train_sha256), **arrays)
    loaded = predictions.load(tmp_path / "earlier.npz")
    assert loaded.members == {}
    assert loaded.correct.tolist() == made.correct.tolist()


def test_predictions_without_members_are_saved(made: OutOfFoldPredictions, tmp_path: Path) -> None:
    replace(made, members={}).save(tmp_path / "none.npz")
    assert predictions.load(tmp_path / "none.npz").members == {}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out_of_fold.npz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"out_of_fold.npz is damaged: .* dvc checkout"):
        predictions.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": np.array([3, 9, 8])},
        {"rows": np.array([-1, 8, 9])},
        {"rows": np.array([3.0, 8.0, 9.0])},
        {"labels": digits(1, 5)},
        {"labels": digits(1, 5, 10)},
        {"averages": one_hot([1, 3, 9], 0.6)[:, :9]},
        {"probabilities": one_hot([1, 3, 9], 0.6) * np.nan},
        {"probabilities": one_hot([1, 3, 9], 0.6) * 2},
        {"train_sha256": np.array(5)},
    ],
)
def test_values_that_cannot_be_are_damage(
    change: dict[str, Any], made: OutOfFoldPredictions, tmp_path: Path
) -> None:
    path = tmp_path / "out_of_fold.npz"
    replace(made, **change).save(path)
    with pytest.raises(ArtifactError, match=r"out_of_fold.npz is damaged: .* dvc checkout"):
        predictions.load(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="out_of_fold.npz is missing"):
        predictions.load(tmp_path / "out_of_fold.npz")

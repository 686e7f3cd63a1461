"""The files that the page shows numbers of, checked when they are read."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import stored
from pipeline.errors import ArtifactError

_P = " ".join(f"p_{digit}" for digit in range(10))
_PREDICTION = f"row true predicted runner_up p_true p_predicted p_runner_up loss {_P} refined"
_INTERVAL = "error_rate error_rate_low error_rate_high"

COLUMNS = {
    "calibration.csv": "low high correct errors confidence accuracy scaled",
    "confusion_matrix.csv": "true predicted count row_fraction",
    "correct.csv": f"{_PREDICTION} kind",
    "errors.csv": f"{_PREDICTION} label_suspected",
    "label_errors.csv": "rank row label suggested p_label p_suggested margin",
    "learning_curves_mean.csv": "epoch members loss_mean error_rate_mean",
    "members.csv": "member fold seed network architecture views parameters epochs best_epoch "
    "training_seconds threads device compute_dtype n errors accuracy accuracy_low accuracy_high",
    "near_duplicates.csv": "first second grey_levels first_label second_label first_fold "
    "second_fold",
    "per_digit.csv": f"digit errors correct {_INTERVAL} confused_with confused_times",
    "explanation/drift.csv": "property training_median test_median distance p_value verdict",
    "explanation/nearest.csv": "kind row rank neighbour label distance",
    "explanation/slices.csv": f"slice first second n errors {_INTERVAL} worse",
    "map/points.csv": f"fold row x y true predicted {_P} neighbours",
    "test/class_counts.csv": "digit training predicted expected residual",
    "test/low_confidence.csv": f"image_id predicted runner_up p_predicted {_P} refined",
}
"""What tables must tell, by the name that the page gives them."""


@dataclass(frozen=True)
class Run:
    """``evaluation/run.json``: when and with what the networks were evaluated."""

    evaluated_at: str
    platform: str
    python: str
    keras: str
    tensorflow: str


@dataclass(frozen=True)
class DataSummary:
    """``data/summary.json``, as far as the page shows it.

    Attributes:
        training_images: how many are labelled.
        duplicates_in_training: how many of them equal an earlier one.
    """

    training_images: int
    duplicates_in_training: int


@dataclass(frozen=True)
class TestSummary:
    """``test/summary.json``.

    Attributes:
        n: images.
        neighbours_refined: those whose prediction was refined with neighbours.
        chi_square: of the test whether digits are as frequent as in the training labels.
        degrees_of_freedom: of the same.
        p_value: of the same.
    """

    n: int
    neighbours_refined: int
    chi_square: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class ExplanationSummary:
    """``explanation/summary.json``.

    Attributes:
        slices: how many there are.
        slices_worse: those with more errors than all images.
        properties: of images that are compared between training and test.
        properties_drifted: those that differ.
        predictions_sha256: of the predictions that all of this is about.
    """

    slices: int
    slices_worse: int
    properties: int
    properties_drifted: int
    predictions_sha256: str


@dataclass(frozen=True)
class MapOfFold:
    """The map of a fold.

    Attributes:
        member: whose features lay it out.
        n: images on it.
        n_of_fold: images of the fold.
        errors: on it.
        errors_of_fold: of the fold.
        features: numbers that the member makes of an image.
        trustworthiness: of the layout; None for too few images.
    """

    member: str
    n: int
    n_of_fold: int
    errors: int
    errors_of_fold: int
    features: int
    trustworthiness: float | None


@dataclass(frozen=True)
class MapSummary:
    """``map/summary.json``.

    Attributes:
        n: images on all maps.
        folds: the map of each.
        predictions_sha256: of the predictions that are on it.
    """

    n: int
    folds: dict[str, MapOfFold]
    predictions_sha256: str


def read(path: Path, kind: type[Any]) -> dict[str, Any]:
    """Read a JSON file that a stage wrote, as far as ``kind``, a dataclass, names its keys.

    Raises:
        ArtifactError: it is missing, or its keys or their types are others.
    """

    def describe(reason: str) -> ArtifactError:
        return ArtifactError(
            f"{path} is damaged: expected what a stage writes, but {reason}. Delete it and run: "
            "dvc repro"
        )

    return asdict(stored.read_record(path, kind, describe, extra="ignore"))


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read a CSV that a stage wrote; missing values stay missing, integers stay integers.

    Args:
        path: of the file.
        name: of `COLUMNS`.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    whole = dict.fromkeys(("confused_times", "errors", "n"), "Int64")
    text = dict.fromkeys(("confused_with", "neighbours"), "string")
    return stored.read_table(path, COLUMNS[name].split(), dtype=text | whole)

"""The JSON files that the page shows numbers of, checked when they are read."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ArtifactError
from pipeline.stored import read_record


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

    return asdict(read_record(path, kind, describe, extra="ignore"))

"""``comparison/params.yaml`` as typed, checked, read-only values, and where things lie."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from pipeline import project, stages
from pipeline.checked_yaml import Section, check_distinct, read
from pipeline.data import label_corrections
from pipeline.errors import ArtifactError
from pipeline.params import Seed

FOLDER = project.FOLDER / "comparison"
PARAMS = FOLDER / "params.yaml"
RUNS = FOLDER / "runs.csv"
"""A row per finished run: `table.Row`."""
MOVED = FOLDER / "moved.csv"
"""What some of the networks read of shifted and turned digits."""
SPEEDS = FOLDER / "speeds.csv"
"""Images per second that were measured for each network, to estimate times from."""
STATES = FOLDER / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""
RESULTS = FOLDER / "results"


class Robustness(Section):
    """How far held-out digits are moved, and which networks then read them."""

    architectures: list[str] = Field(min_length=1)
    shift_pixels: list[int] = Field(min_length=1)
    rotation_degrees: list[float] = Field(min_length=1)


class Settings(Section):
    """The whole file."""

    folds: list[int] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)
    one_seed_from_minutes: float = Field(ge=0)
    fractions: list[float] = Field(min_length=1)
    architectures: list[str] = Field(min_length=1)
    baseline: str
    robustness: Robustness

    @field_validator("folds", "seeds", "fractions", "architectures", mode="after")
    @classmethod
    def _check_distinct(cls, values: list[object]) -> list[object]:
        return check_distinct(values, "each value once")

    @field_validator("folds", mode="after")
    @classmethod
    def _check_folds(cls, folds: list[int]) -> list[int]:
        if min(folds) < 0:
            raise ValueError(f"expected numbers of folds, 0 or more, found {min(folds)}")
        return folds

    @field_validator("fractions", mode="after")
    @classmethod
    def _check_fractions(cls, fractions: list[float]) -> list[float]:
        if 1 not in fractions or not all(0 < fraction <= 1 for fraction in fractions):
            raise ValueError(
                "expected numbers above 0 up to 1, and 1 itself among them, found "
                f"{', '.join(f'{fraction:g}' for fraction in fractions)}"
            )
        return fractions

    @model_validator(mode="after")
    def _check_all_are_trained(self) -> Self:
        if self.baseline not in self.architectures:
            raise ValueError(
                f"baseline: expected a name that architectures lists, found {self.baseline!r}"
            )
        untrained = sorted(set(self.robustness.architectures) - set(self.architectures))
        if untrained:
            raise ValueError(
                "robustness.architectures: expected names that architectures lists as well, found "
                f"{', '.join(untrained)}"
            )
        return self


def load(path: Path = PARAMS) -> Settings:
    """Read and check the file.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
        ArtifactError: labels were corrected.
    """
    settings = read(path, Settings)
    refuse_corrected_labels()
    return settings


def refuse_corrected_labels() -> None:
    """Refuse labels that were corrected: authors trained and were scored on the labels as given.

    Raises:
        ArtifactError: the prepare stage corrected some.
    """
    path = stages.LABEL_CORRECTIONS
    corrections = label_corrections.read(path) if path.exists() else None
    if corrections and any(each.verdict != "right" for each in corrections.verdicts):
        raise ArtifactError(
            "The comparison is of networks that train on the labels as given, but "
            f"{stages.LABELS} corrects some: {corrections.summarize()}. Move the file away and "
            "run: dvc repro prepare"
        )

"""``comparison/params.yaml`` as typed, checked, read-only values, and where things lie."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from pipeline import project, stages
from pipeline.checked_yaml import Section, read
from pipeline.data import label_corrections
from pipeline.errors import ArtifactError
from pipeline.params import Seed

FOLDER = project.FOLDER / "comparison"
PARAMS = FOLDER / "params.yaml"
RUNS = FOLDER / "runs"
STATES = FOLDER / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""
ROBUSTNESS = FOLDER / "robustness"
RESULTS = FOLDER / "results"


class Budget(Section):
    """What bounds the epochs of a run."""

    author_multiply_adds: float = Field(gt=0)
    author_min_epochs: int = Field(ge=1)
    author_max_epochs: int = Field(ge=1)
    our_epochs: int = Field(ge=1)


class Robustness(Section):
    """How far held-out digits are moved, and which networks then read them."""

    architectures: list[str] = Field(min_length=1)
    shift_pixels: list[int] = Field(min_length=1)
    rotation_degrees: list[float] = Field(min_length=1)


class Settings(Section):
    """The whole file."""

    fold: int = Field(ge=0)
    seeds: list[Seed] = Field(min_length=1)
    architectures: list[str] = Field(min_length=1)
    baseline: str
    budget: Budget
    robustness: Robustness

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

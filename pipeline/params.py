"""``params.yaml`` as typed, checked, read-only values: one class per section.

The file is the one truth: nothing here has a default. Units are part of the names. It is read as
YAML 1.2, like DVC does, so that ``1e-3`` is a number.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParamsError

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fold = Annotated[int, Field(ge=0)] | Literal["all"]
"""A fold to hold back, or ``all`` to train on every row for the submission alone."""


@dataclass(frozen=True)
class Member:
    """One network of the ensemble."""

    fold: int | Literal["all"]
    seed: int
    architecture: str

    @property
    def name(self) -> str:
        """Its folder under models/, and what follows ``train@`` in DVC."""
        return f"{self.fold}-{self.seed}-{self.architecture}"


class Section(BaseModel):
    """A section of params.yaml: exactly these keys, exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Source(Section):
    """Where the data comes from."""

    kind: Literal["auto", "archive", "kaggle", "sample"]
    path: str | None


class Prepare(Section):
    """How the labelled rows are divided."""

    folds: int = Field(ge=2, le=20)


class Augmentation(Section):
    """How far training images are warped; each bound holds in both directions."""

    rotation_degrees: float = Field(ge=0, le=45)
    shift_pixels: float = Field(ge=0, le=8)
    zoom_fraction: float = Field(ge=0, lt=0.5)


class Ensemble(Section):
    """Which networks are trained: every combination of the three lists is a member."""

    folds: list[Fold] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)
    architectures: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        for name, values in self:
            if len(set(values)) < len(values):
                raise ValueError(f"{name} lists a value twice: {values}")
        if not any(isinstance(fold, int) for fold in self.folds):
            raise ValueError("folds needs a number beside 'all', or nothing could be evaluated")
        return self

    def members(self) -> list[Member]:
        """The members, in the order in which DVC trains them."""
        return [
            Member(fold, seed, architecture)
            for fold in self.folds
            for seed in self.seeds
            for architecture in self.architectures
        ]


class Train(Section):
    """How a member is fitted."""

    batch_size: int = Field(ge=1, le=4096)
    learning_rate: float = Field(gt=0, le=1)
    max_epochs: int = Field(ge=1, le=10_000)
    patience_epochs: int = Field(ge=1)
    anneal_epochs: int = Field(ge=0, le=1_000)
    stopping_fraction: float = Field(gt=0, le=0.5)
    all_rows_epochs: int = Field(ge=1, le=10_000)


class Evaluate(Section):
    """How predictions are judged and shown."""

    calibration_bins: int = Field(ge=2, le=100)
    gallery_images: int = Field(ge=1, le=400)
    gallery_images_per_confusion: int = Field(ge=1)


class Params(Section):
    """The whole file."""

    seed: Seed
    source: Source
    prepare: Prepare
    ensemble: Ensemble
    augmentation: Augmentation
    train: Train
    evaluate: Evaluate

    @model_validator(mode="after")
    def _check_folds_exist(self) -> Self:
        for fold in self.ensemble.folds:
            if fold != "all" and fold >= self.prepare.folds:
                raise ValueError(
                    f"ensemble.folds names fold {fold}, but prepare.folds makes "
                    f"{self.prepare.folds}: 0 to {self.prepare.folds - 1}"
                )
        return self


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise ParamsError(
            f"There is no {path} in {Path.cwd()}. Run the command in the project's folder."
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path} must hold sections like 'train:', found {content!r}.")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_describe(problem) for problem in error.errors()))
        raise ParamsError(f"{path} is not usable: {problems}. Nothing was run.") from None


def _describe(problem: Any) -> str:
    keys = [str(key) for key in problem["loc"] if key not in ("int", "literal['all']")]
    key = ".".join(keys)
    match problem["type"]:
        case "extra_forbidden":
            known = sorted(_fields_at(keys[:-1]))
            return f"{key}: no such key; known here: {', '.join(known)}"
        case "missing":
            return f"{key}: missing"
        case "value_error":
            return f"{key}: {problem['ctx']['error']}".removeprefix(": ")
    expectation = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key}: {expectation}, found {problem['input']!r}"


def _fields_at(keys: list[str]) -> set[str]:
    section: type[BaseModel] = Params
    for key in keys:
        annotation = section.model_fields[key].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return set()
        section = annotation
    return set(section.model_fields)

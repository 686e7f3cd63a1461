"""``params.yaml`` as typed, checked, read-only values: one class per section.

The file is the one truth: nothing here has a default. Units are part of the names.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipeline.checked_yaml import Section, check_distinct, find_repeated, read, suggest
from pipeline.files import read_json
from pipeline.member import Member as Member
from pipeline.project import FOLDER


def _check_fold(value: Any) -> Any:
    if value == "all" or (type(value) is int and value >= 0):
        return value
    raise ValueError("expected the number of a fold, 0 or more, or 'all'")


def _check_entries(networks: Any) -> Any:
    if isinstance(networks, list) and any(isinstance(entry, dict) for entry in networks):
        raise ValueError(
            "expected names that the section 'networks' defines, as in [pooled3], found the "
            "definition itself, as before version 1.0"
        )
    return networks


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fold = Annotated[int | Literal["all"], BeforeValidator(_check_fold)]
"""A fold to hold out, or ``all`` to train on every row for the submission alone."""


class Source(Section):
    """Where the data comes from."""

    kind: Literal["auto", "archive", "kaggle", "sample"]
    path: str | None
    sample_epochs: int = Field(ge=1, le=10_000)


class Prepare(Section):
    """How the labelled rows are divided."""

    folds: int = Field(ge=2, le=20)


class Augmentation(Section):
    """How far training images are warped; each bound holds in both directions."""

    rotation_degrees: float = Field(ge=0, le=45)
    shift_pixels: float = Field(ge=0, le=8)
    zoom_fraction: float = Field(ge=0, lt=0.5)


class Network(Section):
    """An architecture, and the views in which it sees images.

    Training shows the network each image in one of the views, drawn again in each epoch. Later it
    predicts from the first view and, where confidence is low, from the others as well. The source
    stage checks that the architecture and the transforms exist.
    """

    architecture: str
    preprocessing: list[list[str]] = Field(min_length=1)

    @field_validator("preprocessing", mode="after")
    @classmethod
    def _check_distinct(cls, views: list[list[str]]) -> list[list[str]]:
        for view in views:
            check_distinct(view, "each transform once in a view")
        return check_distinct(views, "each view once")


class Ensemble(Section):
    """Which networks are trained: every network in each fold from each seed is a member."""

    networks: Annotated[list[str], BeforeValidator(_check_entries)] = Field(min_length=1)
    folds: list[Fold] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)

    @field_validator("networks", "folds", "seeds", mode="after")
    @classmethod
    def _check_distinct(cls, values: list[Any]) -> list[Any]:
        return check_distinct(values, "each value once")

    @field_validator("folds", mode="after")
    @classmethod
    def _check_number_among(cls, folds: list[Any]) -> list[Any]:
        if folds == ["all"]:
            raise ValueError("expected a number as well as 'all': nothing could be evaluated")
        return folds


class Train(Section):
    """How a member is fitted."""

    compute_dtype: Literal["auto", "bfloat16", "float32"]
    batch_size: int = Field(ge=1, le=4096)
    batch_parts: int = Field(ge=1, le=64)
    learning_rate: float = Field(gt=0, le=1)
    max_epochs: int = Field(ge=1, le=10_000)
    warmup_epochs: int = Field(ge=0, le=1_000)
    decay_epochs: int = Field(ge=0, le=1_000)
    patience_epochs: int = Field(ge=1)
    pruned_fraction: float = Field(ge=0, lt=1)
    validation_fraction: float = Field(ge=0, le=0.5)
    all_rows_epochs: int = Field(ge=1, le=10_000)

    @model_validator(mode="after")
    def _check_fits(self) -> Self:
        needed = self.warmup_epochs + self.decay_epochs
        for key in ("max_epochs", "all_rows_epochs"):
            if getattr(self, key) < needed:
                raise ValueError(
                    f"expected {key} of at least {needed}, the sum of warmup_epochs and "
                    f"decay_epochs, found {getattr(self, key)}"
                )
        if self.batch_parts > 1 and 2 * self.batch_parts > self.batch_size:  # some are smaller
            raise ValueError(
                f"expected batch_parts of 1, or of at most half of batch_size, {self.batch_size}, "
                f"found {self.batch_parts}"
            )
        return self

    def shorten(self, epochs: int) -> Self:
        """The same with at most so many epochs; the decay gives way where it does not fit."""
        shorter = min(self.max_epochs, epochs)
        warmup = min(self.warmup_epochs, shorter)
        return self.model_copy(
            update={
                "max_epochs": shorter,
                "all_rows_epochs": min(self.all_rows_epochs, epochs),
                "warmup_epochs": warmup,
                "decay_epochs": min(self.decay_epochs, shorter - warmup),
            }
        )


class Neighbours(Section):
    """Which predictions nearest neighbours refine, and how much their distances count."""

    confidence_threshold: float = Field(ge=0, le=1)
    power: float = Field(gt=0, le=20)


class Evaluate(Section):
    """How predictions are evaluated and shown."""

    calibration_bins: int = Field(ge=2, le=100)
    gallery_images: int = Field(ge=1, le=400)
    gallery_images_per_confusion: int = Field(ge=1)
    page_images: int = Field(ge=1, le=4_000)
    page_images_per_digit: int = Field(ge=1, le=50)
    near_duplicate_grey_levels: float = Field(gt=0, le=16)


NetworkName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class Params(Section):
    """The whole file."""

    seed: Seed
    source: Source
    prepare: Prepare
    networks: dict[NetworkName, Network] = Field(min_length=1)
    ensemble: Ensemble
    augmentation: Augmentation
    train: Train
    neighbours: Neighbours
    evaluate: Evaluate

    @model_validator(mode="after")
    def _check_names_exist(self) -> Self:
        for fold in self.ensemble.folds:
            if fold != "all" and fold >= self.prepare.folds:
                raise ValueError(
                    f"ensemble.folds: expected 0 to {self.prepare.folds - 1}, as prepare.folds is "
                    f"{self.prepare.folds}, found {fold}"
                )
        for name in self.ensemble.networks:
            if name not in self.networks:
                raise ValueError(
                    f"ensemble.networks: expected names that the section 'networks' defines "
                    f"({', '.join(self.networks)}), found {name!r}{suggest(name, self.networks)}"
                )
        listed = [self.networks[name] for name in self.ensemble.networks]
        if (repeated := find_repeated(listed)) is not None:
            alike = [name for name in self.ensemble.networks if self.networks[name] == repeated]
            raise ValueError(
                f"ensemble.networks: expected different networks, found {' and '.join(alike)}, "
                "which are defined alike"
            )
        return self

    def for_sample(self) -> Self:
        """The same with at most ``source.sample_epochs`` epochs."""
        train = self.train.shorten(self.source.sample_epochs)
        return self.model_copy(update={"train": train})

    def members(self) -> list[Member]:
        """The members, in the order of the lists."""
        return [
            Member(fold, seed, name, network.architecture, tuple(map(tuple, network.preprocessing)))
            for fold in self.ensemble.folds
            for seed in self.ensemble.seeds
            for name in self.ensemble.networks
            for network in [self.networks[name]]
        ]

    def evaluated_members(self) -> list[Member]:
        """The members that hold out a fold, on which they are evaluated."""
        return [member for member in self.members() if member.fold != "all"]


FILE = FOLDER / "params.yaml"


def load_file(path: Path = FILE) -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    return read(path, Params)


def load(path: Path = FILE) -> Params:
    """The settings in force: the file's; on the sample, ``train`` with ``source.sample_epochs``.

    Raises:
        ParamsError: as of `load_file`.
        ArtifactError: ``data/source.json`` next to the file is damaged.
    """
    settings, source = load_file(path), path.with_name("data") / "source.json"
    on_sample = source.exists() and read_json(source) == {"kind": "sample"}
    return settings.for_sample() if on_sample else settings

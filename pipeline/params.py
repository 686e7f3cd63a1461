"""``params.yaml`` as typed, checked, read-only values: one class per section.

The file is the one truth: nothing here has a default. Units are part of the names. It is read as
YAML 1.2, like DVC does, so that ``1e-3`` is a number.
"""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.errors import ParamsError

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fold = Annotated[int, Field(ge=0)] | Literal["all"]
"""A fold to hold back, or ``all`` to train on every row for the submission alone."""
STEP_NAMES = ("deskew", "normalize_stroke", "normalize_width")
"""What images may go through before a network sees them; several are joined by ``+``."""
PLAIN = "plain"
"""The form of an image that has gone through no step."""


@dataclass(frozen=True)
class Member:
    """One network of the ensemble."""

    fold: int | Literal["all"]
    seed: int
    architecture: str
    preprocessing: str

    @property
    def name(self) -> str:
        """Its folder under models/."""
        return f"{self.fold}-{self.seed}-{self.architecture}-{self.preprocessing}"

    @property
    def forms(self) -> list[list[str]]:
        """The steps, in their order, to each form in which the network sees an image."""
        forms = self.preprocessing.split(",")
        return [[] if form == PLAIN else form.split("+") for form in forms]


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


class Network(Section):
    """An architecture, and what images go through before it sees them.

    Where ``preprocessing`` names several forms, training shows the network each image in one of
    them, drawn anew in each epoch, and later it is asked in the first and, in doubt, in the others.
    """

    architecture: str
    preprocessing: str

    def __str__(self) -> str:
        """As params.yaml writes it."""
        preprocessing = self.preprocessing
        written = f"'{preprocessing}'" if "," in preprocessing else preprocessing
        return f"{{architecture: {self.architecture}, preprocessing: {written}}}"

    @model_validator(mode="before")
    @classmethod
    def _check_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(
                "ensemble.networks: expected entries like {architecture: deep_cnn, preprocessing: "
                f"{PLAIN}}}, found {_shown(value)}"
            )
        return value

    @field_validator("preprocessing")
    @classmethod
    def _check_steps(cls, value: str) -> str:
        if fault := _find_fault(value.split(",")):
            raise ValueError(
                f"ensemble.networks.preprocessing: expected {PLAIN!r}, or one or more of "
                f"{', '.join(STEP_NAMES)}, each once and joined by '+', or several such forms, "
                f"each once and joined by ',' without spaces, found {value!r} with {fault}"
            )
        return value


def _find_fault(forms: list[str]) -> str | None:
    """What is wrong with the forms of a network, if anything."""
    for form in forms:
        steps = form.split("+")
        for step in steps:
            if step not in (*STEP_NAMES, PLAIN):
                similar = get_close_matches(step, (*STEP_NAMES, PLAIN), n=1)
                return f"no such step as {step!r}" + "".join(f" ({each}?)" for each in similar)
            if steps.count(step) > 1:
                return f"{step!r} twice in one form"
        if PLAIN in steps and len(steps) > 1:
            return f"{PLAIN!r} joined to a step"
        if forms.count(form) > 1:
            return f"the form {form!r} twice"
    return None


class Ensemble(Section):
    """Which networks are trained: every network in each fold from each seed is a member."""

    networks: list[Network] = Field(min_length=1)
    folds: list[Fold] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        for name, values in self:
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"ensemble.{name}: expected each value once, found {twice} again")
        if not any(isinstance(fold, int) for fold in self.folds):
            raise ValueError(
                "ensemble.folds: expected a number beside 'all', or nothing could be evaluated"
            )
        return self

    def members(self) -> list[Member]:
        """The members, in the order of the lists."""
        return [
            Member(fold, seed, network.architecture, network.preprocessing)
            for fold in self.folds
            for seed in self.seeds
            for network in self.networks
        ]

    def judges(self) -> list[Member]:
        """The members that hold a fold back, by which they are judged."""
        return [member for member in self.members() if member.fold != "all"]


class Train(Section):
    """How a member is fitted."""

    compute_dtype: Literal["auto", "bfloat16", "float32"]
    batch_size: int = Field(ge=1, le=4096)
    learning_rate: float = Field(gt=0, le=1)
    max_epochs: int = Field(ge=1, le=10_000)
    warmup_epochs: int = Field(ge=0, le=1_000)
    patience_epochs: int = Field(ge=1)
    anneal_epochs: int = Field(ge=0, le=1_000)
    pruned_fraction: float = Field(ge=0, lt=1)
    stopping_fraction: float = Field(ge=0, le=0.5)
    all_rows_epochs: int = Field(ge=1, le=10_000)

    @model_validator(mode="after")
    def _check_schedule_fits(self) -> Self:
        needed = self.warmup_epochs + self.anneal_epochs
        for key in ("max_epochs", "all_rows_epochs"):
            if getattr(self, key) < needed:
                raise ValueError(
                    f"train.{key}: expected at least {needed}, as warmup_epochs and anneal_epochs "
                    f"together are, found {getattr(self, key)}"
                )
        return self


class Neighbours(Section):
    """Where, and by what power of its distances, the most similar training images have a say."""

    confidence_threshold: float = Field(ge=0, le=1)
    power: float = Field(gt=0, le=20)


class Evaluate(Section):
    """How predictions are judged and shown."""

    calibration_bins: int = Field(ge=2, le=100)
    gallery_images: int = Field(ge=1, le=400)
    gallery_images_per_confusion: int = Field(ge=1)
    page_images: int = Field(ge=1, le=4_000)
    page_images_per_digit: int = Field(ge=1, le=50)
    near_duplicate_grey_levels: float = Field(gt=0, le=16)


class Params(Section):
    """The whole file."""

    seed: Seed
    source: Source
    prepare: Prepare
    ensemble: Ensemble
    augmentation: Augmentation
    train: Train
    neighbours: Neighbours
    evaluate: Evaluate

    @model_validator(mode="after")
    def _check_folds_exist(self) -> Self:
        for fold in self.ensemble.folds:
            if fold != "all" and fold >= self.prepare.folds:
                raise ValueError(
                    f"ensemble.folds: expected 0 to {self.prepare.folds - 1}, as prepare.folds is "
                    f"{self.prepare.folds}, found {fold}"
                )
        return self


_Settings = TypeVar("_Settings", bound=Section)


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    return read(path, Params)


def read(path: Path, kind: type[_Settings]) -> _Settings:
    """Read a YAML file as the section ``kind`` and check it.

    Raises:
        ParamsError: as `load` does.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise ParamsError(
            f"There is no {path} in {Path.cwd()}. Run the command in the project's folder."
        ) from None
    except (YAMLError, ValueError) as error:
        raise ParamsError(f"{path} is not valid YAML: {_describe_syntax(error)}") from None
    if not isinstance(content, dict):
        raise ParamsError(
            f"{path} is not usable: expected sections like 'train:', found {_shown(content)}. "
            "Nothing was run."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_describe(problem, kind) for problem in error.errors()))
        raise ParamsError(f"{path} is not usable: {problems}. Nothing was run.") from None


_NUMBER, _ALL = "constrained-int", "literal['all']"
"""What pydantic adds to the location of a wrong fold: which alternative it fails."""

_EXPECTATIONS = {
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list in square brackets",
    "literal_error": "{expected}",
    "model_type": "a section with keys of its own",
    "string_type": "text",
    "too_short": "at least one entry",
}
"""What to say after "expected", by pydantic's type of error."""


def _describe(problem: Any, kind: type[BaseModel]) -> str:
    keys, is_union = _split_location(problem["loc"])
    key = ".".join(keys)
    found = _shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden" | "invalid_key":
            expected = ", ".join(sorted(_fields_at(kind, keys[:-1])))
            in_network = keys[:-1] == ["ensemble", "networks"] and problem["input"] is None
            hint = " (text with a comma needs quotes)" if in_network else ""
            return f"{key}: no such key, expected {expected}{hint}"
        case "missing":
            return f"{key}: missing"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _ if is_union:
            return f"{key}: expected the number of a fold, 0 or more, or 'all', found {found}"
        case error if error in _EXPECTATIONS:
            expectation = _EXPECTATIONS[error].format(**problem.get("ctx", {}))
            return f"{key}: expected {expectation}, found {found}"
    return f"{key}: {problem['msg']}, found {found}"


def _split_location(location: tuple[str | int, ...]) -> tuple[list[str], bool]:
    """The keys down to a value, without places in lists, and whether it is one of a union's."""
    names = [str(key) for key in location[1:] if isinstance(key, str)]
    keys = [str(location[0]), *names] if location else []
    is_union = keys[-1:] in ([_NUMBER], [_ALL])
    return keys[:-1] if is_union else keys, is_union


def _describe_syntax(error: Exception) -> str:
    if not isinstance(error, MarkedYAMLError):
        return f"{' '.join(str(error).split())}."
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    hint = " Indent with spaces." if "\\t" in str(error.problem) else ""
    problem = " ".join(str(error.problem).split()).removeprefix("but ")
    return f"{line}{problem}.{hint}"


def _shown(value: Any) -> str:
    """A value as it would be written in YAML; what has parts by its kind."""
    match value:
        case dict():
            return "a section"
        case []:
            return "an empty list"
        case list():
            return "a list"
        case None:
            return "nothing"
    return json.dumps(value, ensure_ascii=False, default=str)


def _fields_at(section: type[BaseModel], keys: list[str]) -> set[str]:
    for key in keys:
        annotation: Any = section.model_fields[key].annotation
        annotation = next(iter(get_args(annotation)), annotation)  # of a list
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return set()
        section = annotation
    return set(section.model_fields)

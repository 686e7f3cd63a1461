"""``comparison/params.yaml`` as typed, checked, read-only values, and where things lie."""

import json
from pathlib import Path

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import profiles
from pipeline.errors import ParamsError
from pipeline.params import Section, Seed

FOLDER = Path("comparison")
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
    """How far held-back digits are moved, and which networks then read them."""

    architectures: list[str] = Field(min_length=1)
    shift_pixels: list[int] = Field(min_length=1)
    rotation_degrees: list[float] = Field(min_length=1)


class Settings(Section):
    """The whole file."""

    fold: int = Field(ge=0)
    seeds: list[Seed] = Field(min_length=1)
    architectures: list[str] = Field(min_length=1)
    budget: Budget
    robustness: Robustness


def load(path: Path = FOLDER / "params.yaml") -> Settings:
    """Read and check the file.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise ParamsError(
            f"There is no {path} in {Path.cwd()}. Run the command in the project's folder."
        ) from None
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, found "
            f"{json.dumps(problem['input'], default=str)}"
            for problem in error.errors()
        )
        raise ParamsError(f"{path} is not usable: {problems}. Nothing was run.") from None
    untrained = sorted(set(settings.robustness.architectures) - set(settings.architectures))
    if untrained:
        raise ParamsError(
            f"{path} is not usable: robustness.architectures: expected names that architectures "
            f"lists as well, found {', '.join(untrained)}. Nothing was run."
        )
    return settings


def default_architecture() -> str:
    """The network that the main job trains, and all others are compared to."""
    return _default("architectures")


def default_preprocessing() -> str:
    """What images go through in the main job."""
    return _default("preprocessings")


def _default(key: str) -> str:
    first: str = profiles.read("default")["ensemble"][key][0]
    return first

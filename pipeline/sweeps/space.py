"""A space file: what a sweep searches, checked by the models of params.yaml.

Every value, and every two or three of them together, is checked before anything runs: no rule of
params.yaml joins more keys than three.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from pipeline import params
from pipeline.checked_yaml import Section, check, check_distinct, load, suggest
from pipeline.errors import ParamsError
from pipeline.networks.definition import check_network
from pipeline.params import Network, Params, Seed
from pipeline.project import FOLDER
from pipeline.sweeps.dimension import Dimension, parse

SWEEPS = FOLDER / "sweeps"

_NOT_SEARCHED = {
    "seed": "it draws the folds, which are the same in all trials",
    "source": "it decides where the data comes from, which is the same in all trials",
    "prepare": "it decides on the folds, which are the same in all trials",
    "ensemble.folds": "choose_on and confirm_on are the folds of a sweep",
    "ensemble.seeds": "the best of several seeds is luck",
    "train.all_rows_epochs": "it is for fold all, on which nothing can be evaluated",
    "evaluate": "it changes no prediction",
}
"""Keys and sections of params.yaml that a sweep leaves alone, and why."""

_JOINED = 3
"""Keys that a rule of params.yaml joins at most."""


class StopLagging(Section):
    """When a trial is stopped: its val_loss is above the median of the trials before it."""

    after_trials: int = Field(ge=1)
    after_epochs: int = Field(ge=1)


class SpaceFile(Section):
    """The whole file."""

    trials: int = Field(ge=1, le=10_000)
    trials_at_once: int = Field(ge=1, le=1_000)
    seed: Seed
    minimize: Literal["log_loss", "error_rate"]
    choose_on: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    confirm_on: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    stop_lagging: StopLagging | None
    space: dict[str, Any] = Field(min_length=1)

    @field_validator("choose_on", "confirm_on", mode="after")
    @classmethod
    def _check_distinct(cls, folds: list[int]) -> list[int]:
        return check_distinct(folds, "each fold once")

    @model_validator(mode="after")
    def _check_apart(self) -> Self:
        if both := sorted({*self.choose_on} & {*self.confirm_on}):
            raise ValueError(
                f"expected other folds in confirm_on than in choose_on, found {both[0]} in both"
            )
        return self


@dataclass(frozen=True)
class Space:
    """A checked space.

    Attributes:
        path: of the file.
        file: its content.
        dimensions: what is searched, in the order of the file.
        base: params.yaml as it is.
    """

    path: Path
    file: SpaceFile
    dimensions: tuple[Dimension, ...]
    base: Params

    @property
    def name(self) -> str:
        """Of the sweep."""
        return self.path.stem

    @cached_property
    def base_values(self) -> dict[str, Any]:
        """What params.yaml has for the searched keys."""
        content = self.base.model_dump()
        return {each.key: _get(content, each.key) for each in self.dimensions}

    @property
    def holds_base(self) -> bool:
        """Whether a proposal could be params.yaml as it is."""
        return all(each.holds(self.base_values[each.key]) for each in self.dimensions)

    def settings(self, values: Mapping[str, Any]) -> Params:
        """params.yaml with other values.

        Raises:
            ParamsError: they do not go together.
        """
        content = deepcopy(self.base.model_dump())
        for key, value in values.items():
            _set(content, key, value)
        shown = " and ".join(f"{key}: {value}" for key, value in values.items())
        settings = check(content, Params, f"{self.path}: {shown}")
        try:
            for name in settings.ensemble.networks:
                check_network(name, settings.networks[name])
        except ParamsError as error:
            reason = str(error).removeprefix("params.yaml is not usable: ")
            raise ParamsError(f"{self.path} is not usable: {reason}") from None
        return settings


def read(path: Path, params_path: Path = params.FILE) -> Space:
    """Read and check a space file.

    Raises:
        ParamsError: naming what is at fault, what was expected and what was found.
    """
    if not path.exists():
        known = sorted(each.stem for each in SWEEPS.glob("*.yaml"))
        hint = suggest(path.stem, known) or (f"; known: {', '.join(known)}" if known else "")
        raise ParamsError(f"There is no space file {path}{hint}. docs/sweeps.md shows one.")
    base = params.load_file(params_path)
    file = check(load(path), SpaceFile, str(path))
    for name in ("choose_on", "confirm_on"):
        for fold in getattr(file, name):
            if fold >= base.prepare.folds:
                raise ParamsError(
                    f"{path} is not usable: {name}: expected folds from 0 to "
                    f"{base.prepare.folds - 1}, as prepare.folds is {base.prepare.folds}, found "
                    f"{fold}. Nothing was run."
                )
    kinds = dict(_list_keys(base))
    for key in file.space:
        _check_key(key, kinds, path)
        network = key.split(".")[1] if key.startswith("networks.") else None
        listed = base.ensemble.networks
        if network not in (None, *listed) and "ensemble.networks" not in file.space:
            raise ParamsError(
                f"{path} is not usable: space.{key} would change nothing: ensemble.networks lists "
                f"{', '.join(listed)} alone. Nothing was run."
            )
    dimensions = tuple(
        parse(key, entry, kinds[key], str(path)) for key, entry in file.space.items()
    )
    space = Space(path, file, dimensions, base)
    _check_values(space)
    return space


def _check_key(key: str, kinds: Mapping[str, Any], path: Path) -> None:
    """Refuse a key that is not there, or that a sweep leaves alone."""
    for name, reason in _NOT_SEARCHED.items():
        if key == name or key.startswith(f"{name}."):
            raise ParamsError(
                f"{path} is not usable: space.{key} cannot be searched: {reason}. Nothing was run."
            )
    if key not in kinds:
        section = key.partition(".")[0]
        searched = [known for known in kinds if not known.startswith(tuple(_NOT_SEARCHED))]
        near = [known for known in searched if known.startswith(f"{section}.")] or searched
        raise ParamsError(
            f"{path} is not usable: space.{key}: params.yaml has no such key"
            f"{suggest(key, searched)}, expected one of {', '.join(near)}. Nothing was run."
        )


def _check_values(space: Space) -> None:
    """Refuse a space of which some values are invalid, alone or together."""
    stops = space.file.stop_lagging is not None
    for count in range(1, _JOINED + 1):
        for dimensions in combinations(space.dimensions, count):
            keys = [each.key for each in dimensions]
            for values in product(*(each.corners for each in dimensions)):
                settings = space.settings(dict(zip(keys, values, strict=True)))
                if stops and settings.train.validation_fraction == 0:
                    raise ParamsError(
                        f"{space.path} is not usable: stop_lagging: expected null where "
                        "train.validation_fraction is 0, as there is no val_loss to compare. "
                        "Nothing was run."
                    )


def _list_keys(base: Params) -> Iterator[tuple[str, Any]]:
    """Every key of params.yaml with the type of its value."""
    yield from _list_fields(Params, "")
    for name in base.networks:
        yield from _list_fields(Network, f"networks.{name}.")


def _list_fields(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _list_fields(kind, f"{prefix}{name}.")
        elif name != "networks" or prefix:
            yield f"{prefix}{name}", kind


def _get(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def _set(content: Any, key: str, value: Any) -> None:
    *sections, last = key.split(".")
    _get(content, ".".join(sections))[last] = value

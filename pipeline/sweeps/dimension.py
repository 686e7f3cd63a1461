"""One key of params.yaml that a sweep searches: a range of numbers, or a list of choices."""

import json
from dataclasses import dataclass
from math import isclose
from typing import Any

from pipeline.checked_yaml import Section, check, describe_value
from pipeline.errors import ParamsError
from pipeline.wording import as_label

_DIGITS = 4
"""Significant ones of a proposed number, so that params.yaml stays readable."""


class _Range(Section):
    """Numbers between two bounds, both included."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Dimension:
    """What a sweep tries for one key.

    Attributes:
        key: of params.yaml, such as ``train.learning_rate``.
        choices: the values; empty: it is a range.
        low: bound of the range, included.
        high: bound of the range, included.
        step: between two values of the range; None: any number.
        log: whether proposals are spread over the logarithm.
        whole: whether the key takes whole numbers alone.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    whole: bool = False

    @property
    def corners(self) -> tuple[Any, ...]:
        """All choices, or both bounds."""
        return self.choices or (self.round(self.low), self.round(self.high))

    @property
    def labels(self) -> list[Any]:
        """The choices as plain values: what has parts as JSON."""
        return [as_label(choice) for choice in self.choices]

    def round(self, proposed: Any) -> Any:
        """The value that is tried for what Optuna proposes; within the bounds."""
        if self.choices:
            return self.choices[self.labels.index(proposed)]
        if self.whole:
            return round(proposed)
        return min(max(float(f"{proposed:.{_DIGITS}g}"), float(self.low)), float(self.high))

    def holds(self, value: Any) -> bool:
        """Whether a proposal could be ``value``."""
        if self.choices:
            return value in self.choices
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return isclose(steps, round(steps), abs_tol=1e-9)


def parse(key: str, entry: Any, kind: Any, name: str) -> Dimension:
    """Check what a space file says about a key.

    Args:
        key: of params.yaml.
        entry: a mapping of low, high, and perhaps step and log; or a list.
        kind: type of the key's values, as the model of params.yaml has it.
        name: of the file, for errors.

    Raises:
        ParamsError: it says nothing that could be tried.
    """
    where = f"{name}: space.{key}"
    if isinstance(entry, list):
        distinct = {json.dumps(value, sort_keys=True, default=str) for value in entry}
        if len(distinct) < max(2, len(entry)):
            raise _unusable(where, "expected at least two values, each once", entry)
        return Dimension(key, tuple(entry))
    if not isinstance(entry, dict):
        raise _unusable(where, "expected {low: …, high: …} or a list of values", entry)
    if kind not in (int, float):
        raise _unusable(where, "expected a list of values, as the key takes no numbers", entry)
    bounds = check(entry, _Range, where)
    _check_bounds(where, bounds, whole=kind is int)
    return Dimension(key, **bounds.model_dump(), whole=kind is int)


def _check_bounds(where: str, bounds: _Range, *, whole: bool) -> None:
    low, high, step = bounds.low, bounds.high, bounds.step
    if not low < high:
        raise _unusable(where, f"expected low below high, found low {low:g} and high {high:g}")
    if whole and any(value is not None and value % 1 for value in (low, high, step)):
        raise _unusable(where, "expected whole numbers", [low, high, *([step] if step else [])])
    if bounds.log and low <= 0:
        raise _unusable(where, f"expected low above 0 where log is true, found {low:g}")
    if step is None:
        return
    if bounds.log:
        raise _unusable(where, "expected step or log, found both")
    steps = (high - low) / step if step > 0 else 0.5
    if not isclose(steps, round(steps), abs_tol=1e-9):
        raise _unusable(
            where,
            f"expected a step that leads from low to high, found {step:g} from {low:g} to {high:g}",
        )


def _unusable(where: str, problem: str, found: Any = "") -> ParamsError:
    shown = found if isinstance(found, str) else f", found {_show(found)}"
    return ParamsError(f"{where} is not usable: {problem}{shown}. Nothing was run.")


def _show(found: Any) -> str:
    if isinstance(found, list) and found:
        return json.dumps(found, default=str, ensure_ascii=False)
    return describe_value(found)

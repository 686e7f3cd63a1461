"""Slices: kinds of digits by their properties, and which of them fail more often than all.

There are many slices and few errors, so that some slice always looks bad. The intervals are
therefore simultaneous: in 95 of 100 data sets all of them hold at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from pipeline.evaluation.image_properties import PROPERTIES

_PARTS = 5
"""Of equal size, into which each property divides the images."""

_PARTS_OF_PAIRS = 3
"""The same where two properties are crossed, so that slices stay large enough to tell."""

_ERROR_RATE = 0.05
"""How often any of the intervals may fail to hold."""


@dataclass(frozen=True)
class Part:
    """Images with values of one property from ``low`` up to, but without, ``high``.

    Attributes:
        name: of the property.
        low: −∞ for the lowest part.
        high: ∞ for the highest one.
    """

    name: str
    low: float
    high: float

    def contains(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values ``(n,)`` are in it; a missing one is in none."""
        return np.asarray((values >= self.low) & (values < self.high))

    def __str__(self) -> str:
        written = PROPERTIES[self.name]
        if np.isinf(self.low):
            return f"{written.title} below {written.write(self.high)}"
        if np.isinf(self.high):
            return f"{written.title} from {written.write(self.low)}"
        return f"{written.title} {written.write(self.low)} to {written.write(self.high)}"


@dataclass(frozen=True)
class Slices:
    """The slices of a set of images.

    Attributes:
        parts: of each slice, one or two.
        members: which images are in which slice, ``(slices, n)``.
    """

    parts: Sequence[tuple[Part, ...]]
    members: NDArray[np.bool_]

    def count(self, errors: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Errors in each slice, ``(draws, slices)``, of errors ``(draws, n)``."""
        # Errors are few: only their columns are added up.
        return np.array([self.members[:, each].sum(axis=1) for each in errors], dtype=np.int64)

    def find_worse(self, errors: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which slices are named, ``(draws, slices)``, for errors ``(draws, n)``.

        A slice is named if its whole interval lies above the error rate of all images.
        """
        low, _ = simultaneous_interval(self.count(errors), self.members.sum(axis=1))
        return np.asarray(low > errors.mean(axis=1, keepdims=True))


def divide(properties: pd.DataFrame) -> Slices:
    """The slices by each property, and by each pair of properties.

    Each property alone divides the images into five parts of equal size. Each pair crosses three
    parts of one with three of the other. Equal values stay together.

    Args:
        properties: from `measure_properties`.
    """
    alone = [part for name in properties for part in _divide(properties[name], _PARTS)]
    thirds = {name: _divide(properties[name], _PARTS_OF_PAIRS) for name in properties}
    pairs = [
        parts
        for first, second in combinations(thirds, 2)
        for parts in product(thirds[first], thirds[second])
    ]
    slices = [*((part,) for part in alone), *pairs]
    columns = {
        part: part.contains(properties[part.name].to_numpy(np.float64))
        for parts in slices
        for part in parts
    }
    members = [np.logical_and.reduce([columns[part] for part in parts]) for parts in slices]
    filled = [place for place, each in enumerate(members) if each.any()]
    return Slices(
        [slices[place] for place in filled],
        np.array([members[place] for place in filled], np.bool_).reshape(-1, len(properties)),
    )


def _divide(values: pd.Series, count: int) -> list[Part]:
    inner = np.linspace(0, 1, count + 1)[1:-1]
    edges = np.unique(values.quantile(inner).dropna())
    bounds = [-np.inf, *map(float, edges), np.inf]
    return [Part(str(values.name), low, high) for low, high in pairwise(bounds)]


def simultaneous_interval(
    errors: ArrayLike, totals: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of error rates that hold at once with at least 95 %, ``(…, slices)`` each.

    Exact intervals of Clopper and Pearson (Biometrika 26, 1934), corrected for the number of slices
    by Bonferroni, which needs no independence: slices overlap. Wilson's intervals are too short
    here, where one slice of many expects less than one error; docs/experiments/slices.md has the
    simulation.

    Args:
        errors: in each slice, ``(…, slices)``.
        totals: images in each slice, ``(slices,)``, at least one.
    """
    k, n = np.broadcast_arrays(np.asarray(errors, np.float64), totals.astype(np.float64))
    tail = _ERROR_RATE / 2 / len(totals)
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail), 1.0)
    return low, high


def tabulate_slices(slices: Slices, errors: NDArray[np.bool_]) -> pd.DataFrame:
    """One row per slice: those of one property first, in the order of its values.

    Args:
        slices: of the images.
        errors: which images are misclassified, ``(n,)``.

    Returns:
        Columns slice (in words), first, first_low, first_high, second, second_low, second_high (the
        properties and their bounds; missing where there is no bound or no second property), n,
        errors, error_rate, error_rate_low, error_rate_high (`simultaneous_interval`), and worse:
        whether the interval lies wholly above the error rate of all images.
    """
    totals = slices.members.sum(axis=1)
    counts = slices.count(errors[np.newaxis])[0]
    low, high = simultaneous_interval(counts, totals)
    described = [_describe(parts) for parts in slices.parts]
    columns = ["slice"] + [
        f"{place}{bound}" for place in ("first", "second") for bound in ("", "_low", "_high")
    ]
    table = pd.DataFrame(described, columns=columns).replace([-np.inf, np.inf], np.nan)
    return table.assign(
        n=totals,
        errors=counts,
        error_rate=counts / totals,
        error_rate_low=low,
        error_rate_high=high,
        worse=slices.find_worse(errors[np.newaxis])[0],
    )


def _describe(parts: tuple[Part, ...]) -> dict[str, str | float]:
    described: dict[str, str | float] = {"slice": " and ".join(map(str, parts))}
    for place, part in zip(("first", "second"), parts, strict=False):
        described[place] = part.name
        described[f"{place}_low"], described[f"{place}_high"] = part.low, part.high
    return described

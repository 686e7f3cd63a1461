"""What the rows of ``runs.csv`` say of each image: which networks misclassified it.

A row names the images that its network misclassified; all others of its fold it read correctly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comparison.references import Whose
from comparison.table import Row
from pipeline.errors import ArtifactError

Errors = NDArray[np.bool_]
"""``(seeds, n)``: whether the network of that seed misclassified image ``i`` of a fold."""


@dataclass(frozen=True)
class Trained:
    """All runs of one network by one recipe on one fraction of the rows.

    Attributes:
        rows: of its runs, by fold and seed.
        errors: of each fold, ``(seeds, n)``; the images are in the same order in all of them.
    """

    rows: Sequence[Row]
    errors: Mapping[int, Errors]

    def error_shares(self, folds: Iterable[int] | None = None) -> NDArray[np.float64]:
        """Per image, the share of seeds that misclassified it; the folds one after another."""
        chosen = self.errors if folds is None else folds
        return np.concatenate([self.errors[fold].mean(axis=0) for fold in chosen])

    @property
    def seeds(self) -> int:
        """The most that scored a fold."""
        return max(len(errors) for errors in self.errors.values())

    @property
    def training_images(self) -> float:
        """The mean over its runs."""
        return float(np.mean([row.training_images for row in self.rows]))


def group(rows: Iterable[Row]) -> dict[tuple[str, Whose, float], Trained]:
    """The runs by network, recipe and fraction.

    Raises:
        ArtifactError: two rows are of other data, or of folds of another size.
    """
    listed = list(rows)
    _check_same_data(listed)
    place = {fold: _number_images(listed, fold) for fold in sorted({row.fold for row in listed})}
    grouped: dict[tuple[str, Whose, float], list[Row]] = {}
    for row in sorted(listed, key=lambda row: (row.fold, row.seed)):
        grouped.setdefault((row.network, row.recipe, row.fraction), []).append(row)
    return {
        key: Trained(
            of_key,
            {
                fold: np.stack(
                    [_list_errors(row, place[fold]) for row in of_key if row.fold == fold]
                )
                for fold in sorted({row.fold for row in of_key})
            },
        )
        for key, of_key in grouped.items()
    }


def _check_same_data(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.data != rows[0].data:
            raise ArtifactError(
                f"comparison/runs.csv has rows of different data: {row.run.name} and "
                f"{rows[0].run.name}. Expected one data set in one division into folds. Train the "
                "stale ones again with: dvc --cd comparison repro"
            )


def _number_images(rows: Sequence[Row], fold: int) -> dict[int, int]:
    """A place for each image of a fold that some network misclassified."""
    missed = {place for row in rows if row.fold == fold for place in _parse(row)}
    return {image: place for place, image in enumerate(sorted(missed))}


def _list_errors(row: Row, places: Mapping[int, int]) -> Errors:
    errors = np.zeros(row.images, dtype=bool)
    errors[[places[image] for image in _parse(row)]] = True
    return errors


def _parse(row: Row) -> list[int]:
    return [int(each.partition(":")[0]) for each in row.misclassified.split()]

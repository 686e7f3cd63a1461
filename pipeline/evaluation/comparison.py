"""Runs compared image by image, and everything that follows from it, as one value."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ArtifactError
from pipeline.evaluation import changes, metrics
from pipeline.evaluation.paired import compare_paired
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import atomic_path, write_json


@dataclass(frozen=True)
class EvaluatedRun:
    """A run as it is compared.

    Attributes:
        name: as the user calls it.
        revision: the commit that holds it; None of the workspace.
        predictions: of its held-out images.
        params: values of its params.yaml by their dotted keys.
        curves: as of `learning_curves.average_curves`; None if they are not at hand.
        training_seconds: of all its networks; None if that is not known.
    """

    name: str
    revision: str | None
    predictions: OutOfFoldPredictions
    params: Mapping[str, Any]
    curves: pd.DataFrame | None
    training_seconds: float | None


@dataclass(frozen=True)
class RunScore:
    """A run on all of its own held-out images; fractions, not percent.

    Attributes:
        name: as the user calls it.
        revision: the commit that holds it; None of the workspace.
        accuracy: of the predictions.
        accuracy_low: of its 95 % Wilson interval.
        accuracy_high: of the same.
        errors: misclassified images.
        images: held-out images.
        training_seconds: of all its networks; None if that is not known.
    """

    name: str
    revision: str | None
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    errors: int
    images: int
    training_seconds: float | None


@dataclass(frozen=True)
class Difference:
    """A run compared with the first, on the images held out in both; fractions, not percent.

    Attributes:
        run: its name.
        images: held out in both.
        accuracy_before: of the first run.
        accuracy: of this run.
        errors_before: of the first run.
        errors: of this run.
        corrected: errors of the first run that this run classifies correctly.
        new_errors: errors of this run that the first classifies correctly.
        other_error: errors of both, as different digits.
        same_error: errors of both, as the same digit.
        difference: accuracy minus accuracy_before.
        low: of the 95 % interval of the difference, see `paired.paired_interval`.
        high: of the same.
        p_value: of McNemar's exact test, two-sided.
        could_be_chance: whether p_value is at least 0.05.
    """

    run: str
    images: int
    accuracy_before: float
    accuracy: float
    errors_before: int
    errors: int
    corrected: int
    new_errors: int
    other_error: int
    same_error: int
    difference: float
    low: float
    high: float
    p_value: float
    could_be_chance: bool


@dataclass(frozen=True)
class Comparison:
    """Runs compared with the first of them.

    Attributes:
        runs: all, the first one first.
        differences: one per run after the first.
        notes: what a reader must know, such as what is missing and its cure; a sentence each.
        tables: by name. The first three have a column run, the name of a run after the first, and
            those of a function: changes (`changes.tabulate_changes`), confusions
            (`changes.tabulate_confusions`) and per_digit (`changes.tabulate_digits`). Then code
            (run, path, change: files that differ from those of the first run), learning_curves
            (run, and the columns of `learning_curves.average_curves`) and params (key, run,
            value as JSON, missing where a run has no such key; only keys that differ).
    """

    runs: tuple[RunScore, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    tables: dict[str, pd.DataFrame]

    def summarize(self) -> dict[str, Any]:
        """The numbers without the tables, for JSON."""
        return {
            "runs": [asdict(run) for run in self.runs],
            "differences": [asdict(difference) for difference in self.differences],
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> None:
        """Write ``comparison.json``, and each table as ``<name>.csv``."""
        write_json(folder / "comparison.json", self.summarize())
        for name, table in self.tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)


def compare(
    runs: Sequence[EvaluatedRun], code: pd.DataFrame, notes: Sequence[str] = ()
) -> Comparison:
    """Compare each run with the first on the images that are held out in both.

    Args:
        runs: at least two, with different names.
        code: columns run, path and change: files that differ from those of the first run.
        notes: of what was read, such as what is missing; a sentence each.

    Raises:
        ArtifactError: a run and the first have no image in common.
    """
    first, *others = runs
    found = [_compare_with_first(first, run) for run in others]
    tables = {
        name: pd.concat([tables[name] for _, tables in found], ignore_index=True)
        for name in ("changes", "confusions", "per_digit")
    }
    curves = [run.curves.assign(run=run.name) for run in runs if run.curves is not None]
    return Comparison(
        runs=tuple(_score(run) for run in runs),
        differences=tuple(difference for difference, _ in found),
        notes=(*_describe_images(first, [each for each, _ in found], others), *notes),
        tables=tables
        | {
            "code": code,
            "learning_curves": pd.concat(curves, ignore_index=True) if curves else _NO_CURVES,
            "params": _tabulate_params(runs),
        },
    )


_NO_CURVES = pd.DataFrame({"run": [], "epoch": []})


def _score(run: EvaluatedRun) -> RunScore:
    summary = metrics.summarize(run.predictions.probabilities, run.predictions.labels)
    summary["images"] = summary.pop("n")
    return RunScore(run.name, run.revision, **summary, training_seconds=run.training_seconds)


def _compare_with_first(
    first: EvaluatedRun, run: EvaluatedRun
) -> tuple[Difference, dict[str, pd.DataFrame]]:
    before, after = changes.on_common_images(first.predictions, run.predictions)
    if not len(after.rows):
        raise ArtifactError(
            f"No image was held out both in {first.name} and in {run.name}: nothing can be "
            "compared. Compare runs on the same data with the same seed and folds (the sample is "
            "other data)."
        )
    paired = compare_paired(after.correct, before.correct)
    wrong_in_both = ~after.correct & ~before.correct
    same = int((wrong_in_both & (after.predicted == before.predicted)).sum())
    difference = Difference(
        run=run.name,
        images=len(after.rows),
        accuracy_before=float(before.correct.mean()),
        accuracy=float(after.correct.mean()),
        errors_before=int((~before.correct).sum()),
        errors=int((~after.correct).sum()),
        corrected=paired.gained,
        new_errors=paired.lost,
        other_error=int(wrong_in_both.sum()) - same,
        same_error=same,
        difference=paired.difference,
        low=paired.low,
        high=paired.high,
        p_value=paired.p_value,
        could_be_chance=paired.could_be_chance,
    )
    tables = {
        "changes": changes.tabulate_changes(before, after),
        "confusions": changes.tabulate_confusions(before, after),
        "per_digit": changes.tabulate_digits(before, after),
    }
    for table in tables.values():
        table.insert(0, "run", run.name)
    return difference, tables


def _describe_images(
    first: EvaluatedRun, differences: Sequence[Difference], others: Sequence[EvaluatedRun]
) -> Iterator[str]:
    """Which runs were not evaluated on the same images as the first."""
    all_of_first = len(first.predictions.rows)
    for difference, run in zip(differences, others, strict=True):
        all_of_run = len(run.predictions.rows)
        if difference.images < max(all_of_first, all_of_run):
            yield (
                f"{first.name} and {run.name} were not evaluated on the same images "
                f"({all_of_first:,} and {all_of_run:,}): they are compared on the "
                f"{difference.images:,} that were held out in both."
            )


def _tabulate_params(runs: Sequence[EvaluatedRun]) -> pd.DataFrame:
    keys = dict.fromkeys(key for run in runs for key in run.params)
    rows = []
    for key in keys:
        values = [
            json.dumps(run.params[key], ensure_ascii=False) if key in run.params else None
            for run in runs
        ]
        if len(set(values)) > 1:
            names = (run.name for run in runs)
            rows += [(key, name, value) for name, value in zip(names, values, strict=True)]
    return pd.DataFrame(rows, columns=["key", "run", "value"], dtype="object")

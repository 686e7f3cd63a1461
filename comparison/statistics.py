"""What is computed from the runs. Arrays in, numbers and tables out.

The images evaluate as many networks as there are seeds. Intervals are over the images: they tell
how much the result could differ on other digits of the same kind. The standard deviation tells how
much it differs between seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from comparison.record import RunRecord
from comparison.references import Reference
from pipeline.evaluation.metrics import wilson_interval
from pipeline.evaluation.paired import paired_interval

Hits = NDArray[np.bool_]
"""``(seeds, n)``: whether the network of that seed classified image ``i`` correctly."""


@dataclass(frozen=True)
class Interval:
    """An estimate with a 95 % interval; fractions, not percent."""

    value: float
    low: float
    high: float


def mean_accuracy(hits: Hits) -> Interval:
    """Accuracy averaged over seeds, and Wilson's interval for as many trials as images.

    The seeds share their images, so each image counts as one trial, not as several.
    """
    accuracy = float(hits.mean())
    low, high = wilson_interval(accuracy * hits.shape[1], hits.shape[1])
    return Interval(accuracy, float(low), float(high))


def paired_difference(ours: Hits, theirs: Hits) -> Interval:
    """Accuracy of ``ours`` minus that of ``theirs``, on the same images.

    Per image, the fraction of seeds with a correct prediction is compared, with the interval of
    `pipeline.evaluation.paired.paired_interval`.
    """
    differences = ours.mean(axis=0) - theirs.mean(axis=0)
    return Interval(float(differences.mean()), *paired_interval(differences))


def is_reached(claim: float, accuracy: Interval) -> bool:
    """Whether a claimed accuracy is not above the upper end of our interval."""
    return claim <= accuracy.high


def explain_miss(reference: Reference, records: Sequence[RunRecord]) -> str:
    """Why runs may miss an author's claim: what was different from the author's own."""
    epochs = max(record.epochs for record in records)
    reasons = []
    if records[0].recipe == "ours":
        reasons.append(f"our recipe, {epochs} epochs")
    elif any(record.epochs == record.max_epochs < record.asked_epochs for record in records):
        reasons.append(f"{epochs} of {records[0].asked_epochs} epochs")
    if records[0].recipe == "author" and "learning_rate" in reference.assumed:
        reasons.append("learning rate not published")
    if reference.patience_epochs is not None:
        reasons.append("claimed on images that stopped the author's training")
    else:
        reasons.append("claimed on other images")
    return ", ".join(reasons)


def describe_row(
    records: Sequence[RunRecord], hits: Hits, reference: Reference | None
) -> dict[str, Any]:
    """One architecture with one recipe: the row of the table without its paired difference.

    Args:
        records: of each seed.
        hits: ``(seeds, n)``, in the same order.
        reference: what the author published, if there is one.
    """
    accuracy = mean_accuracy(hits)
    seconds = [record.training_seconds for record in records]
    images = sum(record.fitted_images for record in records)
    reached = None if reference is None else is_reached(reference.claim, accuracy)
    return {
        "architecture": records[0].architecture,
        "recipe": records[0].recipe,
        "parameters": records[0].parameters,
        "multiply_adds": records[0].multiply_adds,
        "epochs": float(np.mean([record.epochs for record in records])),
        "asked_epochs": records[0].asked_epochs,
        "training_seconds": float(np.mean(seconds)),
        "images_per_second": images / max(sum(seconds), 0.1),
        "seeds": len(records),
        "images": hits.shape[1],
        "accuracy": accuracy.value,
        "accuracy_sd": float(np.std(hits.mean(axis=1), ddof=1)) if len(hits) > 1 else np.nan,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "claim": np.nan if reference is None else reference.claim,
        "reached": "" if reached is None else ("yes" if reached else "no"),
        "why_not": explain_miss(reference, records) if reference and not reached else "",
    }


def tabulate(
    runs: dict[tuple[str, str], tuple[list[RunRecord], Hits]],
    references: Mapping[str, Reference],
    *,
    baseline: tuple[str, str],
) -> pd.DataFrame:
    """One row per architecture and recipe, with its paired difference to that of ``baseline``.

    Args:
        runs: records and hits by architecture and recipe, in the order of the rows.
        references: by architecture.
        baseline: key of ``runs``.
    """
    rows = []
    for key, (records, hits) in runs.items():
        row = describe_row(records, hits, references.get(key[0]))
        difference = Interval(np.nan, np.nan, np.nan)
        if key != baseline:
            difference = paired_difference(hits, runs[baseline][1])
        rows.append(
            row
            | {
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
        )
    return pd.DataFrame(rows)

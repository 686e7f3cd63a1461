"""The page that compares runs, from what `evaluation.comparison` computed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.dataset import NUM_CLASSES, TrainingDigits
from pipeline.evaluation.changes import CHANGES
from pipeline.evaluation.comparison import Comparison
from pipeline.report import Findings, as_rows, draw_sprite, render, sprite_geometry

MOST_IMAGES = 1500
"""On the page, of all runs together; ``changes.csv`` has all."""

COLUMNS = ("run", "sprite", "row", "true", "before", "after", "change", "p_before", "p_after")
"""What the page's script knows of an image; run is the place of the run among the later ones."""


def write_page(
    path: Path,
    comparison: Comparison,
    digits: TrainingDigits | None,
    figures: Mapping[str, Path],
    folder: Path,
    sample_notice: str,
) -> None:
    """Write the page.

    Args:
        path: of the page.
        comparison: what it shows.
        digits: the images that the rows are of; None if they are not at hand.
        figures: learning_loss and learning_error_rate, as SVG; none without learning curves.
        folder: that holds the same numbers as CSV and JSON, as the page names it.
        sample_notice: what to say if the images are the embedded sample's.
    """
    changes = comparison.tables["changes"]
    names = [difference.run for difference in comparison.differences]
    shown = _choose(changes, MOST_IMAGES // len(names))
    images, sprites = np.unique(shown["row"].to_numpy(np.intp), return_inverse=True)
    findings = Findings(
        {f"{name}.csv": as_rows(table) for name, table in comparison.tables.items()}
        | {"comparison.json": comparison.summarize()}
    )
    rows = pd.DataFrame(
        {name: shown[name] for name in ("row", "true", "before", "after", "change")}
        | {"run": shown["run"].map({name: place for place, name in enumerate(names)})}
        | {"sprite": sprites if digits else None}
        | {f"p_{when}": _probabilities(shown, when) for when in ("before", "after")}
    )
    render(
        path,
        "compare.html",
        findings=findings,
        number=findings.element,
        comparison=comparison,
        first=comparison.runs[0],
        later=names,
        spans=_place_intervals(comparison),
        darkest=_darkest(comparison.tables["confusions"]),
        curves=_curves_by_epoch(comparison),
        code=_group(comparison.tables["code"], names),
        figures=figures,
        folder=folder,
        sample=bool(digits and digits.provenance.sample),
        sample_notice=sample_notice,
        sprite=draw_sprite(images_at(digits, images)),
        predictions={
            "columns": COLUMNS,
            "rows": rows[list(COLUMNS)].astype(object).to_numpy().tolist(),
            "totals": changes.groupby("run").size().reindex(names, fill_value=0).tolist(),
        }
        | sprite_geometry(),
    )


def images_at(digits: TrainingDigits | None, rows: Any) -> Any:
    """The images of some rows; none if they are not at hand."""
    return np.zeros((0, 28, 28), np.uint8) if digits is None else digits.images[rows]


def _choose(changes: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many images of each run: those that changed first, then some of each confusion."""
    turn = changes.groupby(["run", "true", "before", "after"]).cumcount()
    kind = changes["change"].map({name: place for place, name in enumerate(CHANGES)})
    stayed = kind > CHANGES.index("corrected")
    order = np.lexsort((turn, stayed))
    ranked = changes.iloc[order]
    chosen = ranked.groupby("run", sort=False).head(most)
    return chosen.sort_index()


def _probabilities(changes: pd.DataFrame, when: str) -> pd.Series:
    columns = [f"p_{digit}_{when}" for digit in range(NUM_CLASSES)]
    return pd.Series(changes[columns].to_numpy().tolist(), index=changes.index, dtype=object)


def _place_intervals(comparison: Comparison) -> list[dict[str, float]]:
    """Where each interval of a difference is drawn: shares of a common width, and zero's."""
    low = min(0.0, *(each.low for each in comparison.differences))
    high = max(0.0, *(each.high for each in comparison.differences))
    width = high - low

    def share(value: float) -> float:
        return (value - low) / width

    return [
        {
            "low": share(each.low),
            "rate": share(each.difference),
            "high": share(each.high),
            "all": share(0),
        }
        for each in comparison.differences
    ]


def _darkest(confusions: pd.DataFrame) -> dict[str, int]:
    """The counts that the darkest colours stand for: of correct ones, errors, and a difference."""
    counts = confusions[["before", "after"]].max(axis=1)
    correct = confusions["true"] == confusions["predicted"]
    return {
        "correct": max(1, int(counts[correct].max())),
        "error": max(1, int(counts[~correct].max())),
        "difference": max(1, int(confusions["difference"].abs().max())),
    }


def _curves_by_epoch(comparison: Comparison) -> list[tuple[int, list[int | None]]]:
    """For each epoch and run the row of learning_curves.csv; None where a run has no such epoch."""
    table = comparison.tables["learning_curves"]
    places = {
        (run, int(epoch)): place
        for place, (run, epoch) in enumerate(zip(table["run"], table["epoch"], strict=True))
    }
    epochs = sorted({epoch for _, epoch in places})
    return [(epoch, [places.get((run.name, epoch)) for run in comparison.runs]) for epoch in epochs]


def _group(code: pd.DataFrame, names: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Paths and what became of them, by run."""
    of_run = {name: code[code["run"] == name] for name in names}
    return {
        name: list(zip(files["path"], files["change"], strict=True))
        for name, files in of_run.items()
    }

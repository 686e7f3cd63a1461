"""The page of a sweep: its trials in pictures, from the table and the summary that it wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.report import Findings, as_rows, render
from pipeline.report import sweep_pictures as pictures


def write_page(
    path: Path, summary: Mapping[str, Any], table: pd.DataFrame, sample_notice: str
) -> None:
    """Write the page.

    Args:
        path: of the page.
        summary: what was found, as ``<name>.json`` holds it.
        table: one row per trial, as ``<name>.csv`` holds it.
        sample_notice: what to say if the images are the embedded sample's.
    """
    found, trials = f"{summary['name']}.json", f"{summary['name']}.csv"
    rows, measure = as_rows(table), summary["minimize"]
    render(
        path,
        "sweep.html",
        number=Findings({found: summary, trials: rows}).element,
        found=found,
        trials=trials,
        rows=rows,
        summary=summary,
        measure=measure.replace("_", " "),
        shorten=pictures.shorten,
        describe=pictures.describe,
        points=list(pictures.place_trials(rows, summary)),
        best=pictures.trace_best(rows, measure),
        levels=pictures.mark_levels(rows, measure),
        numbers=pictures.number_trials(len(rows)),
        axes=list(pictures.place_axes(rows, summary)),
        lines=pictures.draw_lines(rows, summary),
        field=pictures,
        sample_notice=sample_notice,
    )

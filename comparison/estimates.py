"""How long a run takes: by a run like it that is finished, else by the speed that was measured."""

import csv
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from comparison import recipes
from comparison.runs import Run
from comparison.settings import SPEEDS
from comparison.table import Row

NUM_ROWS = 33_600
"""Outside a fold of the competition's data."""


def read_speeds(path: Path = SPEEDS) -> dict[tuple[str, str], float]:
    """Images per second that one core of machine A fits, by network and recipe."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["network"], row["recipe"]): float(row["images_per_second"])
            for row in csv.DictReader(file)
        }


def documented_minutes(
    run: Run, speeds: Mapping[tuple[str, str], float], num_rows: int = NUM_ROWS
) -> float | None:
    """The minutes of a run on the competition's data, by the documented speeds alone.

    They are the same for everybody, so that the same runs count as long.
    """
    speed = speeds.get((run.network, "author" if run.recipe == "author" else "ours"))
    return recipes.expected_images(run, num_rows) / speed / 60 if speed else None


def estimate_minutes(
    run: Run,
    rows: Mapping[Run, Row],
    speeds: Mapping[tuple[str, str], float],
    *,
    machine: str,
    num_rows: int = NUM_ROWS,
) -> float | None:
    """The minutes that a run probably takes on this machine.

    Args:
        run: any.
        rows: that are finished.
        speeds: from `read_speeds`.
        machine: the name of this one; other machines' rows tell nothing.
        num_rows: outside the fold of the run.

    Returns:
        None where nothing was measured.
    """
    measured = [
        row.fitted_images / row.seconds
        for row in rows.values()
        if (row.network, row.recipe, row.machine) == (run.network, run.recipe, machine)
        and row.seconds > 0
    ]
    if measured:
        return recipes.expected_images(run, num_rows) / median(measured) / 60
    return documented_minutes(run, speeds, num_rows)

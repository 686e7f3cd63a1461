"""Put all finished runs together: tables for people and programs, and two figures."""

import sys
from collections.abc import Mapping

import pandas as pd

from comparison import estimates, evidence, plots, settings, table, wording
from comparison.references import REFERENCES
from comparison.runs import Run, Selection, list_runs
from comparison.settings import MOVED, RESULTS, RUNS, Settings
from comparison.statistics import difference_of
from comparison.table import Row
from comparison.tabulate import Evidence, tabulate
from pipeline import profiles
from pipeline.errors import ArtifactError, exit_status
from pipeline.files import atomic_path, write_text

VARIED = "shallow_cnn"
"""The network whose variations, named after it, are compared to it."""


def main() -> None:
    """Entry point of the stage."""
    chosen, rows, speeds = settings.load(), table.read(), estimates.read_speeds()
    if not rows:
        raise ArtifactError(
            f"{RUNS} holds no finished run yet. Train some with: python -m comparison.train"
        )
    trained = evidence.group(rows.values())
    networks = tabulate(trained, chosen.architectures, REFERENCES, speeds, baseline=chosen.baseline)
    variations = tabulate_variations(trained, networks)
    moved = pd.DataFrame([vars(movement) for movement in table.read_movements(MOVED)])
    sample = any(row.sample for row in rows.values())
    title = "THE EMBEDDED SAMPLE" if sample else ""
    warp = profiles.read("default")["augmentation"]
    text = wording.write_markdown(
        networks,
        variations,
        moved,
        baseline=chosen.baseline,
        sample=sample,
        hours=hours_by_machine(rows),
        gaps=describe_gaps(rows, chosen, speeds),
    )
    with atomic_path(RESULTS) as folder:
        folder.mkdir()
        networks.to_csv(folder / "comparison.csv", index=False)
        variations.to_csv(folder / "variations.csv", index=False)
        write_text(folder / "comparison.md", text)
        plots.accuracy_over_time(folder / "accuracy_over_time.png", networks, title=title)
        if len(moved):
            plots.robustness(
                folder / "robustness.png",
                moved,
                warp=(warp["shift_pixels"], warp["rotation_degrees"]),
                title=title,
            )
    print(f"{len(networks)} networks from {len(rows)} runs: {RESULTS / 'comparison.md'}")


def hours_by_machine(rows: Mapping[Run, Row]) -> dict[str, float]:
    """Hours that the epochs of all rows took together, by machine, the longest first."""
    seconds: dict[str, float] = {}
    for row in rows.values():
        seconds[row.machine] = seconds.get(row.machine, 0.0) + row.seconds
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return {machine: total / 3600 for machine, total in ordered}


def describe_gaps(
    rows: Mapping[Run, Row], chosen: Settings, speeds: Mapping[tuple[str, str], float]
) -> str:
    """What is still to be trained, in a sentence or two."""
    wanted = list_runs(chosen, Selection(), lambda run: estimates.documented_minutes(run, speeds))
    missing = [run for run in wanted if run not in rows]
    hours = sum(estimates.documented_minutes(run, speeds) or 0.0 for run in missing) / 60
    told = f"All {len(wanted)} runs are finished."
    if missing:
        told = (
            f"{len(missing)} of {len(wanted)} runs are still to be trained, about {hours:.1f} "
            "hours of one core of machine A."
        )
    stale = sum(bool(table.explain_missing(run, rows, None)) for run in rows)
    if stale:
        told += (
            f" Rows of earlier code: {stale}; `python -m comparison.train --list` tells what "
            "changed."
        )
    return told


def tabulate_variations(trained: Evidence, networks: pd.DataFrame) -> pd.DataFrame:
    """What each variation of `VARIED` gained by our recipe.

    Returns:
        Columns network; difference, difference_low and difference_high of its accuracy to that of
        `VARIED`; and parameters and core_seconds as multiples of those of `VARIED`.
    """
    by_name = networks.set_index("network")
    varied = trained.get((VARIED, "ours", 1.0))
    rows = []
    for name in networks["network"]:
        variation = trained.get((name, "ours", 1.0))
        if varied is None or variation is None or not name.startswith(f"{VARIED}_"):
            continue
        if (interval := difference_of(variation, varied)) is None:
            continue
        rows.append(
            {
                "network": name,
                "difference": interval.value,
                "difference_low": interval.low,
                "difference_high": interval.high,
                "parameters": by_name.at[name, "parameters"] / by_name.at[VARIED, "parameters"],
                "core_seconds": (
                    by_name.at[name, "ours_core_seconds"] / by_name.at[VARIED, "ours_core_seconds"]
                ),
            }
        )
    columns = ["network", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*columns, "parameters", "core_seconds"])


if __name__ == "__main__":
    sys.exit(exit_status(main))

"""Put all runs together: tables for people and programs, and two figures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comparison import plots, settings, statistics
from comparison.record import RunRecord, incomplete_run, read_run
from comparison.references import REFERENCES
from comparison.settings import RESULTS, ROBUSTNESS, RUNS, Settings
from comparison.statistics import Hits
from pipeline import profiles
from pipeline.errors import exit_status
from pipeline.files import atomic_path, write_text

Runs = dict[tuple[str, str], tuple[list[RunRecord], Hits]]

VARIED = "shallow_cnn"
"""The network whose variations, named after it, are compared to it."""

SAMPLE_NOTICE = (
    "**This is of the embedded sample, not of the competition's data: its figures say nothing "
    "about the competition.**"
)


def main() -> None:
    """Entry point of the stage."""
    chosen = settings.load()
    runs = load_runs(chosen)
    sample = any(record.sample for records, _ in runs.values() for record in records)
    table = statistics.tabulate(runs, REFERENCES, baseline=(chosen.baseline, "ours"))
    variations = tabulate_variations(runs, table)
    moved = pd.concat(
        [pd.read_csv(ROBUSTNESS / f"{name}.csv") for name in chosen.robustness.architectures]
    )
    seeds = _count(len(chosen.seeds), "seed")
    title = f"{table['images'].iloc[0]:,} held-out images, mean over {seeds}"
    title += " – THE EMBEDDED SAMPLE" if sample else ""
    warp = profiles.read("default")["augmentation"]

    with atomic_path(RESULTS) as folder:
        folder.mkdir()
        table.to_csv(folder / "comparison.csv", index=False)
        variations.to_csv(folder / "variations.csv", index=False)
        moved.to_csv(folder / "robustness.csv", index=False)
        write_text(
            folder / "comparison.md", write_markdown(table, variations, chosen.baseline, sample)
        )
        plots.accuracy_over_time(folder / "accuracy_over_time.png", table, title=title)
        plots.robustness(
            folder / "robustness.png",
            moved,
            warp=(warp["shift_pixels"], warp["rotation_degrees"]),
            title=title,
        )
    print(f"{len(table)} rows: {RESULTS / 'comparison.md'}")


def load_runs(chosen: Settings) -> Runs:
    """Records and hits of every run that the settings list, by architecture and recipe.

    Raises:
        ArtifactError: a run is missing, or was evaluated on other images than the first.
    """
    runs: Runs = {}
    labels = None
    for name in chosen.architectures:
        for recipe in ("author", "ours") if name in REFERENCES else ("ours",):
            records, hits = [], []
            for seed in chosen.seeds:
                folder = RUNS / name / f"{recipe}-{seed}"
                evaluated, hit = _load_hits(folder)
                labels = evaluated if labels is None else labels
                if not np.array_equal(evaluated, labels):
                    raise incomplete_run(folder, "was evaluated on other images than the others")
                records.append(read_run(folder))
                hits.append(hit)
            runs[name, recipe] = records, np.stack(hits)
    return runs


def _load_hits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    path = folder / "predictions.npz"
    if not path.exists():
        raise incomplete_run(folder, "is missing or not complete")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["labels"], arrays["predicted"] == arrays["labels"]


def tabulate_variations(runs: Runs, table: pd.DataFrame) -> pd.DataFrame:
    """What each variation of `VARIED` gained by our recipe, where all have the same epochs.

    Returns:
        Columns architecture; difference, difference_low and difference_high of its accuracy to
        that of `VARIED`; and parameters and training_seconds as multiples of those of `VARIED`.
    """
    ours = table[table["recipe"] == "ours"].set_index("architecture")
    columns = ["parameters", "training_seconds"]
    rows = []
    for name in ours.index:
        if name.startswith(f"{VARIED}_") and VARIED in ours.index:
            interval = statistics.paired_difference(runs[name, "ours"][1], runs[VARIED, "ours"][1])
            rows.append(
                {
                    "architecture": name,
                    "difference": interval.value,
                    "difference_low": interval.low,
                    "difference_high": interval.high,
                    **(ours.loc[name, columns] / ours.loc[VARIED, columns]),
                }
            )
    names = ["architecture", "difference", "difference_low", "difference_high", *columns]
    return pd.DataFrame(rows, columns=names)


def write_markdown(
    table: pd.DataFrame, variations: pd.DataFrame, baseline: str, sample: bool
) -> str:
    """The tables for the documentation, and the sentences that go with them."""
    first = table.iloc[0]
    parts = [
        f"Accuracy on the {first['images']:,} images of the fold: mean ± standard deviation of "
        f"{_count(first['seeds'], 'seed')}, and the 95 % interval of Wilson. A claim is reached if "
        "it is not above that interval. The last column is the difference to "
        f"`{baseline}` by our recipe in percentage points, paired over the images, with its 95 % "
        "interval.",
        _table(list(_describe_rows(table))),
    ]
    if len(variations):
        parts.append(
            f"What the variations of `{VARIED}` gain or cost in accuracy, by our recipe:\n\n"
            + "\n".join(_describe_variations(variations))
        )
    return "\n\n".join([SAMPLE_NOTICE, *parts] if sample else parts) + "\n"


def _describe_rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in table.itertuples():
        claimed = row.reached != ""
        spread = "" if np.isnan(row.accuracy_sd) else f" ± {100 * row.accuracy_sd:.2f}"
        yield {
            "network": f"`{row.architecture}`",
            "recipe": row.recipe,
            "parameters": f"{row.parameters:,}",
            "multiply-adds": f"{row.multiply_adds / 1e6:.1f} M",
            "epochs": f"{row.epochs:.3g}",
            "training": f"{row.training_seconds:,.0f} s",
            "images/s": f"{row.images_per_second:,.0f}",
            "accuracy, %": (
                f"{100 * row.accuracy:.2f}{spread} "
                f"({100 * row.accuracy_low:.2f}–{100 * row.accuracy_high:.2f})"
            ),
            "claim, %": f"{100 * row.claim:.4g}" if claimed else "–",
            "reached": (f"no: {row.why_not}" if row.reached == "no" else row.reached) or "–",
            "difference": "–"
            if np.isnan(row.difference)
            else _points(row.difference, row.difference_low, row.difference_high),
        }


def _describe_variations(variations: pd.DataFrame) -> Iterator[str]:
    """A sentence per kind of variation, which is the last word of their names."""
    for kind, rows in variations.groupby(
        variations["architecture"].str.rpartition("_")[2], sort=False
    ):
        yield f"- {kind.capitalize()}: {'; '.join(map(_describe_variation, rows.itertuples()))}."


def _describe_variation(row: Any) -> str:
    span = row.difference, row.difference_low, row.difference_high
    if row.difference_low > 0:
        verdict = f"gains {_points(*span, sign='')} points"
    elif row.difference_high < 0:
        verdict = f"costs {_points(-span[0], -span[2], -span[1], sign='')} points"
    else:
        verdict = f"makes no difference that could be told from chance, {_points(*span)} points,"
    return (
        f"`{row.architecture}` {verdict} at {row.parameters:.2g} times the parameters and "
        f"{row.training_seconds:.2g} times the training time"
    )


def _points(value: float, low: float, high: float, *, sign: str = "+") -> str:
    numbers = (f"{100 * number:{sign}.2f}".replace("-", "−") for number in (value, low, high))
    middle, lower, upper = numbers
    return f"{middle} ({lower} to {upper})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _table(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.exit(exit_status(main))

"""What a sweep leaves: a table of its trials and a summary, for people and the page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ArtifactError
from pipeline.evaluation.paired import PairedComparison, compare_paired
from pipeline.files import atomic_path, read_json
from pipeline.sweeps.files import Paths
from pipeline.sweeps.scoring import Score
from pipeline.sweeps.space import Space
from pipeline.sweeps.study import FrozenTrial, facts
from pipeline.wording import as_label


def tabulate(trials: Sequence[FrozenTrial], space: Space) -> pd.DataFrame:
    """One row per trial that was told, by number.

    Returns:
        Columns trial, outcome (complete, stopped or failed), log_loss, error_rate, errors, images,
        epochs, seconds, nodes, seeds, ended_at, reason, and the searched keys.
    """
    rows = []
    for trial in trials:
        if (noted := facts(trial)) is not None:
            values = {key: as_label(value) for key, value in noted["values"].items()}
            rows.append({"trial": trial.number} | noted | values)
    table = pd.DataFrame(rows, columns=["trial", *_FACTS, *(each.key for each in space.dimensions)])
    return table.astype({"errors": "Int64", "images": "Int64"})


_FACTS = (
    "outcome",
    "log_loss",
    "error_rate",
    "errors",
    "images",
    "epochs",
    "seconds",
    "nodes",
    "seeds",
    "ended_at",
    "reason",
)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write what `tabulate` gave."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def find_winner(table: pd.DataFrame, measure: str) -> int:
    """The number of the best complete trial; of equally good ones, the first."""
    complete = table[table["outcome"] == "complete"]
    return int(complete.loc[complete[measure].astype(float).idxmin(), "trial"])


@dataclass(frozen=True)
class Comparison:
    """The winner compared with params.yaml on some folds, image by image.

    Attributes:
        folds: whose images.
        winner: its score.
        base: that of params.yaml.
    """

    folds: Sequence[int]
    winner: Score
    base: Score

    @property
    def paired(self) -> PairedComparison:
        """The difference of accuracy."""
        return compare_paired(self.winner.correct, self.base.correct)

    def summarize(self) -> dict[str, Any]:
        """As plain values."""
        paired = self.paired
        return {
            "folds": list(self.folds),
            "images": self.winner.images,
            "errors": self.winner.errors,
            "errors_before": self.base.errors,
            "log_loss": self.winner.log_loss,
            "log_loss_before": self.base.log_loss,
            "corrected": paired.gained,
            "new_errors": paired.lost,
            "difference": paired.difference,
            "low": paired.low,
            "high": paired.high,
            "p_value": paired.p_value,
        }


def summarize(
    space: Space,
    table: pd.DataFrame,
    values: dict[str, Any],
    importances: dict[str, float],
    comparisons: Sequence[Comparison],
    *,
    sample: bool,
) -> dict[str, Any]:
    """What was found, as plain values.

    Args:
        space: that was searched.
        table: of `tabulate`.
        values: of the best trial.
        importances: by key.
        comparisons: on the folds that chose and on those that confirm; none: no trial is better
            than params.yaml on those that chose.
        sample: whether the images are the embedded sample's.
    """
    winner = find_winner(table, space.file.minimize)
    summary = {
        "name": space.name,
        "sample": sample,
        "minimize": space.file.minimize,
        "choose_on": space.file.choose_on,
        "confirm_on": space.file.confirm_on,
        "trials": len(table) - 1,
        "outcomes": {
            name: int((table["outcome"].iloc[1:] == name).sum())
            for name in ("complete", "stopped", "failed")
        },
        "seconds": float(table["seconds"].sum()),
        "winner": winner,
        "keys": list(_describe_keys(space, values)),
        "importances": importances,
    }
    if not comparisons:
        return summary | {"verdict": "nothing", "chosen": None, "confirmed": None, "optimism": None}
    chosen, confirmed = (each.summarize() for each in comparisons)
    verdict = "better" if confirmed["low"] > 0 else "worse" if confirmed["high"] < 0 else "open"
    return summary | {
        "verdict": verdict,
        "chosen": chosen,
        "confirmed": confirmed,
        "optimism": chosen["difference"] - confirmed["difference"],
    }


def _describe_keys(space: Space, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of each searched key what was tried, what params.yaml has, and what the best trial has."""
    for each in space.dimensions:
        yield {
            "key": each.key,
            "choices": list(each.choices),
            "low": each.low,
            "high": each.high,
            "log": each.log,
            "before": space.base_values[each.key],
            "after": values[each.key],
        }


def read_summary(name: str) -> dict[str, Any]:
    """What `summarize` gave, of a sweep that has ended.

    Raises:
        ArtifactError: it has not, or the file is damaged.
    """
    path = Paths(name).summary
    if not path.exists():
        raise ArtifactError(
            f"{path} is missing: it is written when a sweep has ended. Run: digits sweep {name}"
        )
    summary = read_json(path, again=f"digits sweep {name}")
    if not isinstance(summary, dict) or not {"keys", "verdict", "winner"} <= summary.keys():
        raise ArtifactError(
            f"{path} is damaged: expected what a sweep found. Delete it, then run: digits sweep "
            f"{name}"
        )
    return summary

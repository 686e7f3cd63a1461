"""The results in words: a sentence per project, the table, what variations gain."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

SAMPLE_NOTICE = (
    "**This is of the embedded sample, not of the competition's data: its figures say nothing "
    "about the competition.**"
)


def write_markdown(
    networks: pd.DataFrame,
    variations: pd.DataFrame,
    moved: pd.DataFrame,
    *,
    baseline: str,
    sample: bool,
    hours: Mapping[str, float],
    gaps: str,
) -> str:
    """The answer per project, the table, and the sentences that go with it.

    Args:
        networks: of `tabulate.tabulate`.
        variations: of `summarize.tabulate_variations`.
        moved: rows of ``moved.csv``; may be empty.
        baseline: the network of the last column.
        sample: whether the data is the embedded sample.
        hours: by machine.
        gaps: what is still to be trained.
    """
    claimed = networks[networks["claim"].notna()]
    reached = int((claimed["reached"] != "").sum())
    parts = [
        f"**{reached} of {len(claimed)} claims are reached.**",
        "\n".join(_describe_projects(claimed)),
        "![Accuracy over training time, by either recipe, and the claims](accuracy_over_time.png)",
        _explain_columns(networks, baseline),
        _table(list(_describe_rows(networks))),
    ]
    if len(variations):
        parts.append(
            "What the variations of `shallow_cnn` gain or cost in accuracy, by our recipe:\n\n"
            + "\n".join(_describe_variations(variations))
        )
    if sentence := describe_movements(moved):
        parts.append(sentence)
        parts.append("![Accuracy as held-out digits are shifted and turned](robustness.png)")
    parts.append(
        f"The runs took {_join(f'{time:.1f} hours on {name}' for name, time in hours.items())}. "
        + gaps
    )
    return "\n\n".join([SAMPLE_NOTICE, *parts] if sample else parts) + "\n"


def _describe_projects(claimed: pd.DataFrame) -> Iterator[str]:
    """One sentence per project: what its networks reach, and by what."""
    for project, rows in claimed.groupby("project", sort=False):
        told = [
            f"{_describe_way(way, of_way)} ({_join(map(_describe_claim, of_way.itertuples()))})"
            for way, of_way in sorted(rows.groupby("reached", sort=False), key=_is_missed)
        ]
        yield f"- **{project}**: {'; '.join(told)}."


def _is_missed(group: tuple[str, pd.DataFrame]) -> bool:
    """Whether the claims of a group are reached in no way: such a group comes last."""
    return group[0] == ""


def _describe_way(way: str, rows: pd.DataFrame) -> str:
    """How many claims are reached in a way, or that they are missed."""
    claims = "1 claim" if len(rows) == 1 else f"{len(rows)} claims"
    return f"{claims} reached {way}" if way else f"{claims} missed"


def _describe_claim(row: Any) -> str:
    claim = f"`{row.network}` {100 * row.claim:.4g} %"
    if not row.reached:
        return f"{claim}: {row.why_not}"
    prefix = {
        "by the author's recipe": "author_accuracy",
        "by our recipe": "ours_accuracy",
        "by our recipe in plain view": "plain_accuracy",
    }.get(row.reached, "extrapolated")
    return f"{claim}: {_percent(row, prefix)}"


def _explain_columns(networks: pd.DataFrame, baseline: str) -> str:
    counts = sorted({*networks["author_seeds"], *networks["ours_seeds"]} - {0})
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    return (
        "Accuracy in percent on held-out images, with its 95 % interval, mean over seeds: "
        f"{seeds} (±: their standard deviation; without it: one seed). A claim is reached if it "
        "is not above an interval. "
        "*Extrapolated*: what the author's recipe would have on as many images as its author had. "
        "*Plain*: our recipe without further views. Minutes: of training, on one core of machine "
        "A of the results, author's / ours. The last column is the difference to "
        f"`{baseline}` by our recipe in percentage points, paired over the images."
    )


def _describe_rows(networks: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in networks.itertuples():
        minutes = (row.author_core_seconds / 60, row.ours_core_seconds / 60)
        yield {
            "network": f"`{row.network}`",
            "parameters": f"{row.parameters:,}",
            "claim": "–" if np.isnan(row.claim) else f"{100 * row.claim:.4g}",
            "author's recipe": _percent(row, "author_accuracy", sd=row.author_sd),
            "extrapolated": _percent(row, "extrapolated"),
            "our recipe": _percent(row, "ours_accuracy", sd=row.ours_sd),
            "plain": _percent(row, "plain_accuracy", sd=row.plain_sd),
            "reached": row.reached or (f"no: {row.why_not}" if row.why_not else "–"),
            "minutes": " / ".join("–" if np.isnan(each) else f"{each:.0f}" for each in minutes),
            "difference": "–"
            if np.isnan(row.difference)
            else _points(row.difference, row.difference_low, row.difference_high),
        }


def _percent(row: Any, prefix: str, *, sd: float = np.nan) -> str:
    """The percentage in the columns that begin like this, with its interval; – if there is none."""
    value, low, high = (100 * getattr(row, f"{prefix}{end}") for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "–"
    spread = "" if np.isnan(sd) else f" ± {100 * sd:.2f}"
    return f"{value:.2f}{spread} [{low:.2f}–{high:.2f}]"


def _describe_variations(variations: pd.DataFrame) -> Iterator[str]:
    """A sentence per kind of variation, which is the last word of their names."""
    for kind, rows in variations.groupby(variations["network"].str.rpartition("_")[2], sort=False):
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
        f"`{row.network}` {verdict} at {row.parameters:.2g} times the parameters and "
        f"{row.core_seconds:.2g} times the training time"
    )


def describe_movements(moved: pd.DataFrame) -> str:
    """Convolutions against dense layers, where digits are shifted farther than in training.

    Args:
        moved: columns network, moved, amount and accuracy; may be empty.

    Returns:
        A sentence about the farthest shift of which every network still sees most of each digit,
        4 pixels; empty where that was not measured.
    """
    if not len(moved):
        return ""
    shifted = moved[(moved["moved"] == "shift") & (moved["amount"] == 4)]
    means = shifted.groupby("network", sort=False)["accuracy"].mean().sort_values(ascending=False)
    if len(means) < 2:
        return ""
    told = _join(f"`{name}` {100 * accuracy:.0f} %" for name, accuracy in means.items())
    return (
        "Of digits shifted by 4 pixels (1.4 at most in training), networks by our recipe in plain "
        f"view still read: {told}."
    )


def _points(value: float, low: float, high: float, *, sign: str = "+") -> str:
    numbers = (f"{100 * number:{sign}.2f}".replace("-", "−") for number in (value, low, high))
    middle, lower, upper = numbers
    return f"{middle} ({lower} to {upper})"


def _join(parts: Any) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _table(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

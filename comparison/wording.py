"""The results in words: a sentence per project, the table, what variations gain."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.wording import counted

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
    parts = [
        _answer(claimed),
        "\n".join(_describe_projects(claimed)),
        *_rank_to(networks, baseline),
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
    took = _join(f"{time:.1f} hours on {name}" for name, time in hours.items())
    parts.append(f"The runs took at most {took}. {gaps}")
    return "\n\n".join([SAMPLE_NOTICE, *parts] if sample else parts) + "\n"


def _answer(claimed: pd.DataFrame) -> str:
    """How many claims the authors' recipes reach, and how many our recipe surpasses."""
    measured = int((claimed["reached"] == "by the author's recipe").sum())
    extrapolated = int(claimed["reached"].str.startswith("by extrapolation").sum())
    surpassed = int((claimed["ours_accuracy_low"] > claimed["claim"]).sum())
    total = len(claimed)
    return (
        f"**By the authors' recipes {measured + extrapolated} of {total} claims are reached: "
        f"{measured} by what was measured, {extrapolated} by what was extrapolated. Our recipe "
        f"surpasses {surpassed} of {total}, each with its whole interval.**"
    )


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
    claims = counted(len(rows), "claim")
    return f"{claims} reached {way}" if way else f"{claims} missed"


def _describe_claim(row: Any) -> str:
    claim = f"`{row.network}` {100 * row.claim:.4g} %"
    if not row.reached:
        return f"{claim}: {row.why_not}"
    prefix = {
        "by the author's recipe": "author_accuracy",
        "by our recipe alone": "ours_accuracy",
        "by our recipe in plain view alone": "plain_accuracy",
    }.get(row.reached, "extrapolated")
    return f"{claim}: {_percent(row, prefix)}"


def _rank_to(networks: pd.DataFrame, baseline: str) -> Iterator[str]:
    """Which networks are better than the baseline by our recipe, as good, or worse."""
    compared = networks[networks["difference"].notna()]
    better = compared[compared["difference_low"] > 0]
    worse = compared[compared["difference_high"] < 0]
    same = compared.drop([*better.index, *worse.index])
    told = []
    if len(better):
        told.append(f"{_name(better)} have more correct than `{baseline}`")
    if len(same):
        told.append(f"{_name(same)} cannot be told from `{baseline}`")
    if len(worse):
        least, most = -100 * worse["difference"].max(), -100 * worse["difference"].min()
        told.append(f"{len(worse)} have {least:.2f} to {most:.2f} points less than `{baseline}`")
    if told:
        yield f"By our recipe, {'; '.join(told)}."


def _name(networks: pd.DataFrame) -> str:
    return _join(f"`{name}`" for name in networks["network"])


def _explain_columns(networks: pd.DataFrame, baseline: str) -> str:
    most = int(max(networks["author_seeds"].max(), networks["ours_seeds"].max()))
    seeds = (
        f"the mean of {most} seeds with ± their standard deviation, or of one seed without"
        if most > 1
        else "of one seed"
    )
    return (
        f"Accuracy in percent on held-out images, with its 95 % interval over the images: {seeds}. "
        "*Extrapolated*: to as many images as the author trained on. *Plain*: our recipe without "
        "further views. Minutes: images fitted, divided by the measured speed of one core of "
        "machine A of the results; author's / ours. The last column is the difference to "
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
            "minutes": " / ".join(map(_minutes, minutes)),
            "difference": "–"
            if np.isnan(row.difference)
            else _points(row.difference, row.difference_low, row.difference_high),
        }


def _minutes(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}" if value < 1 else f"{value:.0f}"


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
    """Convolutions against dense layers, where digits are moved farther than in training.

    Args:
        moved: columns network, moved, amount and accuracy; may be empty.

    Returns:
        A sentence about the farthest shift of which every network still sees most of each digit,
        4 pixels, and one about a turn by 30°; empty where neither was measured of two networks.
    """
    if not len(moved):
        return ""
    told = []
    for heading, kind, amount in (
        ("shifted by 4 pixels", "shift", 4),
        ("turned by 30°", "rotation", 30),
    ):
        means = _rank_moved(moved, kind, amount)
        if len(means) > 1:
            each = _join(f"`{name}` {100 * accuracy:.0f} %" for name, accuracy in means.items())
            told.append(f"{heading}, {each}")
    if not told:
        return ""
    moved_digits = "; ".join(told)
    return f"Of held-out digits, networks of our recipe in plain view still read: {moved_digits}."


def _rank_moved(moved: pd.DataFrame, kind: str, amount: float) -> pd.Series:
    """The mean accuracy of each network on digits moved so far, the highest first."""
    rows = moved[(moved["moved"] == kind) & (moved["amount"] == amount)]
    means: pd.Series = rows.groupby("network", sort=False)["accuracy"].mean()
    return means.sort_values(ascending=False)


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

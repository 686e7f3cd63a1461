"""The table of the comparison: a row per network, its recipes side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from comparison.evidence import Trained
from comparison.extrapolation import Extrapolation, extrapolate
from comparison.references import Reference, Whose
from comparison.statistics import (
    Interval,
    accuracy_of,
    difference_of,
    is_reached,
    seed_deviation,
)

Evidence = Mapping[tuple[str, Whose, float], Trained]

RECIPES: tuple[Whose, ...] = ("author", "ours", "plain")

_ENOUGH_FRACTIONS = 3


def tabulate(
    evidence: Evidence,
    networks: Sequence[str],
    references: Mapping[str, Reference],
    speeds: Mapping[tuple[str, str], float],
    *,
    baseline: str,
) -> pd.DataFrame:
    """One row per network of which at least one run is finished, in the order of ``networks``.

    Args:
        evidence: all finished runs, by network, recipe and fraction.
        networks: their names.
        references: by network.
        speeds: images per second on one core of machine A, by network and recipe.
        baseline: the network that all are compared to, by our recipe.

    Returns:
        Columns network, project, parameters, multiply_adds and claim. For each of `RECIPES`, with
        its name before them: accuracy with _low and _high, sd between seeds, seeds, images,
        epochs, seconds (measured) and core_seconds (on machine A). extrapolated with _low and
        _high, and extrapolated_to, the number of images. reached: how, or empty. why_not. And
        difference with _low and _high, to the baseline. What there is not is nan, or empty.
    """
    return pd.DataFrame(
        [
            _describe(evidence, name, references.get(name), speeds, baseline)
            for name in networks
            if any((name, recipe, 1.0) in evidence for recipe in RECIPES)
        ]
    )


def _describe(
    evidence: Evidence,
    name: str,
    reference: Reference | None,
    speeds: Mapping[tuple[str, str], float],
    baseline: str,
) -> dict[str, Any]:
    whole = {
        recipe: evidence[name, recipe, 1.0] for recipe in RECIPES if (name, recipe, 1.0) in evidence
    }
    accuracies = {recipe: accuracy_of(trained) for recipe, trained in whole.items()}
    more = extrapolate_to_author(evidence, name, reference)
    ours = whole.get("ours")
    against = evidence.get((baseline, "ours", 1.0))
    difference = None
    if ours and against and name != baseline:
        difference = difference_of(ours, against)
    first = next(iter(whole.values())).rows[0]
    row: dict[str, Any] = {
        "network": name,
        "project": reference.project if reference else "",
        "parameters": first.parameters,
        "multiply_adds": first.multiply_adds,
        "claim": reference.claim if reference else np.nan,
    }
    for recipe in RECIPES:
        speed = speeds.get((name, "author" if recipe == "author" else "ours"))
        row |= _describe_recipe(recipe, whole.get(recipe), speed)
    row |= _spread("extrapolated", more.accuracy if more else None)
    row["extrapolated_to"] = more.images if more else np.nan
    row["reached"] = how_reached(reference, accuracies, more) if reference else ""
    row["why_not"] = ""
    if reference and not row["reached"]:
        row["why_not"] = explain_miss(reference, accuracies, more, whole.get("author"))
    return row | _spread("difference", difference)


def _describe_recipe(recipe: Whose, trained: Trained | None, speed: float | None) -> dict[str, Any]:
    columns = {
        **_spread("accuracy", accuracy_of(trained) if trained else None),
        "sd": seed_deviation(trained) if trained else np.nan,
        "seeds": trained.seeds if trained else 0,
        "images": sum(errors.shape[1] for errors in trained.errors.values()) if trained else 0,
        "epochs": _mean(trained, lambda row: row.epochs),
        "seconds": _mean(trained, lambda row: row.seconds),
        "core_seconds": _mean(trained, lambda row: row.fitted_images) / (speed or np.nan),
    }
    return {f"{recipe}_{name}": value for name, value in columns.items()}


def _mean(trained: Trained | None, value: Any) -> float:
    return float(np.mean([value(row) for row in trained.rows])) if trained else np.nan


def _spread(name: str, interval: Interval | None) -> dict[str, float]:
    given = interval or Interval(np.nan, np.nan, np.nan)
    return {name: given.value, f"{name}_low": given.low, f"{name}_high": given.high}


def extrapolate_to_author(
    evidence: Evidence, name: str, reference: Reference | None
) -> Extrapolation | None:
    """What the author's recipe would reach with the author's number of images.

    None where the author trained on as many as here, or where fractions are still missing.
    """
    trained = {
        fraction: each
        for (network, recipe, fraction), each in evidence.items()
        if (network, recipe) == (name, "author")
    }
    if reference is None or len(trained) < _ENOUGH_FRACTIONS:
        return None
    if reference.trained_on <= max(each.training_images for each in trained.values()):
        return None
    return extrapolate(trained, reference.trained_on)


def how_reached(
    reference: Reference, accuracies: Mapping[Whose, Interval], more: Extrapolation | None
) -> str:
    """By what a claim is reached, the most direct first; empty if by nothing."""
    if is_reached(reference.claim, accuracies.get("author")):
        return "by the author's recipe"
    if is_reached(reference.claim, more.accuracy if more else None):
        return f"by extrapolation to {more.images:,} images" if more else ""
    if is_reached(reference.claim, accuracies.get("ours")):
        return "by our recipe alone"
    if is_reached(reference.claim, accuracies.get("plain")):
        return "by our recipe in plain view alone"
    return ""


def explain_miss(
    reference: Reference,
    accuracies: Mapping[Whose, Interval],
    more: Extrapolation | None,
    author: Trained | None,
) -> str:
    """How far the nearest interval is from a claim that none covers, and what differs."""
    intervals = [*accuracies.values(), *([more.accuracy] if more else [])]
    short = reference.claim - max(interval.high for interval in intervals)
    reasons = [f"{100 * short:.2f} points above the nearest interval"]
    if author is None:
        reasons.append("the author's recipe is still to be run")
    elif more is None and reference.trained_on > author.training_images:
        reasons.append("smaller fractions are still to be run")
    if "learning_rate" in reference.assumed:
        reasons.append("learning rate not published")
    return ", ".join(reasons)

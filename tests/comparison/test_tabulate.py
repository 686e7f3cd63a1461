"""A row per network: claims held against what was measured and extrapolated."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comparison.evidence import Trained
from comparison.extrapolation import Extrapolation
from comparison.references import REFERENCES, Whose
from comparison.statistics import Interval
from comparison.tabulate import Evidence, explain_miss, how_reached, tabulate
from tests.comparison.rows_of_runs import ROW

Key = tuple[str, Whose, float]
FRACTIONS = {0.25: 8_400, 0.5: 16_800, 1.0: 33_600}
SPEEDS = {("simple_cnn", "author"): 1_000.0, ("simple_cnn", "ours"): 500.0}


def trained(key: Key, counts: Sequence[int], *, images: int = 8_400) -> Trained:
    """A run for each of the counts of errors; always the first images are missed."""
    network, recipe, fraction = key
    rows = [
        replace(
            ROW,
            network=network,
            recipe=recipe,
            fraction=fraction,
            seed=seed,
            training_images=FRACTIONS[fraction],
            fitted_images=600_000,
        )
        for seed in range(len(counts))
    ]
    return Trained(rows, {0: np.stack([np.arange(images) < count for count in counts])})


def evidence(counts: dict[Key, Sequence[int]]) -> Evidence:
    return {key: trained(key, each) for key, each in counts.items()}


def rows_of(counts: dict[Key, Sequence[int]]) -> dict[str, dict[str, Any]]:
    networks = list(dict.fromkeys(network for network, _, _ in counts))
    table = tabulate(
        evidence(counts), ["flat_mlp", *networks], REFERENCES, SPEEDS, baseline="pooled_cnn"
    )
    return {row["network"]: row for row in table.to_dict("records")}


def test_recipes_stand_side_by_side() -> None:
    rows = rows_of(
        {
            ("pooled_cnn", "ours", 1.0): [40],
            ("simple_cnn", "author", 1.0): [100, 110],
            ("simple_cnn", "ours", 1.0): [60],
            ("simple_cnn", "plain", 1.0): [70],
        }
    )
    assert list(rows) == ["pooled_cnn", "simple_cnn"]  # flat_mlp has no run
    simple = rows["simple_cnn"]
    assert simple["author_accuracy"] == pytest.approx(1 - 105 / 8_400)
    assert simple["author_sd"] == pytest.approx(10 / 8_400 / np.sqrt(2))
    assert (simple["author_seeds"], simple["ours_seeds"]) == (2, 1)
    assert np.isnan(simple["ours_sd"])
    assert simple["plain_accuracy"] == pytest.approx(1 - 70 / 8_400)
    assert (simple["author_core_seconds"], simple["ours_core_seconds"]) == (600, 1_200)
    assert simple["difference"] == pytest.approx(-20 / 8_400)
    assert simple["difference_high"] < 0
    pooled = rows["pooled_cnn"]
    assert np.isnan([pooled["claim"], pooled["difference"], pooled["author_accuracy"]]).all()
    assert pooled["reached"] == pooled["why_not"] == ""


def test_claim_is_reached_by_extrapolation_where_all_fractions_are_there() -> None:
    counts: dict[Key, Sequence[int]] = {
        ("simple_cnn", "author", fraction): [round(110 * (images / 33_600) ** -0.5)]
        for fraction, images in FRACTIONS.items()
    }
    simple = rows_of(counts)["simple_cnn"]
    assert simple["author_accuracy_high"] < simple["claim"] == 0.99
    assert simple["extrapolated_to"] == 54_000
    assert 1 - simple["extrapolated"] == pytest.approx(110 / 8_400 * (54 / 33.6) ** -0.5, rel=0.02)
    assert simple["reached"] == "by extrapolation to 54,000 images"
    del counts["simple_cnn", "author", 0.5]
    simple = rows_of(counts)["simple_cnn"]
    assert np.isnan(simple["extrapolated"]) and simple["reached"] == ""
    assert simple["why_not"].startswith("0.09 points above the nearest interval, smaller fractions")
    assert simple["why_not"].endswith("learning rate not published")


def test_author_who_trained_on_as_many_images_is_not_extrapolated() -> None:
    counts: dict[Key, Sequence[int]] = {
        ("deep_cnn", "author", fraction): [1_000 - round(900 * fraction)] for fraction in FRACTIONS
    }
    row = rows_of(counts)["deep_cnn"]
    assert np.isnan(row["extrapolated_to"])
    assert row["why_not"] == "0.28 points above the nearest interval"


MISSED, MET = Interval(0.98, 0.97, 0.985), Interval(0.99, 0.985, 0.995)
REFERENCE = replace(REFERENCES["simple_cnn"], claim=0.99)


@pytest.mark.parametrize(
    ("author", "more", "ours", "plain", "reached"),
    [
        (MET, MET, MET, MET, "by the author's recipe"),
        (MISSED, MET, MET, MET, "by extrapolation to 54,000 images"),
        (MISSED, MISSED, MET, MET, "by our recipe alone"),
        (MISSED, None, MISSED, MET, "by our recipe in plain view alone"),
        (MISSED, MISSED, MISSED, MISSED, ""),
    ],
)
def test_most_direct_way_counts(
    author: Interval, more: Interval | None, ours: Interval, plain: Interval, reached: str
) -> None:
    accuracies: dict[Whose, Interval] = {"author": author, "ours": ours, "plain": plain}
    extrapolation = Extrapolation(54_000, more, 0.5) if more else None
    assert how_reached(REFERENCE, accuracies, extrapolation) == reached


def test_miss_without_the_authors_recipe_says_so() -> None:
    told = explain_miss(REFERENCE, {"ours": MISSED}, None, None)
    assert told == (
        "0.50 points above the nearest interval, the author's recipe is still to be run, learning "
        "rate not published"
    )

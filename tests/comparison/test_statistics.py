"""Against values worked out by hand, and the claims."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from comparison.record import RunRecord

from comparison.references import REFERENCES
from comparison.statistics import (
    Hits,
    Interval,
    explain_miss,
    is_reached,
    mean_accuracy,
    paired_difference,
    tabulate,
)


def hits(*rows: str) -> Hits:
    """One row per seed, one character per image: 1 where the prediction is correct."""
    return np.array([[character == "1" for character in row] for row in rows])


RECORD = RunRecord(
    architecture="shallow_cnn",
    recipe="author",
    seed=0,
    sample=False,
    parameters=10,
    multiply_adds=20,
    epochs=3,
    max_epochs=3,
    asked_epochs=12,
    fitted_images=600,
    training_seconds=2.0,
    correct=2,
    evaluated_images=4,
)


def record(**changes: Any) -> RunRecord:
    return replace(RECORD, **changes)


def test_seeds_are_averaged_and_do_not_count_as_further_images() -> None:
    accuracy = mean_accuracy(hits("1111111100", "1111110000"))
    assert accuracy.value == pytest.approx(0.7)
    # Wilson's interval of 7 in 10.
    assert accuracy.low == pytest.approx(0.39677, abs=1e-5)
    assert accuracy.high == pytest.approx(0.89221, abs=1e-5)


def test_paired_difference_of_one_seed_is_that_of_agresti_and_min() -> None:
    """Of 10 images ours alone gets 3, theirs alone 1: (3 − 1) / 12 ± 1.96 √(5 − 4/12) / 12."""
    difference = paired_difference(hits("1111110000"), hits("1110001000"))
    half = 1.959964 * math.sqrt(5 - 4 / 12) / 12
    assert difference.value == pytest.approx(0.2)
    assert difference.low == pytest.approx(2 / 12 - half)
    assert difference.high == pytest.approx(2 / 12 + half)


def test_paired_difference_compares_fractions_of_seeds() -> None:
    """Per image: 1 − 0.5, 0.5 − 1, 0 − 0, 1 − 0; their sum is 1, that of their squares 1.5."""
    difference = paired_difference(hits("1101", "1001"), hits("1100", "0100"))
    half = 1.959964 * math.sqrt((1.5 + 1) / 6 - (1 / 6) ** 2) / math.sqrt(6)
    assert difference.value == pytest.approx(0.25)
    assert difference.low == pytest.approx(1 / 6 - half)
    assert difference.high == pytest.approx(1 / 6 + half)


def test_difference_changes_sign_with_its_sides() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.random((2, 3, 50)) < 0.8
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert (there.low, there.value, there.high) == pytest.approx(
        (-back.high, -back.value, -back.low)
    )


def test_networks_that_never_differ_still_leave_doubt() -> None:
    difference = paired_difference(hits("1" * 98), hits("1" * 98))
    assert difference.value == 0
    assert difference.high == pytest.approx(1.959964 * math.sqrt(1 / 100) / math.sqrt(100))


def test_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        hard = generator.random(2_000) < 0.03  # images that networks may misclassify
        one = ~(hard & (generator.random((3, 2_000)) < 0.4))
        other = ~(hard & (generator.random((3, 2_000)) < 0.6))
        difference = paired_difference(one, other)
        covered += difference.low <= 0.03 * 0.2 <= difference.high
    assert 930 <= covered <= 970


@pytest.mark.parametrize(("claim", "reached"), [(0.989, True), (0.99, True), (0.9901, False)])
def test_claim_is_reached_up_to_the_upper_end(claim: float, reached: bool) -> None:
    assert is_reached(claim, Interval(0.985, 0.98, 0.99)) is reached


def test_miss_is_explained_by_epochs_that_were_cut() -> None:
    told = explain_miss(REFERENCES["shallow_cnn"], [record(), record()])
    assert told == "3 of 12 epochs, learning rate not published, claimed on other images"


def test_run_that_stopped_by_itself_was_not_cut() -> None:
    stopped = record(architecture="deep_cnn", epochs=9, max_epochs=10, asked_epochs=100)
    told = explain_miss(REFERENCES["deep_cnn"], [stopped])
    assert told == "claimed on images that stopped the author's training"
    assert "10 of 100 epochs" in explain_miss(
        REFERENCES["deep_cnn"], [stopped, replace(stopped, epochs=10)]
    )


def test_miss_by_our_recipe_says_so() -> None:
    told = explain_miss(REFERENCES["simple_cnn"], [record(recipe="ours", epochs=4)])
    assert told == "our recipe, 4 epochs, claimed on other images"


def test_table_has_claims_where_there_are_some_and_differences_to_the_baseline() -> None:
    runs = {
        ("pooled_cnn", "ours"): (
            [record(architecture="pooled_cnn", recipe="ours")] * 2,
            hits("1110", "1111"),
        ),
        ("shallow_cnn", "author"): ([record(), record(training_seconds=4.0)], hits("1000", "1100")),
    }
    baseline, shallow = tabulate(runs, REFERENCES, baseline=("pooled_cnn", "ours")).to_dict(
        "records"
    )
    assert baseline["reached"] == ""
    assert math.isnan(baseline["claim"]) and math.isnan(baseline["difference"])
    assert shallow["claim"] == 0.99
    assert (shallow["reached"], shallow["accuracy"]) == ("no", 0.375)
    assert "3 of 12 epochs" in shallow["why_not"]
    assert shallow["difference"] == pytest.approx(0.375 - 0.875)
    assert shallow["accuracy_sd"] == pytest.approx(0.25 / math.sqrt(2))
    assert shallow["training_seconds"] == 3
    assert shallow["images_per_second"] == pytest.approx(1_200 / 6)
    assert shallow["images"] == 4

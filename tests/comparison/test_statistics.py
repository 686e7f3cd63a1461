"""Against values worked out by hand, and the claims."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from comparison.evidence import Trained
from comparison.statistics import (
    Hits,
    Interval,
    accuracy_of,
    difference_of,
    is_reached,
    mean_accuracy,
    paired_difference,
    seed_deviation,
)


def hits(*rows: str) -> Hits:
    """One row per seed, one character per image: 1 where the prediction is correct."""
    return np.array([[character == "1" for character in row] for row in rows])


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


def test_nothing_reaches_a_claim() -> None:
    assert not is_reached(0.9, None)


def trained(*rows: str, fold: int = 0, more: Mapping[int, Hits] | None = None) -> Trained:
    return Trained([], {fold: ~hits(*rows), **(more or {})})


def test_folds_count_together() -> None:
    both = trained("1111111100", more={1: ~hits("11110", "11111")})
    accuracy = accuracy_of(both)
    assert accuracy.value == pytest.approx((8 + 4.5) / 15)
    assert accuracy.low < accuracy.value < accuracy.high


def test_deviation_is_between_the_seeds_of_the_fold_that_has_most() -> None:
    both = trained("1111111100", more={1: ~hits("11110", "11111")})
    assert seed_deviation(both) == pytest.approx(0.2 / math.sqrt(2))
    assert math.isnan(seed_deviation(trained("1111111100")))


def test_difference_is_of_the_folds_that_scored_both() -> None:
    one = trained("1110", fold=0, more={1: ~hits("1111")})
    other = trained("1100", fold=1)
    difference = difference_of(one, other)
    assert difference is not None and difference.value == pytest.approx(0.5)
    assert difference_of(trained("1"), trained("1", fold=2)) is None

"""Paired comparisons against values found by hand."""

import numpy as np
import pytest

from pipeline.evaluation.paired import compare_paired


def hits(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Which images two classifiers get right, by how many each."""
    counts = (both, first, second, neither)
    return (
        np.repeat([True, True, False, False], counts),
        np.repeat([True, False, True, False], counts),
    )


def test_difference_and_interval_by_hand() -> None:
    """Of 100 images, 8 against 2: (6 / 102) ± 1.96 √((11 / 102 − (6 / 102)²) / 102)."""
    found = compare_paired(*hits(80, 8, 2, 10))
    assert (found.gained, found.lost) == (8, 2)
    assert found.difference == pytest.approx(0.06)
    half = 1.959964 * np.sqrt((11 / 102 - (6 / 102) ** 2) / 102)
    assert (found.low, found.high) == pytest.approx((6 / 102 - half, 6 / 102 + half))
    # Two-sided: 2 (C(10, 0) + C(10, 1) + C(10, 2)) / 2¹⁰
    assert found.p_value == pytest.approx(2 * 56 / 1024)
    assert found.could_be_chance


@pytest.mark.parametrize(
    ("gained", "lost", "chance"), [(5, 0, True), (6, 0, False), (0, 6, False), (30, 29, True)]
)
def test_six_of_six_are_no_chance_but_five_of_five_may_be(
    gained: int, lost: int, chance: bool
) -> None:
    """2 / 2⁵ = 0.0625 and 2 / 2⁶ = 0.031."""
    found = compare_paired(*hits(200, gained, lost, 0))
    assert found.could_be_chance == chance
    assert (found.difference > 0) == (gained > lost)


def test_equal_predictions_differ_by_nothing_with_an_interval_that_has_a_width() -> None:
    found = compare_paired(*hits(90, 0, 0, 10))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.low == -found.high < 0


def test_exchanged_predictions_have_the_opposite_difference() -> None:
    one, other = hits(50, 9, 3, 2)
    forth, back = compare_paired(one, other), compare_paired(other, one)
    assert (back.difference, back.low, back.high) == pytest.approx(
        (-forth.difference, -forth.high, -forth.low)
    )
    assert back.p_value == pytest.approx(forth.p_value)

"""The test of homogeneity against counts by hand, and against SciPy's."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from pipeline.evaluation.label_shift import compare_counts


def test_equal_shares_agree_and_others_do_not() -> None:
    training = np.arange(100, 110) * 10
    table, result = compare_counts(training, training // 10)
    assert result == {
        "chi_square": pytest.approx(0),
        "degrees_of_freedom": 9,
        "p_value": pytest.approx(1),
    }
    np.testing.assert_allclose(table["expected"], training / 10)
    _, result = compare_counts(training, np.roll(training, 5) * np.arange(1, 11))
    assert result["p_value"] < 1e-6


def test_counts_are_compared_as_by_hand() -> None:
    """Two digits, 30 : 70 beside 45 : 55: chi-square 200 (30·55 - 70·45)² / (100² · 75 · 125)."""
    training, predicted = np.zeros((2, 10), dtype=np.int64)
    training[[2, 6]], predicted[[2, 6]] = (30, 70), (45, 55)
    table, result = compare_counts(training, predicted)
    assert result["chi_square"] == pytest.approx(4.8)
    assert result["degrees_of_freedom"] == 1
    assert table["expected"].tolist() == [0, 0, 37.5, 0, 0, 0, 62.5, 0, 0, 0]
    assert table.loc[[2, 6], "residual"].tolist() == pytest.approx([4.8**0.5, -(4.8**0.5)])
    assert np.isnan(table.loc[0, "residual"])


def test_the_test_of_homogeneity_is_scipys() -> None:
    training, predicted = np.random.default_rng(0).integers(0, 60, (2, 10))
    training[3] = predicted[3] = 0
    _, result = compare_counts(training, predicted)
    theirs = chi2_contingency(np.delete([training, predicted], 3, axis=1), correction=False)
    assert result == pytest.approx(
        {
            "chi_square": theirs.statistic,
            "degrees_of_freedom": theirs.dof,
            "p_value": theirs.pvalue,
        }
    )


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="expected images on both sides"):
        compare_counts(np.arange(10), np.zeros(10, dtype=np.int64))


def test_a_single_digit_agrees() -> None:
    training, predicted = np.zeros((2, 10), dtype=np.int64)
    training[4], predicted[4] = 20, 5
    _, result = compare_counts(training, predicted)
    assert result == {"chi_square": 0, "degrees_of_freedom": 0, "p_value": 1}

"""Calibration by hand, and what a temperature may and may not do."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from pipeline.data.dataset import Labels, Probabilities
from pipeline.evaluation import calibration
from tests.evaluation.test_metrics import digits, one_hot


def test_calibration_error_by_hand() -> None:
    """Bin 0.6–0.8: twice 0.7 and one correct; bin 0.8–1: 0.9 and correct. (|1 - 1.4| + 0.1) / 3."""
    probabilities = np.concatenate([one_hot([1, 2], 0.7), one_hot([3], 0.9)])
    found = calibration.expected_calibration_error(probabilities, digits(1, 5, 3), num_bins=5)
    assert found == pytest.approx((0.4 + 0.1) / 3)


def test_calibration_error_of_certainty_is_the_error_rate() -> None:
    found = calibration.expected_calibration_error(
        one_hot([0, 1, 2, 3]), digits(0, 1, 2, 9), num_bins=15
    )
    assert found == pytest.approx(0.25)


def test_bins_hold_every_prediction_once() -> None:
    probabilities = np.concatenate([one_hot([1, 2, 4], 0.7), one_hot([3], 1.0)])
    table = calibration.tabulate_calibration(probabilities, digits(1, 5, 4, 3), num_bins=5)
    assert table["correct"].tolist() == [0, 0, 0, 2, 1]
    assert table["errors"].tolist() == [0, 0, 0, 1, 0]
    assert table.loc[3, ["low", "high", "confidence", "accuracy"]].tolist() == pytest.approx(
        [0.6, 0.8, 0.7, 2 / 3]
    )
    assert table.loc[:2, ["confidence", "accuracy", "accuracy_low"]].isna().all(axis=None)
    assert table.loc[3, "accuracy_low"] < 2 / 3 < table.loc[3, "accuracy_high"]


@pytest.fixture
def overconfident() -> tuple[Probabilities, Labels]:
    """Labels drawn from probabilities, and predictions that are sharper than these by 2."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4_000, 10))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1).astype(np.uint8)
    return softmax(2 * logits, axis=1), labels


def test_temperature_finds_what_made_predictions_too_sharp(
    overconfident: tuple[Probabilities, Labels],
) -> None:
    assert calibration.fit_temperature(*overconfident) == pytest.approx(2, rel=0.05)


def test_temperature_of_one_changes_nothing_and_none_changes_a_prediction(
    overconfident: tuple[Probabilities, Labels],
) -> None:
    probabilities, _ = overconfident
    np.testing.assert_allclose(calibration.apply_temperature(probabilities, 1), probabilities)
    softened = calibration.apply_temperature(probabilities, 3)
    np.testing.assert_allclose(softened.sum(axis=1), 1)
    np.testing.assert_array_equal(softened.argmax(axis=1), probabilities.argmax(axis=1))
    assert (softened.max(axis=1) < probabilities.max(axis=1)).all()


def test_cross_fitted_temperature_improves_the_calibration(
    overconfident: tuple[Probabilities, Labels],
) -> None:
    probabilities, labels = overconfident
    scaled = calibration.cross_fit_temperature(probabilities, labels)
    summary = calibration.summarize_calibration(probabilities, labels, scaled, num_bins=15)
    assert summary["temperature"] == pytest.approx(2, rel=0.05)
    assert summary["scaled_expected_calibration_error"] < 0.03
    assert summary["expected_calibration_error"] > 0.1


def test_calibration_is_compared_before_and_after_scaling(
    overconfident: tuple[Probabilities, Labels],
) -> None:
    probabilities, labels = overconfident
    scaled = calibration.cross_fit_temperature(probabilities, labels)
    assert scaled is not None
    table = calibration.compare_calibration(probabilities, labels, scaled, num_bins=5)
    for part, expected in ((False, probabilities), (True, scaled[0])):
        rows = table[table["scaled"] == part].drop(columns="scaled").reset_index(drop=True)
        pd.testing.assert_frame_equal(
            rows, calibration.tabulate_calibration(expected, labels, num_bins=5)
        )


def test_no_image_has_a_say_in_its_own_temperature(
    overconfident: tuple[Probabilities, Labels],
) -> None:
    """Spoiling every fifth label leaves the temperature that these fifths are scaled by."""
    probabilities, labels = overconfident
    spoiled = labels.copy()
    spoiled[::5] = (spoiled[::5] + 1) % 10
    before = calibration.cross_fit_temperature(probabilities, labels)
    after = calibration.cross_fit_temperature(probabilities, spoiled)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before[0][::5], after[0][::5])
    assert not np.allclose(before[0][1::5], after[0][1::5])


def test_without_errors_there_is_no_temperature() -> None:
    probabilities, labels = one_hot(list(range(10)), 0.9), digits(*range(10))
    assert calibration.cross_fit_temperature(probabilities, labels) is None
    summary = calibration.summarize_calibration(probabilities, labels, None, num_bins=5)
    assert {name for name, value in summary.items() if value is not None} == {
        "expected_calibration_error"
    }
    table = calibration.compare_calibration(probabilities, labels, None, num_bins=5)
    assert len(table) == 5
    assert not table["scaled"].any()


def test_certain_errors_do_not_break_the_fit() -> None:
    probabilities, labels = one_hot([*range(10), 1, 2]), digits(*range(10), 3, 4)
    scaled = calibration.cross_fit_temperature(probabilities, labels)
    assert scaled is not None
    assert np.isfinite(scaled[0]).all()

"""Scores against values found by hand or published."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline.data.dataset import Labels, Probabilities
from pipeline.evaluation import metrics


def one_hot(predicted: list[int], confidence: float = 1.0) -> Probabilities:
    """Rows with ``confidence`` for one digit and equal parts of the rest for the others."""
    rows = np.full((len(predicted), 10), (1 - confidence) / 9)
    rows[np.arange(len(predicted)), predicted] = confidence
    return rows


def digits(*values: int) -> Labels:
    return np.array(values, dtype=np.uint8)


@pytest.mark.parametrize(
    ("errors", "total", "low", "high"),
    [
        (13, 870, "0.88%", "2.54%"),
        (8, 753, "0.54%", "2.08%"),
        (1, 767, "0.02%", "0.73%"),
        (60, 8_399, "0.56%", "0.92%"),
        (0, 0, "0.00%", "100.00%"),
        (5, 10, "23.66%", "76.34%"),
    ],
)
def test_wilson_interval_has_known_values(errors: int, total: int, low: str, high: str) -> None:
    found = metrics.wilson_interval(errors, total)
    assert [f"{float(bound):.2%}" for bound in found] == [low, high]


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 7), (7, 7), (41_850, 42_000)])
def test_wilson_interval_is_scipys(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    found = metrics.wilson_interval(successes, trials)
    np.testing.assert_allclose(found, (expected.low, expected.high), atol=1e-12)


def test_wilson_interval_touches_its_limits_exactly() -> None:
    trials = np.arange(1_000)
    low, high_of_none = metrics.wilson_interval(0, trials)
    low_of_all, high = metrics.wilson_interval(trials[1:], trials[1:])
    assert (low == 0).all()
    assert (high == 1).all()
    np.testing.assert_allclose(high_of_none[1:], 1 - low_of_all)


def test_wilson_interval_holds_the_fraction_and_narrows_with_more_trials() -> None:
    trials = np.array([10, 100, 1_000, 10_000])
    low, high = metrics.wilson_interval(trials * 0.1, trials)
    assert ((low < 0.1) & (high > 0.1)).all()
    assert (np.diff(high - low) < 0).all()


def test_perfect_predictions_have_perfect_figures() -> None:
    labels = list(range(10))
    summary = metrics.summarize(one_hot(labels), digits(*labels))
    assert (summary["accuracy"], summary["accuracy_high"], summary["errors"]) == (1.0, 1.0, 0)
    assert summary["n"] == 10


def test_summary_by_hand() -> None:
    labels = [*range(10), *range(10)]
    predicted = [*range(10), *range(9), 8]
    summary = metrics.summarize(one_hot(predicted, 0.91), digits(*labels))
    assert (summary["accuracy"], summary["errors"], summary["n"]) == (0.95, 1, 20)
    assert summary["accuracy_low"] < 0.95 < summary["accuracy_high"]


def test_summary_holds_plain_numbers() -> None:
    summary = metrics.summarize(one_hot([1, 2]), digits(1, 3))
    assert {type(value) for value in summary.values()} == {int, float}


def test_confusions_have_the_true_digit_down_and_the_predicted_across() -> None:
    counts = metrics.count_confusions(predicted=digits(7, 7, 1), labels=digits(1, 1, 1))
    assert counts.shape == (10, 10)
    assert counts[[1, 1, 7], [7, 1, 1]].tolist() == [2, 1, 0]
    assert counts.sum() == 3


@pytest.fixture
def table() -> pd.DataFrame:
    """Digit 4: predicted as 9 twice, as 1 once; 5: as 3 and as 6; 8 correct; others absent."""
    labels = digits(4, 4, 4, 4, 5, 5, 8)
    predicted = digits(9, 9, 1, 4, 6, 3, 8)
    return metrics.tabulate_digits(metrics.count_confusions(predicted, labels))


def test_digit_table_counts_errors_and_correct_ones(table: pd.DataFrame) -> None:
    assert table["digit"].tolist() == list(range(10))
    assert table.loc[[4, 5, 8], ["errors", "correct"]].to_numpy().tolist() == [
        [3, 1],
        [2, 0],
        [0, 1],
    ]
    assert table.loc[[4, 5, 8], "error_rate"].tolist() == [0.75, 1.0, 0.0]
    assert np.isnan(table.loc[0, "error_rate"])
    assert table.loc[0, ["error_rate_low", "error_rate_high"]].tolist() == [0.0, 1.0]


def test_all_most_frequent_confusions_are_named(table: pd.DataFrame) -> None:
    columns = ["confused_with", "confused_times"]
    assert table.loc[[4, 5], columns].to_numpy().tolist() == [["9", 2], ["3 6", 1]]
    assert table.loc[[0, 8], columns].isna().all(axis=None)


def test_digit_table_survives_a_csv(table: pd.DataFrame) -> None:
    text = table.to_csv(index=False)
    assert text.splitlines()[5].endswith(",9,2,False")
    assert text.splitlines()[6].endswith(",3 6,1,False")
    assert text.splitlines()[9].endswith(",,,False")


def test_digit_table_reads_well(table: pd.DataFrame) -> None:
    four, five, eight, absent = (metrics.describe_digits(table)[digit] for digit in (4, 5, 8, 0))
    assert four == {
        "digit": "4",
        "errors": "3",
        "correct": "1",
        "error rate": "75.00%",
        "95 % interval": "30.06% – 95.44%",
        "most often predicted as": "9 (2×)",
    }
    assert five["most often predicted as"] == "3, 6 (1× each)"
    assert (eight["error rate"], eight["most often predicted as"]) == ("0.00%", "–")
    assert (absent["error rate"], absent["95 % interval"]) == ("–", "0.00% – 100.00%")


def test_digit_is_worse_than_the_others_only_where_the_intervals_part() -> None:
    confusions = np.diag(np.full(10, 990))
    confusions[9, 4], confusions[5, 3] = 30, 4
    confusions[range(9), 9] += 8
    worse = metrics.tabulate_digits(confusions)["worse_than_others"]
    assert worse.tolist() == [False] * 9 + [True]


def test_some_digit_is_marked_by_chance_in_about_seven_of_a_hundred_tables() -> None:
    generator = np.random.default_rng(0)
    marked = 0
    for errors in generator.binomial(840, 0.02, (2_000, 10)):
        confusions = np.diag(840 - errors)
        confusions[range(10), [*range(1, 10), 0]] = errors
        marked += metrics.tabulate_digits(confusions)["worse_than_others"].any()
    assert 0.055 < marked / 2_000 < 0.09


def test_digit_without_images_is_not_worse() -> None:
    confusions = np.diag([0] + [100] * 9)
    assert not metrics.tabulate_digits(confusions)["worse_than_others"].any()
    assert not metrics.tabulate_digits(np.zeros((10, 10), int))["worse_than_others"].any()


def test_confusion_table_holds_counts_and_fractions_of_the_row() -> None:
    confusions = np.zeros((10, 10), dtype=np.int64)
    confusions[4, [4, 9]] = 6, 2
    table = metrics.tabulate_confusions(confusions)
    assert len(table) == 100
    nine = table[(table["true"] == 4) & (table["predicted"] == 9)].iloc[0]
    assert (nine["count"], nine["row_fraction"]) == (2, 0.25)
    assert table.loc[table["true"] != 4, "row_fraction"].isna().all()


def test_darkest_colour_is_the_most_frequent_confusion_but_a_hundredth_at_least() -> None:
    confusions = np.diag(np.full(10, 1_000))
    assert metrics.darkest_fraction(metrics.tabulate_confusions(confusions)) == 0.01
    confusions[4, 9] = 1
    assert metrics.darkest_fraction(metrics.tabulate_confusions(confusions)) == 0.01
    confusions[4, 9] = 250
    assert metrics.darkest_fraction(metrics.tabulate_confusions(confusions)) == 0.2
    assert metrics.darkest_fraction(metrics.tabulate_confusions(confusions * 0)) == 0.01


def test_counts_are_exact_whatever_their_size() -> None:
    confusions = np.diag(np.full(10, 12_345))
    confusions[3, 5] = 1_000
    three = metrics.describe_digits(metrics.tabulate_digits(confusions))[3]
    assert (three["errors"], three["correct"]) == ("1,000", "12,345")

"""What became of each image, against flips that were planted."""

import numpy as np
import pytest

from pipeline.data.dataset import NUM_CLASSES
from pipeline.evaluation import changes
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.results import Errors, predict_with


def predict(
    wrong: Errors, *, n: int = 60, first_row: int = 0, data: str = "a"
) -> OutOfFoldPredictions:
    """Predictions of ``n`` images with the digits in turn, of which some are wrong."""
    labels = (np.arange(n) % NUM_CLASSES).astype(np.uint8)
    probabilities = predict_with(labels, wrong)
    return OutOfFoldPredictions(
        rows=np.arange(n) + first_row,
        labels=labels,
        averages=probabilities,
        probabilities=probabilities,
        members={"0-0-small": "f" * 64},
        train_sha256=data * 64,
    )


BEFORE = predict({4: (9, 0.99), 14: (9, 0.7), 7: (1, 0.6), 23: (5, 0.6)})
AFTER = predict({14: (9, 0.8), 7: (2, 0.6), 5: (3, 0.97), 15: (3, 0.5)})
"""Rows 4 and 23 are corrected, 5 and 15 new errors, 7 another error, 14 the same."""


def test_each_image_has_its_change_the_greatest_first() -> None:
    table = changes.tabulate_changes(BEFORE, AFTER)
    assert list(zip(table["change"], table["row"], strict=True)) == [
        ("new_error", 5),
        ("new_error", 15),
        ("corrected", 4),
        ("corrected", 23),
        ("other_error", 7),
        ("same_error", 14),
    ]
    new = table.iloc[0]
    assert (new["true"], new["before"], new["after"]) == (5, 5, 3)
    assert (new["p_true_before"], new["p_true_after"]) == pytest.approx((0.95, 0.027))
    assert (new["p_before"], new["p_after"]) == pytest.approx((0.95, 0.97))
    assert new["p_3_after"] == pytest.approx(0.97)


def test_confusions_count_every_image_before_and_after() -> None:
    table = changes.tabulate_confusions(BEFORE, AFTER).set_index(["true", "predicted"])
    assert table["before"].sum() == table["after"].sum() == 60
    assert table.loc[(4, 9)].tolist() == [2, 1, -1]
    assert table.loc[(5, 3)].tolist() == [0, 2, 2]
    assert table.loc[(5, 5)].tolist() == [6, 4, -2]
    assert (table["difference"] == table["after"] - table["before"]).all()


def test_digits_are_counted_by_the_true_one() -> None:
    table = changes.tabulate_digits(BEFORE, AFTER).set_index("digit")
    assert table["images"].tolist() == [6] * 10
    assert table.loc[4, ["errors_before", "errors", "corrected", "new_errors"]].tolist() == [
        2,
        1,
        1,
        0,
    ]
    assert table.loc[5, ["errors_before", "errors", "corrected", "new_errors"]].tolist() == [
        0,
        2,
        0,
        2,
    ]
    assert table[["corrected", "new_errors"]].sum().tolist() == [2, 2]


@pytest.mark.parametrize(("first_row", "rows"), [(0, range(60)), (50, range(50, 60)), (60, [])])
def test_common_images_are_those_of_the_same_rows(first_row: int, rows: range | list[int]) -> None:
    other = predict({}, first_row=first_row)
    before, after = changes.on_common_images(BEFORE, other)
    assert before.rows.tolist() == after.rows.tolist() == list(rows)
    np.testing.assert_array_equal(before.probabilities, BEFORE.probabilities[list(rows)])


def test_other_data_has_no_common_images() -> None:
    before, after = changes.on_common_images(BEFORE, predict({}, data="b"))
    assert len(before.rows) == len(after.rows) == 0

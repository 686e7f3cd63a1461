"""The tables of errors and of correct predictions."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipeline.data.dataset import Labels, Probabilities
from pipeline.evaluation import metrics
from pipeline.evaluation.examples import (
    SUGGESTIONS_SHOWN,
    choose_contradicted,
    choose_suspected,
    tabulate_correct,
    tabulate_errors,
)
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.evaluation.test_metrics import digits, one_hot


def predict(
    probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]
) -> OutOfFoldPredictions:
    """Predictions that were not refined."""
    return OutOfFoldPredictions(rows, labels, probabilities, probabilities, {}, "a" * 64)


def errors_of(probabilities: Probabilities, labels: Labels, rows: NDArray[np.intp]) -> pd.DataFrame:
    return tabulate_errors(predict(probabilities, labels, rows))


def test_errors_come_with_the_highest_loss_first_with_runner_up() -> None:
    probabilities = np.zeros((4, 10))
    probabilities[0, [3, 5]] = 0.6, 0.4  # truly 5
    probabilities[1, [2]] = 1.0  # truly 2: correct
    probabilities[2, [9, 4, 7]] = 0.7, 0.2, 0.1  # truly 7
    probabilities[3, [8, 0, 1]] = 0.5, 0.3, 0.2  # truly 1
    table = errors_of(probabilities, digits(5, 2, 7, 1), np.array([40, 10, 30, 20]))
    assert table["row"].tolist() == [30, 20, 40]
    assert table["true"].tolist() == [7, 1, 5]
    assert table["predicted"].tolist() == [9, 8, 3]
    assert table["runner_up"].tolist() == [4, 0, 5]
    assert table["p_true"].tolist() == [0.1, 0.2, 0.4]
    assert table["p_predicted"].tolist() == [0.7, 0.5, 0.6]
    assert table["p_runner_up"].tolist() == [0.2, 0.3, 0.4]
    np.testing.assert_allclose(table["loss"], -np.log([0.1, 0.2, 0.4]))


def test_errors_of_equal_loss_come_in_the_order_of_their_rows() -> None:
    table = errors_of(one_hot([1, 1, 1]), digits(2, 3, 4), np.array([9, 5, 7]))
    assert table["row"].tolist() == [5, 7, 9]
    assert np.isfinite(table["loss"]).all()


def test_without_errors_the_list_is_empty_with_its_columns() -> None:
    table = errors_of(one_hot([1, 2]), digits(1, 2), np.arange(2))
    assert len(table) == 0
    assert list(table) == [
        "row",
        "true",
        "predicted",
        "runner_up",
        "p_true",
        "p_predicted",
        "p_runner_up",
        "loss",
        *(f"p_{digit}" for digit in range(10)),
        "refined",
    ]


def test_correct_ones_are_of_low_confidence_or_typical_of_each_digit() -> None:
    """Nine 3s with rising confidence, the first of them an error; a single 7."""
    labels = digits(*[3] * 9, 7)
    probabilities = np.concatenate([one_hot([3], p) for p in np.linspace(0.5, 0.9, 9)])
    probabilities = np.concatenate([probabilities, one_hot([7], 0.6)])
    probabilities[0] = one_hot([5], 0.9)
    table = tabulate_correct(
        predict(probabilities, labels, np.arange(100, 110)), num_of_each_kind=2
    )
    rows = {kind: group["row"].tolist() for kind, group in table.groupby("kind")}
    assert rows == {"low_confidence": [101, 102, 109], "typical": [105, 106]}
    assert (table["true"] == table["predicted"]).all()
    assert table.loc[table["row"] == 101, "p_3"].item() == pytest.approx(0.55)


def test_errors_and_confusions_count_alike() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(10), 300)
    labels = generator.integers(0, 10, 300).astype(np.uint8)
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    confusions = metrics.count_confusions(predicted, labels)
    errors = errors_of(probabilities, labels, np.arange(300))
    table = metrics.tabulate_digits(confusions)
    by_digit = errors["true"].value_counts().reindex(range(10), fill_value=0)
    assert by_digit.tolist() == table["errors"].tolist()
    assert len(errors) == metrics.summarize(probabilities, labels)["errors"]


def test_contradicted_labels_follow_the_suspected_ones_the_most_confident_first() -> None:
    errors = pd.DataFrame(
        {
            "row": [3, 8, 1, 9],
            "p_true": [0.1, 0.01, 0.3, 0.2],
            "p_predicted": [0.8, 0.99, 0.4, 0.75],
        }
    )
    suspected = pd.DataFrame({"row": [8]})
    assert choose_suspected(errors, suspected)["row"].tolist() == [8]
    assert choose_contradicted(errors, suspected)["row"].tolist() == [3, 9, 1]


def test_suspected_and_contradicted_labels_have_room_together() -> None:
    rows = np.arange(1000)
    errors = pd.DataFrame({"row": rows, "p_true": 0.0, "p_predicted": rows / 1000})
    for number in (100, 399, 400, 600):
        suspected = pd.DataFrame({"row": rows[:number]})
        chosen = [choose(errors, suspected) for choose in (choose_suspected, choose_contradicted)]
        assert sum(map(len, chosen)) == SUGGESTIONS_SHOWN

import numpy as np
import pytest

from pipeline.evaluation.scores import SCORES
from tests.evaluation.test_metrics import digits, one_hot


def test_perfect_predictions_have_perfect_scores() -> None:
    labels = list(range(10))
    scores = {name: score(one_hot(labels), digits(*labels)) for name, score in SCORES.items()}
    assert scores["macro_f1"] == 1.0
    assert scores["log_loss"] == pytest.approx(0, abs=1e-9)


def test_scores_by_hand() -> None:
    labels = [*range(10), *range(10)]
    predictions = one_hot([*range(10), *range(9), 8], 0.91), digits(*labels)
    assert SCORES["log_loss"](*predictions) == pytest.approx(
        -(19 * np.log(0.91) + np.log(0.01)) / 20
    )
    assert SCORES["macro_f1"](*predictions) == pytest.approx((8 + 0.8 + 2 / 3) / 10)


def test_digit_that_is_missing_does_not_count() -> None:
    assert SCORES["macro_f1"](one_hot([1, 2, 2]), digits(1, 2, 2)) == 1.0


@pytest.mark.parametrize("name", SCORES)
def test_score_is_a_plain_number_of_any_predictions(name: str) -> None:
    assert type(SCORES[name](one_hot([1, 2]), digits(1, 3))) is float

"""Wrong labels are suspected, correct ones are not."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.planted_labels import GOAL, look_for, plant
from pipeline.evaluation.label_errors import suspect_labels
from tests.evaluation.test_metrics import one_hot


def test_swapped_labels_are_suspected_the_most_confident_first() -> None:
    """Of 1,000 labels, five are wrong, and confident predictions contradict them."""
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(10, dtype=np.uint8), 100)
    probabilities = np.concatenate(
        [
            one_hot([int(digit)], p)
            for digit, p in zip(true, generator.uniform(0.7, 0.99, 1_000), strict=True)
        ]
    )
    labels, rows = true.copy(), np.arange(1_000) + 5_000
    swapped = np.array([7, 250, 333, 604, 990])
    labels[swapped] = (true[swapped] + 3) % 10
    for place, p in zip(swapped, (0.95, 0.999, 0.98, 0.96, 0.99), strict=True):
        probabilities[place] = one_hot([int(true[place])], p)
    table = suspect_labels(probabilities, labels, rows)
    assert table["row"].tolist() == [5_250, 5_990, 5_333, 5_604, 5_007]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(table["suggested"], true[table["row"] - 5_000])
    np.testing.assert_array_equal(table["label"], labels[table["row"] - 5_000])
    assert table["p_suggested"].iloc[0] == 0.999
    np.testing.assert_allclose(table["margin"], table["p_label"] - table["p_suggested"])


def test_errors_of_low_confidence_are_no_label_errors() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 20)
    probabilities = one_hot(list(labels), 0.98)
    probabilities[0, [0, 6]] = 0.45, 0.53
    assert suspect_labels(probabilities, labels, np.arange(200)).empty


def test_without_errors_and_with_digits_missing_none_is_suspected() -> None:
    labels = np.array([1, 1, 2, 2, 9], dtype=np.uint8)
    table = suspect_labels(one_hot(list(labels), 0.9), labels, np.arange(5))
    assert len(table) == 0
    assert list(table) == ["rank", "row", "label", "suggested", "p_label", "p_suggested", "margin"]


@pytest.mark.parametrize("count", [7, 200])
def test_planted_wrong_labels_are_among_the_first_suggestions(count: int) -> None:
    """On scikit-learn's digits; the classifier trains on the wrong labels of the other folds."""
    images, digits = load_digits(return_X_y=True)
    images, digits = images[:1437], digits[:1437].astype(np.uint8)
    changed, places = plant(digits, count, seed=0)
    assert (changed != digits).sum() == count
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = KNeighborsClassifier(20, weights="distance")
    known = cross_val_predict(classifier, images, changed, cv=folds, method="predict_proba")
    found = look_for(known, changed, places)
    assert found.planted == count and found.suggestions <= 2 * count
    assert found.fraction >= GOAL


def test_planted_labels_are_other_digits_and_depend_on_the_seed() -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 100)
    changed, places = plant(labels, 50, seed=1)
    assert np.flatnonzero(changed != labels).tolist() == places.tolist()
    assert len(places) == 50 and changed.max() < 10
    assert not np.array_equal(places, plant(labels, 50, seed=2)[1])

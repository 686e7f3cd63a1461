"""Which rows a run by an author's recipe trains on."""

import numpy as np
import pytest

from comparison.rows import choose_rows, hold_back
from comparison.runs import Run
from pipeline.data.dataset import TrainingDigits


def run(fraction: float, *, fold: int = 0, seed: int = 0) -> Run:
    return Run("dense_baseline", "author", fraction, fold, seed)


@pytest.fixture(scope="module")
def digits(training_digits: TrainingDigits) -> TrainingDigits:
    return TrainingDigits(
        np.tile(training_digits.images, (10, 1, 1)),
        np.tile(training_digits.labels, 10),
        np.tile(training_digits.folds, 10),
        training_digits.provenance,
    )


@pytest.mark.parametrize("fold", [0, 2])
def test_smaller_fractions_are_among_larger_ones_and_none_is_of_the_fold(
    fold: int, digits: TrainingDigits
) -> None:
    quarter, half, all_rows = (
        choose_rows(digits.labels, digits.folds, run(fraction, fold=fold))
        for fraction in (0.25, 0.5, 1)
    )
    assert (len(quarter), len(half), len(all_rows)) == (100, 200, 400)
    assert set(quarter) < set(half) < set(all_rows)
    assert not (digits.folds[all_rows] == fold).any()
    np.testing.assert_array_equal(np.bincount(digits.labels[quarter]), np.full(10, 10))
    np.testing.assert_array_equal(quarter, np.sort(quarter))


def test_each_seed_draws_its_own_rows(digits: TrainingDigits) -> None:
    drawn = [choose_rows(digits.labels, digits.folds, run(0.25, seed=seed)) for seed in (0, 1)]
    assert set(drawn[0]) != set(drawn[1])


def test_validation_set_has_each_digit_and_is_not_fitted(digits: TrainingDigits) -> None:
    rows = choose_rows(digits.labels, digits.folds, run(1))
    training, validation = hold_back(digits.labels, rows, 0.05, seed=3)
    np.testing.assert_array_equal(np.bincount(digits.labels[validation]), np.full(10, 2))
    np.testing.assert_array_equal(np.union1d(training, validation), rows)
    assert not np.intersect1d(training, validation).size


def test_author_whom_nothing_stops_fits_all_rows(digits: TrainingDigits) -> None:
    rows = choose_rows(digits.labels, digits.folds, run(1))
    training, validation = hold_back(digits.labels, rows, 0.0, seed=3)
    np.testing.assert_array_equal(training, rows)
    assert not validation.size

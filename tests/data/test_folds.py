"""Who may judge whom."""

import re

import numpy as np
import pytest

from pipeline.data.dataset import Images, Labels
from pipeline.data.folds import Rows, assign_folds, find_duplicates, split_validation
from pipeline.errors import ParamsError, TableError

NUM_FOLDS = 5


def draw_labels(count: int = 500) -> Labels:
    """Labels with unequal shares."""
    weights = np.arange(5, 15) / np.arange(5, 15).sum()
    return np.random.default_rng(0).choice(10, count, p=weights).astype(np.uint8)


def distinct(count: int = 500) -> Rows:
    return np.arange(count)


def count_by_fold(labels: Labels, folds: Labels) -> np.ndarray:
    """Images per digit (down) and fold (across)."""
    counts = np.zeros((10, NUM_FOLDS), dtype=int)
    np.add.at(counts, (labels, folds), 1)
    return counts


def test_duplicates_point_to_the_first_of_them() -> None:
    images: Images = np.arange(6, dtype=np.uint8).repeat(784).reshape(6, 28, 28)
    images[3] = images[5] = images[1]
    assert find_duplicates(images).tolist() == [0, 1, 2, 1, 4, 1]


def test_images_that_differ_in_one_pixel_are_distinct() -> None:
    images: Images = np.zeros((3, 28, 28), dtype=np.uint8)
    images[1, 27, 27] = 1
    assert find_duplicates(images).tolist() == [0, 1, 0]


@pytest.mark.parametrize("num_folds", [2, 3, 5, 20])
def test_every_row_has_one_of_the_folds(num_folds: int) -> None:
    folds = assign_folds(draw_labels(), distinct(), num_folds=num_folds, seed=0)
    assert folds.shape == (500,)
    assert folds.dtype == np.uint8
    assert sorted(set(folds)) == list(range(num_folds))


def test_every_fold_has_each_digit_in_the_same_share() -> None:
    labels = draw_labels()
    counts = count_by_fold(labels, assign_folds(labels, distinct(), num_folds=NUM_FOLDS, seed=3))
    assert np.ptp(counts, axis=1).max() <= 1


def test_identical_images_share_a_fold_whatever_their_labels() -> None:
    first_rows = distinct()
    first_rows[[100, 200, 499]] = 7
    first_rows[300] = 8
    folds = assign_folds(draw_labels(), first_rows, num_folds=NUM_FOLDS, seed=0)
    assert len(set(folds[[7, 100, 200, 499]])) == 1
    assert folds[300] == folds[8]


def test_shares_stay_equal_among_different_images() -> None:
    labels, first_rows = draw_labels(), distinct()
    first_rows[400:] = first_rows[:100]
    folds = assign_folds(labels, first_rows, num_folds=NUM_FOLDS, seed=0)
    assert np.ptp(count_by_fold(labels[:400], folds[:400]), axis=1).max() <= 1


def test_seed_decides_the_folds() -> None:
    first, again, other = (
        assign_folds(draw_labels(), distinct(), num_folds=NUM_FOLDS, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_too_few_different_images_of_a_digit_are_an_error() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 5)
    assert assign_folds(labels, distinct(50), num_folds=5, seed=0).max() == 4
    first_rows = distinct(50)
    first_rows[36] = 35
    expected = (
        "The training data has only 4 different image(s) of digit 7: 5 folds need 5 at least."
    )
    with pytest.raises(TableError, match=re.escape(expected)):
        assign_folds(labels, first_rows, num_folds=5, seed=0)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_validation_set_and_the_rest_are_the_rows(fraction: float) -> None:
    rows = np.flatnonzero(np.arange(500) % 5)
    fit, validation = split_validation(draw_labels(), rows, fraction=fraction, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([fit, validation])), rows)
    assert len(validation) == round(fraction * len(rows))
    for part in (fit, validation):
        np.testing.assert_array_equal(part, np.sort(part))


def test_validation_set_has_each_digit_in_its_share() -> None:
    labels = draw_labels()
    rows = np.flatnonzero(np.arange(500) % 5)
    _, validation = split_validation(labels, rows, fraction=0.1, seed=0)
    expected = np.bincount(labels[rows]) * 0.1
    assert np.abs(np.bincount(labels[validation]) - expected).max() < 1


def test_seed_decides_the_validation_set() -> None:
    first, again, other = (
        split_validation(draw_labels(), distinct(), fraction=0.1, seed=seed)[1]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_validation_set_without_room_for_every_digit_is_an_error() -> None:
    expected = (
        r"train\.validation_fraction: 0\.01 of 500 rows makes 5 image\(s\), expected at least 1"
    )
    with pytest.raises(ParamsError, match=expected):
        split_validation(draw_labels(), distinct(), fraction=0.01, seed=0)


def test_single_training_image_of_a_digit_is_an_error() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 5)
    rows = np.array([row for row in range(50) if row not in (15, 16, 17, 18)])
    with pytest.raises(TableError, match="hold a single image of digit 3: expected 2 at least"):
        split_validation(labels, rows, fraction=0.5, seed=0)

"""From rows to which network misclassified which image."""

from dataclasses import replace

import numpy as np
import pytest

from comparison.evidence import group
from pipeline.errors import ArtifactError
from tests.comparison.rows_of_runs import ROW

OTHER = replace(ROW, seed=1, errors=1, misclassified="9:0")
OURS = replace(ROW, recipe="ours", errors=3, misclassified="3:1 9:4 11:5")


def test_seeds_are_stacked_and_images_are_the_same_for_all() -> None:
    grouped = group([OTHER, ROW, OURS])
    author, ours = (grouped["dense_baseline", recipe, 1.0] for recipe in ("author", "ours"))
    assert [row.seed for row in author.rows] == [0, 1]
    # The images that were ever missed come first: 3, 7, 9 and 11.
    np.testing.assert_array_equal(
        author.errors[0][:, :5].astype(int), [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    )
    np.testing.assert_array_equal(ours.errors[0][:, :5].astype(int), [[1, 0, 1, 1, 0]])
    assert author.errors[0].shape == (2, 200)
    assert author.errors[0].sum() == 3
    assert author.seeds == 2


def test_folds_have_images_of_their_own() -> None:
    second = replace(ROW, fold=1, errors=1, misclassified="40:2", images=100)
    (trained,) = group([ROW, second]).values()
    assert {fold: errors.shape for fold, errors in trained.errors.items()} == {
        0: (1, 200),
        1: (1, 100),
    }
    shares = trained.error_shares()
    assert len(shares) == 300
    assert shares.sum() == 3
    assert trained.error_shares([1]).sum() == 1


def test_rows_of_different_data_are_refused() -> None:
    with pytest.raises(ArtifactError, match="different data: dense_baseline-author-1-0-1 and"):
        group([ROW, replace(OTHER, data="f" * 12)])

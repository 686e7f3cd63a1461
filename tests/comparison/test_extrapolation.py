"""Errors that follow a power law, drawn with known parameters."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from comparison.evidence import Trained
from comparison.extrapolation import extrapolate
from comparison.table import Row
from tests.comparison.rows_of_runs import ROW

SIZES = {0.25: 8_400, 0.5: 16_800, 1.0: 33_600}


def error_at(images: float) -> float:
    """0.02 with 8,400 images, half of it with four times as many."""
    return 0.02 / math.sqrt(images / 8_400)


def draw(
    generator: np.random.Generator,
    *,
    seeds: int = 1,
    folds: Sequence[int] = (0,),
    images: int = 8_400,
) -> dict[float, Trained]:
    """Errors of networks: each image has its own difficulty, the same for every fraction."""
    images = 8_400
    difficulty = {fold: generator.random(images) for fold in folds}
    return {
        fraction: Trained(
            [_row(fraction, size)],
            {
                fold: np.stack([difficulty[fold] < error_at(size)] * seeds)
                ^ (generator.random((seeds, images)) < 0.0005)
                for fold in folds
            },
        )
        for fraction, size in SIZES.items()
    }


def _row(fraction: float, size: int) -> Row:
    return replace(ROW, fraction=fraction, training_images=size)


def test_exact_power_law_is_continued() -> None:
    trained = {
        fraction: Trained(
            [_row(fraction, size)], {0: np.arange(100_000)[np.newaxis] < 1e5 * error_at(size)}
        )
        for fraction, size in SIZES.items()
    }
    more = extrapolate(trained, 60_000, resamples=200)
    assert more.exponent == pytest.approx(0.5, abs=0.01)
    assert 1 - more.accuracy.value == pytest.approx(error_at(60_000), rel=0.01)
    assert more.accuracy.low < more.accuracy.value < more.accuracy.high


def test_interval_covers_what_there_would_be_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(0), 0
    for _ in range(100):
        more = extrapolate(draw(generator), 60_000, resamples=200)
        expected = 1 - error_at(60_000) - 0.0005
        covered += more.accuracy.low <= expected <= more.accuracy.high
    assert 88 <= covered <= 100


def test_more_images_that_score_make_it_narrower() -> None:
    def width(**more: object) -> float:
        drawn = draw(np.random.default_rng(1), **more)  # type: ignore[arg-type]
        accuracy = extrapolate(drawn, 60_000, resamples=400).accuracy
        return accuracy.high - accuracy.low

    assert width(folds=(0, 1, 2, 3)) < 0.7 * width()


def test_seeds_that_differ_make_it_wider() -> None:
    alike = draw(np.random.default_rng(2), seeds=3)
    (bad, *_), (_, *good) = alike[0.25].errors[0], alike[1.0].errors[0]
    unlike = alike | {1.0: Trained(alike[1.0].rows, {0: np.stack([bad, *good])})}
    spread = [extrapolate(each, 60_000, resamples=400).accuracy for each in (alike, unlike)]
    assert spread[1].high - spread[1].low > 1.5 * (spread[0].high - spread[0].low)


def test_network_without_an_error_still_leaves_doubt() -> None:
    trained = {
        fraction: Trained([_row(fraction, size)], {0: np.zeros((1, 1_000), dtype=bool)})
        for fraction, size in SIZES.items()
    }
    more = extrapolate(trained, 60_000, resamples=100)
    assert 0.999 < more.accuracy.value < 1


def test_only_folds_that_scored_every_fraction_count() -> None:
    trained = draw(np.random.default_rng(3), folds=(0, 1))
    one_fold = {
        fraction: Trained(each.rows, {0: each.errors[0]}) for fraction, each in trained.items()
    }
    lacking = one_fold | {1.0: trained[1.0]}
    assert extrapolate(lacking, 60_000, resamples=50) == extrapolate(one_fold, 60_000, resamples=50)

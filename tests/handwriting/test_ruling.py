"""Squared paper as dark as the pen."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import Problem, find_digit
from tests.handdrawn import opaque, paint
from tests.papers import dark_grid


def test_digit_on_a_dark_grid_is_as_it_is_on_white() -> None:
    for digit in (0, 2, 4, 7):
        image = find_digit(dark_grid(digit, np.random.default_rng(digit))).image
        alone = find_digit(dark_grid(digit, np.random.default_rng(digit), dark=0.0)).image
        assert np.abs(image.astype(int) - alone).mean() < 14, digit


def test_dark_grid_alone_shows_nothing() -> None:
    grid = np.zeros((200, 240))
    grid[::18] = grid[:, ::18] = 1
    assert find_digit(paint(grid)).problem is Problem.BLANK


@pytest.mark.parametrize(("slant", "period"), [(1.0, 100), (1.27, 130)])
def test_broad_stripes_that_cannot_be_taken_out_end_the_search(slant: float, period: int) -> None:
    y, x = np.indices((98, 371))
    stripes = np.where((x + slant * y) % period < period / 2, 60.0, 200.0)
    assert find_digit(opaque(stripes[..., np.newaxis])).image.shape == (28, 28)

"""Squared paper as dark as the pen."""

import numpy as np

from pipeline.handwriting.find_digit import Problem, find_digit
from tests.handdrawn import paint
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

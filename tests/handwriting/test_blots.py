"""Patches of ink are no digits."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import Problem, find_digit
from tests.handdrawn import draw_ink, paint
from tests.non_digits import NO_DIGITS


@pytest.mark.parametrize("diameter", [6, 24, 60, 140])
def test_disc_is_no_digit(diameter: int) -> None:
    y, x = np.mgrid[:200, :200] - 99.5
    assert find_digit(paint((np.hypot(y, x) < diameter / 2) * 1.0)).problem is Problem.BLANK


@pytest.mark.parametrize("kind", ["disc", "filled square", "filled triangle", "blot"])
def test_filled_shapes_are_no_digits(kind: str) -> None:
    generator = np.random.default_rng(9)
    problems = [find_digit(NO_DIGITS[kind](generator)).problem for _ in range(12)]
    assert sum(problem is None for problem in problems) <= 1


@pytest.mark.parametrize("width", [0.05, 0.2, 0.3])
def test_thick_pens_draw_digits(width: float) -> None:
    generator = np.random.default_rng(10)
    for digit in range(10):
        assert find_digit(paint(draw_ink(digit, generator, width=width))).problem is None, digit

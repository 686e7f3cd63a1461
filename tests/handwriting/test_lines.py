"""Lines under and over a digit are left out; bars and bases that belong to one stay."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import find_digit
from tests.distractors import Pen, draw, marked, unlikeness
from tests.handdrawn import arc, paint


@pytest.mark.parametrize(
    "kind", ["underline", "fill in line", "double underline", "lines above and below"]
)
def test_digit_is_as_it_is_without_lines(kind: str) -> None:
    generator = np.random.default_rng(2)
    for digit in (0, 1, 2, 4, 7):
        alone, together = marked(kind, digit, generator)
        assert unlikeness(together, alone) < 5, digit


FLAG_OF_5: list[Pen] = [
    ([(80, 60), (78, 95), *arc(92, 115, 26, 24, -120, 140)], 7),
    ([(86, 49), (125, 46)], 7),
]
BASE_OF_1: list[Pen] = [([(85, 60), (100, 45), (100, 130)], 6), ([(80, 139), (120, 139)], 6)]
BAR_OF_7: list[Pen] = [([(70, 50), (130, 50)], 7), ([(126, 59), (95, 150)], 7)]
STROKE_OF_4: list[Pen] = [([(90, 40), (65, 105), (107, 105)], 7), ([(118, 60), (116, 150)], 7)]
ONE_AND_SPECK: list[Pen] = [([(100, 40), (97, 150)], 7), ([(120, 80), (122, 86)], 5)]


@pytest.mark.parametrize("pens", [FLAG_OF_5, BASE_OF_1, BAR_OF_7, STROKE_OF_4, ONE_AND_SPECK])
def test_straight_piece_of_a_digit_is_kept(pens: list[Pen]) -> None:
    ink = draw(pens)
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis=axis)) for axis in (1, 0))
    image = find_digit(paint(ink)).image > 100
    across, down = (np.flatnonzero(image.any(axis=axis)) for axis in (0, 1))
    ratio = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
    assert (np.ptp(across) + 1) / (np.ptp(down) + 1) == pytest.approx(ratio, abs=0.15)

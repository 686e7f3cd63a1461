"""Pictures of 8×8 pixels, and the same with each pixel repeated."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import find_digit
from pipeline.handwriting.tiny import enlarge_tiny
from tests.handdrawn import draw_ink, paint
from tests.papers import eight_by_eight


def test_digits_of_8_by_8_pixels_are_found() -> None:
    generator = np.random.default_rng(6)
    glyphs = [find_digit(eight_by_eight(index % 10, generator)) for index in range(60)]
    assert sum(glyph.problem is not None for glyph in glyphs) <= 2


@pytest.mark.parametrize("times", [2, 9, 40])
def test_repeated_pixels_change_nothing(times: int) -> None:
    small = eight_by_eight(3, np.random.default_rng(7))
    large = small.repeat(times, axis=0).repeat(times, axis=1)
    assert np.array_equal(find_digit(large).image, find_digit(small).image)


@pytest.mark.parametrize("size", [28, 120])
def test_other_pictures_stay_as_they_are(size: int) -> None:
    pixels = paint(draw_ink(3, np.random.default_rng(8), size=size))
    assert enlarge_tiny(pixels) is pixels

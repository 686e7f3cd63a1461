"""Letters and scribbles that networks take for digits."""

import numpy as np
import pytest

from pipeline.handwriting.crossings import is_unlike_digit
from pipeline.handwriting.find_digit import find_digit
from pipeline.handwriting.reader import Reader
from tests.distractors import draw, write
from tests.handdrawn import paint
from tests.non_digits import NO_DIGITS, lettering


@pytest.mark.parametrize("letter", ["A", "H", "K", "M", "N", "W", "X"])
def test_letter_on_two_feet_is_no_4(letter: str) -> None:
    generator = np.random.default_rng(11)
    for _ in range(4):
        assert is_unlike_digit(find_digit(lettering(letter, generator)).image, 4)


def test_zigzag_is_no_digit() -> None:
    zigzag = [(20.0 + 150 * (i % 2), 30.0 + 20 * i) for i in range(8)]
    image = find_digit(paint(draw([(zigzag, 6)]))).image
    assert all(is_unlike_digit(image, digit) for digit in range(10))


def test_digits_are_like_themselves() -> None:
    generator = np.random.default_rng(12)
    for digit in range(10):
        for _ in range(4):
            assert not is_unlike_digit(find_digit(paint(write(digit, generator).ink)).image, digit)


def test_what_is_unlike_a_digit_is_not_sure(reader: Reader) -> None:
    generator = np.random.default_rng(13)
    readings = [reader.read(NO_DIGITS["letter a"](generator)) for _ in range(12)]
    assert all(reading.digit is not None for reading in readings)
    assert sum(reading.sure for reading in readings if reading.digit == 4) == 0

"""Where a line or an outline touches the digit, it is left out or at least doubted."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import find_digit
from tests.distractors import marked, unlikeness, write
from tests.handdrawn import paint


@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        ("touching box", (0, 3, 4, 6, 8)),
        ("touching ring", (3, 4, 6, 8)),
        ("touching underline", (3, 4, 5, 9)),
        ("crossed fill in line", (0, 4, 6, 8)),
    ],
)
def test_digit_is_found_and_doubted(kind: str, digits: tuple[int, ...]) -> None:
    generator = np.random.default_rng(3)
    for digit in digits:
        alone, together = marked(kind, digit, generator)
        assert find_digit(paint(together)).doubtful, digit
        assert unlikeness(together, alone) < 35, digit


@pytest.mark.parametrize("digit", [0, 3, 5, 6, 8, 9])
def test_struck_digit_is_doubted(digit: int) -> None:
    _, together = marked("strike through", digit, np.random.default_rng(4))
    assert find_digit(paint(together)).doubtful


def test_own_bars_and_loops_are_not_doubted() -> None:
    generator = np.random.default_rng(5)
    for digit in range(10):
        for _ in range(4):
            assert not find_digit(paint(write(digit, generator).ink)).doubtful, digit

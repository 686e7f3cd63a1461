"""1s with a flag, and what only resembles them."""

import numpy as np
import pytest

from pipeline.data.dataset import Images
from pipeline.handwriting.find_digit import find_digit
from pipeline.handwriting.flagged_ones import is_flagged_one, prefer_flagged_ones
from pipeline.handwriting.reader import Reader
from tests.distractors import draw, write
from tests.handdrawn import Line, paint

STEM: Line = [(120.0, 30.0), (116.0, 170.0)]
FLAGS: dict[str, list[Line]] = {
    "short": [STEM, [(120.0, 30.0), (95.0, 55.0)]],
    "long": [STEM, [(120.0, 30.0), (60.0, 100.0)]],
    "with a base": [STEM, [(120.0, 30.0), (95.0, 55.0)], [(90.0, 170.0), (145.0, 170.0)]],
    "leaning": [[(120.0, 30.0), (80.0, 170.0)], [(120.0, 30.0), (85.0, 62.0)]],
}
OTHERS: dict[str, list[Line]] = {
    "a level bar": [[(60.0, 32.0), (120.0, 30.0), (112.0, 170.0)]],
    "a bar that rises a little": [[(60.0, 42.0), (120.0, 30.0), (100.0, 170.0)]],
    "a bar with a serif": [[(60.0, 55.0), (60.0, 32.0), (120.0, 30.0), (110.0, 170.0)]],
    "a stem alone": [STEM],
    "a closed 4": [[(118.0, 30.0), (60.0, 120.0), (140.0, 120.0)], [(118.0, 30.0), (118.0, 170.0)]],
    "a bent stem": [[(95.0, 55.0), (120.0, 30.0), (118.0, 100.0), (70.0, 170.0)]],
    "an arm to the right": [STEM, [(120.0, 30.0), (150.0, 60.0)], [(120.0, 30.0), (95.0, 55.0)]],
}


@pytest.mark.parametrize("pen", [5, 12])
@pytest.mark.parametrize("lines", FLAGS.values(), ids=FLAGS)
def test_flag_falls_from_the_top_of_the_stem(lines: list[Line], pen: float) -> None:
    assert is_flagged_one(seen(lines, pen))


@pytest.mark.parametrize("pen", [5, 12])
@pytest.mark.parametrize("lines", OTHERS.values(), ids=OTHERS)
def test_what_is_no_flag(lines: list[Line], pen: float) -> None:
    assert not is_flagged_one(seen(lines, pen))


def test_digits_without_a_flag() -> None:
    generator = np.random.default_rng(14)
    for digit in range(10):
        for _ in range(4):
            assert not is_flagged_one(find_digit(paint(write(digit, generator).ink)).image)


def test_nothing_is_no_flag() -> None:
    assert not is_flagged_one(np.zeros((28, 28), np.uint8))


def test_outline_decides_only_where_the_networks_waver() -> None:
    flagged, level = seen(FLAGS["short"]), seen(OTHERS["a level bar"])
    wavering, certain, for_a_3 = (
        probabilities(best, one) for best, one in ((7, 0.4), (7, 0.04), (3, 0.4))
    )
    decided = prefer_flagged_ones(
        np.stack([flagged, level, flagged, flagged]),
        np.stack([wavering, wavering, certain, for_a_3]),
    )
    np.testing.assert_array_equal(decided[0, [1, 7]], wavering[[7, 1]])
    np.testing.assert_allclose(decided[0].sum(), 1)
    np.testing.assert_array_equal(decided[1:], [wavering, certain, for_a_3])


def test_reader_asks_the_outline(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(reader.ensemble),
        "member_probabilities",
        lambda _, images: np.tile(probabilities(7, 0.4), (1, len(images), 1)),
    )
    assert [
        reader.read(paint(draw([(line, 6) for line in lines]))).digit
        for lines in (FLAGS["short"], OTHERS["a level bar"])
    ] == [1, 7]


def seen(lines: list[Line], pen: float = 8) -> Images:
    """What the networks see of lines drawn on a square of 200 pixels."""
    return find_digit(paint(draw([(line, pen) for line in lines]))).image


def probabilities(best: int, one: float) -> np.ndarray:
    """Of two digits alone: of 1 ``one``, of ``best`` the rest."""
    row = np.zeros(10)
    row[best], row[1] = 1 - one, one
    return row

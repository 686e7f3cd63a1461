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
    "little fall": [STEM, [(120.0, 30.0), (75.0, 54.0)]],
    "leaning": [[(120.0, 30.0), (80.0, 170.0)], [(120.0, 30.0), (85.0, 62.0)]],
}
OTHERS: dict[str, list[Line]] = {
    "a level bar": [[(60.0, 32.0), (120.0, 30.0), (112.0, 170.0)]],
    "a bar that rises a little": [[(60.0, 42.0), (120.0, 30.0), (100.0, 170.0)]],
    "a bar with a serif": [[(60.0, 55.0), (60.0, 32.0), (120.0, 30.0), (110.0, 170.0)]],
    "a bar that rises by 20 degrees": [[(60.0, 52.0), (120.0, 30.0), (100.0, 170.0)]],
    "an open 4": [[(85.0, 40.0), (65.0, 95.0), (118.0, 90.0)], [(122.0, 30.0), (112.0, 170.0)]],
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


@pytest.mark.parametrize(
    ("height", "width", "grey"), [(0, 0, 0), (1, 1, 140), (2, 1, 255), (1, 20, 255)]
)
def test_mark_without_height_is_no_flag(height: int, width: int, grey: int) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[14 : 14 + height, 4 : 4 + width] = grey
    assert not is_flagged_one(image)


@pytest.mark.parametrize(
    ("best", "one", "decided"), [(7, 0.4, 1), (4, 0.05, 1), (7, 0.04, 7), (3, 0.4, 3)]
)
def test_outline_decides_where_networks_allow_it(best: int, one: float, decided: int) -> None:
    row = probabilities(best, one)
    before = row.copy()
    (after,) = prefer_flagged_ones(seen(FLAGS["short"])[np.newaxis], row[np.newaxis])
    assert after.argmax() == decided
    assert sorted(after) == sorted(before)
    np.testing.assert_array_equal(row, before)


def test_networks_are_believed_where_there_is_no_flag() -> None:
    row = probabilities(7, 0.4)
    (after,) = prefer_flagged_ones(seen(OTHERS["a level bar"])[np.newaxis], row[np.newaxis])
    np.testing.assert_array_equal(after, row)


def test_reader_asks_the_outline_and_is_not_sure_then(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(reader.ensemble),
        "member_probabilities",
        lambda _, images: np.tile(probabilities(7, 0.06), (1, len(images), 1)),
    )
    flagged, level = (
        reader.read(paint(draw([(line, 6) for line in lines])))
        for lines in (FLAGS["short"], OTHERS["a level bar"])
    )
    assert (flagged.digit, flagged.sure) == (1, False)
    assert (level.digit, level.sure) == (7, True)


def seen(lines: list[Line], pen: float = 8) -> Images:
    """What the networks see of lines drawn on a square of 200 pixels."""
    return find_digit(paint(draw([(line, pen) for line in lines]))).image


def probabilities(best: int, one: float) -> np.ndarray:
    """Of two digits alone: of 1 ``one``, of ``best`` the rest."""
    row = np.zeros(10)
    row[best], row[1] = 1 - one, one
    return row

"""Bold digits in pictures with hardly any paper around them."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from pipeline.handwriting.close_crops import recognize
from pipeline.handwriting.find_digit import Problem, find_digit
from pipeline.handwriting.reader import Reader
from tests.distractors import Ink
from tests.handdrawn import draw_ink, opaque, paint

Grey = tuple[float, float, float]

DARK, LIGHT = (35, 35, 35), (215, 215, 215)
SHADES = [(LIGHT, DARK), (DARK, LIGHT)]


def crop_to_ink(digit: int, margin: int) -> Ink:
    """A bold digit with so many pixels of paper around the box of its ink."""
    ink = draw_ink(digit, np.random.default_rng(1), size=400, width=0.25)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], margin)


@pytest.mark.parametrize("margin", [0, 4])
@pytest.mark.parametrize(("paper", "colour"), SHADES)
@pytest.mark.parametrize("digit", range(10))
def test_bold_digit_is_read_from_a_close_crop(
    digit: int, paper: Grey, colour: Grey, margin: int, reader: Reader
) -> None:
    reading = reader.read(paint(crop_to_ink(digit, margin), paper=paper, colour=colour))
    assert reading.digit == digit


@pytest.mark.parametrize(("paper", "colour"), SHADES)
def test_border_has_the_paper_s_colour(paper: Grey, colour: Grey) -> None:
    pixels = paint(crop_to_ink(8, 0), paper=paper, colour=colour)
    close = recognize(pixels)
    assert close is not None and close.is_mostly_ink
    laid = close.laid
    border = (laid.shape[0] - pixels.shape[0]) // 2
    assert (laid[:border] == (*paper, 255)).all() and (laid[:, -border:] == (*paper, 255)).all()
    assert np.array_equal(laid[border:-border, border:-border], pixels)


@pytest.mark.parametrize(("paper", "colour"), SHADES)
def test_disc_that_fills_the_picture_is_no_digit(paper: Grey, colour: Grey) -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    disc = (np.hypot(y, x) < 1) * 1.0
    assert find_digit(paint(disc, paper=paper, colour=colour)).problem is Problem.BLANK


def test_one_shade_noise_and_shadows_are_no_close_crop() -> None:
    generator = np.random.default_rng(2)
    noise = generator.normal(0, 1, (200, 150, 1))
    clouds = ndimage.gaussian_filter(noise, (20, 20, 0))
    y, x = np.mgrid[-1:1:200j, -1:1:150j]
    light = np.exp(-(y**2 + x**2))[..., np.newaxis]
    for levels in (0 * noise, 40 * noise + 128, 40 * clouds / clouds.std() + 128, 220 * light):
        assert recognize(opaque(levels)) is None


@pytest.mark.parametrize("scale", [0.7, 1.0])
@pytest.mark.parametrize("turn", [0, 5, 20, 45])
def test_sheet_on_a_dark_table_is_no_digit(turn: int, scale: float) -> None:
    for digit in (0, 2, 4, 8):
        sheet = paint(draw_ink(digit, np.random.default_rng(digit), width=0.09), paper=LIGHT)
        height, width = sheet.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale)
        table = cv2.warpAffine(sheet, matrix, (width, height), borderValue=(40, 40, 40, 255))
        assert recognize(table.astype(np.uint8)) is None, digit


def test_digit_amid_paper_is_no_close_crop() -> None:
    assert recognize(paint(draw_ink(8, np.random.default_rng(3)))) is None

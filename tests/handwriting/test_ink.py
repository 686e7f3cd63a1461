"""Transparent pictures: drawn, rubbed out, faded."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import find_digit
from pipeline.handwriting.pictures import Pixels
from tests.handdrawn import draw_ink, paint

INK = draw_ink(5, np.random.default_rng(14), width=0.1)


def _layer(colour: tuple[int, int, int], opacity: np.ndarray) -> Pixels:
    pixels = np.zeros((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.round(255 * opacity)
    return pixels


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
@pytest.mark.parametrize(
    "opacity",
    [INK, 1 - INK, 1 - 0.4 * INK, 0.6 * (1 - INK), 0.3 + 0.7 * INK],
    ids=["drawn", "rubbed out", "faded", "rubbed out of a faint layer", "on a faint layer"],
)
def test_opacity_draws_the_digit(colour: tuple[int, int, int], opacity: np.ndarray) -> None:
    image = find_digit(_layer(colour, opacity)).image
    assert np.abs(image.astype(int) - find_digit(paint(INK)).image).mean() < 4


def test_ink_that_was_rubbed_out_with_its_edges_darkened_is_read() -> None:
    pixels = _layer((255, 255, 255), 1 - INK)
    pixels[(INK > 0.1) & (INK < 0.9), :3] = 0
    image = find_digit(pixels).image
    assert np.abs(image.astype(int) - find_digit(paint(INK)).image).mean() < 4

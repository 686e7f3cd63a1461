"""Rings, boxes and their like are left out; a ring that encloses nothing is a digit."""

import numpy as np
import pytest

from pipeline.handwriting.find_digit import find_digit
from tests.distractors import SIZE, draw, marked, unlikeness
from tests.handdrawn import arc, paint

KINDS = (
    *("ring", "two rings", "open ring", "cut ring"),
    *("box", "rounded box", "dashed box", "corner marks"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_digit_within_is_as_it_is_alone(kind: str) -> None:
    generator = np.random.default_rng(1)
    for digit in (0, 1, 4, 5, 8):
        alone, together = marked(kind, digit, generator)
        assert unlikeness(together, alone) < 5, digit


@pytest.mark.parametrize("inside", [[], [[(100.0, 97.0), (100.0, 103.0)]]])
def test_ring_around_nothing_is_kept(inside: list[list[tuple[float, float]]]) -> None:
    ring = draw([(arc(100, 100, 40, 60, 0, 360, 60), 8)])
    with_speck = np.maximum(ring, draw([(line, 8) for line in inside]))
    assert unlikeness(with_speck, ring) < 12


def test_piece_of_a_6_in_its_own_bow_is_kept() -> None:
    bow = draw([([(125, 40), (90, 70), *arc(100, 130, 35, 35, 180, 20, 40)], 7)])
    piece = draw([(arc(102, 118, 22, 12, 200, 340), 7)])
    image = find_digit(paint(np.maximum(bow, piece))).image
    assert np.flatnonzero(image.any(axis=1)).size >= 19


def test_digits_all_around_another_are_no_ring() -> None:
    ink = np.zeros((SIZE, SIZE))
    for y in (40, 100, 160):
        for x in (40, 100, 160):
            ink = np.maximum(ink, draw([(arc(x, y, 10, 16, 0, 360), 5)]))
    assert find_digit(paint(ink)).problem is not None

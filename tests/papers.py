"""What a digit may be written on: dark squares, an opaque layer, 8×8 pixels."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from pipeline.handwriting.pictures import Pixels
from tests.distractors import SIZE, Generator, write
from tests.handdrawn import draw_ink, opaque, paint


def dark_grid(digit: int, g: Generator, *, dark: float = 1.0) -> Pixels:
    """Squared paper as dark as the pen; the digit is as tall as two to four squares."""
    ink = draw_ink(digit, g, size=SIZE, height=g.uniform(0.2, 0.35), width=g.uniform(0.09, 0.14))
    step, first = int(g.integers(14, 22)), g.integers(0, 14, 2)
    grid = np.zeros((SIZE, SIZE))
    grid[first[0] :: step] = grid[:, first[1] :: step] = dark * g.uniform(0.6, 1)
    return paint(np.maximum(ink, grid))


def erased(digit: int, g: Generator) -> Pixels:
    """Rubbed out of an opaque layer of one colour."""
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[..., :3] = (255, 0, g.integers(0, 256))[int(g.integers(3))]
    pixels[..., 3] = np.round(255 * (1 - write(digit, g).ink))
    return pixels


@cache
def _load_digits() -> Any:
    return load_digits()


def eight_by_eight(digit: int, g: Generator) -> Pixels:
    """One of scikit-learn's digits, white on black or black on white."""
    digits = _load_digits()
    level = digits.images[g.choice(np.flatnonzero(digits.target == digit))] / 16 * 255
    return opaque((level if g.random() < 0.5 else 255 - level)[..., np.newaxis])


def eight_by_eight_enlarged(digit: int, g: Generator) -> Pixels:
    times = int(g.integers(2, 41))
    return eight_by_eight(digit, g).repeat(times, axis=0).repeat(times, axis=1)


PAPERS: dict[str, Callable[[int, Generator], Pixels]] = {
    "dark grid": dark_grid,
    "erased": erased,
    "8×8": eight_by_eight,
    "8×8 enlarged": eight_by_eight_enlarged,
}

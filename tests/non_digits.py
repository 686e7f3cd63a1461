"""Pictures without a digit: blots, letters, symbols, scribbles, each a little different."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.handwriting.pictures import Pixels
from tests.distractors import SIZE, Generator, Ink, draw
from tests.handdrawn import Line, arc, paint

LETTERS: dict[str, list[Line]] = {
    "A": [[(0.05, 1), (0.5, 0), (0.95, 1)], [(0.25, 0.6), (0.75, 0.6)]],
    "E": [[(0.9, 0), (0.1, 0), (0.1, 1), (0.9, 1)], [(0.1, 0.5), (0.7, 0.5)]],
    "F": [[(0.9, 0), (0.1, 0), (0.1, 1)], [(0.1, 0.5), (0.7, 0.5)]],
    "H": [[(0.1, 0), (0.1, 1)], [(0.9, 0), (0.9, 1)], [(0.1, 0.5), (0.9, 0.5)]],
    "K": [[(0.1, 0), (0.1, 1)], [(0.85, 0), (0.1, 0.55)], [(0.35, 0.4), (0.9, 1)]],
    "M": [[(0.05, 1), (0.15, 0), (0.5, 0.7), (0.85, 0), (0.95, 1)]],
    "N": [[(0.1, 1), (0.1, 0), (0.9, 1), (0.9, 0)]],
    "R": [
        [(0.15, 1), (0.15, 0), *arc(0.5, 0.25, 0.35, 0.25, -90, 90), (0.15, 0.5)],
        [(0.45, 0.5), (0.9, 1)],
    ],
    "W": [[(0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)]],
    "X": [[(0.1, 0), (0.9, 1)], [(0.9, 0), (0.1, 1)]],
    "m": [
        [(0, 1), (0, 0.3), *arc(0.25, 0.5, 0.25, 0.3, 180, 360), (0.5, 1)],
        [*arc(0.75, 0.5, 0.25, 0.3, 180, 360), (1, 1)],
    ],
    "k": [[(0.2, 0), (0.2, 1)], [(0.75, 0.35), (0.2, 0.7), (0.85, 1)]],
}

SYMBOLS: dict[str, list[Line]] = {
    "plus": [[(0.5, 0.1), (0.5, 0.9)], [(0.1, 0.5), (0.9, 0.5)]],
    "equals": [[(0.1, 0.4), (0.9, 0.4)], [(0.1, 0.65), (0.9, 0.65)]],
    "hash": [
        [(0.35, 0), (0.3, 1)],
        [(0.7, 0), (0.65, 1)],
        [(0, 0.35), (1, 0.35)],
        [(0, 0.68), (1, 0.68)],
    ],
    "star": [[(0.5, 0), (0.8, 1), (0, 0.38), (1, 0.38), (0.2, 1), (0.5, 0)]],
    "asterisk": [
        [(0.5, 0), (0.5, 1)],
        [(0.05, 0.25), (0.95, 0.75)],
        [(0.95, 0.25), (0.05, 0.75)],
    ],
    "arrow": [[(0, 0.5), (1, 0.5)], [(0.65, 0.2), (1, 0.5), (0.65, 0.8)]],
    "triangle": [[(0.5, 0.05), (1, 0.95), (0, 0.95), (0.5, 0.05), (0.6, 0.23)]],
    "heart": [
        [(0.5, 0.95), (0.05, 0.4), *arc(0.27, 0.27, 0.23, 0.2, 170, 360)],
        [*arc(0.73, 0.27, 0.23, 0.2, 180, 370), (0.5, 0.95)],
    ],
    "house": [
        [(0.1, 1), (0.1, 0.45), (0.5, 0), (0.9, 0.45), (0.9, 1), (0.1, 1)],
        [(0.1, 0.45), (0.9, 0.45)],
    ],
    "face": [
        *(arc(0.5, 0.5, 0.5, 0.5, 0, 360, 60), arc(0.5, 0.5, 0.28, 0.28, 20, 160)),
        *([(0.35, 0.33), (0.35, 0.38)], [(0.65, 0.33), (0.65, 0.38)]),
    ],
}


def _draw_lines(lines: list[Line], g: Generator) -> Pixels:
    height, pen = SIZE * g.uniform(0.35, 0.7), g.uniform(0.05, 0.13)
    across, slant, turn = g.uniform(0.65, 1), g.uniform(-0.1, 0.2), np.deg2rad(g.uniform(-6, 6))
    drawn = []
    for line in lines:
        points = []
        for x, y in line:
            x, y = across * (x - 0.5) - slant * (y - 0.5), y - 0.5
            x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
            points.append((SIZE / 2 + x * height, SIZE / 2 + y * height))
        drawn.append((points, pen * height))
    return paint(draw(drawn))


def lettering(letter: str, g: Generator) -> Pixels:
    """One of `LETTERS`."""
    return _draw_lines(LETTERS[letter], g)


def letter(g: Generator) -> Pixels:
    return lettering(str(g.choice(list(LETTERS))), g)


def letter_a(g: Generator) -> Pixels:
    return lettering("A", g)


def symbol(g: Generator) -> Pixels:
    return _draw_lines(SYMBOLS[str(g.choice(list(SYMBOLS)))], g)


def scribble(g: Generator) -> Pixels:
    """A pen that goes to and fro, or wanders about."""
    t = np.linspace(0, 1, 300)
    if g.random() < 0.5:
        turns = g.uniform(3, 8)
        wave = 0.5 + 0.4 * np.sin(2 * np.pi * turns * t + g.uniform(0, 6)) * g.uniform(0.6, 1)
        along = t + 0.08 * np.sin(2 * np.pi * turns * 0.7 * t + g.uniform(0, 6))
        x, y = (wave, along) if g.random() < 0.5 else (along, wave)
    else:
        x, y = 0.5 + 0.35 * _waves(2 * np.pi * t, g), 0.5 + 0.35 * _waves(2 * np.pi * t, g)
    return _draw_lines([list(zip(x.tolist(), y.tolist(), strict=True))], g)


def _waves(turns: NDArray[np.float64], g: Generator) -> NDArray[np.float64]:
    waves = [np.sin(n * turns + g.uniform(0, 6)) / n**0.7 for n in (1, 2, 3, 5)]
    return np.asarray(np.sum(waves, axis=0))


def _filled(outline: Line, g: Generator) -> Pixels:
    size = 4 * SIZE
    side = size * np.exp(g.uniform(np.log(0.03), np.log(0.6)))
    x, y = (g.uniform(side / 2 + 8, size - side / 2 - 8) for _ in range(2))
    canvas = Image.new("L", (size, size))
    points = [(x + a * side, y + b * side) for a, b in outline]
    ImageDraw.Draw(canvas).polygon(points, fill=255)
    ink: Ink = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX)) / 255
    return paint(ink)


def disc(g: Generator) -> Pixels:
    return _filled(arc(0, 0, 0.5, 0.5 * g.uniform(0.75, 1), 0, 360, 80), g)


def filled_square(g: Generator) -> Pixels:
    turn = g.uniform(0, 90)
    return _filled(arc(0, 0, 0.5, 0.5, turn, turn + 360, 5), g)


def filled_triangle(g: Generator) -> Pixels:
    turn = g.uniform(0, 120)
    return _filled(arc(0, 0, 0.5, 0.5, turn, turn + 360, 4), g)


def blot(g: Generator) -> Pixels:
    """An uneven patch."""
    turns = np.linspace(0, 2 * np.pi, 120)
    waves = [g.uniform(0, 0.12 / n) * np.sin(n * turns + g.uniform(0, 6)) for n in range(2, 7)]
    radius = 0.4 + np.sum(waves, axis=0)
    return _filled([(r * np.cos(t), r * np.sin(t)) for r, t in zip(radius, turns, strict=True)], g)


NO_DIGITS: dict[str, Callable[[Generator], Pixels]] = {
    each.__name__.replace("_", " "): each
    for each in (disc, filled_square, filled_triangle, blot, letter_a, letter, symbol, scribble)
}

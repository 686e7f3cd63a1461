"""Pictures with more than the strokes of a digit: rings, boxes, lines, grids, blots, letters.

Each kind is drawn by a program, every picture of it a little different. `MARKS` are drawn about a
digit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.handwriting.find_digit import find_digit
from tests.handdrawn import Line, arc, draw_ink, paint

Ink = NDArray[np.float64]
Generator = np.random.Generator
Pen = tuple[Line, float]
"""A line in pixels, and the width of the pen."""

SIZE = 200
_SCALE = 4


@dataclass(frozen=True)
class Written:
    """A digit's ink ``(SIZE, SIZE)``, its box in pixels, and the width of its pen."""

    ink: Ink
    top: float
    bottom: float
    left: float
    right: float
    pen: float

    @property
    def centre(self) -> tuple[float, float]:
        """x, y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def width(self) -> float:
        return self.right - self.left


def write(digit: int, generator: Generator) -> Written:
    """A digit of a third to half of the picture's height."""
    height, width = generator.uniform(0.32, 0.5), generator.uniform(0.06, 0.13)
    ink = draw_ink(digit, generator, size=SIZE, height=height, width=width)
    rows, columns = np.flatnonzero((ink > 0.5).any(axis=1)), np.flatnonzero((ink > 0.5).any(axis=0))
    return Written(ink, rows[0], rows[-1] + 1, columns[0], columns[-1] + 1, SIZE * height * width)


def draw(pens: list[Pen], size: int = SIZE) -> Ink:
    """The share of ink in each pixel, ``(size, size)``, 0 to 1."""
    canvas = Image.new("L", (size * _SCALE, size * _SCALE))
    brush = ImageDraw.Draw(canvas)
    for line, width in pens:
        points = [(x * _SCALE, y * _SCALE) for x, y in line]
        thickness = max(1, round(width * _SCALE))
        brush.line(points, fill=255, width=thickness, joint="curve")
        r = thickness / 2
        for x, y in (points[0], points[-1]):
            brush.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)) / 255


def _pen(written: Written, g: Generator) -> float:
    return float(written.pen * g.uniform(0.5, 1.3))


def _oval(written: Written, g: Generator, room: float, start: float, end: float) -> Line:
    """An uneven oval about the digit, as drawn by hand."""
    x, y = written.centre
    half = float(np.hypot(written.width, written.height) / 2 + written.pen)
    across, down = (half * room * g.uniform(0.95, 1.2) for _ in range(2))
    wave, phase = g.uniform(0, 0.03), g.uniform(0, 2 * np.pi)
    points = arc(0, 0, 1, 1, start, end, 90)
    uneven = [1 + wave * np.sin(2 * np.arctan2(b, a) + phase) for a, b in points]
    return [
        (x + across * a * u, y + down * b * u) for (a, b), u in zip(points, uneven, strict=True)
    ]


def ring(written: Written, g: Generator) -> list[Pen]:
    return [(_oval(written, g, g.uniform(1.1, 1.4), -90, 275), _pen(written, g))]


def two_rings(written: Written, g: Generator) -> list[Pen]:
    pen = written.pen * 0.6
    return [(_oval(written, g, room, -90, 275), pen) for room in (1.12, 1.6)]


def open_ring(written: Written, g: Generator) -> list[Pen]:
    start = g.uniform(0, 360)
    return [(_oval(written, g, g.uniform(1.1, 1.4), start, start + 320), _pen(written, g))]


def cut_ring(written: Written, g: Generator) -> list[Pen]:
    """Larger than the picture."""
    room = SIZE / np.hypot(written.width, written.height) * g.uniform(1.0, 1.1)
    return [(_oval(written, g, room, -90, 275), _pen(written, g))]


def touching_ring(written: Written, g: Generator) -> list[Pen]:
    x, y = written.centre
    squeezed = max(written.width / 2, 0.35 * written.height), written.height / 2
    return [(arc(x, y, squeezed[0] * 1.25, squeezed[1] * 1.02, -90, 270, 90), _pen(written, g))]


def _corners(written: Written, g: Generator, room: float) -> list[tuple[float, float]]:
    """Of a box about the digit, clockwise, a little turned; ``room`` as a share of its height."""
    (x, y), off = written.centre, room * written.height + written.pen
    across = max(written.width, 0.5 * written.height) / 2 + off * g.uniform(0.9, 1.5)
    down = written.height / 2 + off
    turn = np.deg2rad(g.uniform(-4, 4))
    return [
        (x + a * np.cos(turn) - b * np.sin(turn), y + a * np.sin(turn) + b * np.cos(turn))
        for a, b in ((-across, -down), (across, -down), (across, down), (-across, down))
    ]


def box(written: Written, g: Generator) -> list[Pen]:
    corners = _corners(written, g, g.uniform(0.1, 0.35))
    return [([*corners, corners[0], corners[1]], _pen(written, g))]


def rounded_box(written: Written, g: Generator) -> list[Pen]:
    corners = np.array(_corners(written, g, g.uniform(0.15, 0.3)))
    middle, line = corners.mean(axis=0), []
    for degrees in np.deg2rad(np.linspace(0, 360, 120)):
        a, b = np.cos(degrees), np.sin(degrees)
        squared = np.array([np.sign(a) * abs(a) ** 0.4, np.sign(b) * abs(b) ** 0.4])
        line.append(tuple(middle + squared * (corners[2] - middle)))
    return [(line, _pen(written, g))]


def dashed_box(written: Written, g: Generator) -> list[Pen]:
    corners = np.array(_corners(written, g, g.uniform(0.12, 0.3)))
    pens = []
    count = int(g.integers(4, 8))
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for start in np.arange(count) / count:
            ends = (one + (other - one) * share for share in (start, start + 0.55 / count))
            pens.append(([tuple(end) for end in ends], written.pen * 0.6))
    return pens


def corner_marks(written: Written, g: Generator) -> list[Pen]:
    corners = np.array(_corners(written, g, g.uniform(0.12, 0.3)))
    pens, arm, pen = [], g.uniform(0.1, 0.3), _pen(written, g)
    for index, corner in enumerate(corners):
        ends = (corner + arm * (corners[(index + step) % 4] - corner) for step in (-1, 1))
        before, after = (tuple(end) for end in ends)
        pens.append(([before, tuple(corner), after], pen))
    return pens


def touching_box(written: Written, g: Generator) -> list[Pen]:
    """The digit reaches to one or two of its sides."""
    left, right, top, bottom = written.left, written.right, written.top, written.bottom
    off = 0.25 * written.height
    left, right = left - off * g.uniform(0, 1.2), right + off * g.uniform(0.2, 1.2)
    touched = g.integers(3)
    top = top + written.pen * 0.3 if touched != 1 else top - off * g.uniform(0.4, 1)
    bottom = bottom - written.pen * 0.3 if touched != 0 else bottom + off * g.uniform(0.4, 1)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [([*corners, corners[1]], _pen(written, g))]


def _level(written: Written, g: Generator, y: float, low: float, high: float) -> Pen:
    """A line nearly level, its length so many times the digit's width."""
    x = written.centre[0] + g.uniform(-0.1, 0.1) * written.width
    half = max(written.width, 0.45 * written.height) * g.uniform(low, high) / 2
    rise, bow = half * g.uniform(-0.06, 0.06), written.pen * g.uniform(-0.4, 0.4)
    line = [
        (x + half * t, y + rise * t + bow * (1 - t * t)) for t in np.linspace(-1, 1, 20).tolist()
    ]
    return line, _pen(written, g)


def underline(written: Written, g: Generator) -> list[Pen]:
    below = written.bottom + written.pen * 1.5 + written.height * g.uniform(0.06, 0.25)
    return [_level(written, g, below, 0.9, 1.8)]


def fill_in_line(written: Written, g: Generator) -> list[Pen]:
    below = written.bottom + written.pen * 1.5 + written.height * g.uniform(0.02, 0.2)
    reach = 0.9 * SIZE / max(written.width, 0.45 * written.height)
    return [_level(written, g, below, 0.7 * reach, reach)]


def double_underline(written: Written, g: Generator) -> list[Pen]:
    first = underline(written, g)[0]
    down = first[1] + written.pen * 0.8 + written.height * g.uniform(0.05, 0.1)
    return [first, ([(x, y + down) for x, y in first[0]], first[1])]


def lines_above_and_below(written: Written, g: Generator) -> list[Pen]:
    off = written.pen * 1.5 + written.height * g.uniform(0.08, 0.25)
    places = written.top - off, written.bottom + off
    return [_level(written, g, y, 1.2, 2.2) for y in places]


def touching_underline(written: Written, g: Generator) -> list[Pen]:
    return [_level(written, g, written.bottom - written.pen * g.uniform(-0.3, 0.5), 1.6, 3)]


def crossed_fill_in_line(written: Written, g: Generator) -> list[Pen]:
    """The digit's feet reach below the line."""
    reach = 0.9 * SIZE / max(written.width, 0.45 * written.height)
    y = written.bottom - written.height * g.uniform(0.05, 0.2)
    return [_level(written, g, y, 0.7 * reach, reach)]


def strike_through(written: Written, g: Generator) -> list[Pen]:
    return [_level(written, g, written.centre[1] + 0.1 * written.height, 1.5, 2.2)]


MARKS: dict[str, Callable[[Written, Generator], list[Pen]]] = {
    each.__name__.replace("_", " "): each
    for each in (
        *(ring, two_rings, open_ring, cut_ring, touching_ring),
        *(box, rounded_box, dashed_box, corner_marks, touching_box),
        *(underline, fill_in_line, double_underline, lines_above_and_below),
        *(touching_underline, crossed_fill_in_line, strike_through),
    )
}


def marked(name: str, digit: int, g: Generator) -> tuple[Ink, Ink]:
    """Ink of a digit alone, and with marks."""
    written = write(digit, g)
    return written.ink, np.maximum(written.ink, draw(MARKS[name](written, g)))


def unlikeness(ink: Ink, other: Ink) -> float:
    """Mean difference between what is found in two pictures, of 255."""
    one, two = (find_digit(paint(each)).image.astype(int) for each in (ink, other))
    return float(np.abs(one - two).mean())

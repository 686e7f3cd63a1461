"""Lines that are no strokes: a form's, underlines, and lines to write on.

What is straight and thin is a line only next to something else: alone it is a 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.handwriting.components import Components
from pipeline.handwriting.planes import Box, extent, span

_MARGIN = 0.15
"""Lines within this share of the picture's sides may be a form's."""

_LONG_FROM, _BENT = 6.0, 0.05
"""A line is so many times as long as it is thick, and bends by no more than that share of its
length, in addition to its thickness."""

_LEVEL_DEGREES = 20

_LONGER, _MUCH_LONGER = 1.3, 1.8
"""A level line so many times as long as the digit is wide, or as half its height, is no part of it;
nor is any line so many times as long as the digit's longer side."""

_NARROW, _UNDER_GAP = 0.4, 0.03
"""A line under a digit that is not so narrow for its height, with a gap of that share of it, is no
part of it: only a 1 has a base of its own."""

_OVER_GAP = 0.08
"""Between a digit and a line over it; the bar of a 5 or 7 is nearer."""

_SMALLEST = 0.3
"""Next to a line that is not level there must be something of this share of its length."""


def is_edge_line(components: Components, number: int) -> bool:
    """Whether a component is a line along an edge, or a frame around everything."""
    box, shape = components.boxes[number], components.shape
    extents = extent(box)
    for axis in (0, 1):
        is_thin = extents[axis] <= min(0.1 * shape[axis], extents[1 - axis] / 2)
        off = 0.2 * shape[axis]
        is_outside = box[axis].stop < off or box[axis].start > shape[axis] - off
        if is_thin and is_outside and number in components.touching:
            return True
    if any(extent < 0.7 * size for extent, size in zip(extents, shape, strict=True)):
        return False
    part = components.part(number)
    inside = tuple(
        slice(max(0, round(_MARGIN * size) - s.start), round((1 - _MARGIN) * size) - s.start)
        for s, size in zip(box, shape, strict=True)
    )
    if part[inside].any():
        return False
    down, across = (max(1, round(0.1 * extent)) for extent in extents)
    corners = (part[:down, :across], part[:down, -across:], part[-down:, :across])
    return sum(bool(corner.any()) for corner in (*corners, part[-down:, -across:])) >= 3


@dataclass(frozen=True)
class _Line:
    """A straight line: its box, its length in pixels, and whether it is nearly horizontal."""

    box: Box
    length: float
    is_level: bool

    @classmethod
    def fit(cls, components: Components, number: int) -> Self | None:
        """By principal components; None if a component is not straight, or short for its width."""
        box = components.boxes[number]
        if max(extent(box)) < _LONG_FROM:
            return None
        points = np.argwhere(components.part(number)).astype(float)
        points -= points.mean(axis=0)
        _, axes = np.linalg.eigh(points.T @ points)
        breadth, length = np.ptp(points @ axes, axis=0) + 1
        thickness = len(points) / length
        if length < _LONG_FROM * thickness or breadth > 2 * thickness + _BENT * length:
            return None
        down, across = np.abs(axes[:, 1])
        return cls(box, float(length), bool(np.degrees(np.arctan2(down, across)) <= _LEVEL_DEGREES))

    def is_apart(self, digit: Box) -> bool:
        """Whether it is a line under or over a digit, or next to it and much longer."""
        height, width = extent(digit)
        if self.length >= _MUCH_LONGER * max(height, width):
            return self.is_level or max(height, width) >= _SMALLEST * self.length
        if not self.is_level:
            return False
        is_longer = self.length >= _LONGER * max(width, height / 2)
        under, over = self.box[0].start - digit[0].stop, digit[0].start - self.box[0].stop
        if over >= 0:  # the bar of a 5 or 7
            return bool(is_longer and over >= _OVER_GAP * height and self._spans(digit))
        is_no_1 = width >= _NARROW * height and under >= _UNDER_GAP * height
        return bool(under >= 0 and (is_longer or is_no_1))

    def _spans(self, digit: Box) -> bool:
        return bool(self.box[1].start <= digit[1].start and self.box[1].stop >= digit[1].stop)


def find_lines(components: Components, numbers: Sequence[int]) -> set[int]:
    """Straight lines under, over or next to what is no such line, or an upright one."""
    lines = {number: line for number in numbers if (line := _Line.fit(components, number))}
    digits = [number for number in numbers if number not in lines] or [
        number for number in numbers if not lines[number].is_level
    ]
    rest = {number: line for number, line in lines.items() if number not in digits}
    if not digits or not rest:
        return set()
    main = components.heaviest(digits)
    digit = span(components.mask(components.group(main, digits)))
    return {number for number, line in rest.items() if line.is_apart(digit)}

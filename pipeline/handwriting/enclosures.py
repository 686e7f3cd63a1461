"""Rings, boxes and the like around a digit: what encloses something is no stroke of it.

A ring that encloses nothing is a 0, so what lies within it decides.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.components import Components
from pipeline.handwriting.planes import Box, Mask, extent, measure_depth, span

_SMALLEST_INSIDE, _FLATTEST, _RATHER_FLAT = 0.2, 0.4, 0.75
"""What is enclosed may be a digit if its height is these shares of what encloses it, and of its own
width."""

_CLEARANCE = 0.05
"""If it is rather flat, it must stay so far away from what encloses it, as a share of that: a 6 may
enclose a piece of itself."""

_DIRECTIONS = 72

_ENCLOSED_FROM, _ENCLOSED_AT_EDGE_FROM = 0.8, 0.55
"""Share of the directions in which a ring is met from within. At the picture's edge, which may have
cut it, fewer do."""

_FEWEST_PIECES = 4
"""So many dashes, dots or corners surround a digit."""

_OFF_HULL = 0.12
"""How far from the convex hull of everything such pieces reach, as a share of its shorter side,
besides their own width."""

_WIDEST_GAP_DEGREES = 150


def find_enclosing(components: Components, numbers: Sequence[int]) -> set[int]:
    """The rings and boxes, whole or in pieces, around what may be a digit."""
    rings = set(_find_rings(components, numbers)) | _find_cut_ring(components, numbers)
    rest = [number for number in numbers if number not in rings]
    return rings | _find_pieces(components, rest)


def _find_rings(components: Components, numbers: Sequence[int]) -> Iterator[int]:
    for outer in numbers:
        box = components.boxes[outer]
        least = _SMALLEST_INSIDE * max(extent(box))
        inside = [
            number
            for number in numbers
            if number != outer
            and _may_be_digit(components.boxes[number], least)
            and _is_within(components.boxes[number], box)
            and _is_clear(components, number, outer)
        ]
        if inside:
            centre = _centre(components.boxes[components.heaviest(inside)])
            bound = _ENCLOSED_AT_EDGE_FROM if outer in components.touching else _ENCLOSED_FROM
            if _share_seen(centre, components.part(outer), box) >= bound:
                yield outer


def _find_cut_ring(components: Components, numbers: Sequence[int]) -> set[int]:
    """What is left of a ring that the picture's edge has cut in pieces."""
    pieces = [number for number in numbers if number in components.touching]
    inner = [number for number in numbers if number not in components.touching]
    if len(pieces) < 2 or not inner:
        return set()
    main = components.boxes[components.heaviest(inner)]
    box = span(components.mask(pieces))
    if not (_may_be_digit(main, _SMALLEST_INSIDE * max(extent(box))) and _is_within(main, box)):
        return set()
    seen = _share_seen(_centre(main), components.mask(pieces)[box], box)
    return set(pieces) if seen >= _ENCLOSED_AT_EDGE_FROM else set()


def _may_be_digit(box: Box, least: float) -> bool:
    height, width = extent(box)
    return height >= max(_FLATTEST * width, least * min(1, height / (_RATHER_FLAT * width)))


def _is_clear(components: Components, inner: int, outer: int) -> bool:
    """Whether a component keeps away from the one around it, or is too tall for a piece of it."""
    height, width = extent(components.boxes[inner])
    if height >= _RATHER_FLAT * width:
        return True
    box = components.boxes[outer]
    away = measure_depth(~components.part(outer))
    part = components.mask([inner])[box]
    return bool(away[part].min() >= _CLEARANCE * max(extent(box)))


def _is_within(inner: Box, outer: Box) -> bool:
    return all(
        one.start >= other.start and one.stop <= other.stop
        for one, other in zip(inner, outer, strict=True)
    )


def _centre(box: Box) -> NDArray[np.float64]:
    return np.array([(part.start + part.stop - 1) / 2 for part in box])


def _share_seen(centre: NDArray[np.float64], part: Mask, box: Box) -> float:
    """The share of all directions in which a component is met from a point."""
    down, across = np.nonzero(part)
    angles = np.arctan2(down + box[0].start - centre[0], across + box[1].start - centre[1])
    bins = ((angles / (2 * np.pi) + 0.5) * _DIRECTIONS).astype(int) % _DIRECTIONS
    return np.unique(bins).size / _DIRECTIONS


def _find_pieces(components: Components, numbers: Sequence[int]) -> set[int]:
    """Dashes, dots or corners all around something, along the convex hull of everything."""
    if len(numbers) < 1 + _FEWEST_PIECES:
        return set()
    mask = np.pad(components.mask(numbers), 1).view(np.uint8)
    hull = cv2.convexHull(cv2.findNonZero(mask))
    filled = cv2.fillConvexPoly(np.zeros_like(mask), hull, 1).view(bool)
    depth = measure_depth(filled)[1:-1, 1:-1]
    narrow, wide = sorted(extent(span(filled)))
    outer = set()
    for number in numbers:
        box, part = components.boxes[number], components.part(number)
        if depth[box][part].max() <= _OFF_HULL * narrow + part.sum() / sum(part.shape):
            outer.add(number)
    inner = [number for number in numbers if number not in outer]
    if len(outer) < _FEWEST_PIECES or not inner:
        return set()
    digit = components.boxes[components.heaviest(inner)]
    if not _may_be_digit(digit, _SMALLEST_INSIDE * wide):
        return set()
    away = np.array([_centre(components.boxes[number]) for number in outer]) - _centre(digit)
    angles = np.sort(np.degrees(np.arctan2(away[:, 0], away[:, 1])))
    gaps = np.diff(angles, append=angles[0] + 360)
    return outer if gaps.max() <= _WIDEST_GAP_DEGREES else set()

"""Lines and outlines that touch the digit, so that both are one component.

A line reaches past the digit on both sides; an outline is convex and has strokes within. A 0 has
none, the bars of a 4 and 7 reach past one side, and the base of a 1 is shorter than it is tall.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import Mask, extent, measure_depth, span

_TAIL = 0.07
"""A line is alone at both its ends, for so much of its length."""

_COVERED = 0.93
"""Share of a straight line between its ends that is ink."""

_OVERHANG, _LONG = 0.17, 0.8
"""It reaches past all of the digit by so much of its length, on both sides, and is so many times as
long as the digit is tall."""

_TOP_OVERHANG, _LOPSIDED = 0.25, 2.0
"""The bar of a 7 reaches far past the rest of it, that of a 4 further on one side than on
the other."""

_NARROW, _LONGER = 0.4, 1.2
"""What is so narrow for its height is a 1, the base of which is no longer than that."""

_LEFT, _OVERHANG_OF_2, _FAR_LONGER = 0.3, 0.27, 1.5
"""A 2 meets its base on the left, and that reaches no further past the rest of it, unless it is a
line of so many times the digit's height."""

_LOW = 0.7
"""How far down the digit a line under it is, or one that it is written on."""

_SOLID = 0.92
"""Share of its convex hull that an outline fills, with all that is within."""

_TALL_WITHIN, _DEEP_WITHIN, _INK_WITHIN = 0.75, 0.25, 0.08
"""What is within an outline may be a digit if it has this share of its height, is so far from it on
average (as a share of the farthest), and covers this share of its inside. An 8 has a bar there, a 0
at most loose ends and a slash."""

_STRAIGHT = 0.3
"""Width of a straight stroke, as a share of its length."""

_BOXY = 0.9
"""An outline that fills this share of its minimum-area rectangle is a box, and so no 0."""


@dataclass(frozen=True)
class Touching:
    """What touches a digit: its pixels, or None where it cannot be told from the strokes."""

    mask: Mask | None


def find_touching(mask: Mask) -> Touching | None:
    """A line or an outline in the mask of a digit, if there is one."""
    box = span(mask)
    part = mask[box]
    found = _find_line(part) or _find_outline(part)
    if found is None or found.mask is None:
        return found
    whole = np.zeros_like(mask)
    whole[box] = found.mask
    return Touching(whole)


def _find_line(part: Mask) -> Touching | None:
    width = part.shape[1]
    left, right = _end(part), _end(part[:, ::-1])
    if left is None or right is None:
        return None
    thickness = (left[1] + right[1]) / 2
    across = np.arange(width)
    level = left[0] + (right[0] - left[0]) * across / max(1, width - 1)
    if abs(right[0] - left[0]) > 0.3 * width or width < 5 * thickness:
        return None
    starts, stops = _runs_at(part, level, thickness)
    if (stops > starts).mean() < _COVERED:
        return None
    is_thin = stops - starts <= 1.6 * thickness + 1
    alone = is_thin & (part.sum(axis=0) <= stops - starts)
    tails = _leading(alone), _leading(alone[::-1])
    if min(tails) < max(_TAIL * width, thickness):
        return None
    line = _cut(part, level, starts, stops, thickness)
    rest = part & ~line
    if not rest.any():
        return None
    digit = span(rest)
    down, wide = extent(digit)
    if down < 3 * thickness or down < 0.15 * width:
        return None
    middle = (float(np.median(level)) - digit[0].start) / down
    shorter, longer = sorted((digit[1].start, width - digit[1].stop))
    if middle < _LOW:
        is_line = shorter >= (_TOP_OVERHANG if middle < 1 - _LOW else _OVERHANG) * width
        is_line = is_line and longer < _LOPSIDED * shorter
        return Touching(None) if is_line and width >= _LONG * down else None
    if wide < _NARROW * down:  # a 1, which may have a base
        return Touching(line) if width >= _LONGER * down else None
    meets = _meets_at(rest, level, thickness)
    is_2 = meets is not None and meets - digit[1].start < _LEFT * wide and not _has_loop(rest)
    overhang = _OVERHANG_OF_2 if is_2 and width < _FAR_LONGER * down else _OVERHANG
    return Touching(line) if shorter >= overhang * width and width >= _LONG * down else None


def _has_loop(mask: Mask) -> bool:
    grounds, _ = cv2.connectedComponents(
        np.pad(~mask, 1, constant_values=True).view(np.uint8), connectivity=4
    )
    return bool(grounds > 2)


def _meets_at(rest: Mask, level: NDArray[np.float64], thickness: float) -> float | None:
    """The mean column in which a digit stands on a line, or None if nowhere."""
    above = np.maximum(0, np.round(level - thickness / 2).astype(int) - 3)
    rows = np.clip(above[np.newaxis] + np.arange(3)[:, np.newaxis], 0, len(rest) - 1)
    met = np.flatnonzero(rest[rows, np.arange(rest.shape[1])].any(axis=0))
    return float(met.mean()) if met.size else None


def _end(part: Mask) -> tuple[float, float] | None:
    """Middle and thickness of the one run of ink with which a part begins on its left."""
    columns = part[:, 1 : max(2, round(_TAIL * part.shape[1]))]
    middles, widths = [], []
    for column in columns.T:
        ink = np.flatnonzero(column)
        if not ink.size or ink[-1] - ink[0] >= ink.size + 1:
            return None
        middles.append((ink[0] + ink[-1]) / 2)
        widths.append(ink.size)
    if not middles or np.ptp(middles) > max(2.0, float(np.median(widths))):
        return None
    return float(np.median(middles[: 1 + len(middles) // 2])), float(np.median(widths))


def _runs_at(
    part: Mask, level: NDArray[np.float64], thickness: float
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """In each column, where the run of ink begins and ends that is nearest to a level.

    Both are 0 where there is none within a line's thickness.
    """
    starts, stops = np.zeros((2, part.shape[1]), int)
    for x, y in enumerate(level):
        ink = np.flatnonzero(part[:, x])
        if not ink.size:
            continue
        nearest = int(np.abs(ink - y).argmin())
        if abs(ink[nearest] - y) > 0.7 * thickness + 1:
            continue
        breaks = np.flatnonzero(np.diff(ink) > 1)
        before = breaks[breaks < nearest]
        behind = breaks[breaks >= nearest]
        starts[x] = ink[before[-1] + 1] if before.size else ink[0]
        stops[x] = (ink[behind[0]] if behind.size else ink[-1]) + 1
    return starts, stops


def _leading(flags: Mask) -> int:
    """How many of the first are true, one of them missing or not."""
    false = np.flatnonzero(~flags)
    return int(false[0]) if false.size else flags.size


def _cut(
    part: Mask,
    level: NDArray[np.float64],
    starts: NDArray[np.int_],
    stops: NDArray[np.int_],
    thickness: float,
) -> Mask:
    """The line's pixels: whole runs where it is alone, its own thickness where a stroke meets it.

    Strokes that cross it are kept.
    """
    line = np.zeros_like(part)
    half = thickness / 2 + 1
    thin = stops - starts <= 1.6 * thickness + 1
    middle = np.where(thin, (starts + stops - 1) / 2, np.nan)
    known = np.flatnonzero(~np.isnan(middle))
    middle = np.interp(np.arange(len(middle)), known, middle[known]) if known.size else level
    for x, y in enumerate(middle):
        start, stop = starts[x], stops[x]
        if thin[x]:
            line[start:stop, x] = True
        elif y - start <= half + thickness / 2 or stop - 1 - y <= half + thickness / 2:
            line[max(0, round(y - half)) : round(y + half) + 1, x] = True
    return line


def _is_straight(mask: Mask) -> bool:
    points = np.argwhere(mask).astype(float)
    points -= points.mean(axis=0)
    _, axes = np.linalg.eigh(points.T @ points)
    breadth, length = np.ptp(points @ axes, axis=0) + 1
    return bool(breadth < _STRAIGHT * length and len(points) > 0.5 * breadth * length)


def _find_outline(part: Mask) -> Touching | None:
    padded = np.pad(part, 1)
    outlines, _ = cv2.findContours(padded.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    filled = cv2.drawContours(np.zeros(padded.shape, np.uint8), [outline], 0, 1, cv2.FILLED)
    corners = cv2.convexHull(outline)
    area, hull = filled.sum(), cv2.contourArea(corners)
    if area < _SOLID * hull or not hull:
        return None
    depth = measure_depth(filled.view(bool)).astype(int)
    rings = np.bincount(depth.ravel())[1:]
    ink = np.bincount(depth[padded].ravel(), minlength=len(rings) + 1)[1:] / rings
    thin = np.flatnonzero(ink < 0.6)
    if not thin.size:
        return None
    width = int(thin[0]) + 1
    within = depth > width + 1
    strokes = within & padded
    if not strokes.any():
        return None
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(strokes.view(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    tall = stats[largest, cv2.CC_STAT_HEIGHT] / extent(span(within))[0]
    deep = (depth[strokes].mean() - width) / (depth.max() - width)
    if tall < _TALL_WITHIN or deep < _DEEP_WITHIN or strokes.sum() < _INK_WITHIN * within.sum():
        return None
    if _is_straight(numbers == largest) and hull < _BOXY * np.prod(cv2.minAreaRect(corners)[1]):
        return Touching(None)
    return Touching((padded & ~within)[1:-1, 1:-1])

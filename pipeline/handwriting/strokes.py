"""Which of the ink is the digit: step 4."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import (
    Box,
    Mask,
    Plane,
    dilate,
    extent,
    measure_depth,
    span,
    square,
)

_FAINTEST_INK, _NOISE_FACTOR = 0.03, 4
"""Ink stands out by this share of full contrast, and by so many standard deviations of noise."""

_INK, _CORE = 0.3, 0.5
"""Ink is what responds by more than the first share of the peak, and reaches the second."""

_FAINTER_BY = 0.12
"""When borders are left out, the rest may be fainter, but not by more than this factor."""

_EDGE_ROOM = 3
"""Pixels about a component at the edge that go with it."""

_MARGIN = 0.15
"""Lines within this share of the picture's sides may be a form's."""


@dataclass(frozen=True)
class Strokes:
    """What may be a digit.

    Attributes:
        mask: its pixels, ``(height, width)``.
        response: how strongly each pixel responds; about 1 where there is ink.
        several: whether more than one digit stands there.
        implausibility: below 1 for what looks like pen strokes amidst a picture.
    """

    mask: Mask
    response: Plane
    several: bool
    implausibility: float

    @property
    def box(self) -> Box:
        return span(self.mask)

    @property
    def is_in_the_middle(self) -> bool:
        """Whether the picture's middle lies within its box."""
        return all(
            part.start <= size / 2 <= part.stop
            for part, size in zip(self.box, self.mask.shape, strict=True)
        )

    def cut(self) -> Plane:
        """The response of the strokes alone, with two pixels around them where there are any."""
        rows, columns = self.box
        about = (
            slice(max(0, rows.start - 2), rows.stop + 2),
            slice(max(0, columns.start - 2), columns.stop + 2),
        )
        ink: Plane = self.response[about] * dilate(self.mask[about], 1)
        return ink


def select(response: Plane, *, noise: float) -> Strokes | None:
    """The components that are the digit, or None where nothing stands out.

    What touches the edge, and is not in the middle as well, gives way to what does not touch it, if
    that looks like strokes and is no trifle.
    """
    peak = _peak(response)
    if peak < max(_FAINTEST_INK, _NOISE_FACTOR * noise):
        return None
    components = _Components(response / peak)
    found = components.group()
    if found is None or not components.at_edge:
        return found
    if found.implausibility < 1 and found.is_in_the_middle:
        return found
    rest = np.where(components.edge_mask(), 0, response)
    weaker = _peak(rest)
    if weaker < max(_FAINTEST_INK, _NOISE_FACTOR * noise, _FAINTER_BY * peak):
        return found
    inner = _Components(rest / weaker).group()
    if inner is None or inner.implausibility >= 1:
        return found
    trifling = inner.mask.sum() < 0.5 * found.mask.sum()
    return inner if found.implausibility >= 1 or not trifling else found


def _peak(response: Plane) -> float:
    """How strongly ink responds: the median of the few pixels that respond most."""
    count = min(response.size, int(np.clip(0.02 * response.size, 8, 32)))
    return float(np.partition(response.ravel(), -count // 2)[-count // 2])


class _Components:
    """The connected components of a response whose peak is about 1."""

    def __init__(self, response: Plane) -> None:
        self._response = response
        ink = response > _INK
        count, numbers, boxes, _ = cv2.connectedComponentsWithStats(
            ink.view(np.uint8), connectivity=8
        )
        self._labels = np.asarray(numbers, np.int32)
        self._boxes: list[Box] = [
            (slice(top, top + height), slice(left, left + width))
            for left, top, width, height, _ in boxes.tolist()
        ]
        self._starts = boxes[:, :2]
        self._stops = boxes[:, :2] + boxes[:, 2:4]
        labels, strengths = self._labels[ink], response[ink]
        self._mass = np.bincount(labels, strengths, minlength=count)
        cores = np.bincount(labels[strengths > _CORE], minlength=count) > 0
        everything = range(1, count)
        self._lines = {number for number in everything if self._is_line(number)}
        self._touching = {number for number in everything if self._touches_edge(number)}
        self._strong = [number for number in everything if cores[number]]

    @property
    def at_edge(self) -> bool:
        """Whether anything is a line or touches the edge."""
        return bool(self._lines or self._touching)

    def edge_mask(self) -> Mask:
        """What `at_edge` speaks of, with some room around it."""
        mask = self._mask(self._lines | self._touching)
        return dilate(mask, _EDGE_ROOM)

    def _mask(self, numbers: set[int]) -> Mask:
        chosen = np.zeros(len(self._boxes), dtype=bool)
        chosen[list(numbers)] = True
        return chosen.take(self._labels)

    def group(self) -> Strokes | None:
        """The component with most ink, and what is near it; lines only if there is nothing else."""
        candidates = [number for number in self._strong if number not in self._lines]
        only_lines = not candidates
        candidates = candidates or self._strong
        if not candidates:
            return None
        main = max(candidates, key=lambda number: self._mass[number])
        if main not in self._touching:
            candidates = [number for number in candidates if number not in self._touching]
        mask = self._mask(self._near(main, candidates))
        return Strokes(
            mask,
            self._response,
            several=main not in self._touching and self._stand_apart(candidates, main),
            implausibility=np.inf if only_lines else _implausibility(mask),
        )

    def _near(self, main: int, candidates: list[int]) -> set[int]:
        """``main`` and, step by step, what is no speck and within a quarter of its size."""
        reach = 0.25 * max(extent(self._boxes[main]))
        least = 0.02 * self._mass[main]
        waiting = np.array([n for n in candidates if n != main and self._mass[n] >= least], int)
        chosen, reached_from = {main}, [main]
        while reached_from and waiting.size:
            near = self._gaps(reached_from.pop(), waiting) < reach
            reached_from += waiting[near].tolist()
            chosen.update(waiting[near].tolist())
            waiting = waiting[~near]
        return chosen

    def _gaps(self, one: int, others: NDArray[np.int_]) -> NDArray[np.float64]:
        """Distances between the boxes of one component and of others, 0 where they overlap."""
        before = self._starts[one] - self._stops[others]
        behind = self._starts[others] - self._stops[one]
        across, down = np.maximum(np.maximum(before, behind), 0).T
        return np.asarray(np.hypot(across, down))

    def _stand_apart(self, candidates: list[int], main: int) -> bool:
        """Whether tall components stand side by side, or one above the other, with a gap.

        Above each other the gap must be wider, and one of them no piece of an upright stroke.
        """
        large = [each for each in candidates if self._mass[each] > 0.25 * self._mass[main]]
        height = max(extent(self._boxes[number])[0] for number in large)
        tall = [self._boxes[n] for n in large if extent(self._boxes[n])[0] > 0.7 * height]
        if _widest_gap([columns for _, columns in tall]) > 0.1 * height:
            return True
        is_wide = max(extent(box)[1] for box in tall) > 0.4 * height
        return is_wide and _widest_gap([rows for rows, _ in tall]) > 0.25 * height

    def _touches_edge(self, number: int) -> bool:
        return any(
            part.start <= 1 or part.stop >= size - 1
            for part, size in zip(self._boxes[number], self._labels.shape, strict=True)
        )

    def _is_line(self, number: int) -> bool:
        """Whether a component is a line along an edge, or a frame around everything."""
        box, shape = self._boxes[number], self._labels.shape
        extents = extent(box)
        for axis in (0, 1):
            is_thin = extents[axis] <= min(0.1 * shape[axis], extents[1 - axis] / 2)
            off = 0.2 * shape[axis]
            is_outside = box[axis].stop < off or box[axis].start > shape[axis] - off
            if is_thin and is_outside and self._touches_edge(number):
                return True
        if any(extent < 0.7 * size for extent, size in zip(extents, shape, strict=True)):
            return False
        part = self._labels[box] == number
        inside = tuple(
            slice(max(0, round(_MARGIN * size) - s.start), round((1 - _MARGIN) * size) - s.start)
            for s, size in zip(box, shape, strict=True)
        )
        if part[inside].any():
            return False
        down, across = (max(1, round(0.1 * extent)) for extent in extents)
        corners = (part[:down, :across], part[:down, -across:], part[-down:, :across])
        return sum(bool(corner.any()) for corner in (*corners, part[-down:, -across:])) >= 3


def _widest_gap(parts: list[slice]) -> int:
    ordered = sorted(parts, key=lambda part: part.start)
    return max((after.start - part.stop for part, after in pairwise(ordered)), default=0)


def _implausibility(mask: Mask) -> float:
    """How much a mask is unlike pen strokes amidst a picture; 1 is the bound.

    Strokes are narrow for their length and about equally wide everywhere, seldom run along the
    edge, and are no speck. On digits that people made, each figure stays below its bound.
    """
    part = mask[span(mask)]
    step = max(1, max(part.shape) // 100)
    part = np.pad(part[::step, ::step], 1)
    depth = measure_depth(part)
    ridge = depth[part & (depth == cv2.dilate(depth, square(3)))]
    if not ridge.size:
        return float(np.inf)
    thickness = stroke_width(depth, part) / max(part.shape)
    unevenness = ridge.std() / ridge.mean()
    edge = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    contact = edge / (2 * sum(mask.shape))
    size = max(extent(span(mask))) / max(mask.shape)
    return float(max(thickness / 0.4, unevenness / 0.6, contact / 0.4, 0.03 / size))


def stroke_width(depth: Plane, mask: Mask) -> float:
    """Width of a stroke in pixels: four times the mean distance of its pixels from its outline."""
    return 4 * float(depth[mask].mean())

"""The connected components of ink, where they are, and which of them stand together."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import Box, Mask, Plane, extent

_INK, _CORE = 0.3, 0.5
"""Ink is what responds by more than the first share of the peak, and reaches the second."""


class Components:
    """The connected components of a response whose peak is about 1.

    Attributes:
        response: ``(height, width)``.
        boxes: of each component by its number; 0 is what is no ink.
        mass: how much ink each has.
        strong: the numbers of those that reach ink's full strength somewhere.
        touching: the numbers of those that touch the edge.
    """

    def __init__(self, response: Plane) -> None:
        self.response = response
        ink = response > _INK
        count, numbers, boxes, _ = cv2.connectedComponentsWithStats(
            ink.view(np.uint8), connectivity=8
        )
        self._labels = np.asarray(numbers, np.int32)
        self.boxes: list[Box] = [
            (slice(top, top + height), slice(left, left + width))
            for left, top, width, height, _ in boxes.tolist()
        ]
        self._starts = boxes[:, :2]
        self._stops = boxes[:, :2] + boxes[:, 2:4]
        labels, strengths = self._labels[ink], response[ink]
        self.mass = np.bincount(labels, strengths, minlength=count)
        cores = np.bincount(labels[strengths > _CORE], minlength=count) > 0
        self.strong = [number for number in range(1, count) if cores[number]]
        self.touching = {number for number in range(1, count) if self._touches_edge(number)}

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self._labels.shape
        return height, width

    def mask(self, numbers: Iterable[int]) -> Mask:
        """All of these components, ``(height, width)``."""
        chosen = np.zeros(len(self.boxes), dtype=bool)
        chosen[list(numbers)] = True
        return chosen.take(self._labels)

    def part(self, number: int) -> Mask:
        """One component within its box."""
        return np.asarray(self._labels[self.boxes[number]] == number)

    def heaviest(self, numbers: Iterable[int]) -> int:
        """The one with most ink."""
        return max(numbers, key=lambda number: self.mass[number])

    def group(self, main: int, candidates: Sequence[int]) -> set[int]:
        """``main`` and, step by step, what is no speck and within a quarter of its size."""
        reach = 0.25 * max(extent(self.boxes[main]))
        least = 0.02 * self.mass[main]
        waiting = np.array([n for n in candidates if n != main and self.mass[n] >= least], int)
        chosen, reached_from = {main}, [main]
        while reached_from and waiting.size:
            near = self._gaps(reached_from.pop(), waiting) < reach
            reached_from += waiting[near].tolist()
            chosen.update(waiting[near].tolist())
            waiting = waiting[~near]
        return chosen

    def stand_apart(self, main: int, candidates: Sequence[int]) -> bool:
        """Whether tall components stand side by side, or one above the other, with a gap.

        Above each other the gap must be wider, and one of them no piece of an upright stroke.
        """
        large = [each for each in candidates if self.mass[each] > 0.25 * self.mass[main]]
        height = max(extent(self.boxes[number])[0] for number in large)
        tall = [self.boxes[n] for n in large if extent(self.boxes[n])[0] > 0.7 * height]
        if _widest_gap([columns for _, columns in tall]) > 0.1 * height:
            return True
        is_wide = max(extent(box)[1] for box in tall) > 0.4 * height
        return is_wide and _widest_gap([rows for rows, _ in tall]) > 0.25 * height

    def _gaps(self, one: int, others: NDArray[np.int_]) -> NDArray[np.float64]:
        """Distances between the boxes of one component and of others, 0 where they overlap."""
        before = self._starts[one] - self._stops[others]
        behind = self._starts[others] - self._stops[one]
        across, down = np.maximum(np.maximum(before, behind), 0).T
        return np.asarray(np.hypot(across, down))

    def _touches_edge(self, number: int) -> bool:
        return any(
            part.start <= 1 or part.stop >= size - 1
            for part, size in zip(self.boxes[number], self.shape, strict=True)
        )


def _widest_gap(parts: list[slice]) -> int:
    ordered = sorted(parts, key=lambda part: part.start)
    return max((after.start - part.stop for part, after in pairwise(ordered)), default=0)

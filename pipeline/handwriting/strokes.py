"""Which of the ink is the digit: step 4."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.handwriting.components import Components
from pipeline.handwriting.enclosures import find_enclosing
from pipeline.handwriting.lines import find_lines, is_edge_line
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
from pipeline.handwriting.ruling import remove_ruling
from pipeline.handwriting.touching import find_touching

_FAINTEST_INK, _NOISE_FACTOR = 0.03, 4
"""Ink stands out by this share of full contrast, and by so many standard deviations of noise."""

_FAINTER_BY = 0.12
"""When borders are left out, the rest may be fainter, but not by more than this factor."""

_EDGE_ROOM = 3
"""Pixels about a component at the edge that go with it."""

_FAINTER_THAN_RULED = 0.25
"""On ruled paper, ink is fainter than the lines by no more than this factor."""

_SPAN = 0.8
"""What reaches across such a share of the picture may be ruled lines."""

_MOST = 120
"""More components than that are a texture, in which no marks are sought."""


@dataclass(frozen=True)
class Strokes:
    """What may be a digit.

    Attributes:
        mask: its pixels, ``(height, width)``.
        response: how strongly each pixel responds; about 1 where there is ink.
        several: whether more than one digit stands there.
        implausibility: below 1 for what looks like pen strokes amidst a picture.
        removed: pixels of what was left out as a ring, box or line, ``(height, width)``, if any.
        doubtful: whether some of it may be no stroke, or some strokes may be missing.
        darkness: of the picture, ``(height, width)``, or lightness where the ink is light.
    """

    mask: Mask
    response: Plane
    several: bool
    implausibility: float
    removed: Mask | None = None
    doubtful: bool = False
    darkness: Plane | None = None

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


def select(response: Plane, *, noise: float, without: Mask | None = None) -> Strokes | None:
    """The components that are the digit, or None where nothing stands out.

    Rings, boxes and lines are left out. What touches the edge, and is not in the middle as well,
    gives way to what does not touch it, if that looks like strokes and is no trifle.

    Args:
        response: how strongly each pixel responds, ``(height, width)``.
        noise: standard deviation of its noise.
        without: what is no ink, of the same shape.
    """
    if without is not None:
        response = np.where(without, 0, response)
    faintest = max(_FAINTEST_INK, _NOISE_FACTOR * noise)
    peak = _peak(response)
    if peak < faintest:
        return None
    components = Components(response / peak)
    if any(_spans(box, response.shape) for box in components.boxes[1:]):
        unruled = remove_ruling(components.response)
        if unruled is not None:
            is_blank = _peak(unruled) < _FAINTER_THAN_RULED
            return None if is_blank else select(unruled * peak, noise=noise)
    marks = _find_marks(components)
    if marks:
        mask = dilate(components.mask(marks), _EDGE_ROOM)
        removed = mask if without is None else mask | without
        rest = select(response, noise=noise, without=removed)
        if rest is not None and rest.implausibility < 1:
            return rest if rest.removed is not None else replace(rest, removed=removed)
    found = _select_inner(components, response, peak, faintest)
    touching = None if found is None or found.implausibility >= 1 else find_touching(found.mask)
    if found is None or touching is None:
        return found
    if touching.mask is not None:
        removed = touching.mask if without is None else touching.mask | without
        rest = select(response, noise=noise, without=removed)
        if rest is not None and rest.implausibility < 1:
            removed = removed if rest.removed is None else rest.removed
            return replace(rest, removed=removed, doubtful=True)
    return replace(found, doubtful=True)


def _spans(box: Box, shape: tuple[int, ...]) -> bool:
    return any(side > _SPAN * size for side, size in zip(extent(box), shape, strict=True))


def _find_marks(components: Components) -> set[int]:
    numbers = components.strong
    if not 2 <= len(numbers) <= _MOST:
        return set()
    marks = find_enclosing(components, numbers)
    return marks or find_lines(components, numbers)


def _select_inner(
    components: Components, response: Plane, peak: float, faintest: float
) -> Strokes | None:
    lines = _edge_lines(components)
    found = _group(components, lines)
    at_edge = lines | components.touching
    if found is None or not at_edge:
        return found
    if found.implausibility < 1 and found.is_in_the_middle:
        return found
    rest = np.where(dilate(components.mask(at_edge), _EDGE_ROOM), 0, response)
    weaker = _peak(rest)
    if weaker < max(faintest, _FAINTER_BY * peak):
        return found
    others = Components(rest / weaker)
    inner = _group(others, _edge_lines(others))
    if inner is None or inner.implausibility >= 1:
        return found
    trifling = inner.mask.sum() < 0.5 * found.mask.sum()
    return inner if found.implausibility >= 1 or not trifling else found


def _edge_lines(components: Components) -> set[int]:
    return {number for number in range(1, len(components)) if is_edge_line(components, number)}


def _group(components: Components, lines: set[int]) -> Strokes | None:
    """The component with most ink, and what is near it; lines only if there is nothing else."""
    candidates = [number for number in components.strong if number not in lines]
    only_lines = not candidates
    candidates = candidates or components.strong
    if not candidates:
        return None
    main = components.heaviest(candidates)
    if main not in components.touching:
        candidates = [number for number in candidates if number not in components.touching]
    mask = components.mask(components.group(main, candidates))
    return Strokes(
        mask,
        components.response,
        several=main not in components.touching and components.stand_apart(main, candidates),
        implausibility=np.inf if only_lines else _implausibility(mask),
    )


def _peak(response: Plane) -> float:
    """How strongly ink responds: the median of the few pixels that respond most."""
    count = min(response.size, int(np.clip(0.02 * response.size, 8, 32)))
    return float(np.partition(response.ravel(), -count // 2)[-count // 2])


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

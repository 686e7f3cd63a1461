"""Foreign pictures of a digit to MNIST's form, the way MNIST itself was made.

MNIST's digits are binary ink, scaled into 20×20 with their aspect ratio kept and antialiased, their
centre of mass at the centre of 28×28 (LeCun et al., "Gradient-based learning applied to document
recognition", 1998). Everything here serves to find that ink on paper, screens and boards:

1. `_to_grey`: colours become one grey, along the axis on which strokes differ most from what
   surrounds them; transparent pictures are their opacity.
2. `_flatten`: uneven light is fitted by a quadratic surface and taken away.
3. `_respond`: the bottom-hat transform (Serra, "Image Analysis and Mathematical Morphology", 1982)
   leaves what is darker than its surroundings and narrower than a window. Shadows are wider.
4. `_select`: of the connected components, borders, lines, specks and neighbours are left out.
5. `_redraw`: the strokes are redrawn from their signed distance, which sets their width.

Where the outcome does not look like pen strokes, the steps 3 and 4 are tried again with a narrower
window and with the other polarity, and the best outcome is kept.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.digits import IMAGE_SIZE, Images

cv2.setNumThreads(1)  # for many pictures at once, `predicting` has threads of its own

Plane = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]
"""Rows and columns."""

_WORKING_SIZE = 320
"""Longest side, in pixels, in which ink is searched for."""

_CLOSER_BELOW = 80
"""A digit smaller than this, in pixels of the working size, is looked at again from nearer by."""

_SMOOTHED_FROM = 100
"""Pictures with sides of so many pixels are smoothed a little; in smaller ones each one counts."""

_WINDOWS = (0.35, 0.12)
"""Widths of the bottom-hat's window, as shares of the longest side; strokes must be narrower."""

_COARSE_FROM = 160
"""The surroundings are found at half the size in pictures with sides of so many pixels."""

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

_BOX_SIZE = 20
_CENTRE = IMAGE_SIZE / 2
"""Index of the pixel at MNIST's centres of mass: the mean over its images is 14.0, not 13.5."""

_DRAWN_SIZE = 120
"""Longest side of the ink's box, in pixels, in which strokes are measured and redrawn."""

_THINNEST, _THICKEST = 2.6, 4.4
"""Stroke widths to which thinner and thicker ones are brought, in pixels of the 20×20 box. Nine in
ten of the competition's training images lie between 2.1 and 4.4, half of them below 2.95."""

_QUADRATIC = (0, 0, 1, 0, 1, 2), (0, 1, 0, 2, 1, 0)
"""Powers of y and of x in the terms of a quadratic surface: 1, x, y, x², xy, y²."""


class Problem(StrEnum):
    """Why a picture shows no digit to read."""

    BLANK = "nothing stands out"
    SEVERAL = "more than one digit"


@dataclass(frozen=True)
class Glyph:
    """What was found in a picture.

    Attributes:
        image: uint8 ``(28, 28)`` in MNIST's form; all zero where nothing stands out.
        problem: why there is no digit to read, or None.
    """

    image: Images
    problem: Problem | None


def find_digit(pixels: NDArray[np.uint8]) -> Glyph:
    """Find the one digit in a picture: RGBA uint8 ``(height, width, 4)``, neither of them 0."""
    strokes = _search(_shrink(pixels))
    if strokes is None:
        return Glyph(np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8), Problem.BLANK)
    scale = max(pixels.shape[:2]) / max(strokes.mask.shape)
    side = max(_extent(strokes.box))
    if scale > 1 and side < _CLOSER_BELOW:
        rows, columns = (
            slice(max(0, int((part.start - side) * scale)), int((part.stop + side) * scale))
            for part in strokes.box
        )
        strokes = _search(_shrink(pixels[rows, columns])) or strokes
    return Glyph(_redraw(strokes.cut()), Problem.SEVERAL if strokes.several else None)


@dataclass(frozen=True)
class _Strokes:
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
        return _span(self.mask)

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
        ink: Plane = self.response[about] * _dilate(self.mask[about], 1)
        return ink


def _shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = _WORKING_SIZE / max(height, width)
    if scale >= 1:
        return pixels
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    if pixels[..., 3].min() == 255:
        return _resize(pixels, height, width)
    # Pillow weighs colours by their opacity.
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _search(pixels: NDArray[np.uint8]) -> _Strokes | None:
    colours, opacity = _split_alpha(pixels)
    if opacity is not None:
        return _select(opacity, noise=0.0)
    flat = _flatten(_to_grey(colours))
    noise = _noise(flat)
    polarity = 1 if _is_dark_on_light(flat) else -1
    best = None
    for sign, share in ((s * polarity, share) for s in (1, -1) for share in _WINDOWS):
        found = _select(_respond(sign * flat, share), noise=noise)
        if found is not None and (best is None or found.implausibility < best.implausibility):
            best = found
        if best is not None and best.implausibility < 1:
            break
    return best


def _split_alpha(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Plane | None]:
    """Colours ``(height, width, 3)``, or the opacity, 0 to 1, where that alone draws the digit.

    A patch of opaque picture in a transparent one is laid on its own commonest colour.
    """
    colours = pixels[..., :3]
    if pixels[..., 3].min() >= 128:
        return colours, None
    opaque = pixels[..., 3] >= 128
    opacity = pixels[..., 3].astype(np.float32) / 255
    if not opaque.any():
        return colours, opacity
    fill = np.median(colours[opaque], axis=0).astype(np.uint8)
    laid = np.where(opaque[..., np.newaxis], colours, fill)
    contrast = np.abs(laid.astype(np.int16) - fill).max()
    is_patch = opaque[_span(opaque)].mean() > 0.85 and contrast > 25
    return laid, None if is_patch else opacity


def _to_grey(colours: NDArray[np.uint8]) -> Plane:
    """The first principal component of how colours differ from their surroundings, about 0 to 1.

    It goes from dark to light, and is the grey itself for a picture without colours.
    """
    red, green, blue = np.moveaxis(colours, -1, 0)
    if np.array_equal(red, green) and np.array_equal(red, blue):
        grey: Plane = red.astype(np.float32) / 255
    else:
        step = max(1, max(red.shape) // 128)
        sample = colours[::step, ::step].astype(np.float32)
        window = max(3, round(max(sample.shape) / 8))
        around = cv2.blur(sample, (window, window), borderType=cv2.BORDER_REPLICATE)
        away = (sample - around).reshape(-1, 3)
        _, axes = np.linalg.eigh(away.T @ away)
        axis = axes[:, -1].astype(np.float32) / 255
        axis = axis if axis.sum() >= 0 else -axis
        grey = red * axis[0] + green * axis[1] + blue * axis[2]
    if max(grey.shape) >= _SMOOTHED_FROM:
        noisy = _noise(grey) > 0.04 * np.ptp(grey)
        grey = _blur(grey, 1.3 if noisy else 0.5)
    return grey


def _flatten(grey: Plane) -> Plane:
    """The grey less a quadratic surface, fitted robustly to it (Cauchy's weights, squared)."""
    height, width = grey.shape
    in_y, in_x = _powers(height), _powers(width)
    rows, columns = (slice(None, None, max(1, side // 40)) for side in grey.shape)
    powers_of_y, powers_of_x = _QUADRATIC
    terms = in_y[rows, np.newaxis][..., powers_of_y] * in_x[columns][:, powers_of_x]
    design = terms.reshape(-1, len(powers_of_y))
    sample_x, sample_y = design[:, 1], design[:, 2]
    at_border = np.maximum(np.abs(sample_x), np.abs(sample_y)) > 0.85
    values = grey[rows, columns].astype(np.float64).ravel()
    residuals = values - _median(values[at_border])
    ridge = 1e-5 * len(values) * np.eye(design.shape[1])
    for _ in range(6):
        spread = max(1.4826 * _median(np.abs(residuals)), 0.02)
        weights = np.where(at_border, 2, 1) / (1 + (residuals / (2 * spread)) ** 2) ** 2
        weighted = design * weights[:, np.newaxis]
        coefficients = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ values)
        residuals = values - design @ coefficients
    surface = np.zeros((3, 3))
    surface[_QUADRATIC] = coefficients
    return np.asarray(grey - (in_y @ surface).astype(np.float32) @ in_x.T.astype(np.float32))


def _powers(size: int) -> NDArray[np.float64]:
    """The powers 0, 1 and 2 of -1 to 1 along a side: ``(size, 3)``."""
    return np.vander(np.linspace(-1, 1, size), 3, increasing=True)


def _is_dark_on_light(flat: Plane) -> bool:
    """Whether the darkest is further from the paper than the lightest.

    The paper is the median of the whole and of a broad rim, each counted alike.
    """
    height, width = flat.shape
    rim = max(1, round(0.1 * min(height, width)))
    within = np.zeros_like(flat, dtype=bool)
    within[rim : height - rim, rim : width - rim] = True
    some = _thin_out(flat)
    border = some[~_thin_out(within)]
    paper = _median(np.concatenate([border, some[:: max(1, some.size // border.size)]]))
    rare = round(0.003 * some.size)
    ranked = np.partition(some, [rare, some.size - 1 - rare])
    return bool(paper - ranked[rare] >= ranked[some.size - 1 - rare] - paper)


def _thin_out(plane: NDArray[Any]) -> NDArray[Any]:
    """Some 6,000 values that stand for all, of every column of ``(height, width)``."""
    step = max(1, plane.size // 6_000)
    while math.gcd(step, plane.shape[1]) > 1:
        step += 1
    return plane.ravel()[::step]


def _median(values: NDArray[np.floating[Any]]) -> float:
    """The upper one of two; `numpy.median` takes several times as long."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def _noise(plane: Plane) -> float:
    """Standard deviation of the noise, from the differences of neighbours."""
    differences = _thin_out(np.diff(plane, axis=1 if plane.shape[1] > 1 else 0))
    return 1.4826 * _median(np.abs(differences)) / 2**0.5 if differences.size else 0.0


def _respond(flat: Plane, share: float) -> Plane:
    """By how much each pixel is darker than what surrounds it, 0 or more."""
    around = flat
    if max(flat.shape) >= _COARSE_FROM:
        around = _resize(flat, flat.shape[0] // 2, flat.shape[1] // 2)
    window = max(5, round(share * max(around.shape))) | 1
    around = np.asarray(cv2.morphologyEx(around, cv2.MORPH_CLOSE, _square(window)))
    if around.shape != flat.shape:
        around = _resize(around, *flat.shape)
    response = around - flat
    level = _median(_thin_out(response))
    return np.asarray(np.maximum(response - level, 0))


def _resize(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Linear interpolation; from half the size down the means of what each pixel covers."""
    halved = 2 * height <= pixels.shape[0] or 2 * width <= pixels.shape[1]
    kind = cv2.INTER_AREA if halved else cv2.INTER_LINEAR
    return cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=kind)


def _select(response: Plane, *, noise: float) -> _Strokes | None:
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
        return _dilate(mask, _EDGE_ROOM)

    def _mask(self, numbers: set[int]) -> Mask:
        chosen = np.zeros(len(self._boxes), dtype=bool)
        chosen[list(numbers)] = True
        return chosen.take(self._labels)

    def group(self) -> _Strokes | None:
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
        return _Strokes(
            mask,
            self._response,
            several=main not in self._touching and self._stand_apart(candidates, main),
            implausibility=np.inf if only_lines else _implausibility(mask),
        )

    def _near(self, main: int, candidates: list[int]) -> set[int]:
        """``main`` and, step by step, what is no speck and within a quarter of its size."""
        reach = 0.25 * max(_extent(self._boxes[main]))
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
        """Whether two tall components stand side by side with a gap between them."""
        large = [each for each in candidates if self._mass[each] > 0.25 * self._mass[main]]
        rows = [self._boxes[number][0] for number in large]
        height = max(part.stop for part in rows) - min(part.start for part in rows)
        tall = [
            self._boxes[number][1]
            for number, part in zip(large, rows, strict=True)
            if part.stop - part.start > 0.7 * height
        ]
        tall.sort(key=lambda columns: columns.start)
        return any(right.start - left.stop > 0.1 * height for left, right in pairwise(tall))

    def _touches_edge(self, number: int) -> bool:
        return any(
            part.start <= 1 or part.stop >= size - 1
            for part, size in zip(self._boxes[number], self._labels.shape, strict=True)
        )

    def _is_line(self, number: int) -> bool:
        """Whether a component is a line along an edge, or a frame around everything."""
        box, shape = self._boxes[number], self._labels.shape
        extents = _extent(box)
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


def _implausibility(mask: Mask) -> float:
    """How much a mask is unlike pen strokes amidst a picture; 1 is the bound.

    Strokes are narrow for their length and about equally wide everywhere, seldom run along the
    edge, and are no speck. On digits that people made, each figure stays below its bound.
    """
    part = mask[_span(mask)]
    step = max(1, max(part.shape) // 100)
    part = np.pad(part[::step, ::step], 1)
    depth = _measure_depth(part)
    ridge = depth[part & (depth == cv2.dilate(depth, _square(3)))]
    if not ridge.size:
        return float(np.inf)
    thickness = _stroke_width(depth, part) / max(part.shape)
    unevenness = ridge.std() / ridge.mean()
    edge = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    contact = edge / (2 * sum(mask.shape))
    size = max(_extent(_span(mask))) / max(mask.shape)
    return float(max(thickness / 0.4, unevenness / 0.6, contact / 0.4, 0.03 / size))


def _stroke_width(depth: Plane, mask: Mask) -> float:
    """Width of a stroke in pixels: four times the mean distance of its pixels from its outline."""
    return 4 * float(depth[mask].mean())


def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)


def _dilate(mask: Mask, pixels: int) -> Mask:
    """The mask and what is so many steps to the side, up or down from it."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.dilate(mask.view(np.uint8), cross, iterations=pixels).astype(bool)


def _blur(plane: Plane, deviation: float) -> Plane:
    """Gaussian smoothing, the plane being mirrored at its edges."""
    side = 2 * round(3 * deviation) + 1
    blurred = cv2.GaussianBlur(plane, (side, side), deviation, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def _measure_depth(mask: Mask) -> Plane:
    """Distance of each pixel of the mask to what does not belong to it, exactly; 0 elsewhere."""
    depth = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth, np.float32)


def _extent(box: Box) -> tuple[int, int]:
    rows, columns = box
    return rows.stop - rows.start, columns.stop - columns.start


def _span(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _redraw(ink: Plane) -> Images:
    """Strokes ``(height, width)`` in MNIST's form: uint8 ``(28, 28)``."""
    scale = _DRAWN_SIZE / max(ink.shape)
    height, width = (round(side * scale) for side in ink.shape)
    large = _resize(ink, height, width)
    large = _blur(large, 0.35 * scale) if scale > 1 else large
    # Half of the strongest response nearby, so that pressure may vary along a stroke.
    strongest = cv2.dilate(large, _square(round(0.12 * _DRAWN_SIZE)))
    nearby = _blur(np.asarray(strongest, np.float32), 0.06 * _DRAWN_SIZE)
    mask = large > 0.5 * np.maximum(nearby, 0.4)
    mask = mask if mask.any() else large >= large.max()
    return _place(_set_stroke_width(np.pad(mask, 8)))


def _set_stroke_width(mask: Mask) -> Plane:
    """The same strokes, antialiased, no thinner and no thicker than MNIST's mostly are."""
    depth = _measure_depth(mask)
    signed = np.where(mask, depth - 0.5, 0.5 - _measure_depth(~mask))
    side = max(_extent(_span(mask)))
    width = _stroke_width(depth, mask) * _BOX_SIZE / side
    change = float(np.clip(width, _THINNEST, _THICKEST)) - width
    # Thicker strokes have a larger box as well, which is then scaled down.
    drawn = np.clip(signed + change / 2 * side / (_BOX_SIZE - change) + 0.5, 0, 1)
    return np.asarray(drawn[_span(drawn > 0.5)], dtype=np.float32)


def _place(drawn: Plane) -> Images:
    """Scale into 20×20, and put the centre of mass at the centre of 28×28."""
    scale = _BOX_SIZE / max(drawn.shape)
    height, width = (max(1, round(side * scale)) for side in drawn.shape)
    scaled = _resize((drawn * 255).round().astype(np.uint8), height, width)
    moments = cv2.moments(scaled)
    centre_y, centre_x = (moments[name] / moments["m00"] for name in ("m01", "m10"))
    top = int(np.clip(round(_CENTRE - centre_y), 0, IMAGE_SIZE - height))
    left = int(np.clip(round(_CENTRE - centre_x), 0, IMAGE_SIZE - width))
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas

"""Planes of grey levels and masks: what OpenCV and NumPy need a line or two for."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

cv2.setNumThreads(1)  # for many pictures at once, `batch` has processes

_WORKING_SIZE = 320
"""Longest side, in pixels, in which ink is searched for."""

Plane = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]
"""Rows and columns."""


def resize(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Linear interpolation; from half the size down the means of what each pixel covers."""
    halved = 2 * height <= pixels.shape[0] or 2 * width <= pixels.shape[1]
    kind = cv2.INTER_AREA if halved else cv2.INTER_LINEAR
    return cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=kind)


def blur(plane: Plane, deviation: float) -> Plane:
    """Gaussian smoothing, the plane being mirrored at its edges."""
    side = 2 * round(3 * deviation) + 1
    blurred = cv2.GaussianBlur(plane, (side, side), deviation, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)


def erode(mask: Mask, side: int) -> Mask:
    """The mask without what is within half of ``side`` of its edge or the picture's."""
    return cv2.erode(mask.view(np.uint8), square(side), borderValue=0).astype(bool)


def dilate(mask: Mask, pixels: int) -> Mask:
    """The mask and what is so many steps to the side, up or down from it."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.dilate(mask.view(np.uint8), cross, iterations=pixels).astype(bool)


def measure_depth(mask: Mask) -> Plane:
    """Distance of each pixel of the mask to what does not belong to it, exactly; 0 elsewhere."""
    depth = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth, np.float32)


def extent(box: Box) -> tuple[int, int]:
    rows, columns = box
    return rows.stop - rows.start, columns.stop - columns.start


def span(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def largest_component(mask: Mask) -> Mask:
    """Its largest connected component, or nothing where there is none."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(numbers == 1 + areas.argmax()) if areas.size else np.zeros_like(mask)


def thin_out(plane: NDArray[Any]) -> NDArray[Any]:
    """Some 6,000 values that stand for all, of every column of ``(height, width)``."""
    step = max(1, plane.size // 6_000)
    while math.gcd(step, plane.shape[1]) > 1:
        step += 1
    return plane.ravel()[::step]


def median(values: NDArray[np.floating[Any]]) -> float:
    """The upper one of two; `numpy.median` takes several times as long."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def measure_noise(plane: Plane) -> float:
    """Standard deviation of the noise, from the differences of neighbours."""
    differences = thin_out(np.diff(plane, axis=1 if plane.shape[1] > 1 else 0))
    return 1.4826 * median(np.abs(differences)) / 2**0.5 if differences.size else 0.0


def shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA at the working size, or as it is where that is larger."""
    height, width = pixels.shape[:2]
    scale = _WORKING_SIZE / max(height, width)
    if scale >= 1:
        return pixels
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    if pixels[..., 3].min() == 255:
        return resize(pixels, height, width)
    # Pillow weighs colours by their opacity.
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))

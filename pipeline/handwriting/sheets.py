"""Sheets of paper, tablets and boards that lie on a ground of another shade."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import (
    Mask,
    erode,
    largest_component,
    measure_depth,
    resize,
    span,
)

_FILL, _RATIO, _DEPTH = 0.8, 0.3, 2
"""A sheet fills this share of the minimum-area rectangle about it, whose aspect ratio is this at
least, and is so many times as wide as the gaps that strokes make, which end within it."""

_EDGE = 0.02
"""Twice the width of a sheet's uneven edge, as a share of the picture's longest side."""

_COARSE_FROM = 160
"""Sheets are sought at half the size in pictures whose longest side has so many pixels."""

_LARGEST = 0.9
"""A larger share of the picture is no sheet in it, but the picture."""


def find_sheets(pixels: NDArray[np.uint8], mask: Mask) -> Iterator[Mask]:
    """What may be a sheet that is written on, with what is written.

    Args:
        pixels: RGBA ``(height, width, 4)``.
        mask: what was taken for strokes, ``(height, width)``; it may be the sheet itself.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGBA2GRAY)
    patches = mask
    if max(mask.shape) >= _COARSE_FROM:
        height, width = (side // 2 for side in mask.shape)
        grey = resize(grey, height, width)
        patches = resize(mask.view(np.uint8), height, width).view(bool)
    _, light = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for each in (patches, light > 0, light == 0):
        sheet = _fill(each)
        if sheet is not None:
            yield resize(sheet.view(np.uint8), *mask.shape).view(bool)


def _fill(patches: Mask) -> Mask | None:
    """The convex hull of the largest patch, if that is nearly a rectangle with narrow gaps."""
    largest = largest_component(patches).view(np.uint8)
    if not largest.any():
        return None
    (outline,), _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(outline)
    narrow, wide = sorted(side + 1 for side in cv2.minAreaRect(hull)[1])
    sheet = cv2.fillConvexPoly(np.zeros_like(largest), hull, 1).view(bool)
    area = sheet.sum()
    if area > _LARGEST * sheet.size or area < _FILL * narrow * wide or narrow < _RATIO * wide:
        return None
    inner = inner_part(sheet)
    gaps = inner & ~patches
    if not gaps.any() or (largest_component(gaps) & ~erode(inner, 3)).any():
        return None
    is_wider = measure_depth(sheet & patches).max() > _DEPTH * measure_depth(gaps).max()
    return sheet if is_wider else None


def inner_part(sheet: Mask) -> Mask:
    """A sheet without its uneven edge."""
    return erode(sheet, max(3, round(_EDGE * max(sheet.shape)) | 1))


def cut_out(pixels: NDArray[np.uint8], sheet: Mask) -> NDArray[np.uint8]:
    """The sheet alone; what is beyond its edge has its median colour."""
    cut: NDArray[np.uint8] = crop(pixels, sheet, 0).copy()
    size = cut.shape[1], cut.shape[0]
    box = sheet[span(sheet)].view(np.uint8)
    scaled = cv2.resize(box, size, interpolation=cv2.INTER_NEAREST)
    within = erode(scaled.view(bool), max(5, round(0.02 * max(size))))
    if within.any():
        cut[~within] = np.median(cut[within], axis=0).astype(np.uint8)
    return cut


def crop(pixels: NDArray[np.uint8], mask: Mask, margin: int) -> NDArray[np.uint8]:
    """The box of the mask, which may be smaller than the picture, and a margin of its pixels."""
    scale = max(pixels.shape[:2]) / max(mask.shape)
    rows, columns = (
        slice(max(0, int((part.start - margin) * scale)), int((part.stop + margin) * scale))
        for part in span(mask)
    )
    return pixels[rows, columns]

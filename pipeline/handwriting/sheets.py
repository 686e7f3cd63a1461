"""Sheets of paper, tablets and boards that lie on a ground of another shade."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import Mask, measure_depth, shrink, span, square

_FILL, _RATIO, _DEPTH = 0.8, 0.3, 2
"""A sheet fills this share of the narrowest rectangle about it, whose sides have at least this
ratio, and is so many times as wide as the strokes on it."""

_LARGEST = 0.9
"""A larger share of the picture is no sheet in it, but the picture."""


def find_sheets(pixels: NDArray[np.uint8], mask: Mask) -> Iterator[Mask]:
    """What may be a sheet that is written on, with what is written.

    Args:
        pixels: RGBA ``(height, width, 4)``.
        mask: what was taken for strokes, ``(height, width)``; it may be the sheet itself.
    """
    grey = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    _, light = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for patches in (mask, light > 0, light == 0):
        sheet = _fill(patches)
        if sheet is not None:
            yield sheet


def _fill(patches: Mask) -> Mask | None:
    """The rectangle that the largest patch nearly is but for narrow gaps, if it is one."""
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(patches.view(np.uint8), connectivity=8)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    if not areas.size:
        return None
    largest = (numbers == 1 + areas.argmax()).view(np.uint8)
    hull = cv2.convexHull(cv2.findNonZero(largest))
    narrow, wide = sorted(side + 1 for side in cv2.minAreaRect(hull)[1])
    sheet = cv2.fillConvexPoly(np.zeros_like(largest), hull, 1).view(bool)
    area = sheet.sum()
    if area > _LARGEST * sheet.size or area < _FILL * narrow * wide or narrow < _RATIO * wide:
        return None
    gaps = sheet & ~patches
    is_wider = measure_depth(sheet & patches).max() > _DEPTH * measure_depth(gaps).max()
    return sheet if gaps.any() and is_wider else None


def cut_out(pixels: NDArray[np.uint8], sheet: Mask) -> NDArray[np.uint8]:
    """The sheet alone, at working size; what is beyond its edge has its commonest colour."""
    cut: NDArray[np.uint8] = shrink(crop(pixels, sheet, 0)).copy()
    size = cut.shape[1], cut.shape[0]
    box = sheet[span(sheet)].view(np.uint8)
    scaled = cv2.resize(box, size, interpolation=cv2.INTER_NEAREST)
    within = cv2.erode(scaled, square(5), borderValue=0).astype(bool)
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

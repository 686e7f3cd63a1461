"""Squared and ruled paper: long parallel lines, taken out of the ink with the strokes left whole.

Lines are found by a morphological opening with a long segment. Where they run, the ink is opened
across them, which keeps what is longer in that direction than they are thick (Serra, "Image
Analysis and Mathematical Morphology", 1982).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import Mask, Plane

_LENGTH = 0.25
"""Of the segments, as a share of the picture's longest side; a digit's strokes are shorter."""

_INK = 0.3

_FEWEST, _ALMOST_NOWHERE = 3, 0.1
"""So many parallel lines make a ruling, and in no more than this share of the picture fewer."""

_THICKEST = 0.03
"""As a share of the longest side."""


def remove_ruling(response: Plane) -> Plane | None:
    """The response without ruled lines, or None where there are none that can be taken out.

    Args:
        response: how strongly each pixel responds, ``(height, width)``, its peak being about 1.
    """
    ink = response > _INK
    found = [(axis, lines) for axis in (0, 1) if (lines := _find_lines(ink, axis)) is not None]
    if not found:
        return None
    cleaned = response
    for axis, lines in found:
        longer = round(_thickness(lines, axis)) + 3
        opened = cv2.morphologyEx(cleaned, cv2.MORPH_OPEN, _segment(longer, axis))
        around = cv2.dilate(lines.view(np.uint8), _segment(3, axis)).view(bool)
        cleaned = np.where(around, opened, cleaned)
    return cleaned if (cleaned != response).any() else None


def _segment(length: int, axis: int) -> NDArray[np.uint8]:
    """A structuring element along an axis."""
    return np.ones((length, 1) if axis == 0 else (1, length), np.uint8)


def _find_lines(ink: Mask, axis: int) -> Mask | None:
    """The pixels of lines that run across an axis."""
    length = max(8, round(_LENGTH * max(ink.shape)))
    wider = cv2.dilate(ink.view(np.uint8), _segment(3, axis))
    opened = cv2.morphologyEx(wider, cv2.MORPH_OPEN, _segment(length, 1 - axis)).view(bool)
    lines = opened & ink
    if np.quantile(_count_runs(lines, axis), _ALMOST_NOWHERE) < _FEWEST:
        return None
    return lines if _thickness(lines, axis) <= max(2.0, _THICKEST * max(ink.shape)) else None


def _count_runs(mask: Mask, axis: int) -> NDArray[Any]:
    """How often a line begins, along an axis."""
    return np.asarray(np.diff(mask.astype(np.int8), axis=axis, prepend=0).clip(0).sum(axis=axis))


def _thickness(lines: Mask, axis: int) -> float:
    counts = _count_runs(lines, axis)
    return float(np.median(lines.sum(axis=axis)[counts > 0] / counts[counts > 0]))

"""Pictures of very few pixels, and such that were enlarged by repeating each."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_TINY = 20
"""Longest side, in pixels, of a picture in which a stroke is hardly wider than a pixel."""

_TIMES = 8
"""So many times larger are they searched, which makes their greys the edges of strokes."""

_SAMPLE = 20
"""Some so many rows and columns tell whether a picture can be made of blocks."""

_MARGIN = 2
"""Pixels of paper that are laid around."""


def enlarge_tiny(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA as it is; if it has few pixels, on paper and enlarged by cubic interpolation."""
    small = _reduce(pixels)
    if max(small.shape[:2]) > _TINY or min(small.shape[:2]) < 4:
        return pixels
    border = np.concatenate([small[0], small[-1], small[1:-1, 0], small[1:-1, -1]])
    paper = np.median(border, axis=0).astype(np.uint8)
    laid = np.pad(small, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)))
    laid[:_MARGIN] = laid[-_MARGIN:] = laid[:, :_MARGIN] = laid[:, -_MARGIN:] = paper
    height, width = (_TIMES * side for side in laid.shape[:2])
    enlarged = cv2.resize(laid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.uint8)


def _reduce(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One pixel for each block of equal ones, if few such blocks are the picture."""
    height, width = pixels.shape[:2]
    rows, columns = max(1, height // _SAMPLE), max(1, width // _SAMPLE)
    step = math.gcd(_side_of_blocks(pixels[::rows], 1), _side_of_blocks(pixels[:, ::columns], 0))
    if step == 1 or max(height, width) > _TINY * step:
        return pixels
    small = pixels[::step, ::step]
    return small if np.array_equal(small.repeat(step, 0).repeat(step, 1), pixels) else pixels


def _side_of_blocks(pixels: NDArray[np.uint8], axis: int) -> int:
    changes = np.flatnonzero((np.diff(pixels, axis=axis) != 0).any(axis=(1 - axis, 2))) + 1
    return int(np.gcd.reduce(np.append(changes, pixels.shape[axis])))

"""Strokes of one width."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images

STROKE_PIXELS = 2.5
"""The width that strokes are brought to: the median over the competition's training images."""

_MOST_PIXELS_OFF = 3  # at each side of a stroke; nothing of the competition's needs more

Pixels = NDArray[np.float32]


def normalize_stroke(images: Images) -> Images:
    """Grow or shrink strokes until they are `STROKE_PIXELS` wide, as `measure_strokes` measures.

    Strokes grow by grey dilation and shrink by grey erosion with a cross of five pixels (Serra,
    "Image Analysis and Mathematical Morphology", 1982), in as many whole steps as it takes, the
    last of them blended with the step before it. Strokes of different width in one digit change by
    the same amount, so that the thin parts of a bold digit fade.
    """
    widths = measure_strokes(images)
    result = images.copy()
    for change, rows in (
        (np.maximum, np.flatnonzero(widths < STROKE_PIXELS)),
        (np.minimum, np.flatnonzero(widths > STROKE_PIXELS)),
    ):
        before, widths_before = images[rows], widths[rows]
        for _ in range(_MOST_PIXELS_OFF):
            after = _over_cross(change, before)
            widths_after = measure_strokes(after)
            gained = widths_after - widths_before
            missing = STROKE_PIXELS - widths_before
            share = np.divide(missing, gained, out=np.zeros_like(gained), where=gained != 0)
            blend = np.clip(share, 0, 1)[:, np.newaxis, np.newaxis]
            result[rows] = np.rint(before * (1 - blend) + after * blend).astype(np.uint8)
            short = share > 1
            rows, before, widths_before = rows[short], after[short], widths_after[short]
    return result


def _over_cross(extreme: np.ufunc, images: Images) -> Images:
    """The extreme of each pixel and its four neighbours; around the images everything is 0."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    sides = padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
    return reduce(extreme, sides, images)


def measure_strokes(images: Images) -> Pixels:
    """Mean stroke width in pixels of uint8 images ``(n, 28, 28)``: float32 ``(n,)``, 0 if blank.

    A stroke much longer than wide has half as much outline per area as it is wide. Area is the sum
    of grey levels, outline that of their gradient's magnitude: the mean over all thresholds, by the
    coarea formula, so that no threshold has to be chosen.
    """
    pixels = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    across = (pixels[:, 1:, 1:] + pixels[:, :-1, 1:] - pixels[:, 1:, :-1] - pixels[:, :-1, :-1]) / 2
    down = (pixels[:, 1:, 1:] + pixels[:, 1:, :-1] - pixels[:, :-1, 1:] - pixels[:, :-1, :-1]) / 2
    outline = np.sqrt(across**2 + down**2).sum(axis=(1, 2))
    widths: Pixels = 2 * pixels.sum(axis=(1, 2)) / np.maximum(outline, 1)
    return widths

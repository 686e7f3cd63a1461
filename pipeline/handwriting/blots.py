"""Patches of ink, which are no strokes: discs, filled shapes, blots.

A patch wider than the window in which ink is sought responds at its rim alone, and looks like a 0.
There, however, it is as dark within the rim as on it.
"""

import numpy as np

from pipeline.handwriting.planes import Mask, Plane, dilate, measure_depth, span

_COMPACT = 2.2
"""Squares of a stroke's greatest width that cover as much: 0.8 for a disc, 1 for a square, 2 or less
for blots. On digits that people made, a thick 1 has the least: 2.9."""

_HOLLOW = 0.3
"""Share of the close surroundings that are as dark as ink. On digits that people made it is 0.05 at
most; about a rim, 0.4 or more."""

_SHARP_FROM = 100
"""In pictures with sides of so many pixels the surroundings begin two pixels away, else one."""


def is_blot(mask: Mask, darkness: Plane, removed: Mask | None) -> bool:
    """Whether what was found is a patch, or the rim of one.

    Args:
        mask: what was taken for strokes, ``(height, width)``.
        darkness: of the picture, of any range.
        removed: what lies beside them and is known to be dark, or None.
    """
    part = mask[span(mask)]
    widest = 2 * measure_depth(np.pad(part, 1)).max() - 1
    if part.sum() < _COMPACT * widest**2:
        return True
    away = 2 if max(mask.shape) >= _SHARP_FROM else 1
    around = dilate(mask, away + 2) & ~dilate(mask, away)
    if removed is not None:
        around &= ~removed
    if not around.any():
        return False
    levels = darkness[around]
    halfway = (np.median(darkness[mask]) + np.quantile(levels, 0.25)) / 2
    return bool((levels > halfway).mean() > _HOLLOW)

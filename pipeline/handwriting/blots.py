"""Patches of ink, which are no strokes: discs, filled shapes, blots.

A patch wider than the window in which ink is sought responds at its rim alone, and looks like a 0.
There, however, it is as dark within the rim as on it.
"""

import numpy as np

from pipeline.handwriting.planes import dilate, measure_depth
from pipeline.handwriting.strokes import Strokes, stroke_width

_COMPACT, _RATHER_COMPACT = 1.6, 2.2
"""How many squares of a stroke's greatest width cover as much: 0.8 for a disc, 1 for a square, 1.3
for a triangle. On digits that people made, a thick 1 has the least: 2.8. Pictures of 8×8 pixels go
down to 1.4."""

_WIDE = 2.7
"""The same of its usual width: 1.8 for a disc, 2.2 for a square. On 8×8 pixels, 2.75 or more."""

_CORE = 0.5
"""How strongly the inner part of a stroke responds, where its edges are blurred."""

_HOLLOW = 0.3
"""Share of the close surroundings that are as dark as ink. On digits that people made it is 0.05 at
most; about a rim, 0.4 or more."""

_SHARP_FROM = 100
"""In pictures with sides of so many pixels the surroundings begin two pixels away, else one."""


def is_blot(strokes: Strokes) -> bool:
    """Whether what was found is a patch, or the rim of one."""
    mask, darkness = strokes.mask, strokes.darkness
    core = mask[strokes.box] & (strokes.response[strokes.box] > _CORE)
    depth = measure_depth(np.pad(core, 1))
    if not core.any():
        return False
    widest = core.sum() / (2 * depth.max() - 1) ** 2
    usual = core.sum() / stroke_width(depth, np.pad(core, 1)) ** 2
    if widest < _COMPACT or (widest < _RATHER_COMPACT and usual < _WIDE):
        return True
    if darkness is None:
        return False
    away = 2 if max(mask.shape) >= _SHARP_FROM else 1
    around = dilate(mask, away + 2) & ~dilate(mask, away)
    if strokes.removed is not None:
        around &= ~strokes.removed
    if not around.any():
        return False
    levels = darkness[around]
    halfway = (np.median(darkness[mask]) + np.quantile(levels, 0.25)) / 2
    return bool((levels > halfway).mean() > _HOLLOW)

"""Pictures cropped so closely around a bold digit that hardly any paper is left around it.

There the paper is neither what most of the picture shows nor what surrounds all ink. The digit is
told by its form instead: one piece that reaches nearly from edge to edge, but keeps off most of
its box's edge. The paper is its complement: corners, margins and holes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.ink import split_alpha, to_grey
from pipeline.handwriting.planes import Mask, extent, largest_component, span

_ACROSS = 0.8
"""Least share of the picture's height, and of its width, that the digit reaches across."""

_ONE_PIECE = 0.9
"""Least share of all ink that belongs to the digit."""

_ON_EDGE = 0.5
"""Greatest share of the edge of the digit's box that is ink. On 621 bold digits in six fonts, with
a margin of 2 % at most, it is 0.39 at most; of paper in a frame it is 1."""

_CONVEX, _STRAIGHT, _MOST_CORNERS = 0.95, 0.01, 8
"""A sheet fills this share of its convex hull, whose outline is straight within this share of its
length between so many corners: a turned sheet that the picture's edges cut has eight."""

_TWO_SHADES = 0.85
"""Least share of grey's variance that lies between ink and paper, not within them: 0.64 in Gaussian
noise, 0.75 in an even gradient; on those bold digits 0.91 at least."""

_MOSTLY = 0.4
"""Share of ink above which paper no longer tells itself. Of 597 pictures that people made, 34 are
close crops, with 0.27 at most."""

_BORDER = 0.3
"""Width of the paper that is laid around, as a share of the longest side; 0.2 to 0.5 do as well."""


@dataclass(frozen=True)
class CloseCrop:
    """A picture that its digit fills.

    Attributes:
        laid: the picture with a broad border of its paper, RGBA uint8 ``(height, width, 4)``.
        is_mostly_ink: whether ink is taken for paper where most of a picture counts as paper.
    """

    laid: NDArray[np.uint8]
    is_mostly_ink: bool


def recognize(pixels: NDArray[np.uint8]) -> CloseCrop | None:
    """Lay a close crop on paper; None if it is none.

    Transparent pictures are none: their opacity tells what is ink.

    Args:
        pixels: RGBA ``(height, width, 4)``.
    """
    colours, opacity = split_alpha(pixels)
    if opacity is not None:
        return None
    plane = to_grey(colours)
    grey = np.interp(plane, (plane.min(), plane.max()), (0, 255)).astype(np.uint8)
    _, light = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if not _has_two_shades(grey, light > 0):
        return None
    for ink in (light == 0, light > 0):
        if _fills_picture(ink):
            height, width = ink.shape
            border = round(_BORDER * max(height, width))
            laid = np.empty((height + 2 * border, width + 2 * border, 4), np.uint8)
            laid[:] = np.median(pixels[~ink], axis=0)
            laid[border : border + height, border : border + width] = pixels
            return CloseCrop(laid, bool(ink.mean() > _MOSTLY))
    return None


def _has_two_shades(grey: NDArray[np.uint8], light: Mask) -> bool:
    """Whether ink and paper explain nearly all variance, which noise and shadows leave."""
    if light.all() or not light.any():
        return False
    explained = np.where(light, grey[light].mean(), grey[~light].mean())
    return bool(explained.var() >= _TWO_SHADES * grey.var())


def _fills_picture(ink: Mask) -> bool:
    digit = largest_component(ink)
    if digit.sum() < max(1, _ONE_PIECE * ink.sum()):
        return False
    box = span(digit)
    if any(side < _ACROSS * whole for side, whole in zip(extent(box), ink.shape, strict=True)):
        return False
    cut = ink[box]
    edge = np.concatenate([cut[0], cut[-1], cut[1:-1, 0], cut[1:-1, -1]])
    return bool(edge.mean() <= _ON_EDGE) and not _is_sheet(digit)


def _is_sheet(piece: Mask) -> bool:
    """Whether it is rather a sheet, perhaps a turned one, in which what is written leaves holes."""
    (outline,), _ = cv2.findContours(
        piece.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    filled = cv2.drawContours(np.zeros(piece.shape, np.uint8), [outline], -1, 1, cv2.FILLED)
    hull = cv2.convexHull(outline)
    whole = cv2.fillConvexPoly(np.zeros(piece.shape, np.uint8), hull, 1)
    corners = cv2.approxPolyDP(hull, _STRAIGHT * cv2.arcLength(hull, closed=True), closed=True)
    has_holes = filled.sum() > piece.sum()
    is_convex = filled.sum() >= _CONVEX * whole.sum()
    return bool(has_holes and is_convex and len(corners) <= _MOST_CORNERS)

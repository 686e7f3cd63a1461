"""Foreign pictures of a digit to MNIST's form, the way MNIST itself was made.

MNIST's digits are binary ink, scaled into 20×20 with their aspect ratio kept and antialiased, their
centre of mass at the centre of 28×28 (LeCun et al., "Gradient-based learning applied to document
recognition", 1998). Everything here serves to find that ink on paper, screens and boards:

1. `to_grey`: colours become one grey, along the axis on which strokes differ most from what
   surrounds them; transparent pictures are their opacity.
2. `flatten`: uneven light is fitted by a quadratic surface and taken away.
3. `respond`: the bottom-hat transform (Serra, "Image Analysis and Mathematical Morphology", 1982)
   leaves what is darker than its surroundings and narrower than a window. Shadows are wider.
4. `select`: of the connected components, borders, lines, specks and neighbours are left out.
5. `redraw`: the strokes are redrawn from their signed distance, which sets their width.

Where the outcome does not look like pen strokes, the steps 3 and 4 are tried again with a narrower
window and with the other polarity, and the best outcome is kept. Where it is a sheet on a ground of
another shade, the search begins anew on that sheet.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.digits import IMAGE_SIZE, Images
from pipeline.handwriting.ink import flatten, is_dark_on_light, respond, split_alpha, to_grey
from pipeline.handwriting.planes import (
    Mask,
    extent,
    measure_depth,
    measure_noise,
    resize,
    span,
    square,
)
from pipeline.handwriting.redrawing import redraw
from pipeline.handwriting.strokes import Strokes, select

_WORKING_SIZE = 320
"""Longest side, in pixels, in which ink is searched for."""

_CLOSER_BELOW = 80
"""A digit smaller than this, in pixels of the working size, is looked at again from nearer by."""

_WINDOWS = (0.35, 0.12)
"""Widths of the bottom-hat's window, as shares of the longest side; strokes must be narrower."""

_SHEET_FILL, _SHEET_DEPTH = 0.8, 2
"""A sheet fills this share of the narrowest rectangle about it, and is so many times as wide as the
strokes on it."""


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
    strokes = _search(shrink(pixels))
    if strokes is None:
        return Glyph(np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8), Problem.BLANK)
    sheet = _find_sheet(strokes.mask)
    if sheet is not None:
        written = _search(_cut_out(pixels, sheet))
        if written is not None and written.implausibility < 1:
            strokes = written
    scale = max(pixels.shape[:2]) / max(strokes.mask.shape)
    side = max(extent(strokes.box))
    several = strokes.several
    if sheet is None and scale > 1 and side < _CLOSER_BELOW:
        strokes = _search(shrink(_crop(pixels, strokes.mask, side))) or strokes
    several = several or strokes.several
    return Glyph(redraw(strokes.cut()), Problem.SEVERAL if several else None)


def _find_sheet(mask: Mask) -> Mask | None:
    """The sheet, written on, that was taken for ink as it lies on a ground of another shade.

    It is nearly a rectangle, and wider all round than what is written on it.
    """
    points = cv2.findNonZero(mask.view(np.uint8))
    hull = cv2.convexHull(points)
    sheet = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(sheet, hull, 1)
    _, sides, _ = cv2.minAreaRect(hull)
    written = sheet.view(bool) & ~mask
    is_rectangle = sheet.sum() > _SHEET_FILL * (sides[0] + 1) * (sides[1] + 1)
    is_wider = measure_depth(mask).max() > _SHEET_DEPTH * measure_depth(written).max()
    return sheet.view(bool) if is_rectangle and is_wider and written.any() else None


def _cut_out(pixels: NDArray[np.uint8], sheet: Mask) -> NDArray[np.uint8]:
    """The sheet alone, at working size; what is beyond its edge has its commonest colour."""
    cut: NDArray[np.uint8] = shrink(_crop(pixels, sheet, 0)).copy()
    size = cut.shape[1], cut.shape[0]
    box = sheet[span(sheet)].view(np.uint8)
    scaled = cv2.resize(box, size, interpolation=cv2.INTER_NEAREST)
    within = cv2.erode(scaled, square(5), borderValue=0).astype(bool)
    if within.any():
        cut[~within] = np.median(cut[within], axis=0).astype(np.uint8)
    return cut


def _crop(pixels: NDArray[np.uint8], mask: Mask, margin: int) -> NDArray[np.uint8]:
    """The box of the mask, which may be smaller than the picture, and a margin of its pixels."""
    scale = max(pixels.shape[:2]) / max(mask.shape)
    rows, columns = (
        slice(max(0, int((part.start - margin) * scale)), int((part.stop + margin) * scale))
        for part in span(mask)
    )
    return pixels[rows, columns]


def shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = _WORKING_SIZE / max(height, width)
    if scale >= 1:
        return pixels
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    if pixels[..., 3].min() == 255:
        return resize(pixels, height, width)
    # Pillow weighs colours by their opacity.
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _search(pixels: NDArray[np.uint8]) -> Strokes | None:
    colours, opacity = split_alpha(pixels)
    if opacity is not None:
        return select(opacity, noise=0.0)
    flat = flatten(to_grey(colours))
    noise = measure_noise(flat)
    polarity = 1 if is_dark_on_light(flat) else -1
    best = None
    for sign, share in ((s * polarity, share) for s in (1, -1) for share in _WINDOWS):
        found = select(respond(sign * flat, share), noise=noise)
        if found is not None and (best is None or found.implausibility < best.implausibility):
            best = found
        if best is not None and best.implausibility < 1:
            break
    return best

"""Foreign pictures of a digit to MNIST's form, the way MNIST itself was made.

MNIST's digits are binary ink, scaled into 20×20 with their aspect ratio kept and antialiased, their
centre of mass at the centre of 28×28 (LeCun et al., "Gradient-based learning applied to document
recognition", 1998). Everything here serves to find that ink on paper, screens and boards:

1. `to_grey`: colours become one grey, along the axis on which strokes differ most from what
   surrounds them; transparent pictures are their opacity.
2. `flatten`: uneven light is fitted by a quadratic surface and taken away.
3. `respond`: the bottom-hat transform (Serra, "Image Analysis and Mathematical Morphology", 1982)
   leaves what is darker than its surroundings and narrower than a window. Shadows are wider.
4. `select`: of the connected components, borders, specks and neighbours are left out, and so are
   rings, boxes and lines. Where these touch the digit, the outcome is doubtful.
5. `redraw`: the strokes are redrawn from their signed distance, which sets their width.

Where the outcome does not look like pen strokes, the steps 3 and 4 are tried again with a narrower
window and with the other polarity, and the best outcome is kept. Where it is a sheet on a ground of
another shade, the search begins again on that sheet.
A patch of ink, or the rim of one, is no digit. Pictures of a few pixels are enlarged first.
A picture that a digit fills is searched with paper laid around it: at once where most of it may be
ink, otherwise where nothing stands out without that.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.handwriting import close_crops
from pipeline.handwriting.blots import is_blot
from pipeline.handwriting.ink import flatten, is_dark_on_light, respond, split_alpha, to_grey
from pipeline.handwriting.planes import Mask, Plane, extent, measure_noise, resize, shrink
from pipeline.handwriting.redrawing import is_patch, redraw
from pipeline.handwriting.sheets import crop, cut_out, find_sheets, inner_part
from pipeline.handwriting.strokes import Strokes, select
from pipeline.handwriting.tiny import enlarge_tiny

_CLOSER_BELOW = 80
"""A digit smaller than this, in pixels of the working size, is looked at again from nearer by."""

_WINDOWS = (0.35, 0.12)
"""Widths of the bottom-hat's window, as shares of the longest side; strokes must be narrower."""

_DOUBTFUL_FROM = 0.45
"""Implausibility above which strokes may rather be a sheet that something is written on."""

_SAME_FROM = 0.5
"""Share of their boxes in common (intersection over union) from which two findings are the same."""


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
        doubtful: whether some of it may be no stroke of the digit.
    """

    image: Images
    problem: Problem | None
    doubtful: bool = False


_NOTHING = Glyph(np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8), Problem.BLANK)


def find_digit(pixels: NDArray[np.uint8]) -> Glyph:
    """Find the one digit in a picture: RGBA uint8 ``(height, width, 4)``, neither of them 0."""
    pixels = enlarge_tiny(pixels)
    small = shrink(pixels)
    looks = [partial(_find, pixels, small)]
    if close := close_crops.recognize(small):
        looks.insert(0 if close.is_mostly_ink else 1, partial(_find_laid, close.laid))
    glyphs = (look() for look in looks)
    return next((glyph for glyph in glyphs if glyph.problem is not Problem.BLANK), _NOTHING)


def _find_laid(pixels: NDArray[np.uint8]) -> Glyph:
    """The digit in a close crop that was laid on paper, where it is surely one."""
    strokes = _search(shrink(pixels))
    if strokes is None or strokes.implausibility >= 1 or strokes.several:
        return _NOTHING
    return _read(strokes)


def _find(pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> Glyph:
    """The digit in a picture, given at full size as well as shrunk, if there is paper about it."""
    strokes = _search(small)
    if strokes is None:
        return _NOTHING
    for sheet in find_sheets(small, strokes.mask):
        bound = _bound_on(sheet, strokes)
        if not bound:
            continue
        cut = cut_out(pixels, sheet)
        written = _search(shrink(cut))
        if written is not None and written.implausibility < bound:
            return _read(_look_closer(cut, written))
    return _read(_look_closer(pixels, strokes))


def _bound_on(sheet: Mask, strokes: Strokes) -> float:
    """Below which implausibility what is written on a sheet is rather the digit than strokes."""
    inner = inner_part(sheet)
    if strokes.mask[inner].any() and strokes.mask[~inner].any():  # a digit stays off the edge
        return min(strokes.implausibility, _DOUBTFUL_FROM)
    return strokes.implausibility / 2 if strokes.implausibility > _DOUBTFUL_FROM else 0.0


def _look_closer(pixels: NDArray[np.uint8], strokes: Strokes) -> Strokes:
    """Small strokes as they look from nearby, if the same are found there; others as they are."""
    scale = max(pixels.shape[:2]) / max(strokes.mask.shape)
    side = max(extent(strokes.box))
    if scale <= 1 or side >= _CLOSER_BELOW:
        return strokes
    near = shrink(crop(pixels, strokes.mask, side))
    closer = _search(near, without=_crop_removed(strokes, side, near.shape[:2]))
    if closer is None:
        return strokes
    box = np.zeros(strokes.mask.shape, np.uint8)
    box[strokes.box] = 1
    expected = resize(crop(box, strokes.mask, side), *closer.mask.shape) > 0
    found = np.zeros_like(expected)
    found[closer.box] = True
    if (expected & found).sum() < _SAME_FROM * (expected | found).sum():
        return strokes
    return replace(
        closer,
        several=strokes.several or closer.several,
        doubtful=strokes.doubtful or closer.doubtful,
    )


def _crop_removed(strokes: Strokes, margin: int, shape: tuple[int, int]) -> Mask | None:
    if strokes.removed is None:
        return None
    removed = crop(strokes.removed.view(np.uint8), strokes.mask, margin)
    return resize(removed, *shape) > 0


def _read(strokes: Strokes) -> Glyph:
    if is_blot(strokes):
        return _NOTHING
    image = redraw(strokes.cut())
    if is_patch(image):
        return _NOTHING
    return Glyph(image, Problem.SEVERAL if strokes.several else None, strokes.doubtful)


def _search(pixels: NDArray[np.uint8], without: Mask | None = None) -> Strokes | None:
    colours, opacity = split_alpha(pixels)
    if opacity is not None:
        return _darkened(select(opacity, noise=0.0, without=without), opacity)
    flat = flatten(to_grey(colours))
    noise = measure_noise(flat)
    polarity = 1 if is_dark_on_light(flat) else -1
    best = None
    for sign, share in ((s * polarity, share) for s in (1, -1) for share in _WINDOWS):
        found = select(respond(sign * flat, share), noise=noise, without=without)
        if found is not None and (best is None or found.implausibility < best.implausibility):
            best = _darkened(found, -sign * flat)
        if best is not None and best.implausibility < 1:
            break
    return best


def _darkened(strokes: Strokes | None, darkness: Plane) -> Strokes | None:
    return None if strokes is None else replace(strokes, darkness=darkness)

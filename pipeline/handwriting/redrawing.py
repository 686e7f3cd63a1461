"""Strokes drawn again in MNIST's form: step 5."""

import cv2
import numpy as np

from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.handwriting.planes import (
    Mask,
    Plane,
    blur,
    extent,
    measure_depth,
    resize,
    span,
    square,
)
from pipeline.handwriting.strokes import stroke_width

_BOX_SIZE = 20

_CENTRE = IMAGE_SIZE / 2
"""Index of the pixel at MNIST's centres of mass: the mean over its images is 14.0, not 13.5."""

_DRAWN_SIZE = 120
"""Longest side of the ink's box, in pixels, in which strokes are measured and redrawn."""

_PATCH_FILL, _PATCH_RATIO = 0.8, 0.5
"""What covers more of its box, whose aspect ratio is more than this, is no digit."""

_THINNEST, _THICKEST = 2.6, 4.4
"""Stroke widths to which thinner and thicker ones are brought, in pixels of the 20×20 box. Nine in
ten of the competition's training images lie between 2.1 and 4.4, half of them below 2.95."""


def redraw(ink: Plane) -> Images:
    """Strokes ``(height, width)`` in MNIST's form: uint8 ``(28, 28)``."""
    scale = _DRAWN_SIZE / max(ink.shape)
    height, width = (round(side * scale) for side in ink.shape)
    large = resize(ink, height, width)
    large = blur(large, 0.35 * scale) if scale > 1 else large
    # Half of the strongest response nearby, so that pressure may vary along a stroke.
    strongest = cv2.dilate(large, square(round(0.12 * _DRAWN_SIZE)))
    nearby = blur(np.asarray(strongest, np.float32), 0.06 * _DRAWN_SIZE)
    mask = large > 0.5 * np.maximum(nearby, 0.4)
    mask = mask if mask.any() else large >= large.max()
    return _place(_set_stroke_width(np.pad(mask, 8)))


def is_patch(image: Images) -> bool:
    """Whether an image in MNIST's form shows a filled patch, which no digit is."""
    box = image[span(image > 0)]
    narrow, wide = sorted(box.shape)
    return bool(box.mean() > _PATCH_FILL * 255 and narrow > _PATCH_RATIO * wide)


def _set_stroke_width(mask: Mask) -> Plane:
    """The same strokes, antialiased, no thinner and no thicker than MNIST's mostly are."""
    depth = measure_depth(mask)
    signed = np.where(mask, depth - 0.5, 0.5 - measure_depth(~mask))
    side = max(extent(span(mask)))
    width = stroke_width(depth, mask) * _BOX_SIZE / side
    change = float(np.clip(width, _THINNEST, _THICKEST)) - width
    # Thicker strokes have a larger box as well, which is then scaled down.
    drawn = np.clip(signed + change / 2 * side / (_BOX_SIZE - change) + 0.5, 0, 1)
    return np.asarray(drawn[span(drawn > 0.5)], dtype=np.float32)


def _place(drawn: Plane) -> Images:
    """Scale into 20×20, and put the centre of mass at the centre of 28×28."""
    scale = _BOX_SIZE / max(drawn.shape)
    height, width = (max(1, round(side * scale)) for side in drawn.shape)
    scaled = resize((drawn * 255).round().astype(np.uint8), height, width)
    moments = cv2.moments(scaled)
    centre_y, centre_x = (moments[name] / moments["m00"] for name in ("m01", "m10"))
    top = int(np.clip(round(_CENTRE - centre_y), 0, IMAGE_SIZE - height))
    left = int(np.clip(round(_CENTRE - centre_x), 0, IMAGE_SIZE - width))
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas

"""What brings images to the forms in which a network sees them, in training and ever after.

Each step takes uint8 images ``(n, 28, 28)`` and gives as many, and treats every image by itself.
A form is what a sequence of steps makes of an image; that of no step is the image as it is. A
network may know several forms: it is trained on all, and its answers in several are averaged.
Which they are is recorded beside it; `inference` and `reader` apply them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, reduce
from types import MappingProxyType
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import IMAGE_SIZE, Images

STROKE_PIXELS = 2.5
"""The width that strokes are brought to: the median over the competition's training images."""

WIDTH_PIXELS, HEIGHT_PIXELS = 18, 20
"""The box that every digit is stretched to fill."""

_STEEPEST_SLANT = 1.0
_MOST_PIXELS_OFF = 3  # at each side of a stroke; nothing of the competition's needs more
_BATCH = 500

Pixels = NDArray[np.float32]
Forms = Sequence[Sequence[str]]
"""Names among `STEPS`, in their order, for each form."""


def preprocess(images: Images, steps: Iterable[str]) -> Images:
    """Apply ``steps``, names among `STEPS`, to uint8 images ``(n, 28, 28)``, one after another."""
    for step in steps:
        batches = [
            STEPS[step](images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)
        ]
        images = np.concatenate(batches) if batches else images
    return images


def are_forms(record: Any) -> TypeGuard[list[list[str]]]:
    """Whether ``record``, read from JSON, lists forms that can be made of an image."""
    match record:
        case [_, *_]:
            return all(
                isinstance(form, list) and all(step in list(STEPS) for step in form)
                for form in record
            )
    return False


def deskew(images: Images) -> Images:
    """Shear each digit horizontally about its centre of mass until its main axis is upright.

    The slant is the covariance of x and y over the variance of y, grey levels being masses; it is
    bounded to 45°. Rows move with linear interpolation, so that the centre of mass stays where it
    is. LeCun et al. 1998 (Proceedings of the IEEE 86(11), section III-A) straightened their
    "deslanted" set by the same moments.
    """
    pixels = images.astype(np.float32)
    places = np.arange(IMAGE_SIZE, dtype=np.float32)
    mass = np.maximum(pixels.sum(axis=(1, 2)), 1)[:, np.newaxis]
    mass_of_rows = pixels.sum(axis=2)  # (n, 28)
    y = places - (mass_of_rows @ places)[:, np.newaxis] / mass
    x = places - (pixels.sum(axis=1) @ places)[:, np.newaxis] / mass
    covariance = np.einsum("nyx,ny,nx->n", pixels, y, x, optimize=True)
    variance = np.maximum((mass_of_rows * y**2).sum(axis=1), 1)
    slant = np.clip(covariance / variance, -_STEEPEST_SLANT, _STEEPEST_SLANT)
    return _shift_rows(pixels, slant[:, np.newaxis] * y)


def _shift_rows(pixels: Pixels, shifts: Pixels) -> Images:
    """Move each row of ``(n, 28, 28)`` to the left by its entry of ``(n, 28)``, in pixels."""
    whole = np.floor(shifts)
    padded = np.pad(pixels, ((0, 0), (0, 0), (IMAGE_SIZE, IMAGE_SIZE + 1)))
    places = np.arange(IMAGE_SIZE, 2 * IMAGE_SIZE + 1) + whole.astype(np.intp)[..., np.newaxis]
    shown = np.take_along_axis(padded, places, axis=2)  # (n, 28, 29)
    share = (shifts - whole)[..., np.newaxis]
    return np.rint(shown[..., :-1] * (1 - share) + shown[..., 1:] * share).astype(np.uint8)


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


def normalize_width(images: Images) -> Images:
    """Stretch each digit's box to `WIDTH_PIXELS` by `HEIGHT_PIXELS`, in the middle of the image.

    The aspect ratio is not kept. Resampling is bilinear, and antialiased where the box shrinks:
    Pillow's but for its rounding between rows and columns, a grey level at most. Networks that see
    digits of another width misread other digits: Ciresan et al., "Multi-column deep neural networks
    for image classification", 2012 (arXiv:1202.2745, section 3.1).
    """
    down = _resampling(images.max(axis=2), HEIGHT_PIXELS)
    across = _resampling(images.max(axis=1), WIDTH_PIXELS)
    result = np.zeros_like(images)
    top, left = (IMAGE_SIZE - HEIGHT_PIXELS) // 2, (IMAGE_SIZE - WIDTH_PIXELS) // 2
    middle = np.s_[:, top : top + HEIGHT_PIXELS, left : left + WIDTH_PIXELS]
    result[middle] = np.rint(down @ images.astype(np.float32) @ across.transpose(0, 2, 1))
    return result


def _resampling(brightest: NDArray[np.uint8], size: int) -> Pixels:
    """Matrices that bring all from the first ink to the last, or a blank side, to ``size`` pixels.

    Args:
        brightest: pixel of each row or column, ``(n, 28)``.
        size: in pixels.

    Returns:
        ``(n, size, 28)``, from `_weights`.
    """
    ink = brightest > 0
    first, last = ink.argmax(axis=1), IMAGE_SIZE - 1 - ink[:, ::-1].argmax(axis=1)
    each = [_weights(start, end, size) for start, end in zip(first, last, strict=True)]
    return np.array(each, dtype=np.float32).reshape(-1, size, IMAGE_SIZE)


@cache
def _weights(first: int, last: int, size: int) -> Pixels:
    """What each pixel from ``first`` to ``last`` counts for in each of ``size`` resampled ones.

    Returns:
        ``(size, 28)``: what Pillow makes of the identity.
    """
    identity = Image.fromarray(np.eye(IMAGE_SIZE, dtype=np.float32)[first : last + 1])
    return np.asarray(identity.resize((IMAGE_SIZE, size), Image.Resampling.BILINEAR))


STEPS: Mapping[str, Callable[[Images], Images]] = MappingProxyType(
    {
        "deskew": deskew,
        "normalize_stroke": normalize_stroke,
        "normalize_width": normalize_width,
    }
)

"""Digits of one width and height."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import IMAGE_SIZE, Images

WIDTH_PIXELS, HEIGHT_PIXELS = 18, 20
"""The box that every digit is stretched to fill."""

Pixels = NDArray[np.float32]


def normalize_width(images: Images) -> Images:
    """Stretch each digit's box to `WIDTH_PIXELS` by `HEIGHT_PIXELS`, in the middle of the image.

    The aspect ratio is not kept. Resampling is bilinear, and antialiased where the box shrinks:
    Pillow's but for its rounding between rows and columns, a grey level at most. Networks that see
    digits of another width make other errors: Ciresan et al., "Multi-column deep neural networks
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

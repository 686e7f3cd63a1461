"""What is no digit, told by how often rows and columns cross its strokes.

Networks are certain of letters and scribbles, too, and most often take them for a 4. Crossing
counts, an old feature of character recognition (Trier, Jain and Taxt, "Feature extraction methods
for character recognition: a survey", 1996), tell most of them apart: a 4 stands on one foot, an A,
H or K on two.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images
from pipeline.handwriting.planes import span

_ROWS = (0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
_COLUMNS = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
"""Where the strokes' box is crossed, as shares of its height and width."""

_INK = 127
_FOOT = _ROWS.index(0.9)
_APART = _ROWS.index(0.3), _ROWS.index(0.7)


def is_unlike_digit(image: Images, digit: int) -> bool:
    """Whether the strokes in an image are hardly those of the digit for which it was taken.

    Each of the bounds is passed by fewer than 2 in 1,000 of the competition's images.

    Args:
        image: uint8 ``(28, 28)`` in MNIST's form.
        digit: what the networks took it for.
    """
    ink = image > _INK
    if not ink.any():
        return False
    box = ink[span(ink)]
    rows = _count_crossings(box, _ROWS)
    columns = _count_crossings(box.T, _COLUMNS)
    if digit == 4 and rows[_FOOT] > 1:
        return True
    has_horns = rows[:3].min() > 1 and rows[2] > 2
    is_tangled = (rows > 2).sum() > 4 or (rows > 3).sum() > 1 or rows[list(_APART)].min() > 2
    is_layered = (columns > 3).sum() > 2 or columns.max() > 4
    return bool(has_horns or is_tangled or is_layered)


def _count_crossings(box: NDArray[np.bool_], shares: tuple[float, ...]) -> NDArray[np.intp]:
    """How many strokes lie along rows."""
    rows = box[(np.array(shares) * len(box)).astype(int)].astype(np.int8)
    return np.asarray(np.diff(rows, axis=1, prepend=0).clip(0).sum(axis=1))

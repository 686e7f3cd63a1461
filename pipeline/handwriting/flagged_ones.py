"""Whether strokes are a 1 with a flag, told by their outline.

MNIST has few flags on its 1s, so that networks read some as a 7 or a 4. The outline tells them
apart: from the top of a 1 the flag falls to the left, while the bar of a 7 is level, and the arm of
an open 4 begins apart from its stem.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Probabilities
from pipeline.handwriting.planes import Mask, span

_ONE, _MISTAKEN_FOR = 1, (4, 7)

_POSSIBLE_FROM = 0.05
"""The least probability of a 1. Below it, an outline says less than the networks do."""

_SCALE, _INK = 4, 127

_LEAST_HEIGHT = 0.4
"""Of the image: lower strokes have no stem."""

_STEM = 0.5, 0.8
"""Rows of the stem that tell its direction, as shares of the height; a base lies below them."""

_FLAG_ABOVE, _RIGHT_ABOVE = 0.75, 0.8
"""Rows that a flag may reach, and rows in which nothing lies to the right of the stem."""

_LEAST_FLAG, _BEND, _RIGHT = 0.12, 0.06, 0.06
"""Of the height: how far a flag reaches at least, and how far at most the stem bends and something
stands out on its right."""

_FLAG_ENDS = 0.3, 0.85
"""Shares of a flag's reach between which its slope is measured: its ends are round."""

_LEAST_SLOPE = np.tan(np.radians(25))


def prefer_flagged_ones(images: Images, probabilities: Probabilities) -> Probabilities:
    """Give a 1 the probability of a 4 or 7 where a 1 is possible and the outline has a flag.

    docs/experiments/handwriting.md tells how often that is right.

    Args:
        images: uint8 ``(n, 28, 28)`` in MNIST's form.
        probabilities: ``(n, 10)``.

    Returns:
        The same, with two probabilities swapped in some rows.
    """
    decided = probabilities.copy()
    for image, row in zip(images, decided, strict=True):
        best = int(row.argmax())
        if best in _MISTAKEN_FOR and row[_ONE] >= _POSSIBLE_FROM and is_flagged_one(image):
            row[[_ONE, best]] = row[[best, _ONE]]
    return decided


def is_flagged_one(image: Images) -> bool:
    """Whether there is a straight stem, from whose top a flag falls to the left, and no more.

    Args:
        image: uint8 ``(28, 28)`` in MNIST's form.
    """
    side = IMAGE_SIZE * _SCALE
    ink = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) > _INK
    if not ink.any():
        return False
    box = ink[span(ink)]
    height, width = box.shape
    has_hole = _count_parts(~np.pad(box, 1)) > 1
    if has_hole or height < _LEAST_HEIGHT * side or not box.any(axis=1).all():
        return False
    left, right = box.argmax(axis=1), width - 1 - box[:, ::-1].argmax(axis=1)
    starts = np.array([_start_of_last_run(row) for row in box])
    rows = np.arange(height)
    stem = slice(int(_STEM[0] * height), int(_STEM[1] * height))
    centre = (starts + right) / 2
    line = np.polynomial.Polynomial.fit(rows[stem], centre[stem], 1)(rows)
    half = float(np.median(right[stem] - starts[stem])) / 2
    bend = np.abs(centre - line)[stem].max()
    stands_out = (right - line - half)[: int(_RIGHT_ABOVE * height)].max()
    if bend > _BEND * height or stands_out > _RIGHT * height:
        return False
    reach = (line - half - left)[: int(_FLAG_ABOVE * height)]
    longest = reach.max()
    if longest < _LEAST_FLAG * height:
        return False
    begins, ends = (int((reach >= share * longest).argmax()) for share in _FLAG_ENDS)
    falls = ends - begins >= _LEAST_SLOPE * (_FLAG_ENDS[1] - _FLAG_ENDS[0]) * longest
    return bool(falls and _count_parts(box[: ends + 1]) == 1)


def _count_parts(mask: Mask) -> int:
    """How many pieces there are, each connected by the sides of its pixels."""
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return parts - 1


def _start_of_last_run(row: NDArray[np.bool_]) -> int:
    """The first column of the stroke that lies furthest to the right."""
    columns = np.flatnonzero(row)
    gaps = np.flatnonzero(np.diff(columns) > 1)
    return int(columns[gaps[-1] + 1] if gaps.size else columns[0])

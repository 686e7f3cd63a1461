"""Whether strokes are a 1 with a flag, told by their outline.

MNIST has few flags on its 1s, so that networks waver between them and 7, 4 or 2. The outline tells
them apart: from the top of a 1 the flag falls to the left, while the bar of a 7 is level.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Probabilities
from pipeline.handwriting.planes import Mask, span

ONE, MISTAKEN_FOR = 1, (2, 4, 7)

_WAVERING_FROM = 0.05
"""The least probability of a 1. Below it, an outline says less than the networks do."""

_SCALE, _INK = 4, 127

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
    """Give a 1 the probability of a 2, 4 or 7 where networks waver and the outline has a flag.

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
        if best in MISTAKEN_FOR and row[ONE] >= _WAVERING_FROM and is_flagged_one(image):
            row[[ONE, best]] = row[[best, ONE]]
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
    if not box.any(axis=1).all() or _has_hole(box):
        return False
    height, width = box.shape
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
    return bool(ends - begins >= _LEAST_SLOPE * (_FLAG_ENDS[1] - _FLAG_ENDS[0]) * longest)


def _has_hole(box: Mask) -> bool:
    """Whether the strokes enclose some ground."""
    ground = (~np.pad(box, 1)).astype(np.uint8)
    parts, _ = cv2.connectedComponents(ground, connectivity=4)
    return parts > 2  # the strokes, and the ground about them


def _start_of_last_run(row: NDArray[np.bool_]) -> int:
    """The first column of the stroke that lies furthest to the right."""
    columns = np.flatnonzero(row)
    gaps = np.flatnonzero(np.diff(columns) > 1)
    return int(columns[gaps[-1] + 1] if gaps.size else columns[0])

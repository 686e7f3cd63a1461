"""What digit a picture shows, and how sure the exported networks are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Probabilities
from pipeline.ensemble.onnx import ExportedEnsemble
from pipeline.handwriting.crossings import is_unlike_digit
from pipeline.handwriting.find_digit import Glyph, Problem, find_digit
from pipeline.handwriting.flagged_ones import prefer_flagged_ones
from pipeline.handwriting.pictures import Pixels

SURE_FROM = 0.9
"""Probability from which a reading counts as sure. docs/experiments/handwriting.md tells how
often readings above and below it are correct."""

SAMPLE_WARNING = "The networks trained on the embedded sample only: expect many errors."

TURNED_DEGREES = 10
"""People lean their digits more than MNIST's writers did, so each image is also read turned this
far to either side."""


@dataclass(frozen=True)
class Reading:
    """What a picture was read as.

    Attributes:
        image: uint8 ``(28, 28)``, what the networks saw.
        problem: why there is no digit to read, or None.
        probabilities: float64 ``(10,)``, the mean of all networks and of the image turned a little
            either way, see also `prefer_flagged_ones`; uniform where there is no digit.
        doubtful: whether some of what was found may be no stroke of the digit, it is no digit, or
            its outline decided against the networks.
    """

    image: Images
    problem: Problem | None
    probabilities: Probabilities
    doubtful: bool = False

    @property
    def digit(self) -> int | None:
        """The most probable digit, or None where there is none to read."""
        return None if self.problem else int(self.ranked[0])

    @property
    def runner_up(self) -> int | None:
        """The second most probable digit, or None where there is none to read."""
        return None if self.problem else int(self.ranked[1])

    @property
    def ranked(self) -> NDArray[np.intp]:
        """The ten digits, the most probable first."""
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def probability(self) -> float:
        """That of `digit`; 0 where there is none to read."""
        return 0.0 if self.problem else float(self.probabilities.max())

    @property
    def runner_up_probability(self) -> float:
        """That of `runner_up`; 0 where there is none to read."""
        return 0.0 if self.problem else float(self.probabilities[self.ranked[1]])

    @property
    def sure(self) -> bool:
        """Whether the digit is probable enough, and its strokes clear enough, to be relied on."""
        return self.probability >= SURE_FROM and not self.doubtful


class Reader:
    """Finds the digit in a picture and asks the exported networks.

    People's drawings are unlike the training images, and a single network can be wrong there and
    certain of it. A reading is therefore the arithmetic mean of the probabilities, in which no
    network decides alone.
    """

    def __init__(self, ensemble: ExportedEnsemble) -> None:
        self.ensemble = ensemble

    @classmethod
    def load(cls, folder: Path, models: Path) -> Self:
        """Load what the export stage wrote; see `ExportedEnsemble.load`."""
        return cls(ExportedEnsemble.load(folder, models))

    def read(self, pixels: Pixels) -> Reading:
        """Read one picture, RGBA ``(height, width, 4)``."""
        return self.read_glyphs([find_digit(pixels)])[0]

    def read_glyphs(self, glyphs: Sequence[Glyph]) -> list[Reading]:
        """Read what was found in pictures, all at once, each as it is and turned a little."""
        if not glyphs:
            return []
        images = np.stack([glyph.image for glyph in glyphs])
        turned = _turn(images, TURNED_DEGREES), _turn(images, -TURNED_DEGREES)
        each = self.ensemble.member_probabilities(np.concatenate([images, *turned]))
        mean = each.reshape(-1, len(images), NUM_CLASSES).mean(axis=0)
        probabilities = prefer_flagged_ones(images, mean)
        return [
            Reading(
                glyph.image,
                glyph.problem,
                np.full(10, 0.1) if glyph.problem else row,
                glyph.doubtful
                or row.argmax() != by_networks.argmax()
                or is_unlike_digit(glyph.image, int(row.argmax())),
            )
            for glyph, row, by_networks in zip(glyphs, probabilities, mean, strict=True)
        ]


def _turn(images: Images, degrees: float) -> Images:
    """uint8 ``(n, 28, 28)``, turned about the centre."""
    centre = ((IMAGE_SIZE - 1) / 2, (IMAGE_SIZE - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, degrees, 1)
    return np.stack([cv2.warpAffine(image, turn, (IMAGE_SIZE, IMAGE_SIZE)) for image in images])

"""Simple properties of an image of a digit, each one number that a person can check by eye."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.data.transforms.normalize_stroke import measure_strokes
from pipeline.wording import decimal

_BATCH = 2_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Property:
    """How a property is written.

    Attributes:
        title: what it is called.
        unit: what follows a value.
        decimals: of a value.
        scale: what a value is multiplied by before it is written.
        signed: whether values above zero have a plus sign.
    """

    title: str
    unit: str
    decimals: int
    scale: float = 1
    signed: bool = False

    def write(self, value: float) -> str:
        """A value with its unit, such as ``2.4 px``."""
        return decimal(self.scale * value, self.decimals, signed=self.signed) + self.unit


PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {
        "stroke_width": Property("stroke width", " px", 1),
        "slant": Property("slant", "°", 0, signed=True),
        "ink": Property("ink", " %", 1, scale=100),
        "height_to_width": Property("height to width", "", 2),
    }
)
"""By the name of the column of `measure_properties`."""


def measure_properties(images: Images) -> pd.DataFrame:
    """The properties of uint8 images ``(n, 28, 28)``, one row each.

    Returns:
        float64 columns stroke_width (mean, in pixels: `measure_strokes`), slant (degrees from
        upright, positive where the top leans to the right), ink (mean grey level as a fraction of
        255) and height_to_width (of the smallest box that holds all ink). A blank image has no
        slant and no box: both are missing.
    """
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    measures = {
        "stroke_width": measure_strokes,
        "slant": _measure_slants,
        "ink": _measure_ink,
        "height_to_width": _measure_boxes,
    }
    return pd.DataFrame(
        {
            name: np.concatenate([np.empty(0), *map(measure, batches)])
            for name, measure in measures.items()
        }
    )


def _measure_slants(images: Images) -> Values:
    """Degrees ``(n,)``, from the covariance of x and y over the variance of y, grey levels as mass.

    The transform `deskew` takes out the same slant.
    """
    pixels = images.astype(np.float64)
    places = np.arange(IMAGE_SIZE)
    of_rows, of_columns = pixels.sum(axis=2), pixels.sum(axis=1)  # (n, 28) both
    mass = of_rows.sum(axis=1)
    safe = np.maximum(mass, 1)
    y, x = of_rows @ places / safe, of_columns @ places / safe
    covariance = np.einsum("nyx,y,x->n", pixels, places, places, optimize=True) / safe - x * y
    variance = of_rows @ places**2 / safe - y**2
    slants = -np.degrees(np.arctan2(covariance, np.maximum(variance, 1e-9)))
    return np.where(mass > 0, slants, np.nan)


def _measure_ink(images: Images) -> Values:
    return np.asarray(images.mean(axis=(1, 2), dtype=np.float64) / 255)


def _measure_boxes(images: Images) -> Values:
    """Height over width ``(n,)`` of the smallest box that holds all ink."""
    ink = images > 0
    height, width = (_measure_extents(np.asarray(ink.any(axis=axis))) for axis in (2, 1))
    ratios = np.full(len(images), np.nan)
    np.divide(height, width, out=ratios, where=width > 0)
    return ratios


def _measure_extents(ink: NDArray[np.bool_]) -> Values:
    """From the first to the last place with ink, of ``(n, 28)``; 0 without any."""
    extents = IMAGE_SIZE - ink[:, ::-1].argmax(axis=1) - ink.argmax(axis=1)
    return np.where(ink.any(axis=1), extents, 0).astype(np.float64)

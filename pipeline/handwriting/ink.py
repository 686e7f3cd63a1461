"""From colours to how strongly each pixel is ink: steps 1 to 3."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.handwriting.planes import (
    Plane,
    blur,
    measure_noise,
    median,
    resize,
    span,
    square,
    thin_out,
)

_SMOOTHED_FROM = 100
"""Pictures with sides of so many pixels are smoothed a little; in smaller ones each one counts."""

_COARSE_FROM = 160
"""The surroundings are found at half the size in pictures with sides of so many pixels."""

_FADED = 40
"""Steps of opacity, of 255, below which a picture counts as equally opaque everywhere."""

_COLOURED, _RARE = 25, 0.002
"""Opaque parts show something if more than the second share of them is so far from their median
colour."""

_QUADRATIC = (0, 0, 1, 0, 1, 2), (0, 1, 0, 2, 1, 0)
"""Powers of y and of x in the terms of a quadratic surface: 1, x, y, x², xy, y²."""


def split_alpha(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Plane | None]:
    """Colours ``(height, width, 3)``, or the opacity's ink, 0 to 1, where that draws the digit.

    The ink is what is more opaque than the border, or what was erased from an opaque layer. A patch
    of opaque picture in a transparent one is laid on its own median colour.
    """
    colours, alpha = pixels[..., :3], pixels[..., 3]
    opaque = alpha >= 128
    if opaque.all() and np.ptp(alpha) < _FADED:
        return colours, None
    solid = alpha >= int(alpha.max()) - _FADED // 2
    fill = np.median(colours[solid], axis=0).astype(np.uint8)
    away = np.abs(colours[solid].astype(np.int16) - fill).max(axis=1)
    is_coloured = (away > _COLOURED).mean() > _RARE
    if opaque.any() and is_coloured and opaque[span(opaque)].mean() > 0.85:
        return np.where(opaque[..., np.newaxis], colours, fill), None
    opacity = alpha.astype(np.float32) / 255
    border = np.concatenate([opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]])
    level = median(border)
    ink = level - opacity if level > 0.5 else opacity - level
    return colours, np.asarray(np.maximum(ink, 0))


def to_grey(colours: NDArray[np.uint8]) -> Plane:
    """The first principal component of how colours differ from their surroundings, about 0 to 1.

    It goes from dark to light, and is the grey itself for a picture without colours.
    """
    red, green, blue = np.moveaxis(colours, -1, 0)
    if np.array_equal(red, green) and np.array_equal(red, blue):
        grey: Plane = red.astype(np.float32) / 255
    else:
        step = max(1, max(red.shape) // 128)
        sample = colours[::step, ::step].astype(np.float32)
        window = max(3, round(max(sample.shape) / 8))
        around = cv2.blur(sample, (window, window), borderType=cv2.BORDER_REPLICATE)
        away = (sample - around).reshape(-1, 3)
        _, axes = np.linalg.eigh(away.T @ away)
        axis = axes[:, -1].astype(np.float32) / 255
        axis = axis if axis.sum() >= 0 else -axis
        grey = red * axis[0] + green * axis[1] + blue * axis[2]
    if max(grey.shape) >= _SMOOTHED_FROM:
        noisy = measure_noise(grey) > 0.04 * np.ptp(grey)
        grey = blur(grey, 1.3 if noisy else 0.5)
    return grey


def flatten(grey: Plane) -> Plane:
    """The grey less a quadratic surface, fitted robustly to it (Cauchy's weights, squared)."""
    height, width = grey.shape
    in_y, in_x = _powers(height), _powers(width)
    rows, columns = (slice(None, None, max(1, side // 40)) for side in grey.shape)
    powers_of_y, powers_of_x = _QUADRATIC
    terms = in_y[rows, np.newaxis][..., powers_of_y] * in_x[columns][:, powers_of_x]
    design = terms.reshape(-1, len(powers_of_y))
    sample_x, sample_y = design[:, 1], design[:, 2]
    at_border = np.maximum(np.abs(sample_x), np.abs(sample_y)) > 0.85
    values = grey[rows, columns].astype(np.float64).ravel()
    residuals = values - median(values[at_border])
    ridge = 1e-5 * len(values) * np.eye(design.shape[1])
    for _ in range(6):
        spread = max(1.4826 * median(np.abs(residuals)), 0.02)
        weights = np.where(at_border, 2, 1) / (1 + (residuals / (2 * spread)) ** 2) ** 2
        weighted = design * weights[:, np.newaxis]
        coefficients = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ values)
        residuals = values - design @ coefficients
    surface = np.zeros((3, 3))
    surface[_QUADRATIC] = coefficients
    return np.asarray(grey - (in_y @ surface).astype(np.float32) @ in_x.T.astype(np.float32))


def _powers(size: int) -> NDArray[np.float64]:
    """The powers 0, 1 and 2 of -1 to 1 along a side: ``(size, 3)``."""
    return np.vander(np.linspace(-1, 1, size), 3, increasing=True)


def is_dark_on_light(flat: Plane) -> bool:
    """Whether the darkest is further from the paper than the lightest.

    The paper is the median of the whole and of a broad rim, each counted alike.
    """
    height, width = flat.shape
    rim = max(1, round(0.1 * min(height, width)))
    within = np.zeros_like(flat, dtype=bool)
    within[rim : height - rim, rim : width - rim] = True
    some = thin_out(flat)
    border = some[~thin_out(within)]
    paper = median(np.concatenate([border, some[:: max(1, some.size // border.size)]]))
    rare = round(0.003 * some.size)
    ranked = np.partition(some, [rare, some.size - 1 - rare])
    return bool(paper - ranked[rare] >= ranked[some.size - 1 - rare] - paper)


def respond(flat: Plane, share: float) -> Plane:
    """By how much each pixel is darker than what surrounds it, 0 or more."""
    around = flat
    if max(flat.shape) >= _COARSE_FROM:
        around = resize(flat, flat.shape[0] // 2, flat.shape[1] // 2)
    window = max(5, round(share * max(around.shape))) | 1
    around = np.asarray(cv2.morphologyEx(around, cv2.MORPH_CLOSE, square(window)))
    if around.shape != flat.shape:
        around = resize(around, *flat.shape)
    response = around - flat
    level = median(thin_out(response))
    return np.asarray(np.maximum(response - level, 0))

"""That cleaning does what it says, and nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import Images
from pipeline.data.preprocessing import preprocess
from pipeline.data.transforms import TRANSFORMS
from pipeline.data.transforms.deskew import deskew
from pipeline.data.transforms.normalize_stroke import (
    STROKE_PIXELS,
    measure_strokes,
    normalize_stroke,
)
from pipeline.data.transforms.normalize_width import normalize_width

PLACES = np.arange(28)


def draw(distance: NDArray[np.float64], width: float) -> Images:
    """An image (1, 28, 28) of a stroke, by each pixel's distance from the stroke's middle."""
    images: Images = np.rint(255 * np.clip((width + 1) / 2 - distance, 0, 1)).astype(np.uint8)
    return images[np.newaxis]


def draw_bar(slant: float = 0.0, width: float = 3.0, centre: float = 13.5) -> Images:
    """A bar over 20 rows that moves ``slant`` pixels a row."""
    bar = draw(abs(PLACES - centre - slant * (PLACES - 13.5)[:, np.newaxis]), width)
    bar[:, :4] = bar[:, 24:] = 0
    return bar


def draw_ring(radius: float, width: float) -> Images:
    return draw(abs(np.hypot(PLACES - 13.5, (PLACES - 13.5)[:, np.newaxis]) - radius), width)


def measure_slant(images: Images) -> NDArray[np.float64]:
    """Columns per row along which the mass lies."""
    mass = images / images.sum(axis=(1, 2), keepdims=True)
    y, x = (PLACES - (mass.sum(axis=axis) @ PLACES)[:, np.newaxis] for axis in (2, 1))
    covariance = (mass * y[:, :, np.newaxis] * x[:, np.newaxis, :]).sum(axis=(1, 2))
    slant: NDArray[np.float64] = covariance / (mass.sum(axis=2) * y**2).sum(axis=1)
    return slant


def centre_of_mass(images: Images) -> NDArray[np.float64]:
    mass = images / images.sum(axis=(1, 2), keepdims=True)
    return np.stack([mass.sum(axis=2) @ PLACES, mass.sum(axis=1) @ PLACES], axis=1)


@pytest.mark.parametrize("slant", [-0.8, -0.3, -0.05, 0.1, 0.5, 0.8])
def test_slanted_bar_becomes_upright_where_it_is(slant: float) -> None:
    bar = draw_bar(slant, centre=12.3)
    assert measure_slant(bar) == pytest.approx(slant, abs=0.02)
    upright = deskew(bar)
    assert measure_slant(upright) == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(centre_of_mass(upright), centre_of_mass(bar), atol=0.05)
    assert upright.sum(dtype=int) == pytest.approx(bar.sum(dtype=int), rel=0.01)


def test_upright_digit_stays_as_it_is() -> None:
    for image in (draw_bar(), draw_ring(7, 3)):
        np.testing.assert_allclose(deskew(image), image.astype(int), atol=1)


def test_shear_is_bounded() -> None:
    """A line that lies flat has no main axis that could be put upright."""
    flat = draw_bar().transpose(0, 2, 1).copy()
    flat[0, 14, 20:24] = flat[0, 12, 4:8] = 255
    assert deskew(flat).sum(dtype=int) == pytest.approx(flat.sum(dtype=int), rel=0.02)


@pytest.mark.parametrize("width", [2.0, 3.0, 4.0])
def test_stroke_width_is_measured(width: float) -> None:
    assert measure_strokes(draw_ring(8, width)) == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize("width", [1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
def test_strokes_are_brought_to_one_width(width: float) -> None:
    for image in (draw_ring(8, width), draw_bar(0.4, width)):
        assert measure_strokes(normalize_stroke(image)) == pytest.approx(STROKE_PIXELS, abs=0.2)


def test_strokes_of_the_right_width_stay_as_they_are() -> None:
    widths = np.linspace(2, 3, 101)
    rings = np.concatenate([draw_ring(8, width) for width in widths])
    nearest = abs(measure_strokes(rings) - STROKE_PIXELS).argmin()
    right = rings[nearest : nearest + 1]
    np.testing.assert_allclose(normalize_stroke(right), right.astype(int), atol=3)


def test_strokes_change_where_they_are() -> None:
    for width in (1.0, 5.0):
        ring = draw_ring(8, width)
        np.testing.assert_allclose(
            centre_of_mass(normalize_stroke(ring)), centre_of_mass(ring), atol=0.01
        )


@pytest.mark.parametrize(("width", "height"), [(1, 20), (7, 20), (18, 20), (20, 9), (3, 3)])
def test_box_is_stretched_to_one_size_in_the_middle(width: int, height: int) -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 2 : 2 + height, 5 : 5 + width] = 200
    expected = np.zeros_like(image)
    expected[0, 4:24, 5:23] = 200
    np.testing.assert_array_equal(normalize_width(image), expected)


def test_stretching_is_pillows_bilinear_to_a_grey_level() -> None:
    generator = np.random.default_rng(0)
    for height, width in generator.integers(1, 29, (200, 2)):
        top, left = generator.integers(29 - height), generator.integers(29 - width)
        image = np.zeros((1, 28, 28), dtype=np.uint8)
        box = image[0, top : top + height, left : left + width]
        box[:] = generator.integers(1, 256, box.shape)
        theirs = Image.fromarray(box).resize((18, 20), Image.Resampling.BILINEAR)
        stretched = normalize_width(image)[0, 4:24, 5:23]
        np.testing.assert_allclose(stretched.astype(int), np.asarray(theirs), atol=1)


def test_stretching_keeps_what_is_left_and_what_is_above() -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 4:24, 10:13], image[0, 4:8, 10:19] = 100, 250
    stretched = normalize_width(image)[0].astype(int)
    assert stretched[5, 5:23].min() == 250
    assert stretched[15, 6] == 100 and stretched[15, 16] == 0


@pytest.mark.parametrize("name", TRANSFORMS)
def test_image_is_treated_by_itself_and_left_unchanged(name: str) -> None:
    generator = np.random.default_rng(0)
    images = np.concatenate([draw_bar(0.5), draw_ring(8, 1), draw_ring(6, 5), draw_bar(-0.3, 5)])
    images = np.maximum(images, generator.integers(0, 30, images.shape, dtype=np.uint8))
    images = np.tile(images, (300, 1, 1))
    images.flags.writeable = False
    together = preprocess(images, [name])
    assert together.dtype == np.uint8 and together.shape == images.shape
    for index in (0, 1, 2, 3, 1199):
        alone = preprocess(images[index : index + 1], [name])
        np.testing.assert_array_equal(alone[0], together[index])
        assert not np.array_equal(alone[0], images[index])


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("level", [0, 255])
def test_image_without_a_digit_is_no_error(name: str, level: int) -> None:
    image = np.full((2, 28, 28), level, dtype=np.uint8)
    result = preprocess(image, [name])
    assert result.any() == (level > 0)


def test_transforms_are_applied_in_their_order() -> None:
    bar = draw_bar(0.6, 5)
    one_way = normalize_stroke(deskew(bar))
    np.testing.assert_array_equal(preprocess(bar, ["deskew", "normalize_stroke"]), one_way)
    assert not np.array_equal(preprocess(bar, ["normalize_stroke", "deskew"]), one_way)


def test_nothing_is_done_without_transforms_or_images() -> None:
    bar = draw_bar(0.6, 5)
    np.testing.assert_array_equal(preprocess(bar, []), bar)
    assert preprocess(bar[:0], TRANSFORMS).shape == (0, 28, 28)

import numpy as np
import pytest

from comparison import settings
from comparison.robustness import DIRECTIONS, rotate, shift
from pipeline.data.dataset import Images


@pytest.fixture
def dots() -> Images:
    """Eight images with a bright pixel left above the centre."""
    images = np.zeros((8, 28, 28), dtype=np.uint8)
    images[:, 10, 12] = 255
    return images


def test_directions_take_turns_and_average_to_none() -> None:
    assert np.sum(DIRECTIONS, axis=0).tolist() == [0, 0]
    assert len(set(DIRECTIONS)) == 4


def test_shift_moves_by_whole_pixels_in_each_direction(dots: Images) -> None:
    shifted = shift(dots, 3)
    places = [tuple(np.argwhere(image)[0]) for image in shifted]
    assert places == [(7, 12), (13, 12), (10, 9), (10, 15)] * 2
    assert shifted.max() == 255


def test_what_leaves_the_image_does_not_come_back_at_the_other_side(dots: Images) -> None:
    shifted = shift(dots, 11)
    assert [int(image.any()) for image in shifted[:4]] == [0, 1, 1, 1]


def test_no_movement_is_identity(dots: Images) -> None:
    np.testing.assert_array_equal(shift(dots, 0), dots)
    np.testing.assert_array_equal(rotate(dots, 0), dots)


def test_rotation_turns_about_the_centre_left_and_right_in_turns(dots: Images) -> None:
    turned = rotate(dots, 90)
    np.testing.assert_array_equal(turned[0], np.rot90(dots[0]))
    np.testing.assert_array_equal(turned[1], np.rot90(dots[1], -1))


def test_rotation_keeps_the_ink() -> None:
    images = np.zeros((2, 28, 28), dtype=np.uint8)
    images[:, 8:20, 10:18] = 200
    turned = rotate(images, 30)
    assert turned.dtype == np.uint8
    assert turned.sum() == pytest.approx(images.sum(), rel=0.02)


def test_listed_movements_begin_with_none() -> None:
    chosen = settings.load().robustness
    assert chosen.shift_pixels[0] == chosen.rotation_degrees[0] == 0

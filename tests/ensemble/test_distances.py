import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter, sobel

from pipeline.data.dataset import Images
from pipeline.ensemble.distances import measure_distortion, measure_tangent_distance


def distortion(image: Images, other: Images) -> float:
    """The definition, place by place."""

    def gradients(pixels: Images) -> NDArray[np.float64]:
        grey = np.pad(pixels / 255, 1)
        return np.stack([sobel(grey, axis, mode="constant")[1:-1, 1:-1] for axis in (1, 0)])

    mine, theirs = (np.pad(gradients(each), ((0, 0), (3, 3), (3, 3))) for each in (image, other))
    total = 0.0
    for y, x in np.ndindex(28, 28):
        differences = []
        for dy, dx in np.ndindex(5, 5):
            sum_of_squares = 0.0
            for cy, cx in np.ndindex(3, 3):
                i, j = y + cy - 1, x + cx - 1
                if 0 <= i < 28 and 0 <= j < 28:
                    here = mine[:, i + 3, j + 3]
                    there = theirs[:, i + dy + 1, j + dx + 1]
                    sum_of_squares += float(((here - there) ** 2).sum())
            differences.append(sum_of_squares)
        total += min(differences)
    return total


def test_distance_is_that_of_the_definition() -> None:
    generator = np.random.default_rng(0)
    image, other = generator.integers(0, 256, (2, 28, 28), dtype=np.uint8)
    assert measure_distortion(image, other[np.newaxis])[0] == pytest.approx(
        distortion(image, other), rel=1e-4
    )


def test_what_moved_by_two_pixels_is_the_same_and_what_moved_by_four_is_not() -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[8:18, 9:12] = 200
    others = np.stack([image, np.roll(image, (2, -2), axis=(0, 1)), np.roll(image, 4, axis=1)])
    same, moved, farther = measure_distortion(image, others)
    assert same == moved == 0 < farther


@pytest.fixture
def ring() -> NDArray[np.float64]:
    """A smooth ring, wider than high, grey levels 0 to 255, ``(28, 28)``."""
    y, x = np.indices((28, 28)) - 13.5
    return np.asarray(255 * np.exp(-(((np.hypot(x / 1.3, y) - 6) / 1.6) ** 2)))


def warp(image: NDArray[np.float64], matrix: list[list[float]]) -> NDArray[np.float64]:
    """Map each place through a matrix about the centre, with a shift in its last column."""
    change = np.array(matrix)
    offset = 13.5 - change[:, :2] @ [13.5, 13.5] + change[:, 2]
    return np.asarray(affine_transform(image, change[:, :2], offset, order=3))


def to_images(*images: NDArray[np.float64]) -> Images:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


CHANGES: dict[str, list[list[float]]] = {
    "shift": [[1, 0, 0.7], [0, 1, -0.5]],
    "turn": [[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0]],
    "slant": [[1, 0, 0], [0.12, 1, 0]],
    "size": [[0.94, 0, 0], [0, 0.94, 0]],
    "width": [[1, 0, 0], [0, 0.93, 0]],
}


@pytest.mark.parametrize("name", CHANGES)
def test_small_changes_are_near_and_other_shapes_are_not(
    name: str, ring: NDArray[np.float64]
) -> None:
    """A bar inside the ring keeps most of its distance."""
    bar = ring.copy()
    bar[12:16, 9:19] += 160
    image, changed, other = to_images(ring, warp(ring, CHANGES[name]), bar)
    near, far = measure_tangent_distance(image, np.stack([changed, other]))
    plain_near, plain_far = (
        np.square(gaussian_filter((image / 255 - each / 255), 0.9)).sum()
        for each in (changed, other)
    )
    assert near < 0.1 * plain_near
    assert far > 0.4 * plain_far


def test_thickness_is_a_small_change(ring: NDArray[np.float64]) -> None:
    y, x = np.indices((28, 28)) - 13.5
    thick = 255 * np.exp(-(((np.hypot(x / 1.3, y) - 6) / 1.75) ** 2))
    image, other = to_images(ring, thick)
    plain = np.square(gaussian_filter(image / 255 - other / 255, 0.9)).sum()
    assert measure_tangent_distance(image, other[np.newaxis])[0] < 0.3 * plain


def test_both_images_move(ring: NDArray[np.float64]) -> None:
    """So it does not matter which one is asked for the distance to which."""
    one, other = to_images(ring, warp(ring, CHANGES["turn"]) * 0.8)
    there = measure_tangent_distance(one, other[np.newaxis])
    back = measure_tangent_distance(other, one[np.newaxis])
    np.testing.assert_allclose(there, back, rtol=1e-6)


def test_equal_and_empty_images_have_a_distance(ring: NDArray[np.float64]) -> None:
    image, empty = to_images(ring, np.zeros((28, 28)))
    same, nothing = measure_tangent_distance(image, np.stack([image, empty]))
    assert same == pytest.approx(0, abs=1e-9)
    assert nothing > 1
    assert measure_tangent_distance(empty, empty[np.newaxis])[0] == 0

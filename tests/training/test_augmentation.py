import numpy as np
import pytest

from pipeline.data.dataset import Images
from pipeline.training.augmentation import WarpLimits, apply_warps, draw_warps


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)


def warp(images: Images, warp: WarpLimits, seed: int = 0) -> Images:
    warps = draw_warps(warp, len(images), np.random.default_rng(seed))
    warped: Images = apply_warps(images, warps).numpy()
    return warped


def test_no_warp_is_identity(images: Images) -> None:
    np.testing.assert_array_equal(warp(images, WarpLimits(0, 0, 0)), images)


def test_result_is_bytes_of_the_same_shape(images: Images) -> None:
    warped = warp(images, WarpLimits(8, 1.4, 0.1))
    assert warped.dtype == np.uint8
    assert warped.shape == images.shape
    assert (warped != images).any(axis=(1, 2)).all()


def test_generator_decides_the_draw(images: Images) -> None:
    some = WarpLimits(8, 1.4, 0.1)
    np.testing.assert_array_equal(warp(images, some, seed=3), warp(images, some, seed=3))
    assert (warp(images, some, seed=3) != warp(images, some, seed=4)).any()


def test_whole_shift_moves_pixels_and_fills_with_background() -> None:
    image = np.full((1, 28, 28), 200, dtype=np.uint8)
    one = np.array([[1, 0, -3, 0, 1, -2, 0, 0]], dtype=np.float32)
    shifted = apply_warps(image, one).numpy()[0]
    assert (shifted[2:, 3:] == 200).all()
    assert (shifted[:2] == 0).all()
    assert (shifted[:, :3] == 0).all()


def fixed_points(bounds: WarpLimits, num_images: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Per transform, where in the input the output's centre lies, and the linear part."""
    warps = draw_warps(bounds, num_images, np.random.default_rng(0)).astype(float)
    linear = warps[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    centre = np.array([13.5, 13.5])
    return linear @ centre + warps[:, [2, 5]] - centre, linear


def test_output_is_scaled_then_rotated() -> None:
    """The map back to the input undoes the rotation first: S⁻¹ R⁻¹, for every draw."""
    _, linear = fixed_points(WarpLimits(30, 0, 0.3))
    rotation_free = linear @ linear.transpose(0, 2, 1)
    np.testing.assert_allclose(rotation_free[:, 0, 1], 0, atol=1e-6)
    assert np.ptp(rotation_free[:, 0, 0]) > 0.5


def test_shift_stays_within_its_bound_and_uses_it() -> None:
    moved, linear = fixed_points(WarpLimits(0, 1.4, 0))
    assert np.abs(moved).max() == pytest.approx(1.4, rel=0.01)
    np.testing.assert_array_equal(linear, np.broadcast_to(np.eye(2), linear.shape))


def test_rotation_is_about_the_centre_and_within_its_bound() -> None:
    moved, linear = fixed_points(WarpLimits(8, 0, 0))
    np.testing.assert_allclose(moved, 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(linear), 1, rtol=1e-5)
    angles = np.rad2deg(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
    assert np.abs(angles).max() == pytest.approx(8, rel=0.01)


def test_zoom_is_about_the_centre_and_its_axes_are_independent() -> None:
    moved, linear = fixed_points(WarpLimits(0, 0, 0.1))
    np.testing.assert_allclose(moved, 0, atol=1e-5)
    scales = 1 / linear[:, [0, 1], [0, 1]]
    assert scales.min() == pytest.approx(0.9, abs=0.002)
    assert scales.max() == pytest.approx(1.1, abs=0.002)
    assert abs(np.mean((scales[:, 0] - 1) * (scales[:, 1] - 1))) < 0.001

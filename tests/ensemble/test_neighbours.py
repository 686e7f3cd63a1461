import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import sobel

from pipeline.data.dataset import Images, Labels, Probabilities, TrainingDigits
from pipeline.ensemble import neighbours
from pipeline.ensemble.neighbours import find_nearest, measure_distortion, refine_with_neighbours


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
def known(training_digits: TrainingDigits) -> tuple[Images, Labels]:
    return training_digits.images[10:], training_digits.labels[10:]


def refine(
    probabilities: Probabilities,
    images: Images,
    known: tuple[Images, Labels],
    *,
    threshold: float = 0.7,
    power: float = 4,
) -> Probabilities:
    return refine_with_neighbours(
        probabilities, images, known, confidence_threshold=threshold, power=power
    )


def hesitate(first: int, second: int) -> NDArray[np.float64]:
    """Probabilities ``(1, 10)``: 0.5 and 0.42 for two digits, 0.01 for each of the others."""
    probabilities = np.full((1, 10), 0.01)
    probabilities[0, [first, second]] = 0.5, 0.42
    return probabilities


@pytest.mark.parametrize(("digit", "other"), [(3, 8), (8, 3), (0, 9)])
def test_nearest_neighbours_turn_the_balance(
    digit: int, other: int, training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    images = training_digits.images[[digit]]
    before = hesitate(other, digit)
    after = refine(before, images, known)
    assert after.argmax() == digit
    assert after[0, [digit, other]].sum() == pytest.approx(0.92)
    rest = np.delete(np.arange(10), [digit, other])
    np.testing.assert_array_equal(after[:, rest], before[:, rest])
    assert before.argmax() == other, "the argument was changed"


def test_the_two_are_weighed_by_a_power_of_their_distances(
    training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    images = training_digits.images[[3]]
    near, far = (
        np.sort(measure_distortion(images[0], known[0][known[1] == digit]))[:3].mean()
        for digit in (3, 8)
    )
    after = refine(hesitate(8, 3), images, known, power=0.5)
    assert after[0, 3] / after[0, 8] == pytest.approx(0.42 / 0.5 * (far / near) ** 0.5, rel=1e-5)


def test_only_low_confidence_is_refined(
    training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    high = np.full((1, 10), 0.02)
    high[0, 8] = 0.82
    before = np.concatenate([high, hesitate(8, 3), high])
    after = refine(before, training_digits.images[[3, 3, 3]], known)
    assert after.argmax(axis=1).tolist() == [8, 3, 8]
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    never = refine(before, training_digits.images[[3, 3, 3]], known, threshold=0)
    np.testing.assert_array_equal(never, before)


def test_a_copy_among_the_known_decides_without_a_warning(
    training_digits: TrainingDigits,
) -> None:
    images, labels = training_digits.images, training_digits.labels
    copies = np.concatenate([images, *[images[[3]]] * 3]), np.append(labels, [3, 3, 3])
    after = refine(hesitate(8, 3), images[[3]], copies)
    assert after[0, 3] == pytest.approx(0.92)
    assert np.isfinite(after).all()


def test_digit_that_none_of_the_known_shows_is_farther_than_any(
    training_digits: TrainingDigits,
) -> None:
    images, labels = training_digits.images, training_digits.labels
    known = images[labels < 8], labels[labels < 8]
    after = refine(hesitate(8, 3), images[[3]], known)
    assert after[0, 3] == pytest.approx(0.92)
    neither = refine(hesitate(8, 9), images[[3]], known)
    np.testing.assert_allclose(neither, hesitate(8, 9))


def test_distance_is_measured_to_the_nearest_by_means_of_four_pixels(
    monkeypatch: pytest.MonkeyPatch, training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    monkeypatch.setattr(neighbours, "_CANDIDATES", 2)
    images = training_digits.images[[3]]
    means = {}
    for digit in (3, 8):
        others = known[0][known[1] == digit]
        shrunk, mine = (each.reshape(-1, 14, 2, 14, 2).mean((2, 4)) for each in (others, images))
        nearest = ((shrunk - mine) ** 2).sum((1, 2)).argsort()[:2]
        means[digit] = measure_distortion(images[0], others[nearest]).mean()
        assert means[digit] != np.sort(measure_distortion(images[0], others))[:2].mean()
    after = refine(hesitate(8, 3), images, known, power=0.5)
    expected = 0.42 / 0.5 * (means[8] / means[3]) ** 0.5
    assert after[0, 3] / after[0, 8] == pytest.approx(expected, rel=1e-5)


def test_nearest_are_those_of_the_least_distance(training_digits: TrainingDigits) -> None:
    images, known = training_digits.images[:4], training_digits.images[4:]
    places, distances = find_nearest(images, known, count=3)
    assert places.shape == distances.shape == (4, 3)
    for image, found, measured in zip(images, places, distances, strict=True):
        expected = measure_distortion(image, known)
        np.testing.assert_array_equal(found, np.argsort(expected, kind="stable")[:3])
        np.testing.assert_allclose(measured, np.sort(expected)[:3], rtol=1e-6)


def test_nearest_of_few_are_fewer(training_digits: TrainingDigits) -> None:
    places, distances = find_nearest(
        training_digits.images[:2], training_digits.images[2:4], count=3
    )
    assert places.shape == distances.shape == (2, 2)

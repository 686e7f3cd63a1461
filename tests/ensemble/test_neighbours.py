from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels, Probabilities, TrainingDigits
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble import neighbours
from pipeline.ensemble.distances import measure_distortion
from pipeline.ensemble.neighbours import (
    DISTANCES,
    find_nearest,
    measure_pairs,
    refine_with_neighbours,
)


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


def measured(
    images: Images, known: tuple[Images, Labels], digit: int
) -> list[NDArray[np.floating]]:
    """By each distance, in its view, from one image to the known images of a digit."""
    others = known[0][known[1] == digit]
    return [
        measure(preprocess(images, view)[0], preprocess(others, view))
        for view, measure in DISTANCES
    ]


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
        np.prod([np.sort(each)[:3].mean() for each in measured(images, known, digit)])
        for digit in (3, 8)
    )
    after = refine(hesitate(8, 3), images, known, power=0.5)
    expected = np.sqrt(0.42 / 0.5 * (far / near) ** 0.5)
    assert after[0, 3] / after[0, 8] == pytest.approx(expected, rel=1e-5)


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
    assert neither[0, 8] / neither[0, 9] == pytest.approx(np.sqrt(0.5 / 0.42))


def test_distance_is_measured_to_the_nearest_by_means_of_four_pixels(
    monkeypatch: pytest.MonkeyPatch, training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    monkeypatch.setattr(neighbours, "_CANDIDATES", 2)
    images = training_digits.images[[3]]
    means = {3: 1.0, 8: 1.0}
    for view, measure in DISTANCES:
        mine = preprocess(images, view)
        small = mine.reshape(-1, 14, 2, 14, 2).mean((2, 4))
        for digit in means:
            others = preprocess(known[0][known[1] == digit], view)
            shrunk = others.reshape(-1, 14, 2, 14, 2).mean((2, 4))
            nearest = ((shrunk - small) ** 2).sum((1, 2)).argsort()[:2]
            means[digit] *= float(measure(mine[0], others[nearest]).mean())
    after = refine(hesitate(8, 3), images, known, power=0.25)
    expected = np.sqrt(0.42 / 0.5 * (means[8] / means[3]) ** 0.25)
    assert after[0, 3] / after[0, 8] == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(neighbours, "_CANDIDATES", 100)
    assert refine(hesitate(8, 3), images, known, power=0.25)[0, 3] != after[0, 3]


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


def test_nearest_of_none_are_none(training_digits: TrainingDigits) -> None:
    images, none = training_digits.images[:2], training_digits.images[:0]
    places, distances = find_nearest(images, none, count=3)
    assert places.shape == distances.shape == (2, 0)
    assert find_nearest(none, images, count=3)[0].shape == (0, 2)


def test_blocks_and_threads_change_nothing(
    monkeypatch: pytest.MonkeyPatch, training_digits: TrainingDigits, known: tuple[Images, Labels]
) -> None:
    """Two of the known are equal: the first of them is the nearer one, in every block."""
    images = training_digits.images[:10]
    pairs = np.tile([3, 8], (len(images), 1))
    others = np.concatenate([images[:1], known[0][:20], images[:1], known[0][20:]])
    monkeypatch.setattr(neighbours, "_CANDIDATES", 3)
    monkeypatch.setattr(neighbours, "_CANDIDATES_OF_ALL", 8)

    def measure(processors: int, block: int) -> list[NDArray[Any]]:
        monkeypatch.setattr(neighbours, "count_processors", lambda: processors)
        monkeypatch.setattr(neighbours, "_BLOCK", block)
        found = find_nearest(images, others, count=5)
        return [measure_pairs(images, pairs, known, measure_distortion), *found]

    expected = measure(1, 64)
    assert expected[1][0, :2].tolist() == [0, 21]
    for one, other in zip(measure(4, 3), expected, strict=True):
        np.testing.assert_array_equal(one, other)

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances
from threadpoolctl import threadpool_limits

from pipeline.evaluation.embedding import choose_images, embed, round_probabilities
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.results import predict_with


def draw_clusters(size: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three groups in 64 dimensions, and which image is of which."""
    generator = np.random.default_rng(seed)
    of = np.arange(size) % 3
    centres = 4 * generator.normal(size=(3, 64))
    return (centres[of] + generator.normal(size=(size, 64))).astype(np.float32), of


def test_groups_lie_apart() -> None:
    features, of = draw_clusters()
    points = embed(features, num_neighbours=8, seed=0).points
    distances = pairwise_distances(points)
    np.fill_diagonal(distances, np.inf)
    assert (of[distances.argmin(axis=1)] == of).all()
    assert points.min() == 0 and points.max() == 1_000


def test_neighbours_are_those_of_the_features_and_not_of_the_map() -> None:
    features, _ = draw_clusters(60)
    found = embed(features, num_neighbours=5, seed=0).neighbours
    distances = pairwise_distances(features.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(found, distances.argsort(axis=1)[:, :5])


def test_seed_decides_every_bit() -> None:
    features, _ = draw_clusters()
    first, second = (embed(features, num_neighbours=3, seed=4).points for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_number_of_threads_decides_no_bit() -> None:
    features = np.random.default_rng(0).normal(size=(300, 1_000)).astype(np.float32)
    maps = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            maps.append(embed(features, num_neighbours=3, seed=0))
    np.testing.assert_array_equal(maps[0].points, maps[1].points)
    np.testing.assert_array_equal(maps[0].neighbours, maps[1].neighbours)


def test_trustworthiness_tells_a_good_map_from_chance() -> None:
    trust = embed(draw_clusters()[0], num_neighbours=3, seed=0).trustworthiness
    noise = np.random.default_rng(0).normal(size=(120, 64)).astype(np.float32)
    assert trust is not None and trust > 0.85
    chance = embed(noise, num_neighbours=3, seed=0).trustworthiness
    assert chance is not None and chance < trust - 0.1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
def test_few_images_have_a_map(size: int) -> None:
    found = embed(draw_clusters(size)[0], num_neighbours=8, seed=0)
    assert np.isfinite(found.points).all()
    assert found.neighbours.shape == (size, min(8, size - 1))
    assert found.trustworthiness is None


def test_equal_features_have_a_map() -> None:
    found = embed(np.ones((30, 16), np.float32), num_neighbours=2, seed=0)
    assert np.isfinite(found.points).all()


def test_one_feature_has_a_map() -> None:
    found = embed(np.arange(30, dtype=np.float32)[:, np.newaxis], num_neighbours=2, seed=0)
    assert np.isfinite(found.points).all()


@pytest.fixture
def predictions() -> OutOfFoldPredictions:
    """Of 1,000 images, 30 errors and 50 of low confidence."""
    labels = (np.arange(1_000) % 10).astype(np.uint8)
    wrong = {row: (int(labels[row] + 1) % 10, 0.6 + row / 100) for row in range(30)}
    probabilities = predict_with(labels, wrong)
    for row in range(100, 150):
        probabilities[row] = 0.4 / 9
        probabilities[row, labels[row]] = 0.6
    return OutOfFoldPredictions(
        np.arange(1_000), labels, probabilities, probabilities, {}, "a" * 64
    )


def choose(predictions: OutOfFoldPredictions, most: int) -> np.ndarray:
    return choose_images(predictions, np.arange(1_000), most=most, threshold=0.7)


def test_errors_and_low_confidence_are_chosen_and_the_rest_is_stratified(
    predictions: OutOfFoldPredictions,
) -> None:
    chosen = choose(predictions, 280)
    assert len(chosen) == len(set(chosen)) == 280
    assert set(range(30)) <= set(chosen)
    assert set(range(100, 150)) <= set(chosen)
    rest = [row for row in chosen if row >= 150 or 30 <= row < 100]
    assert np.bincount(predictions.labels[rest]).tolist() == [20] * 10


def test_all_are_chosen_where_there_is_room(predictions: OutOfFoldPredictions) -> None:
    np.testing.assert_array_equal(choose(predictions, 5_000), np.arange(1_000))


def test_many_errors_leave_room_for_others(predictions: OutOfFoldPredictions) -> None:
    chosen = choose(predictions, 40)
    assert len(chosen) == 40
    assert (~predictions.correct[chosen]).sum() == 20
    assert set(range(10, 30)) <= set(chosen), "those of the highest loss"
    assert ((chosen >= 100) & (chosen < 150)).sum() == 10


def test_only_the_images_of_the_fold_are_chosen(predictions: OutOfFoldPredictions) -> None:
    among = np.arange(0, 1_000, 7)
    chosen = choose_images(predictions, among, most=60, threshold=0.7)
    assert set(chosen) <= set(among)


def test_rounding_keeps_what_is_not_0_or_1_from_becoming_it() -> None:
    exact = np.array([[0.0, 1.0, 1 - 1.23456e-9, 1.23456e-9, 0.123456, 0.876544]])
    rounded = round_probabilities(exact)
    assert rounded[0, :2].tolist() == [0, 1]
    assert rounded[0, 2] == pytest.approx(1 - 1.235e-9, abs=1e-15) and rounded[0, 2] < 1
    assert rounded[0, 3:].tolist() == [1.235e-9, 0.1235, 1 - 0.1235]

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import gmean

from pipeline.data.dataset import Images
from pipeline.data.preprocessing import Views, preprocess
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities

Probabilities = NDArray[np.float64]


@pytest.fixture
def each() -> Probabilities:
    """Three networks' probabilities for five images."""
    return np.random.default_rng(0).dirichlet(np.ones(10), size=(3, 5))


def test_average_is_the_geometric_mean_with_rows_that_sum_to_one(
    each: Probabilities,
) -> None:
    means = gmean(each, axis=0)
    expected = means / means.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(average_probabilities(each), expected, rtol=1e-12)


def test_average_of_one_is_that_one(
    each: Probabilities,
) -> None:
    np.testing.assert_allclose(average_probabilities(each[:1]), each[0], rtol=1e-12)


def test_what_one_network_holds_for_impossible_loses() -> None:
    each = [[[0.9, 0.1]], [[0.9, 0.1]], [[0.001, 0.999]]]
    assert np.mean(each, axis=0).argmax() == 0
    assert average_probabilities(each).argmax() == 1


def test_probability_of_zero_gives_no_infinity() -> None:
    averaged = average_probabilities([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_array_equal(averaged, [[0.5, 0.5]])


@dataclass
class Known:
    """A network that knows the logits of certain images, and notes how many it is asked about."""

    known: dict[bytes, NDArray[np.float32]]
    views: Views
    asked: list[int] = field(default_factory=list)

    def logits(self, images: Images) -> NDArray[np.float32]:
        self.asked.append(len(images))
        return np.stack([self.known[image.tobytes()] for image in images])


def test_other_views_are_needed_only_where_confidence_is_low() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    views: list[list[str]] = [[], ["deskew"], ["normalize_width"]]
    known = {
        image.tobytes(): generator.normal(0, 3, 10).astype(np.float32)
        for view in views
        for image in preprocess(images, view)
    }
    for row in (1, 3):
        known[images[row].tobytes()] = np.where(np.arange(10) == row, 16, 0).astype(np.float32)
    each = [predict_probabilities(Known(known, [view]), images) for view in views]
    network = Known(known, views)
    probabilities = predict_probabilities(network, images)
    assert network.asked == [4, 2, 2]
    np.testing.assert_array_equal(probabilities[[1, 3]], each[0][[1, 3]])
    average = average_probabilities(each)
    np.testing.assert_allclose(probabilities[[0, 2]], average[[0, 2]], rtol=1e-12)
    network = Known(known, views)
    confident = predict_probabilities(network, images[[1, 3]])
    assert network.asked == [2]
    np.testing.assert_array_equal(confident, each[0][[1, 3]])

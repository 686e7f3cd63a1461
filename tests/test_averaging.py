import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import gmean

from pipeline.averaging import average_probabilities

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


def test_average_of_one_is_what_it_says(
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

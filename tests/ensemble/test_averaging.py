import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import gmean

from pipeline.data.dataset import Images
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.averaging import ask_in_forms, average_probabilities

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


def test_other_forms_are_asked_only_about_what_the_first_leaves_in_doubt() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    logits = {
        image.tobytes(): generator.normal(0, 3, 10)
        for steps in ((), ("deskew",), ("normalize_width",))
        for image in preprocess(images, steps)
    }
    for row in (1, 3):
        logits[images[row].tobytes()] = np.where(np.arange(10) == row, 16.0, 0.0)
    asked = []

    def ask(shown: Images) -> NDArray[np.float64]:
        asked.append(len(shown))
        return np.stack([logits[image.tobytes()] for image in shown])

    forms = [[], ["deskew"], ["normalize_width"]]
    each = [ask_in_forms(ask, images, [form]) for form in forms]
    asked.clear()
    probabilities = ask_in_forms(ask, images, forms)
    assert asked == [4, 2, 2]
    np.testing.assert_array_equal(probabilities[[1, 3]], each[0][[1, 3]])
    average = average_probabilities(each)
    np.testing.assert_allclose(probabilities[[0, 2]], average[[0, 2]], rtol=1e-12)
    asked.clear()
    sure = ask_in_forms(ask, images[[1, 3]], forms)
    assert asked == [2]
    np.testing.assert_array_equal(sure, each[0][[1, 3]])

"""Near duplicates against a comparison of all pairs."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipeline.data.dataset import Images
from pipeline.evaluation.near_duplicates import find_near_duplicates


@pytest.fixture(scope="module")
def images() -> Images:
    """Three hundred smooth blots, and noisy copies of some of them, of rising strength."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    centres, widths = generator.uniform(8, 20, (300, 2, 1, 1)), generator.uniform(2, 6, (300, 1, 1))
    blots = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / (2 * widths**2))
    originals = (60 + 190 * blots).astype(np.uint8)
    strengths = np.linspace(1, 20, 40)[:, np.newaxis, np.newaxis]
    noise = strengths * generator.standard_normal((40, 28, 28))
    copies = np.clip(originals[:40] + noise, 0, 255).astype(np.uint8)
    return np.concatenate([originals, copies])


@pytest.mark.parametrize("grey_levels", [2.0, 8.0, 16.0])
def test_pairs_are_those_of_comparing_all(images: Images, grey_levels: float) -> None:
    flat = images.reshape(len(images), -1)
    differences = cdist(flat, flat) / np.sqrt(flat.shape[1])
    first, second = np.nonzero(np.triu(differences <= grey_levels, k=1))
    found = find_near_duplicates(images, grey_levels=grey_levels)
    assert len(found) > 0
    pairs = found[["first", "second"]].sort_values(["first", "second"])
    np.testing.assert_array_equal(pairs, np.stack([first, second], axis=1))
    np.testing.assert_allclose(
        found["grey_levels"], differences[found["first"], found["second"]], rtol=1e-5
    )
    assert found["grey_levels"].is_monotonic_increasing


def test_identical_images_are_no_near_duplicates_but_count_once(images: Images) -> None:
    twice = np.concatenate([images[:5], images[:5], images[300:301]])
    found = find_near_duplicates(twice, grey_levels=2)
    assert found[["first", "second"]].to_numpy().tolist() == [[0, 10]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_no_problem(images: Images, count: int) -> None:
    assert len(find_near_duplicates(images[:count], grey_levels=0.1)) == 0


def test_shifted_copy_is_no_near_duplicate(images: Images) -> None:
    pair = np.stack([images[0], np.roll(images[0], 3, axis=1)])
    assert len(find_near_duplicates(pair, grey_levels=2)) == 0

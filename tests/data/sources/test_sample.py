"""The embedded sample: real digits in the competition's form."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.data import tables
from pipeline.data.dataset import Images, Labels
from pipeline.data.folds import find_duplicates
from pipeline.data.sources import sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    sample.write_tables(folder)
    return folder


@pytest.fixture(scope="module")
def train(folder: Path) -> tuple[Images, Labels]:
    return tables.read_train(folder / "train.csv", expected_rows=1_437)


@pytest.fixture(scope="module")
def test_images(folder: Path) -> Images:
    return tables.read_test(folder / "test.csv", expected_rows=360)


def test_folder_holds_the_two_tables_alone(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["test.csv", "train.csv"]


def test_every_time_the_same(folder: Path, tmp_path: Path) -> None:
    sample.write_tables(tmp_path)
    for name in ("train.csv", "test.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_digits_are_as_frequent_as_in_the_source(train: tuple[Images, Labels]) -> None:
    share = 1_437 / 1_797
    expected = np.bincount(load_digits().target) * share
    assert np.abs(np.bincount(train[1]) - expected).max() <= 1


def test_no_test_image_is_among_the_training_images(
    train: tuple[Images, Labels], test_images: Images
) -> None:
    both = np.concatenate([train[0], test_images])
    first_rows = find_duplicates(both)
    assert (first_rows[len(train[0]) :] >= len(train[0])).all()


def test_ink_fills_a_box_of_20_with_its_centre_in_the_middle(train: tuple[Images, Labels]) -> None:
    for image in train[0][:200]:
        rows, columns = np.nonzero(image)
        assert max(np.ptp(rows), np.ptp(columns)) < 20
        weights = image[rows, columns] / image.sum()
        assert abs(weights @ rows - 13.5) <= 1
        assert abs(weights @ columns - 13.5) <= 1


def test_ink_is_bright_and_background_is_zero(train: tuple[Images, Labels]) -> None:
    images = train[0]
    assert (images.max(axis=(1, 2)) > 200).all()
    assert not images[:, [0, -1], :].any()
    assert np.median(images) == 0


def test_labels_belong_to_their_images(train: tuple[Images, Labels]) -> None:
    bunch = load_digits()
    source = {
        (sample._enlarge(image).tobytes(), label)
        for image, label in zip(bunch.images, bunch.target, strict=True)
    }
    assert {(image.tobytes(), label) for image, label in zip(*train, strict=True)} <= source


def test_enlarging_keeps_the_drawing() -> None:
    """A horizontal bar stays horizontal, a faint cross symmetric and faint."""
    bar, cross = np.zeros((8, 8)), np.zeros((8, 8))
    bar[3:5, 1:7] = 16
    cross[3, :], cross[:, 3] = 8, 8
    ink = np.argwhere(sample._enlarge(bar))
    assert np.ptp(ink, axis=0).tolist() == [6, 19]
    enlarged = sample._enlarge(cross).astype(int)
    np.testing.assert_allclose(enlarged, enlarged.T, atol=16)
    assert enlarged.max() < 200

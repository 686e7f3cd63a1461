from pathlib import Path

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.data import tables
from pipeline.data.dataset import LEFT_OUT, Provenance, TrainingDigits
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.errors import TableError
from pipeline.plots import tiles
from pipeline.stages import prepare
from tests.conftest import set_params

SAMPLE = Provenance(True, "a" * 64, "b" * 64)
AUGMENTATION = {"rotation_degrees": 8, "shift_pixels": 1.4, "zoom_fraction": 0.1}


@pytest.fixture
def raw(in_folder: Path, training_digits: TrainingDigits) -> Path:
    tables.write(stages.RAW / "train.csv", training_digits.images, training_digits.labels)
    tables.write(stages.RAW / "test.csv", training_digits.images[:7])
    return stages.RAW


def test_images_arrive_as_they_were(raw: Path, training_digits: TrainingDigits) -> None:
    training, test, summary = prepare.prepare(raw, params.load(), SAMPLE)
    np.testing.assert_array_equal(training.images, training_digits.images)
    np.testing.assert_array_equal(training.labels, training_digits.labels)
    np.testing.assert_array_equal(test.images, training_digits.images[:7])
    assert training.provenance == test.provenance == SAMPLE
    assert sorted(np.unique(training.folds)) == [0, 1, 2, 3, 4]
    assert summary["training_images_by_digit"] == [6] * 10
    assert summary["test_images_also_in_training"] == 7


def test_duplicates_are_counted(raw: Path, training_digits: TrainingDigits) -> None:
    images, labels = training_digits.images.copy(), training_digits.labels.copy()
    images[10], images[25] = images[0], images[0]  # rows of digits 0, 0 and 5
    tables.write(raw / "train.csv", images, labels)
    training, _, summary = prepare.prepare(raw, params.load(), SAMPLE)
    assert summary["duplicates_in_training"] == 2
    assert summary["duplicates_with_another_label"] == 1
    assert len(set(training.folds[[0, 10, 25]])) == 1


def test_competition_must_be_complete(raw: Path) -> None:
    competition = Provenance(False, "a" * 64, "b" * 64)
    with pytest.raises(TableError, match="expected 42,000 rows, found 60"):
        prepare.prepare(raw, params.load(), competition)


def test_corrections_are_what_networks_train_on_and_move_no_image_to_another_fold(
    raw: Path, training_digits: TrainingDigits
) -> None:
    given, _, summary = prepare.prepare(raw, params.load(), SAMPLE)
    verdicts = LabelVerdict(2, 3, 3, "wrong", 8), LabelVerdict(3, 7, 7, "unreadable", None)
    corrections = LabelCorrections("e" * 64, f"sample-{'a' * 12}", verdicts)
    corrected, _, summary_of_corrected = prepare.prepare(raw, params.load(), SAMPLE, corrections)
    np.testing.assert_array_equal(corrected.labels, training_digits.labels)
    np.testing.assert_array_equal(corrected.folds, given.folds)
    assert given.corrected_labels is None
    expected = training_digits.labels.copy()
    expected[[3, 7]] = 8, LEFT_OUT
    np.testing.assert_array_equal(corrected.corrected_labels, expected)
    assert summary == summary_of_corrected, "it counts labels as given"


def test_corrections_of_other_labels_are_refused(raw: Path) -> None:
    corrections = LabelCorrections("e" * 64, None, (LabelVerdict(9, 3, 4, "right", None),))
    expected = r"^data/labels\.csv, line 9: row 3 has the label 3 in train\.csv of .*, found 4"
    with pytest.raises(TableError, match=expected):
        prepare.prepare(raw, params.load(), SAMPLE, corrections)


def test_grid_shows_each_image_under_its_own_label(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, _, _ = prepare.prepare(raw, params.load(), SAMPLE)
    drawn = {}

    def sample_grid(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
        drawn["pairs"] = images, labels

    monkeypatch.setattr(tiles, "sample_grid", sample_grid)
    prepare.draw(raw, training, params.load())
    for image, label in zip(*drawn["pairs"], strict=True):
        assert image[4 + 2 * label : 6 + 2 * label, 4:24].min() == 255


def test_preview_warps_the_images_as_they_are(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, _, _ = prepare.prepare(raw, params.load(), SAMPLE)
    drawn = {}

    def augmentation_preview(path: Path, originals: np.ndarray, warped: np.ndarray) -> None:
        drawn["warped"] = warped

    monkeypatch.setattr(tiles, "augmentation_preview", augmentation_preview)
    unwarped = [(f"{key}: {value}", f"{key}: 0") for key, value in AUGMENTATION.items()]
    set_params(Path.cwd(), *unwarped)
    prepare.draw(raw, training, params.load())
    first = [int(np.flatnonzero(training.labels == digit)[0]) for digit in range(10)]
    np.testing.assert_array_equal(drawn["warped"][:, 0], training.images[first])

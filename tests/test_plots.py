"""That each picture is drawn in the cases that break pictures; what it looks like, people judge."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import metrics, plots
from pipeline.architectures import build
from pipeline.digits import TrainingDigits
from pipeline.layers import tabulate_layers


def height(path: Path) -> int:
    with Image.open(path) as image:
        image.verify()
        return int(image.height)


def test_class_counts_with_a_digit_missing(training_digits: TrainingDigits, tmp_path: Path) -> None:
    labels = training_digits.labels[training_digits.labels != 3]
    plots.class_counts(tmp_path / "counts.png", labels)
    assert height(tmp_path / "counts.png")


def test_sample_grid_grows_with_its_images(training_digits: TrainingDigits, tmp_path: Path) -> None:
    for count in (1, 60):
        path = tmp_path / f"{count}.png"
        plots.sample_grid(path, training_digits.images[:count], training_digits.labels[:count])
    assert height(tmp_path / "60.png") > height(tmp_path / "1.png")


@pytest.mark.parametrize("confusions", [np.eye(10), np.zeros((10, 10)), np.ones((10, 10))])
def test_confusion_matrix_without_errors_without_images_and_with_all(
    confusions: np.ndarray, tmp_path: Path
) -> None:
    plots.confusion_matrix(tmp_path / "confusion.png", confusions.astype(np.int64))
    assert height(tmp_path / "confusion.png")


def test_learning_curves_of_members_with_and_without_a_stopping_slice(tmp_path: Path) -> None:
    curves = pd.DataFrame(
        {
            "member": ["a", "a", "b"],
            "epoch": [1, 2, 1],
            "loss": [1.0, 0.5, 0.7],
            "accuracy": [0.5, 1.0, 0.6],
            "stopping_loss": [1.0, 0.5, np.nan],
            "stopping_accuracy": [0.6, 0.8, np.nan],
        }
    )
    plots.learning_curves(tmp_path / "curves.png", curves)
    assert height(tmp_path / "curves.png")


@pytest.mark.parametrize("wrong", [0, 25])
def test_error_gallery_with_and_without_errors(
    wrong: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    labels = training_digits.labels
    predicted = labels.copy()
    predicted[:wrong] = (labels[:wrong] + 1) % 10
    probabilities = np.full((60, 10), 0.01)
    probabilities[np.arange(60), predicted] = 0.91
    errors = metrics.tabulate_errors(probabilities, labels, np.arange(60))
    images = training_digits.images[errors["row"].to_numpy()]
    plots.error_gallery(tmp_path / "errors.png", images, errors, num_errors=len(errors))
    assert height(tmp_path / "errors.png")


def test_picture_of_equal_data_has_equal_bytes(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    for name in ("one.png", "two.png"):
        plots.class_counts(tmp_path / name, training_digits.labels)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("name", ["dense_baseline", "conv4_normalized"])
def test_architecture_is_drawn_to_one_scale(name: str, tmp_path: Path) -> None:
    for drawn in (name, "flat_mlp"):
        plots.architecture(tmp_path / f"{drawn}.png", tabulate_layers(build(drawn)), drawn)
    assert height(tmp_path / f"{name}.png") == height(tmp_path / "flat_mlp.png")


def test_preprocessing_has_a_row_for_each_step(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    images = training_digits.images[:10]
    plots.preprocessing(tmp_path / "one.png", {"as it is": images})
    plots.preprocessing(tmp_path / "two.png", {"as it is": images, "deskew": images})
    assert height(tmp_path / "two.png") > height(tmp_path / "one.png")

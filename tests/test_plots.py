"""That each picture is drawn in the cases that break pictures; what it looks like, people judge."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.architectures import build
from pipeline.data.dataset import TrainingDigits
from pipeline.evaluation.calibration import tabulate_calibration
from pipeline.evaluation.examples import tabulate_errors
from pipeline.evaluation.label_shift import compare_counts
from pipeline.evaluation.learning_curves import average_curves
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.networks.summary import tabulate_layers
from pipeline.plots import bars, diagrams, scores, tiles
from pipeline.plots.comparison import learning_curves as learning_curves_of_runs
from pipeline.plots.learning_curves import learning_curve
from tests.conftest import ROOT

DRAW = """
import sys
from pathlib import Path

import numpy as np

from pipeline.evaluation.calibration import tabulate_calibration
from pipeline.evaluation.label_shift import compare_counts
from pipeline.plots import bars, scores, tiles

folder = Path(sys.argv[1])
if sys.argv[2:]:
    import matplotlib.pyplot
    import seaborn

    matplotlib.pyplot.style.use("dark_background")
    seaborn.set_theme(context="poster", style="dark", font="serif", rc={"savefig.bbox": "tight"})
labels = np.tile(np.arange(10, dtype=np.uint8), 3)
images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
bars.class_counts(folder / "class_counts.png", labels)
bars.predicted_counts(folder / "predicted.svg", compare_counts(np.ones(10), np.ones(10))[0])
tiles.sample_grid(folder / "sample_grid.png", images, labels)
tiles.preprocessing(folder / "preprocessing.png", {"as it is": images[:10]})
scores.confusion_matrix(folder / "confusion.png", np.eye(10, dtype=np.int64) + 1)
table = tabulate_calibration(np.eye(10)[labels], labels, num_bins=15)
scores.calibration(folder / "calibration.svg", table.assign(scaled=False))
"""

MATPLOTLIBRC = """
text.usetex: True
font.size: 30
font.family: serif
axes.facecolor: black
figure.facecolor: black
figure.dpi: 30
figure.autolayout: True
savefig.bbox: tight
savefig.facecolor: black
image.cmap: jet
lines.linewidth: 9
axes.formatter.use_locale: True
no.such.key: 1
"""


def test_pictures_look_the_same_whatever_the_user_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jupyter's backend without Jupyter, configuration files, a theme, no folder for caches."""
    theirs = tmp_path / "theirs"
    (theirs / ".config/matplotlib").mkdir(parents=True)
    (theirs / ".config/matplotlib/matplotlibrc").write_text(MATPLOTLIBRC)
    (theirs / "matplotlibrc").write_text(MATPLOTLIBRC)
    variables = {
        "HOME": str(theirs),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(theirs / ".config/matplotlib"),
        "MPLCONFIGDIR": "/dev/null/matplotlib",
    }
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    for folder in (plain, hostile):
        folder.mkdir()
    monkeypatch.setattr(sys, "argv", ["draw", str(plain)])
    exec(DRAW, {})
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(hostile), "theme"],
        cwd=theirs,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    drawn = [
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (plain, hostile)
    ]
    assert len(drawn[0]) == 6
    assert drawn[0] == drawn[1]


def height(path: Path) -> int:
    with Image.open(path) as image:
        image.verify()
        return int(image.height)


def test_class_counts_with_a_digit_missing(training_digits: TrainingDigits, tmp_path: Path) -> None:
    labels = training_digits.labels[training_digits.labels != 3]
    bars.class_counts(tmp_path / "counts.png", labels)
    assert height(tmp_path / "counts.png")


def test_sample_grid_grows_with_its_images(training_digits: TrainingDigits, tmp_path: Path) -> None:
    for count in (1, 60):
        path = tmp_path / f"{count}.png"
        tiles.sample_grid(path, training_digits.images[:count], training_digits.labels[:count])
    assert height(tmp_path / "60.png") > height(tmp_path / "1.png")


@pytest.mark.parametrize("confusions", [np.eye(10), np.zeros((10, 10)), np.ones((10, 10))])
def test_confusion_matrix_without_errors_without_images_and_with_all(
    confusions: np.ndarray, tmp_path: Path
) -> None:
    scores.confusion_matrix(tmp_path / "confusion.png", confusions.astype(np.int64))
    assert height(tmp_path / "confusion.png")


def assert_fits_a_page(path: Path) -> None:
    """An SVG whose words are text and whose colours a page can change."""
    text = path.read_text()
    ElementTree.fromstring(text)
    assert "<text" in text
    assert "var(--ink, #1b1f24)" in text
    assert not re.search(r"(?:fill|stroke): #(?:000000|ffffff)", text)


@pytest.mark.parametrize("measure", ["loss", "error_rate"])
def test_learning_curves_of_members_with_and_without_a_validation_set(
    measure: str, tmp_path: Path
) -> None:
    curves = pd.DataFrame(
        {
            "member": ["a", "a", "b"],
            "epoch": [1, 2, 1],
            "loss": [1.0, 0.5, 0.7],
            "error_rate": [0.5, 0.0, 0.4],
            "val_loss": [1.0, 0.5, np.nan],
            "val_error_rate": [0.4, 0.2, np.nan],
        }
    )
    path = tmp_path / "curve.svg"
    means = average_curves(curves)
    learning_curve(path, curves, means, measure)
    assert_fits_a_page(path)
    assert means["members"].tolist() == [2, 1]
    assert means["loss_mean"].tolist() == [0.85, 0.5]
    assert means["loss_sd"].tolist() == pytest.approx([0.3 / 2**0.5, np.nan], nan_ok=True)


def test_legend_names_no_validation_set_where_there_is_none(tmp_path: Path) -> None:
    curves = pd.DataFrame({"member": "a", "epoch": [1, 2], "loss": [1.0, 0.5], "val_loss": np.nan})
    curves = curves.assign(error_rate=0.5, val_error_rate=np.nan)
    path = tmp_path / "curve.svg"
    learning_curve(path, curves, average_curves(curves), "loss")
    assert "training images" in path.read_text() and "validation set" not in path.read_text()


@pytest.mark.parametrize("num_errors", [0, 7, 60])
def test_calibration_without_with_some_and_with_only_errors(
    num_errors: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    labels = training_digits.labels
    predicted = np.where(np.arange(60) < num_errors, (labels + 1) % 10, labels)
    probabilities = np.full((60, 10), 0.01)
    probabilities[np.arange(60), predicted] = 0.91
    table = tabulate_calibration(probabilities, labels, num_bins=15)
    scores.confidence_histogram(tmp_path / "histogram.svg", table)
    scores.calibration(tmp_path / "one.svg", table.assign(scaled=False))
    both = pd.concat([table.assign(scaled=False), table.assign(scaled=True)])
    scores.calibration(tmp_path / "both.svg", both)
    for path in tmp_path.iterdir():
        assert_fits_a_page(path)


@pytest.mark.parametrize("draw", [scores.calibration, scores.confidence_histogram])
def test_legend_lies_outside_the_axes(draw: Callable[..., None], tmp_path: Path) -> None:
    """Inside, the markers of a calibration curve's legend look like two more points."""
    labels = np.tile(np.arange(10, dtype=np.uint8), 3)
    table = tabulate_calibration(np.eye(10)[labels], labels, num_bins=15).assign(scaled=False)
    with patch.object(plt, "close"):
        draw(tmp_path / "figure.svg", table)
    figure = plt.gcf()
    figure.canvas.draw()
    (axes,) = figure.axes
    legend = axes.get_legend()
    plt.close(figure)
    assert legend is not None
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1


def test_predicted_counts_with_a_digit_missing(tmp_path: Path) -> None:
    table, _ = compare_counts(np.array([0, *range(1, 10)]), np.array([0, *range(9, 0, -1)]))
    bars.predicted_counts(tmp_path / "counts.svg", table)
    assert_fits_a_page(tmp_path / "counts.svg")


@pytest.mark.parametrize("num_errors", [0, 25])
def test_error_gallery_with_and_without_errors(
    num_errors: int, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    labels = training_digits.labels
    predicted = labels.copy()
    predicted[:num_errors] = (labels[:num_errors] + 1) % 10
    probabilities = np.full((60, 10), 0.01)
    probabilities[np.arange(60), predicted] = 0.91
    errors = tabulate_errors(
        OutOfFoldPredictions(np.arange(60), labels, probabilities, probabilities, {}, "a" * 64)
    )
    images = training_digits.images[errors["row"].to_numpy()]
    tiles.error_gallery(tmp_path / "errors.png", images, errors, num_errors=len(errors))
    assert height(tmp_path / "errors.png")


def test_picture_of_equal_data_has_equal_bytes(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    table, _ = compare_counts(np.arange(1, 11), np.arange(10, 0, -1))
    for name in ("one", "two"):
        bars.class_counts(tmp_path / f"{name}.png", training_digits.labels)
        bars.predicted_counts(tmp_path / f"{name}.svg", table)
    for kind in ("png", "svg"):
        ours, theirs = (tmp_path / f"{name}.{kind}" for name in ("one", "two"))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("name", ["dense_baseline", "conv4_normalized"])
def test_architecture_is_drawn_to_one_scale(name: str, tmp_path: Path) -> None:
    for drawn in (name, "flat_mlp"):
        diagrams.architecture(tmp_path / f"{drawn}.png", tabulate_layers(build(drawn)), drawn)
    assert height(tmp_path / f"{name}.png") == height(tmp_path / "flat_mlp.png")


def test_preprocessing_has_a_row_for_each_step(
    training_digits: TrainingDigits, tmp_path: Path
) -> None:
    images = training_digits.images[:10]
    tiles.preprocessing(tmp_path / "one.png", {"as it is": images})
    tiles.preprocessing(tmp_path / "two.png", {"as it is": images, "deskew": images})
    assert height(tmp_path / "two.png") > height(tmp_path / "one.png")


def test_names_of_runs_are_shown_as_they_are(tmp_path: Path) -> None:
    """Whatever they mean to Matplotlib."""
    names = ["x$_{$y", "cost$5$a", "_wip", "ü🙂"]
    row = {"epoch": 1, "loss_mean": 0.5, "val_loss_mean": 0.4}
    curves = pd.DataFrame([row | {"run": name} for name in names])
    learning_curves_of_runs(tmp_path / "curves.svg", curves, names, "loss")
    text = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert all(f">{name}<" in text for name in names)

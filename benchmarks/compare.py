"""The page of ``digits compare`` for 42,000 images: at most 4 MB and 20 s.

The images are the ones that the last `dvc repro` prepared; without them, noise of as much ink. The
predictions are made up: two runs with the given fraction of errors, most of them in common, as of
networks that differ little. The page is written as the command writes it, in a process of its own.

    python -m benchmarks.compare            # 0.5 % errors, as of good networks
    python -m benchmarks.compare 0.9        # networks that learned nothing
"""

import multiprocessing
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.report import predict_badly
from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import Labels, Provenance, TrainingDigits
from pipeline.evaluation.comparison import EvaluatedRun
from pipeline.evaluation.predictions import OutOfFoldPredictions

IMAGES, MOST_SECONDS, MOST_MEGABYTES = 42_000, 20, 4
CHANGED = 0.3
"""Fraction of the errors that differ between the two runs."""


def main() -> None:
    """Print the figures; exit 1 if they are beyond the limits."""
    fraction = float(sys.argv[1]) if len(sys.argv) > 1 else 0.005
    project = Path.cwd()
    with TemporaryDirectory() as name:
        os.chdir(name)
        dataset.save(Path("train.npz"), load_images(project / stages.TRAIN))
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            seconds, changed = pool.apply(measure, (fraction,))
        size = Path("compare.html").stat().st_size / 1e6
        beside = sum(path.stat().st_size for path in Path("compare").iterdir()) / 1e6
        os.chdir(project)
    print(f"{fraction:.1%} errors, {changed:,} images wrong in one of two runs")
    print(f"page {size:.2f} MB, its numbers as CSV and JSON {beside:.2f} MB, {seconds:.1f} s")
    within = seconds <= MOST_SECONDS and size <= MOST_MEGABYTES
    print("within the limits" if within else "BEYOND the limits")
    sys.exit(not within)


def load_images(path: Path) -> TrainingDigits:
    """The competition's images, or as many with a fifth of ink."""
    if path.exists():
        found = dataset.load_labelled(path)
        if len(found.images) == IMAGES:
            return found
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (IMAGES, 28, 28), dtype=np.uint8)
    images[generator.random(images.shape) < 0.8] = 0
    labels = generator.integers(0, 10, IMAGES).astype(np.uint8)
    folds = (np.arange(IMAGES) % 5).astype(np.uint8)
    return TrainingDigits(images, labels, folds, Provenance(False, "a" * 64, "b" * 64))


def measure(fraction: float) -> tuple[float, int]:
    """Seconds from two runs' predictions to the page, and how many images it has to tell of."""
    from pipeline.cli.compare import write
    from pipeline.evaluation.comparison import compare
    from pipeline.runs.evaluated import Found

    labels = dataset.load_labelled(Path("train.npz")).labels
    sha256 = dataset.load_labelled(Path("train.npz")).provenance.train_sha256
    runs = [
        EvaluatedRun(name, None, predictions, {"seed": name}, make_curves(name), 60.0)
        for name, predictions in make_predictions(labels, fraction, sha256).items()
    ]
    code = pd.DataFrame({"run": [], "path": [], "change": []})
    start = time.perf_counter()
    digits = dataset.load_labelled(Path("train.npz"))
    found = compare(runs, code)
    write(Path("compare.html"), found, Found(runs, code, digits, []))
    return time.perf_counter() - start, len(found.tables["changes"])


def make_predictions(
    labels: Labels, fraction: float, train_sha256: str
) -> dict[str, OutOfFoldPredictions]:
    """Two runs that share most of their errors."""
    first = predict_badly(labels, fraction)
    second = predict_badly(labels[::-1], fraction)[::-1]
    differs = np.random.default_rng(1).random(len(labels)) < CHANGED
    second = np.where(differs[:, None], second, first)
    return {
        name: OutOfFoldPredictions(
            rows=np.arange(len(labels)),
            labels=labels,
            averages=probabilities,
            probabilities=probabilities,
            members={"0-0-made_up": "f" * 64},
            train_sha256=train_sha256,
        )
        for name, probabilities in (("main", first), ("workspace", second))
    }


def make_curves(name: str) -> pd.DataFrame:
    """Learning curves of 36 epochs."""
    epochs = np.arange(1, 37)
    loss = np.random.default_rng(len(name)).uniform(0.9, 1.1, 36) / epochs
    means = {"loss": loss, "val_loss": loss / 2, "error_rate": loss / 5, "val_error_rate": loss / 9}
    columns = {f"{key}_mean": value for key, value in means.items()}
    return pd.DataFrame({"epoch": epochs, "members": 1} | columns)


if __name__ == "__main__":
    main()

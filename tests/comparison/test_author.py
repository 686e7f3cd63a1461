"""The authors' recipes: in plain Keras, on two libraries, continued after a kill."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from comparison import author
from comparison.author import build, compile_model, fit_epoch
from comparison.outcome import Outcome
from comparison.references import REFERENCES
from comparison.runs import Run
from pipeline import architectures
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.backend import keras
from pipeline.training.fast_layers import FusedBatchNormalization
from pipeline.training.state import TrainingState
from tests.conftest import ROOT, replace_text

STOPS = Run("deep_cnn", "author", 0.5, 0, 0)
"""By an author who stops early, warps, normalises and drops out."""


@pytest.fixture(scope="module")
def digits(training_digits: TrainingDigits) -> TrainingDigits:
    """Enough images that a validation set holds every digit."""
    return TrainingDigits(
        np.tile(training_digits.images, (8, 1, 1)),
        np.tile(training_digits.labels, 8),
        np.tile(training_digits.folds, 8),
        training_digits.provenance,
    )


def test_faster_layers_train_the_same_weights(digits: TrainingDigits) -> None:
    """A step with the same batch and dropout masks as Keras's own layers, within rounding.

    Further steps enlarge rounding, and Adam's first one is as long for a gradient that is nothing
    else: so one step, of SGD.
    """
    reference, rows = REFERENCES["regularized_cnn"], np.arange(60)
    keras.utils.set_random_seed(0)
    start = architectures.build("regularized_cnn").get_weights()
    weights = []
    for build_model in (build, architectures.build):
        model = build_model("regularized_cnn")
        model.set_weights(start)
        compile_model(model, reference)
        model.compile(
            keras.optimizers.SGD(0.05), model.loss, metrics=["accuracy"], jit_compile=False
        )
        fit_epoch(model, reference, digits, rows, [5, 0])
        weights.append(model.get_weights())
        kinds = {type(layer) for layer in model.layers}
        assert (FusedBatchNormalization in kinds) is (build_model is build)
    for begun, fast, plain in zip(start, *weights, strict=True):
        # Rounding may decide which pixel of an area is its largest, and so move single weights.
        assert np.linalg.norm(fast - plain) <= 0.05 * np.linalg.norm(plain - begun) + 1e-6


def train(run: Run, digits: TrainingDigits, path: Path) -> Outcome:
    return author.train(run, digits, path)


def test_killed_run_continues_and_ends_with_the_same_bits(
    digits: TrainingDigits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = train(STOPS, digits, tmp_path / "whole.npz")
    assert len(whole.history) >= 6  # patience has to run out
    save = TrainingState.save

    def save_and_die(state: TrainingState, path: Path) -> None:
        save(state, path)
        if len(state.history) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(STOPS, digits, tmp_path / "killed.npz")
    capsys.readouterr()
    killed = train(STOPS, digits, tmp_path / "killed.npz")
    printed = capsys.readouterr().out
    assert "continuing after epoch 3" in printed and "epoch  3/" not in printed
    np.testing.assert_array_equal(killed.probabilities, whole.probabilities)
    states = [TrainingState.load(tmp_path / f"{name}.npz") for name in ("whole", "killed")]
    for ours, theirs in zip(states[0].best_weights, states[1].best_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    losses = [[row["val_loss"] for row in state.history] for state in states]
    assert losses[0] == losses[1]
    best = states[0].best_epoch
    assert losses[0][best - 1] == min(losses[0])
    assert len(losses[0]) == min(best + 5, 100)


def test_finished_state_is_scored_without_training(
    digits: TrainingDigits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("dense_baseline", "author", 1.0, 1, 0)
    first = train(run, digits, tmp_path / "state.npz")
    monkeypatch.setattr(keras.Model, "fit", None)
    again = train(run, digits, tmp_path / "state.npz")
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    assert (len(first.history), first.training_images, first.dtype) == (5, 320, "float32")
    assert first.probabilities.shape == (160, 10)
    assert "tensorflow" in first.backend


WITHOUT_TENSORFLOW = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
sys.argv = ["train", "--recipe", "author", "--network", "dense_baseline", "--seed", "0"]
from comparison import train
train.main()
assert "tensorflow" not in sys.modules
"""


def test_recipe_runs_on_jax_where_there_is_no_tensorflow(
    digits: TrainingDigits, in_folder: Path
) -> None:
    (in_folder / "comparison").mkdir()
    for name in ("params.yaml", "speeds.csv"):
        shutil.copy(ROOT / "comparison" / name, in_folder / "comparison")
    fractions = "fractions: [0.25, 0.5, 1]", "fractions: [1]"
    replace_text(in_folder / "comparison/params.yaml", fractions)
    dataset.save(in_folder / "data/prepared/train.npz", digits)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW],
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = (in_folder / "comparison/runs.csv").read_text().splitlines()
    assert len(rows) == 2
    assert '"jax ' in rows[1] and ",float32," in rows[1]

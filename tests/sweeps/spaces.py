"""Space files, and projects to run them in."""

import shutil
from pathlib import Path

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from tests.conftest import (
    FEW_NEIGHBOURS,
    LISTED_NETWORK,
    ROOT,
    list_networks,
    replace_text,
    set_params,
)

MARKS = "dvc.yaml", "params.yaml"
"""Files by which a project's folder is known."""

SPACE = """\
trials: 3
trials_at_once: 1
seed: 0
minimize: log_loss
choose_on: [0, 1]
confirm_on: [2]
stop_lagging: {after_trials: 1, after_epochs: 1}
space:
  train.learning_rate: {low: 0.001, high: 0.02, log: true}
  train.batch_size: [10, 20]
"""


def write_space(folder: Path, *changes: tuple[str, str], name: str = "small") -> Path:
    """A space file with some of its text replaced; each must be there."""
    path = folder / "sweeps" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SPACE)
    replace_text(path, *changes)
    return path


def make_folder(folder: Path, digits: TrainingDigits) -> Path:
    """A project of sixty images in three folds, prepared; its network is the one soonest compiled,
    trains for three epochs, and asks neighbours about few images."""
    dataset.save(folder / stages.TRAIN, digits)
    for name in MARKS:
        shutil.copy(ROOT / name, folder)
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    set_params(
        folder,
        (LISTED_NETWORK, list_networks(small="dense_baseline, [[]]")),
        ("folds: 5 ", "folds: 3 "),
        ("batch_size: 128", "batch_size: 20"),
        ("max_epochs: 36", "max_epochs: 3"),
        ("decay_epochs: 8", "decay_epochs: 1"),
        ("validation_fraction: 0.03", "validation_fraction: 0.25"),
        FEW_NEIGHBOURS,
    )
    return folder

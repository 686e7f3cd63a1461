"""Train stages of small members, run as DVC runs them, on a cluster or without one."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.trained import load_model
from tests.conftest import ROOT, SMALL_NETWORK, set_params

SEEDS = [0, 1, 2]
NAMES = [f"0-{seed}-small" for seed in SEEDS]

SHORT = (
    ("seeds: [0]", f"seeds: {SEEDS}"),
    ("decay_epochs: 8", "decay_epochs: 1"),
    ("max_epochs: 36", "max_epochs: 2"),
)
"""What makes ``params.yaml`` ask for three members of two epochs, for `set_params`."""


def make_folder(folder: Path, digits: TrainingDigits) -> Path:
    """A project of three small members, two epochs each."""
    dataset.save(folder / stages.TRAIN, digits)
    shutil.copy(ROOT / "params.yaml", folder)
    enough_to_validate = ("validation_fraction: 0.03", "validation_fraction: 0.25")
    set_params(folder, SMALL_NETWORK, *SHORT, enough_to_validate)
    return folder


def start(
    folder: Path, address: str, name: str = NAMES[0], **variables: str
) -> subprocess.Popen[str]:
    """Begin the train stage of a member; without a cluster if ``address`` is empty."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.train", name],
        cwd=folder,
        env=os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(stage: subprocess.Popen[str], pattern: str) -> str:
    """What a stage prints up to a line in which ``pattern`` is found."""
    told = ""
    assert stage.stdout
    for line in stage.stdout:
        told += line
        if re.search(pattern, line):
            return told
    raise AssertionError(told)


def run_stage(
    folder: Path, address: str, name: str = NAMES[0], *, status: int = 0, **variables: str
) -> str:
    """What the train stage of a member prints to its end."""
    stage = start(folder, address, name, **variables)
    told, _ = stage.communicate()
    assert stage.returncode == status, told
    return told


def load_weights(member: Path) -> Sequence[np.ndarray]:
    """Those of ``models/<member>``."""
    weights: list[np.ndarray] = load_model(member / "model.keras").get_weights()
    return weights


def train_locally(folder: Path, digits: TrainingDigits) -> Sequence[np.ndarray]:
    """The weights of the last member, trained in a new ``folder`` without a cluster."""
    make_folder(folder, digits)
    set_params(folder, (f"seeds: {SEEDS}", f"seeds: {SEEDS[-1:]}"))
    run_stage(folder, "", NAMES[-1])
    return load_weights(folder / stages.MODELS / NAMES[-1])


def assert_same_bits(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> None:
    """Whether two networks have the same weights, bit for bit."""
    assert [array.tobytes() for array in expected] == [array.tobytes() for array in found]

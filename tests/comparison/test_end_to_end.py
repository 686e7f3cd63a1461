"""Real DVC: the comparison, killed and continued, and the main project, which never names it."""

import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from tests.conftest import ROOT, environment, make_project, run

FILES = ("*.*", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
WITHOUT_GIT = ".dvc/config.local"
KILLED = "dense_baseline-ours-0"


def add_comparison(project: Path) -> Path:
    """Copy the comparison as a fresh clone has it; give its folder."""
    folder = project / "comparison"
    for pattern in FILES:
        for path in (ROOT / "comparison").glob(pattern):
            target = folder / path.relative_to(ROOT / "comparison")
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.name != "dvc.lock":
                shutil.copy(path, target)
    return folder


@pytest.fixture(scope="module")
def comparison(training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of a small network, next to prepared data, in a folder without Git."""
    project = make_project(tmp_path_factory.mktemp("second") / "project", git=False)
    folder = add_comparison(project)
    shutil.copy(project / WITHOUT_GIT, folder / WITHOUT_GIT)
    (folder / "params.yaml").write_text(
        "fold: 0\nseeds: [0]\narchitectures: [dense_baseline]\nbaseline: dense_baseline\n"
        "budget: {author_multiply_adds: 1.0, author_min_epochs: 1, author_max_epochs: 1, "
        "our_epochs: 20}\n"
        "robustness: {architectures: [dense_baseline], shift_pixels: [0, 6], "
        "rotation_degrees: [0, 45]}\n"
    )
    repeated = TrainingDigits(
        np.tile(training_digits.images, (40, 1, 1)),
        np.tile(training_digits.labels, 40),
        np.tile(training_digits.folds, 40),
        training_digits.provenance,
    )
    dataset.save(project / "data/prepared/train.npz", repeated)
    return folder


def test_comparison_survives_a_kill_and_ends_in_tables(comparison: Path) -> None:
    kill_during(comparison, f"{KILLED}  epoch")

    output = run(comparison, "dvc", "repro")
    assert re.search(rf"{KILLED}: continuing after epoch \d+", output)
    assert re.findall(r"Running stage '(.+)'", output) == [
        "train@dense_baseline",
        "robustness@dense_baseline",
        "summarize",
    ]

    table = pd.read_csv(comparison / "results/comparison.csv")
    assert table["recipe"].tolist() == ["author", "ours"]
    assert (table["images"] == 800).all()
    text = (comparison / "results/comparison.md").read_text()
    assert text.startswith("**This is of the embedded sample")
    moved = pd.read_csv(comparison / "results/robustness.csv").set_index(["moved", "amount"])
    assert moved["accuracy"]["shift", 0] == moved["accuracy"]["rotation", 0] > 0.8
    assert moved["accuracy"]["shift", 6] < 0.8

    assert "up to date" in run(comparison, "dvc", "repro")


def kill_during(folder: Path, line: str) -> None:
    """Run the comparison until ``line`` is printed; then kill DVC and what it started.

    DVC goes first: while its command runs it writes nothing. Killed after the command, it may be
    about to write the file of its locks, which it does not replace in one step.
    """
    process = psutil.Popen(
        ["dvc", "repro"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []
    try:
        while not (printed and line in printed[-1]):
            printed.append(process.stdout.readline())
            assert printed[-1], printed
    finally:
        started = process.children(recursive=True)
        for each in (process, *started):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        process.communicate()  # until all that could write to it are dead


def test_main_project_never_names_the_comparison(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    add_comparison(project)
    stages, _, _ = (project / "dvc.yaml").read_text().partition("\n  prepare:")
    (project / "dvc.yaml").write_text(stages)
    run(project, "dvc", "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    commit(project)
    told = run(project, "dvc", "repro")
    commit(project)
    told += run(project, "dvc", "push")
    told += run(project, "dvc", "exp", "run", "--name=trial", "--set-param=seed=1")
    run(project, "git", "checkout", "--", ".")
    told += run(project, "dvc", "exp", "apply", "trial")
    assert "\nseed: 1 " in (project / "params.yaml").read_text()
    told += run(project, "dvc", "status")

    run(tmp_path, "git", "clone", "--quiet", "project", "clone")
    told += run(tmp_path / "clone", "dvc", "pull")
    assert (tmp_path / "clone/data/raw/provenance.json").exists()
    assert "comparison" not in told

    planned = run(tmp_path / "clone/comparison", "dvc", "repro", "--dry", status=255)
    assert "data/prepared/train.npz" in planned


def commit(project: Path) -> None:
    run(project, "git", "add", ".")
    run(project, "git", "commit", "--quiet", "--message=next")

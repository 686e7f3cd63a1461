"""Real DVC: the comparison, killed and continued, and the main project, which never names it."""

import random
import re
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from tests.conftest import ROOT, environment, make_project, replace_text, run

FILES = ("*.*", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
WITHOUT_GIT = ".dvc/config.local"
FINISHED_EPOCH = re.compile(r"^(dense_baseline-\S+)  epoch +(\d+)/", re.MULTILINE)
KILLS = 2


def add_comparison(project: Path) -> Path:
    """Copy the comparison as a fresh clone has it; give its folder."""
    folder = project / "comparison"
    for pattern in FILES:
        for path in (ROOT / "comparison").glob(pattern):
            target = folder / path.relative_to(ROOT / "comparison")
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.name not in ("dvc.lock", "runs.csv", "moved.csv"):
                shutil.copy(path, target)
    return folder


@pytest.fixture(scope="module")
def comparison(training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of a small network, next to prepared data, in a folder without Git."""
    project = make_project(tmp_path_factory.mktemp("second") / "project", git=False)
    epochs = ("max_epochs: 36", "max_epochs: 9"), ("decay_epochs: 8", "decay_epochs: 2")
    replace_text(project / "pipeline/profiles/default.yaml", *epochs)
    folder = add_comparison(project)
    shutil.copy(project / WITHOUT_GIT, folder / WITHOUT_GIT)
    (folder / "params.yaml").write_text(
        "folds: [0]\nseeds: [0]\none_seed_from_minutes: 10\nfractions: [0.25, 0.5, 1]\n"
        "architectures: [dense_baseline]\nbaseline: dense_baseline\n"
        "robustness: {architectures: [dense_baseline], shift_pixels: [0, 4], "
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


def test_comparison_survives_kills_and_ends_in_tables(comparison: Path) -> None:
    """No epoch is trained twice whose end was told, and no row is lost."""
    seed = random.randrange(2**32)
    chance, told, rows = random.Random(seed), "", 0
    for _ in range(KILLS):
        told += kill_after_epochs(comparison, chance.randint(1, 6))
        now = len(read_rows(comparison))
        assert now >= rows, seed
        rows = now
    output = run(comparison, "dvc", "repro")
    assert re.findall(r"Running stage '(.+)'", output)[-1] == "summarize"
    epochs = Counter(FINISHED_EPOCH.findall(told + output))
    assert max(epochs.values()) == 1, seed

    table = read_rows(comparison)
    assert table["recipe"].tolist() == ["author"] * 3 + ["ours", "plain"]
    assert table["epochs"].tolist() == [5, 5, 5, 9, 9]
    assert (table["images"] == 800).all()
    networks = pd.read_csv(comparison / "results/comparison.csv")
    assert networks["network"].tolist() == ["dense_baseline"]
    assert networks["reached"].notna().all()
    text = (comparison / "results/comparison.md").read_text()
    assert text.startswith("**This is of the embedded sample")
    moved = pd.read_csv(comparison / "moved.csv").set_index(["moved", "amount"])["accuracy"]
    assert moved["shift", 0] == moved["rotation", 0] > 0.8 > moved["shift", 4]

    assert "up to date" in run(comparison, "dvc", "repro")


def test_change_of_code_that_matters_trains_again_and_of_a_comment_does_not(
    comparison: Path,
) -> None:
    run(comparison, "dvc", "repro")
    network = comparison.parent / "pipeline/architectures/dense_baseline.py"
    text = network.read_text()
    network.write_text(text + "\n# A thought.\n")
    told = run(comparison, "dvc", "repro")
    assert "0 of them were missing" in told and not FINISHED_EPOCH.search(told)
    network.write_text(text.replace("Dense(128", "Dense(127"))
    listed = run(comparison.parent, "python", "-m", "comparison.train", "--list")
    assert listed.count("stale: other network code") == 5
    network.write_text(text)


def read_rows(comparison: Path) -> pd.DataFrame:
    """``runs.csv``; empty if there is none yet."""
    path = comparison / "runs.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def kill_after_epochs(folder: Path, count: int) -> str:
    """Run the comparison until so many epochs are told; then kill DVC and what it started.

    DVC goes first: while its command runs it writes nothing. Killed after the command, it may be
    about to write the file of its locks, which it does not replace in one step.

    Returns:
        What was printed.
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
        while sum(bool(FINISHED_EPOCH.match(line)) for line in printed) < count:
            printed.append(process.stdout.readline())
            assert printed[-1], printed
    finally:
        started = process.children(recursive=True)
        for each in (process, *started):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()  # until all that could write to it are dead
    return "".join([*printed, rest])


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

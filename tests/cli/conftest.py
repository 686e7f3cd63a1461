"""Projects whose results are there, without a run."""

import shutil
from pathlib import Path

import pytest

from tests.cli.recorded import make_recorded_project
from tests.conftest import build_once


@pytest.fixture(scope="package")
def recorded_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with recorded results; not to be changed. DVC locks it: each worker has its own."""
    made = build_once(tmp_path_factory, "recorded", make_recorded_project)
    project = tmp_path_factory.mktemp("recorded") / "project"
    shutil.copytree(made, project, symlinks=True)
    return project


@pytest.fixture
def in_project(recorded_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded project, as the current folder; without Kaggle's credentials."""
    project = tmp_path / "project"
    shutil.copytree(recorded_project, project, symlinks=True)
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return project

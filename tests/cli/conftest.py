"""Projects whose results are there, without a run."""

import shutil
from pathlib import Path

import pytest

from tests.cli.recorded import make_recorded_project


@pytest.fixture(scope="package")
def recorded_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with recorded results; not to be changed."""
    return make_recorded_project(tmp_path_factory.mktemp("recorded") / "project")


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

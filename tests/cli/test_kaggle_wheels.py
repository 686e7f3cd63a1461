"""``digits kaggle wheels``: a folder that a notebook installs from and Kaggle's client uploads."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.conftest import run
from tests.kaggle.test_wheels import put_wheel


@pytest.fixture
def project(in_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that needs one package, which pip finds in a folder."""
    (tmp_path / "index").mkdir()
    lock = f"pure==1.0 \\\n    --hash=sha256:{put_wheel(tmp_path / 'index', 'pure')}\n"
    (in_project / "requirements.lock").write_text(lock)
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
    }.items():
        monkeypatch.setenv(name, value)
    return in_project


def test_folder_holds_packages_code_and_description(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my wheels"
    output = run(project, "digits", "kaggle", "wheels", str(folder), "--user", "someone")
    assert "0/1  pure\n" in output
    assert "all               0.0\n" in output
    commit = run(project, "git", "rev-parse", "HEAD").strip()
    assert f"is ready for Kaggle, with the code of commit {commit[:8]}. Upload it with:" in output
    assert f"kaggle datasets create -p '{folder}'\n" in output
    assert "digits kaggle run --no-internet --wheels someone/digit-recognizer-wheels\n" in output
    assert {path.name for path in folder.iterdir()} == {
        "code.archive",
        "dataset-metadata.json",
        "pure-1.0-py3-none-any.whl",
        "requirements.txt",
        "wheels.json",
    }
    with tarfile.open(folder / "code.archive") as archive:
        names = archive.getnames()
        packed = archive.extractfile(".commit")
        assert packed and packed.read().decode() == f"{commit}\n"
    assert {"dvc.yaml", "params.yaml", "pipeline/errors.py", "requirements.lock"} <= set(names)
    described = json.loads((folder / "dataset-metadata.json").read_text())
    assert described["id"] == "someone/digit-recognizer-wheels"
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# mine\n")
    again = run(project, "digits", "kaggle", "wheels", str(folder))
    assert "0/1  pure" not in again and "someone/digit-recognizer-wheels" in again
    assert f"commit {commit[:8]} and uncommitted changes." in again


def test_owner_is_asked_for_before_anything_is_downloaded(project: Path, tmp_path: Path) -> None:
    output = run(project, "digits", "kaggle", "wheels", str(tmp_path / "wheels"), status=1)
    assert output.startswith("error: The data set needs an owner")
    assert not (tmp_path / "wheels").exists()

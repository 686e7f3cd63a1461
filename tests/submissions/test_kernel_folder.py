"""The folder that is sent to Kaggle: the notebook with the project's code in it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from pipeline.errors import ParamsError, ProjectError
from pipeline.files import sha256
from pipeline.submissions import kernel_folder, project_archive
from pipeline.submissions.kernel_folder import KernelFolder, Settings
from tests.conftest import ROOT, make_project, run, set_params
from tests.sent_project import added_cell, commit_of, make_sent_project, unpack

SETTINGS = Settings("me/my-digits", "My digits")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    make_sent_project(folder)
    return folder


def write(project: Path, settings: Settings = SETTINGS) -> KernelFolder:
    runs = project.parent / "runs"
    return kernel_folder.write(runs, project / "notebooks/kaggle.ipynb", settings, project)


def source(folder: KernelFolder) -> str:
    return (folder.path / "notebook.ipynb").read_text(encoding="utf-8")


def test_notebook_is_valid_and_carries_the_code_after_its_parameters(project: Path) -> None:
    folder = write(project)
    notebook = nbformat.reads(source(folder), as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[2].source.startswith(f"{folder.mark}\n")
    assert notebook.cells[3].source == "print(SECOND)"
    assert folder.source_bytes == len(source(folder).encode())


def test_files_of_a_run_are_sent_and_no_others(project: Path) -> None:
    (project / "pipeline/new.py").write_text("new = True\n")
    (project / "pipeline/__pycache__").mkdir()
    (project / "pipeline/__pycache__/new.pyc").write_bytes(b"cache")
    (project / ".env").write_text("KEY=1\n")
    (project / "data").mkdir()
    for name in ("labels.csv", "digit-recognizer.zip", "source.json"):
        (project / "data" / name).write_text("row,verdict\n")
    carried = unpack(source(write(project)))
    assert set(carried) == {
        ".commit",
        ".gitignore",
        "data/labels.csv",
        "dvc.yaml",
        "params.yaml",
        "pipeline/__init__.py",
        "pipeline/new.py",
    }
    assert carried["params.yaml"] == (project / "params.yaml").read_bytes()


def test_commit_is_sent_and_uncommitted_changes_are_marked(project: Path) -> None:
    clean = write(project)
    assert clean.commit == commit_of(project)
    assert unpack(source(clean))[".commit"].decode() == f"{clean.commit}\n"
    set_params(project, ("seed: 0", "seed: 1"))
    changed = write(project)
    assert changed.commit == f"{clean.commit}+dirty"
    assert unpack(source(changed))["params.yaml"] == (project / "params.yaml").read_bytes()
    assert changed.params_sha256 == sha256(project / "params.yaml") != clean.params_sha256


def test_equal_input_gives_equal_bytes_and_any_change_another_folder(project: Path) -> None:
    first, content = write(project), source(write(project))
    (project / "params.yaml").touch()
    assert write(project) == first and source(first) == content
    others = [
        write(project, Settings("me/my-digits", "My digits", accelerator="t4")),
        write(project, Settings("me/my-digits", "My digits", internet=False, wheels="me/wheels")),
    ]
    set_params(project, ("seed: 0", "seed: 1"))
    others.append(write(project))
    assert len({folder.path for folder in [first, *others]}) == 4


def test_metadata_says_how_to_run(project: Path) -> None:
    settings = Settings("me/my-digits", "My digits", "t4", internet=False, wheels="me/wheels")
    metadata = json.loads((write(project, settings).path / "kernel-metadata.json").read_text())
    assert metadata == {
        "id": "me/my-digits",
        "title": "My digits",
        "code_file": "notebook.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": "NvidiaTeslaT4",
        "competition_sources": ["digit-recognizer"],
        "dataset_sources": ["me/wheels"],
    }


def test_project_outside_git_is_sent_without_a_commit(project: Path) -> None:
    run(project, "mv", ".git", "../git")
    (project / "pipeline/__pycache__").mkdir()
    (project / "pipeline/__pycache__/new.pyc").write_bytes(b"cache")
    folder = write(project)
    assert folder.commit is None
    assert set(unpack(source(folder))) == {
        ".gitignore",
        "dvc.yaml",
        "params.yaml",
        "pipeline/__init__.py",
    }


def test_real_project_fits_and_its_cell_makes_a_project_that_knows_its_commit(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path / "project")
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    for name in project_archive.SENT:
        if (ROOT / name).is_file() and not (project / name).exists():
            (project / name).write_bytes((ROOT / name).read_bytes())
    folder = write(project)
    assert folder.source_bytes < 700_000
    cells = [cell["source"] for cell in json.loads(source(folder))["cells"]]
    (place,) = [n for n, code in enumerate(cells) if code == added_cell(source(folder))]
    parameters = "".join(cells[place - 1])
    assert "\nPROJECT = " in parameters and "\nSECOND = " in parameters

    unpacked = tmp_path / "unpacked"
    code = f"PROJECT = {str(unpacked)!r}\n{added_cell(source(folder))}"
    done = subprocess.run([sys.executable], input=code, capture_output=True, text=True, check=True)
    assert folder.commit and folder.commit in done.stdout
    asked = "from pathlib import Path; from pipeline import git; print(git.describe_commit(Path()))"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=unpacked, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == folder.commit
    lock = "requirements.lock"
    assert (unpacked / lock).read_bytes() == (ROOT / lock).read_bytes()


def test_project_that_is_too_large_names_its_largest_files(project: Path) -> None:
    import random

    (project / "pipeline/weights.bin").write_bytes(random.Random(0).randbytes(800_000))
    with pytest.raises(ProjectError, match=r"1,0\d\d,\d{3} bytes.*pipeline/weights.bin \(800,000"):
        write(project)
    assert not (project.parent / "runs").exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("kind: auto", "kind: sample"), "source.kind: sample"),
        (("kind: auto", "kind: kaggle"), "source.kind: kaggle"),
        (("path: null", "path: data/x.zip"), "source.path: data/x.zip"),
    ],
)
def test_params_that_would_use_other_data_are_refused(
    change: tuple[str, str], found: str, project: Path
) -> None:
    set_params(project, change)
    with pytest.raises(ParamsError, match=f"{found}.*Nothing was sent"):
        write(project)


def test_wrong_params_are_refused_before_anything_is_sent(project: Path) -> None:
    set_params(project, ("batch_size: 128", "batch_size: many"))
    with pytest.raises(ParamsError, match="batch_size"):
        write(project)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": [5]}', '{"cells": null}'])
def test_damaged_notebook_is_named(text: str, project: Path) -> None:
    (project / "notebooks/kaggle.ipynb").write_text(text)
    with pytest.raises(ProjectError, match=r"notebooks/kaggle.ipynb is no notebook.*git checkout"):
        write(project)


def test_missing_notebook_is_named(project: Path) -> None:
    (project / "notebooks/kaggle.ipynb").unlink()
    with pytest.raises(ProjectError, match=r"notebooks/kaggle.ipynb is missing"):
        write(project)

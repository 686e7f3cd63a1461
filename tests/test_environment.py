"""What users have in their terminals, variables and folders neither breaks nor changes a run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import environment
from pipeline.errors import ProjectError
from tests.conftest import ROOT

PRINT = r"""
import sys
from pipeline.environment import adapt
adapt()
print("loss \u2193 0.1 \u2013 \xfc")
print("\u2192", file=sys.stderr)
"""

WARN = """
import subprocess, sys, warnings
from pipeline.environment import let_warnings_pass
let_warnings_pass()
warnings.warn("ours", UserWarning)
warnings.warn_explicit("a library's", DeprecationWarning, "library.py", 1)
code = "import warnings; warnings.warn('a child process', UserWarning)"
subprocess.run([sys.executable, "-c", code], check=True)
"""


def python(
    code: str, folder: Path = ROOT, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """What a fresh Python that knows the package does under these variables."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (variables or {}),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "loss ? 0.1 ? ü\n".encode("latin-1")),
        ({"PYTHONIOENCODING": "ascii:strict"}, b"loss ? 0.1 ? ?\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "loss ↓ 0.1 – ü\n".encode()),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"loss ? 0.1 ? ?\n"),
    ],
)
def test_what_the_terminal_cannot_show_is_replaced(
    variables: dict[str, str], expected: bytes
) -> None:
    done = python(PRINT, variables=variables)
    assert (done.returncode, done.stdout) == (0, expected)


def test_warnings_of_libraries_end_nothing() -> None:
    done = python(WARN, variables={"PYTHONWARNINGS": "error"})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"UserWarning: ours") == 1
    assert b"UserWarning: a child process" in done.stderr
    assert b"a library's" not in done.stderr


def test_other_choices_about_warnings_stay() -> None:
    done = python(WARN, variables={"PYTHONWARNINGS": "always"})
    assert done.returncode == 0
    assert b"a library's" in done.stderr


IMPORT = """
from pipeline.environment import use_own_matplotlib
use_own_matplotlib()
import matplotlib
print(matplotlib.rcParams["backend"], matplotlib.rcParams["font.size"])
"""


@pytest.mark.parametrize("content", ["# für Vorträge\n", "font.size: 30\n", "no.such.key: 1\n"])
def test_matplotlib_is_imported_without_the_users_settings(tmp_path: Path, content: str) -> None:
    (tmp_path / "matplotlibrc").write_bytes(content.encode("latin-1"))
    variables = {"MATPLOTLIBRC": str(tmp_path), "MPLBACKEND": "module://absent"}
    done = python(IMPORT, variables=variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Agg 10.0\n", b"")


ADAPT = "from pipeline import environment; environment.adapt()"


def copy_package(folder: Path) -> Path:
    """A project whose code is enough to be taken for one."""
    (folder / "pipeline").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "pipeline/__init__.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_code_of_another_project_is_told(tmp_path: Path) -> None:
    copy = copy_package(tmp_path / "copy")
    (copy / "reports").mkdir()
    for place in (copy, copy / "reports"):
        told = python(
            "from pipeline import environment; environment.adapt()", place
        ).stderr.decode()
        assert told.startswith(f"warning: the code of {ROOT} runs, not that of {copy}, where you")


def test_own_code_and_none_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ROOT)
    for place in (ROOT, ROOT / "tests", tmp_path / "link", tmp_path):
        assert python(ADAPT, place).stderr == b""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in Git, as the current folder."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".dvc").mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_every_folder_of_an_output_is_checked() -> None:
    content: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in content["stages"].values()
        for out in (*stage.get("outs", []), *stage.get("metrics", []))
    ]
    parents = {parent.as_posix() for out in outs for parent in Path(out).parents}
    assert set(environment.OUTPUT_FOLDERS) == parents - {"."}


@pytest.mark.parametrize("name", ["data", "models", "reports/evaluation", "submissions"])
@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_linked_folder_is_refused(project: Path, name: str, target: str) -> None:
    (project.parent / "elsewhere").mkdir()
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).symlink_to(project.parent / target)
    with pytest.raises(ProjectError, match=f"^{name} is a symbolic link to .*dvc cache dir"):
        environment.check_folders()


def test_folders_files_in_them_and_the_cache_are_free(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data").mkdir()
    (project / "data/digit-recognizer.zip").symlink_to("/elsewhere/digit-recognizer.zip")
    (project / ".dvc/cache").symlink_to("/elsewhere")
    environment.check_folders()
    assert capsys.readouterr().err == ""


def test_link_is_free_where_dvc_works_without_git(project: Path) -> None:
    (project / "data").symlink_to(project.parent)
    (project / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    environment.check_folders()


@pytest.mark.parametrize("name", ["prüfung", "C#", "what?"])
def test_path_that_experiments_in_copies_cannot_use_is_told(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / name)
    environment.check_folders()
    (character,) = set(name) & set("ü#?")
    assert f"contains {character}. In such a folder, DVC fails at" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["{{name}}", "a}"])
def test_path_in_which_dvc_fails_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(ProjectError, match=r"contains [{}]\. In such a folder DVC fails"):
        environment.check_folders()


def test_path_with_other_characters_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a b'c&(d)%20[1];~" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a b'c&(d)%20[1];~")
    environment.check_folders()
    assert capsys.readouterr().err == ""


def test_numbers_are_written_whole_whatever_numpy_was_set_to() -> None:
    with np.printoptions(legacy="1.13"):
        environment.use_own_number_format()
        assert pd.DataFrame({"a": [1 / 3]}).to_csv(index=False) == f"a\n{1 / 3}\n"

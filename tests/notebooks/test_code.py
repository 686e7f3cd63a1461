"""Where the notebook finds its code and packages, and how it runs commands."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.notebooks.conftest import PROJECT, Cells, put

INSTALLED = 2
"""Code cells until the packages are installed."""


def test_code_that_is_there_is_used(
    cells: Cells, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As when ``digits kaggle run`` sent the notebook."""
    put(place / "project", PROJECT)
    put(place / "input/other", PROJECT | {"dvc.yaml": "other"})
    cells(INSTALLED)
    assert (place / "project/dvc.yaml").read_text() == PROJECT["dvc.yaml"]
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"code: {place / 'project'}"
    uv = " --uv" if shutil.which("uv") else ""
    assert lines[1:] == [f"$ {sys.executable} -I bootstrap.py{uv}", f"installed{uv}"]


def test_attached_code_is_copied_without_its_permissions(cells: Cells, place: Path) -> None:
    """As of a data set made from a repository; what is attached is read-only."""
    attached = put(place / "input/digit-recognizer-wheels/code", PROJECT)
    (attached / "large.whl").touch()
    for path in (*attached.iterdir(), attached):
        path.chmod(path.stat().st_mode & ~0o222)
    cells(INSTALLED)
    assert {path.name for path in (place / "project").iterdir()} == set(PROJECT)
    assert all(path.stat().st_mode & 0o200 for path in (place / "project").iterdir())


def test_attached_packages_are_all_that_is_installed(
    cells: Cells, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheels = put(place / "input/wheels", {"wheels.json": "{}", "requirements.txt": ""})
    made = shutil.make_archive(str(place / "code"), "xztar", put(place / "made", PROJECT))
    shutil.move(made, wheels / "code.archive")
    cells(INSTALLED)
    assert capfd.readouterr().out.splitlines()[-1].endswith(f"--wheels {wheels}")
    assert (place / "project/bootstrap.py").exists()


def test_unfinished_packages_are_not_installed(cells: Cells, place: Path) -> None:
    put(place / "input/wheels", {"wheels.json": "{}"})
    put(place / "project", PROJECT)
    assert cells(INSTALLED)["wheels"] is None


def test_code_is_cloned(cells: Cells, place: Path) -> None:
    repository = put(place / "repository", PROJECT)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-mstart"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    cells(INSTALLED, REPOSITORY=repository.as_uri())
    assert (place / "project/.git").exists()
    assert (place / "project/bootstrap.py").exists()


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


@pytest.mark.usefixtures("without_git")
def test_code_is_downloaded_where_there_is_no_git(cells: Cells, place: Path) -> None:
    (place / "web/archive").mkdir(parents=True)
    put(place / "made/digits-main", PROJECT)
    shutil.make_archive(str(place / "web/archive/HEAD"), "gztar", place / "made", "digits-main")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(place / "web"))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            cells(INSTALLED, REPOSITORY=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
    assert {path.name for path in (place / "project").iterdir()} == set(PROJECT)


def test_no_code_at_all_is_explained(cells: Cells, place: Path) -> None:
    with pytest.raises(RuntimeError, match=r"There is no code yet\. Set REPOSITORY"):
        cells(INSTALLED)
    assert not (place / "project").exists()


@pytest.mark.parametrize("address", ["file:///absent/repository", "http://127.0.0.1:9"])
def test_address_out_of_reach_is_explained(cells: Cells, place: Path, address: str) -> None:
    with pytest.raises(RuntimeError, match="(?s)cannot be read: .*Switch the internet on"):
        cells(INSTALLED, REPOSITORY=address)
    assert not (place / "project").exists()


@pytest.mark.usefixtures("without_git")
def test_address_out_of_reach_without_git_is_explained(cells: Cells, place: Path) -> None:
    with pytest.raises(RuntimeError, match="(?s)cannot be read: .*Switch the internet on"):
        cells(INSTALLED, REPOSITORY="http://127.0.0.1:9")


def test_failed_command_ends_the_notebook_with_its_last_lines(cells: Cells, place: Path) -> None:
    failing = "for line in range(40): print(line)\nraise SystemExit('error: no disk')\n"
    put(place / "project", PROJECT | {"bootstrap.py": failing})
    with pytest.raises(RuntimeError) as raised:
        cells(INSTALLED)
    first, _, *last = str(raised.value).splitlines()
    assert "bootstrap.py" in first and first.endswith(": exit status 1")
    assert last == [*map(str, range(26, 40)), "error: no disk"]


def test_variables_of_the_notebook_stay_in_it(
    cells: Cells, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONPATH", "/kaggle/lib")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    show = "import os; print(*sorted(os.environ)); print(os.environ['PATH'])\n"
    put(place / "project", PROJECT | {"bootstrap.py": show})
    cells(INSTALLED)
    *_, names, path = capfd.readouterr().out.splitlines()
    assert "KAGGLE_KERNEL_RUN_TYPE" in names.split()
    assert not {"KERAS_BACKEND", "MPLBACKEND", "PYTHONPATH"} & set(names.split())
    assert path.split(os.pathsep)[0] == str(place / "project/.venv/bin")

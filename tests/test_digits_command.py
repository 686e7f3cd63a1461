"""``digits`` runs the code of the project in which one stands, whatever else is called pipeline."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

DIGITS = Path(sys.executable).parent / "digits"


def digits(
    folder: Path, option: str = "--version", *, first: str = ":", status: int = 0, **variables: str
) -> tuple[str, str]:
    """What ``digits`` prints to standard output and standard error, after a shell's command."""
    done = subprocess.run(
        ["sh", "-c", f'{first} && exec "$@"', "sh", DIGITS, option],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("name", ["pipeline.py", "pipeline/__init__.py", "pipeline/notes.txt"])
@pytest.mark.parametrize("folder", ["here", "elsewhere"])
def test_namesake_is_named_and_passed_over(tmp_path: Path, name: str, folder: str) -> None:
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    path.write_text("raise RuntimeError('not this one')")
    place = ROOT if folder == "here" else tmp_path
    shown, told = digits(place, PYTHONPATH=str(tmp_path / "theirs"))
    assert shown.startswith("digits ")
    shadow = path.parent if path.suffix == ".txt" else path
    assert told == (
        f"note: {shadow} is another module named pipeline. digits passes it over and runs the code "
        f"of {ROOT}.\n"
    )


def test_copy_runs_its_own_code(tmp_path: Path) -> None:
    """With the original's environment, as ``cp -r`` leaves it."""
    (tmp_path / "copy/pipeline/cli").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "pipeline/__init__.py"):
        (tmp_path / "copy" / name).touch()
    (tmp_path / "copy/pipeline/cli/__init__.py").write_text("def main(): print('of the copy')")
    for place in ("copy", "copy/pipeline"):
        assert digits(tmp_path / place) == ("of the copy\n", "")


def test_folder_that_was_deleted_is_told(tmp_path: Path) -> None:
    shown, told = digits(tmp_path, first='rmdir "$PWD"', status=1)
    assert shown == ""
    assert told == (
        "error: The current folder was deleted or replaced, as dvc repro does with reports. Enter "
        'it again: cd "$PWD"\n'
    )


@pytest.mark.parametrize("place", [".", "tests", "/"])
def test_the_usual_is_silent(place: str) -> None:
    shown, told = digits(ROOT / place)
    assert shown.startswith("digits ")
    assert told == ""


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_help_is_there_whatever_python_optimizes(level: str) -> None:
    """From level 2, Python drops the docstrings that it is made of."""
    shown, told = digits(ROOT, "--help", PYTHONOPTIMIZE=level)
    assert "Check that a CSV" in " ".join(shown.split())
    assert told == ""

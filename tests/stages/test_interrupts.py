"""Ctrl-C at any moment of a stage or a command: status 130, and one line of what it left."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment

PRESS_CTRL_C = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""
"""A ``sitecustomize.py``: Ctrl-C while a module begins to be imported."""


def interrupt(
    folder: Path, at: str, *command: str, stage: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command that gets Ctrl-C at the import of ``at``."""
    (folder / "sitecustomize.py").write_text(PRESS_CTRL_C)
    shutil.copy(ROOT / "params.yaml", folder)
    paths = os.pathsep.join([str(folder), str(ROOT)])
    variables = {"PYTHONPATH": paths, "INTERRUPTED_AT": at, "DVC_STAGE": stage}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder) | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("stage", "at"),
    [
        ("source", "pipeline.params"),
        ("prepare", "numpy"),
        ("train@0-0-small", "keras"),
        ("evaluate", "tensorflow.python"),
        ("export", "onnxruntime"),
        ("report", "jinja2"),
    ],
)
def test_ctrl_c_while_a_stage_is_imported(stage: str, at: str, tmp_path: Path) -> None:
    name = stage.partition("@")[0]
    (tmp_path / "dvc.lock").write_bytes(b"stages:\n  evaluate:\n    cmd: \xff\n")
    module = f"pipeline.stages.{name}"
    done = interrupt(tmp_path, at, sys.executable, "-m", module, "0-0-small", stage=stage)
    assert done.returncode == 130
    then = {
        "train": "the next run continues after the last finished epoch.",
        "evaluate": "the next run begins this stage again. Its earlier results, which DVC removed "
        "before it ran, come back with: dvc checkout --force evaluate",
    }.get(name, "the next run begins this stage again.")
    assert done.stderr == f"interrupted: {then}\n"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("pipeline.cli.own_digits", "nothing was done"),
        ("onnxruntime", "nothing is half-written"),
    ],
)
def test_ctrl_c_while_a_command_is_imported(at: str, said: str, tmp_path: Path) -> None:
    done = interrupt(tmp_path, at, "digits", "predict", "picture.png")
    assert (done.returncode, done.stdout) == (130, "")
    assert re.sub(r"warning: .*\n", "", done.stderr) == f"interrupted: {said}\n"

"""A small project with a notebook, and what the run of such a notebook at Kaggle does."""

import base64
import json
import re
import shutil
import subprocess
import tarfile
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.tables import TEST_ROWS
from pipeline.files import sha256, write_json
from pipeline.submissions import file as submission
from pipeline.submissions.file import SubmissionRecord
from tests.conftest import ROOT, run
from tests.kaggle_kernels import Run
from tests.submission_files import MEMBERS, PROVENANCE

NOTEBOOK: dict[str, Any] = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Digits"]},
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "b",
            "metadata": {"tags": ["parameters"]},
            "outputs": [],
            "source": ["PROJECT = '/tmp/project'\n", "SECOND = 'quick'"],
        },
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "c",
            "metadata": {},
            "outputs": [],
            "source": ["print(SECOND)"],
        },
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
LOG = [
    ("stdout", "installing\n"),
    ("stderr", "a warning\n"),
    ("stdout", "train 1/2\rtrain 2/2\n"),
    ("stdout", "accuracy 99.61%\nsubmission.csv\n"),
]


def make_sent_project(folder: Path) -> None:
    """Write a project that Git tracks, with little in it."""
    for name in ("params.yaml", "dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "pipeline").mkdir()
    (folder / "pipeline/__init__.py").write_text('"""The package."""\n')
    (folder / "notes.txt").write_text("nothing that a run needs\n")
    write_json(folder / "notebooks/kaggle.ipynb", NOTEBOOK)
    git = ["git", "-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    run(folder, *git, "init", "--quiet", "--initial-branch=main")
    run(folder, *git, "add", ".")
    run(folder, *git, "commit", "--quiet", "--message=start")


def commit_of(folder: Path) -> str:
    """The last commit."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def added_cell(source: str) -> str:
    """The code that unpacks what a notebook carries."""
    cells = json.loads(source)["cells"]
    tag = "injected-parameters"
    return str(next(cell["source"] for cell in cells if tag in cell["metadata"].get("tags", ())))


def unpack(source: str) -> dict[str, bytes]:
    """The files that a notebook carries."""
    found = re.search(r"'''\n(.*?)\n'''", added_cell(source), re.DOTALL)
    assert found
    with tarfile.open(fileobj=BytesIO(base64.b64decode(found[1])), mode="r:xz") as archive:
        opened = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in opened.items() if file}


def make_run(source: str, folder: Path, *, digit: int = 7, **changes: Any) -> Run:
    """A run that leaves what the project would, made from what the notebook carries.

    Args:
        source: the notebook.
        folder: for temporary files.
        digit: what every test image is said to show.
        changes: fields of the submission's record to be other than they would.
    """
    carried = unpack(source)
    params = folder / "params.yaml"
    params.write_bytes(carried["params.yaml"])
    path = folder / "submission.csv"
    submission.write(path, np.full(TEST_ROWS, digit, dtype=np.uint8))
    record = SubmissionRecord(
        sha256=sha256(path),
        rows=TEST_ROWS,
        provenance=PROVENANCE,
        members=MEMBERS,
        params_sha256=sha256(params),
        commit=carried[".commit"].decode().strip() if ".commit" in carried else None,
    )
    metrics = {"n": 8400, "accuracy": 0.99331, "members": MEMBERS}
    return Run(
        log=LOG,
        files={
            "submission.csv": path.read_bytes(),
            "submission.json": json.dumps(asdict(replace(record, **changes))).encode(),
            "report.html": b"<!DOCTYPE html><title>Report</title>",
            "metrics.json": json.dumps(metrics).encode(),
            "__results__.html": b"the page that Kaggle makes of a notebook",
        },
        queued=0,
        running=0,
    )

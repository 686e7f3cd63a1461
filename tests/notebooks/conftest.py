"""The notebook's cells, run one after another with other folders than Kaggle's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks import build

Cells = Callable[..., dict[str, Any]]

PROJECT = {
    "dvc.yaml": "stages: {}\n",
    "bootstrap.py": "import os, sys; print('installed', *sys.argv[1:])\n",
}
"""A project that installs nothing."""


def put(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with ``input`` and ``working``, as Kaggle has; the project comes to ``project``."""
    for name in ("input", "working"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def cells(place: Path) -> Cells:
    """Runs the first code cells of the notebook, so many; gives their names."""

    def run(number: int, **parameters: object) -> dict[str, Any]:
        notebook = nbformat.read(build.NOTEBOOK, as_version=4)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        names: dict[str, Any] = {}
        exec(code[0], names)
        names |= {"PROJECT": str(place / "project"), "REPOSITORY": ""}
        names |= {"INPUT": str(place / "input"), "OUTPUT": str(place / "working")} | parameters
        for source in code[1:number]:
            exec(source, names)
        return names

    return run

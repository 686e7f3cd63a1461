"""The folder of a notebook for Kaggle, with the project's code in it.

Kaggle takes one text file of less than a megabyte per notebook. So the code travels in the
notebook: a cell holds an archive of the files that a run needs, and unpacks it. A private
data set would be a second upload to wait for, to version and to keep in step; and Kaggle keeps the
text of every version of a notebook.
"""

import base64
import hashlib
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import git, params
from pipeline.errors import ParamsError, ProjectError
from pipeline.files import sha256, write_json, write_text
from pipeline.kaggle.credentials import COMPETITION
from pipeline.submissions import project_archive

MACHINES = {"none": None, "t4": "NvidiaTeslaT4"}
"""Kaggle's names of the accelerators. Its default, a P100, is too old for TensorFlow."""

MAX_SOURCE_BYTES = 1_000_000
"""Kaggle takes less than a megabyte of text."""

MARK = "# digits kaggle run "
"""How that cell begins; the hash of what was sent follows."""

_NOTEBOOK = "notebook.ipynb"
_LINE_CHARACTERS = 160
_CELL = """\
{mark}{digest}
import base64
import io
import tarfile

SECOND = None
ARCHIVE = '''
{archive}
'''
with tarfile.open(fileobj=io.BytesIO(base64.b64decode(ARCHIVE)), mode="r:xz") as archive:
    archive.extractall(PROJECT, filter="data")
print("code: as sent, commit {commit}")"""
"""It follows the notebook's parameters: PROJECT is the folder, SECOND a second run to compare."""


@dataclass(frozen=True)
class Settings:
    """How a notebook is to run.

    Attributes:
        kernel: ``USER/SLUG``, its address.
        title: which gives the slug.
        accelerator: a key of `MACHINES`.
        internet: whether it may use the internet.
        wheels: ``USER/DATASET`` that holds all packages; None without.
    """

    kernel: str
    title: str
    accelerator: str = "none"
    internet: bool = True
    wheels: str | None = None


@dataclass(frozen=True)
class KernelFolder:
    """A folder that can be sent.

    Attributes:
        path: where it is.
        kernel: ``USER/SLUG``, the notebook's address.
        sha256: hash of all that is sent.
        source_bytes: how large the notebook is.
        commit: of the code, ``+dirty`` if it was changed since; None outside Git.
        params_sha256: hash of the params.yaml that is sent.
        labels_sha256: hash of the labels.csv that is sent; None without one.
    """

    path: Path
    kernel: str
    sha256: str
    source_bytes: int
    commit: str | None
    params_sha256: str
    labels_sha256: str | None

    @property
    def mark(self) -> str:
        """Text in this notebook and in no other."""
        return f"{MARK}{self.sha256}"


def write(parent: Path, notebook: Path, settings: Settings, project: Path) -> KernelFolder:
    """Write the folder ``kernel`` of a notebook that carries the project; equal input, equal bytes.

    Args:
        parent: where a folder named by the hash of what is sent gets it.
        notebook: the notebook that runs the project.
        settings: how it is to run.
        project: the project's folder; its files are sent as they are, uncommitted changes too.

    Raises:
        ParamsError: params.yaml is wrong, or takes other data than the competition's.
        ProjectError: something is missing, or the notebook would be too large.
    """
    _check_params(project / "params.yaml")
    content = _read_notebook(notebook)
    commit = git.describe_commit(project)
    archive = project_archive.pack(project, commit)
    metadata = _describe(settings)
    digest = _hash(json.dumps([content, metadata]).encode(), archive)
    _insert(
        content,
        _CELL.format(
            mark=MARK,
            digest=digest,
            archive="\n".join(textwrap.wrap(base64.b64encode(archive).decode(), _LINE_CHARACTERS)),
            commit=commit or "unknown",
        ),
    )
    source = json.dumps(content, indent=1)
    if len(source.encode()) >= MAX_SOURCE_BYTES:
        raise _too_large(len(source.encode()), project)
    path = parent / digest[:8] / "kernel"
    write_text(path / _NOTEBOOK, source)
    write_json(path / "kernel-metadata.json", metadata)
    return KernelFolder(
        path,
        settings.kernel,
        digest,
        len(source.encode()),
        commit,
        sha256(project / "params.yaml"),
        sha256(labels) if (labels := project / "data/labels.csv").exists() else None,
    )


def _check_params(path: Path) -> None:
    source = params.load_file(path).source
    if source.kind in ("auto", "archive") and source.path is None:
        return
    found = f"source.kind: {source.kind}" if source.path is None else f"source.path: {source.path}"
    raise ParamsError(
        f"params.yaml has {found}, which would not use the data at Kaggle: expected source.kind: "
        "auto and source.path: null, which take the competition's files that are attached there. "
        "Nothing was sent. Change params.yaml, then run the same command again."
    )


def _read_notebook(path: Path) -> dict[str, Any]:
    remedy = f"Bring it back with: git checkout -- {path}"
    if not path.is_file():
        raise ProjectError(f"{path} is missing. {remedy}")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = [cell["metadata"] for cell in content["cells"]]
    except (ValueError, KeyError, TypeError):
        raise ProjectError(f"{path} is no notebook: expected its JSON. {remedy}") from None
    return content


def _insert(notebook: dict[str, Any], code: str) -> None:
    """Put a folded cell after the parameters, which it overrides, as papermill does."""
    tags = [cell["metadata"].get("tags", ()) for cell in notebook["cells"]]
    place = next((n for n, each in enumerate(tags, start=1) if "parameters" in each), 0)
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "sent-project",
        "metadata": {
            "_kg_hide-input": True,
            "jupyter": {"source_hidden": True},
            "tags": ["injected-parameters"],
        },
        "outputs": [],
        "source": code,
    }
    notebook["cells"].insert(place, cell)


def _describe(settings: Settings) -> dict[str, Any]:
    return {
        "id": settings.kernel,
        "title": settings.title,
        "code_file": _NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": settings.accelerator != "none",
        "enable_tpu": False,
        "enable_internet": settings.internet,
        "machine_shape": MACHINES[settings.accelerator],
        "competition_sources": [COMPETITION],
        "dataset_sources": [settings.wheels] if settings.wheels else [],
    }


def _hash(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def _too_large(size: int, project: Path) -> ProjectError:
    sizes = {name: (project / name).stat().st_size for name in project_archive.list_files(project)}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    named = ", ".join(f"{name} ({sizes[name]:,} bytes)" for name in largest)
    return ProjectError(
        f"The notebook with the project's code has {size:,} bytes, and Kaggle takes less than "
        f"{MAX_SOURCE_BYTES:,}. Nothing was sent. The largest files in it: {named}. Move what a "
        "run does not need out of pipeline/, then run the same command again."
    )

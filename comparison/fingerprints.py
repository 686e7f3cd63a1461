"""Hashes of all that a run follows from, in parts, so that a stale row can say what changed.

Code is hashed without comments, docstrings and layout: only a change that could matter counts. The
hashes are of files alone, neither of Git nor of DVC.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from comparison import recipes
from comparison.runs import OURS, Run
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import PipelineError

_COMPARISON = Path(__file__).parent
_PACKAGE = _COMPARISON.parent / "pipeline"
_ARCHITECTURES = _PACKAGE / "architectures"
_TRANSFORMS = _PACKAGE / "data/transforms"

_AUTHORS_CODE = ("author.py", "rows.py", "warps.py")
"""Of this folder: what trains by an author's recipe."""

_OUR_CODE = ("data/folds.py", "data/preprocessing.py", "training")
"""Of the package: what trains by ours, next to the network and its views."""

_LENGTH = 12


@dataclass(frozen=True)
class Fingerprints:
    """Of what a run followed from, 12 hexadecimal digits each.

    Attributes:
        network_code: the architecture, with what it imports from others.
        training_code: the training loop, and for ours the views.
        settings: the recipe.
        data: images, labels and folds.
    """

    network_code: str
    training_code: str
    settings: str
    data: str

    def differences(self, other: "Fingerprints") -> list[str]:
        """Names of the parts that differ, for people."""
        return [
            field.name.replace("_", " ")
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


def fingerprint(run: Run, data_digest: str) -> Fingerprints:
    """Of a run as it would be trained now.

    Args:
        run: whose.
        data_digest: from `hash_data`.
    """
    return Fingerprints(
        network_code=_hash_files(_list_architecture(_ARCHITECTURES / f"{run.network}.py")),
        training_code=_hash_files(_list_training_code(run)),
        settings=_digest(json.dumps(recipes.describe(run), sort_keys=True).encode()),
        data=data_digest,
    )


def hash_data(data: TrainingDigits) -> str:
    """The digest of images, labels and folds, whatever file they came in."""
    arrays = (data.images, data.labels, data.folds)
    return _digest(*(np.ascontiguousarray(array).tobytes() for array in arrays))


def hash_predictions(predicted: Any) -> str:
    """The digest of predicted digits ``(n,)``."""
    return _digest(np.asarray(predicted, dtype=np.uint8).tobytes())


def _list_training_code(run: Run) -> Iterator[Path]:
    if run.recipe not in OURS:
        yield from (_COMPARISON / name for name in _AUTHORS_CODE)
        return
    yield _COMPARISON / "ours.py"
    for name in _OUR_CODE:
        path = _PACKAGE / name
        yield from [path] if path.is_file() else sorted(path.glob("*.py"))
    for transform in sorted({name for view in recipes.views_of(run) for name in view}):
        yield _TRANSFORMS / f"{transform}.py"


@cache
def _list_architecture(path: Path) -> tuple[Path, ...]:
    """The file of an architecture, and those that it imports of the same folder."""
    if not path.exists():
        raise PipelineError(
            f"There is no {path}: expected the file of an architecture that "
            "comparison/params.yaml lists."
        )
    found, waiting = set(), [path]
    while waiting:
        found.add(file := waiting.pop())
        for node in ast.walk(ast.parse(file.read_bytes())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            imported = _ARCHITECTURES / f"{(module or '').rpartition('.')[2]}.py"
            if (module or "").startswith("pipeline.architectures.") and imported not in found:
                waiting.append(imported)
    return tuple(sorted(found))


def _hash_files(paths: Iterable[Path]) -> str:
    return _digest(*(f"{path.name} {hash_code(path)}".encode() for path in paths))


@cache
def hash_code(path: Path) -> str:
    """The digest of what a Python file does: without comments, docstrings and layout.

    The same in every version of Python that the project runs on.
    """
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return _digest(_dump(tree).encode())


def _dump(part: Any) -> str:
    """A piece of a syntax tree as text; `ast.dump` and `ast.unparse` differ between versions."""
    if isinstance(part, list):
        return f"[{' '.join(map(_dump, part))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    given = ((name, value) for name, value in ast.iter_fields(part) if value not in (None, []))
    return f"({type(part).__name__} {' '.join(f'{name}={_dump(value)}' for name, value in given)})"


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or a text below an attribute that describes it."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:_LENGTH]

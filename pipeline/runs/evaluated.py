"""The results of runs as they are compared: of the workspace, of commits and of experiments."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import params, stages
from pipeline.errors import ArtifactError, DvcError
from pipeline.runs.repository import WORKSPACE, compare_code, files_of, resolve

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.data.dataset import TrainingDigits
    from pipeline.evaluation.comparison import EvaluatedRun

PREDICTIONS = stages.EVALUATION / "out_of_fold.npz"

_METRICS = stages.EVALUATION / "metrics.json"
_CURVES = stages.EVALUATION / "learning_curves_mean.csv"


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        runs: in the order of their names.
        code: columns run, path and change: files that differ from those of the first run.
        digits: the images of the first run; None if they are not at hand.
        notes: what is missing, and its cure; a sentence each.
    """

    runs: list[EvaluatedRun]
    code: pd.DataFrame
    digits: TrainingDigits | None
    notes: list[str]


def find(names: Sequence[str], *, with_images: bool) -> Found:
    """Read runs from the workspace, and those of commits and experiments from Git and DVC.

    Args:
        names: of commits, branches, tags and experiments; or ``workspace``.
        with_images: whether to read the images, too.

    Raises:
        ArtifactError: the predictions of one are not at hand; with the cure.
    """
    notes: list[str] = []
    revisions = resolve(names)
    runs = [
        _read_workspace(notes) if revision is None else _read_revision(name, revision, notes)
        for name, revision in revisions.items()
    ]
    digits = _find_images(runs[0], revisions, notes) if with_images else None
    return Found(runs, _tabulate_code(revisions, notes), digits, notes)


def _read_workspace(notes: list[str]) -> EvaluatedRun:
    from pipeline.evaluation import predictions
    from pipeline.evaluation.comparison import EvaluatedRun
    from pipeline.files import sha256

    found = predictions.load(PREDICTIONS)
    _note_differences(found.members, notes)
    metrics = _parse_metrics(_METRICS.read_bytes()) if _METRICS.exists() else {}
    if metrics.get("predictions") != [[PREDICTIONS.name, sha256(PREDICTIONS)]]:
        metrics = {}
    curves = _parse_curves(_CURVES.read_bytes()) if _CURVES.exists() else None
    if curves is None:
        notes.append(
            f"The learning curves of the workspace are missing. Run: dvc checkout {_CURVES}"
        )
    return EvaluatedRun(
        name=WORKSPACE,
        revision=None,
        predictions=found,
        params=_parse_params(params.FILE.read_bytes()) | _describe_labels(metrics),
        curves=curves,
        training_seconds=metrics.get("training_seconds"),
    )


def _note_differences(evaluated: dict[str, str], notes: list[str]) -> None:
    """Whether the predictions of the workspace are of what stands in it now."""
    from pipeline.runs.outdated import decides_score, find_outdated
    from pipeline.runs.standing import describe_difference

    if note := describe_difference(evaluated):
        notes.append(note)
        return
    try:
        outdated = decides_score(find_outdated(params.load()))
    except DvcError:
        return  # it cannot tell, and nothing says that they are not
    if outdated:
        notes.append(
            "The results of the workspace are older than its data, params or code. Run: dvc repro"
        )


def _read_revision(name: str, revision: str, notes: list[str]) -> EvaluatedRun:
    from pipeline.evaluation import predictions
    from pipeline.evaluation.comparison import EvaluatedRun

    with files_of(revision) as read:
        content = read(PREDICTIONS)
        if content is None:
            raise ArtifactError(
                f"The predictions of {name} are not at hand: expected a commit made after dvc "
                "repro, with its dvc.lock, and its results in DVC's cache (from a remote: dvc "
                "fetch --all-commits, of an experiment: dvc exp pull)."
            )
        settings, curves = read(params.FILE), read(_CURVES)
        metrics = _parse_metrics(read(_METRICS) or b"{}")
    if curves is None:
        notes.append(
            f"The learning curves of {name} are not in DVC's cache. If a remote has them: dvc "
            "fetch --all-commits"
        )
    return EvaluatedRun(
        name=name,
        revision=revision,
        predictions=predictions.parse(
            content,
            name=f"{PREDICTIONS} of {name}",
            cure=f"To make them again, check out {revision} and run dvc repro.",
        ),
        params=_parse_params(settings or b"") | _describe_labels(metrics),
        curves=_parse_curves(curves) if curves else None,
        training_seconds=metrics.get("training_seconds"),
    )


def _parse_params(content: bytes) -> dict[str, Any]:
    """Values by their dotted keys; none if the file is not readable."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from pipeline.runs.revisions import flatten

    try:
        found = YAML(typ="safe", pure=True).load(BytesIO(content))
    except (YAMLError, ValueError, RecursionError):
        return {}
    return dict(flatten(found)) if isinstance(found, dict) else {}


def _parse_metrics(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _describe_labels(metrics: dict[str, Any]) -> dict[str, str]:
    """How labels were corrected, which is a setting as well; nothing if they were not."""
    match metrics.get("label_corrections"):
        case {"corrected": corrected, "left_out": left_out, "sha256": str(digest)}:
            said = f"{corrected} corrected, {left_out} left out ({digest[:7]})"
            return {"data/labels.csv": said}
    return {}


def _parse_curves(content: bytes) -> pd.DataFrame:
    import pandas as pd

    from pipeline.files import corruption_as

    with corruption_as(lambda reason: ArtifactError(f"{_CURVES} is damaged: {reason}.")):
        curves: pd.DataFrame = pd.read_csv(BytesIO(content))
    return curves


def _find_images(
    run: EvaluatedRun, revisions: dict[str, str | None], notes: list[str]
) -> TrainingDigits | None:
    """The images that a run was evaluated on: those of the workspace, or else of a commit."""
    from pipeline.data import dataset

    wanted = run.predictions.train_sha256
    if stages.TRAIN.exists():
        digits = dataset.load_labelled(stages.TRAIN)
        if digits.provenance.train_sha256 == wanted:
            return digits
    for revision in filter(None, revisions.values()):
        with files_of(revision) as read, tempfile.TemporaryDirectory() as folder:
            if content := read(stages.TRAIN):
                path = Path(folder, "train.npz")
                path.write_bytes(content)
                digits = dataset.load_labelled(path)
                if digits.provenance.train_sha256 == wanted:
                    return digits
    notes.append(
        f"The images of {run.name} are not at hand, so the page shows none. Bring "
        f"{stages.TRAIN} back with: dvc checkout prepare"
    )
    return None


def _tabulate_code(revisions: dict[str, str | None], notes: list[str]) -> pd.DataFrame:
    """Columns run, path and change: files that differ from those of the first run."""
    import pandas as pd

    (first, before), *others = revisions.items()
    rows: list[tuple[str, str, str]] = []
    for name, after in others:
        changes = compare_code(before, after)
        if changes is None:
            notes.append(f"Git could not compare the code of {first} and {name}.")
        rows += [(name, path, change) for path, change in sorted((changes or {}).items())]
    return pd.DataFrame(rows, columns=["run", "path", "change"], dtype="object")

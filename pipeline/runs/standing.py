"""Where the project stands: its data, networks, score and submission, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import stages
from pipeline.errors import ArtifactError
from pipeline.project import FOLDER

if TYPE_CHECKING:
    from pipeline.data.label_corrections import CorrectionSummary
    from pipeline.params import Params
    from pipeline.submissions.log import Entry


@dataclass(frozen=True)
class Data:
    """The data in use.

    Attributes:
        source: where it came from: a path, ``Kaggle`` or ``the embedded sample``.
        sample: whether it is the embedded sample.
        training_images: how many are labelled; None before they were read.
        test_images: how many are to be labelled; None before they were read.
        label_corrections: how the labels were corrected that networks train on; None: they were
            not.
    """

    source: str
    sample: bool
    training_images: int | None
    test_images: int | None
    label_corrections: CorrectionSummary | None = None


@dataclass(frozen=True)
class Score:
    """The out-of-fold accuracy of exactly the networks that params.yaml lists.

    Attributes:
        accuracy: a share.
        accuracy_low: where its 95 % interval begins.
        accuracy_high: where it ends.
        errors: how many images are misclassified.
        images: how many were evaluated.
        sample: whether they are the embedded sample's, also where other data was chosen since.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    errors: int
    images: int
    sample: bool


@dataclass(frozen=True)
class Next:
    """What to do next.

    Attributes:
        command: to type.
        reason: why.
    """

    command: str
    reason: str


@dataclass(frozen=True)
class Status:
    """Where the project stands.

    Attributes:
        data: in use; None before the first run.
        trained: members of params.yaml whose networks are there.
        untrained: the others.
        score: None where there is none of these networks.
        no_score_because: why there is none; empty if there is one.
        submission_sha256: of ``submissions/submission.csv``; None if it is not there.
        submission_of_sample: whether it was made from the embedded sample.
        submission_uploaded: whether that very file was sent to Kaggle.
        last_upload: the last line of ``submissions/log.csv``.
        outdated: for each stage that `dvc repro` would run first, what changed; None if DVC could
            not tell.
        dvc_error: why it could not.
        next: what to do.
    """

    data: Data | None
    trained: list[str]
    untrained: list[str]
    score: Score | None
    no_score_because: str
    submission_sha256: str | None
    submission_of_sample: bool
    submission_uploaded: bool
    last_upload: Entry | None
    outdated: dict[str, list[str]] | None
    dvc_error: str
    next: Next


def collect(settings: Params) -> Status:
    """Find out where the project stands.

    Raises:
        ArtifactError: a file that tells is damaged.
    """
    from pipeline.errors import DvcBusyError, DvcError
    from pipeline.files import sha256
    from pipeline.runs.outdated import find_outdated
    from pipeline.submissions import file as submission_file
    from pipeline.submissions import log as submission_log

    data = _read_data()
    names = [member.name for member in settings.members()]
    trained = [name for name in names if (stages.MODELS / name / "model.keras").exists()]
    score, no_score_because = read_score(settings)
    digest = sha256(stages.SUBMISSION) if stages.SUBMISSION.exists() else None
    submitted = submission_file.read_record(stages.SUBMISSION)
    uploads = submission_log.read(stages.SUBMISSION.with_name("log.csv"))
    outdated, dvc_error, busy = None, "", False
    try:
        outdated = find_outdated(settings)
    except DvcError as error:
        dvc_error, busy = str(error), isinstance(error, DvcBusyError)
    uploaded = submission_log.find(uploads, digest) if digest else None
    return Status(
        data=data,
        trained=trained,
        untrained=[name for name in names if name not in trained],
        score=score,
        no_score_because=no_score_because,
        submission_sha256=digest,
        submission_of_sample=submitted is not None and submitted.provenance.sample,
        submission_uploaded=uploaded is not None,
        last_upload=uploads[-1] if uploads else None,
        outdated=outdated,
        dvc_error=dvc_error,
        next=_decide_next(settings, data, outdated, uploaded, busy=busy),
    )


def _read_data() -> Data | None:
    from pipeline.data import label_corrections
    from pipeline.data.sources import decision
    from pipeline.data.sources.decision import ArchiveSource, SampleSource
    from pipeline.files import corruption_as

    if not stages.SOURCE.exists():
        return None
    decided = decision.read(stages.SOURCE)
    sample = isinstance(decided, SampleSource)
    source = "the embedded sample" if sample else "Kaggle"
    if isinstance(decided, ArchiveSource):
        source = str(FOLDER / decided.path)
    summary = stages.DATA_REPORT / "summary.json"
    if not summary.exists():
        return Data(source, sample, None, None)
    with corruption_as(partial(_describe_damage, summary, "prepare")):
        counts = _read_mapping(summary)
        images, test_images = int(counts["training_images"]), int(counts["test_images"])
        if counts["sample"] != sample:
            return Data(source, sample, None, None)
    path = stages.LABEL_CORRECTIONS
    corrections = label_corrections.read(path) if path.exists() else None
    return Data(
        source, sample, images, test_images, corrections.summarize() if corrections else None
    )


def _describe_damage(path: Path, stage: str, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is damaged: expected what the {stage} stage writes, but {reason} is wrong. Write "
        f"it again with: dvc repro --force {stage}"
    )


def _read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping that a JSON file holds; a ``ValueError`` if it holds something else."""
    from pipeline.files import read_json

    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError("its form")
    return content


def read_score(settings: Params) -> tuple[Score | None, str]:
    """The score, or why there is none: it must be of the very networks that are listed and there.

    ``metrics.json`` may be of other networks: it is committed, and survives a failed run.
    """
    from pipeline.files import corruption_as, sha256

    path = stages.EVALUATION / "metrics.json"
    if not path.exists():
        return None, "nothing was evaluated yet"
    with corruption_as(partial(_describe_damage, path, "evaluate")):
        content = _read_mapping(path)
        evaluated = dict(content.get("members") or {})  # pairs; before version 1.1 a mapping
        predictions_sha256 = dict(content.get("predictions") or {}).get("out_of_fold.npz")
        names = "accuracy", "accuracy_low", "accuracy_high"
        accuracies = {name: float(content[name]) for name in names}
        errors, images = int(content["errors"]), int(content["n"])
    models = {
        member.name: stages.MODELS / member.name / "model.keras"
        for member in settings.evaluated_members()
    }
    absent = [name for name, model in models.items() if not model.exists()]
    if set(evaluated) != set(models):
        return None, f"{path} is of other networks than params.yaml lists"
    if absent:
        return None, f"{path} is of networks that are not here: {', '.join(absent)}"
    if find_changed(evaluated):
        return None, f"{path} is of earlier weights of these networks"
    predictions = stages.EVALUATION / "out_of_fold.npz"
    if predictions_sha256 and predictions.exists() and sha256(predictions) != predictions_sha256:
        return None, f"{path} is of other predictions than {predictions}"
    sample = any(_is_of_sample(model.parent) for model in models.values())
    return Score(**accuracies, errors=errors, images=images, sample=sample), ""


def _is_of_sample(member: Path) -> bool:
    from pipeline.networks.record import read_record

    with suppress(ArtifactError):  # the train stage tells of it
        return read_record(member).provenance.sample
    return False


def find_changed(evaluated: Mapping[str, str]) -> list[str]:
    """The evaluated members whose network in models/ is gone or has other weights.

    Args:
        evaluated: SHA-256 of each member's model, by the member's name.
    """
    from pipeline.files import sha256

    models = {name: stages.MODELS / name / "model.keras" for name in evaluated}
    return [
        name
        for name, path in models.items()
        if not path.exists() or sha256(path) != evaluated[name]
    ]


def describe_difference(evaluated: dict[str, str]) -> str:
    """How the networks in params.yaml and models/ differ from the evaluated ones, if they do."""
    from pipeline import params

    listed = {member.name for member in params.load().evaluated_members()}
    if listed != set(evaluated):
        return "params.yaml lists other networks than were evaluated. Run: dvc repro"
    if changed := find_changed(evaluated):
        return f"Not evaluated yet as they are now: {', '.join(changed)}. Run: dvc repro"
    return ""


def _decide_next(
    settings: Params,
    data: Data | None,
    outdated: dict[str, list[str]] | None,
    uploaded: Entry | None,
    *,
    busy: bool,
) -> Next:
    from pipeline.runs.outdated import LOCK
    from pipeline.submissions import log as submission_log

    if busy:
        return Next("digits", f"when DVC is done; if no DVC runs any more: rm {LOCK}")
    if outdated is None:
        return Next("dvc status", "DVC says what hinders it")
    if data is None:
        return Next("dvc repro", "runs the pipeline")
    if outdated:
        return Next("dvc repro", "runs what is out of date")
    if data.sample and settings.source.kind != "sample":
        archive = FOLDER / "data/digit-recognizer.zip"
        return Next("dvc repro", f"after you put the competition's archive at {archive}")
    if not data.sample and uploaded is None:
        return Next('digits submit -m "what was tried"', "sends the submission to Kaggle")
    if uploaded is not None and uploaded.status == submission_log.PENDING:
        return Next("digits scores", "asks Kaggle for the score")
    return Next("digits open", "shows the report")

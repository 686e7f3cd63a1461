"""What writes files in no time: source, download, a submission, its log, a training state."""

import shutil
from pathlib import Path

import numpy as np

from checks import readers
from checks.faults.running import Step
from pipeline import params, stages
from pipeline.data import label_corrections
from pipeline.data.sources import decision
from pipeline.data.sources.decision import ArchiveSource
from pipeline.files import sha256
from pipeline.stages import download, predict, source
from pipeline.submissions import file as submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry
from pipeline.training.state import TrainingState

_PARAMS = Path(__file__).parent.parent.parent / "params.yaml"
_LOG, _STATE = Path("submissions/log.csv"), Path("models/.training/a.npz")


def _copy_params() -> None:
    shutil.copy(_PARAMS, "params.yaml")


def _prepare_download() -> None:
    _copy_params()
    path = Path("data/digit-recognizer.zip")
    path.parent.mkdir()
    readers.READERS["archive"].prepare(path.parent)
    decision.write(stages.SOURCE, ArchiveSource(str(path), {path.name: sha256(path)}))


def _write_submission(digits: list[int]) -> None:
    used = predict.Used("b" * 64, params.load().neighbours, {"0-0-small": "a" * 64})
    predict.write_submission(stages.SUBMISSION, used, readers.PROVENANCE, np.eye(10)[digits])


def _prepare_submission() -> None:
    _copy_params()
    label_corrections.write(stages.LABEL_CORRECTIONS, None)
    _write_submission([1, 2, 3])


def _check_submission() -> None:
    """The CSV is whole, and its JSON vouches for this one alone."""
    digits = submission.read(stages.SUBMISSION, expected_rows=3).tolist()
    record = submission.read_record(stages.SUBMISSION)
    assert digits in ([1, 2, 3], [4, 5, 6])
    assert record is None or record.sha256 == sha256(stages.SUBMISSION)


def _write_log(number: int) -> None:
    entries = [
        Entry(time=f"2026-01-0{each}T00:00:00Z", reference=str(each))
        for each in range(1, number + 1)
    ]
    submission_log.write(_LOG, entries)


def _save_state(epoch: int) -> None:
    weights = [np.full((20, 20), epoch, np.float32)]
    history = [{"epoch": each, "loss": 0.5} for each in range(1, epoch + 1)]
    TrainingState(history, epoch, None, False, weights, weights).save(_STATE)


STEPS = {
    "source": Step(_copy_params, source.main),
    "download": Step(_prepare_download, download.main),
    "submission": Step(
        _prepare_submission, lambda: _write_submission([4, 5, 6]), _check_submission
    ),
    "log": Step(lambda: _write_log(1), lambda: _write_log(2), lambda: submission_log.read(_LOG)),
    "state": Step(
        lambda: _save_state(1), lambda: _save_state(2), lambda: TrainingState.load(_STATE)
    ),
}
"""By name."""

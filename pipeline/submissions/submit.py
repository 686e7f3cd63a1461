"""Send a submission to Kaggle, at most once, and keep account of it.

Every step leaves the log such that, wherever the process ends, the next run knows what happened:
Kaggle's own list is asked before anything is sent.
"""

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from pipeline.data import dataset
from pipeline.errors import KaggleError, SubmissionError
from pipeline.files import atomic_path, read_json, sha256
from pipeline.kaggle.client import Client, OutcomeUnknownError
from pipeline.kaggle.session import Timeouts
from pipeline.kaggle.submission import Submission
from pipeline.submissions import file as submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.file import SubmissionRecord
from pipeline.submissions.log import Entry

_FOR_ALL_ROWS = "all-"
"""How the names of members begin that trained on every row, so that no image can evaluate them."""


class AlreadySubmittedError(SubmissionError):
    """The file was sent before, and nothing was sent again.

    Attributes:
        entry: the log's line of it.
    """

    def __init__(self, entry: Entry, message: str) -> None:
        super().__init__(message)
        self.entry = entry


@dataclass(frozen=True)
class SubmissionPaths:
    """Where things lie.

    Attributes:
        provenance: the JSON that says which data is in use.
        metrics: the JSON that tells the out-of-fold accuracy, and of which members.
        log: the log of uploads; copies of what was sent lie in ``sent`` next to it.
    """

    provenance: Path
    metrics: Path
    log: Path

    def sent(self, digest: str) -> Path:
        """The copy of the uploaded file with this hash."""
        return self.log.parent / "sent" / f"{digest[:8]}.csv"


def submit(
    path: Path, record: SubmissionRecord, message: str, paths: SubmissionPaths, client: Client
) -> Entry:
    """Upload a submission and log it.

    Args:
        path: the CSV.
        record: what `check` said of it.
        message: what to remember about it.
        paths: where the log and the accuracy lie.
        client: the login.

    Raises:
        SubmissionError: it was sent before, or the day's quota is used up.
        KaggleError: Kaggle did not take it, or it is unknown whether it did.
    """
    with _alone(paths):
        return _submit(path, record, message, paths, client)


def check(path: Path, provenance: Path) -> SubmissionRecord:
    """What a submission came from, after everything was checked.

    Raises:
        SubmissionError: Kaggle would refuse the file, or nothing vouches for it, or it was made
            from the sample or from other data than is in use.
    """
    submission.check(path)
    record = submission.read_record(path)
    if record is None:
        raise SubmissionError(
            f"{path} has no {path.with_suffix('.json').name} next to it that belongs to it: "
            "expected the two as dvc repro writes them, so that the log can tell what was sent. "
            "Run: dvc repro"
        )
    in_use = dataset.read_provenance(provenance)
    if record.provenance != in_use:
        raise SubmissionError(
            f"{path} was made from {record.provenance}, but the data in use is {in_use}: expected "
            "the same. Run: dvc repro"
        )
    return record


def find_accuracy(record: SubmissionRecord, metrics: Path) -> float | None:
    """The out-of-fold accuracy of a submission; None unless its very members were evaluated."""
    if not metrics.exists():
        return None
    content = read_json(metrics)
    members = {
        name: digest
        for name, digest in record.members.items()
        if not name.startswith(_FOR_ALL_ROWS)
    }
    match content:
        case {"accuracy": float(accuracy), "members": dict(evaluated)}:
            return accuracy if members and members == evaluated else None
    return None


def wait_for_score(
    entry: Entry, paths: SubmissionPaths, client: Client, timeouts: Timeouts
) -> Entry:
    """Wait until Kaggle scored an upload, or for as long as timeouts lasts; its line in the log.

    Raises:
        SubmissionError: Kaggle could not score it.
        KaggleError: Kaggle does not tell.
    """
    end = time.monotonic() + timeouts.scoring_seconds
    while entry.status == submission_log.PENDING and time.monotonic() < end:
        entries = _update(paths, client.submissions(newest=True))
        entry = next(known for known in entries if known.reference == entry.reference)
        if entry.status == submission_log.PENDING:
            time.sleep(timeouts.polling_seconds)
    if entry.status == submission_log.ERROR:
        raise SubmissionError(
            f"Kaggle took the upload (number {entry.reference}), but could not score it: "
            f"{entry.error or 'it gives no reason'}. Expected a file like sample_submission.csv; "
            "check it with: digits check"
        )
    return entry


def refresh(paths: SubmissionPaths, client: Client) -> list[Entry]:
    """Bring the log up to date with Kaggle's list, and return it, the oldest upload first.

    Raises:
        KaggleError: Kaggle does not tell.
    """
    _update(paths, client.submissions())
    return submission_log.read(paths.log)


def _submit(
    path: Path, record: SubmissionRecord, message: str, paths: SubmissionPaths, client: Client
) -> Entry:
    accuracy = find_accuracy(record, paths.metrics)
    listed = client.submissions()
    entries = submission_log.merge(submission_log.read(paths.log), listed)
    if earlier := submission_log.find(entries, record.sha256):
        if not earlier.params_sha256:  # its answer was lost, or it was sent from another copy
            known, earlier = earlier, _complete(earlier, record, accuracy)
            entries[entries.index(known)] = earlier
        submission_log.write(paths.log, entries)
        raise AlreadySubmittedError(
            earlier,
            f"{path} was already submitted on {earlier.time} as number {earlier.reference} "
            f"({earlier.status}, public score {earlier.public_score or 'not known yet'}). It was "
            "not sent again: the score would be the same, and one of the day's submissions less. "
            "See: digits scores",
        )
    if not client.submissions_left():
        raise SubmissionError(
            f"{path} was not sent: today's submissions are used up. Try again after midnight UTC, "
            "when Kaggle starts a new count."
        )
    reference = _send(path, record.sha256, message, paths, client, listed)
    entry = Entry(
        time=submission_log.timestamp(datetime.now(UTC)),
        reference=str(reference),
        submissions_left=_count_left(client),
        message=message,
    )
    entry = _complete(entry, record, accuracy)
    submission_log.write(paths.log, [*entries, entry])
    return entry


def _send(
    path: Path,
    digest: str,
    message: str,
    paths: SubmissionPaths,
    client: Client,
    listed: list[Submission],
) -> int:
    """Upload a copy that stays in ``sent``, unless Kaggle did not take it."""
    sent = paths.sent(digest)
    with atomic_path(sent) as temporary:
        shutil.copyfile(path, temporary)
        if sha256(temporary) != digest:
            raise SubmissionError(f"{path} changed while it was checked. Nothing was sent.")
    try:
        return client.submit(
            sent,
            submission_log.describe(message, digest),
            {submission.reference for submission in listed},
        )
    except OutcomeUnknownError:
        raise
    except KaggleError:
        sent.unlink()
        raise


def _complete(entry: Entry, record: SubmissionRecord, accuracy: float | None) -> Entry:
    """Add what the file came from, and its out-of-fold accuracy."""
    return replace(
        entry,
        out_of_fold_accuracy="" if accuracy is None else f"{accuracy:.5f}",
        sha256=record.sha256,
        commit=record.commit or "",
        params_sha256=record.params_sha256,
        members=" ".join(record.members),
    )


def _update(paths: SubmissionPaths, listed: list[Submission]) -> list[Entry]:
    with _alone(paths):
        earlier = submission_log.read(paths.log)
        entries = submission_log.merge(earlier, listed)
        if entries != earlier:
            submission_log.write(paths.log, entries)
        return entries


def _alone(paths: SubmissionPaths) -> FileLock:
    """The lock under which the log changes, so that two processes cannot send the same file."""
    paths.log.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(paths.log.with_name(".log.lock"))


def _count_left(client: Client) -> str:
    try:
        return str(client.submissions_left())
    except KaggleError:
        return ""

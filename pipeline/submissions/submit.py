"""Send a submission to Kaggle, at most once, and keep account of it.

Every step leaves the log such that, wherever the process ends, the next run knows what happened.
Kaggle's own list is asked before anything is sent, but it may be late: an attempt is logged before
it is made, and the same file waits until Kaggle lists it or some minutes have passed.
"""

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from pipeline.errors import Interruption, KaggleError, SubmissionError
from pipeline.files import atomic_path, sha256
from pipeline.kaggle.client import Client, OutcomeUnknownError
from pipeline.kaggle.session import Timeouts
from pipeline.kaggle.submission import Submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.checks import LISTED_WITHIN, find_accuracy, refuse_repetition
from pipeline.submissions.file import SubmissionRecord
from pipeline.submissions.log import Entry
from pipeline.wording import one_line


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
    path: Path,
    record: SubmissionRecord,
    message: str,
    paths: SubmissionPaths,
    client: Client,
    *,
    again: bool = False,
) -> Entry:
    """Upload a submission and log it.

    Args:
        path: the CSV.
        record: what `checks.check` gave.
        message: what to remember about it; control characters become blanks.
        paths: where the log and the accuracy lie.
        client: the login.
        again: whether to send it even if it was, or may have been, sent before.

    Raises:
        SubmissionError: it was, or may have been, sent before, or the day's quota is used up.
        KaggleError: Kaggle did not take it, or it is unknown whether it did.
        Interruption: with what became of it.
    """
    message = one_line(message).strip()
    with _alone(paths):
        earlier = submission_log.read(paths.log)
        try:
            return _submit(path, record, message, paths, client, again=again)
        except KeyboardInterrupt:
            new = [entry for entry in submission_log.read(paths.log) if entry not in earlier]
            raise Interruption(_describe_interrupted(path, record.sha256, new)) from None


def wait_for_score(
    entry: Entry, paths: SubmissionPaths, client: Client, timeouts: Timeouts
) -> Entry:
    """Wait until Kaggle scored an upload, or for as long as timeouts lasts; its line in the log.

    Raises:
        SubmissionError: Kaggle could not score it.
        KaggleError: Kaggle does not tell.
    """
    end = time.monotonic() + timeouts.scoring_seconds
    taken = f"Kaggle took the upload (number {entry.reference}{describe_left(entry)})"
    try:
        while entry.status == submission_log.PENDING and time.monotonic() < end:
            entries = _update(paths, client.submissions(newest=True))
            entry = next(known for known in entries if known.reference == entry.reference)
            if entry.status == submission_log.PENDING:
                time.sleep(timeouts.polling_seconds)
    except KaggleError as error:
        raise KaggleError(
            f"{taken}, but the score could not be asked for. Do not send it again; look later "
            f"with: digits scores\nWhy there is no score: {error}"
        ) from None
    except KeyboardInterrupt:
        raise Interruption(f"{taken}. See its score with: digits scores") from None
    if entry.status == submission_log.ERROR:
        raise SubmissionError(
            f"{taken}, but could not score it: {entry.error or 'it gives no reason'}. Expected a "
            "file like sample_submission.csv; check it with: digits check"
        )
    return entry


def describe_left(entry: Entry) -> str:
    """How many submissions the day has left, as far as Kaggle said, to be added to a text."""
    return f"; {entry.submissions_left} left today" if entry.submissions_left else ""


def refresh(paths: SubmissionPaths, client: Client) -> list[Entry]:
    """Bring the log up to date with Kaggle's list, and return it, the oldest upload first.

    Raises:
        KaggleError: Kaggle does not tell.
    """
    _update(paths, client.submissions())
    return submission_log.read(paths.log)


def _submit(
    path: Path,
    record: SubmissionRecord,
    message: str,
    paths: SubmissionPaths,
    client: Client,
    *,
    again: bool,
) -> Entry:
    accuracy = find_accuracy(record, paths.metrics)
    listed = client.submissions()
    entries = _merge(submission_log.read(paths.log), listed)
    earlier = submission_log.find(entries, record.sha256)
    if earlier and not earlier.params_sha256:  # it was sent from another copy
        entries[entries.index(earlier)] = _complete(earlier, record, accuracy)
    submission_log.write(paths.log, entries)
    if not again:
        refuse_repetition(path, record.sha256, entries, listed)
    if not client.submissions_left():
        raise SubmissionError(
            f"{path} was not sent: today's submissions are used up. Try again after midnight UTC, "
            "when Kaggle starts a new count."
        )
    attempt = Entry(
        time=submission_log.timestamp(datetime.now(UTC)),
        status=submission_log.ATTEMPTED,
        message=message,
    )
    attempt = _complete(attempt, record, accuracy)
    others = [entry for entry in entries if entry.reference or entry.sha256 != record.sha256]
    reference = _send(path, attempt, others, paths, client, listed)
    entry = replace(attempt, reference=str(reference), status=submission_log.PENDING)
    submission_log.write(paths.log, [*others, entry])
    entry = replace(entry, submissions_left=_count_left(client))
    submission_log.write(paths.log, [*others, entry])
    return entry


def _send(
    path: Path,
    attempt: Entry,
    others: list[Entry],
    paths: SubmissionPaths,
    client: Client,
    listed: list[Submission],
) -> int:
    """Upload a copy that stays in ``sent``, unless Kaggle did not take it; its reference.

    The log has the attempt from right before the submission is made until it is known what came of
    it.
    """
    sent = paths.sent(attempt.sha256)
    was_sent_before = sent.exists()
    with atomic_path(sent, durable=True) as temporary:
        shutil.copyfile(path, temporary)
        if sha256(temporary) != attempt.sha256:
            raise SubmissionError(f"{path} changed while it was checked. Nothing was sent.")
    try:
        return client.submit(
            sent,
            submission_log.describe(attempt.message, attempt.sha256),
            {submission.reference for submission in listed},
            before=lambda: submission_log.write(paths.log, [*others, attempt]),
        )
    except OutcomeUnknownError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and attempt in submission_log.read(paths.log):
            raise  # Kaggle may have been asked
        if not was_sent_before:
            sent.unlink()
        submission_log.write(paths.log, others)
        raise


def _describe_interrupted(path: Path, digest: str, new: list[Entry]) -> str:
    """What became of a submission during which Ctrl-C was pressed, as new lines of the log tell."""
    if submission_log.find_attempt(new, digest):
        return f"{path} may have been sent. Look in some minutes with: digits scores"
    if found := submission_log.find(new, digest):
        return f"{path} was sent as number {found.reference}. See: digits scores"
    return f"{path} was not sent."


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


def _merge(entries: list[Entry], listed: list[Submission]) -> list[Entry]:
    """The log brought up to date, without attempts that came to nothing."""
    oldest = submission_log.timestamp(datetime.now(UTC) - LISTED_WITHIN)
    return [
        entry
        for entry in submission_log.merge(entries, listed)
        if entry.status != submission_log.ATTEMPTED or entry.time > oldest
    ]


def _update(paths: SubmissionPaths, listed: list[Submission]) -> list[Entry]:
    with _alone(paths):
        earlier = submission_log.read(paths.log)
        entries = _merge(earlier, listed)
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

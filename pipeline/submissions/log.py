"""``submissions/log.csv``: one line per upload, with what it came from and how it scored.

What is unknown is empty. Uploads that were made by other means, such as the plain Kaggle command,
are taken over from Kaggle's list.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ArtifactError
from pipeline.files import read_bytes, write_text
from pipeline.kaggle.submission import Submission

ATTEMPTED, PENDING, COMPLETE, ERROR = "attempted", "pending", "complete", "error"

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TAG = re.compile(r"\[sha256 ([0-9a-f]{8})\]$")


@dataclass(frozen=True)
class Entry:
    """One line.

    Attributes:
        time: when it was uploaded, UTC.
        reference: Kaggle's number for it; empty for an attempt.
        status: ``attempted`` before Kaggle lists it; ``pending``, ``complete`` or ``error``.
        public_score: on the leaderboard, as Kaggle writes it.
        out_of_fold_accuracy: of exactly the networks that made the file.
        submissions_left: how many were still allowed that day.
        sha256: of the file; its first eight digits where only the message tells.
        commit: of the code that made it, ``+dirty`` if it was changed since.
        params_sha256: of the params.yaml that made it.
        members: the networks that made it, separated by spaces.
        message: what the user said about it.
        error: why Kaggle could not score it.
    """

    time: str = ""
    reference: str = ""
    status: str = PENDING
    public_score: str = ""
    out_of_fold_accuracy: str = ""
    submissions_left: str = ""
    sha256: str = ""
    commit: str = ""
    params_sha256: str = ""
    members: str = ""
    message: str = ""
    error: str = ""


_COLUMNS = [field.name for field in fields(Entry)]


def describe(message: str, sha256: str) -> str:
    """The message to submit a file with, ending in a tag that tells the file."""
    return f"{message} [sha256 {sha256[:8]}]".lstrip()


def timestamp(moment: datetime) -> str:
    """A moment as the log writes it; one without a time zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime(_TIME)


def read(path: Path) -> list[Entry]:
    """Read the log; empty if there is none.

    Raises:
        ArtifactError: it is not such a log any more.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise _damaged(path, f"byte {error.start:,} is not text") from None
    try:
        header, *rows = csv.reader(io.StringIO(text, newline="")) if text else [[]]
    except csv.Error as error:
        raise _damaged(path, str(error)) from None
    if header != _COLUMNS:
        raise _damaged(path, f"line 1 is {','.join(header)!r}, not {','.join(_COLUMNS)!r}")
    entries = []
    for number, row in enumerate(rows, start=1):
        if len(row) != len(_COLUMNS):
            raise _damaged(path, f"entry {number} has {len(row)} cells, not {len(_COLUMNS)}")
        entry = Entry(*row)
        try:
            datetime.strptime(entry.time, _TIME)
        except ValueError:
            raise _damaged(
                path,
                f"entry {number} has the time {entry.time!r}, not one such as 2026-01-31T14:30:00Z",
            ) from None
        entries.append(entry)
    return entries


def write(path: Path, entries: list[Entry]) -> None:
    """Write the log, the oldest upload first; it is on the disk then, as no other file has it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in sorted(entries, key=lambda entry: entry.time))
    write_text(path, text.getvalue(), durable=True)


def merge(entries: list[Entry], submissions: list[Submission]) -> list[Entry]:
    """Bring status and scores up to date, and add what only Kaggle knows of.

    A submission that was not known yet and has the tag of an attempt is what came of that attempt.
    """
    known = {entry.reference: entry for entry in entries if entry.reference}
    attempts = {entry.sha256[:8]: entry for entry in entries if not entry.reference}
    for submission in submissions:
        reference = str(submission.reference)
        earlier = known.get(reference) or attempts.pop(read_tag(submission), None)
        known[reference] = replace(
            earlier or _take_over(submission),
            reference=reference,
            status=submission.status,
            public_score=submission.public_score,
            error=submission.error,
        )
    return [*known.values(), *attempts.values()]


def find(entries: list[Entry], sha256: str) -> Entry | None:
    """The upload of a file that was scored or may still be; None if there is none."""
    return _find(entries, sha256, lambda entry: entry.status not in (ATTEMPTED, ERROR))


def find_attempt(entries: list[Entry], sha256: str) -> Entry | None:
    """The attempt to send a file of which nothing came yet; None if there is none."""
    return _find(entries, sha256, lambda entry: entry.status == ATTEMPTED)


def _find(entries: list[Entry], sha256: str, matches: Callable[[Entry], bool]) -> Entry | None:
    same = (entry for entry in entries if entry.sha256 and sha256.startswith(entry.sha256))
    return next(filter(matches, same), None)


def read_tag(submission: Submission) -> str:
    """The first eight digits of the hash of what was submitted; empty where nothing tells."""
    tag = _TAG.search(submission.description)
    return tag[1] if tag else ""


def _take_over(submission: Submission) -> Entry:
    return Entry(
        time=timestamp(submission.time),
        sha256=read_tag(submission),
        message=_TAG.sub("", submission.description).strip(),
    )


def _damaged(path: Path, problem: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is not the log that digits submit writes: {problem}. Repair it, or move it away "
        "and run: digits scores (Kaggle's list gives all uploads again, but not what they came "
        "from)"
    )

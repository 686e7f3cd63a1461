"""Whether a submission may be sent: what it is, and whether it was sent before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.data import dataset
from pipeline.errors import SubmissionError
from pipeline.files import read_json
from pipeline.kaggle.submission import Submission
from pipeline.submissions import file as submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.file import SubmissionRecord
from pipeline.submissions.log import Entry

_FOR_ALL_ROWS = "all-"
"""How the names of members begin that trained on every row, so that no image can evaluate them."""

LISTED_WITHIN = timedelta(minutes=10)
"""An attempt that Kaggle does not list after this time came to nothing."""


class AlreadySubmittedError(SubmissionError):
    """The file was sent before.

    Attributes:
        entry: the log's line of it.
    """

    def __init__(self, entry: Entry, message: str) -> None:
        super().__init__(message)
        self.entry = entry


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
    """The out-of-fold accuracy of a submission; None unless its very members were evaluated.

    Their predictions must have been refined with neighbours in the same way.
    """
    if not metrics.exists():
        return None
    content = read_json(metrics)
    neighbours = None if record.neighbours is None else [*map(list, record.neighbours.items())]
    members = {
        name: digest
        for name, digest in record.members.items()
        if not name.startswith(_FOR_ALL_ROWS)
    }
    match content:
        case {"neighbours": other} if neighbours not in (None, other):
            return None
        case {"accuracy": float(accuracy), "members": list(evaluated)}:
            pass
        case {"accuracy": float(accuracy), "members": dict(former)}:  # as before version 1.1
            evaluated = [*map(list, former.items())]
        case _:
            return None
    same = len(evaluated) == len(members) and all([*pair] in evaluated for pair in members.items())
    return accuracy if members and same else None


def refuse_repetition(
    path: Path, digest: str, entries: list[Entry], listed: list[Submission]
) -> None:
    """Refuse what was, or may have been, sent before.

    What was sent by other means has no tag in its message. A submission of the same file name,
    made after the file was written, is taken for it.

    Raises:
        AlreadySubmittedError: it was.
        SubmissionError: it may have been.
    """
    anyway = f"To send it all the same: digits submit {path} --again"
    if earlier := submission_log.find(entries, digest):
        raise AlreadySubmittedError(
            earlier,
            f"{path} was already submitted on {earlier.time} as number {earlier.reference} "
            f"({earlier.status}, public score {earlier.public_score or 'not known yet'}). It was "
            "not sent again: the score would be the same, and one of the day's submissions less. "
            "See: digits scores",
        )
    if attempt := submission_log.find_attempt(entries, digest):
        until = datetime.fromisoformat(attempt.time) + LISTED_WITHIN
        raise SubmissionError(
            f"{path} may have been submitted on {attempt.time}: Kaggle's answer was lost, and it "
            "does not list the submission yet. It was not sent again. If Kaggle does not list it "
            f"by {submission_log.timestamp(until)}, it can be submitted again. See: digits scores"
            f"\n{anyway}"
        )
    written = submission_log.timestamp(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    for each in listed:
        moment = submission_log.timestamp(each.time)
        is_of_hand = each.file_name == path.name and not submission_log.read_tag(each)
        if is_of_hand and moment >= written and each.status != submission_log.ERROR:
            raise SubmissionError(
                f"{path} was probably submitted by other means: Kaggle lists a {path.name} of "
                f"{moment}, number {each.reference}, and the file was last written at {written}. "
                f"It was not sent again.\n{anyway}"
            )

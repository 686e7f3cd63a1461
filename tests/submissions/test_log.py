from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipeline.errors import ArtifactError
from pipeline.kaggle.submission import Submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry

EARLY = Entry(time="2026-01-02T03:04:05Z", reference="1", message='with "quotes", commas; é')
LATE = Entry(time="2026-01-03T03:04:05Z", reference="2", sha256="ab" * 32, status="error")


def _submission(reference: int, status: str = "complete", score: str = "0.99") -> Submission:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000)
    return Submission(reference, moment, "plain", "s.csv", status, score, "")


def test_log_is_read_as_it_was_written_the_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    submission_log.write(path, [LATE, EARLY])
    assert submission_log.read(path) == [EARLY, LATE]
    assert b"\r" not in path.read_bytes()


def test_absent_log_is_empty(tmp_path: Path) -> None:
    assert submission_log.read(tmp_path / "log.csv") == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"line 1 is '', not 'time,"),
        (b"a,b\n1,2\n", r"line 1 is 'a,b', not 'time,"),
        (b"\xff\xfe", "byte 0 is not text"),
        (b"LOG2026,7\n", "entry 2 has 2 cells, not 12"),
        (b"LOG2026," + b"7" * 131_073, "field larger than field limit"),
        (b"LOG26/11/2026 04:46" + b"," * 11, "entry 2 has the time '26/11/2026 04:46', not one"),
    ],
)
def test_damaged_log_is_named_and_kept(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    submission_log.write(path, [EARLY])
    path.write_bytes(content.replace(b"LOG", path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match=rf"log\.csv is not the log .*{problem}"):
        submission_log.read(path)
    assert path.read_bytes() == before


def test_merge_updates_what_is_known_and_adds_the_rest() -> None:
    merged = submission_log.merge([EARLY, LATE], [_submission(1), _submission(3, "pending", "")])
    assert [(entry.reference, entry.status, entry.public_score) for entry in merged] == [
        ("1", "complete", "0.99"),
        ("2", "error", ""),
        ("3", "pending", ""),
    ]
    assert merged[0].message == EARLY.message
    assert merged[2].message == "plain"


def test_merge_again_changes_nothing() -> None:
    once = submission_log.merge([], [_submission(1)])
    assert submission_log.merge(once, [_submission(1)]) == once


def test_find_knows_a_file_by_its_hash_or_its_beginning() -> None:
    recovered = Entry(reference="3", sha256="cdcdcdcd")
    plain = Entry(reference="4")
    assert submission_log.find([plain, recovered], "cd" * 32) == recovered
    assert submission_log.find([plain, recovered], "ef" * 32) is None


def test_find_passes_over_what_could_not_be_scored() -> None:
    assert submission_log.find([LATE], LATE.sha256) is None


@pytest.mark.parametrize("message", ["", "wide net"])
def test_description_ends_in_the_tag(message: str) -> None:
    assert submission_log.describe(message, "ab" * 32) == f"{message} [sha256 abababab]".strip()


def test_timestamps_are_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert submission_log.timestamp(datetime(2026, 1, 2, 5, 4, 5, tzinfo=east)) == EARLY.time
    assert submission_log.timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == EARLY.time
    assert submission_log.timestamp(datetime(2026, 1, 2, 3, 4, 5)) == EARLY.time

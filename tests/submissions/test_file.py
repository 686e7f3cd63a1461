"""What Kaggle would refuse, and what must not be sent."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.dataset import Labels, Provenance
from pipeline.data.tables import TEST_ROWS
from pipeline.errors import ArtifactError, SubmissionError
from pipeline.files import read_json, sha256, write_json
from pipeline.submissions import file as submission
from pipeline.submissions.file import SubmissionRecord

GOOD = "ImageId,Label\n1,7\n2,0\n3,9\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "submission.csv"


def read(path: Path, content: str | bytes, rows: int = 3) -> list[int]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [int(digit) for digit in submission.read(path, expected_rows=rows)]


def assert_refused(path: Path, content: str | bytes, expected: str) -> None:
    """Reading must fail with one paragraph that names the file and matches ``expected``."""
    with pytest.raises(SubmissionError, match=expected) as caught:
        read(path, content)
    message = str(caught.value)
    assert str(path) in message
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))


def test_written_digits_come_back(path: Path) -> None:
    digits: Labels = np.random.default_rng(0).integers(0, 10, 1_000, dtype=np.uint8)
    submission.write(path, digits)
    found = submission.read(path, expected_rows=1_000)
    np.testing.assert_array_equal(found, digits)
    assert found.dtype == np.uint8


def test_written_file_has_the_form_that_kaggle_asks_for(path: Path) -> None:
    submission.write(path, np.array([7, 0, 9], dtype=np.uint8))
    assert path.read_bytes() == GOOD.encode()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.removesuffix("\n"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "ImageId,Label\n3,9\n1,7\n2,0\n",
        '"ImageId","Label"\n"1","7"\n"2","0"\n"3","9"\n',
        "ImageId,Label\n1, 7\n 2,0\n3,9 \n",
        "ImageId,Label\n1,07\n002,0\n3,9\n",
    ],
)
def test_unusual_form_is_read_all_the_same(path: Path, content: str) -> None:
    assert read(path, content) == [7, 0, 9]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", "nothing"),
        ("1,7", "'1,7'"),
        ("Label,ImageId", "'Label,ImageId'"),
        ("imageid,label", "'imageid,label'"),
        ("ImageId,Label,p", "'ImageId,Label,p'"),
        ("ImageId;Label", "'ImageId;Label'"),
        (",ImageId,Label", "',ImageId,Label'"),
        ("<html>" + "x" * 1_000, r"'<html>x+\.\.\.x+'"),
    ],
)
def test_wrong_header_is_shown(path: Path, header: str, found: str) -> None:
    content = GOOD.replace("ImageId,Label", header)
    assert_refused(path, content, f"line 1: expected the header ImageId,Label, found {found}")


@pytest.mark.parametrize("content", ["", "\ufeff"])
def test_empty_file_is_refused(path: Path, content: str) -> None:
    assert_refused(path, content, "line 1: expected the header ImageId,Label, found nothing")


@pytest.mark.parametrize("content", [b"\xff\xfe" + GOOD.encode("utf-16-le"), b"PK\x03\x04\xff"])
def test_file_that_is_no_text_is_refused(path: Path, content: bytes) -> None:
    assert_refused(path, content, "is not text: expected a CSV .*, found the byte 0xff")


def test_line_without_end_is_refused(path: Path) -> None:
    assert_refused(path, "x" * 200_000, "line 1: a cell is too long, as after a quote")
    assert_refused(path, GOOD + '"' + "x" * 200_000, "line 5: a cell is too long, as after a quo")


def test_quote_without_end_is_named_by_its_line(path: Path) -> None:
    assert_refused(path, 'ImageId,Label\n1,"7\n2,8\n3,9\n', "line 2: Label must be an integer")


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("10", "'10'"),
        ("-1", "'-1'"),
        ("7.0", r"'7\.0'"),
        ("7e0", "'7e0'"),
        ("seven", "'seven'"),
        ("", "nothing"),
        (" ", "nothing"),
        ("nan", "'nan'"),
        ("٣", "'٣'"),
        ("²", "'²'"),
        ("9" * 5_000, r"'9+\.\.\.9+'"),
    ],
)
def test_wrong_label_is_named_by_line(path: Path, label: str, found: str) -> None:
    content = GOOD.replace("2,0", f"2,{label}")
    assert_refused(path, content, f"line 3: Label must be an integer from 0 to 9, found {found}")


@pytest.mark.parametrize("image", ["0", "4", "-1", "2.0", "x", "", "1" * 5_000])
def test_wrong_id_is_named_by_line(path: Path, image: str) -> None:
    content = GOOD.replace("2,0", f"{image},0")
    assert_refused(path, content, "line 3: ImageId must be an integer from 1 to 3, found")


def test_repeated_id_is_named_with_both_lines(path: Path) -> None:
    content = GOOD.replace("3,9", "1,9")
    assert_refused(path, content, "line 4: ImageId 1 was already given on line 2; expected every")


def test_missing_ids_are_counted(path: Path) -> None:
    expected = "lacks 2 of the 3 test images, ImageId 1 first; expected every id from 1 to 3 once"
    assert_refused(path, "ImageId,Label\n2,0\n", expected)


def test_header_alone_lacks_every_image(path: Path) -> None:
    assert_refused(path, "ImageId,Label\n", "lacks 3 of the 3 test images, ImageId 1 first")


@pytest.mark.parametrize(
    ("line", "found"),
    [("", "a blank line"), ("2", "1"), ("2,0,1", "3"), ("2,0,", "3"), ("2 0", "1"), ("2;0", "1")],
)
def test_line_without_two_cells_is_named(path: Path, line: str, found: str) -> None:
    content = GOOD.replace("2,0", line)
    assert_refused(path, content, f"line 3: expected 2 cells .* found {found}")


def test_folder_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ArtifactError, match="is a folder: expected a file"):
        submission.check(path)


def test_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"There is no .*submission\.csv\. .* run: dvc repro"):
        submission.check(path)


def write_pair(path: Path, *, sample: bool, rows: int = TEST_ROWS) -> SubmissionRecord:
    """A submission and the JSON that says what it came from."""
    submission.write(path, np.zeros(rows, dtype=np.uint8))
    provenance = Provenance(sample, "a" * 64, "b" * 64)
    record = SubmissionRecord(sha256(path), rows, provenance, {"0-0-a": "c" * 64}, "d" * 64, None)
    submission.write_record(path, record)
    return record


def test_written_record_comes_back(path: Path) -> None:
    record = write_pair(path, sample=False)
    assert submission.read_record(path) == record
    assert list(read_json(path.with_suffix(".json"))) == [
        "sha256",
        "rows",
        "provenance",
        "members",
        "params_sha256",
        "commit",
        "label_corrections",
        "neighbours",
    ]


def test_submission_for_the_competition_passes(path: Path) -> None:
    write_pair(path, sample=False)
    assert len(submission.check(path)) == TEST_ROWS == 28_000


def test_submission_without_a_record_passes(path: Path) -> None:
    submission.write(path, np.zeros(TEST_ROWS, dtype=np.uint8))
    assert submission.read_record(path) is None
    assert len(submission.check(path)) == TEST_ROWS


@pytest.mark.parametrize("rows", [360, TEST_ROWS])
def test_submission_made_from_the_sample_is_refused(path: Path, rows: int) -> None:
    write_pair(path, sample=True, rows=rows)
    with pytest.raises(SubmissionError, match="was made from the embedded sample"):
        submission.check(path)


def test_record_of_another_file_is_ignored(path: Path) -> None:
    write_pair(path, sample=True)
    submission.write(path, np.ones(TEST_ROWS, dtype=np.uint8))
    assert submission.read_record(path) is None
    assert set(submission.check(path)) == {1}


def test_submission_that_is_short_is_refused(path: Path) -> None:
    write_pair(path, sample=False, rows=TEST_ROWS - 1)
    expected = "lacks 1 of the 28,000 test images, ImageId 28,000 first; expected every id from 1 t"
    with pytest.raises(SubmissionError, match=expected):
        submission.check(path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ([], "the whole"),
        (None, "the whole"),
        ({}, "sha256"),
        ({"rows": "many"}, "rows"),
        ({"provenance": {"sample": False}}, "provenance.train_sha256"),
        ({"members": ["a"]}, "members"),
        ({"commit": 5}, "commit"),
    ],
)
def test_damaged_record_is_named(path: Path, change: Any, field: str) -> None:
    whole = asdict(write_pair(path, sample=False))
    write_json(path.with_suffix(".json"), whole | change if change else change)
    expected = rf"submission\.json is damaged: .* but {field} is wrong \(.+\)\. Write"
    with pytest.raises(ArtifactError, match=expected):
        submission.check(path)


def test_record_that_is_no_json_is_named(path: Path) -> None:
    write_pair(path, sample=False)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ArtifactError, match=re.escape("submission.json is damaged")):
        submission.check(path)

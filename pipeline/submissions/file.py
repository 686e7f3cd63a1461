"""The CSV that Kaggle scores: written, and checked the way Kaggle would and more.

``ImageId,Label``, one line per test image, ids from 1. Next to it lies a JSON of the same name
that says what the CSV came from.
"""

import csv
import reprlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline import stored
from pipeline.data.dataset import NUM_CLASSES, Labels, Provenance
from pipeline.data.label_corrections import CorrectionSummary
from pipeline.data.table_cells import parse_integer, read_rows
from pipeline.data.tables import TEST_ROWS
from pipeline.errors import ArtifactError, SubmissionError
from pipeline.files import read_bytes, sha256, write_json, write_text

COLUMNS = ("ImageId", "Label")
_HEADER = ",".join(COLUMNS)


@dataclass(frozen=True)
class SubmissionRecord:
    """What a submission came from.

    Attributes:
        sha256: hash of the CSV.
        rows: how many images it labels.
        provenance: of the test images.
        members: hash of each member's model, by the member's name.
        params_sha256: hash of the params.yaml that was used.
        commit: of the code that ran, ``+dirty`` if it was changed since; None outside Git.
        label_corrections: of the labels that the networks trained on; None: there were none.
        neighbours: that section of params.yaml; None in a file of before version 1.1.
    """

    sha256: str
    rows: int
    provenance: Provenance
    members: dict[str, str]
    params_sha256: str
    commit: str | None
    label_corrections: CorrectionSummary | None = None
    neighbours: dict[str, float] | None = None


def write(path: Path, predicted: Labels) -> None:
    """Write predicted digits uint8 ``(n,)`` of the test images in their order, ids from 1."""
    lines = [_HEADER, *(f"{row},{digit}" for row, digit in enumerate(predicted, start=1))]
    write_text(path, "\n".join(lines) + "\n")


def read(path: Path, *, expected_rows: int) -> Labels:
    """Read and check a submission; the digits in the order of their ids: uint8 ``(n,)``.

    Rows may come in any order, with LF or CRLF, with or without a byte order mark.

    Raises:
        SubmissionError: with the first thing that Kaggle would refuse, and its line.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise SubmissionError(
            f"There is no {path}. The pipeline writes submissions/submission.csv; in the project's "
            "folder, run: dvc repro"
        ) from None
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"{path} is not text: expected a CSV with the header {_HEADER}, found the byte "
            f"{error.object[error.start]:#04x}."
        ) from None
    digits, lines = [0] * expected_rows, [0] * expected_rows
    rows = read_rows(text)
    line = 1
    try:
        header = tuple(next(rows, (1, []))[1])
        if header != COLUMNS:
            found = reprlib.repr(",".join(header)) if header else "nothing"
            raise ValueError(f"expected the header {_HEADER}, found {found}")
        for line, cells in rows:
            if len(cells) != len(COLUMNS):
                found = f"{len(cells)}" if cells else "a blank line"
                raise ValueError(f"expected 2 cells (ImageId and Label), found {found}")
            row = _parse("ImageId", cells[0], 1, expected_rows) - 1
            if lines[row]:
                raise ValueError(
                    f"ImageId {row + 1:,} was already given on line {lines[row]:,}; expected every "
                    "id once"
                )
            digits[row] = _parse("Label", cells[1], 0, NUM_CLASSES - 1)
            lines[row] = line
    except csv.Error as error:
        raise SubmissionError(f"{path}, {error}.") from None
    except ValueError as error:
        raise SubmissionError(f"{path}, line {line:,}: {error}.") from None
    if absent := lines.count(0):
        raise SubmissionError(
            f"{path} lacks {absent:,} of the {expected_rows:,} test images, ImageId "
            f"{lines.index(0) + 1:,} first; expected every id from 1 to {expected_rows:,} once."
        )
    return np.array(digits, dtype=np.uint8)


def check(path: Path) -> Labels:
    """Check that ``path`` can be sent to the competition; its digits, as `read` gives them.

    Raises:
        SubmissionError: it cannot, or it was made from the embedded sample.
    """
    record = read_record(path)
    if record and record.provenance.sample:
        raise SubmissionError(
            f"{path} was made from the embedded sample, not from the competition's test images, "
            "and Kaggle would score it as noise. Put the competition's archive at "
            "data/digit-recognizer.zip and run: dvc repro"
        )
    return read(path, expected_rows=TEST_ROWS)


def write_record(path: Path, record: SubmissionRecord) -> None:
    """Write the JSON that explains the CSV ``path`` next to it."""
    write_json(path.with_suffix(".json"), asdict(record))


def read_record(path: Path) -> SubmissionRecord | None:
    """What the JSON next to a CSV says of it; None if there is none, or it is of another CSV.

    Raises:
        ArtifactError: the JSON is damaged.
    """
    if not path.is_file() or not (record_path := path.with_suffix(".json")).is_file():
        return None
    record = stored.read_record(
        record_path,
        SubmissionRecord,
        lambda reason: ArtifactError(
            f"{record_path} is damaged: expected what the predict stage writes, but {reason}. "
            "Write both files again with: dvc repro --force predict"
        ),
    )
    return record if record.sha256 == sha256(path) else None


def _parse(column: str, cell: str, low: int, high: int) -> int:
    try:
        return parse_integer(cell, low, high)
    except ValueError as error:
        raise ValueError(f"{column} must be {error}") from None

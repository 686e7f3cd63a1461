"""The competition's two CSVs, read and written: every cell checked, nothing guessed.

``train.csv`` has the header ``label,pixel0,…,pixel783``, ``test.csv`` the same without ``label``;
every cell is an integer. A file in the plain form that Kaggle serves is parsed by a vectorised
scan; any other goes through the `csv` module cell by cell, which reads what is merely unusual
(quotes, spaces, a byte order mark) and names line and column of what is wrong.
"""

import csv
import io
import itertools
import reprlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Labels
from pipeline.errors import TableError
from pipeline.files import atomic_path, missing_artifact
from pipeline.parallel import count_processors

PIXELS = tuple(f"pixel{index}" for index in range(IMAGE_SIZE * IMAGE_SIZE))
TEST_COLUMNS = PIXELS
TRAIN_COLUMNS = ("label", *PIXELS)

TRAIN_ROWS = 42_000
"""Rows of the competition's ``train.csv``."""

TEST_ROWS = 28_000
"""Rows of the competition's ``test.csv``."""

_CHUNK_BYTES = 1 << 20
_COMMA, _NEWLINE, _ZERO, _NINE = b",\n09"


def read_train(path: Path, *, expected_rows: int | None) -> tuple[Images, Labels]:
    """Read ``train.csv`` into images uint8 ``(n, 28, 28)`` and labels uint8 ``(n,)``.

    Raises:
        TableError: the header, a cell, a label or the number of rows is wrong.
        ArtifactError: there is no such file.
    """
    cells = _read(path, TRAIN_COLUMNS, expected_rows)
    labels, pixels = cells[:, 0].copy(), cells[:, 1:]
    wrong = np.flatnonzero(labels >= NUM_CLASSES)
    if wrong.size:
        row = int(wrong[0])
        raise TableError(
            f"{path} has {wrong.size} label(s) that are no digit: expected 0 to 9, found "
            f"{labels[row]} first, on line {row + 2}.",
            REMEDY,
        )
    return _to_images(pixels), labels


def read_test(path: Path, *, expected_rows: int | None) -> Images:
    """Read ``test.csv`` into images uint8 ``(n, 28, 28)``.

    Raises:
        TableError: the header, a cell or the number of rows is wrong.
        ArtifactError: there is no such file.
    """
    return _to_images(_read(path, TEST_COLUMNS, expected_rows))


def write(path: Path, images: Images, labels: Labels | None = None) -> None:
    """Write images uint8 ``(n, 28, 28)`` the way Kaggle does: with labels as ``train.csv``."""
    cells = images.reshape(len(images), -1)
    columns = TEST_COLUMNS
    if labels is not None:
        cells, columns = np.column_stack([labels, cells]), TRAIN_COLUMNS
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        np.savetxt(file, cells, fmt="%d", delimiter=",", header=",".join(columns), comments="")


def check_header(path: Path, first_line: bytes, columns: tuple[str, ...]) -> None:
    """Check that a CSV begins with the names in ``columns``.

    Args:
        path: the file, for the message.
        first_line: its first line, with or without line end and byte order mark.
        columns: `TRAIN_COLUMNS` or `TEST_COLUMNS`.

    Raises:
        TableError: saying how the header differs, or what the file seems to be.
    """
    text = first_line.decode("utf-8-sig", errors="replace").strip()
    try:
        found = tuple(next(csv.reader([text], skipinitialspace=True), []))
    except csv.Error:
        found = ()
    if found == columns:
        return
    swapped = {TRAIN_COLUMNS: "train.csv", TEST_COLUMNS: "test.csv"}.get(found)
    if not text:
        problem = "its first line is empty" if first_line else "it is empty"
    elif text.startswith("<"):
        problem = "it is a web page, perhaps a login form saved under this name"
    elif not found or not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
        problem = f"it begins with {reprlib.repr(first_line)}, which is no line of a CSV"
    elif swapped:
        problem = f"its header is that of {swapped}: train and test seem to be swapped"
    elif missing_names := [name for name in columns if name not in found]:
        problem = f"{len(missing_names)} column(s) are missing, {missing_names[0]!r} first"
    elif len(found) > len(columns):
        extra = next(name for name in found if name not in columns or found.count(name) > 1)
        problem = f"it has {len(found)} columns, {reprlib.repr(extra)} among them"
    else:
        place = next(i for i, name in enumerate(columns) if found[i] != name)
        problem = f"column {place + 1} is {found[place]!r}, where {columns[place]!r} belongs"
    raise TableError(
        f"{path} is not the competition's file: expected the {len(columns)} columns "
        f"{columns[0]}, {columns[1]}, … {columns[-1]}, but {problem}.",
        REMEDY,
    )


REMEDY = (
    "Replace the archive or CSVs that it came from, in data/ or where source.path says, by the "
    "competition's unchanged ones, then run: dvc repro"
)


def _to_images(pixels: NDArray[np.uint8]) -> Images:
    return np.ascontiguousarray(pixels).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def _read(path: Path, columns: tuple[str, ...], expected_rows: int | None) -> NDArray[np.uint8]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing_artifact(path) from None
    body = content.find(b"\n") + 1 or len(content)
    check_header(path, content[:body], columns)
    if content[:body].endswith(b"\r\n"):
        content = content.replace(b"\r\n", b"\n")
        body -= 1
    if not content.endswith(b"\n"):
        content += b"\n"
    cells = _parse_plain(content, body, len(columns))
    if cells is None:
        cells = _parse_any(path, content, columns)
    if expected_rows is not None and len(cells) != expected_rows:
        raise TableError(
            f"{path} is not the competition's file: expected {expected_rows:,} rows, found "
            f"{len(cells):,}.",
            REMEDY,
        )
    return cells


def _parse_plain(content: bytes, body: int, num_columns: int) -> NDArray[np.uint8] | None:
    """Parse rows of bare integers 0–255 ending in LF, from byte ``body``; None for anything else.

    Chunks of whole rows are scanned side by side, as NumPy releases the interpreter lock.
    """
    bounds = [body]
    while bounds[-1] < len(content):
        end = content.find(b"\n", min(bounds[-1] + _CHUNK_BYTES, len(content) - 1)) + 1
        if not end:
            return None
        bounds.append(end)
    view = memoryview(content)
    chunks = [view[a:b] for a, b in itertools.pairwise(bounds)]
    with ThreadPoolExecutor(count_processors()) as pool:
        parts = list(pool.map(lambda chunk: _parse_chunk(chunk, num_columns), chunks))
    complete = [part for part in parts if part is not None]
    if not complete or len(complete) < len(parts):
        return None
    return np.concatenate(complete)


def _parse_chunk(chunk: memoryview, num_columns: int) -> NDArray[np.uint8] | None:
    text = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(text < _ZERO)  # where each cell ends: a comma, or LF after the last
    if ends.size % num_columns or text.max() > _NINE:
        return None
    separators = text[ends].reshape(-1, num_columns)
    if (separators[:, :-1] != _COMMA).any() or (separators[:, -1] != _NEWLINE).any():
        return None
    num_digits = np.diff(ends, prepend=-1) - 1
    if num_digits.min() < 1 or num_digits.max() > 3:
        return None
    values = text[ends - 1] - np.uint8(_ZERO)
    long = np.flatnonzero(num_digits >= 2)
    long_ends = ends[long]
    wide = values[long].astype(np.uint16) + np.uint16(10) * (text[long_ends - 2] - np.uint8(_ZERO))
    hundreds = num_digits[long] == 3
    wide[hundreds] += np.uint16(100) * (text[long_ends[hundreds] - 3] - np.uint8(_ZERO))
    if wide.max(initial=0) > np.iinfo(np.uint8).max:
        return None
    values[long] = wide
    return values.reshape(-1, num_columns)


def _parse_any(path: Path, content: bytes, columns: tuple[str, ...]) -> NDArray[np.uint8]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{path}, line {line:,}: found the byte {error.object[error.start]:#04x}, which is no "
            f"text; expected digits and commas.",
            REMEDY,
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    next(reader)
    rows: list[list[int]] = []
    try:
        for row in reader:
            if not row:
                raise TableError(
                    f"{path}, line {reader.line_num:,}: expected {len(columns)} cells, found a "
                    f"blank line.",
                    REMEDY,
                )
            if len(row) != len(columns):
                raise TableError(
                    f"{path}, line {reader.line_num:,}: expected {len(columns)} cells, found "
                    f"{len(row)}. The file seems cut off or damaged there.",
                    REMEDY,
                )
            named = zip(columns, row, strict=True)
            rows.append([_parse_cell(path, reader.line_num, name, cell) for name, cell in named])
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num:,}: {error}.", REMEDY) from None
    if not rows:
        raise TableError(f"{path} has a header but no rows.", REMEDY)
    return np.array(rows, dtype=np.uint8)


def _parse_cell(path: Path, line: int, column: str, cell: str) -> int:
    stripped = cell.strip()
    if stripped.isascii() and stripped.isdecimal():
        digits = stripped.lstrip("0") or "0"
        if len(digits) <= 3 and int(digits) <= np.iinfo(np.uint8).max:
            return int(digits)
    found = reprlib.repr(cell) if stripped else "nothing"
    raise TableError(
        f"{path}, line {line:,}, column {column!r}: expected an integer from 0 to 255, found "
        f"{found}.",
        REMEDY,
    )

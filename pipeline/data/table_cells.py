"""The cells of a CSV of integers from 0 to 255, and what reading them shares with other tables.

A table in the plain form that Kaggle serves is parsed by a vectorised scan. Any other goes through
the `csv` module cell by cell, which reads what is merely unusual (quotes, spaces, a byte order
mark) and names line and column of what is wrong.
"""

import csv
import io
import itertools
import reprlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import TableError
from pipeline.parallel import count_processors

REMEDY = (
    "Replace the archive or CSVs that it came from, in data/ or where source.path says, by the "
    "competition's unchanged ones, then run: dvc repro"
)

_CHUNK_BYTES = 1 << 20
_MOST_DIGITS = 10
"""Of an integer that is looked at; Python refuses to read those of thousands."""

_COMMA, _NEWLINE, _ZERO, _NINE = b",\n09"


def parse(path: Path, content: bytes, columns: tuple[str, ...]) -> NDArray[np.uint8]:
    """The cells below the header: uint8 ``(rows, columns)``.

    Args:
        path: the file, for messages.
        content: all of it; the first line is not looked at.
        columns: the names of the columns.

    Raises:
        TableError: with line and column of the first cell that is wrong.
    """
    body = content.find(b"\n") + 1 or len(content)
    if content[:body].endswith(b"\r\n"):
        content = content.replace(b"\r\n", b"\n")
        body -= 1
    if not content.endswith(b"\n"):
        content += b"\n"
    cells = _parse_plain(content, body, len(columns))
    return _parse_any(path, content, columns) if cells is None else cells


def _parse_plain(content: bytes, body: int, num_columns: int) -> NDArray[np.uint8] | None:
    """Parse rows of bare integers 0–255 ending in LF, from byte ``body``; None for anything else.

    Chunks of whole rows are scanned side by side, as NumPy releases the interpreter lock.
    """
    bounds = [body]
    while bounds[-1] < len(content):
        bounds.append(content.find(b"\n", min(bounds[-1] + _CHUNK_BYTES, len(content) - 1)) + 1)
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
    lines = read_rows(decode(path, content, REMEDY), skipinitialspace=True)
    next(lines)
    rows: list[list[int]] = []
    try:
        for line, row in lines:
            if not row:
                raise TableError(
                    f"{path}, line {line:,}: expected {len(columns)} cells, found a blank line.",
                    REMEDY,
                )
            if len(row) != len(columns):
                raise TableError(
                    f"{path}, line {line:,}: expected {len(columns)} cells, found {len(row)}. The "
                    "file seems cut off or damaged there.",
                    REMEDY,
                )
            named = zip(columns, row, strict=True)
            rows.append([_parse_cell(path, line, name, cell) for name, cell in named])
    except csv.Error as error:
        raise TableError(f"{path}, {error}.", REMEDY) from None
    if not rows:
        raise TableError(f"{path} has a header but no rows.", REMEDY)
    return np.array(rows, dtype=np.uint8)


def _parse_cell(path: Path, line: int, column: str, cell: str) -> int:
    try:
        return parse_integer(cell, 0, 255)
    except ValueError as error:
        place = f"{path}, line {line:,}, column {column!r}"
        raise TableError(f"{place}: expected {error}.", REMEDY) from None


def read_rows(
    text: str, *, strict: bool = False, skipinitialspace: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV, each with the line that it begins on, from 1.

    That is the line to look at where a quote is not closed, which makes one row of all that follow.

    Args:
        text: with line ends as they are in the file.
        strict: as for `csv.reader`: whether odd quotes are errors.
        skipinitialspace: as for `csv.reader`.

    Raises:
        csv.Error: ``line 7: `` and what is wrong.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), strict=strict, skipinitialspace=skipinitialspace
    )
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        is_long = "field larger" in str(error)
        problem = "a cell is too long, as after a quote that is not closed" if is_long else error
        raise csv.Error(f"line {line:,}: {problem}") from None


def decode(path: Path, content: bytes, remedy: str) -> str:
    """The text of a CSV in UTF-8, with or without a byte order mark.

    Args:
        path: the file, for messages.
        content: all of it.
        remedy: what to do where it is no text.

    Raises:
        TableError: with the line of the first byte that is wrong.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{path}, line {line:,}: found the byte {error.object[error.start]:#04x}, which is no "
            "text; expected UTF-8.",
            remedy,
        ) from None


def parse_integer(cell: str, low: int, high: int) -> int:
    """An integer from ``low`` to ``high`` in ASCII digits; spaces around it do no harm.

    Raises:
        ValueError: with what was expected and found: ``an integer from 0 to 9, found 'x'``.
    """
    text = cell.strip()
    if text.isascii() and text.isdecimal():
        digits = text.lstrip("0") or "0"
        if len(digits) <= _MOST_DIGITS and low <= (number := int(digits)) <= high:
            return number
    found = reprlib.repr(cell) if text else "nothing"
    raise ValueError(f"an integer from {low:,} to {high:,}, found {found}")

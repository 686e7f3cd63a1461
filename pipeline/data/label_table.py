"""``data/labels.csv``, read: every cell checked, nothing guessed.

The header is ``row,label,verdict,correction``, and ``data`` if the file says which data it is of.
The report writes such a file; people may edit it in a spreadsheet.
"""

import csv
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

from pipeline.data.dataset import NUM_CLASSES
from pipeline.data.label_corrections import (
    REMEDY,
    VERDICTS,
    LabelCorrections,
    LabelVerdict,
    Verdict,
)
from pipeline.data.table_cells import decode, parse_integer, read_rows
from pipeline.data.tables import SEPARATORS, recognize
from pipeline.errors import TableError
from pipeline.files import read_bytes, sha256

COLUMNS = ("row", "label", "verdict", "correction")
OPTIONAL_COLUMN = "data"

_MOST_ROWS = 10**9


def read(path: Path) -> LabelCorrections:
    """Read a ``labels.csv``; whether it is of the data at hand is not checked.

    As with the competition's tables, quotes, spaces, a byte order mark and CRLF do no harm.

    Raises:
        TableError: with the first thing that is wrong, and its line.
    """
    rows = _read_rows(path)
    has_data = _check_header(path, next(rows, (1, []))[1])
    verdicts: dict[int, LabelVerdict] = {}
    data: str | None = None
    for line, cells in rows:
        place = f"{path}, line {line:,}"
        expected = len(COLUMNS) + has_data
        if len(cells) != expected:
            found = len(cells) if any(cells) else "a blank line"
            _refuse(f"{place}: expected {expected} cells, found {found}.")
        verdict = _read_verdict(place, line, cells)
        if verdict.row in verdicts:
            _refuse(
                f"{place}: row {verdict.row:,} was already given on line "
                f"{verdicts[verdict.row].line:,}; expected every row once at most."
            )
        verdicts[verdict.row] = verdict
        own = cells[-1] if has_data else ""
        if own and data and own != data:
            _refuse(f"{place}: expected one set of data, found {own} after {data}.")
        data = data or own or None
    return LabelCorrections(sha256(path), data, tuple(verdicts.values()))


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each row, the header's first; cells without spaces around them."""
    if path.is_dir():
        _refuse(f"{path} is a folder; expected a CSV file.")
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        _refuse(f"{path} is a link to a file that is not there.")
    if foreign := recognize(content[: content.find(b"\n") + 1 or len(content)]):
        _refuse(f"{path} holds no corrected labels: expected {_HEADER}, but {foreign}.")
    text = decode(path, content, REMEDY)
    try:
        for line, cells in read_rows(text, skipinitialspace=True, strict=True):
            yield line, [cell.strip() for cell in cells]
    except csv.Error as error:
        _refuse(f"{path}, {error}.")


_HEADER = f"the columns {', '.join(COLUMNS)}"


def _check_header(path: Path, found: list[str]) -> bool:
    """Whether the table has the optional column."""
    expected = [*COLUMNS, OPTIONAL_COLUMN]
    if found in (expected, expected[:-1]):
        return len(found) == len(expected)
    whole = ",".join(found)
    for separator, name in SEPARATORS.items():
        if [cell.strip('" ') for cell in whole.split(separator)][: len(COLUMNS)] == [*COLUMNS]:
            problem = f"its cells are separated by {name}, where commas belong"
            break
    else:
        problem = f"its first line is {reprlib.repr(whole)}"
    _refuse(
        f"{path} holds no corrected labels: expected {_HEADER} and, if you like, "
        f"{OPTIONAL_COLUMN}, but {problem}."
    )


def _read_verdict(place: str, line: int, cells: list[str]) -> LabelVerdict:
    row = _read_integer(f"{place}: row", cells[0], _MOST_ROWS)
    label = _read_integer(f"{place}: label", cells[1], NUM_CLASSES - 1)
    verdict, correction = cells[2], cells[3]
    if verdict not in VERDICTS:
        found = reprlib.repr(verdict) if verdict else "nothing"
        _refuse(f"{place}: verdict must be one of {', '.join(VERDICTS)}, found {found}.")
    if verdict != "wrong":
        if correction:
            _refuse(
                f"{place}: a label that is {verdict} takes no correction: expected nothing, found "
                f"{reprlib.repr(correction)}."
            )
        return LabelVerdict(line, row, label, cast(Verdict, verdict), None)
    digit = _read_integer(f"{place}: correction", correction, NUM_CLASSES - 1)
    if digit == label:
        _refuse(
            f"{place}: the correction {digit} is the label itself; expected another digit, or the "
            "verdict right."
        )
    return LabelVerdict(line, row, label, "wrong", digit)


def _read_integer(name: str, cell: str, high: int) -> int:
    try:
        return parse_integer(cell, 0, high)
    except ValueError as error:
        _refuse(f"{name} must be {error}.")


def _refuse(problem: str) -> NoReturn:
    raise TableError(problem, REMEDY)

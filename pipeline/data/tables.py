"""The competition's two CSVs, read and written: every cell checked, nothing guessed.

``train.csv`` has the header ``label,pixel0,…,pixel783``, ``test.csv`` the same without ``label``;
every cell is an integer.
"""

import codecs
import csv
import re
import reprlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data import table_cells
from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Labels
from pipeline.data.table_cells import REMEDY
from pipeline.errors import TableError
from pipeline.files import atomic_path, missing_artifact, read_bytes
from pipeline.wording import counted

PIXELS = tuple(f"pixel{index}" for index in range(IMAGE_SIZE * IMAGE_SIZE))
TEST_COLUMNS = PIXELS
TRAIN_COLUMNS = ("label", *PIXELS)

TRAIN_ROWS = 42_000
"""Rows of the competition's ``train.csv``."""

TEST_ROWS = 28_000
"""Rows of the competition's ``test.csv``."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons", " ": "spaces"}
"""What other programs put between cells where commas belong, and its name."""

LFS_REMEDY = "Fetch the file itself with: git lfs pull; then run: dvc repro"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_GZIP = b"\x1f\x8b"
_EVERY_OTHER = ([True, False] * 2, [False, True] * 2)


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
            f"{path} has {counted(wrong.size, 'label that is', 'labels that are')} no digit: "
            f"expected 0 to 9, found {labels[row]} first, on line {row + 2}.",
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
    foreign = recognize(first_line)
    if foreign:
        problem = foreign
    elif separator := _find_separator(text):
        name = SEPARATORS.get(separator, repr(separator))
        problem = f"its cells are separated by {name}, where commas belong"
    elif not found or not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
        problem = f"it begins with {reprlib.repr(first_line)}, which is no line of a CSV"
    else:
        problem = _compare(found, columns)
    raise TableError(
        f"{path} is not the competition's file: expected the {len(columns)} columns "
        f"{columns[0]}, {columns[1]}, … {columns[-1]}, but {problem}.",
        LFS_REMEDY if is_lfs_pointer(first_line) else REMEDY,
    )


def is_lfs_pointer(beginning: bytes) -> bool:
    """Whether a file is what Git LFS leaves instead of a file that was not fetched."""
    return beginning.startswith(_LFS_POINTER)


def recognize(beginning: bytes) -> str | None:
    """What a file seems to be, told by its first bytes, if it is neither a CSV nor an archive."""
    if is_lfs_pointer(beginning):
        return "it is a Git LFS pointer, which stands for the file"
    if beginning.startswith(_GZIP):
        return "it is compressed with gzip, which gunzip unpacks"
    marked = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked or [byte == 0 for byte in beginning[:4]] in _EVERY_OTHER:
        return "it is text in UTF-16, as spreadsheets save it, where UTF-8 belongs"
    text = beginning.decode("utf-8-sig", errors="replace").strip()
    if text.startswith("<"):
        return "it is a web page, perhaps a login form saved under this name"
    if not text:
        return "its first line is empty" if beginning else "it is empty"
    return None


def _find_separator(header: str) -> str | None:
    """What stands between the names of pixels in a header; None if it is a comma or unknown."""
    between = re.search(r"(?:label|pixel\d+)[\"' ]*([^\w\"']+?)[\"' ]*pixel\d+", header)
    return between[1] if between and "," not in between[1] else None


def _compare(found: tuple[str, ...], columns: tuple[str, ...]) -> str:
    swapped = {TRAIN_COLUMNS: "train.csv", TEST_COLUMNS: "test.csv"}.get(found)
    if swapped:
        return f"its header is that of {swapped}: train and test seem to be swapped"
    if missing_names := [name for name in columns if name not in found]:
        missing = counted(len(missing_names), "column is", "columns are")
        return f"{missing} missing, {missing_names[0]!r} first"
    if len(found) > len(columns):
        extra = next(name for name in found if name not in columns or found.count(name) > 1)
        return f"it has {len(found)} columns, {reprlib.repr(extra)} among them"
    place = next(i for i, name in enumerate(columns) if found[i] != name)
    return f"column {place + 1} is {found[place]!r}, where {columns[place]!r} belongs"


def _to_images(pixels: NDArray[np.uint8]) -> Images:
    return np.ascontiguousarray(pixels).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def _read(path: Path, columns: tuple[str, ...], expected_rows: int | None) -> NDArray[np.uint8]:
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise missing_artifact(path) from None
    check_header(path, content[: content.find(b"\n") + 1 or len(content)], columns)
    cells = table_cells.parse(path, content, columns)
    if expected_rows is not None and len(cells) != expected_rows:
        raise TableError(
            f"{path} is not the competition's file: expected {expected_rows:,} rows, found "
            f"{len(cells):,}.",
            REMEDY,
        )
    return cells

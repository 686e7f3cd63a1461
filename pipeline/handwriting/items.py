"""What ``digits predict`` is asked to read: pictures, folders, tables, standard input."""

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pipeline.data import tables
from pipeline.data.dataset import Images
from pipeline.data.table_cells import read_rows
from pipeline.errors import PictureError, TableError, printable
from pipeline.handwriting import pictures
from pipeline.handwriting.find_digit import Glyph, Problem
from pipeline.handwriting.pictures import display_name

STDIN = "-"
LABEL_FILES = ("index.csv", "labels.csv")
"""Tables in a folder with the columns path (within the folder) and label."""


@dataclass(frozen=True)
class Item:
    """One thing to read.

    Attributes:
        name: for messages and tables.
        source: a picture's file or its bytes, an image in MNIST's form, or the reason why there is
            nothing to read.
        label: the true digit, if it is known.
    """

    name: str
    source: Path | bytes | Glyph | Exception
    label: int | None = None


def gather(arguments: Sequence[str], stdin: Callable[[], bytes]) -> tuple[list[Item], list[Path]]:
    """Everything that the arguments name: pictures, folders, CSVs in Kaggle's form, ``-``.

    An argument that cannot be used becomes one item, whose source says why.

    Raises:
        PictureError: ``-`` is there twice.

    Returns:
        What to read, in the order of the arguments; and the files in folders that are not read: no
        pictures, by their names and by their content, or not listed in the folder's table.
    """
    items: list[Item] = []
    ignored: list[Path] = []
    if arguments.count(STDIN) > 1:
        raise PictureError("Standard input can be read once: expected one -, found several.")
    for argument in arguments:
        for found in _gather_one(argument, stdin):
            if isinstance(found, Item):
                items.append(found)
            else:
                ignored.append(found)
    return items, ignored


def _gather_one(argument: str, stdin: Callable[[], bytes]) -> list[Item | Path]:
    try:
        return list(_list_items(argument, stdin))
    except (OSError, csv.Error, PictureError, TableError) as error:
        return [Item(display_name(Path(argument)) if argument else "''", error)]


def _list_items(argument: str, stdin: Callable[[], bytes]) -> Iterator[Item | Path]:
    path = Path(argument)
    if not argument:
        raise PictureError("An empty name was given: expected that of a picture, folder or CSV.")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", argument):
        raise PictureError(f"{argument} is an address: download the picture and name its file.")
    if argument == STDIN:
        yield Item("standard input", stdin())
    elif path.is_dir():
        yield from _list_folder(path)
    elif path.suffix.lower() == ".csv":
        yield from _list_table(path)
    else:
        yield _picture(path)


def _picture(path: Path, label: int | None = None) -> Item:
    return Item(display_name(path), path, label)


def _list_folder(folder: Path) -> Iterator[Item | Path]:
    """The pictures in a folder and its subfolders; hidden ones are left out.

    A file with the name of a picture is one, even if it turns out to be unreadable. Other files are
    pictures if their content is. Where a table labels the pictures, those that it lists are read.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    ]
    suffixes = pictures.SUFFIXES | pictures.UNREADABLE_SUFFIXES
    named = {path for path in files if path.suffix.lower() in suffixes}
    for name in LABEL_FILES:
        if (folder / name).is_file():
            listed = _list_labelled(folder, folder / name)
            yield from listed
            yield from sorted(named - {item.source for item in listed})
            return
    found = {path for path in files if path in named or pictures.is_picture(path)}
    if not found:
        others = (
            f"{len(files)} of other kinds, such as {display_name(files[0])}" if files else "none"
        )
        raise PictureError(
            f"{display_name(folder)} holds no picture: expected files that end in "
            f"{', '.join(sorted(pictures.SUFFIXES))}, found {others}."
        )
    for path in files:
        if path not in found:
            yield path
            continue
        parent = path.absolute().parent.name
        is_digit = len(parent) == 1 and parent in "0123456789"
        yield _picture(path, int(parent) if is_digit else None)


def _list_labelled(folder: Path, table: Path) -> list[Item]:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PictureError(
            f"{display_name(table)} is not UTF-8 (byte {error.start}): save it as CSV in UTF-8."
        ) from None
    try:
        return _read_labelled(folder, display_name(table), text)
    except csv.Error as error:
        raise PictureError(f"{display_name(table)}, {error}.") from None


def _read_labelled(folder: Path, table: str, text: str) -> list[Item]:
    rows = read_rows(text, skipinitialspace=True)
    names = [name.strip() for name in next(rows, (1, []))[1]]
    if not names.count("path") == names.count("label") == 1:
        raise PictureError(
            f"{table} does not label the pictures in its folder: expected the columns path and "
            f"label once each, found {', '.join(names) or 'nothing'}."
        )
    labelled: dict[str, Item] = {}
    for line, cells in rows:
        if not cells:
            continue
        row = dict(zip_longest(names, (cell.strip() for cell in cells), fillvalue=""))
        label, path = row["label"], row["path"]
        if not (len(label) == 1 and label in "0123456789"):
            raise PictureError(
                f"{table}, line {line}: expected a label from 0 to 9, found {label!r}."
            )
        if not path:
            raise PictureError(f"{table}, line {line}: expected a path and a label, found no path.")
        name = os.path.normpath(path)  # a.png of ./a.png
        if name in labelled:
            raise PictureError(
                f"{table}, line {line}: {printable(name)} is listed twice: expected a row for each "
                "picture."
            )
        labelled[name] = _picture(folder / path, int(label))
    if not labelled:
        raise PictureError(f"{table} lists no picture: expected a row for each below its header.")
    return list(labelled.values())


def _list_table(path: Path) -> Iterator[Item]:
    """The rows of a CSV in Kaggle's form: by ``ImageId`` without labels, else by row from 0."""
    name = display_name(path)
    if not path.is_file():
        found = "does not exist" if not path.exists() else "is no regular file"
        raise PictureError(f"{name} {found}: expected a CSV in Kaggle's form.")
    with path.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8-sig", errors="replace")
    columns = [column.strip(' "').lower() for column in header.strip().split(",")]
    if {"path", "label"} <= set(columns):
        raise PictureError(
            f"{name} labels pictures: a folder is read with its {' or '.join(LABEL_FILES)}. Name "
            f"the folder: {display_name(path.parent)}"
        )
    if all(column.isdecimal() for column in columns):
        raise PictureError(
            f"{name} begins with numbers: expected a line with the names of the columns first, "
            "pixel0 to pixel783, with or without label before them."
        )
    if columns[0] == "label":
        images, labels = tables.read_train(path, expected_rows=None)
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield Item(f"{name} row {row}", _glyph(image), int(label))
    else:
        for row, image in enumerate(tables.read_test(path, expected_rows=None)):
            yield Item(f"{name} ImageId {row + 1}", _glyph(image))


def _glyph(image: Images) -> Glyph:
    return Glyph(image, None if image.any() else Problem.BLANK)

"""What ``digits predict`` does: gather pictures, read them, and tell what was read."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline.data import tables
from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images
from pipeline.errors import PictureError, TableError, printable
from pipeline.files import atomic_path
from pipeline.handwriting import pictures
from pipeline.handwriting.find_digit import Glyph, Problem, find_digit
from pipeline.handwriting.reader import Reader, Reading
from pipeline.parallel import parallel_map

STDIN = "-"
LABEL_FILES = ("index.csv", "labels.csv")
"""Tables in a folder with the columns path (within the folder) and label."""

FIELDS = (
    "path",
    "digit",
    "probability",
    "runner_up",
    "runner_up_probability",
    "sure",
    "problem",
    "label",
)

_TILE, _CAPTION, _TILES_PER_ROW = 112, 14, 10


@dataclass(frozen=True)
class Item:
    """One thing to read.

    Attributes:
        name: as it is shown.
        source: a picture's file or its bytes, what is already in MNIST's form, or the reason why
            there is nothing to read.
        label: the true digit, if it is known.
    """

    name: str
    source: Path | bytes | Glyph | Exception
    label: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a reading, or the reason why there is none."""

    item: Item
    reading: Reading | None
    error: str | None = None

    @property
    def right(self) -> bool:
        """Whether the reading is the label."""
        return self.reading is not None and self.reading.digit == self.item.label

    def describe(self) -> dict[str, Any]:
        """The outcome as plain values under `FIELDS`; label and error only where there are any."""
        reading = self.reading
        described: dict[str, Any] = {
            "path": self.item.name,
            "digit": reading.digit if reading else None,
            "probability": round(reading.probability, 6) if reading else 0.0,
            "runner_up": reading.runner_up if reading else None,
            "runner_up_probability": round(reading.runner_up_probability, 6) if reading else 0.0,
            "sure": reading.sure if reading else False,
            "problem": self.error or (reading.problem if reading else None),
        }
        if self.item.label is not None:
            described["label"] = self.item.label
        return described


def gather(arguments: Sequence[str], stdin: Callable[[], bytes]) -> list[Item]:
    """Everything that the arguments name: pictures, folders, CSVs in Kaggle's form, ``-``.

    An argument that is unusable becomes one item, whose source says why.
    """
    return [item for argument in arguments for item in _gather_one(argument, stdin)]


def _gather_one(argument: str, stdin: Callable[[], bytes]) -> list[Item]:
    try:
        return list(_list_items(argument, stdin))
    except (OSError, csv.Error, PictureError, TableError) as error:
        return [Item(argument or "''", error)]


def _list_items(argument: str, stdin: Callable[[], bytes]) -> Iterator[Item]:
    path = Path(argument)
    if not argument:
        raise PictureError("An empty name was given: expected that of a picture, folder or CSV.")
    if argument.startswith(("http://", "https://")):
        raise PictureError(f"{argument} is an address: download the picture and name its file.")
    if argument == STDIN:
        yield Item("standard input", stdin())
    elif path.is_dir():
        yield from _gather_folder(path)
    elif path.suffix.lower() == ".csv":
        yield from _gather_table(path)
    else:
        yield _picture(path)


def _picture(path: Path, label: int | None = None) -> Item:
    return Item(str(path), path, label)


def _gather_folder(folder: Path) -> Iterator[Item]:
    for name in LABEL_FILES:
        if (folder / name).is_file():
            yield from _gather_labelled(folder, folder / name)
            return
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    ]
    found = [path for path in files if path.suffix.lower() in pictures.SUFFIXES]
    if not found:
        others = f"{len(files)} of other kinds, such as {files[0].name}" if files else "none"
        raise PictureError(
            f"{folder} holds no picture: expected files that end in "
            f"{', '.join(sorted(pictures.SUFFIXES))}, found {others}."
        )
    for path in found:
        parent = path.absolute().parent.name
        is_digit = len(parent) == 1 and parent in "0123456789"
        yield _picture(path, int(parent) if is_digit else None)


def _gather_labelled(folder: Path, table: Path) -> list[Item]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PictureError(
            f"{table} is not UTF-8 (byte {error.start}): save it as CSV in UTF-8."
        ) from None
    with io.StringIO(text, newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        if not {"path", "label"} <= set(rows.fieldnames or ()):
            raise PictureError(
                f"{table} does not label the pictures beside it: expected the columns path and "
                f"label, found {', '.join(rows.fieldnames or ()) or 'nothing'}."
            )
        labelled = []
        for row in rows:
            label = (row["label"] or "").strip()
            if not (len(label) == 1 and label in "0123456789"):
                raise PictureError(
                    f"{table}, line {rows.line_num}: expected a label from 0 to 9, found {label!r}."
                )
            labelled.append(_picture(folder / str(row["path"]), int(label)))
        if not labelled:
            raise PictureError(
                f"{table} lists no picture: expected a row for each below its header."
            )
        return labelled


def _gather_table(path: Path) -> Iterator[Item]:
    if not path.is_file():
        found = "does not exist" if not path.exists() else "is no regular file"
        raise PictureError(f"{path} {found}: expected a CSV in Kaggle's form.")
    with path.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8-sig", errors="replace")
    names = [name.strip(' "').lower() for name in header.strip().split(",")]
    if {"path", "label"} <= set(names):
        raise PictureError(
            f"{path} labels pictures: as {' or '.join(LABEL_FILES)} in their folder it is read "
            f"with them. Name the folder: {path.parent}"
        )
    if all(name.isdecimal() for name in names):
        raise PictureError(
            f"{path} begins with numbers: expected a line with the names of the columns first, "
            "pixel0 to pixel783, with or without label before them."
        )
    labels: list[int | None]
    if names[0] == "label":
        images, given = tables.read_train(path, expected_rows=None)
        labels = [int(label) for label in given]
    else:
        images = tables.read_test(path, expected_rows=None)
        labels = [None] * len(images)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        glyph = Glyph(image, None if image.any() else Problem.BLANK)
        yield Item(f"{path} row {row}", glyph, label)


def read_all(
    items: Sequence[Item], reader: Reader, *, advance: Callable[[], object]
) -> list[Outcome]:
    """Read every item; ``advance`` is called after each."""
    found: list[Glyph | PictureError] = []
    files = [item for item in items if isinstance(item.source, Path)]
    with parallel_map(_find, files) as found_in_files:
        for item in items:
            found.append(next(found_in_files) if isinstance(item.source, Path) else _find(item))
            advance()
    readings = iter(reader.read_glyphs([each for each in found if isinstance(each, Glyph)]))
    return [
        Outcome(item, None, str(each))
        if isinstance(each, PictureError)
        else Outcome(item, next(readings))
        for item, each in zip(items, found, strict=True)
    ]


def _find(item: Item) -> Glyph | PictureError:
    try:
        match item.source:
            case Path() as path:
                return find_digit(pictures.read(path))
            case bytes() as content:
                return find_digit(pictures.decode(content, item.name))
            case Glyph() as glyph:
                return glyph
            case error:
                raise error
    except PictureError as error:
        return error
    except TableError as error:
        return PictureError(f"{error.problem} For pictures, name the files or their folder.")
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        return PictureError(f"{item.name} cannot be read: {reason}.")


def to_json(outcomes: Sequence[Outcome]) -> str:
    """An array of objects with the keys of `FIELDS`."""
    return json.dumps([outcome.describe() for outcome in outcomes], indent=1, ensure_ascii=False)


def to_csv(outcomes: Sequence[Outcome]) -> str:
    """A table with the columns of `FIELDS`; cells without a value are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(outcome.describe() for outcome in outcomes)
    return text.getvalue()


def count_confusions(outcomes: Sequence[Outcome]) -> list[list[int]]:
    """Confusions of labelled items that were read: true digit down, read across, last one none."""
    counts = [[0] * (NUM_CLASSES + 1) for _ in range(NUM_CLASSES)]
    for outcome in outcomes:
        if outcome.item.label is not None and outcome.reading is not None:
            digit = outcome.reading.digit
            counts[outcome.item.label][NUM_CLASSES if digit is None else digit] += 1
    return counts


def draw_seen(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a PNG of the 28×28 that the networks saw, each with what it was read as."""
    shown = [outcome for outcome in outcomes if outcome.reading]
    columns = max(1, min(_TILES_PER_ROW, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    step, below = _TILE + 8, 2 * _CAPTION
    sheet = Image.new("RGB", (columns * step + 8, rows * (step + below) + 8), "white")
    pen = ImageDraw.Draw(sheet)
    for index, outcome in enumerate(shown):
        reading = outcome.reading
        if reading is None:
            continue
        left, top = index % columns * step + 8, index // columns * (step + below) + 8
        tile = Image.fromarray(reading.image).resize((_TILE, _TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (left, top))
        name = outcome.item.name
        caption = reading.problem or f"{reading.digit}  {reading.probability:.1%}"
        wrong = outcome.item.label is not None and not outcome.right
        if wrong:
            caption = f"{'none' if reading.problem else reading.digit}, true {outcome.item.label}"
        for line, text in enumerate((caption, name if len(name) <= 18 else f"…{name[-17:]}")):
            place = (left, top + _TILE + 1 + line * _CAPTION)
            pen.text(place, printable(text), fill="#b00020" if wrong else "black")
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")


def to_blocks(image: Images) -> list[list[tuple[int, int]]]:
    """Pairs of grey levels, upper and lower, for a terminal's half blocks: 14 lines of 28."""
    return [
        [(int(upper), int(lower)) for upper, lower in zip(image[y], image[y + 1], strict=True)]
        for y in range(0, IMAGE_SIZE, 2)
    ]


def to_shades(image: Images) -> list[str]:
    """The image in characters, for a terminal without colours: 14 lines of 28."""
    pairs = image.reshape(IMAGE_SIZE // 2, 2, IMAGE_SIZE).mean(axis=1)
    shades = " .:-=+*#%@"
    levels = np.minimum((pairs / 256 * len(shades)).astype(int), len(shades) - 1)
    return ["".join(shades[level] for level in row) for row in levels]

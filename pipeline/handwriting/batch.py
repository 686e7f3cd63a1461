"""Many things read at once, and what became of each."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.dataset import NUM_CLASSES, Images
from pipeline.errors import PictureError, TableError
from pipeline.handwriting import pictures
from pipeline.handwriting.find_digit import Glyph, find_digit
from pipeline.handwriting.items import Item
from pipeline.handwriting.reader import Reader, Reading
from pipeline.parallel import parallel_map

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


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a reading, or the reason why there is none."""

    item: Item
    reading: Reading | None
    error: str | None = None

    @property
    def correct(self) -> bool:
        """Whether the reading is the label."""
        return self.reading is not None and self.reading.digit == self.item.label

    def describe(self) -> dict[str, Any]:
        """The outcome as plain values under `FIELDS`; label only where it is known."""
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
        Outcome(item, None, pictures.display_name(str(each)))
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


def count_confusions(outcomes: Sequence[Outcome]) -> list[list[int]]:
    """Confusions of labelled items that were read: true digit down, read across, last one none."""
    counts = [[0] * (NUM_CLASSES + 1) for _ in range(NUM_CLASSES)]
    for outcome in outcomes:
        if outcome.item.label is not None and outcome.reading is not None:
            digit = outcome.reading.digit
            counts[outcome.item.label][NUM_CLASSES if digit is None else digit] += 1
    return counts


def count_trained_on(items: Sequence[Item], images: Images) -> int:
    """How many labelled items of tables are among the training images ``(n, 28, 28)``."""
    known = {image.tobytes() for image in images}
    return sum(
        item.label is not None
        and isinstance(item.source, Glyph)
        and item.source.image.tobytes() in known
        for item in items
    )

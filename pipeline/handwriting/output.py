"""Readings as CSV, and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.errors import printable
from pipeline.files import atomic_path
from pipeline.handwriting.batch import FIELDS, Outcome

MOST_TILES = 1000
_TILE, _CAPTION, _TILES_PER_ROW = 112, 14, 10


def to_csv(outcomes: Sequence[Outcome]) -> str:
    """A table with the columns of `FIELDS`; cells without a value are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(outcome.describe() for outcome in outcomes)
    return text.getvalue()


def draw_seen(path: Path, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Write a PNG of the 28×28 that the networks saw, each with what it was read as.

    Returns:
        How many are drawn, at most `MOST_TILES`, and how many there are.
    """
    read = [outcome for outcome in outcomes if outcome.reading]
    shown = read[:MOST_TILES]
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
        is_error = outcome.item.label is not None and not outcome.correct
        if is_error:
            caption = f"{'none' if reading.problem else reading.digit}, true {outcome.item.label}"
        for line, text in enumerate((caption, name if len(name) <= 18 else f"…{name[-17:]}")):
            place = (left, top + _TILE + 1 + line * _CAPTION)
            pen.text(place, printable(text), fill="#b00020" if is_error else "black")
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")
    return len(shown), len(read)

"""Pictures with more than a digit's strokes, or without a digit, drawn by a program and read.

Right is the digit, "not sure" anything that does not claim to be certain; what is certain and wrong
is what a reader must not do.
"""

import argparse
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from pipeline import stages
from pipeline.errors import exit_status
from pipeline.handwriting.pictures import Pixels
from pipeline.handwriting.reader import SURE_FROM, Reader, Reading
from tests.distractors import MARKS, marked
from tests.handdrawn import paint
from tests.non_digits import NO_DIGITS
from tests.papers import PAPERS

_COLUMNS = ("right", "right, not sure", "no digit", "wrong, not sure", "wrong, sure")


def main() -> None:
    """Print a table of kinds and outcomes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distractors", description=__doc__)
    parser.add_argument("--number", type=int, default=40, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="kinds whose name has this part")
    parser.add_argument("--sheets", type=Path, help="folder for a PNG per kind")
    parser.add_argument("--sure-from", type=float, default=SURE_FROM, help="least probability")
    chosen = parser.parse_args()
    reader = Reader.load(stages.EXPORTED, stages.MODELS)
    table = Table(title=f"{len(reader.ensemble.names)} network(s)", title_justify="left")
    for name in ("kind", "n", *_COLUMNS):
        table.add_column(name, justify="right")
    for kind in (*MARKS, *PAPERS, *NO_DIGITS):
        if chosen.only and chosen.only not in kind:
            continue
        generator = np.random.default_rng([chosen.seed, zlib.crc32(kind.encode())])
        pictures = [make(kind, index % 10, generator) for index in range(chosen.number)]
        readings = [reader.read(pixels) for pixels in pictures]
        labels = [None if kind in NO_DIGITS else index % 10 for index in range(chosen.number)]
        outcomes = [judge(*each, chosen.sure_from) for each in zip(readings, labels, strict=True)]
        counts = Counter(outcomes)
        table.add_row(kind, f"{chosen.number}", *(f"{counts[name] or ''}" for name in _COLUMNS))
        if chosen.sheets is not None:
            chosen.sheets.mkdir(parents=True, exist_ok=True)
            draw_sheet(chosen.sheets / f"{kind}.png", pictures, readings)
    Console().print(table)


def make(kind: str, digit: int, generator: np.random.Generator) -> Pixels:
    """One picture; the digit is not in what shows none."""
    if kind in NO_DIGITS:
        return NO_DIGITS[kind](generator)
    if kind in PAPERS:
        return PAPERS[kind](digit, generator)
    return paint(marked(kind, digit, generator)[1])


def judge(reading: Reading, label: int | None, sure_from: float) -> str:
    """The column in which a reading is counted."""
    if reading.problem:
        return "right" if label is None else "no digit"
    right = reading.digit == label
    return (
        ("right" if right else "wrong, sure")
        if reading.probability >= sure_from and not reading.doubtful
        else ("right, not sure" if right else "wrong, not sure")
    )


def draw_sheet(path: Path, pictures: list[Pixels], readings: list[Reading]) -> None:
    """Pairs of the picture and what the networks saw of it; red for what is sure, ten a row."""
    tile = 84
    size = 10 * 2 * (tile + 2), -(-len(pictures) // 10) * (tile + 12)
    sheet = Image.new("RGB", size, "#40424c")
    pen = ImageDraw.Draw(sheet)
    for index, (pixels, reading) in enumerate(zip(pictures, readings, strict=True)):
        left, top = index % 10 * 2 * (tile + 2), index // 10 * (tile + 12)
        picture = Image.fromarray(pixels).resize((tile, tile), Image.Resampling.BOX)
        sheet.paste(picture, (left, top), picture)
        seen = Image.fromarray(reading.image).resize((tile, tile), Image.Resampling.NEAREST)
        sheet.paste(seen, (left + tile, top))
        told = reading.problem or f"{reading.digit} {reading.probability:.0%}"
        colour = "white" if not reading.sure else "#ff8080"
        pen.text((left + 2, top + tile), str(told), fill=colour)
    sheet.save(path)


if __name__ == "__main__":
    sys.exit(exit_status(main))

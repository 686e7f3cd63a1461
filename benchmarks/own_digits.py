"""Digits that people made themselves: read our way, and the naive way beside it.

The folder holds pictures and an index.csv with the columns path, label and, if there is one, kind.
Of the naive way: grey, inverted if the border is bright, resized to 28×28; the networks are the
same.
"""

import argparse
import csv
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from pipeline import stages
from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.errors import exit_status
from pipeline.evaluation.metrics import wilson_interval
from pipeline.handwriting import batch, pictures
from pipeline.handwriting.batch import Outcome
from pipeline.handwriting.items import gather
from pipeline.handwriting.reader import SURE_FROM, Reader


def main() -> None:
    """Print accuracy per kind with 95 % intervals, and draw what was misread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_digits", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path, help="PNG of what was misread and how it was seen")
    chosen = parser.parse_args()
    reader = Reader.load(stages.EXPORTED, stages.MODELS)
    began = time.perf_counter()
    items, _ = gather([str(chosen.folder)], lambda: b"")
    outcomes = batch.read_all(items, reader, advance=lambda: None)
    seconds = time.perf_counter() - began
    paths = [Path(item.name) for item in items]
    naive = reader.ensemble.probabilities(
        np.stack([resize_naively(path) for path in paths])
    ).argmax(axis=1)
    labels = np.array([item.label for item in items])
    right = np.array([outcome.correct for outcome in outcomes])
    naively_right = naive == labels
    kinds = np.array(read_kinds(chosen.folder))

    table = Table(
        title=f"{len(reader.ensemble.names)} network(s), {seconds:.1f} s", title_justify="left"
    )
    for name in ("kind", "n", "ours", "95 % interval", "naive", "95 % interval"):
        table.add_column(name, justify="right")
    for kind in [*sorted(set(kinds)), "all"]:
        rows = (kinds == kind) | (kind == "all")
        table.add_row(kind, f"{rows.sum()}", *describe(right[rows]), *describe(naively_right[rows]))
    console = Console()
    console.print(table)
    wrong, naively_wrong = (~right).sum(), (~naively_right).sum()
    console.print(f"{wrong} wrong, naively {naively_wrong}: {1 - wrong / naively_wrong:.1%} gone")
    show_confidence(console, outcomes)
    if chosen.sheet is not None:
        draw_misread(chosen.sheet, [outcome for outcome in outcomes if not outcome.correct])
        console.print(f"{chosen.sheet}: drawn")


def resize_naively(path: Path) -> Images:
    """The whole picture as uint8 ``(28, 28)``."""
    pixels = Image.fromarray(pictures.read(path))
    white = Image.new("RGBA", pixels.size, "white")
    grey = np.asarray(Image.alpha_composite(white, pixels).convert("L"))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = Image.fromarray(255 - grey if border.mean() > 127 else grey)
    return np.asarray(ink.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))


def read_kinds(folder: Path) -> list[str]:
    """The column kind of the folder's index; empty where there is none."""
    with (folder / "index.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row.get("kind", "") for row in csv.DictReader(file)]


def describe(right: np.ndarray) -> tuple[str, str]:
    """Accuracy and its interval."""
    low, high = wilson_interval(right.sum(), len(right))
    return f"{right.mean():.2%}", f"{low:.2%} – {high:.2%}"


def show_confidence(console: Console, outcomes: list[Outcome]) -> None:
    """How often readings are correct by their probability, and how many show no digit."""
    read = [
        (outcome.reading, outcome.correct)
        for outcome in outcomes
        if outcome.reading and not outcome.reading.problem
    ]
    for least in sorted({0.8, 0.85, 0.95, SURE_FROM}):
        sure: list[bool] = []
        others: list[bool] = []
        for reading, correct in read:
            relied_on = reading.probability >= least and not reading.doubtful
            (sure if relied_on else others).append(correct)
        console.print(
            f"sure from {least:.0%}: {sum(sure)} of {len(sure)} correct; others: "
            f"{sum(others)} of {len(others)}"
        )
    counted = Counter(outcome.describe()["problem"] for outcome in outcomes)
    for problem, count in counted.items():
        if problem:
            console.print(f"{count} × {problem}")


def draw_misread(path: Path, outcomes: list[Outcome]) -> None:
    """Pairs of the picture and what the networks saw of it, with captions."""
    tile, columns = 112, 5
    rows = max(1, -(-len(outcomes) // columns))
    sheet = Image.new("RGB", (columns * (2 * tile + 24), rows * (tile + 32)), "#40424c")

    pen = ImageDraw.Draw(sheet)
    for index, outcome in enumerate(outcomes):
        left, top = index % columns * (2 * tile + 24) + 8, index // columns * (tile + 32) + 4
        told = outcome.error or "no digit"
        if (reading := outcome.reading) is not None:
            original = Image.fromarray(pictures.read(Path(outcome.item.name)))
            original.thumbnail((tile, tile), Image.Resampling.BOX)
            sheet.paste(original, (left, top + 24), original)
            seen = Image.fromarray(reading.image).resize((tile, tile), Image.Resampling.NEAREST)
            sheet.paste(seen, (left + tile + 4, top + 24))
            told = f"{reading.digit} {reading.probability:.0%}, {reading.runner_up} "
            told += f"{reading.runner_up_probability:.0%}"
        pen.text((left, top), f"{Path(outcome.item.name).name}", fill="white")
        pen.text((left, top + 11), f"true {outcome.item.label}, read {told}", fill="white")
    sheet.save(path)


if __name__ == "__main__":
    sys.exit(exit_status(main))

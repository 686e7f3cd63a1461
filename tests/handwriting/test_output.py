import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.handwriting import output
from pipeline.handwriting.batch import FIELDS, Outcome
from pipeline.handwriting.items import Item
from pipeline.handwriting.reader import Reading

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:24, 13:15] = 255

ONE = Outcome(Item('a, "b".png', b"", 1), Reading(IMAGE, None, np.eye(10)[1]))
EMPTY = Outcome(Item("c\n.png", b"", 7), None, "c is empty.")


def test_csv_has_the_fields_and_empty_cells() -> None:
    rows = list(csv.DictReader(io.StringIO(output.to_csv([ONE, EMPTY]))))
    assert list(rows[0]) == list(FIELDS)
    assert [(row["path"], row["digit"]) for row in rows] == [('a, "b".png', "1"), ("c\n.png", "")]


def test_sheet_shows_what_was_seen(tmp_path: Path) -> None:
    assert output.draw_seen(tmp_path / "seen.png", [ONE, EMPTY, ONE]) == (2, 2)
    with Image.open(tmp_path / "seen.png") as sheet:
        assert sheet.size == (2 * 120 + 8, 120 + 28 + 8)
        levels = np.asarray(sheet.convert("L"))
    assert levels[8 + 60, 8 + 56] == 255 and levels[8 + 2, 8 + 2] == 0


def test_sheet_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOST_TILES", 2)
    assert output.draw_seen(tmp_path / "seen.png", [ONE] * 5) == (2, 5)

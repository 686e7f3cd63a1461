from pathlib import Path

import numpy as np
import pytest

from pipeline.handwriting.batch import FIELDS, Outcome, count_confusions, count_trained_on, read_all
from pipeline.handwriting.find_digit import Glyph, Problem, find_digit
from pipeline.handwriting.items import Item
from pipeline.handwriting.reader import Reader, Reading
from tests.handdrawn import draw_ink, paint, save_drawing


def reading(digit: int, problem: Problem | None = None) -> Reading:
    probabilities = np.full(10, 0.01)
    probabilities[digit] = 0.91
    return Reading(np.zeros((28, 28), np.uint8), problem, probabilities)


def test_items_of_every_kind_are_read_in_order(reader: Reader, tmp_path: Path) -> None:
    path = save_drawing(tmp_path / "a.png", 7)
    (tmp_path / "b.png").write_bytes(b"no picture")
    items = [
        Item("a.png", path, 7),
        Item("b.png", tmp_path / "b.png"),
        Item("bytes", path.read_bytes()),
        Item("row", find_digit(paint(draw_ink(3, np.random.default_rng(0)))), 5),
        Item("late", OSError(5, "Input/output error")),
    ]
    calls: list[None] = []
    outcomes = read_all(items, reader, advance=lambda: calls.append(None))
    assert [outcome.item for outcome in outcomes] == items and len(calls) == 5
    digits = [outcome.reading and outcome.reading.digit for outcome in outcomes]
    assert digits == [7, None, 7, 3, None]
    assert [outcome.correct for outcome in outcomes] == [True, False, False, False, False]
    assert outcomes[1].error and "b.png is no picture" in outcomes[1].error
    assert outcomes[4].error == "late cannot be read: Input/output error."


def test_description_has_the_fields() -> None:
    described = Outcome(Item("a", b"", 4), reading(4)).describe()
    assert tuple(described) == FIELDS
    assert (described["digit"], described["probability"], described["label"]) == (4, 0.91, 4)
    unreadable = Outcome(Item("b", b""), None, "b is empty.").describe()
    assert (unreadable["digit"], unreadable["problem"]) == (None, "b is empty.")
    assert "label" not in unreadable


def test_confusions_are_of_labelled_readings() -> None:
    outcomes = [
        Outcome(Item("a", b"", 4), reading(4)),
        Outcome(Item("b", b"", 4), reading(9)),
        Outcome(Item("c", b"", 4), reading(0, Problem.BLANK)),
        Outcome(Item("d", b""), reading(4)),
        Outcome(Item("e", b"", 4), None, "e is empty."),
    ]
    counts = np.array(count_confusions(outcomes))
    assert counts.sum() == 3
    assert counts[4, 4] == counts[4, 9] == counts[4, 10] == 1


@pytest.mark.parametrize("label", [3, None])
def test_training_images_are_recognised_where_labels_are_given(label: int | None) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    items = [Item("row", Glyph(image, None), label) for image in (*images[:3], ~images[0])]
    items.append(Item("picture", Path("a.png"), label))
    assert count_trained_on(items, images) == (0 if label is None else 3)

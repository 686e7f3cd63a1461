"""Digits in a terminal with and without colours."""

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipeline.cli import console, digit_pictures

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:8, 13:15] = 255
IMAGE[8, 13] = 128


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 70 columns with 24-bit colours."""
    made = Console(file=StringIO(), force_terminal=True, color_system="truecolor", width=70)
    use(made, monkeypatch)
    return made


def use(made: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (console, digit_pictures):
        monkeypatch.setattr(module, "console", made)
    monkeypatch.setattr(digit_pictures, "print_line", lambda text: made.print(text, soft_wrap=True))


def test_colours_give_two_pixels_per_character(terminal: Console) -> None:
    lines = digit_pictures.to_text(IMAGE)
    assert [line.plain for line in lines] == ["▀" * 28] * 14
    assert str(lines[4].spans[13].style) == "rgb(128,128,128) on rgb(0,0,0)"
    assert [str(span.style) for span in lines[2].spans][
        13
    ] == "rgb(255,255,255) on rgb(255,255,255)"


COLOURED = {"force_terminal": True, "color_system": "truecolor"}


@pytest.mark.parametrize("options", [{}, COLOURED | {"no_color": True}], ids=["pipe", "NO_COLOR"])
def test_without_colours_there_are_characters(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Console(file=StringIO(), width=70, **options), monkeypatch)
    lines = [line.plain for line in digit_pictures.to_text(IMAGE)]
    assert lines[2] == f"|{' ' * 13}@@{' ' * 13}|"
    assert lines[4] == f"|{' ' * 13}:{' ' * 14}|"
    assert lines[0] == f"|{' ' * 28}|"
    assert "".join(lines).isascii()


def test_images_stand_side_by_side_as_far_as_there_is_room(terminal: Console) -> None:
    digit_pictures.print_side_by_side(np.stack([IMAGE] * 3), ["row 1", "row 2", "row 3"])
    plain = Console(file=StringIO(), width=70)
    with plain.capture() as captured:
        plain.print(digit_pictures.Text.from_ansi(terminal.file.getvalue()))  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert [line.split() for line in lines if "row" in line] == [
        ["row", "1", "row", "2"],
        ["row", "3"],
    ]
    assert lines.count(f"{'▀' * 28}  {'▀' * 28}") == 14
    assert lines.count("▀" * 28) == 14

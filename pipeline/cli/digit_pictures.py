"""Images of digits in a terminal: two rows of pixels per line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.cli.console import console, print_line

if TYPE_CHECKING:
    from pipeline.data.dataset import Images

_SHADES = " .:-=+*#%@"
_GAP = 2
"""Columns between two images next to each other."""


def to_text(image: Images) -> list[Text]:
    """An image ``(28, 28)`` as 14 lines: greys where there are colours, characters elsewhere."""
    if console.color_system is None or console.no_color or console.options.ascii_only:
        return [Text(f"|{shades}|") for shades in _to_shades(image)]
    return [
        Text.assemble(*(("▀", f"{_grey(upper)} on {_grey(lower)}") for upper, lower in pairs))
        for pairs in _to_blocks(image)
    ]


def print_side_by_side(images: Images, captions: Sequence[str]) -> None:
    """Print images ``(n, 28, 28)``, as many on a line as there is room for, under captions."""
    blocks = [
        [Text(caption, "bold"), *to_text(image)]
        for image, caption in zip(images, captions, strict=True)
    ]
    width = max(line.cell_len for block in blocks for line in block)
    per_line = max(1, (console.width + _GAP) // (width + _GAP))
    for start in range(0, len(blocks), per_line):
        print_line("")
        for lines in zip(*blocks[start : start + per_line], strict=True):
            joined = Text(" " * _GAP).join(_padded(line, width) for line in lines)
            joined.rstrip()
            print_line(joined)


def _padded(line: Text, width: int) -> Text:
    padded = line.copy()
    padded.append(" " * (width - line.cell_len))
    return padded


def _grey(level: int) -> str:
    return f"rgb({level},{level},{level})"


def _to_blocks(image: Images) -> list[list[tuple[int, int]]]:
    """Pairs of grey levels, upper and lower."""
    return [
        list(zip(upper, lower, strict=True))
        for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True)
    ]


def _to_shades(image: Images) -> list[str]:
    shade = "".join(each * 52 for each in _SHADES)  # by the sum of two levels, at most 510
    return ["".join(shade[upper + lower] for upper, lower in pairs) for pairs in _to_blocks(image)]

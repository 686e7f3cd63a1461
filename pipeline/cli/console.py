"""Where the commands print to, and the one look of what they print.

Text of the user's own (names of files, messages, commits) is printed as it is: no markup, no emoji
codes, no highlighting; control characters are escaped. A terminal gets colours and no more columns
than it has. A pipe gets plain text and whole lines. ``NO_COLOR`` and ``FORCE_COLOR`` overrule that.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from typing import Any, Literal

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import printable

console = Console(highlight=False, markup=False, emoji=False)
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)

Row = Mapping[str, str | Text]
"""The cells of a table's row by the names of their columns; a ``Text`` has a style of its own."""

_NARROWEST_TEXT = 12
"""Columns that a folded text needs to stay readable."""

_GAP = 2
"""Columns between two columns of a table."""

_NUMBER = re.compile(r"(?:[<>] ?)?[-+−±]?[\d.,:%×±()/ –+−-]*(?:[\d ](?:s|min|h|k|M))?")
"""Figures: counts, shares, intervals, sizes, dates, durations."""

_RULE = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
_ASCII_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def print_line(text: str | Text, style: str = "", *, to: Console = console) -> None:
    """Print ``text`` as it is, its lines unbroken."""
    to.print(_shown(text, style), soft_wrap=True)


def print_json(content: Any) -> None:
    """Print JSON for other programs, in ASCII, so that any of them can read it."""
    print(json.dumps(content, indent=2))


def print_table(rows: Sequence[Row], title: str = "", *, text: Collection[str] = ()) -> None:
    """Print rows under the names of their columns.

    A column of figures stands to the right and is never broken. Every other column folds where the
    terminal is too narrow. Where that does not suffice, each row becomes a list.

    Args:
        rows: at least one; all have the same columns.
        title: a line above.
        text: columns that hold the user's text, also where it looks like figures.
    """
    if title:
        print_line(title, "bold")
    names = list(rows[0])
    numbers = [name not in text and all(_is_number(row[name]) for row in rows) for name in names]
    widths = [max(_width(name), *(_width(row[name]) for row in rows)) for name in names]
    gaps = _GAP * (len(names) - 1)
    table = Table(
        box=_ASCII_RULE if console.options.ascii_only else _RULE,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
    )
    for name, is_number in zip(names, numbers, strict=True):
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(_cell(name), justify=justify, overflow="fold", no_wrap=is_number)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    narrowest = [
        width if is_number else min(width, _NARROWEST_TEXT)
        for width, is_number in zip(widths, numbers, strict=True)
    ]
    if not console.is_terminal:
        _print_unfolded(table, sum(widths) + gaps)
    elif sum(narrowest) + gaps <= console.width:
        console.print(table)
    else:
        _print_lists(rows)


def print_difference(lines: Sequence[str]) -> None:
    """Print lines of a unified diff: what goes in red, what comes in green."""
    for line in lines:
        print_line(line, "red" if line.startswith("-") else "green")


def print_items(items: Sequence[tuple[str, str | Text]]) -> None:
    """Print names, each followed by what is said of it, folded where the terminal is too narrow."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, said in items:
        table.add_row(_cell(name), _cell(said))
    if console.is_terminal:
        console.print(table)
    else:
        widths = [max(map(_width, column)) for column in zip(*items, strict=True)]
        _print_unfolded(table, sum(widths) + 2 * _GAP)


def _print_unfolded(table: Table, width: int) -> None:
    wide = Console(file=StringIO(), width=width, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        print_line(line.rstrip())


def _print_lists(rows: Sequence[Row]) -> None:
    for number, row in enumerate(rows):
        if number:
            print_line("")
        for name, cell in row.items():
            print_line(Text.assemble((printable(name), "bold"), " ", _cell(cell)))


def _width(cell: str | Text) -> int:
    return cell_len(_cell(cell).plain)


def _is_number(cell: str | Text) -> bool:
    return bool(_NUMBER.fullmatch(str(cell)))


def _cell(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(printable(text))


def _shown(text: str | Text, style: str = "") -> Text:
    if isinstance(text, Text):
        return text
    return Text("\n".join(map(printable, text.split("\n"))), style)

"""Where the commands print to, and how their tables look."""

from typing import Literal

from rich.console import Console
from rich.table import Table

console = Console()
stderr = Console(stderr=True)


def print_table(
    rows: list[dict[str, str]], title: str, *, justify: Literal["left", "right"] = "right"
) -> None:
    table = Table()
    for name in rows[0]:
        table.add_column(name, justify="right" if name == "parameters" else justify)
    for row in rows:
        table.add_row(*row.values())
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)

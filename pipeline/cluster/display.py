"""What is shown while nodes train: a live table in a terminal, a line per event in a pipe."""

from collections.abc import Iterable
from statistics import fmean

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.cluster.orders import News
from pipeline.progress import LiveDisplay, clock

_console = Console()

_LINES_BELOW = 6
"""Of the terminal, that the table leaves to its head, its foot and the prompt."""


class ClusterDisplay(LiveDisplay):
    """How far each member is, where, and how long all of them take from here.

    Args:
        last_epochs: of each member, by name: after which its training ends at the latest.
    """

    def __init__(self, last_epochs: dict[str, int]) -> None:
        self._left = dict(last_epochs)
        self._running: dict[str, News] = {}
        self._seconds: list[float] = []
        self._most_running = 1
        self._total, self._done, self._failed = len(last_epochs), 0, 0
        super().__init__(_console)

    def update(self, news: Iterable[News]) -> None:
        """Show what nodes tell."""
        for each in news:
            if each.name not in self._left:
                continue
            if each.epoch == 0:
                begun = each.name in self._running
                self.print_line(f"{each.name}: {'again ' if begun else ''}on {each.node}")
            else:
                self._seconds.append(each.seconds)
                self._left[each.name] = each.last_epoch - each.epoch
            self._running[each.name] = each
        self._most_running = max(self._most_running, len(self._running))
        self.refresh()

    def finish(self, name: str, node: str) -> None:
        """Show that a member is back."""
        self._end(name)
        self._done += 1
        left = f", {self.time_left()} left" if self.time_left() else ""
        self.print_line(f"{name}: trained on {node}; {self._done} of {self._total}{left}")

    def fail(self, name: str, reason: str) -> None:
        """Show that a member failed."""
        self._end(name)
        self._failed += 1
        self.print_line(f"{name}: failed: {reason}")

    def _end(self, name: str) -> None:
        self._left.pop(name, None)
        self._running.pop(name, None)

    def time_left(self) -> str:
        """How long the epochs left take, as many members at a time as so far; empty if unknown."""
        if not self._seconds or not self._left:
            return ""
        return (
            f"about {clock(sum(self._left.values()) * fmean(self._seconds) / self._most_running)}"
        )

    def print_line(self, line: str) -> None:
        """Print a line above the table, if there is one."""
        _console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draw the table again."""
        if self._live.is_started:
            self._live.update(self.render(_console.height), refresh=True)

    def render(self, height: int) -> Group:
        """The table and a line below it, for a terminal of so many lines."""
        table = Table("member", "node", "epoch", box=None, pad_edge=False, header_style="dim")
        shown = list(self._running.values())[: max(1, height - _LINES_BELOW)]
        for news in shown:
            table.add_row(Text(news.name), Text(news.node), f"{news.epoch}/{news.last_epoch}")
        counts = [
            f"{self._done} of {self._total} trained",
            f"{len(self._running)} running",
            f"{len(self._left) - len(self._running)} waiting",
        ]
        if self._failed:
            counts.append(f"{self._failed} failed")
        if self.time_left():
            counts.append(f"{self.time_left()} left")
        return Group(table, Text(" · ".join(counts)))

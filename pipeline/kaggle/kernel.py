"""What Kaggle tells of a notebook, which its API calls a kernel: its versions, runs and logs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.kaggle.redaction import redact

QUEUED, RUNNING, COMPLETE = "queued", "running", "complete"
_WAITING = (QUEUED, RUNNING, "new_script", "cancel_requested")
"""What is said of a run that has not ended; ``error`` and ``cancel_acknowledged`` are ends."""


class Version(NamedTuple):
    """A version of a notebook; saving it starts its run.

    Attributes:
        kernel: ``USER/SLUG``, the notebook's address.
        number: from 1.
    """

    kernel: str
    number: int

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://www.kaggle.com/code/{self.kernel}"

    def __str__(self) -> str:
        return f"version {self.number} of {self.kernel}"


@dataclass(frozen=True)
class Saved:
    """A notebook as Kaggle has it.

    Attributes:
        newest: the number of its newest version.
        source: the text of the version that was asked for.
    """

    newest: int
    source: str


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        state: one word of Kaggle's.
        message: why it failed; mostly empty.
    """

    state: str
    message: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether the run has not ended."""
        return self.state in _WAITING


class LogLine(NamedTuple):
    """A line that a run has printed.

    Attributes:
        text: without its end.
        is_error: whether it went to stderr.
    """

    text: str
    is_error: bool = False


@dataclass(frozen=True)
class Output:
    """What a run has left.

    Attributes:
        files: signed addresses by name.
        log: all that it has printed.
    """

    files: dict[str, str]
    log: list[LogLine]


def read_log(text: Any) -> list[LogLine]:
    """The lines of a finished run's log: JSON, or, where that is cut off or missing, plain text."""
    if not isinstance(text, str):
        return []
    try:
        events = json.loads(text)
    except (ValueError, RecursionError):
        return [LogLine(_clean(line)) for line in text.splitlines()]
    listed = events if isinstance(events, list) else [events]
    return [line for event in listed for line in read_event(event)]


def read_event(event: Any) -> Iterator[LogLine]:
    """The lines of one event of a log; of a progress bar, its last state."""
    if not (isinstance(event, dict) and isinstance(event.get("data"), str)):
        return
    for line in event["data"].removesuffix("\n").split("\n"):
        shown = line.rstrip("\r").rpartition("\r")[2]
        yield LogLine(_clean(shown), event.get("stream_name") == "stderr")


def _clean(line: str) -> str:
    """A line without secrets that can be written as UTF-8."""
    return redact(line.encode(errors="replace").decode())

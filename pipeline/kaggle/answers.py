"""Values in Kaggle's answers, checked: the client hands on whatever type the JSON holds."""

from datetime import UTC, datetime
from typing import Any

from pipeline.kaggle.redaction import redact
from pipeline.wording import one_line

_LONGEST_TEXT = 100_000
_QUOTED_CHARACTERS = 300


def read_text(value: Any) -> str:
    """Text in one line, without control characters and what is no UTF-8; empty for None.

    Raises:
        ValueError: it is no text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {type(value).__name__}")
    return one_line(value[:_LONGEST_TEXT])


def read_integer(value: Any, *, least: int = 0) -> int:
    """An integer, not below ``least``.

    Raises:
        ValueError: it is something else, or absent.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"expected an integer from {least}, found {value!r}")
    return value


def read_time(value: Any) -> datetime:
    """A moment in UTC; one without a time zone is UTC.

    Raises:
        OverflowError: it lies before the year 1 or after the year 9999.
        ValueError: it is no moment.
    """
    if not isinstance(value, datetime):
        raise ValueError(f"expected a date, found {type(value).__name__}")
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def quote(value: object) -> str:
    """Kaggle's or an exception's own words in one line, without secrets and the last stop."""
    words = redact(" ".join(one_line(str(value or "")).split()))
    return words[:_QUOTED_CHARACTERS].rstrip(".")

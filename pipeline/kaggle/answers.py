"""Values in Kaggle's answers, checked: the client hands on whatever type the JSON holds."""

import re
from datetime import UTC, datetime
from typing import Any

from pipeline.kaggle.redaction import redact

_LONGEST_TEXT = 100_000
_QUOTED_CHARACTERS = 300
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def read_text(value: Any) -> str:
    """Text in one line, without control characters and what is no UTF-8; empty for None.

    Raises:
        ValueError: it is no text.
    """
    if not isinstance(value or "", str):
        raise ValueError(f"expected text, found {type(value).__name__}")
    return _NO_TEXT.sub(" ", (value or "")[:_LONGEST_TEXT])


def read_integer(value: Any) -> int:
    """An integer of at least 0; 0 for None.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value or 0, int) or (value or 0) < 0:
        raise ValueError(f"expected a number from 0, found {type(value).__name__}")
    return int(value or 0)


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
    words = redact(" ".join(str(value or "").split()))
    return words[:_QUOTED_CHARACTERS].rstrip(".")

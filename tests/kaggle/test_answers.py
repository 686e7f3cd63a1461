from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from pipeline.kaggle import answers
from pipeline.kaggle.redaction import remember

MOMENT = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
FAR_EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("plain — text", "plain — text"),
        ("a\r\nb\tc\u2028d\x1b[1me\x00", "a b c d [1me "),
        ("a\ud800b", "a b"),
        ("x" * 100_001, "x" * 100_000),
    ],
)
def test_text_is_one_line_of_utf8(value: Any, text: str) -> None:
    assert answers.read_text(value) == text


@pytest.mark.parametrize("value", [5, ["a"], [], {"a": "b"}, True, False, b""])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected text, found"):
        answers.read_text(value)


def test_integers_begin_where_they_are_told() -> None:
    assert [answers.read_integer(value) for value in (0, 7)] == [0, 7]
    for value in (None, -1, "7", [7], 7.5, True):
        with pytest.raises(ValueError, match="expected an integer from 0, found"):
            answers.read_integer(value)
    with pytest.raises(ValueError, match="expected an integer from 1, found 0"):
        answers.read_integer(0, least=1)


def test_times_are_in_utc() -> None:
    assert answers.read_time(MOMENT.astimezone(FAR_EAST)) == MOMENT
    assert answers.read_time(MOMENT.replace(tzinfo=None)) == MOMENT
    assert answers.read_time(MOMENT.astimezone(FAR_EAST)).tzinfo is UTC
    with pytest.raises(OverflowError):
        answers.read_time(datetime(1, 1, 1, tzinfo=FAR_EAST))
    with pytest.raises(ValueError, match="expected a date, found str"):
        answers.read_time("2026-01-31")


def test_quoted_words_are_short_and_without_secrets() -> None:
    remember("5ecre7c0ffee")
    assert answers.quote("No\n 5ecre7c0ffee  \x1bhere.\ud800 ") == "No … here"
    assert answers.quote(None) == ""
    assert len(answers.quote("x" * 1000)) == 300

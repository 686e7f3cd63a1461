"""Whatever the client raises becomes one paragraph, and nothing hangs on to it."""

import errno
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import KaggleError
from pipeline.kaggle.client import Client
from pipeline.kaggle.session import AnswerLostError, Session
from tests.kaggle_fixtures import GOOD_KEY, QUICK
from tests.kaggle_server import EXPIRED_TOKEN, KEY, REFRESH_TOKEN, TOKEN, Fault, Kaggle

WHEN = "2026-11-26T12:00:00Z"
LISTED: list[Any] = [
    [],
    5,
    "text",
    None,
    {"submissions": 5},
    {"submissions": [5]},
    {"submissions": [{"ref": 1, "status": TOKEN}]},
    {"submissions": [{"ref": TOKEN, "status": "COMPLETE"}]},
    {"submissions": [{"ref": 1, "date": f"{TOKEN} o'clock"}]},
    {"submissions": [{"ref": 1, "date": None, "status": "COMPLETE"}]},
    {"submissions": [{"ref": 1, "date": WHEN, "status": "COMPLETE", "description": ["a"]}]},
    {"submissions": [{"ref": 1, "date": "0001-01-01T00:00:00+14:00", "status": "COMPLETE"}]},
]


def assert_contained(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error))
    assert "\n" not in str(error)
    assert error.__cause__ is None and error.__context__ is None
    assert TOKEN not in shown and KEY not in shown
    assert "kaggle_api_extended" not in shown.replace(str(error), "")


@pytest.mark.parametrize("answer", LISTED, ids=map(str, range(len(LISTED))))
def test_answer_of_an_unknown_form_is_one_paragraph(
    answer: Any, kaggle: Kaggle, kaggle_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kaggle.inject("ListSubmissions", Fault(answer=answer))
    try:
        listed = Client(QUICK).submissions()
    except KaggleError as error:
        assert "Kaggle's client failed in an unknown way" in str(error)
        assert_contained(error)
    else:
        assert listed == []


def test_text_that_is_no_utf8_is_replaced(
    kaggle: Kaggle, kaggle_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    listed = {"ref": 1, "date": WHEN, "status": "COMPLETE", "description": "a\ud800b"}
    kaggle.inject("ListSubmissions", Fault(answer={"submissions": [listed]}))
    assert Client(QUICK).submissions()[0].description == "a b"


@pytest.mark.parametrize("left", [-1, "many", [5]])
def test_quota_of_another_form_is_one_paragraph(
    left: Any, kaggle: Kaggle, kaggle_project: Path
) -> None:
    limits = {"numToday": 1, "numTotal": 1, "numAllowedNow": left}
    kaggle.inject("GetSubmissionLimits", Fault(answer=limits))
    with pytest.raises(KaggleError, match="unknown way: ValueError") as caught:
        Client(QUICK).submissions_left()
    assert_contained(caught.value)


def test_login_whose_token_was_refused_asks_for_a_new_one(
    kaggle: Kaggle, kaggle_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in GOOD_KEY:
        monkeypatch.delenv(name)
    login = {
        "refresh_token": REFRESH_TOKEN,
        "access_token": EXPIRED_TOKEN,
        "access_token_expiration": "2100-01-01T00:00:00Z",
    }
    folder = Path.home() / ".kaggle"
    folder.mkdir()
    (folder / "credentials.json").write_text(json.dumps(login))
    client = Client(QUICK)
    assert client.submissions_left() == kaggle.daily_quota
    assert client.submissions() == []
    assert kaggle.counts["GenerateAccessToken"] == 1

    kaggle.inject("ListSubmissions", Fault(401), times=1)
    assert client.submissions() == []
    assert kaggle.counts["GenerateAccessToken"] == 2

    kaggle.inject("ListSubmissions", Fault(401))
    with pytest.raises(KaggleError, match=r"no longer valid .*kaggle auth login"):
        Client(QUICK).submissions()
    assert kaggle.counts["GenerateAccessToken"] == 3


def leak_in_a_chain() -> None:
    try:
        raise LookupError(KEY)
    except LookupError as error:
        raise TypeError(f"Authorization: {KEY}") from error


def leave() -> None:
    raise SystemExit(KEY)


@pytest.mark.parametrize("action", [leak_in_a_chain, leave])
def test_any_exception_is_one_paragraph_without_secrets(
    action: Callable[[], None], kaggle: Kaggle, kaggle_project: Path
) -> None:
    session = Session(QUICK)
    with pytest.raises(KaggleError, match="unknown way: .*…") as caught:
        session.ask(action)
    assert_contained(caught.value)


def test_full_disk_keeps_its_own_error(kaggle: Kaggle, kaggle_project: Path) -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "file")

    with pytest.raises(OSError, match="No space left") as caught:
        Session(QUICK).ask(write)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "file")
    assert caught.value.__context__ is None


def test_request_that_may_not_be_repeated_is_lost_whatever_comes_back(
    kaggle: Kaggle, kaggle_project: Path
) -> None:
    session = Session(QUICK)
    kaggle.inject("ListSubmissions", Fault(answer=5))
    with pytest.raises(AnswerLostError):
        session.ask(
            lambda: session.api.competition_submissions("digit-recognizer"),
            only_once="ListSubmissions",
        )
    assert kaggle.counts["ListSubmissions"] == 1

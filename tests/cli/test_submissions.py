"""``digits check``, ``submit`` and ``scores`` against the loopback server."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.tables import TEST_ROWS
from pipeline.kaggle.client import Client
from pipeline.submissions import file as submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry
from tests.cli.running import digits
from tests.kaggle_fixtures import QUICK
from tests.kaggle_server import TOKEN, Fault, Kaggle
from tests.submission_files import place_submission

LOG = Path("submissions/log.csv")
MESSAGE = "wide net [v2] [/off] [red]x :smiley: 0.5"
Digits = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_digits(
    kaggle_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Digits:
    """Run the command; its status and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = digits(monkeypatch, *arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def no_credentials(run_digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_KEY")


@pytest.mark.usefixtures("no_credentials")
def test_scores_before_any_upload_need_no_credentials(run_digits: Digits, kaggle: Kaggle) -> None:
    status, printed, complained = run_digits("scores")
    assert (status, complained) == (0, "")
    assert printed.startswith("Nothing was uploaded from here yet. Without credentials Kaggle is ")
    assert not kaggle.counts


def test_scores_before_any_upload_ask_kaggle_where_they_can(
    run_digits: Digits, kaggle: Kaggle
) -> None:
    assert run_digits("scores") == (0, "Nothing was uploaded yet.\n", "")
    assert kaggle.counts["ListSubmissions"] == 1


def test_scores_name_credentials_that_cannot_be_used(
    run_digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{TOKEN} {TOKEN}")
    status, out, err = run_digits("scores")
    assert (status, out) == (1, "")
    assert err.startswith("error: The Kaggle credentials in KAGGLE_API_TOKEN cannot be used: ")


@pytest.mark.usefixtures("no_credentials")
def test_known_scores_are_shown_before_credentials_are_asked_for(run_digits: Digits) -> None:
    submission_log.write(LOG, [Entry(time="2026-01-02T03:04:05Z", reference="1", message=MESSAGE)])
    status, out, err = run_digits("scores")
    assert status == 1
    assert MESSAGE in out and "2026-01-02 03:04" in out
    assert "Kaggle asks for credentials, and none were found" in err


def test_scores_of_an_empty_log_say_nothing_where_kaggle_does_not_tell(
    run_digits: Digits, kaggle: Kaggle
) -> None:
    kaggle.inject("ListSubmissions", Fault(403, "no"))
    status, out, err = run_digits("scores")
    assert (status, out) == (1, "")
    assert "Kaggle refuses access" in err


def test_upload_shows_its_score_and_its_message_as_it_was_written(
    run_digits: Digits, kaggle_project: Path, kaggle: Kaggle
) -> None:
    place_submission(kaggle_project)
    kaggle.polls_until_scored = 0
    status, out, _ = run_digits("submit", "-m", f"  \udcff{MESSAGE}\x1b\n")
    assert status == 0
    assert "submitted as number 41000001; 4 left today" in out
    assert "public score 0.99457, out-of-fold accuracy 0.99331" in out
    assert [item.description[: len(MESSAGE)] for item in Client(QUICK).submissions()] == [MESSAGE]
    status, out, _ = run_digits("scores")
    assert status == 0 and MESSAGE in out


def test_path_is_shown_as_it_is(run_digits: Digits) -> None:
    path = Path("a [v2] [bold]/:smiley: [/off].csv")
    submission.write(path, np.zeros(TEST_ROWS, dtype=np.uint8))
    assert run_digits("check", str(path)) == (
        0,
        f"{path}: 28,000 rows, in the form that Kaggle accepts\n",
        "",
    )

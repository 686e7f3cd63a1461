import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import stages
from pipeline.errors import Interruption, KaggleError, SubmissionError
from pipeline.files import sha256, write_json
from pipeline.kaggle.client import Client, OutcomeUnknownError
from pipeline.kaggle.session import Timeouts
from pipeline.submissions import log as submission_log
from pipeline.submissions import submit as submitting
from pipeline.submissions.checks import LISTED_WITHIN, check
from pipeline.submissions.log import Entry
from tests.kaggle_fixtures import QUICK, Outcome
from tests.kaggle_server import KEY, Fault, Kaggle
from tests.submission_files import MEMBERS, NEIGHBOURS, PROVENANCE, place_submission, write_metrics

Run = Callable[[Callable[[], object]], Outcome]
PLACES = submitting.SubmissionPaths(
    provenance=stages.RAW / "provenance.json",
    metrics=stages.EVALUATION / "metrics.json",
    log=Path("submissions/log.csv"),
)
SENT = Path("submissions/sent")


@pytest.fixture
def project(kaggle: Kaggle, kaggle_project: Path) -> Path:
    """A project with a submission that is ready to be sent."""
    place_submission(kaggle_project)
    return kaggle_project


def send(message: str = "first", timeouts: Timeouts = QUICK, *, again: bool = False) -> Entry:
    record = check(stages.SUBMISSION, PLACES.provenance)
    client = Client(timeouts)
    entry = submitting.submit(stages.SUBMISSION, record, message, PLACES, client, again=again)
    return submitting.wait_for_score(entry, PLACES, client, timeouts)


def press_ctrl_c() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def age_attempts() -> None:
    """Let so much time pass that an attempt of the log can be repeated."""
    old = submission_log.timestamp(datetime.now(UTC) - LISTED_WITHIN - timedelta(seconds=1))
    submission_log.write(PLACES.log, [replace(entry, time=old) for entry in log()])


def log() -> list[Entry]:
    return submission_log.read(PLACES.log)


def test_submission_is_sent_scored_kept_and_logged(project: Path, kaggle: Kaggle) -> None:
    entry = send()

    digest = sha256(stages.SUBMISSION)
    assert log() == [entry]
    assert entry == Entry(
        time=entry.time,
        reference="41000001",
        status="complete",
        public_score="0.99457",
        out_of_fold_accuracy="0.99331",
        submissions_left="4",
        sha256=digest,
        commit="f" * 40 + "+dirty",
        params_sha256="e" * 64,
        members="0-0-pooled3 1-0-pooled3",
        message="first",
    )
    assert (SENT / f"{digest[:8]}.csv").read_bytes() == stages.SUBMISSION.read_bytes()
    assert list(kaggle.uploads.values()) == [stages.SUBMISSION.read_bytes()]
    assert kaggle.submissions[0]["description"] == f"first [sha256 {digest[:8]}]"


def pairs(mapping: dict[str, Any]) -> list[list[Any]]:
    return [list(pair) for pair in mapping.items()]


@pytest.mark.parametrize(
    ("evaluated", "quoted"),
    [
        ({"members": pairs(MEMBERS)}, "0.99331"),
        ({"members": pairs(MEMBERS), "neighbours": pairs(NEIGHBOURS)}, "0.99331"),
        ({"members": pairs(MEMBERS), "neighbours": [["power", 5]]}, ""),
        ({"members": pairs(MEMBERS)[::-1]}, "0.99331"),
        ({"members": MEMBERS}, "0.99331"),  # of version 1.0
        ({"members": pairs(MEMBERS | {"0-0-pooled3": "0" * 64})}, ""),
        ({"members": pairs(MEMBERS)[:1]}, ""),
        ({"members": pairs(MEMBERS | {"2-0-pooled3": "0" * 64})}, ""),
        ({"members": [1, None]}, ""),
        ({"members": []}, ""),
        ({"members": None}, ""),
        ({"members": 5}, ""),
        ({}, ""),
        ({"members": pairs(MEMBERS), "accuracy": None}, ""),
    ],
)
def test_accuracy_is_quoted_only_for_the_very_members(
    evaluated: dict[str, Any], quoted: str, project: Path, kaggle: Kaggle
) -> None:
    write_metrics(PLACES.metrics, **evaluated)
    assert send().out_of_fold_accuracy == quoted


def test_accuracy_of_earlier_networks_is_not_quoted_for_new_ones(
    project: Path, kaggle: Kaggle
) -> None:
    """The networks were trained again, and evaluate was killed before it wrote anything."""
    place_submission(project, members=dict.fromkeys(MEMBERS, "9" * 64))
    write_json(PLACES.metrics.with_name("members.json"), dict.fromkeys(MEMBERS, "9" * 64))
    assert send().out_of_fold_accuracy == ""


def test_submission_without_any_evaluation_is_sent(project: Path, kaggle: Kaggle) -> None:
    PLACES.metrics.unlink()
    assert send().out_of_fold_accuracy == ""


def test_members_trained_on_every_row_do_not_count_against_the_others(
    project: Path, kaggle: Kaggle
) -> None:
    place_submission(project, members=MEMBERS | {"all-0-pooled3": "9" * 64})
    assert send().out_of_fold_accuracy == "0.99331"


def test_accuracy_of_members_trained_on_every_row_is_not_quoted(
    project: Path, kaggle: Kaggle
) -> None:
    place_submission(project, members={"all-0-pooled3": "9" * 64})
    write_metrics(PLACES.metrics, members={})
    assert send().out_of_fold_accuracy == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provenance": replace(PROVENANCE, sample=True)}, "was made from the embedded sample"),
        (
            {"provenance": replace(PROVENANCE, test_sha256="0" * 64)},
            r"was made from the competition's data \(train aaaaaaaa, test 00000000\), but the data "
            r"in use is the competition's data \(train aaaaaaaa, test bbbbbbbb\)",
        ),
        ({"sha256": "0" * 64}, "has no submission.json next to it that belongs to it"),
    ],
)
def test_what_must_not_be_sent_is_refused(
    changes: dict[str, Any], message: str, project: Path, kaggle: Kaggle
) -> None:
    place_submission(project, **changes)
    with pytest.raises(SubmissionError, match=message):
        send()
    assert not kaggle.counts


def test_damaged_file_is_refused(project: Path, kaggle: Kaggle) -> None:
    with stages.SUBMISSION.open("a") as file:
        file.write("28001,3\n")
    with pytest.raises(SubmissionError, match="line 28,002"):
        send()
    assert not kaggle.counts


@pytest.mark.parametrize("status", [403, 500, 503])
def test_refused_upload_that_the_client_calls_success_is_noticed(
    status: int, project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("upload", Fault(status))
    with pytest.raises(KaggleError, match=r"did not take the bytes .* Nothing was submitted"):
        send()
    assert kaggle.counts["CreateSubmission"] == 0
    assert not log() and not list(SENT.iterdir())
    kaggle.heal()
    assert send().status == "complete"
    assert len(kaggle.submissions) == 1


@pytest.mark.parametrize("status", [413, 429, 503])
def test_wait_that_storage_asks_for_is_bounded(status: int, project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("upload", Fault(status, headers={"Retry-After": "3600"}))
    with pytest.raises(KaggleError, match="did not take the bytes"):
        send()
    assert not kaggle.submissions


def test_connection_lost_during_upload_is_noticed(project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("upload", Fault(closes=True))
    with pytest.raises(KaggleError, match="did not take the bytes"):
        send()
    assert not kaggle.submissions
    kaggle.heal()
    assert send().status == "complete"
    assert len(kaggle.submissions) == 1


@pytest.mark.parametrize(
    "fault", [Fault(503), Fault(429), Fault(closes=True), Fault(loses_answer=True)]
)
def test_failure_before_the_submission_is_made_is_overcome(
    fault: Fault, project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("StartSubmissionUpload", fault, times=1)
    assert send().status == "complete"
    assert len(kaggle.submissions) == 1


def test_lost_answer_is_found_in_the_list(project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("CreateSubmission", Fault(loses_answer=True))
    entry = send()
    assert (entry.reference, entry.status) == ("41000001", "complete")
    assert kaggle.counts["CreateSubmission"] == 1
    assert log() == [entry]


def test_lost_answer_of_an_earlier_failed_upload_is_not_taken_for_the_new_one(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.error_description = "Evaluation Exception"
    with pytest.raises(SubmissionError, match=r"could not score it: Evaluation Exception\."):
        send()
    kaggle.error_description = ""
    kaggle.inject("CreateSubmission", Fault(closes=True))
    with pytest.raises(OutcomeUnknownError):
        send()
    kaggle.heal()
    assert send(again=True).reference == "41000002"
    assert sorted(entry.status for entry in log()) == ["complete", "error"]


@pytest.mark.parametrize(
    "fault", [Fault(closes=True), Fault(408), Fault(499), Fault(500), Fault(503), Fault(html=True)]
)
def test_unknown_outcome_is_repeated_when_kaggle_had_time_to_list_it(
    fault: Fault, project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("CreateSubmission", fault)
    with pytest.raises(OutcomeUnknownError, match=r"digits scores\n.*Kaggle does not list it"):
        send()
    kaggle.heal()
    with pytest.raises(SubmissionError, match="(?s)may have been submitted on 20.* --again$"):
        send()
    assert kaggle.counts["CreateSubmission"] == 1
    age_attempts()
    assert send().status == "complete"
    assert len(kaggle.submissions) == 1 == len(log())


def test_lost_answer_to_a_submission_that_is_listed_late(project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("CreateSubmission", Fault(loses_answer=True))
    kaggle.unlisted = 1
    with pytest.raises(OutcomeUnknownError):
        send()
    kaggle.heal()
    with pytest.raises(SubmissionError, match=r"may have been submitted .*not sent again"):
        send()
    kaggle.unlisted = 0
    with pytest.raises(SubmissionError, match=r"already submitted .* as number 41000001"):
        send()
    assert len(kaggle.submissions) == 1
    (entry,) = log()
    assert (entry.reference, entry.params_sha256) == ("41000001", "e" * 64)


def test_attempt_that_came_to_nothing_leaves_the_log(project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("CreateSubmission", Fault(closes=True))
    with pytest.raises(OutcomeUnknownError):
        send()
    kaggle.heal()
    (attempt,) = submitting.refresh(PLACES, Client(QUICK))
    assert (attempt.status, attempt.reference, attempt.message) == ("attempted", "", "first")
    age_attempts()
    assert submitting.refresh(PLACES, Client(QUICK)) == []


def test_same_file_is_sent_again_where_that_is_asked_for(project: Path, kaggle: Kaggle) -> None:
    first, second = send(), send("second", again=True)
    assert [entry.reference for entry in log()] == [first.reference, second.reference]
    assert len(kaggle.submissions) == 2


def test_process_killed_while_the_submission_is_made_leaves_the_attempt(
    project: Path, kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the log when Kaggle is asked is what a kill leaves."""
    seen: list[list[Entry]] = []
    create = kaggle._create

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(log())
        return create(request)

    monkeypatch.setattr(kaggle, "_create", look)
    entry = send()
    assert seen == [
        [replace(entry, reference="", status="attempted", public_score="", submissions_left="")]
    ]


@pytest.mark.parametrize(
    ("step", "told", "left"),
    [
        ("ListSubmissions", "submission.csv was not sent.", []),
        ("upload", "submission.csv was not sent.", []),
        ("CreateSubmission", "submission.csv may have been sent.", ["attempted"]),
        ("GetSubmissionLimits", "submission.csv was sent as number 41000001.", ["pending"]),
    ],
)
def test_ctrl_c_tells_whether_the_file_was_sent(
    step: str,
    told: str,
    left: list[str],
    project: Path,
    kaggle: Kaggle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(asked: str) -> Fault:
        kaggle.counts[asked] += 1
        if asked == step and (kaggle.submissions or step != "GetSubmissionLimits"):
            press_ctrl_c()
            return Fault(stalls=True)
        return Fault()

    monkeypatch.setattr(kaggle, "next_fault", interrupt)
    with pytest.raises(Interruption, match=re.escape(told)):
        send()
    assert [entry.status for entry in log()] == left
    assert bool(list(SENT.glob("*"))) == bool(left)


def test_ctrl_c_while_waiting_for_the_score_tells_the_number(
    project: Path, kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.polls_until_scored = 10**6
    monkeypatch.setattr("time.sleep", lambda _: press_ctrl_c())
    with pytest.raises(Interruption, match=r"number 41000001; 4 left today\). See its score with"):
        send()


def test_file_sent_by_hand_after_it_was_written_is_probably_this_one(
    project: Path, kaggle: Kaggle
) -> None:
    by_hand = {"ref": 7, "description": "by hand", "status": "COMPLETE", "publicScore": "0.9"}
    by_hand |= {"date": "2026-01-02T03:04:05.000Z", "fileName": "submission.csv"}
    kaggle.submissions.append(by_hand)
    written = datetime(2026, 1, 2, 3, 4, 4, tzinfo=UTC).timestamp()
    os.utime(stages.SUBMISSION, (written, written))
    with pytest.raises(SubmissionError, match=r"probably submitted by other means.*number 7,"):
        send()
    os.utime(stages.SUBMISSION, (written + 2, written + 2))
    assert send().status == "complete"


def test_silence_while_the_submission_is_made_is_not_repeated(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("CreateSubmission", Fault(stalls=True))
    with pytest.raises(OutcomeUnknownError):
        send(timeouts=replace(QUICK, timeout_seconds=0.3))
    assert kaggle.counts["CreateSubmission"] == 1


@pytest.mark.parametrize("answer", [5, [], {"ref": None}, {"ref": "x"}, {"message": 5}])
def test_strange_answer_of_a_submission_that_was_made_is_looked_up(
    answer: Any, project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("CreateSubmission", Fault(answer=answer))
    assert send().reference == "41000001"
    assert kaggle.counts["CreateSubmission"] == 1


def test_strange_answer_before_the_submission_is_made_is_no_unknown_outcome(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.inject("StartSubmissionUpload", Fault(answer=5))
    with pytest.raises(KaggleError, match="failed in an unknown way") as caught:
        send()
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert not list(SENT.iterdir())


def test_secret_in_the_reason_of_kaggles_does_not_reach_the_log(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.error_description = f"Evaluation of {KEY} failed"
    with pytest.raises(SubmissionError, match="could not score it: Evaluation of … failed"):
        send()
    assert log()[0].error == "Evaluation of … failed"


@pytest.mark.parametrize("message", ["try [v2] [/off]", ":smiley: [red]", 'a "b", c  d; é', "=1+1"])
def test_message_reaches_kaggle_and_the_log_unchanged(
    message: str, project: Path, kaggle: Kaggle
) -> None:
    assert send(message).message == message
    assert log()[0].message == message
    tag = f" [sha256 {sha256(stages.SUBMISSION)[:8]}]"
    assert kaggle.submissions[0]["description"] == message + tag


def test_lost_answer_and_lost_list_are_recovered_by_the_next_run(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.last_step = "CreateSubmission"
    with pytest.raises(OutcomeUnknownError, match="Kaggle's list could not be read"):
        send()
    kaggle.heal()

    with pytest.raises(SubmissionError, match=r"already submitted .* as number 41000001"):
        send()

    assert len(kaggle.submissions) == 1
    (entry,) = log()
    assert (entry.sha256, entry.message) == (sha256(stages.SUBMISSION), "first")
    assert entry.out_of_fold_accuracy == "0.99331"


def test_refusal_at_the_last_step_is_quoted(project: Path, kaggle: Kaggle) -> None:
    kaggle.inject("CreateSubmission", Fault(400, "Your team has used its daily allowance (5)."))
    with pytest.raises(KaggleError, match=r"\(400: Your team has used its daily allowance \(5\)\)"):
        send()
    assert kaggle.counts["CreateSubmission"] == 1
    assert not log() and not list(SENT.iterdir())


def test_same_file_is_not_sent_twice(project: Path, kaggle: Kaggle) -> None:
    send()
    with pytest.raises(SubmissionError, match=r"already submitted .* public score 0\.99457\)"):
        send("again")
    assert kaggle.counts["upload"] == 1
    place_submission(project, digit=3)
    send("another")
    assert [entry.message for entry in log()] == ["first", "another"]


def test_file_sent_from_another_copy_of_the_project_is_known(project: Path, kaggle: Kaggle) -> None:
    send()
    PLACES.log.unlink()
    with pytest.raises(SubmissionError, match="already submitted"):
        send()


def test_used_up_quota_is_told_before_anything_is_sent(project: Path, kaggle: Kaggle) -> None:
    kaggle.daily_quota = 1
    send()
    place_submission(project, digit=3)
    with pytest.raises(SubmissionError, match=r"today's submissions are used up.*midnight UTC"):
        send()
    assert kaggle.counts["upload"] == 1


def test_account_that_did_not_join_is_told_so(project: Path, kaggle: Kaggle) -> None:
    kaggle.daily_quota = 0
    with pytest.raises(KaggleError, match=r"has not joined .*/rules.* verify your phone number"):
        send()
    assert kaggle.counts["upload"] == 0


def test_unscored_submission_stays_pending_and_is_refreshed(project: Path, kaggle: Kaggle) -> None:
    kaggle.polls_until_scored = 10**6
    assert send(timeouts=replace(QUICK, scoring_seconds=0.05)).status == "pending"
    assert log()[0].public_score == ""
    kaggle.polls_until_scored = 0
    (entry,) = submitting.refresh(PLACES, Client(QUICK))
    assert (entry.status, entry.public_score) == ("complete", "0.99457")
    assert log() == [entry]


def test_network_lost_while_waiting_leaves_the_upload_in_the_log(
    project: Path, kaggle: Kaggle
) -> None:
    kaggle.polls_until_scored = 10**6
    record = check(stages.SUBMISSION, PLACES.provenance)
    client = Client(QUICK)
    entry = submitting.submit(stages.SUBMISSION, record, "first", PLACES, client)
    kaggle.inject("ListSubmissions", Fault(closes=True))
    with pytest.raises(
        KaggleError, match=r"took the upload \(number 41000001.*\n.*lost the connection"
    ):
        submitting.wait_for_score(entry, PLACES, client, QUICK)
    assert [known.status for known in log()] == ["pending"]


def test_upload_by_other_means_is_taken_over(project: Path, kaggle: Kaggle) -> None:
    send()
    digest = sha256(stages.SUBMISSION)
    for name, message in (("s.csv", "by hand"), ("t.csv", f"tagged [sha256 {digest[:8]}]")):
        kaggle.submissions.append(
            kaggle.submissions[0]
            | {"ref": len(kaggle.submissions) + 5, "fileName": name, "description": message}
        )
    entries = {entry.message: entry for entry in submitting.refresh(PLACES, Client(QUICK))}
    assert entries["by hand"].sha256 == ""
    assert entries["by hand"].public_score == "0.99457"
    assert entries["by hand"].time == "2026-01-02T03:04:05Z"
    assert entries["tagged"].sha256 == digest[:8]
    assert entries["first"].sha256 == digest


def test_text_of_any_form_leaves_the_log_readable(project: Path, kaggle: Kaggle) -> None:
    listed = {
        "ref": 7,
        "date": "2026-01-02T03:04:05Z",
        "status": "ERROR",
        "description": "a\rb\0c [sha256 0123abcd]",
        "errorDescription": "x" * 200_000,
    }
    kaggle.inject("ListSubmissions", Fault(answer={"submissions": [listed]}))
    (entry,) = submitting.refresh(PLACES, Client(QUICK))
    assert (entry.message, entry.sha256, entry.status) == ("a b c", "0123abcd", "error")
    assert len(entry.error) == 100_000
    assert log() == [entry]


def test_all_pages_of_submissions_are_read(project: Path, kaggle: Kaggle) -> None:
    kaggle.submissions = [
        {"ref": number, "description": f"{number}", "status": "COMPLETE", "publicScore": "0.9"}
        | {"date": "2026-01-02T03:04:05.000Z", "fileName": "s.csv"}
        for number in range(1, 251)
    ]
    assert len(Client(QUICK).submissions()) == 250


def test_file_that_changes_after_its_check_is_not_sent(project: Path, kaggle: Kaggle) -> None:
    record = check(stages.SUBMISSION, PLACES.provenance)
    place_submission(project, digit=3)
    with pytest.raises(SubmissionError, match="changed while it was checked. Nothing was sent."):
        submitting.submit(stages.SUBMISSION, record, "", PLACES, Client(QUICK))
    assert (kaggle.submissions, log(), [*SENT.iterdir()]) == ([], [], [])

"""``digits kaggle run`` against the loopback server: each fault is told, nothing is done twice."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.label_corrections import CorrectionSummary
from pipeline.kaggle import session
from pipeline.submissions import log as submission_log
from tests.cli.running import digits
from tests.conftest import set_params
from tests.kaggle_fixtures import GOOD_KEY, QUICK, Shell
from tests.kaggle_kernels import Run
from tests.kaggle_server import REFRESH_TOKEN, TOKEN, USERNAME, Fault, Kaggle, wait_until
from tests.sent_project import LOG, commit_of, make_run, make_sent_project
from tests.submission_files import PROVENANCE

KERNEL = f"{USERNAME}/digit-recognizer-pipeline"
COMMAND = ("digits", "kaggle", "run")
Digits = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(
    kaggle: Kaggle, kaggle_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project in Git, and a Kaggle that runs what it is sent."""
    make_sent_project(kaggle_project)
    kaggle.kernels.run = lambda source: make_run(source, tmp_path)
    kaggle.polls_until_scored = 0
    monkeypatch.setattr(session, "DEFAULT_TIMEOUTS", QUICK)
    return kaggle_project


@pytest.fixture
def run_digits(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Digits:
    """Run the command; its status and what it printed, line breaks in errors as spaces."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = digits(monkeypatch, "kaggle", "run", *arguments)
        captured = capsys.readouterr()
        return status, captured.out, " ".join(captured.err.split())

    return run


def fetched() -> Path:
    """The folder of the only run."""
    (folder,) = Path("submissions/kaggle").glob("*/")
    return folder


def assert_ran_once(kaggle: Kaggle) -> None:
    assert [len(versions) for versions in kaggle.kernels.versions.values()] == [1]


def assert_ends_well(run_digits: Digits, kaggle: Kaggle) -> None:
    """The same command again comes to the end, with one run."""
    kaggle.heal()
    status, out, err = run_digits()
    assert status == 0, err
    assert "checked  28,000 rows" in out
    assert_ran_once(kaggle)


def test_round_is_shown_step_by_step(run_digits: Digits, kaggle: Kaggle, project: Path) -> None:
    status, out, _ = run_digits()
    assert status == 0
    commit = commit_of(project)
    place = fetched()
    sent = json.loads((place / "run.json").read_text())
    size = (place / "kernel/notebook.ipynb").stat().st_size
    assert out.splitlines() == [
        f"code     commit {commit[:8]}, {size / 1000:,.0f} kB in {place / 'kernel'}",
        "machine  CPU, internet on",
        f"sent     version 1 at {sent['time']}: https://www.kaggle.com/code/{KERNEL}",
        "  installing",
        "  a warning",
        "  train 2/2",
        "  accuracy 99.61%",
        "  submission.csv",
        "run      complete",
        f"fetched  {place}: submission.csv, submission.json, report.html, metrics.json",
        "checked  28,000 rows, of this code, params.yaml and the competition's data (train "
        "aaaaaaaa, test bbbbbbbb)",
        "next     submit it: the same command with --submit",
    ]
    assert kaggle.kernels.versions[KERNEL][0].request["isPrivate"] is True
    assert kaggle.counts["output"] == 4


def test_what_is_done_is_not_done_again(run_digits: Digits, kaggle: Kaggle) -> None:
    run_digits()
    before = kaggle.counts.copy()
    status, out, _ = run_digits()
    assert status == 0 and "checked  28,000 rows" in out
    assert kaggle.counts == before


def test_submission_is_sent_and_logged_once(run_digits: Digits, kaggle: Kaggle) -> None:
    status, out, err = run_digits("--submit", "-m", "from Kaggle")
    assert status == 0, err
    assert "submitted as number 41000001; 4 left today" in out
    assert "public score 0.99457, out-of-fold accuracy 0.99331" in out
    (entry,) = submission_log.read(Path("submissions/log.csv"))
    assert (entry.message, entry.public_score) == ("from Kaggle", "0.99457")
    assert entry.commit == commit_of(Path())

    status, out, _ = run_digits("--submit")
    assert status == 0 and "already submitted as number 41000001" in out
    assert len(kaggle.submissions) == 1
    assert_ran_once(kaggle)


def test_live_log_and_states_are_shown(run_digits: Digits, kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.kernels.run = lambda source: replace(make_run(source, tmp_path), queued=2, running=2)
    status, out, _ = run_digits()
    assert status == 0
    words = [line.strip() for line in out.splitlines()]
    assert words[3:7] == ["run      queued", "run      running", "installing", "a warning"]
    assert words.count("installing") == 1 and words.count("run      complete") == 1
    assert words.index("run      complete") > words.index("submission.csv")


# ---------------------------------------------------------------- ten faults


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(400, "Invalid value for kernelType."), r"\(400: Invalid value for kernelType\)"),
        (
            Fault(403, "Phone verification is needed."),
            r"needed\). Nothing .*verify your phone",
        ),
        (Fault(401), "Kaggle refused the API key in KAGGLE_KEY"),
        (Fault(answer={"error": "Notebook not found"}), r"\(Notebook not found\). Nothing was"),
    ],
)
def test_refused_push_starts_nothing(
    fault: Fault, message: str, run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    kaggle.inject("SaveKernel", fault)
    status, out, err = run_digits()
    assert status == 1 and "sent" not in out
    assert re.search(message, err), err
    assert not list(Path("submissions/kaggle").glob("*/run.json"))


def test_title_of_another_address_is_told(run_digits: Digits, kaggle: Kaggle) -> None:
    kaggle.inject("SaveKernel", Fault(409, "The requested title is already in use"))
    status, _, err = run_digits()
    assert status == 1
    assert f"did not take the notebook as {KERNEL} (409: The requested title is already" in err
    assert "--title" in err and not kaggle.kernels.versions
    assert_ends_well(run_digits, kaggle)


def test_other_notebook_of_this_address_is_left_alone(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    mine = {"slug": KERNEL, "newTitle": "Digit Recognizer pipeline", "text": "my own work"}
    kaggle.kernels.run = lambda source: Run()
    kaggle.kernels.answer("SaveKernel", mine, "")
    kaggle.kernels.run = lambda source: make_run(source, tmp_path)
    status, _, err = run_digits()
    assert status == 1
    assert f"{KERNEL} is another notebook of yours" in err and "--title" in err
    assert_ran_once(kaggle)
    status, out, _ = run_digits("--title", "Digits_2 of mine")
    assert status == 0 and f"https://www.kaggle.com/code/{USERNAME}/digits-2-of-mine" in out


def test_failed_run_shows_its_last_lines_and_starts_anew(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    log = [*LOG, ("stderr", "Traceback\nRuntimeError: dvc repro: exit status 1\n")]
    kaggle.kernels.run = lambda source: Run(log, {}, "ERROR", "Your notebook failed", 0, 1)
    status, out, err = run_digits()
    assert status == 1
    assert out.splitlines()[-2:] == ["  RuntimeError: dvc repro: exit status 1", "run      error"]
    assert f"version 1 of {KERNEL} failed at Kaggle: Your notebook failed." in err
    assert (fetched() / "log.txt").read_text().endswith("exit status 1\n")

    kaggle.kernels.run = lambda source: make_run(source, tmp_path)
    status, out, _ = run_digits()
    assert status == 0 and "version 2" in out
    assert len(kaggle.kernels.versions[KERNEL]) == 2


def test_log_that_is_cut_off_is_shown_whole_and_once(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    kaggle.kernels.run = lambda source: replace(make_run(source, tmp_path), running=3)
    kaggle.inject("log", Fault(sent_share=0.5), times=2)
    status, out, err = run_digits()
    assert status == 0, err
    lines = [line.strip() for line in out.splitlines()]
    assert {lines.count(line) for line in ("installing", "a warning", "train 2/2")} == {1}
    assert kaggle.counts["log"] == 3
    assert_ran_once(kaggle)


def test_kept_log_that_is_cut_off_stops_nothing(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    cut = '[{"stream_name": "stdout", "time": 0.1, "data": "installing'
    kaggle.kernels.run = lambda source: replace(make_run(source, tmp_path), saved_log=cut)
    status, out, _ = run_digits()
    assert status == 0 and "checked  28,000 rows" in out


@pytest.mark.parametrize("name", ["submission.csv", "submission.json"])
def test_missing_output_is_named(
    name: str, run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    def run(source: str) -> Run:
        whole = make_run(source, tmp_path)
        return replace(whole, files={n: each for n, each in whole.files.items() if n != name})

    kaggle.kernels.run = run
    for _ in range(2):
        status, _, err = run_digits()
        assert status == 1
        assert f"version 1 of {KERNEL} ended well but left no {name}: expected both" in err
        assert "report.html" in err and "the same command with --again" in err
    assert_ran_once(kaggle)
    assert not (fetched() / "submission.csv").exists()
    kaggle.kernels.run = lambda source: make_run(source, tmp_path)
    assert run_digits("--again")[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": "b" * 40}, "expected commit {commit}, found bbbbbbbb"),
        ({"commit": None}, "expected commit {commit}, found none"),
        ({"params_sha256": "c" * 64}, ", found cccccccc. It is not"),
        (
            {"label_corrections": CorrectionSummary("e" * 64, 1, 2, 3)},
            "labels.csv none, found eeeeeeee. It",
        ),
        ({"sha256": "d" * 64}, "is of another CSV"),
        ({"provenance": replace(PROVENANCE, sample=True)}, "made from the embedded sample"),
    ],
)
def test_output_of_something_else_is_not_submitted(
    changes: dict[str, Any],
    message: str,
    run_digits: Digits,
    kaggle: Kaggle,
    project: Path,
    tmp_path: Path,
) -> None:
    kaggle.kernels.run = lambda source: make_run(source, tmp_path, **changes)
    status, _, err = run_digits("--submit")
    assert status == 1
    assert message.format(commit=commit_of(project)[:8]) in err
    assert not kaggle.submissions
    assert_ran_once(kaggle)


def test_output_of_other_data_than_here_is_not_submitted(
    run_digits: Digits, kaggle: Kaggle, project: Path
) -> None:
    here = {"sample": False, "train_sha256": "e" * 64, "test_sha256": "f" * 64}
    (project / "data/raw").mkdir(parents=True)
    (project / "data/raw/provenance.json").write_text(json.dumps(here))
    status, _, err = run_digits("--submit")
    assert status == 1 and not kaggle.submissions
    assert "expected the competition's data (train eeeeeeee, test ffffffff)" in err


def test_rows_that_are_missing_are_told(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.sent_project.TEST_ROWS", 100)
    status, _, err = run_digits()
    assert status == 1 and "lacks 27,900 of the 28,000 test images" in err


@pytest.mark.parametrize("fetched_before", [0, 1])
def test_web_page_in_place_of_the_output_is_not_kept(
    fetched_before: int, run_digits: Digits, kaggle: Kaggle
) -> None:
    if fetched_before:
        kaggle.last_step = "output"
        assert run_digits()[0] == 1
        kaggle.last_step = None
    kaggle.inject("output", Fault(html=True))
    status, _, err = run_digits()
    assert status == 1
    assert "is not what a run leaves: submission.json is not JSON. Nothing was kept." in err
    assert {path.name for path in fetched().glob("*.*")} == {"run.json", "log.txt"}
    assert_ends_well(run_digits, kaggle)


KILLED = {
    "before it was sent": ("SaveKernel", Fault(stalls=True)),
    "after it was sent": ("SaveKernel", Fault(holds_answer=True)),
    "while following": ("log", Fault(holds_answer=True)),
    "while fetching": ("output", Fault(sent_share=0.5, holds_answer=True)),
    "before it was submitted": ("StartSubmissionUpload", Fault(stalls=True)),
    "after it was submitted": ("CreateSubmission", Fault(holds_answer=True)),
}


@pytest.mark.parametrize("moment", KILLED)
def test_killed_process_is_taken_up(
    moment: str,
    run_digits: Digits,
    kaggle: Kaggle,
    kaggle_tls_shell: Shell,
    tmp_path: Path,
) -> None:
    step, fault = KILLED[moment]
    kaggle.inject(step, fault)
    running = int(step == "log")
    kaggle.kernels.run = lambda source: replace(make_run(source, tmp_path), running=running)

    def reached() -> None:
        wait_until(lambda: kaggle.counts[step] == 1, seconds=60)
        if step == "SaveKernel" and fault.holds_answer:
            wait_until(lambda: kaggle.kernels.versions)
        if step == "CreateSubmission":
            wait_until(lambda: kaggle.submissions)

    killed = kaggle_tls_shell.kill(*COMMAND, "--submit", when=reached, **GOOD_KEY)
    assert killed.status == -signal.SIGKILL
    kaggle.heal()

    status, out, err = run_digits("--submit")
    assert status == 0, err
    assert "public score 0.99457" in out
    assert_ran_once(kaggle)
    assert len(kaggle.submissions) == 1
    assert kaggle.counts["CreateSubmission"] == 1
    assert len(submission_log.read(Path("submissions/log.csv"))) == 1


# ---------------------------------------------------------------- more


@pytest.mark.parametrize("fault", [Fault(loses_answer=True), Fault(answer=5), Fault(html=True)])
def test_lost_answer_is_looked_up_and_not_sent_again(
    fault: Fault, run_digits: Digits, kaggle: Kaggle
) -> None:
    kaggle.inject("SaveKernel", fault)
    status, _, err = run_digits()
    if fault.html:
        assert status == 1 and "whether it did is unknown. It was not sent again" in err
        assert_ends_well(run_digits, kaggle)
    else:
        assert status == 0, err
        assert kaggle.counts["SaveKernel"] == 1
    assert_ran_once(kaggle)


def test_lost_answer_and_lost_network_are_taken_up_by_the_next_command(
    run_digits: Digits, kaggle: Kaggle
) -> None:
    kaggle.last_step = "SaveKernel"
    status, _, err = run_digits()
    assert status == 1 and "It was not sent again" in err
    assert_ends_well(run_digits, kaggle)
    assert kaggle.counts["SaveKernel"] == 1


def test_interrupted_command_says_that_the_run_goes_on(
    run_digits: Digits, kaggle: Kaggle, kaggle_tls_shell: Shell, tmp_path: Path
) -> None:
    kaggle.inject("log", Fault(holds_answer=True))
    kaggle.kernels.run = lambda source: replace(make_run(source, tmp_path), running=1)

    def following() -> None:
        wait_until(lambda: kaggle.counts["log"] == 1, seconds=60)

    stopped = kaggle_tls_shell.interrupt(*COMMAND, when=following, **GOOD_KEY)
    assert stopped.status == 130
    assert (
        "interrupted: the run goes on at Kaggle, and the same command takes it up" in stopped.stderr
    )
    assert "Traceback" not in stopped.stderr
    assert_ends_well(run_digits, kaggle)


def test_second_command_at_the_same_time_is_refused(run_digits: Digits, kaggle: Kaggle) -> None:
    from pipeline.cli.kaggle_run import RUNS
    from pipeline.submissions import kaggle_run

    with kaggle_run.alone(RUNS):
        status, _, err = run_digits()
    assert status == 1 and "Another digits kaggle run is at work" in err
    assert not kaggle.counts


def test_changed_code_is_another_run_and_the_unfetched_one_is_named(
    run_digits: Digits, kaggle: Kaggle, project: Path, tmp_path: Path
) -> None:
    kaggle.inject("GetKernelSessionStatus", Fault(403))
    assert run_digits()[0] == 1
    kaggle.heal()
    set_params(project, ("seed: 0", "seed: 1"))
    status, out, _ = run_digits()
    assert status == 0
    assert "with uncommitted changes" in out
    assert f"note     version 1 of {KERNEL} ran other code and was not fetched: https:" in out
    assert len(kaggle.kernels.versions[KERNEL]) == 2


def test_run_that_has_not_ended_is_not_started_again(run_digits: Digits, kaggle: Kaggle) -> None:
    kaggle.inject("GetKernelSessionStatus", Fault(403))
    assert run_digits()[0] == 1
    kaggle.heal()
    status, _, err = run_digits("--again")
    assert status == 1 and "has not ended, as far as is known here" in err
    assert_ends_well(run_digits, kaggle)
    assert run_digits("--again")[0] == 0
    assert len(kaggle.kernels.versions[KERNEL]) == 2


def test_newer_version_of_others_changes_nothing(
    run_digits: Digits, kaggle: Kaggle, tmp_path: Path
) -> None:
    """Somebody saves the notebook in the browser while the run is followed."""

    def run(source: str) -> Run:
        if "changed" in source:
            return Run([("stdout", "other\n")], {}, "ERROR")
        return replace(make_run(source, tmp_path), queued=1, running=1)

    kaggle.kernels.run = run
    kaggle.inject("GetKernelSessionStatus", Fault(403))
    assert run_digits()[0] == 1
    kaggle.heal()
    request = kaggle.kernels.versions[KERNEL][0].request
    kaggle.kernels.answer("SaveKernel", request | {"text": "changed"}, "")
    status, out, err = run_digits()
    assert status == 0, err
    assert "  accuracy 99.61%" in out.splitlines()


@pytest.mark.parametrize(
    "credentials",
    [{"KAGGLE_API_TOKEN": TOKEN}, {"credentials.json": REFRESH_TOKEN}],
    ids=["token", "login"],
)
def test_owner_of_a_token_is_asked_for(
    credentials: dict[str, str],
    run_digits: Digits,
    kaggle: Kaggle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in GOOD_KEY:
        monkeypatch.delenv(name)
    for name, secret in credentials.items():
        if name.isupper():
            monkeypatch.setenv(name, secret)
        else:
            path = tmp_path / "home/.kaggle" / name
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"refresh_token": secret}))
    status, _, err = run_digits()
    assert status == 0, err
    assert list(kaggle.kernels.versions) == [KERNEL]


def test_settings_reach_kaggle(run_digits: Digits, kaggle: Kaggle) -> None:
    status, out, err = run_digits("--accelerator", "t4", "--id", "my_digits")
    assert status == 0, err
    assert "machine  GPU T4, internet on" in out
    (version,) = kaggle.kernels.versions[f"{USERNAME}/my-digits"]
    sent = version.request
    assert (sent["newTitle"], sent["machineShape"]) == ("my digits", "NvidiaTeslaT4")
    assert sent["enableInternet"] is True and sent["enableGpu"] is True

    status, out, err = run_digits("--no-internet", "--wheels", "me/wheels")
    assert status == 0, err
    assert "machine  CPU, internet off, wheels of me/wheels" in out
    sent = kaggle.kernels.versions[KERNEL][0].request
    assert sent["enableInternet"] is False and not sent.get("enableGpu")
    assert sent["datasetDataSources"] == ["me/wheels"]
    assert sent["competitionDataSources"] == ["digit-recognizer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-internet"], "--no-internet needs --wheels USER/DATASET"),
        (["--wheels", "wheels"], "--wheels: expected USER/DATASET, found wheels"),
        (["--id", "a b"], "--id: expected USER/SLUG, found a b"),
        (["--id", "me/digits", "--title", "Other name"], "gives the address other-name, not digit"),
        (["--title", "abc"], "expected a title of 5 letters or more"),
        (["--accelerator", "p100"], "p100"),
        (["--accelerator", "t4", "--wheels", "me/wheels"], "needs CUDA's libraries"),
        (["--submitt"], "No such option"),
    ],
)
def test_mistyped_options_are_told_before_anything_is_sent(
    options: list[str], message: str, run_digits: Digits, kaggle: Kaggle
) -> None:
    status, _, err = run_digits(*options)
    assert status == 2 and message in err
    assert not kaggle.counts


def test_damaged_state_is_not_taken_for_none(run_digits: Digits, kaggle: Kaggle) -> None:
    run_digits()
    (fetched() / "run.json").write_text("{")
    status, _, err = run_digits()
    assert status == 1 and "it is unknown whether the run was sent" in err
    assert_ran_once(kaggle)


def test_files_that_were_deleted_here_are_fetched_again(run_digits: Digits, kaggle: Kaggle) -> None:
    run_digits()
    (fetched() / "submission.csv").unlink()
    status, _, err = run_digits()
    assert status == 0, err
    assert_ran_once(kaggle)
    assert kaggle.counts["output"] == 5

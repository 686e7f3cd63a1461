"""What ``digits`` says of projects in different states; DVC and Git are the real ones."""

import errno
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import label_corrections, label_table, tables
from pipeline.files import sha256
from pipeline.submissions.log import Entry
from tests.cli.recorded import (
    MEMBER,
    METRICS,
    choose_archive,
    record,
    use_competition_data,
    write_metrics,
    write_uploads,
)
from tests.cli.running import digits
from tests.cli.terminal import run_in_terminal
from tests.conftest import add_networks, run, set_params
from tests.label_tables import GOOD


def status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What ``digits status --json`` says."""
    assert digits(monkeypatch, "status", "--json") == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_finished_run_on_the_sample(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert output.startswith(
        "99.31% accuracy on the embedded sample\n"
        "95 % interval 97.31% – 99.81%; 2 errors in 288 images\n"
    )
    assert "data         the embedded sample: 1,437 labelled images, 360 to label\n" in output
    assert f"networks     1 of 1 trained: {MEMBER}\n" in output
    assert "of the sample, not for Kaggle" in output
    assert "out of date  nothing\n" in output
    assert re.search(r"next: dvc repro\n.*data/digit-recognizer.zip\nalso: .*\n$", output)


def test_json_has_the_keys_that_the_help_names(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status(monkeypatch, capsys)
    assert digits(monkeypatch, "status", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for key in [*found, *found["data"], *found["score"], *found["next"]]:
        assert re.search(rf"\b{key}\b", text), key
    assert found["score"]["errors"] == 2
    assert found["outdated"] == {}


def test_score_of_other_networks_or_weights_is_not_shown(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_metrics(in_project, errors=2, members=[["0-0-other", "a" * 64]])
    found = status(monkeypatch, capsys)
    assert found["score"] is None
    assert "is of other networks than params.yaml lists" in found["no_score_because"]

    model = in_project / "models" / MEMBER / "model.keras"
    write_metrics(in_project, errors=2, members={MEMBER: sha256(model)})  # as in version 1.0
    assert status(monkeypatch, capsys)["score"]["errors"] == 2

    write_metrics(in_project, errors=2)
    model.write_text("trained again")
    assert "earlier weights" in status(monkeypatch, capsys)["no_score_because"]

    model.unlink()
    found = status(monkeypatch, capsys)
    assert f"networks that are not here: {MEMBER}" in found["no_score_because"]
    assert (found["trained"], found["untrained"]) == ([], [MEMBER])

    (in_project / METRICS).unlink()
    assert digits(monkeypatch) == 0
    assert capsys.readouterr().out.startswith("No score: nothing was evaluated yet.\n")


def test_edited_parameters_and_code_make_stages_out_of_date(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(in_project, ("power: 4", "power: 3"))
    with (in_project / "pipeline/stages/predict.py").open("a") as file:
        file.write("# changed\n")
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert "evaluate, report: params.yaml (neighbours) changed\n" in output
    assert re.search("predict: .*pipeline/stages/predict.py changed", output)
    assert "train@" not in output
    assert "2 errors in 288 images\nof before the changes that are out of date below\n" in output
    assert "next: dvc repro\n" in output


def test_network_that_is_new_or_defined_differently_is_out_of_date(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(in_project, add_networks(upright="pooled_cnn, [[deskew]]"))
    found = status(monkeypatch, capsys)
    assert found["outdated"]["train@0-0-upright"] == []
    assert f"train@{MEMBER}" not in found["outdated"]
    assert found["untrained"] == ["0-0-upright"]

    set_params(in_project, ("small: {architecture: pooled_cnn", "small: {architecture: deep_cnn"))
    changes = status(monkeypatch, capsys)["outdated"][f"train@{MEMBER}"]
    assert changes == ["network small changed"]

    set_params(in_project, ("small: {architecture: deep_cnn", "small: {architecture: deep_cn"))
    (problem,) = status(monkeypatch, capsys)["outdated"]["source"]
    assert "unknown architecture 'deep_cn' (did you mean 'deep_cnn'?)" in problem


def test_nothing_has_run_in_a_fresh_clone(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data", "models", "exported", "reports", "submissions"):
        shutil.rmtree(in_project / name)
    (in_project / "dvc.lock").unlink()
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert output.startswith("No score: nothing was evaluated yet.\n")
    waiting = f"train@{MEMBER}, evaluate, predict, export, explain, embed, report"
    assert f"download, prepare, {waiting}: not run yet" in output
    assert "next: dvc repro\n      runs the pipeline\n" in output


def test_archive_that_was_not_read_yet_is_seen(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.zeros((10, 28, 28), dtype=np.uint8)
    tables.write(Path("train.csv"), images, np.arange(10, dtype=np.uint8))
    tables.write(Path("test.csv"), images)
    with zipfile.ZipFile("data/digit-recognizer.zip", "w") as archive:
        archive.write("train.csv")
        archive.write("test.csv")
    found = status(monkeypatch, capsys)
    assert found["outdated"] == {"download": ["the data comes from data/digit-recognizer.zip"]}
    assert found["next"]["command"] == "dvc repro"


def test_results_of_the_sample_stay_so_after_the_archive_is_chosen(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_archive(in_project)
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert output.startswith("99.31% accuracy on the embedded sample\n")
    assert "data         data/digit-recognizer.zip, not read yet\n" in output
    assert "submissions/submission.csv, of the sample, not for Kaggle\n" in output
    found = status(monkeypatch, capsys)
    assert (found["data"]["sample"], found["score"]["sample"]) == (False, True)
    assert found["submission_of_sample"]


def test_submission_is_followed_until_it_has_a_score(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_competition_data(in_project)
    record(in_project)
    found = status(monkeypatch, capsys)
    assert (found["submission_uploaded"], found["last_upload"]) == (False, None)
    assert found["next"]["command"].startswith("digits submit -m ")

    digest = sha256(in_project / "submissions/submission.csv")
    upload = Entry(time="2026-01-02T03:04:05Z", reference="7", sha256=digest)
    write_uploads(in_project, upload)
    found = status(monkeypatch, capsys)
    assert found["submission_uploaded"]
    assert found["next"]["command"] == "digits scores"

    scored = Entry(**vars(upload) | {"status": "complete", "public_score": "0.99571"})
    write_uploads(in_project, scored)
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert "accuracy on held-out images" in output
    assert "data/digit-recognizer.zip: 42,000 labelled images, 28,000 to label" in output
    assert "last upload 2026-01-02 03:04 UTC: public score 0.99571\n" in output
    assert "not uploaded" not in output
    assert "next: digits open\n" in output


def test_busy_dvc_is_not_waited_for(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = {"pid": os.getpid(), "cmd": "/usr/bin/dvc repro"}
    lock = {"write": {str(in_project / "models" / MEMBER): holder}, "read": {}}
    (in_project / ".dvc/tmp/rwlock").write_text(json.dumps(lock))
    assert digits(monkeypatch) == 0
    output = capsys.readouterr().out
    assert f"unknown: DVC is running: dvc repro (process {os.getpid()})" in output
    when = "when DVC is done; if no DVC runs any more: rm .dvc/tmp/rwlock"
    assert f"next: digits\n      {when}\n" in output
    assert "99.31% accuracy" in output


def test_lock_of_a_process_that_is_gone_does_not_matter(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = {"pid": 2**22 + 1, "cmd": "dvc repro"}
    lock = {"write": {str(in_project / "models" / MEMBER): holder}, "read": {}}
    (in_project / ".dvc/tmp/rwlock").write_text(json.dumps(lock))
    assert status(monkeypatch, capsys)["outdated"] == {}


def test_folder_that_is_no_project_of_dvc_is_told_so(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(in_project / ".dvc")
    found = status(monkeypatch, capsys)
    assert found["outdated"] is None
    assert "not inside of a DVC repository" in found["dvc_error"]
    assert found["score"]["errors"] == 2


def test_damaged_database_of_dvc_is_told(
    in_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    assert status(monkeypatch, capsys)["outdated"] == {}
    databases = list((tmp_path / "site").rglob("cache.db"))
    assert databases
    for path in databases:
        path.write_bytes(b"no database" * 500)
    error = status(monkeypatch, capsys)["dvc_error"]
    assert error.startswith("DVC's own database cannot be used: file is not a database.")
    assert digits(monkeypatch, "compare", "HEAD") == 1
    assert "error: DVC's own database cannot be used" in capsys.readouterr().err


def test_what_a_killed_process_left_makes_nothing_out_of_date(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = in_project / f"models/.{MEMBER}.9999999999.partial/model.keras"
    left.parent.mkdir()
    left.write_text("half of it")
    (in_project / ".params.9999999999.partial.yaml").write_text("seed: 1")
    assert status(monkeypatch, capsys)["outdated"] == {}
    assert run(in_project, "git", "status", "--porcelain") == ""


def test_score_of_other_predictions_is_not_shown(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after evaluate was killed before it wrote metrics.json, which survives."""
    predictions = METRICS.with_name("out_of_fold.npz")
    write_metrics(in_project, errors=2, predictions=[["out_of_fold.npz", sha256(predictions)]])
    assert status(monkeypatch, capsys)["score"]["errors"] == 2
    predictions.unlink()
    predictions.write_text("newer ones")
    found = status(monkeypatch, capsys)
    assert found["score"] is None
    assert found["no_score_because"] == f"{METRICS} is of other predictions than {predictions}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reports/data/summary.json", "[]"),
        ("reports/data/summary.json", '{"sample": true}'),
        (str(METRICS), "[]"),
        (str(METRICS), "5"),
        (str(METRICS), '{"members": 5}'),
        (str(METRICS), '{"members": {"0-0-small": "a"}, "accuracy": "high"}'),
        ("data/source.json", '{"kind": 5}'),
        (str(METRICS), "null"),
        ("reports/data/summary.json", "[]"),
        ("submissions/submission.json", "[" * 3000),
    ],
)
def test_json_of_another_form_is_named(
    name: str,
    content: str,
    in_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = in_project / name
    path.unlink()
    path.write_text(content)
    assert digits(monkeypatch, "check" if "submission" in name else "status") == 1
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {name} is damaged: expected ")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"[" * 3000, b"stages: 5\n", b"- 1\n"])
def test_damaged_lock_file_of_dvc_is_told(
    content: bytes,
    in_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (in_project / "dvc.lock").write_bytes(content)
    found = status(monkeypatch, capsys)
    assert "dvc.lock" in found["dvc_error"]
    assert found["next"]["command"] == "dvc status"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "dvc.lock is empty. Bring it back with: git checkout dvc.lock"),
        (
            b"<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> main\n",
            "dvc.lock holds both sides of a conflict. Take one, and run what is out of date: git "
            "checkout --ours dvc.lock && dvc repro",
        ),
    ],
)
def test_lock_file_that_git_left_has_a_cure(
    content: bytes,
    told: str,
    in_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (in_project / "dvc.lock").write_bytes(content)
    assert status(monkeypatch, capsys)["dvc_error"] == told


def test_project_that_nobody_may_write_into_has_a_score(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(repo: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", ".dvc/tmp/lock")

    monkeypatch.setattr("dvc.repo.lock_repo", refuse)
    found = status(monkeypatch, capsys)
    assert found["dvc_error"].startswith("DVC cannot use .dvc/tmp/lock: Permission denied. It ")
    assert found["score"]["errors"] == 2


def test_project_without_git_has_a_cure(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(in_project / ".git")
    told = status(monkeypatch, capsys)["dvc_error"]
    assert told.startswith("this folder is in no Git repository, which DVC expects. Run make,")


def test_it_works_in_a_subfolder_and_names_files_from_there(recorded_project: Path) -> None:
    folder = recorded_project / "reports/data"
    output = run(folder, "digits")
    assert "99.31% accuracy" in output
    assert "report       ../../reports/report.html\n" in output
    assert "submission   ../../submissions/submission.csv," in output
    assert "out of date  nothing\n" in output


def test_terminal_of_80_columns_is_enough(recorded_project: Path) -> None:
    command = (sys.executable, "-m", "pipeline.cli")
    output = run_in_terminal(*command, columns=80, folder=recorded_project)
    assert "\x1b[1;32m99.31% accuracy on the embedded sample" in output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert all(len(line) <= 80 for line in plain.splitlines())


def test_corrected_labels_are_told_and_a_new_file_is_out_of_date(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = in_project / "data/labels.csv"
    path.write_text(GOOD)
    found = status(monkeypatch, capsys)
    assert found["outdated"] == {"prepare": ["data/labels.csv is new"]}
    assert found["data"]["label_corrections"] is None

    corrections = label_table.read(path)
    label_corrections.write(in_project / "data/label_corrections.json", corrections)
    record(in_project)
    found = status(monkeypatch, capsys)
    assert found["outdated"] == {}
    assert found["data"]["label_corrections"] == {
        "sha256": sha256(path),
        "right": 1,
        "corrected": 1,
        "left_out": 1,
    }
    assert digits(monkeypatch) == 0
    expected = (
        "labels       1 label corrected, 1 row left out (data/labels.csv); scores are against the "
        "labels as given\n"
    )
    assert expected in capsys.readouterr().out

    path.write_text(f"{GOOD}7,7,right,\n")
    assert status(monkeypatch, capsys)["outdated"] == {"prepare": ["data/labels.csv is another"]}
    path.unlink()
    assert status(monkeypatch, capsys)["outdated"] == {"prepare": ["data/labels.csv is gone"]}


def test_data_not_read_and_networks_not_trained_yet_are_told(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(
        in_project, add_networks(other="dense_baseline, [[]]"), ("kind: auto", "kind: archive")
    )
    (in_project / "reports/data/summary.json").unlink()
    assert digits(monkeypatch, "status") == 0
    said = capsys.readouterr().out
    assert "the embedded sample, not read yet" in said
    assert f"1 of 2 trained: {MEMBER}" in said and "not trained: 0-0-other" in said
    assert re.search(r"^ +source: .*data/digit-recognizer.zip", said, re.MULTILINE)


def test_cut_off_list_of_locks_is_told_with_the_cure(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a full disk leaves it."""
    (in_project / ".dvc/tmp").mkdir(exist_ok=True)
    (in_project / ".dvc/tmp/rwlock").write_text('{"data/raw": {"write"')
    assert digits(monkeypatch, "runs") == 1
    assert "delete it: rm .dvc/tmp/rwlock" in " ".join(capsys.readouterr().err.split())
